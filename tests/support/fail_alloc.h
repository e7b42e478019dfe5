/* fail_alloc.h — the k-th allocation fails, ours or SQLite's, and what is not freed is counted; or the k-th step of SQLite
 * is interrupted, or the k-th thing that a statement wants to do is not allowed.
 *
 * For programs linked with FAIL_ALLOC (Makefile): what liboutbox calls of libc's allocating functions comes here. SQLite
 * gets its memory through SQLITE_CONFIG_MALLOC, without the lookaside that would hide most of its requests. Interrupts
 * and refusals reach every connection that is opened, whoever opens it.
 */
#ifndef TESTS_FAIL_ALLOC_H
#define TESTS_FAIL_ALLOC_H

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

enum fault {
    FAULT_MEMORY,
    FAULT_INTERRUPT, /* sqlite3_interrupt() from elsewhere: what runs is ended */
    FAULT_DENIED     /* by an authorizer, as an application may have one */
};

static enum fault alloc_fault;      /* what is refused */
static atomic_long alloc_left = -1; /* requests until one fails; below 0: none does */
static atomic_bool alloc_for_good;  /* and so do all after it */
static atomic_bool alloc_failed;    /* one did */
static atomic_long alloc_ours;      /* blocks of ours not freed yet */
static sqlite3_mem_methods alloc_of_sqlite;

static inline void alloc_arm(long k, bool for_good)
{
    alloc_failed = false;
    alloc_for_good = for_good;
    alloc_left = k;
}

/* Whether a request was refused since alloc_arm(). */
static inline bool alloc_disarm(void)
{
    alloc_left = -1;
    return alloc_failed;
}

static inline bool fault_strikes(enum fault fault)
{
    if (fault != alloc_fault || alloc_left < 0)
        return false;
    if (alloc_left > 1) {
        alloc_left--;
        return false;
    }
    if (!alloc_for_good)
        alloc_left = -1;
    alloc_failed = true;
    return true;
}

static inline bool alloc_refuses(void)
{
    if (!fault_strikes(FAULT_MEMORY))
        return false;
    errno = ENOMEM;
    return true;
}

static inline void *alloc_counted(void *block)
{
    if (block)
        alloc_ours++;
    return block;
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_reallocarray(void *, size_t, size_t);
char *__real_strdup(const char *);
char *__real_strndup(const char *, size_t);
char *__real_realpath(const char *, char *);
char *__real_getcwd(char *, size_t);
DIR *__real_fdopendir(int);
void __real_free(void *);

void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_reallocarray(void *, size_t, size_t);
char *__wrap_strdup(const char *);
char *__wrap_strndup(const char *, size_t);
char *__wrap_realpath(const char *, char *);
char *__wrap_getcwd(char *, size_t);
DIR *__wrap_fdopendir(int);
int __wrap_asprintf(char **, const char *, ...) __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **, int, const char *, ...) __attribute__((format(printf, 3, 4)));
void __wrap_free(void *);

void *__wrap_malloc(size_t size)
{
    return alloc_refuses() ? NULL : alloc_counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_refuses() ? NULL : alloc_counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (alloc_refuses())
        return NULL;
    return old ? __real_realloc(old, size) : alloc_counted(__real_realloc(NULL, size));
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    if (alloc_refuses())
        return NULL;
    return old ? __real_reallocarray(old, count, size) : alloc_counted(__real_reallocarray(NULL, count, size));
}

char *__wrap_strdup(const char *text)
{
    return alloc_refuses() ? NULL : alloc_counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t size)
{
    return alloc_refuses() ? NULL : alloc_counted(__real_strndup(text, size));
}

char *__wrap_realpath(const char *path, char *resolved)
{
    if (resolved)
        return __real_realpath(path, resolved);
    return alloc_refuses() ? NULL : alloc_counted(__real_realpath(path, NULL));
}

char *__wrap_getcwd(char *buffer, size_t size)
{
    if (buffer)
        return __real_getcwd(buffer, size);
    return alloc_refuses() ? NULL : alloc_counted(__real_getcwd(NULL, size));
}

DIR *__wrap_fdopendir(int fd)
{
    return alloc_refuses() ? NULL : __real_fdopendir(fd); /* closedir frees it */
}

static inline int alloc_print(char **text, const char *format, va_list args)
{
    if (alloc_refuses())
        return -1;
    int n = vasprintf(text, format, args);
    if (n >= 0)
        alloc_ours++;
    return n;
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = alloc_print(text, format, args);
    va_end(args);
    return n;
}

/* What asprintf is called with _FORTIFY_SOURCE. */
int __wrap___asprintf_chk(char **text, int flag, const char *format, ...)
{
    va_list args;
    (void)flag;
    va_start(args, format);
    int n = alloc_print(text, format, args);
    va_end(args);
    return n;
}

void __wrap_free(void *block)
{
    if (block)
        alloc_ours--;
    __real_free(block);
}

static void *sqlite_malloc(int size)
{
    return alloc_refuses() ? NULL : alloc_of_sqlite.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return alloc_refuses() ? NULL : alloc_of_sqlite.xRealloc(old, size);
}

/* Before anything else of SQLite's. */
static inline bool alloc_take_sqlite(void)
{
    sqlite3_mem_methods mine;
    if (sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_GETMALLOC, &alloc_of_sqlite) != SQLITE_OK)
        return false;
    mine = alloc_of_sqlite;
    mine.xMalloc = sqlite_malloc;
    mine.xRealloc = sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK;
}

/* ---- Connections ---- */

static inline int fault_on_step(void *db)
{
    if (fault_strikes(FAULT_INTERRUPT))
        sqlite3_interrupt(db);
    return 0;
}

/* Nobody forbids to undo. */
static inline int fault_on_request(void *arg, int action, const char *what, const char *name, const char *database,
                                   const char *by)
{
    (void)arg, (void)name, (void)database, (void)by;
    if ((action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT) && what && !strcmp(what, "ROLLBACK"))
        return SQLITE_OK;
    return fault_strikes(FAULT_DENIED) ? SQLITE_DENY : SQLITE_OK;
}

static inline int fault_watch(sqlite3 *db, char **error, const void *api)
{
    (void)error, (void)api;
    if (alloc_fault == FAULT_INTERRUPT)
        sqlite3_progress_handler(db, 1, fault_on_step, db);
    if (alloc_fault == FAULT_DENIED)
        sqlite3_set_authorizer(db, fault_on_request, NULL);
    return SQLITE_OK;
}

/* Before the connections that it is about, and again after sqlite3_shutdown(). */
static inline void fault_choose(enum fault fault)
{
    alloc_fault = fault;
    if (fault != FAULT_MEMORY)
        sqlite3_auto_extension((void (*)(void))fault_watch);
}

#endif
