/* disk.h — the disk under the stream: real files in a directory, calls that fail, and what a power cut takes.
 *
 * What was written but not synced may come back as nothing, as zeros, or without its first page; a name that was given,
 * or a file that was made, is lost with all that was done in the directory after it, unless that was synced since.
 */
#ifndef SIMULATION_DISK_H
#define SIMULATION_DISK_H

#include <stdbool.h>

#include "sinks/file_ops.h"

extern const struct file_ops disk_ops;

void disk_begin(const char *directory); /* empties it, and forgets */
void disk_trouble(int in_a_thousand);   /* how often a call fails; 0: never */
void disk_kill_in(int calls);           /* the process dies within that many calls; 0: it does not */
bool disk_has_killed(void);
void disk_revive(void); /* a new process */
void disk_cut_power(void);

#endif
