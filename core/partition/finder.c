/*
 * finder.c - see finder.h.
 */
#include "partition/finder.h"

#include "base/list.h"
#include "serde/media.h"
#include "serde/term.h"

enum { TERMS_VERSION = 1 }; /* of what this file and serde/term.c find: another one builds all indexes anew */

struct aff_index_sink {
    struct aff_terms *to;
    unsigned which;
    struct aff_buf term;
};

/* ---- terms of one value ---- */

/* `made` is what a function of serde/term.h said of sink->term. */
static int tell(struct aff_index_sink *sink, int made)
{
    int code = made == 1 ? sink->to->add(sink->to, sink->which, aff_buf_view(&sink->term)) : made;
    aff_buf_clear(&sink->term);
    return code;
}

int aff_index_null(aff_index_sink *sink)
{
    return tell(sink, aff_term_of_word(AFF_JSON_NULL, &sink->term));
}

int aff_index_bool(aff_index_sink *sink, bool value)
{
    return tell(sink, aff_term_of_word(value ? AFF_JSON_TRUE : AFF_JSON_FALSE, &sink->term));
}

int aff_index_int(aff_index_sink *sink, int64_t value)
{
    return tell(sink, aff_term_of_int(value, &sink->term));
}

int aff_index_string(aff_index_sink *sink, aff_bytes utf8)
{
    return tell(sink, aff_term_of_string(utf8, &sink->term));
}

int aff_index_json(aff_index_sink *sink, aff_bytes scalar)
{
    struct aff_json_tree tree;
    aff_json_tree_init(&tree);
    int code = aff_json_tree_parse(&tree, scalar, 1, NULL);
    if (code == 0)
        code = tree.nodes[0].type < AFF_JSON_ARRAY ? tell(sink, aff_term_of_node(&tree, 0, &sink->term)) : AFF_EJSON;
    aff_json_tree_fini(&tree);
    return code;
}

/* ---- the kinds ---- */

static int find_pointed(const struct aff_json_tree *tree, const char *pointer, struct aff_index_sink *sink)
{
    bool malformed;
    uint32_t node = aff_json_point(tree, aff_str(pointer), &malformed);
    if (node == AFF_JSON_NONE)
        return 0;
    if (tree->nodes[node].type != AFF_JSON_ARRAY)
        return tell(sink, aff_term_of_node(tree, node, &sink->term));
    int code = 0;
    unsigned count = 0;
    for (uint32_t child = tree->nodes[node].first; child != AFF_JSON_NONE && code == 0 && count < AFF_TERMS_MAX;
         child = tree->nodes[child].next, count++)
        code = tell(sink, aff_term_of_node(tree, child, &sink->term));
    return code;
}

static int find_called(const struct aff_finder *finder, const aff_index *index, aff_bytes key, const struct aff_item *item,
                       struct aff_index_sink *sink)
{
    aff_value value = { .bytes = item->value,
                        .content_type = item->content_type,
                        .partition = finder->partition,
                        .offset = item->version.offset,
                        .time_ms = item->version.time_ms };
    int code = index->terms(key, &value, index->user, sink);
    return code == AFF_ENOMEM ? code : 0; /* what else it says concerns its value alone */
}

/* A value that is not JSON, or deeper than any is accepted, is an empty tree. 0 or AFF_ENOMEM. */
static int parse(const struct aff_item *item, struct aff_json_tree *tree)
{
    struct aff_media media;
    if (!aff_media_parse(item->content_type, &media) || !aff_media_is_json(&media))
        return 0;
    int code = aff_json_tree_parse(tree, item->value, AFF_JSON_DEPTH_MAX, NULL);
    if (code)
        tree->count = 0;
    return code == AFF_ENOMEM ? code : 0;
}

static int find(const struct aff_indexes *self, aff_bytes key, const struct aff_item *item, struct aff_terms *to)
{
    const struct aff_finder *finder = aff_container_of(self, const struct aff_finder, base);
    struct aff_index_sink sink = { .to = to };
    struct aff_json_tree tree;
    bool parsed = false;
    int code = 0;
    aff_json_tree_init(&tree);
    aff_buf_init(&sink.term);
    for (; sink.which < self->count && code == 0; sink.which++) {
        const aff_index *index = &finder->items[sink.which];
        if (index->pointer && !parsed)
            code = parse(item, &tree), parsed = true;
        if (code == 0 && index->pointer && tree.count > 0)
            code = find_pointed(&tree, index->pointer, &sink);
        else if (index->terms)
            code = find_called(finder, index, key, item, &sink);
        else if (index->event_time && item->version.event_ms != AFF_NO_TIME)
            code = aff_index_int(&sink, item->version.event_ms);
    }
    aff_buf_fini(&sink.term);
    aff_json_tree_fini(&tree);
    return code;
}

/* ---- declaring ---- */

void aff_finder_init(struct aff_finder *finder)
{
    *finder = (struct aff_finder){ .base.find = find };
}

int aff_finder_place(const struct aff_finder *finder, aff_bytes name)
{
    for (unsigned i = 0; i < finder->base.count; i++) {
        if (aff_bytes_equal(aff_str(finder->items[i].name), name))
            return (int)i;
    }
    return -1;
}

static bool is_name(const char *name)
{
    size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") : 0;
    return len >= 1 && len <= AFF_INDEX_NAME_MAX && name[len] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

static bool is_pointer(const char *text)
{
    struct aff_json_tree tree;
    bool malformed = true;
    aff_json_tree_init(&tree);
    if (aff_json_tree_parse(&tree, aff_str("null"), 1, NULL) == 0)
        (void)aff_json_point(&tree, aff_str(text), &malformed);
    aff_json_tree_fini(&tree);
    return !malformed;
}

static struct aff_digest digest_of(const aff_index *index)
{
    unsigned char kind[] = { TERMS_VERSION, index->pointer ? 1 : index->event_time ? 2 : 3 }, version[4];
    aff_put_u32(version, index->terms ? index->version : 0);
    const aff_bytes parts[] = { aff_bytes_of(kind, sizeof kind), aff_str(index->pointer ? index->pointer : ""),
                                aff_bytes_of(version, sizeof version) };
    return aff_digest_of(parts, sizeof parts / sizeof *parts);
}

int aff_finder_add(struct aff_finder *finder, const aff_index *index, aff_error *err)
{
    unsigned place = finder->base.count;
    if (!is_name(index->name))
        return aff_fail_with(err, AFF_EINVAL,
                             "index %u has the name '%.60s'; a name is a lower-case letter, then up to 39 of a-z, 0-9, _ and -",
                             place, index->name ? index->name : "");
    if (place == AFF_INDEXES_MAX)
        return aff_fail_with(err, AFF_EINVAL, "index %s is one too many; a keyspace has at most %d", index->name,
                             AFF_INDEXES_MAX);
    if (aff_finder_place(finder, aff_str(index->name)) >= 0)
        return aff_fail_with(err, AFF_EINVAL, "there are two indexes %s", index->name);
    if (!!index->pointer + index->event_time + !!index->terms != 1)
        return aff_fail_with(err, AFF_EINVAL, "index %s sets %d of pointer, event_time and terms; exactly one is right",
                             index->name, !!index->pointer + index->event_time + !!index->terms);
    if (index->pointer && !is_pointer(index->pointer))
        return aff_fail_with(err, AFF_EINVAL, "index %s: '%.200s' is not a JSON pointer; expected one such as /branch",
                             index->name, index->pointer);
    finder->items[place] = *index;
    finder->base.items[place] = (struct aff_index_decl){ .name = index->name, .digest = digest_of(index) };
    finder->base.count++;
    return 0;
}
