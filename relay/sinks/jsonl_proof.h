/* jsonl_proof.h — what of a file's lines the disk gives back, whatever it has said of them. */
#ifndef RELAY_SINKS_JSONL_PROOF_H
#define RELAY_SINKS_JSONL_PROOF_H

#include <stdbool.h>
#include <stdint.h>

struct jsonl_proof {
    int64_t end; /* behind the last good line */
    int64_t seq; /* that line's */
};

/* Reads the lines in [from, to) past the page cache, as far as they are whole and follow each other; the first one must
 * follow prev_seq, unless from is 0. Without a good line *proof is (from, prev_seq). False: a read failed; errno. */
bool jsonl_proof_read(int fd, int64_t from, int64_t to, int64_t prev_seq, struct jsonl_proof *proof);

#endif
