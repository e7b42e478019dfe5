/* jsonl.h — the JSONL sink with file calls of the caller's own, for tests that make the disk fail. */
#ifndef RELAY_SINKS_JSONL_H
#define RELAY_SINKS_JSONL_H

#include "sink.h"
#include "sinks/file_ops.h"

/* As sink_jsonl.create; ops is borrowed until close. */
struct sink *jsonl_create(const struct sink_context *, const struct file_ops *ops);

#endif
