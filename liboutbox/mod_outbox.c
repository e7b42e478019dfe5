/* mod_outbox.c — the loadable extension: what SQLite calls when it loads it, and what lives as long as the connection.
 *
 * Loaded by any host, whose SQLite may be another than the system's, and older or newer than the one compiled against.
 * Nothing here is linked to a libsqlite3; sqlite3_api is the host's. See mod_outbox.h for what lives how long.
 */
#include <pthread.h>

#include "mod_outbox.h"
#include "mod_functions.h"

SQLITE_EXTENSION_INIT1 /* sqlite3_api, of which there is one in a process, whatever the number of connections */

    static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static int users; /* connections that use sqlite3_api; under the mutex */

enum { OLDEST_SQLITE = 3040000 };

#define EXPORTED __attribute__((visibility("default")))

/* ---- One SQLite per process ---- */

/* A second SQLite's connections would be worked on by the first one's code. */
static bool use_api(const sqlite3_api_routines *api)
{
    pthread_mutex_lock(&loading);
    bool ours = !sqlite3_api || sqlite3_api == api;
    if (!sqlite3_api)
        sqlite3_api = api;
    users += ours;
    pthread_mutex_unlock(&loading);
    return ours;
}

static void unuse_api(void)
{
    pthread_mutex_lock(&loading);
    if (--users == 0)
        sqlite3_api = NULL; /* who comes next may be another */
    pthread_mutex_unlock(&loading);
}

/* ---- The module's life ---- */

static void free_module(struct module *m)
{
    if (--m->references)
        return;
    module_disconnect(m);
    sqlite3_free(m);
    unuse_api();
}

void module_free(void *module)
{
    free_module(module);
}

void module_disconnect(struct module *m)
{
    held_release_all(m);
    outbox_close(m->ob);
    m->ob = NULL;
    m->connected = false;
}

/* From here on SQLite tells us before it closes the connection. */
static int connect(struct module *m)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(m->db, "SELECT 1 FROM outbox_read", -1, &st, NULL);
    sqlite3_finalize(st);
    if (rc == SQLITE_OK)
        return OUTBOX_OK;
    sqlite3_snprintf(sizeof m->words, m->words, "%s", sqlite3_errmsg(m->db));
    return code_of_sqlite(rc);
}

int module_enter(struct module *m)
{
    int code = OUTBOX_OK;
    m->words[0] = '\0';
    if (m->busy) {
        sqlite3_snprintf(sizeof m->words, m->words, "called while another of these functions is at work");
        return OUTBOX_MISUSE;
    }
    if (!m->connected)
        code = connect(m);
    if (code == OUTBOX_OK && !m->ob) {
        code = outbox_attach(m->db, NULL, &m->ob);
        if (code != OUTBOX_OK)
            sqlite3_snprintf(sizeof m->words, m->words, "%s", outbox_errmsg(NULL));
    }
    if (code == OUTBOX_OK)
        code = handle_enter(m->ob);
    m->busy = code == OUTBOX_OK;
    return code;
}

void module_leave(struct module *m)
{
    m->busy = false;
}

/* ---- Loading ---- */

/* Loaded on this connection before, to the last step: its functions are in use, perhaps by the statement that loads us. */
static bool loaded_already(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT 1 FROM outbox_history", -1, &st, NULL);
    sqlite3_finalize(st);
    return rc == SQLITE_OK;
}

static int register_table(struct module *m, const char *name, const sqlite3_module *table)
{
    m->references++;
    return sqlite3_create_module_v2(m->db, name, table, m, module_free); /* also frees where it fails */
}

/* What was registered before a failure stays so, and SQLite closes the library then: it is linked to stay in memory
 * (-z nodelete), or SQLite would call into nowhere when the connection closes. */
static int load(sqlite3 *db)
{
    struct module *m = sqlite3_malloc(sizeof *m);
    if (!m) {
        unuse_api();
        return SQLITE_NOMEM;
    }
    *m = (struct module){.db = db, .references = 1};
    int rc = functions_register(m);
    if (rc == SQLITE_OK)
        rc = register_table(m, "outbox_read", &read_table);
    if (rc == SQLITE_OK)
        rc = register_table(m, "outbox_history", &history_table);
    free_module(m);
    return rc;
}

EXPORTED int sqlite3_modoutbox_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);
EXPORTED int sqlite3_outbox_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

int sqlite3_modoutbox_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
    if (api->libversion_number() < OLDEST_SQLITE) {
        *message = api->mprintf("mod_outbox needs SQLite 3.40 or later; this is %s", api->libversion());
        return SQLITE_ERROR;
    }
    if (!use_api(api)) {
        *message = api->mprintf("mod_outbox is in use by another copy of SQLite in this process; two copies of it drop "
                                "each other's locks, so one process takes one");
        return SQLITE_MISUSE;
    }
    if (!loaded_already(db))
        return load(db);
    unuse_api();
    return SQLITE_OK;
}

int sqlite3_outbox_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
    return sqlite3_modoutbox_init(db, message, api);
}
