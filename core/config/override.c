/*
 * override.c - lays the `--set a.b=c` of a command line over the document, before the table looks at it; so an override
 * is checked by the same rules as the file, and its errors have a place too ("--set 2"). Of the table it only needs to know
 * where names with dots stand.
 */
#include "config/document.h"
#include "config/settings.h"

#include <stdlib.h>

struct override {
    struct aff_document *document;
    const struct aff_source *source;
    struct aff_mark at;
    const char *path; /* of the whole override; for errors */
};

/* Does a property stand at *path, whose name has dots itself ("kafka.bootstrap.servers", "kafka.topic.segment.ms")? */
static bool is_property(const char *whole, const char *path)
{
    char section[64];
    aff_bytes before = aff_bytes_of(whole, path > whole ? (size_t)(path - whole) - 1 : 0);
    const struct aff_setting *setting = aff_setting_find(AFF_GROUP_ROOT, before);
    aff_bytes next = aff_bytes_of(whole, (size_t)(path - whole) + strcspn(path, "."));
    if (setting && setting->type == AFF_TYPE_PROPERTIES)
        return true;
    (void)snprintf(section, sizeof section, "%.*s.", (int)(before.len < 48 ? before.len : 48), whole);
    return aff_setting_beside(AFF_GROUP_ROOT, section) && !aff_setting_find(AFF_GROUP_ROOT, next);
}

/* The segment up to the next dot; *path then begins after that dot, or is NULL when this was the last one. */
static aff_bytes take_segment(const char *whole, const char **path)
{
    aff_bytes segment = aff_bytes_of(*path, is_property(whole, *path) ? strlen(*path) : strcspn(*path, "."));
    *path = (*path)[segment.len] ? *path + segment.len + 1 : NULL;
    return segment;
}

static bool is_index(aff_bytes segment)
{
    const char *digits = segment.data;
    for (size_t i = 0; i < segment.len; i++)
        if (digits[i] < '0' || digits[i] > '9')
            return false;
    return segment.len > 0 && segment.len < 6;
}

/* A list or map of the document's own that may be changed: a copy of the node, or a new one where there was nothing. */
static struct aff_document_node *own_container(const struct override *o, const struct aff_document_node *node,
                                               aff_bytes segment)
{
    if (node->kind == AFF_NODE_NULL)
        return aff_document_node_new(o->document, is_index(segment) ? AFF_NODE_LIST : AFF_NODE_MAP, o->at);
    struct aff_document_node *copy = aff_document_node_new(o->document, node->kind, node->mark);
    for (size_t i = 0; i < node->count; i++)
        aff_document_add(copy, node->entries[i]);
    return copy;
}

static struct aff_document_node **add_nothing(const struct override *o, struct aff_document_node *node,
                                              struct aff_document_node *key)
{
    struct aff_document_node *nothing = aff_document_node_new(o->document, AFF_NODE_NULL, o->at);
    aff_document_add(node, (struct aff_document_entry){ .key = key, .value = nothing });
    return &node->entries[node->count - 1].value;
}

static struct aff_document_node **step_list(const struct override *o, struct aff_document_node *list, aff_bytes segment)
{
    size_t index = is_index(segment) ? strtoul(segment.data, NULL, 10) : SIZE_MAX;
    if (index < list->count)
        return &list->entries[index].value;
    if (index == list->count)
        return add_nothing(o, list, NULL);
    aff_complain(o->source, o->at, "%s: %s must be the number of an entry, from 0 to %zu",
                 aff_show(aff_str(o->path)).text, aff_show(segment).text, list->count);
    return NULL;
}

static struct aff_document_node **step_map(const struct override *o, struct aff_document_node *map, aff_bytes segment)
{
    struct aff_document_node *key = aff_document_scalar_new(o->document, segment, true, o->at);
    for (size_t i = 0; i < map->count; i++)
        if (aff_bytes_equal(aff_document_text(map->entries[i].key), segment)) {
            map->entries[i].key = key; /* what is wrong with it is wrong with the override */
            return &map->entries[i].value;
        }
    return add_nothing(o, map, key);
}

/* The place in *slot that the segment names, made when it is missing; NULL after a complaint. */
static struct aff_document_node **step(const struct override *o, struct aff_document_node **slot, aff_bytes segment)
{
    if (segment.len == 0) {
        aff_complain(o->source, o->at, "%s: a name is empty; expected a path such as node.data or http.0.listen",
                     aff_show(aff_str(o->path)).text);
        return NULL;
    }
    if ((*slot)->kind == AFF_NODE_SCALAR) {
        aff_complain(o->source, o->at, "%s: there is nothing below the value %s", aff_show(aff_str(o->path)).text,
                     aff_show(aff_document_text(*slot)).text);
        return NULL;
    }
    *slot = own_container(o, *slot, segment);
    return (*slot)->kind == AFF_NODE_LIST ? step_list(o, *slot, segment) : step_map(o, *slot, segment);
}

void aff_document_override(struct aff_document *document, const struct aff_source *source, unsigned number,
                           const char *set)
{
    struct override o = { document, source, { .set = number }, set };
    const char *equals = strchr(set, '=');
    if (!equals || equals == set) {
        aff_complain(source, o.at, "%s: expected path=value, such as node.data=./data", aff_show(aff_str(set)).text);
        return;
    }
    char *path = strndup(set, (size_t)(equals - set));
    if (!path)
        abort();
    o.path = path;
    struct aff_document_node **slot = &document->root;
    const char *rest = path;
    do {
        slot = step(&o, slot, take_segment(path, &rest));
    } while (slot && rest);
    if (slot)
        *slot = aff_document_scalar_new(document, aff_str(equals + 1), false, o.at);
    free(path);
}
