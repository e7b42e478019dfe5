'use strict';
// A transactional outbox for SQLite, over better-sqlite3 and the SQLite extension mod_outbox, which does the work.
// index.d.ts says what each call takes and gives.
const fs = require('node:fs');
const {OutboxError, Conflict, translated} = require('./lib/errors');
const {dumpRow, dumpKey, dumpPayload, loadRow} = require('./lib/json');
const {Wake} = require('./lib/wake');

const READ =
    'SELECT seq, id, topic, table_name AS "table", key, op, revision, payload AS payloadText, before AS beforeText,' +
    ' headers AS headersText, ordering_key AS orderingKey, created_at AS createdAt FROM outbox_read(?, ?)';
const HISTORY = 'SELECT seq, revision, op, time, before, after FROM outbox_history(?, ?)';
// 0 where an operator has removed it: acknowledging says so then.
const ACKED = 'SELECT coalesce(max(acked_seq), 0) FROM consumer_offsets WHERE consumer = ?';

function extensionPath() {
    if (process.env.OUTBOX_EXTENSION)
        return process.env.OUTBOX_EXTENSION;
    const multiarch = {x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu'}[process.arch] ?? '.';
    for (const place of ['/usr/local/lib', `/usr/lib/${multiarch}`, '/usr/lib'])
        if (fs.existsSync(`${place}/mod_outbox.so`))
            return `${place}/mod_outbox.so`;
    throw new OutboxError('NOT_INSTALLED', 'mod_outbox.so is not installed; run `make install`, or say where it is in $OUTBOX_EXTENSION');
}

class Event {
    #ack;

    constructor(row, ack) {
        Object.assign(this, row);
        this.#ack = ack;
    }

    get payload() {
        if (this.payloadText === null || Buffer.isBuffer(this.payloadText))
            return this.payloadText;
        return this.table === null ? JSON.parse(this.payloadText) : loadRow(this.payloadText);
    }

    get before() {
        return this.beforeText === null ? null : loadRow(this.beforeText);
    }

    get headers() {
        return this.headersText === null ? {} : JSON.parse(this.headersText);
    }

    get time() {
        return new Date(this.createdAt / 1000);
    }

    ack() {
        this.#ack(this.seq);
    }
}

class Outbox {
    #statements = new Map();
    #loops = new Set(); // the consumers that a loop of events() reads for

    constructor(db) {
        this.db = db;
    }

    #run(method, sql, ...values) {
        try {
            let statement = this.#statements.get(sql);
            if (!statement) {
                statement = this.db.prepare(sql).safeIntegers(false);
                this.#statements.set(sql, statement);
            }
            return statement[method](...values);
        } catch (error) {
            throw translated(error);
        }
    }

    #one(sql, ...values) {
        return Object.values(this.#run('get', sql, ...values))[0];
    }

    upsert(table, row, {revision = null} = {}) {
        return this.#one('SELECT outbox_upsert(?, ?, ?)', table, dumpRow(row), revision);
    }

    delete(table, key, {revision = null} = {}) {
        return this.#one('SELECT outbox_delete(?, ?, ?)', table, dumpKey(key), revision);
    }

    emit(topic, key, payload, {headers = null} = {}) {
        return this.#one('SELECT outbox_emit(?, ?, ?, ?)', topic, key ?? null, dumpPayload(payload), dumpPayload(headers));
    }

    get(table, key) {
        const text = this.#one('SELECT outbox_get(?, ?)', table, dumpKey(key));
        return text === null ? null : loadRow(text);
    }

    capture(table, {topic, orderingKey, exclude, ops, onlyIfChanged} = {}) {
        const given = JSON.stringify({topic, ordering_key: orderingKey, exclude, ops, only_if_changed: onlyIfChanged});
        return this.#one('SELECT outbox_capture(?, ?)', table, given === '{}' ? null : given);
    }

    release(table) {
        this.#one('SELECT outbox_release(?)', table);
    }

    history(table, key) {
        return this.#run('all', HISTORY, table, dumpKey(key)).map((step) => ({
            ...step,
            time: new Date(step.time),
            before: step.before === null ? null : loadRow(step.before),
            after: step.after === null ? null : loadRow(step.after),
        }));
    }

    transaction(work) {
        try {
            return this.db.transaction(() => work(this)).immediate();
        } catch (error) {
            throw translated(error);
        }
    }

    async *events(consumer, {start = 'start', batch = 100, timeout, signal} = {}) {
        if (this.#loops.has(consumer)) // the extension knows connections only
            throw new OutboxError('BUSY', `consumer ${consumer} is read by another loop of this connection`);
        this.#one('SELECT outbox_take(?, ?)', consumer, start);
        const wake = new Wake(this.db.name);
        this.#loops.add(consumer);
        const stop = () => wake.close();
        signal?.addEventListener('abort', stop);
        try {
            yield* this.#events(consumer, batch, timeout, signal, wake);
        } finally {
            signal?.removeEventListener('abort', stop);
            wake.close();
            this.#loops.delete(consumer);
            if (this.db.open)
                this.#one('SELECT outbox_leave(?)', consumer);
        }
    }

    async *#events(consumer, batch, timeout, signal, wake) {
        let asked = -1; // the last one that the body acknowledged itself; a rollback may have taken that back
        const ack = (seq) => {
            this.#one('SELECT outbox_ack(?, ?)', consumer, seq);
            asked = seq;
        };
        while (!signal?.aborted) {
            const rows = this.#run('all', READ, consumer, batch);
            if (rows.length === 0 && !await wake.until(() => this.#one('SELECT outbox_wait(?, 0)', consumer), timeout))
                return;
            for (const row of rows) {
                yield new Event(row, ack);
                if (asked < row.seq || this.#one(ACKED, consumer) < row.seq)
                    ack(row.seq);
                if (signal?.aborted)
                    return;
            }
        }
    }

    close() {
        this.#statements.clear();
        this.db.close();
    }
}

function connect(file, {timeout = 5000, create = true, extension} = {}) {
    const library = extension ?? extensionPath();
    const Database = require('better-sqlite3');
    const db = new Database(file, {timeout, fileMustExist: !create});
    try {
        db.loadExtension(library);
        db.pragma('synchronous = FULL'); // better-sqlite3's NORMAL can lose the last commits to a power cut
        db.pragma('foreign_keys = ON');
        if (create)
            db.prepare('SELECT outbox_init()').get();
    } catch (error) {
        db.close();
        throw translated(error);
    }
    return new Outbox(db);
}

module.exports = {connect, extensionPath, Outbox, Event, OutboxError, Conflict};
