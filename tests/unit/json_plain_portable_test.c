/* json_plain_portable_test.c — the same where the processor has no registers for sixteen bytes. */
#undef __SSE2__
#include "json_plain_test.c"
