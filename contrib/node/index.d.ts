/** A transactional outbox for SQLite: a row and its event in one transaction. */

/** What better-sqlite3's Database is to this package; yours, for your own statements. */
export interface Database {
    readonly name: string;
    readonly open: boolean;
    prepare(sql: string): any;
    exec(sql: string): any;
    close(): any;
}

/** A column's value: a Buffer is a BLOB, an object or array is stored as its JSON text, undefined is left out. */
export type Value = string | number | bigint | boolean | null | undefined | Uint8Array | object;
export type Row = Record<string, Value>;
/** A row as it is read. Integers beyond 2^53 lose digits here; `payloadText` has them. */
export type StoredRow = Record<string, any>;
/** A composite key is an array, in the primary key's order. */
export type Key = string | number | bigint | Uint8Array | Value[];

export interface ConnectOptions {
    /** Milliseconds to wait for another writer; 5000. */
    timeout?: number;
    /** false: neither create the file nor touch its schema. */
    create?: boolean;
    /** The path of mod_outbox.so, else extensionPath(). */
    extension?: string;
}

export interface CaptureOptions {
    /** Left out: the table's name. */
    topic?: string;
    /** A column, whose value orders events across tables. */
    orderingKey?: string;
    /** Columns left out of every event. */
    exclude?: string[];
    /** What is an event; all three where it is left out. */
    ops?: ('insert' | 'update' | 'delete')[];
    /** An update is an event only if one of these columns changes. */
    onlyIfChanged?: string[];
}

export interface EventsOptions {
    /** Where a new consumer begins: at the oldest event owed, or behind the last. */
    start?: 'start' | 'now';
    /** Events read at once; 100. */
    batch?: number;
    /** Ends the loop when nothing came for so many milliseconds; left out: never. */
    timeout?: number;
    /** Ends the loop; what is in work is finished. */
    signal?: AbortSignal;
}

/** Opens the database: WAL, synchronous FULL, foreign keys on, the extension loaded, our tables there. */
export function connect(file: string, options?: ConnectOptions): Outbox;

/** Where mod_outbox.so is: $OUTBOX_EXTENSION, else where `make install` and distributions put it. */
export function extensionPath(): string;

export class Outbox {
    constructor(db: Database);

    /** The better-sqlite3 connection, for your own statements. */
    readonly db: Database;

    /** Inserts or updates a row and owes the event; gives the row's new revision. A column left out keeps its value, or
     *  takes its default. revision: what the row must be at (0: it must not exist), else Conflict. */
    upsert(table: string, row: Row, options?: {revision?: number | null}): number;

    /** Deletes a row and owes the event, whose seq it gives. NOT_FOUND where there is no such row. */
    delete(table: string, key: Key, options?: {revision?: number | null}): number;

    /** Owes a message that belongs to no row: a Buffer as bytes, null, or anything that JSON takes. Gives its seq. */
    emit(topic: string, key: string | number | null, payload: unknown, options?: {headers?: Record<string, string> | null}): number;

    /** Puts triggers on the table, so that plain SQL makes events too, in this program and in any other. No options: as
     *  it was captured before, else everything. Again after an ALTER TABLE. Gives words where triggers of the table's own
     *  may write it again. */
    capture(table: string, options?: CaptureOptions): string | null;

    /** Takes the triggers away again. */
    release(table: string): void;

    /** The row with every column, its revision too; null where there is none. */
    get(table: string, key: Key): StoredRow | null;

    /** Every change of the row that the log still has, oldest first. It reads all of the log. */
    history(table: string, key: Key): Revision[];

    /** BEGIN IMMEDIATE … COMMIT around work, or ROLLBACK when it throws. work is not asynchronous. */
    transaction<T>(work: (outbox: Outbox) => T): T;

    /** What is owed to consumer, for ever. An event is acknowledged when the loop asks for the next one: a body that
     *  throws, or leaves the loop, leaves its event owed. The consumer is held until the loop ends; meanwhile it is
     *  BUSY for any other loop. */
    events(consumer: string, options?: EventsOptions): AsyncGenerator<Event, void, void>;

    close(): void;
}

export class Event {
    readonly seq: number;
    /** The same at every delivery. */
    readonly id: string;
    readonly topic: string;
    /** null for a message (op `emit`). */
    readonly table: string | null;
    readonly key: string | null;
    readonly op: 'insert' | 'update' | 'delete' | 'emit';
    readonly revision: number | null;
    readonly orderingKey: string | null;
    /** Microseconds since 1970. */
    readonly createdAt: number;
    /** As stored. */
    readonly payloadText: string | Buffer | null;
    readonly beforeText: string | null;
    readonly headersText: string | null;
    /** The row after the change, null for a delete; of a message what was sent. */
    readonly payload: any;
    /** The row before the change; null for an insert and for a message. */
    readonly before: StoredRow | null;
    readonly headers: Record<string, string>;
    readonly time: Date;

    /** Acknowledges this event and all before it. Inside a transaction it joins: work that is kept in the same database
     *  is then done exactly once. */
    ack(): void;
}

export interface Revision {
    seq: number;
    revision: number;
    op: 'insert' | 'update' | 'delete';
    time: Date;
    before: StoredRow | null;
    after: StoredRow | null;
}

/** Any failure that the extension reports: code is INVALID, NOT_FOUND, CONSTRAINT, TOO_BIG, BUSY, STALE, GAP, ABORTED … */
export class OutboxError extends Error {
    readonly code: string;
}

/** The row is not at the expected revision. Read it, decide, try again; nothing was written. */
export class Conflict extends OutboxError {
    /** The row's revision; 0 where there is no row. */
    readonly found: number;
}
