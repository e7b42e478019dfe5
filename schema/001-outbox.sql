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
-- failed_at: since when it fails, its receiver's outages left out.
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

-- Rows of a captured table that the triggers' fast road cannot write as JSON: text of more than plain ASCII, BLOBs,
-- values that their column's type does not expect. The trigger leaves the image NULL and the row's values here, each
-- under its label, behind a first row that says whose they are: an event (its seq as value), or what is in
-- outbox_displaced of a table (its name as label). Then it deletes that first row: a trigger of a row that is not there
-- costs nothing, so only odd rows pay for what follows.
CREATE TABLE outbox_odd(
    place INTEGER PRIMARY KEY,
    image TEXT,                -- before or payload of an event, or the key of a row displaced
    label TEXT,                -- {"name": or ,"name":
    value ANY
) STRICT;

-- Any program that opens the file has to be able to run it: no function of ours, and no json_ function, which SQLite
-- 3.40 refuses in a trigger under trusted_schema = OFF.
--
-- Text is taken apart in windows of about 1 KiB (SQLite copies a value each time it is taken apart: in one piece a
-- megabyte would cost its square). A window ends where no sequence can be cut: before a byte that begins one, or that
-- can belong to none. Each is walked as json_write.c does; malformed UTF-8 becomes U+FFFD, one per maximal bad part.
-- The rows of walk come in pairs: how many bytes to take, by the hexadecimal digits of the next ones (Table 3-7 of the
-- Unicode Standard, as in utf8.c; a bad part is negative), then those bytes taken.
CREATE TRIGGER outbox_odd_written AFTER DELETE ON outbox_odd WHEN OLD.place = 1
BEGIN
    UPDATE outbox_odd SET value = label || CASE typeof(value)
        WHEN 'text' THEN '"' || /* text: */
        (WITH RECURSIVE win(p, raw, size) AS (
             SELECT 1, substr(CAST(value AS BLOB), 1, 1023), 0
              UNION ALL
             SELECT p + size, CASE WHEN size THEN substr(CAST(value AS BLOB), p + size, 1023) ELSE raw END,
                    CASE WHEN size THEN 0 ELSE 1020 + (hex(substr(raw, 1021)) GLOB '[89AB]*')
                         + (hex(substr(raw, 1021)) GLOB '[89AB]?[89AB]*')
                         + (hex(substr(raw, 1021)) GLOB '[89AB]?[89AB]?[89AB]?') END
               FROM win WHERE raw <> x''),
         block(b) AS (
             SELECT CAST(replace(replace(CAST(substr(raw, 1, size) AS TEXT), '\', '\\'), '"', '\"') AS BLOB)
               FROM win WHERE size LIMIT -1),
         written(t) AS (
             SELECT (WITH RECURSIVE walk(q, h, k) AS (
                  SELECT 1, hex(substr(b, 1, 12)), 0
                   UNION ALL
                  SELECT q + abs(k), hex(substr(b, q + abs(k), 12)),
                         CASE WHEN k <> 0 THEN 0
                              WHEN h GLOB '[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?*' THEN 11
                              WHEN h GLOB '[2-7]?[2-7]?[2-7]?[2-7]?*' THEN 4
                              WHEN h < '8' THEN 1
                              WHEN h GLOB 'D?[89AB]?D?[89AB]?D?[89AB]*' THEN 6
                              WHEN h GLOB 'E[13-9A-C][89AB]?[89AB]?E[13-9A-C][89AB]?[89AB]*' THEN 6
                              WHEN h GLOB 'C[2-9A-F][89AB]*' OR h GLOB 'D?[89AB]*' THEN 2
                              WHEN h GLOB 'E[1-9A-CEF][89AB]?[89AB]*' OR h GLOB 'E0[AB]?[89AB]*'
                                OR h GLOB 'ED[89]?[89AB]*' THEN 3
                              WHEN h GLOB 'F[1-3][89AB]?[89AB]?[89AB]*' OR h GLOB 'F0[9AB]?[89AB]?[89AB]*'
                                OR h GLOB 'F48?[89AB]?[89AB]*' THEN 4
                              WHEN h GLOB 'F[1-3][89AB]?[89AB]*' OR h GLOB 'F0[9AB]?[89AB]*'
                                OR h GLOB 'F48?[89AB]*' THEN -3
                              WHEN h GLOB 'F[1-3][89AB]*' OR h GLOB 'F0[9AB]*' OR h GLOB 'F48*'
                                OR h GLOB 'E[1-9A-CEF][89AB]*' OR h GLOB 'E0[AB]*' OR h GLOB 'ED[89]*' THEN -2
                              ELSE -1 END
                    FROM walk WHERE h <> '')
              SELECT group_concat(CASE
                         WHEN h GLOB '08*' THEN '\b' WHEN h GLOB '09*' THEN '\t' WHEN h GLOB '0A*' THEN '\n'
                         WHEN h GLOB '0C*' THEN '\f' WHEN h GLOB '0D*' THEN '\r'
                         WHEN h < '2' THEN '\u00' || lower(substr(h, 1, 2))
                         WHEN h GLOB 'C285*' THEN '\u0085'
                         WHEN h GLOB 'E280A8*' THEN '\u2028' WHEN h GLOB 'E280A9*' THEN '\u2029'
                         WHEN k < 0 THEN char(65533)
                         ELSE CAST(substr(b, q, k) AS TEXT) END, '')
                FROM walk WHERE k <> 0) FROM block)
         SELECT coalesce(group_concat(t, ''), '') FROM written) /* :text */
        || '"'
        WHEN 'blob' THEN '{"$base64":"' || /* base64: */
        (WITH RECURSIVE win(p, b) AS (
             SELECT 1, substr(value, 1, 1536)
              UNION ALL
             SELECT p + 1536, substr(value, p + 1536, 1536) FROM win WHERE length(b) = 1536),
         written(t) AS (
             SELECT (WITH RECURSIVE three(q, h) AS (
                  SELECT 1, hex(substr(b, 1, 3))
                   UNION ALL
                  SELECT q + 3, hex(substr(b, q + 3, 3)) FROM three WHERE length(h) = 6),
              bits(size, v) AS (
                  SELECT length(h),
                         (instr('0123456789ABCDEF', substr(h, 1, 1)) - 1 << 20)
                         + (instr('0123456789ABCDEF', substr(h, 2, 1)) - 1 << 16)
                         + (instr('0123456789ABCDEF', substr(h, 3, 1)) - 1 << 12)
                         + (instr('0123456789ABCDEF', substr(h, 4, 1)) - 1 << 8)
                         + (instr('0123456789ABCDEF', substr(h, 5, 1)) - 1 << 4)
                         + (instr('0123456789ABCDEF', substr(h, 6, 1)) - 1 << 0)
                    FROM three WHERE h <> '' LIMIT -1)
              SELECT group_concat(
                         substr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 1 + (v >> 18), 1) ||
                         substr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 1 + (v >> 12 & 63), 1) ||
                         CASE WHEN size < 4 THEN '=' ELSE
                         substr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 1 + (v >> 6 & 63), 1) END ||
                         CASE WHEN size < 6 THEN '=' ELSE
                         substr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 1 + (v & 63), 1) END, '')
                FROM bits) FROM win)
         SELECT coalesce(group_concat(t, ''), '') FROM written) /* :base64 */
        || '"}'
        WHEN 'real' THEN CASE
            WHEN abs(value) < 1e11 AND round(value * 10000.0) / 10000.0 = value THEN printf('%!.15g', value)
            WHEN value = 9e999 THEN '9e999' WHEN value = -9e999 THEN '-9e999' ELSE printf('%!.18g', value) END
        WHEN 'null' THEN 'null'
        ELSE value END;
    UPDATE change_log
       SET before = coalesce(before, (SELECT group_concat(value, '') || '}' FROM outbox_odd WHERE image = 'before')),
           payload = coalesce(payload, (SELECT group_concat(value, '') || '}' FROM outbox_odd WHERE image = 'payload'))
     WHERE seq = OLD.value;
    UPDATE outbox_displaced
       SET before = (SELECT group_concat(value, '') || '}' FROM outbox_odd WHERE image = key)
     WHERE table_name = OLD.label AND before IS NULL;
    DELETE FROM outbox_odd;
END;

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
    SELECT RAISE(ABORT, 'outbox: outbox_events: topic, key, headers or ordering_key is larger than max-payload')
     WHERE max(length(CAST(NEW.topic AS BLOB)), coalesce(length(CAST(NEW.key AS BLOB)), 0),
               coalesce(length(CAST(NEW.headers AS BLOB)), 0), coalesce(length(CAST(NEW.ordering_key AS BLOB)), 0))
           > max((SELECT value FROM outbox_meta WHERE name = 'max_payload'), 65536);
    INSERT INTO change_log(topic, key, ordering_key, op, payload, headers, created_at)
    VALUES (NEW.topic, NEW.key, NEW.ordering_key, 'emit', NEW.payload, NEW.headers,
            CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000);
    INSERT INTO outbox(seq) VALUES (last_insert_rowid());
END;
