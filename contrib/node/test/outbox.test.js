'use strict';
// The package against a real database: `OUTBOX_EXTENSION=build/mod_outbox.so node --test contrib/node/test`.
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const outbox = require('..');

function shop(t) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'outbox-node-'));
    const file = path.join(dir, 'shop.db');
    const con = outbox.connect(file);
    con.db.exec('CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL CHECK (total < 1000), note, data BLOB,' +
                ' revision INTEGER NOT NULL DEFAULT 1)');
    t.after(() => {
        con.close();
        fs.rmSync(dir, {recursive: true});
    });
    return {con, file};
}

const log = (con) => con.db.prepare("SELECT op || ':' || coalesce(key, '') FROM change_log ORDER BY seq").pluck().all();

async function collect(events) {
    const all = [];
    for await (const event of events)
        all.push(event);
    return all;
}

test('a row is written, read, changed and deleted', (t) => {
    const {con} = shop(t);
    assert.equal(con.upsert('orders', {id: 'o-1', total: 42.5}), 1);
    assert.equal(con.upsert('orders', {id: 'o-1', note: 'x', total: undefined}, {revision: 1}), 2);
    const row = con.get('orders', 'o-1');
    assert.deepEqual(row, {id: 'o-1', total: 42.5, note: 'x', data: null, revision: 2});
    assert.equal(con.upsert('orders', {...row, total: 43}, {revision: row.revision}), 3);
    assert.equal(con.delete('orders', 'o-1', {revision: 3}), 4);
    assert.equal(con.get('orders', 'o-1'), null);
    assert.deepEqual(log(con), ['insert:o-1', 'update:o-1', 'update:o-1', 'delete:o-1']);
});

test('values survive', (t) => {
    const {con} = shop(t);
    const row = {id: 'Ü😀\u2028"', total: -Infinity, note: 2 ** 53 - 1, data: Buffer.from([0, 255])};
    con.upsert('orders', row);
    assert.deepEqual(con.get('orders', row.id), {...row, revision: 1});
    con.upsert('orders', {id: 'f', total: 0.1 + 0.2, note: [1, {a: null}]});
    assert.equal(con.get('orders', 'f').total, 0.1 + 0.2);
    assert.equal(con.get('orders', 'f').note, '[1,{"a":null}]');
    con.upsert('orders', {id: 'b', note: 9223372036854775807n});
    assert.equal(con.db.prepare("SELECT note FROM orders WHERE id = 'b'").safeIntegers().pluck().get(), 9223372036854775807n);
    assert.throws(() => con.upsert('orders', {id: 'n', total: NaN}), TypeError);
});

test('keys of every kind', (t) => {
    const {con} = shop(t);
    con.db.exec('CREATE TABLE pair(a INT, b BLOB, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(a, b));' +
                'CREATE TABLE numbers(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)');
    con.upsert('pair', {a: 1, b: Buffer.from([1])});
    assert.deepEqual(con.get('pair', [1, Buffer.from([1])]), {a: 1, b: Buffer.from([1]), revision: 1});
    con.upsert('numbers', {id: 7});
    assert.deepEqual(con.get('numbers', 7), {id: 7, revision: 1});
    con.delete('numbers', 7n);
    assert.deepEqual(log(con), ['insert:[1,{"$base64":"AQ=="}]', 'insert:7', 'delete:7']);
});

test('a stale revision conflicts and says what it found', (t) => {
    const {con} = shop(t);
    con.upsert('orders', {id: 'o-1'});
    assert.throws(() => con.upsert('orders', {id: 'o-1'}, {revision: 4}), (error) => error instanceof outbox.Conflict &&
        error.found === 1 && error.message === 'table orders, key o-1: expected revision 4, found 1');
    assert.throws(() => con.delete('orders', 'none', {revision: 3}), (error) => error.found === 0);
    assert.deepEqual(log(con), ['insert:o-1']);
});

test('a conflict of a long key says what it found', (t) => {
    const {con} = shop(t);
    for (const id of ['k'.repeat(1100), 'k' + '\u20ac'.repeat(500)]) {
        con.upsert('orders', {id});
        assert.throws(() => con.upsert('orders', {id}, {revision: 7}), (error) => error instanceof outbox.Conflict &&
            error.found === 1 && !error.message.includes('\ufffd'));
    }
});

test('each failure has its code', (t) => {
    const {con, file} = shop(t);
    assert.throws(() => con.delete('orders', 'none'), {code: 'NOT_FOUND'});
    assert.throws(() => con.upsert('orders', {id: 'o-1', colour: 1}), {code: 'INVALID'});
    assert.throws(() => con.upsert('orders', {id: 'o-1', total: 1000}), {code: 'CONSTRAINT'});
    assert.throws(() => con.emit('mail', null, 'x'.repeat(2e6)), {code: 'TOO_BIG'});
    const other = outbox.connect(file, {timeout: 0});
    con.transaction(() => assert.throws(() => other.emit('mail', null, 1), {code: 'BUSY'}));
    other.close();
    assert.throws(() => outbox.connect(`${file}x`, {create: false}), {code: 'SQLITE_CANTOPEN'});
});

test('a transaction is all or nothing', (t) => {
    const {con} = shop(t);
    con.transaction((o) => {
        o.upsert('orders', {id: 'o-1'});
        o.emit('mail', 'm-1', {to: 'ann'}, {headers: {lang: 'de'}});
    });
    assert.throws(() => con.transaction(() => {
        con.upsert('orders', {id: 'o-2'});
        throw new RangeError();
    }), RangeError);
    assert.deepEqual(log(con), ['insert:o-1', 'emit:m-1']);
});

test('plain SQL makes events of a captured table', async (t) => {
    const {con} = shop(t);
    con.capture('orders', {topic: 'shop', exclude: ['data'], ops: ['insert', 'update']});
    con.db.exec("INSERT INTO orders(id, total, data) VALUES ('o-1', 42.5, x'00'); UPDATE orders SET total = 43; DELETE FROM orders");
    const seen = await collect(con.events('c', {timeout: 0}));
    assert.deepEqual(seen.map((e) => [e.op, e.topic, e.revision]), [['insert', 'shop', 1], ['update', 'shop', 2]]);
    assert.deepEqual(seen[1].payload, {id: 'o-1', total: 43, note: null, revision: 2});
    con.release('orders');
    con.db.exec("INSERT INTO orders(id) VALUES ('o-2')");
    assert.deepEqual(await collect(con.events('c', {timeout: 0})), []);
    assert.throws(() => con.capture('nothing'), {code: 'INVALID'});
});

test('events come whole and are acknowledged by the loop', async (t) => {
    const {con} = shop(t);
    con.upsert('orders', {id: 'o-1', data: Buffer.from([0])});
    con.delete('orders', 'o-1');
    con.emit('mail', null, {$base64: 'AA=='}, {headers: {a: 'b'}});
    con.emit('mail', 'k', Buffer.from([255]));
    const seen = await collect(con.events('mailer', {timeout: 0}));
    assert.deepEqual(seen.map((e) => [e.seq, e.op, e.table, e.key]),
        [[1, 'insert', 'orders', 'o-1'], [2, 'delete', 'orders', 'o-1'], [3, 'emit', null, null], [4, 'emit', null, 'k']]);
    assert.deepEqual([seen[0].payload.data, seen[0].before, seen[0].revision], [Buffer.from([0]), null, 1]);
    assert.deepEqual([seen[1].payload, seen[1].before.data], [null, Buffer.from([0])]);
    assert.deepEqual([seen[2].payload, seen[2].headers, seen[2].revision], [{$base64: 'AA=='}, {a: 'b'}, null]);
    assert.deepEqual([seen[3].payload, seen[3].headers], [Buffer.from([255]), {}]);
    assert.ok(Math.abs(seen[0].time - Date.now()) < 60000);
    assert.deepEqual(await collect(con.events('mailer', {timeout: 0})), []);
});

test('a body that throws leaves its event owed', async (t) => {
    const {con} = shop(t);
    for (let i = 0; i < 5; i++)
        con.emit('mail', null, i);
    await assert.rejects(async () => {
        for await (const event of con.events('mailer', {timeout: 0}))
            if (event.payload === 2)
                throw new RangeError();
    }, RangeError);
    assert.deepEqual((await collect(con.events('mailer', {timeout: 0}))).map((e) => e.payload), [2, 3, 4]);
});

test('work in the same database is done exactly once', async (t) => {
    const {con} = shop(t);
    con.db.exec('CREATE TABLE done(seq INTEGER PRIMARY KEY)'); // twice would be an error
    for (let i = 0; i < 6; i++)
        con.emit('mail', null, i);
    for (let round = 0; round < 4; round++) {
        try {
            for await (const event of con.events('worker', {batch: 2, timeout: 0})) {
                con.transaction(() => {
                    con.db.prepare('INSERT INTO done VALUES (?)').run(event.seq);
                    event.ack();
                    if (event.seq === round + 2 && round < 3)
                        throw new RangeError(); // rolled back, cursor and all
                });
            }
        } catch (error) {
            assert.ok(error instanceof RangeError, error);
        }
    }
    assert.deepEqual(con.db.prepare('SELECT seq FROM done').pluck().all(), [1, 2, 3, 4, 5, 6]);
});

test('a loop waits for the next commit, sleeping, and ends when it is told', async (t) => {
    const {con, file} = shop(t);
    const writer = outbox.connect(file);
    let n = 0;
    const timer = setInterval(() => writer.emit('mail', null, n++), 120);
    t.after(() => {
        clearInterval(timer);
        writer.close();
    });
    const stop = new AbortController();
    const lags = [];
    for await (const event of con.events('mailer', {signal: stop.signal})) {
        lags.push(Date.now() - event.time);
        if (event.payload === 11)
            stop.abort();
    }
    assert.equal(lags.length, 12);
    assert.ok(lags.sort((a, b) => a - b)[6] < 250, `woken by the commit, not by the clock: ${lags} ms`);
    const begun = process.cpuUsage();
    clearInterval(timer);
    await collect(con.events('mailer', {timeout: 300}));
    assert.ok(process.cpuUsage(begun).user < 100000);
});

test('a consumer is busy for others until the loop ends', async (t) => {
    const {con, file} = shop(t);
    con.emit('mail', null, 1);
    const other = outbox.connect(file);
    t.after(() => other.close());
    const loop = con.events('mailer', {timeout: 0});
    await loop.next();
    await assert.rejects(() => other.events('mailer').next(), {code: 'BUSY'});
    for (let i = 0; i < 2; i++) // nor for another loop of its own connection, which takes nothing away
        await assert.rejects(() => con.events('mailer').next(), {code: 'BUSY'});
    assert.equal((await collect(con.events('another', {timeout: 0}))).length, 1);
    await assert.rejects(() => other.events('mailer').next(), {code: 'BUSY'});
    await loop.return();
    assert.equal((await collect(con.events('mailer', {timeout: 0}))).length, 1);
    con.emit('mail', null, 2);
    assert.equal((await collect(other.events('mailer', {timeout: 0}))).length, 1);
});

test('a consumer that an operator removes is stale though the body has acknowledged', async (t) => {
    const {con} = shop(t);
    con.emit('mail', null, 1);
    for (const again of [false, true]) { // gone, and made anew
        await assert.rejects(async () => {
            for await (const event of con.events('mailer', {timeout: 0})) {
                event.ack();
                con.db.exec('DELETE FROM consumer_offsets');
                if (again)
                    con.db.exec("INSERT INTO consumer_offsets(consumer) VALUES ('mailer')");
            }
        }, {code: 'STALE'});
        con.db.exec('DELETE FROM consumer_offsets');
    }
});

test('a new consumer can begin at the end', async (t) => {
    const {con} = shop(t);
    con.emit('mail', null, 1);
    assert.deepEqual(await collect(con.events('late', {start: 'now', timeout: 0})), []);
    con.emit('mail', null, 2);
    assert.deepEqual((await collect(con.events('late', {timeout: 0}))).map((e) => e.payload), [2]);
});

test('history is every revision', (t) => {
    const {con} = shop(t);
    con.upsert('orders', {id: 'o-1', total: 1});
    con.upsert('orders', {id: 'o-1', total: 2});
    con.delete('orders', 'o-1');
    const steps = con.history('orders', 'o-1');
    assert.deepEqual(steps.map((s) => [s.revision, s.op]), [[1, 'insert'], [2, 'update'], [3, 'delete']]);
    assert.deepEqual([steps[1].before.total, steps[1].after.total, steps[2].after], [1, 2, null]);
    assert.ok(steps[0].time instanceof Date);
});
