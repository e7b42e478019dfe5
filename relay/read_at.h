/* read_at.h — pread() that stops for nothing but the end of the file and errors. */
#ifndef RELAY_READ_AT_H
#define RELAY_READ_AT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* size bytes, or fewer where the file ends before: how many. -1 with errno. A signal, or a file system that hands out less
 * than was asked for, is no reason to return. */
ssize_t read_at(int fd, void *to, size_t size, int64_t offset);

#endif
