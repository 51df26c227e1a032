/*
 * merge_patch.c - see merge_patch.h.
 *
 * The patch's nodes are walked in the order of the text; `parts` says for each of its objects what part of the value it
 * is applied to. An object that meets no object is put in as it stands, and then applied to itself: that takes out its nulls.
 */
#include "serde/merge_patch.h"

#include <stdlib.h>

struct merge {
    struct aff_splice splice;
    const struct aff_json_tree *patch;
    uint32_t source; /* the patch, among the sources */
    uint32_t *parts;
    struct aff_buf name;
};

/* A member's name without its escapes. */
static aff_bytes name_of(struct merge *m, uint32_t node)
{
    aff_bytes quoted = aff_json_key(m->patch, node);

    aff_buf_clear(&m->name);
    if (!aff_buf_reserve(&m->name, quoted.len)) {
        m->splice.code = AFF_ENOMEM;
        return aff_str("");
    }
    (void)aff_json_unquote(quoted, (char *)m->name.data, &m->name.len);
    return aff_buf_view(&m->name);
}

/* One member of the patch, on the part of the value that it belongs to. Returns the part that its own members belong to. */
static uint32_t apply(struct merge *m, uint32_t object, uint32_t node)
{
    struct aff_splice *s = &m->splice;
    struct aff_splice_value value = { m->source, node };
    uint32_t member = aff_splice_member(s, object, name_of(m, node));
    enum aff_json_type type = m->patch->nodes[node].type;
    bool merges = type == AFF_JSON_OBJECT;

    if (s->code != 0)
        return AFF_JSON_NONE;
    if (type == AFF_JSON_NULL) {
        if (member != AFF_JSON_NONE)
            aff_splice_remove(s, member);
        return AFF_JSON_NONE;
    }
    if (member == AFF_JSON_NONE)
        member = aff_splice_add(s, object, aff_json_key(m->patch, node), value);
    else if (merges ? aff_splice_type(s, member) != AFF_JSON_OBJECT
                    : !aff_splice_reads(s, member, aff_json_text(m->patch, node)))
        aff_splice_replace(s, member, value);
    return merges ? member : AFF_JSON_NONE;
}

static void merge(struct merge *m, bool exists)
{
    struct aff_splice *s = &m->splice;
    struct aff_splice_value whole = { m->source, 0 };

    if (exists)
        aff_splice_set_root(s, (struct aff_splice_value){ m->source + 1, 0 });
    if (!exists || m->patch->nodes[0].type != AFF_JSON_OBJECT ||
        (s->code == 0 && aff_splice_type(s, s->root) != AFF_JSON_OBJECT))
        aff_splice_set_root(s, whole);
    m->parts[0] = m->patch->nodes[0].type == AFF_JSON_OBJECT ? s->root : AFF_JSON_NONE;
    for (uint32_t i = 1; i < m->patch->count && s->code == 0; i++) {
        uint32_t object = m->parts[m->patch->nodes[i].parent];

        m->parts[i] = object == AFF_JSON_NONE ? AFF_JSON_NONE : apply(m, object, i);
    }
}

int aff_merge_patch(const struct aff_json_tree *value, const struct aff_json_tree *patch,
                    const struct aff_splice_limits *limits, struct aff_buf *out, const char **ret_what)
{
    struct merge m = { .patch = patch };
    int code = AFF_ENOMEM;

    *ret_what = NULL;
    aff_buf_init(&m.name);
    aff_splice_init(&m.splice, limits);
    m.source = aff_splice_source(&m.splice, patch);
    if (value && m.splice.code == 0)
        (void)aff_splice_source(&m.splice, value);
    m.parts = malloc(patch->count * sizeof *m.parts);
    if (m.parts && m.splice.code == 0) {
        merge(&m, value != NULL);
        code = aff_splice_write(&m.splice, out);
        *ret_what = m.splice.what;
    }
    free(m.parts);
    aff_buf_fini(&m.name);
    aff_splice_fini(&m.splice);
    return code;
}
