/*
 * compaction.c - the borders of a compaction pass, see compaction.h. Pure, any thread.
 */
#include "changelog/compaction.h"

#include <assert.h>

/* a - b for b >= 0, stopping at the lowest number. */
static int64_t before(int64_t a, int64_t b)
{
    assert(b >= 0);
    return a < INT64_MIN + b ? INT64_MIN : a - b;
}

struct aff_compaction aff_compaction_of(int64_t lag_ms, int64_t tombstone_retention_ms, int64_t keep_from, int64_t end,
                                        int64_t now_ms)
{
    struct aff_compaction c;

    c.below = keep_from;
    c.last = end - 1;
    c.young_ms = before(now_ms, lag_ms);
    c.retained_ms = before(c.young_ms, tombstone_retention_ms);
    return c;
}
