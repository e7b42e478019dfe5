/* schema.h — our tables: are they there, are they ours, are they ours to read; and the migrations.
 *
 * Only outbox_open, outbox_migrate and outboxctl init migrate. Everybody else checks.
 */
#ifndef OUTBOX_SCHEMA_H
#define OUTBOX_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

enum { SCHEMA_VERSION = 1 }; /* the last file of schema/ */

extern const char *const schema_migrations[]; /* schema/NNN-….sql in order, embedded at build time; NULL at the end */
extern const char schema_text[];              /* all of them, one after the other */

struct schema_info {
    int64_t schema_version, min_version;
    char source[17]; /* 16 hex digits */
    int64_t max_payload_bytes;
};

/* Reads outbox_meta of `main`. OUTBOX_OK, OUTBOX_SCHEMA (missing or not ours), OUTBOX_NEWER, or the code of an SQLite
 * error; on failure message holds one line that says what to do. info is filled on OUTBOX_OK. */
int schema_check(sqlite3 *db, struct schema_info *info, char *message, size_t message_size);

/* Whether outbox_meta is there. OUTBOX_OK, or the code of an SQLite error. */
int schema_present(sqlite3 *db, bool *present);

/* By these a consumer_offsets is known to be ours. */
#define CONSUMER_OFFSETS_COLUMNS "consumer,reads,acked_seq,position,lease_owner,lease_token,updated_at,state,kind"

/* The CREATE TABLE of consumer_offsets as the first migration has it, to be freed with sqlite3_free; NULL: out of
 * memory. A reader of files keeps its cursor in it, in a database that may have nothing else of ours. */
char *schema_consumer_offsets_sql(void);

/* Brings db up to migrations[count-1] in one BEGIN IMMEDIATE … COMMIT; a database already there is left alone, and two
 * processes at once are both fine: the second finds it done. Outside a transaction only. */
int schema_migrate(sqlite3 *db, const char *const migrations[], int count, char *message, size_t message_size);

#endif
