/*
 * fold.c - see fold.h.
 *
 *   record        state of its key                              last record of its key
 *   void          as it was; the key is dirty                   this one
 *   DATA          its value, or none; version is its offset     this one
 *   REPAIR        its value with the version it keeps, or none  this one
 *   CLAIM, BARRIER, and all whose key begins with NUL: no value of anybody
 *
 * Expiry needs no rule: a value is there until its tombstone.
 */
#include "partition/fold.h"

#include "base/alloc.h"

#include <stdlib.h>

/* What is kept of a key, as the value of an entry: flags, then three digests. */
enum { HAS_STATE = 1, HAS_LAST = 2, IS_DIRTY = 4, FULL_AT = 1, PLAIN_AT = 17, LAST_AT = 33, ENTRY_LEN = 49 };
enum { DISSOLVE_BYTES = 16 << 20 };

struct aff_fold {
    struct aff_store *scratch;
    struct aff_stamp cur; /* of the last valid record */
    struct aff_fold_numbers numbers;
};

struct entry {
    bool has_state, has_last, dirty;
    struct aff_tally state; /* count 1 */
    struct aff_digest last;
};

int aff_fold_new(const char *folder, uint64_t map_bytes, const struct aff_logger *logger, struct aff_fold **ret_fold,
                 aff_error *err)
{
    struct aff_store_opts opts = { .folder = folder, .map_bytes = map_bytes, .scratch = true, .logger = logger };
    struct aff_fold *fold = aff_xcalloc(1, sizeof *fold);
    bool fresh;
    int code = aff_store_open(&opts, &fold->scratch, &fresh, err);

    if (code != 0) {
        free(fold);
        return code;
    }
    *ret_fold = fold;
    return 0;
}

struct aff_fold *aff_fold_free(struct aff_fold *fold)
{
    if (!fold)
        return NULL;
    aff_store_close(fold->scratch);
    free(fold);
    return NULL;
}

bool aff_fold_dissolve(struct aff_fold *fold)
{
    return aff_store_dissolve(fold->scratch, DISSOLVE_BYTES);
}

int aff_fold_commit(struct aff_fold *fold)
{
    return aff_store_commit(fold->scratch);
}

void aff_fold_get(const struct aff_fold *fold, struct aff_fold_numbers *ret_numbers)
{
    *ret_numbers = fold->numbers;
}

/* ---- what is kept of a key ---- */

static int entry_get(struct aff_fold *fold, aff_bytes key, struct entry *ret_entry)
{
    struct aff_item item;
    const unsigned char *b;
    int found = aff_store_get(fold->scratch, key, &item);

    *ret_entry = (struct entry){ .state.count = 1 };
    if (found != 1)
        return found;
    if (item.value.len != ENTRY_LEN)
        return AFF_EBUG;
    b = item.value.data;
    ret_entry->has_state = b[0] & HAS_STATE;
    ret_entry->has_last = b[0] & HAS_LAST;
    ret_entry->dirty = b[0] & IS_DIRTY;
    memcpy(ret_entry->state.full.b, b + FULL_AT, 16);
    memcpy(ret_entry->state.plain.b, b + PLAIN_AT, 16);
    memcpy(ret_entry->last.b, b + LAST_AT, 16);
    return 0;
}

static int entry_put(struct aff_fold *fold, aff_bytes key, const struct entry *e)
{
    unsigned char b[ENTRY_LEN];
    const struct aff_item item = {
        .version = { 0, 0, AFF_NO_TIME, AFF_NO_TIME },
        .content_type = aff_str(""),
        .value = aff_bytes_of(b, sizeof b),
    };

    if (!e->has_state && !e->has_last && !e->dirty)
        return aff_store_delete(fold->scratch, key);
    b[0] = (unsigned char)((e->has_state ? HAS_STATE : 0) | (e->has_last ? HAS_LAST : 0) | (e->dirty ? IS_DIRTY : 0));
    memcpy(b + FULL_AT, e->state.full.b, 16);
    memcpy(b + PLAIN_AT, e->state.plain.b, 16);
    memcpy(b + LAST_AT, e->last.b, 16);
    return aff_store_put(fold->scratch, key, &item);
}

/* Takes what a key has out of the sums, or puts it in. */
static void count_out(struct aff_fold_numbers *n, const struct entry *e)
{
    if (e->has_state)
        aff_tally_subtract(&n->state, &e->state);
    if (e->has_last)
        aff_digest_subtract(&n->last, e->last);
    n->last_count -= e->has_last;
    n->dirty -= e->dirty;
}

static void count_in(struct aff_fold_numbers *n, const struct entry *e)
{
    if (e->has_state)
        aff_tally_add(&n->state, &e->state);
    if (e->has_last)
        aff_digest_add(&n->last, e->last);
    n->last_count += e->has_last;
    n->dirty += e->dirty;
}

/* ---- records ---- */

static struct aff_tally tally_of(const struct aff_record *rec)
{
    bool keeps = rec->kind == AFF_KIND_REPAIR && rec->kept_offset >= 0;
    const struct aff_item item = {
        .version = { keeps ? rec->kept_offset : rec->offset, keeps ? rec->kept_time_ms : rec->time_ms, rec->expires_ms,
                     rec->event_ms },
        .content_type = rec->content_type,
        .value = rec->value,
    };

    return aff_tally_of(rec->key, &item);
}

static void change(struct entry *e, const struct aff_record *rec, bool valid)
{
    struct aff_tally one = { .count = 0 };

    if (rec->value.data)
        one = tally_of(rec);
    e->has_last = rec->value.data != NULL;
    e->last = one.plain;
    e->dirty = !valid;
    if (valid && (rec->kind == AFF_KIND_DATA || rec->kind == AFF_KIND_REPAIR)) {
        e->has_state = e->has_last;
        e->state = one;
    }
}

int aff_fold_record(struct aff_fold *fold, const struct aff_record *rec)
{
    bool valid = rec->kind != AFF_KIND_FOREIGN && aff_stamp_valid(fold->cur, rec->stamp);
    struct entry e;
    int code;

    fold->numbers.records++;
    fold->numbers.voids += !valid;
    if (valid)
        fold->cur = rec->stamp;
    if (rec->key.len == 0 || rec->key.len > AFF_KEY_MAX || aff_key_is_control(rec->key))
        return 0; /* no key that anybody could ask for */
    code = entry_get(fold, rec->key, &e);
    if (code != 0)
        return code;
    count_out(&fold->numbers, &e);
    change(&e, rec, valid);
    count_in(&fold->numbers, &e);
    return entry_put(fold, rec->key, &e);
}
