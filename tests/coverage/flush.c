/* flush.c — linked into everything by `make cov`: what a process has counted is written down where it ends by _exit() too,
 * as forked children do.
 */
#include <unistd.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the compiler's name, and the linker's. */
void __gcov_dump(void);
void __real__exit(int code) __attribute__((noreturn));
void __wrap__exit(int code) __attribute__((noreturn));
/* NOLINTEND(bugprone-reserved-identifier) */

void __wrap__exit(int code)
{
    __gcov_dump();
    __real__exit(code);
}
