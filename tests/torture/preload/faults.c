/* faults.c — a library to be preloaded (LD_PRELOAD) into a program under test, which then meets what hardly ever happens.
 *
 *     FAULT_ALLOCATION=k[+]  the k-th allocation that the program, its libc, SQLite, curl or libconfuse asks for is
 *                            refused; with a plus, all after it too. (Not those of TLS libraries, which set themselves up with
 *                            thousands.) FAULT_FROM=program: those that the program asks for itself.
 *     FAULT_CALL=k           the k-th read or write of a file whose path begins with FAULT_PATH is interrupted by a
 *                            signal (EINTR), or half done, as FAULT_HOW says: eintr or short; 0: each second one
 *     FAULT_REPORT=FILE      at its end the process appends what it met: "allocations N refused N calls N struck N"
 *
 * Shares no code with the product.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long allocations, refused, calls, struck;
static long refuse_at, strike_at = -1; /* 0: none; below 0: none */
static bool refuse_on, shortened;
static char path_prefix[PATH_MAX], report_path[PATH_MAX];

/* Code whose allocations count. */
enum { RANGES_MAX = 16 };
static struct range {
    uintptr_t from, to;
} ranges[RANGES_MAX];
static int range_count;
static atomic_bool counting;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);

static char store[65536];
static atomic_size_t store_used;

static void *from_store(size_t size)
{
    size_t at = atomic_fetch_add(&store_used, (size + 15) & ~(size_t)15);
    return at + size <= sizeof store ? store + at : NULL;
}

static bool is_of_store(const void *block)
{
    return (const char *)block >= store && (const char *)block < store + sizeof store;
}

/* POSIX promises that a function's address fits what dlsym() returns. */
static void find(const char *name, void *function)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(function, &symbol, sizeof symbol);
}

/* Others' constructors allocate before begin(); what dlsym() itself asks for meanwhile comes out of the store. */
static void find_memory(void)
{
    static bool looking;
    if (looking)
        return;
    looking = true;
    find("free", &real_free);
    find("calloc", &real_calloc);
    find("realloc", &real_realloc);
    find("malloc", &real_malloc);
}

static int note_code(struct dl_phdr_info *module, size_t size, void *arg)
{
    static const char *const counted[] = {"libsqlite3", "libcurl", "libconfuse", "libc.so"};
    const char *whose = getenv("FAULT_FROM");
    bool ours = *(int *)arg == 0, all = !whose || strcmp(whose, "program") != 0; /* the program comes first */
    (void)size;
    ++*(int *)arg;
    for (size_t i = 0; all && i < sizeof counted / sizeof *counted; i++)
        ours = ours || strstr(module->dlpi_name, counted[i]);
    for (int i = 0; ours && i < module->dlpi_phnum && range_count < RANGES_MAX; i++)
        if (module->dlpi_phdr[i].p_type == PT_LOAD && (module->dlpi_phdr[i].p_flags & PF_X)) {
            uintptr_t from = module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
            ranges[range_count++] = (struct range){from, from + module->dlpi_phdr[i].p_memsz};
        }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text;
    int modules = 0;
    if (!real_malloc)
        find_memory();
    find("read", &real_read);
    find("write", &real_write);
    find("pread64", &real_pread);
    find("pwrite64", &real_pwrite);
    find("writev", &real_writev);
    if ((text = getenv("FAULT_PATH")))
        snprintf(path_prefix, sizeof path_prefix, "%s", text);
    if ((text = getenv("FAULT_REPORT")))
        snprintf(report_path, sizeof report_path, "%s", text);
    if ((text = getenv("FAULT_HOW")))
        shortened = strcmp(text, "short") == 0;
    if ((text = getenv("FAULT_CALL")))
        strike_at = atol(text);
    if ((text = getenv("FAULT_ALLOCATION"))) {
        refuse_on = strchr(text, '+') != NULL;
        refuse_at = atol(text);
    }
    unsetenv("LD_PRELOAD"); /* a child of the program's is not meant */
    dl_iterate_phdr(note_code, &modules);
    counting = true;
}

__attribute__((destructor)) static void end(void)
{
    char line[160];
    counting = false;
    strike_at = -1;
    int n = snprintf(line, sizeof line, "allocations %ld refused %ld calls %ld struck %ld\n", (long)allocations,
                     (long)refused, (long)calls, (long)struck);
    int fd = report_path[0] ? open(report_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && real_write(fd, line, (size_t)n) == n)
        close(fd);
}

#pragma GCC visibility push(default)

/* ---- Memory ----------------------------------------------------------------------------------------------------------- */

static bool refuses(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    bool counts = false;
    for (int i = 0; counting && !counts && i < range_count; i++)
        counts = at >= ranges[i].from && at < ranges[i].to;
    if (!counts)
        return false;
    long k = atomic_fetch_add(&allocations, 1) + 1;
    if (refuse_at == 0 || (k != refuse_at && !(refuse_on && k > refuse_at)))
        return false;
    refused++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    if (!real_malloc)
        find_memory();
    if (!real_malloc)
        return from_store(size);
    return refuses(__builtin_return_address(0)) ? NULL : real_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (!real_malloc)
        find_memory();
    if (!real_malloc)
        return from_store(count * size); /* of zeros: nothing is given twice */
    return refuses(__builtin_return_address(0)) ? NULL : real_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    if (is_of_store(block) || !real_malloc) {
        void *fresh = malloc(size);
        size_t most = (size_t)(store + sizeof store - (char *)block);
        if (fresh && block)
            memcpy(fresh, block, size < most ? size : most);
        return fresh;
    }
    return refuses(__builtin_return_address(0)) ? NULL : real_realloc(block, size);
}

void free(void *block)
{
    if (!is_of_store(block) && real_free)
        real_free(block);
}

/* ---- Files ------------------------------------------------------------------------------------------------------------ */

static bool is_ours(int fd)
{
    char link[64], path[PATH_MAX];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (size < 0)
        return false;
    path[size] = 0;
    return strncmp(path, path_prefix, strlen(path_prefix)) == 0;
}

enum fate { FATE_NONE, FATE_INTERRUPTED, FATE_SHORT };

static enum fate fate_of(int fd, size_t size)
{
    if (strike_at < 0 || !is_ours(fd))
        return FATE_NONE;
    long k = atomic_fetch_add(&calls, 1) + 1;
    if (strike_at > 0 ? k != strike_at : k % 2 == 0)
        return FATE_NONE;
    if (shortened && size < 2)
        return FATE_NONE;
    struck++;
    if (shortened)
        return FATE_SHORT;
    errno = EINTR;
    return FATE_INTERRUPTED;
}

ssize_t read(int fd, void *data, size_t size)
{
    enum fate fate = fate_of(fd, size);
    return fate == FATE_INTERRUPTED ? -1 : real_read(fd, data, fate == FATE_SHORT ? size / 2 : size);
}

ssize_t write(int fd, const void *data, size_t size)
{
    enum fate fate = fate_of(fd, size);
    return fate == FATE_INTERRUPTED ? -1 : real_write(fd, data, fate == FATE_SHORT ? size / 2 : size);
}

ssize_t pread64(int fd, void *data, size_t size, off_t at)
{
    enum fate fate = fate_of(fd, size);
    return fate == FATE_INTERRUPTED ? -1 : real_pread(fd, data, fate == FATE_SHORT ? size / 2 : size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    enum fate fate = fate_of(fd, size);
    return fate == FATE_INTERRUPTED ? -1 : real_pwrite(fd, data, fate == FATE_SHORT ? size / 2 : size, at);
}

/* What these are called with _FORTIFY_SOURCE; the names are the C library's. */
// NOLINTBEGIN(bugprone-reserved-identifier)
ssize_t __read_chk(int fd, void *data, size_t size, size_t room);
ssize_t __pread_chk(int fd, void *data, size_t size, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *data, size_t size, off_t at, size_t room);

ssize_t __read_chk(int fd, void *data, size_t size, size_t room)
{
    return size <= room ? read(fd, data, size) : -1;
}

ssize_t __pread64_chk(int fd, void *data, size_t size, off_t at, size_t room)
{
    return size <= room ? pread64(fd, data, size, at) : -1;
}
// NOLINTEND(bugprone-reserved-identifier)

ssize_t __pread_chk(int fd, void *data, size_t size, off_t at, size_t room)
{
    return __pread64_chk(fd, data, size, at, room);
}

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    return pread64(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

/* Half of a vector is the first half of its first part. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    enum fate fate = count > 0 ? fate_of(fd, parts[0].iov_len) : FATE_NONE;
    if (fate == FATE_INTERRUPTED)
        return -1;
    return fate == FATE_SHORT ? real_write(fd, parts[0].iov_base, parts[0].iov_len / 2) : real_writev(fd, parts, count);
}

#pragma GCC visibility pop
