/* jsonl_proof.c — reads a file back from the disk.
 *
 * A sync can say yes for pages that are on no disk. The next one after a failure does: the kernel has given up on the
 * pages and calls them clean. And a device may have said yes itself: a thin one that is full (Linux 6.18's loop device
 * takes a write whose first half found room for a whole one). Reading through the page cache shows neither, for there
 * the pages are still good; so they are dropped first. What can't be dropped (somebody has it mapped) is read as it is
 * in memory: then this proves no more than the sync did.
 */
#include "sinks/jsonl_proof.h"

#include <fcntl.h>

#include "event_line.h"
#include "sinks/line_reader.h"

enum { FOLIO_BYTES = 2 * 1024 * 1024 }; /* pages are dropped in pieces of at most this size, aligned to it */

bool jsonl_proof_read(int fd, int64_t from, int64_t to, int64_t prev_seq, struct jsonl_proof *proof)
{
    struct line_reader reader;
    struct event_place line;
    const char *text;
    size_t size;
    enum line_found found = LINE_END;

    *proof = (struct jsonl_proof){from, prev_seq};
    posix_fadvise(fd, from - from % FOLIO_BYTES, 0, POSIX_FADV_DONTNEED);
    line_reader_init(&reader, fd, from);
    while (proof->end < to && (found = line_reader_next(&reader, &text, &size)) == LINE_WHOLE) {
        if (reader.offset > to || !line_reader_place(&reader, &line, text, size) ||
            (proof->end > 0 && line.prev != proof->seq))
            break;
        *proof = (struct jsonl_proof){reader.offset, line.seq};
    }
    line_reader_fini(&reader);
    return found != LINE_ERROR;
}
