/*
 * document.c - reads YAML by libyaml's events into the tree of document.h. The one file that includes yaml.h.
 *
 * Recursion follows the nesting of the text, which is bounded. Whatever ends the reading early is reported once and
 * passed up as NULL; nodes belong to the document from their making, so there is nothing to undo.
 */
#include "config/document.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <yaml.h>

enum { MOST_DEPTH = 32, MOST_NODES = 50000, MOST_ANCHORS = 100, MOST_TAG_DIRECTIVES = 16 };

struct anchor {
    char *name;
    struct aff_document_node *node;
};

struct reader {
    yaml_parser_t yaml;
    const struct aff_source *source;
    struct aff_document *document;
    struct anchor anchors[MOST_ANCHORS];
    size_t anchor_count;
    size_t nodes;
    unsigned depth;
};

/* ---- nodes ---- */

struct aff_document_node *aff_document_node_new(struct aff_document *document, enum aff_node_kind kind,
                                                struct aff_mark mark)
{
    struct aff_document_node *node = aff_xcalloc(1, sizeof *node);
    node->kind = kind;
    node->mark = mark;
    node->next = document->all;
    document->all = node;
    return node;
}

static bool is_null(aff_bytes text)
{
    return text.len == 0 || aff_bytes_equal(text, aff_str("~")) || aff_bytes_equal(text, aff_str("null"));
}

struct aff_document_node *aff_document_scalar_new(struct aff_document *document, aff_bytes text, bool quoted,
                                                  struct aff_mark mark)
{
    enum aff_node_kind kind = !quoted && is_null(text) ? AFF_NODE_NULL : AFF_NODE_SCALAR;
    struct aff_document_node *node = aff_document_node_new(document, kind, mark);
    node->text = aff_xmalloc(text.len + 1);
    memcpy(node->text, text.data, text.len);
    node->text[text.len] = '\0';
    node->len = text.len;
    return node;
}

void aff_document_add(struct aff_document_node *node, struct aff_document_entry entry)
{
    if (node->count == node->capacity) {
        node->capacity = node->capacity ? 2 * node->capacity : 8;
        node->entries = aff_xrealloc(node->entries, node->capacity, sizeof *node->entries);
    }
    node->entries[node->count++] = entry;
}

void aff_document_fini(struct aff_document *document)
{
    while (document->all) {
        struct aff_document_node *node = document->all;
        document->all = node->next;
        free(node->text);
        free(node->entries);
        free(node);
    }
    document->root = NULL;
}

/* ---- events ---- */

static struct aff_mark mark_of(yaml_mark_t at)
{
    return (struct aff_mark){ .line = (unsigned)at.line + 1, .column = (unsigned)at.column + 1 };
}

static void complain_yaml(struct reader *r)
{
    const yaml_parser_t *yaml = &r->yaml;
    const char *problem = yaml->problem ? yaml->problem : "memory ran out";
    if (yaml->error == YAML_READER_ERROR)
        aff_complain(r->source, mark_of(yaml->mark), "this is not YAML: at byte %zu, %s", yaml->problem_offset,
                     problem);
    else if (yaml->context)
        aff_complain(r->source, mark_of(yaml->problem_mark), "this is not YAML: %s, %s", yaml->context, problem);
    else
        aff_complain(r->source, mark_of(yaml->problem_mark), "this is not YAML: %s", problem);
}

/* The caller deletes the event when it is true. */
static bool next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->yaml, event))
        return true;
    complain_yaml(r);
    return false;
}

/* Takes one of the nodes that a document may have; an alias and a merged key count like nodes. */
static bool take_node(struct reader *r, struct aff_mark at)
{
    if (r->nodes++ < MOST_NODES)
        return true;
    aff_complain(r->source, at, "there are more than %d values", MOST_NODES);
    return false;
}

/* ---- anchors ---- */

static bool anchor_add(struct reader *r, const char *name, struct aff_document_node *node)
{
    for (size_t i = 0; i < r->anchor_count; i++)
        if (strcmp(r->anchors[i].name, name) == 0) {
            r->anchors[i].node = node;
            return true;
        }
    if (r->anchor_count == MOST_ANCHORS) {
        aff_complain(r->source, node->mark, "there are more than %d anchors", MOST_ANCHORS);
        return false;
    }
    r->anchors[r->anchor_count++] = (struct anchor){ aff_xstrdup(name), node };
    return true;
}

/* An anchor is known after the end of what it names, so no node contains itself. */
static struct aff_document_node *read_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = 0; i < r->anchor_count; i++)
        if (strcmp(r->anchors[i].name, name) == 0)
            return r->anchors[i].node;
    aff_complain(r->source, mark_of(event->start_mark), "*%s: there is no complete &%s before it",
                 aff_show(aff_str(name)).text, aff_show(aff_str(name)).text);
    return NULL;
}

/* ---- maps ---- */

static bool merge_one(struct reader *r, struct aff_document_node *map, const struct aff_document_node *from)
{
    if (from->kind != AFF_NODE_MAP) {
        aff_complain(r->source, from->mark, "<<: expected a map, an alias of one, or a list of these");
        return true;
    }
    for (size_t i = 0; i < from->count; i++) {
        if (!take_node(r, from->mark))
            return false;
        struct aff_document_entry entry = from->entries[i];
        entry.merged = true;
        aff_document_add(map, entry);
    }
    return true;
}

static bool merge(struct reader *r, struct aff_document_node *map, const struct aff_document_node *from)
{
    if (from->kind != AFF_NODE_LIST)
        return merge_one(r, map, from);
    for (size_t i = 0; i < from->count; i++)
        if (!merge_one(r, map, from->entries[i].value))
            return false;
    return true;
}

struct sorted {
    const struct aff_document_entry *entry;
    size_t place;
};

/* Entries of one key stand together, the one that counts first: own before merged, earlier before later. */
static int compare(const void *left, const void *right)
{
    const struct sorted *a = left, *b = right;
    int c = aff_bytes_compare(aff_document_text(a->entry->key), aff_document_text(b->entry->key));
    if (c)
        return c;
    if (a->entry->merged != b->entry->merged)
        return a->entry->merged ? 1 : -1;
    return a->place < b->place ? -1 : 1;
}

static void keep_marked(struct aff_document_node *map, const bool *drop)
{
    size_t kept = 0;
    for (size_t i = 0; i < map->count; i++)
        if (!drop[i])
            map->entries[kept++] = map->entries[i];
    map->count = kept;
}

/* Each key once: what the map merged yields to its own keys; an own key given twice is an error. */
static void settle_keys(struct reader *r, struct aff_document_node *map)
{
    if (map->count < 2)
        return;
    struct sorted *sorted = aff_xcalloc(map->count, sizeof *sorted);
    bool *drop = aff_xcalloc(map->count, sizeof *drop);
    for (size_t i = 0; i < map->count; i++)
        sorted[i] = (struct sorted){ &map->entries[i], i };
    qsort(sorted, map->count, sizeof *sorted, compare);
    const struct aff_document_node *first = sorted[0].entry->key;
    for (size_t i = 1; i < map->count; i++) {
        const struct aff_document_node *key = sorted[i].entry->key;
        if (!aff_bytes_equal(aff_document_text(first), aff_document_text(key))) {
            first = key;
            continue;
        }
        drop[sorted[i].place] = true;
        if (!sorted[i].entry->merged)
            aff_complain(r->source, key->mark, "%s is given twice; line %u has it already",
                         aff_show(aff_document_text(key)).text, first->mark.line);
    }
    keep_marked(map, drop);
    free(sorted);
    free(drop);
}

/* ---- reading ---- */

static struct aff_document_node *read_node(struct reader *r, const yaml_event_t *event);

/* The node that the next event begins; NULL at `end`, or with *failed set. */
static struct aff_document_node *read_next(struct reader *r, yaml_event_type_t end, bool *failed)
{
    yaml_event_t event;
    if (!next(r, &event)) {
        *failed = true;
        return NULL;
    }
    struct aff_document_node *node = NULL;
    if (event.type != end) {
        node = read_node(r, &event);
        *failed = node == NULL;
    }
    yaml_event_delete(&event);
    return node;
}

static bool read_list(struct reader *r, struct aff_document_node *list)
{
    bool failed = false;
    for (struct aff_document_node *item; (item = read_next(r, YAML_SEQUENCE_END_EVENT, &failed));)
        aff_document_add(list, (struct aff_document_entry){ .value = item });
    return !failed;
}

static bool read_map(struct reader *r, struct aff_document_node *map)
{
    bool failed = false;
    for (struct aff_document_node *key; (key = read_next(r, YAML_MAPPING_END_EVENT, &failed));) {
        if (key->kind == AFF_NODE_LIST || key->kind == AFF_NODE_MAP) {
            aff_complain(r->source, key->mark, "a key must be one word, not a list or map");
            return false;
        }
        struct aff_document_node *value = read_next(r, YAML_NO_EVENT, &failed);
        if (!value)
            return false;
        if (!aff_bytes_equal(aff_document_text(key), aff_str("<<")))
            aff_document_add(map, (struct aff_document_entry){ .key = key, .value = value });
        else if (!merge(r, map, value))
            return false;
    }
    if (!failed)
        settle_keys(r, map);
    return !failed;
}

static bool read_inside(struct reader *r, struct aff_document_node *node)
{
    if (r->depth == MOST_DEPTH) {
        aff_complain(r->source, node->mark, "lists and maps are nested deeper than %d", MOST_DEPTH);
        return false;
    }
    r->depth++;
    bool read = node->kind == AFF_NODE_LIST ? read_list(r, node) : read_map(r, node);
    r->depth--;
    return read;
}

static struct aff_document_node *read_scalar(struct reader *r, const yaml_event_t *event)
{
    return aff_document_scalar_new(r->document, aff_bytes_of(event->data.scalar.value, event->data.scalar.length),
                                   event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE, mark_of(event->start_mark));
}

/* Anchor and tag of an event that begins a node. */
static void properties(const yaml_event_t *event, const char **ret_anchor, const char **ret_tag)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    *ret_anchor = (const char *)anchor;
    *ret_tag = (const char *)tag;
}

static struct aff_document_node *read_node(struct reader *r, const yaml_event_t *event)
{
    struct aff_mark at = mark_of(event->start_mark);
    const char *anchor, *tag;
    properties(event, &anchor, &tag);
    if (!take_node(r, at))
        return NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(r, event);
    if (tag)
        aff_complain(r->source, at, "tags such as %s have no meaning here: leave it out", aff_show(aff_str(tag)).text);

    struct aff_document_node *node;
    if (event->type == YAML_SCALAR_EVENT) {
        node = read_scalar(r, event);
    } else {
        bool list = event->type == YAML_SEQUENCE_START_EVENT;
        node = aff_document_node_new(r->document, list ? AFF_NODE_LIST : AFF_NODE_MAP, at);
        if (!read_inside(r, node))
            return NULL;
    }
    return !anchor || anchor_add(r, anchor, node) ? node : NULL;
}

/* Passes over the event, which must be of the type. */
static bool expect(struct reader *r, yaml_event_type_t type)
{
    yaml_event_t event;
    if (!next(r, &event))
        return false;
    bool as_expected = event.type == type;
    if (!as_expected)
        aff_complain(r->source, mark_of(event.start_mark), "a second document begins here; a file has one");
    yaml_event_delete(&event);
    return as_expected;
}

/* The events of a stream: its start; for a document its start, a node and its end; the end of the stream. */
static bool read_stream(struct reader *r)
{
    yaml_event_t event;
    if (!expect(r, YAML_STREAM_START_EVENT) || !next(r, &event))
        return false;
    yaml_event_type_t type = event.type;
    yaml_event_delete(&event);
    if (type == YAML_STREAM_END_EVENT) {
        r->document->root = aff_document_node_new(r->document, AFF_NODE_NULL,
                                                  (struct aff_mark){ .line = 1, .column = 1 });
        return true;
    }
    bool failed = false;
    r->document->root = read_next(r, YAML_NO_EVENT, &failed);
    return r->document->root && expect(r, YAML_DOCUMENT_END_EVENT) && expect(r, YAML_STREAM_END_EVENT);
}

/* libyaml compares each %TAG directive with all before it; a file needs none, and could hold fifty thousand. */
static bool check_directives(aff_bytes text, const struct aff_source *source)
{
    const char *at = text.data, *end = at + text.len;
    for (unsigned count = 0; (at = memmem(at, (size_t)(end - at), "%TAG", 4)); at += 4)
        if (++count > MOST_TAG_DIRECTIVES) {
            aff_complain(source, (struct aff_mark){ 0 }, "there are more than %d %%TAG directives",
                         MOST_TAG_DIRECTIVES);
            return false;
        }
    return true;
}

int aff_document_read(aff_bytes text, const struct aff_source *source, struct aff_document *ret_document)
{
    struct aff_document document = { 0 };
    struct reader *r = aff_xcalloc(1, sizeof *r);
    r->source = source;
    r->document = &document;
    bool read = false;
    if (text.len > AFF_DOCUMENT_MAX) {
        aff_complain(source, (struct aff_mark){ 0 }, "the file is larger than 1 MiB");
    } else if (check_directives(text, source)) {
        if (!yaml_parser_initialize(&r->yaml))
            abort();
        yaml_parser_set_input_string(&r->yaml, text.data, text.len);
        read = read_stream(r);
        yaml_parser_delete(&r->yaml);
    }
    for (size_t i = 0; i < r->anchor_count; i++)
        free(r->anchors[i].name);
    free(r);
    if (read)
        *ret_document = document;
    else
        aff_document_fini(&document);
    return read ? 0 : AFF_ECONFIG;
}
