/* standby.h — waits for a consumer's lock while another relay holds it, and takes over at once when it is free. */
#ifndef RELAY_STANDBY_H
#define RELAY_STANDBY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "lock.h"
#include "wake.h"

enum standby_result {
    STANDBY_HELD,  /* the lock is ours until lock_release() */
    STANDBY_TAKEN, /* another holds it, and patient was false */
    STANDBY_STOPPED,
    STANDBY_LATER, /* the lock file could not be had now */
    STANDBY_BROKEN /* nor will it be: no permission, not a file of ours */
};

/* Says who holds the lock, once. wake is poked to make it look at *stop. reason is filled but for HELD and STOPPED. */
enum standby_result standby_wait(struct lock *lock, const char *path, const char *consumer, bool patient,
                                 struct wake *wake, const atomic_bool *stop, char *reason, size_t reason_size);

#endif
