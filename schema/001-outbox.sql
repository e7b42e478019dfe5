-- 001-outbox: what happened, what is owed, how far each consumer is.
--
-- Applied in one transaction by outbox_migrate(); an application that owns its migrations runs this text itself
-- (`outboxctl schema`). Never edited once released: a change is the next file.
-- Times are microseconds since 1970-01-01 UTC. No CHECK and no NOT NULL that a capture trigger could run into.

-- What happened, for as long as history is kept. AUTOINCREMENT and plain INSERTs only: seq rises by exactly 1 per
-- committed event, so a missing seq proves a loss.
CREATE TABLE change_log(
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    topic        TEXT,
    table_name   TEXT,     -- NULL for emit
    key          TEXT,
    ordering_key TEXT,     -- NULL unless the caller gave one
    op           TEXT,     -- insert, update, delete, emit
    revision     INTEGER,
    before       TEXT,     -- JSON object, NULL for insert and emit
    payload      ANY,      -- JSON text; NULL for delete; emit may store a BLOB
    headers      TEXT,     -- JSON object whose values are strings
    created_at   INTEGER
) STRICT;

-- A re-inserted key goes on from the revision of its last delete.
CREATE INDEX change_log_deletes ON change_log(table_name, key, seq) WHERE op = 'delete';

-- What is still owed to somebody. A row leaves when every consumer of the database has acknowledged it.
CREATE TABLE outbox(
    seq INTEGER PRIMARY KEY
) STRICT;

-- How far each consumer is. reads is NULL for a consumer of the database, else the JSONL file it follows.
-- lease_token rises at every takeover and seek; every acknowledgement names it in its WHERE.
CREATE TABLE IF NOT EXISTS consumer_offsets(
    consumer    TEXT PRIMARY KEY,
    reads       TEXT,
    acked_seq   INTEGER,
    position    TEXT,
    lease_owner TEXT,
    lease_token INTEGER,
    updated_at  INTEGER,
    state       TEXT,      -- NULL, paused or disabled
    kind        TEXT       -- who works for it: jsonl, webhook, exec, stdout, null, or reader (NULL: nobody yet)
) STRICT;

-- Deliveries that stepped aside: retry, waiting (behind the head of its ordering key) or dead.
CREATE TABLE failed_deliveries(
    consumer        TEXT,
    seq             INTEGER,
    key             TEXT,
    state           TEXT,
    attempts        INTEGER,
    next_attempt_at INTEGER,
    last_status     INTEGER,
    last_error      TEXT,
    failed_at       INTEGER,
    PRIMARY KEY (consumer, seq)
) STRICT;

-- What became of each attempt at a failed delivery, the newest 30 of them. They go with their delivery, whoever deletes it.
CREATE TABLE failed_attempts(
    consumer TEXT,
    seq      INTEGER,
    at       INTEGER,  -- when its outcome was known
    attempt  INTEGER,  -- its number, from 1; again from 1 after an operator's retry
    status   INTEGER,  -- NULL: no answer
    error    TEXT,
    request  TEXT,     -- the id that it carried; NULL: the event's own
    answer   BLOB,     -- how the answer's body began, where --keep-answer asked for it
    PRIMARY KEY (consumer, seq, at)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER failed_deliveries_gone AFTER DELETE ON failed_deliveries
BEGIN
    DELETE FROM failed_attempts WHERE consumer = OLD.consumer AND seq = OLD.seq;
END;

-- What an operator did by hand with outboxctl: one row per command, for discarded deliveries one each. Nothing reads
-- them but people, and nothing deletes them.
CREATE TABLE outbox_audit(
    at       INTEGER,
    actor    TEXT,     -- user@host
    action   TEXT,     -- seek, pause, resume, remove, retry, discard, replay, new-source
    consumer TEXT,
    seq      INTEGER,  -- the event, or the first of several
    key      TEXT,     -- of a discarded delivery
    detail   TEXT
) STRICT;

-- Rows that an INSERT or UPDATE of a captured table is about to displace, if it is a REPLACE: only a trigger before it
-- still sees them, only one after it knows. What is left here was not displaced, and goes with the table's next write.
CREATE TABLE outbox_displaced(
    table_name   TEXT,
    key          TEXT,
    ordering_key TEXT,
    revision     INTEGER,  -- that of the delete
    before       TEXT
) STRICT;

CREATE TABLE outbox_meta(
    name  TEXT PRIMARY KEY,
    value ANY
) STRICT;

INSERT INTO outbox_meta(name, value) VALUES
    ('schema_version', 1),
    ('min_version', 1),
    ('source', lower(hex(randomblob(8)))),
    ('former_sources', NULL),
    ('history', 7 * 86400 * 1000000),
    ('retain', 0),
    ('max_payload', 1048576);

-- Every first delivery reads this view. CROSS JOIN keeps outbox outside: one walk in seq order.
CREATE VIEW outbox_events(seq, topic, table_name, key, op, revision, before, payload, headers, ordering_key, created_at)
AS SELECT o.seq, c.topic, c.table_name, c.key, c.op, c.revision, c.before, c.payload, c.headers, c.ordering_key, c.created_at
   FROM outbox AS o CROSS JOIN change_log AS c ON c.seq = o.seq;

-- One plain statement emits a message, in any language, with no library.
CREATE TRIGGER outbox_events_emit INSTEAD OF INSERT ON outbox_events
BEGIN
    SELECT RAISE(ABORT, 'outbox: outbox_events: topic is missing')
     WHERE NEW.topic IS NULL OR NEW.topic = '';
    SELECT RAISE(ABORT, 'outbox: outbox_events: payload is larger than max-payload')
     WHERE length(CAST(NEW.payload AS BLOB)) > (SELECT value FROM outbox_meta WHERE name = 'max_payload');
    INSERT INTO change_log(topic, key, ordering_key, op, payload, headers, created_at)
    VALUES (NEW.topic, NEW.key, NEW.ordering_key, 'emit', NEW.payload, NEW.headers,
            CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000);
    INSERT INTO outbox(seq) VALUES (last_insert_rowid());
END;
