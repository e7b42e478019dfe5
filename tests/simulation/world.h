/* world.h — what a schedule is made of: chance, time, and the first thing that went wrong.
 *
 * Everything that happens is drawn from one generator, seeded with the schedule's number, and time stands still unless
 * world_pass() moves it: the same seed is the same run, to the last system call. clock_gettime() and getrandom() of the
 * code under test are these (linked with --wrap).
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <stdbool.h>
#include <stdint.h>

enum { EVENTS_MAX = 400, KEYS = 6 };

void world_begin(uint64_t seed);

uint32_t world_below(uint32_t n); /* 0 … n - 1 */
bool world_chance(int in_a_thousand);

int64_t world_now_us(void); /* monotonic */
void world_pass(int64_t us);
void world_step_clock(int64_t us); /* the wall clock alone jumps */

/* A promise is broken. The first words count. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *world_failure(void); /* NULL: none */

#endif
