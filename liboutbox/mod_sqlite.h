/* mod_sqlite.h — SQLite as a loadable extension sees it: every call through the table that the host hands over.
 *
 * Every source of mod_outbox.so is compiled with this header first (`-include`, Makefile); the library's own files so
 * become part of the extension as they stand. The table is one per process: mod_outbox.c refuses a second SQLite.
 */
#ifndef OUTBOX_MOD_SQLITE_H
#define OUTBOX_MOD_SQLITE_H

#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

#endif
