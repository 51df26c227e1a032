/*
 * compaction.h - which entries of a compacted topic may go: the rules that the drivers `memory` and `embedded` share, the
 * same as Kafka's cleaner follows. Pure, any thread.
 *
 * A pass over one partition looks only at its *reach*: the entries older than the lag and below what must be kept. What
 * lies above does not count, not even as a newer entry for a key: the newest entry may be void (a zombie wrote it), and the
 * value under it has to stay until the master's repair. Inside the reach the last entry of each key stays, and a last one
 * that is a tombstone goes once readers had the retention time to see it.
 *
 * A tombstone may go only when every older entry of its key is gone for certain: drivers clean oldest first, and make each
 * step durable before the next.
 */
#ifndef AFF_CHANGELOG_COMPACTION_H
#define AFF_CHANGELOG_COMPACTION_H

#include <stdbool.h>
#include <stdint.h>

struct aff_compaction {
    int64_t below;       /* entries at this offset and above are out of reach */
    int64_t young_ms;    /* so are entries with this log time and above */
    int64_t retained_ms; /* tombstones with this log time and above stay */
    int64_t last;        /* the partition's last entry stays, so that the end can be read from the entries */
};

/* `keep_from` as told by the partition's owner, `end` one above the partition's last entry. */
struct aff_compaction aff_compaction_of(int64_t lag_ms, int64_t tombstone_retention_ms, int64_t keep_from, int64_t end,
                                        int64_t now_ms);

static inline bool aff_compaction_reaches(const struct aff_compaction *c, int64_t offset, int64_t time_ms)
{
    return offset < c->below && time_ms < c->young_ms;
}

/* Does an entry within the reach go? `latest` is the highest offset of its key within the reach. */
static inline bool aff_compaction_drops(const struct aff_compaction *c, int64_t offset, int64_t time_ms, bool tombstone,
                                        int64_t latest)
{
    return offset != c->last && (latest > offset || (tombstone && time_ms < c->retained_ms));
}

#endif
