'use strict';
// Rows, keys and payloads to JSON and back, as the library reads and writes them.

function blob(bytes) {
    return {$base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')};
}

function value(v) {
    if (v instanceof Uint8Array)
        return JSON.stringify(blob(v));
    if (typeof v === 'bigint')
        return v.toString();
    if (typeof v === 'number' && !Number.isFinite(v)) {
        if (Number.isNaN(v))
            throw new TypeError('NaN cannot be stored');
        return v > 0 ? '9e999' : '-9e999';
    }
    return JSON.stringify(v);
}

/** A row: a Buffer is a BLOB, a bigint an integer, an object or array its JSON text; undefined is left out. */
function dumpRow(row) {
    const members = Object.entries(row).filter(([, v]) => v !== undefined);
    return `{${members.map(([name, v]) => `${JSON.stringify(name)}:${value(v)}`).join(',')}}`;
}

/** A composite key is an array, in the primary key's order. */
function dumpKey(key) {
    return Array.isArray(key) ? `[${key.map(value).join(',')}]` : key;
}

/** A Buffer goes as bytes, undefined and null as no payload, anything else as JSON. */
function dumpPayload(payload) {
    if (payload === undefined || payload === null)
        return null;
    return payload instanceof Uint8Array ? Buffer.from(payload) : JSON.stringify(payload);
}

function revive(name, v) {
    const digits = v !== null && typeof v === 'object' && Object.keys(v).length === 1 ? v.$base64 : undefined;
    return typeof digits === 'string' ? Buffer.from(digits, 'base64') : v;
}

const loadRow = (text) => JSON.parse(text, revive);

module.exports = {dumpRow, dumpKey, dumpPayload, loadRow};
