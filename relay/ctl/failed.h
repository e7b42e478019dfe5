/* failed.h — the commands of `failed`, one function each. Nobody but failed.c calls them. */
#ifndef OUTBOXCTL_FAILED_H
#define OUTBOXCTL_FAILED_H

#include "failed_select.h"
#include "operation.h"

int failed_list(struct ctl *, const struct selection *); /* failed_list.c */
int failed_show(struct ctl *, const struct selection *); /* failed_show.c */

int failed_retry(struct ctl *, const struct consent *, const struct selection *,
                 bool out_of_order); /* failed_retry.c */

/* reason: for the record; NULL: none. */
int failed_discard(struct ctl *, const struct consent *, const struct selection *,
                   const char *reason); /* failed_discard.c */

#endif
