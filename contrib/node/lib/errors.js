'use strict';
// What can go wrong: one class, its `code` the library's word in capitals, and a class of its own for a conflict.

/** Any failure that the extension reports; its words are the library's. */
class OutboxError extends Error {
    constructor(code, message) {
        super(message);
        this.name = 'OutboxError';
        this.code = code;
    }
}

/** The row is not at the expected revision. Read it, decide, try again; nothing was written. */
class Conflict extends OutboxError {
    constructor(message) {
        super('CONFLICT', message);
        this.name = 'Conflict';
        const found = /found (?:revision )?(\d+)$/.exec(message);
        this.found = found ? Number(found[1]) : 0; // 0: there is no such row
    }
}

/** `outbox: not found: …` as an OutboxError with the code NOT_FOUND; what is not the extension's own, as it is. */
function translated(error) {
    const match = /^outbox: ([a-z/ -]+): ([^]*)$/.exec(error.message);
    if (!match)
        return error;
    if (match[1] === 'conflict')
        return new Conflict(match[2]);
    return new OutboxError(match[1].toUpperCase().replace(/[^A-Z]+/g, '_'), match[2]);
}

module.exports = {OutboxError, Conflict, translated};
