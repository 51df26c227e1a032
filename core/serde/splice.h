/*
 * splice.h - a JSON value that is being changed, as pieces of texts: what is not touched is never written anew.
 *
 * The parts of a value are views of texts that are already there: the value as it was, the patch. An object or array is taken
 * apart only when something in it changes, and is put together again from its pieces, spaces included. So numbers keep their
 * digits, names their escapes, members their order and twins.
 *
 * What changes and how is said by merge_patch.h and json_patch.h. All work is counted, and ends at a limit that the caller sets; the
 * first failure stays in `code`, and everything after it does nothing, so that it can be looked at once in the end.
 *
 * Pure but for memory; no recursion; any thread, one at a time.
 */
#ifndef AFF_SERDE_SPLICE_H
#define AFF_SERDE_SPLICE_H

#include "serde/tree.h"

struct aff_splice_limits {
    size_t bytes;   /* of the result, and of every value that is copied or compared on the way */
    size_t work;    /* steps; 0: AFF_SPLICE_WORK */
    unsigned depth; /* of brackets in the result */
};

/* Usually microseconds; what ends here has taken up to some 100 ms, and 100 MiB of memory for a while. */
#define AFF_SPLICE_WORK ((size_t)8 << 20)

/* A value in one of the texts. */
struct aff_splice_value {
    uint32_t source, node;
};

struct aff_splice_source {
    struct aff_json_tree tree; /* `text` is a view of `own`, if that has anything */
    struct aff_buf own;
    bool owned; /* tree and text are to be freed */
};

struct aff_splice_part;

struct aff_splice {
    struct aff_splice_limits limits;
    struct aff_splice_part *parts;
    struct aff_splice_source *sources;
    uint32_t part_count, part_capacity, source_count, source_capacity;
    uint32_t root;    /* AFF_JSON_NONE: there is no value */
    size_t work;      /* that is left */
    int code;         /* 0, AFF_ENOMEM, AFF_ETOOLARGE */
    const char *what; /* was too large; constant */
};

/* Parts are known by their number; AFF_JSON_NONE: none. */

void aff_splice_init(struct aff_splice *s, const struct aff_splice_limits *limits);
void aff_splice_fini(struct aff_splice *s);
/* A text whose values may be used. The tree stays the caller's, and must live as long. */
uint32_t aff_splice_source(struct aff_splice *s, const struct aff_json_tree *tree);
void aff_splice_set_root(struct aff_splice *s, struct aff_splice_value value);

/* The text of a name, with quotes; lives as long as the splice. */
aff_bytes aff_splice_name(struct aff_splice *s, aff_bytes name);

enum aff_json_type aff_splice_type(const struct aff_splice *s, uint32_t part);
/* How many members or elements it has. */
uint32_t aff_splice_count(struct aff_splice *s, uint32_t part);
/* The last member with the name (unescaped bytes) of a part that may be anything. */
uint32_t aff_splice_member(struct aff_splice *s, uint32_t part, aff_bytes name);
uint32_t aff_splice_element(struct aff_splice *s, uint32_t part, uint64_t index);
/* Is this its text? False also for a part that has been changed. */
bool aff_splice_reads(const struct aff_splice *s, uint32_t part, aff_bytes text);

/* A value in the place of another one. */
void aff_splice_replace(struct aff_splice *s, uint32_t part, struct aff_splice_value value);
/* Behind the last member; the object has none of that name. `name` is the text of the name, with quotes. Returns the new part. */
uint32_t aff_splice_add(struct aff_splice *s, uint32_t object, aff_bytes name, struct aff_splice_value value);
/* Before the element `before`, or behind the last one. */
void aff_splice_insert(struct aff_splice *s, uint32_t array, uint32_t before, struct aff_splice_value value);
/* A member goes with all its twins. Not for the root. */
void aff_splice_remove(struct aff_splice *s, uint32_t part);

/* The part as one text, for copying and comparing. Its own parts are not known any more afterwards. */
struct aff_splice_value aff_splice_settle(struct aff_splice *s, uint32_t part);
static inline const struct aff_json_tree *aff_splice_tree(const struct aff_splice *s, struct aff_splice_value value)
{
    return &s->sources[value.source].tree;
}
/* Counts something that the caller does. */
void aff_splice_spend(struct aff_splice *s, size_t work);

/* Appends the whole value, checked against all limits. s->code. */
int aff_splice_write(struct aff_splice *s, struct aff_buf *out);

#endif
