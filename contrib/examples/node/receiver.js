#!/usr/bin/env node
'use strict';
// Receives webhooks: verifies each signature, drops repeats, prints one line per event. Standard library only.
//
//     receiver.js --secret-file FILE --seen FILE [--port N]
//
// Delivery is at least once: after a crash or a lost answer the same event comes again, under the same id. So the ids
// dealt with are kept, here in a file that is synced before the answer; where the work goes to a database, keep them
// there, in the same transaction.
//
// --port 0, the default, lets the kernel choose; the first line printed is "listening on 127.0.0.1:PORT".
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const {parseArgs} = require('node:util');

const TOLERANCE_S = 300;
const BODY_MAX = 4 << 20;

/** One per line, newest first; more than one while a secret is being replaced. */
function readSecrets(file) {
    const lines = fs.readFileSync(file, 'ascii').split('\n').map((line) => line.trim()).filter(Boolean);
    const secrets = lines.map((line) => Buffer.from(line.replace(/^whsec_/, ''), 'base64'));
    if (secrets.length === 0 || secrets.some((secret) => secret.length < 24 || secret.length > 64))
        throw new Error(`${file}: a secret is 24 to 64 bytes in base64`);
    return secrets;
}

/** Whether the body is the sender's, and not an old one played again. Compared in constant time. */
function verified(secrets, headers, body, nowMs) {
    const id = headers['webhook-id'], timestamp = headers['webhook-timestamp'];
    if (!id || !/^\d+$/.test(timestamp ?? '') || Math.abs(nowMs / 1000 - Number(timestamp)) > TOLERANCE_S)
        return false;
    const given = (headers['webhook-signature'] ?? '').split(' ').map((signature) => Buffer.from(signature));
    const good = secrets.map((secret) => {
        const hmac = crypto.createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body);
        return Buffer.from(`v1,${hmac.digest('base64')}`);
    });
    // Every pair is compared, whichever of them fits.
    return good.map((a) => given.filter((b) => a.length === b.length && crypto.timingSafeEqual(a, b)).length)
        .some((fits) => fits > 0);
}

/** [id, text] of each event: a batch has each one's own id in its body. */
function eventsOf(headers, body) {
    if (/^application\/cloudevents-batch\+json\b/.test(headers['content-type'] ?? ''))
        return JSON.parse(body).map((event) => [String(event.id), JSON.stringify(event)]);
    return [[headers['webhook-id'], body.toString()]];
}

/** The ids dealt with. A line torn by a crash was not answered for: it is completed, and its event comes again. */
class Seen {
    constructor(file) {
        const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
        const lines = text.split('\n');
        const torn = lines.pop();
        this.ids = new Set(lines);
        this.file = fs.openSync(file, 'a');
        if (torn)
            fs.writeSync(this.file, '\n');
    }

    /** Durable when it returns: only then may the sender be told that we have them. */
    keep(ids) {
        if (ids.length === 0)
            return;
        fs.writeSync(this.file, ids.map((id) => `${id}\n`).join(''));
        fs.fdatasyncSync(this.file);
        ids.forEach((id) => this.ids.add(id));
    }
}

/** null: too much. It is read on all the same, and dropped: a connection closed over it is reset, and the answer lost. */
async function readBody(request) {
    const chunks = [];
    let size = 0;
    for await (const chunk of request) {
        size += chunk.length;
        if (size > 16 * BODY_MAX)
            break;
        if (size <= BODY_MAX)
            chunks.push(chunk);
    }
    return size > BODY_MAX ? null : Buffer.concat(chunks);
}

async function handle(request, secrets, seen) {
    if (request.method !== 'POST')
        return [405, 'POST only\n'];
    const body = await readBody(request);
    if (body === null)
        return [413, 'at most 4 MiB\n'];
    if (!verified(secrets, request.headers, body, Date.now()))
        return [401, 'the signature does not verify\n'];
    let events;
    try {
        events = eventsOf(request.headers, body);
    } catch (error) {
        return [400, `not an event: ${error.message}\n`];
    }
    const fresh = events.filter(([id]) => !seen.ids.has(id));
    for (const [id, text] of fresh)
        process.stdout.write(`${id} ${text.replace(/[\r\n]/g, ' ')}\n`); // here a real receiver does its work
    seen.keep(fresh.map(([id]) => id));
    return [200, ''];
}

function main() {
    const {values} = parseArgs({options: {
        'secret-file': {type: 'string'}, seen: {type: 'string'}, port: {type: 'string', default: '0'}}});
    if (!values['secret-file'] || !values.seen) {
        console.error('usage: receiver.js --secret-file FILE --seen FILE [--port N]');
        process.exit(2);
    }
    const secrets = readSecrets(values['secret-file']), seen = new Seen(values.seen);
    const server = http.createServer(async (request, response) => {
        let status, words;
        try {
            [status, words] = await handle(request, secrets, seen);
        } catch (error) {
            [status, words] = [503, `try again: ${error.message}\n`];
        }
        if (status === 413)
            response.setHeader('connection', 'close');
        response.writeHead(status, {'content-length': Buffer.byteLength(words)}).end(words);
    });
    server.listen(Number(values.port), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
    process.on('SIGTERM', () => process.exit(0));
}

main();
