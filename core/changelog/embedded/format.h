/*
 * embedded/format.h - the bytes of the embedded log: segment header, batches, entries. The layout is the table "Embedded
 * log format" of doc/protocol.md. Pure, any thread.
 *
 * A segment file is a header and batches. A batch is written in one piece and stands or falls as a whole by its checksum;
 * it names the segment and the place where it stands, so bytes that were left over or moved are never taken for one. Its
 * durable point says how far this file was known to be on disk when the batch was written: damage below the durable point
 * of a later batch is damage of something that had been acknowledged. The last batch of a sealed segment is an empty one
 * with the flag END.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_FORMAT_H
#define AFF_CHANGELOG_EMBEDDED_FORMAT_H

#include "base/buf.h"
#include "changelog/changelog.h"

enum {
    AFF_SEGMENT_HEAD = 32,
    AFF_BATCH_HEAD = 48,
    AFF_ENTRY_HEAD = 48,
    AFF_BATCH_ALIGN = 8,     /* batches begin at and are padded to multiples */
    AFF_BATCH_MAX = 8 << 20, /* a longer one is not ours */
};

#define AFF_BATCH_END 1u /* flag: the segment is sealed */

/* ---- segment header ---- */

/* Compaction may merge adjacent segments; the file then covers the numbers first to last and has the name of the first. */
struct aff_segment_head {
    uint64_t first, last;
};
void aff_segment_head_put(unsigned char to[AFF_SEGMENT_HEAD], struct aff_segment_head head);
bool aff_segment_head_get(aff_bytes from, struct aff_segment_head *ret_head);

/* ---- batches ---- */

struct aff_batch_head {
    uint32_t length; /* of the whole batch, padding included */
    uint32_t crc;
    uint64_t segment;  /* number of the file (`first`) */
    uint64_t position; /* of the batch in the file */
    uint64_t durable;  /* the file was on disk up to here when this was written */
    uint32_t count;    /* entries */
    uint8_t flags;
};

/* Writes everything but the checksum, which stays zero; returns the checksum over what was written so far. */
uint32_t aff_batch_head_put(unsigned char to[AFF_BATCH_HEAD], const struct aff_batch_head *head);
uint32_t aff_batch_crc(uint32_t before, const void *data, size_t len); /* over what follows, piece by piece */
void aff_batch_crc_put(unsigned char to[AFF_BATCH_HEAD], uint32_t crc);

/* Reads a header; false when it cannot be one of ours at this place. Says nothing about the checksum. */
bool aff_batch_head_get(aff_bytes from, uint64_t segment, uint64_t position, struct aff_batch_head *ret_head);
/* Is the checksum of the whole batch right? `from` is at least head->length bytes. */
bool aff_batch_crc_right(aff_bytes from, const struct aff_batch_head *head);

static inline uint32_t aff_batch_padding(size_t len)
{
    return (uint32_t)(-len & (AFF_BATCH_ALIGN - 1));
}

/* ---- entries ---- */

struct aff_placed {
    uint32_t topic, partition;
    struct aff_entry entry; /* views into the batch */
};

/* Bytes that an entry takes in a batch. */
static inline size_t aff_entry_stored(const struct aff_entry *entry)
{
    return AFF_ENTRY_HEAD + aff_entry_size(entry);
}
/* Appends an entry; its offset and time are what `placed` says, or are put in later by aff_entry_place(). */
bool aff_entry_put(struct aff_buf *buf, const struct aff_placed *placed) AFF_MUST_USE;
void aff_entry_place(unsigned char *at, int64_t offset, int64_t time_ms);

/* The entries of a batch whose checksum is right: a cursor behind its header. */
struct aff_cursor aff_batch_entries(aff_bytes from, const struct aff_batch_head *head);
/* False, with cursor->failed, when the bytes are not an entry. */
bool aff_entry_get(struct aff_cursor *cursor, struct aff_placed *ret_placed);
/* Passes over the next entry when it is of another partition. False: it is of this one, or no entry. */
bool aff_entry_skip_other(struct aff_cursor *cursor, uint32_t topic, uint32_t partition);
/* After the last entry nothing is left but padding. */
bool aff_batch_ends(struct aff_cursor *cursor);

#endif
