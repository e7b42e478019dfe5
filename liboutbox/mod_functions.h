/* mod_functions.h — the scalar functions; see mod_functions.c for what each takes and gives. */
#ifndef OUTBOX_MOD_FUNCTIONS_H
#define OUTBOX_MOD_FUNCTIONS_H

#include "mod_outbox.h"

int functions_register(struct module *); /* an SQLite code */

#endif
