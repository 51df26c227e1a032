/*
 * fill.c - walks the document along the table. What the table does not know is an error here, never looked into; so the
 * walk is as deep as the table, whatever the document holds.
 */
#include "config/fill.h"

#include "base/alloc.h"
#include "config/value.h"

#include <assert.h>
#include <stdlib.h>

/* Where the walk is: settings of `group`, whose struct is `base`. */
struct place {
    enum aff_group_id group;
    void *base;
    char prefix[96];  /* as users write it, with the last dot: "", "limits.", "keyspaces.accounts." */
    char section[40]; /* inside the group, likewise: "", "limits." */
};

void aff_fill_defaults(enum aff_group_id group, void *base)
{
    for (size_t i = 0; i < aff_settings_count; i++) {
        const struct aff_setting *setting = &aff_settings[i];
        if (setting->group != group || !setting->fallback)
            continue;
        int status = aff_value_read(setting, aff_str(setting->fallback), (char *)base + setting->offset, NULL);
        assert(status == 0);
        (void)status;
    }
}

static void remember(struct aff_fill *fill, const struct aff_setting *setting, const void *member,
                     const struct place *place, struct aff_mark mark)
{
    if (fill->given_count == fill->given_capacity) {
        fill->given_capacity = fill->given_capacity ? 2 * fill->given_capacity : 32;
        fill->given = aff_xrealloc(fill->given, fill->given_capacity, sizeof *fill->given);
    }
    char path[160];
    (void)snprintf(path, sizeof path, "%s%s", place->prefix, setting->path + strlen(place->section));
    fill->given[fill->given_count++] = (struct aff_given){ setting, member, mark, aff_xstrdup(path) };
}

static const char *kind_name(enum aff_node_kind kind)
{
    return kind == AFF_NODE_LIST ? "a list" : kind == AFF_NODE_MAP ? "a map" : "a single value";
}

static void fill_value(struct aff_fill *fill, const struct place *place, const struct aff_setting *setting,
                       const struct aff_document_node *node)
{
    const char *name = setting->path + strlen(place->section);
    char *member = (char *)place->base + setting->offset;
    aff_error err;
    if (node->kind == AFF_NODE_NULL)
        return; /* "ttl:" is the same as no ttl */
    if (node->kind != AFF_NODE_SCALAR)
        aff_complain(fill->source, node->mark, "%s%s: expected one value, not %s", place->prefix, name,
                     kind_name(node->kind));
    else if (aff_value_read(setting, aff_document_text(node), member, &err) != 0)
        aff_complain(fill->source, node->mark, "%s%s: %s", place->prefix, name, err.text);
    else
        remember(fill, setting, member, place, node->mark);
}

/* A list, or one value with commas in it. What stands there replaces the default. */
static void fill_list(struct aff_fill *fill, const struct place *place, const struct aff_setting *setting,
                      const struct aff_document_node *node)
{
    const char *name = setting->path + strlen(place->section);
    char *member = (char *)place->base + setting->offset;
    aff_error err;
    if (node->kind != AFF_NODE_LIST) {
        fill_value(fill, place, setting, node);
        return;
    }
    aff_value_free(setting, member);
    remember(fill, setting, member, place, node->mark);
    for (size_t i = 0; i < node->count; i++) {
        const struct aff_document_node *item = node->entries[i].value;
        if (item->kind != AFF_NODE_SCALAR)
            aff_complain(fill->source, item->mark, "%s%s: expected one value, not %s", place->prefix, name,
                         kind_name(item->kind));
        else if (aff_list_add(setting, aff_document_text(item), member, &err) != 0)
            aff_complain(fill->source, item->mark, "%s%s: %s", place->prefix, name, err.text);
    }
}

/* A map of properties of its own: "kafka: { topic: {...} }". */
static void fill_properties(struct aff_fill *fill, const struct place *place, const struct aff_setting *setting,
                            const struct aff_document_node *node)
{
    const char *name = setting->path + strlen(place->section);
    char prefix[128];
    (void)snprintf(prefix, sizeof prefix, "%s%s.", place->prefix, name);
    if (node->kind == AFF_NODE_NULL)
        return;
    if (node->kind != AFF_NODE_MAP)
        aff_complain(fill->source, node->mark, "%s%s: expected a map of %s, not %s", place->prefix, name,
                     setting->type == AFF_TYPE_PLACES ? "partitions" : "properties", kind_name(node->kind));
    for (size_t i = 0; node->kind == AFF_NODE_MAP && i < node->count; i++)
        aff_fill_property(fill, setting, (char *)place->base + setting->offset, prefix, &node->entries[i]);
}

static void fill_group(struct aff_fill *fill, enum aff_group_id id, const struct aff_document_node *node);
static void fill_section(struct aff_fill *fill, const struct place *place, const struct aff_document_node *node);

/* Writes "<before><name>."; names that come here are bounded, so that it does not fit is a bug. */
static void join(char *to, size_t size, const char *before, aff_bytes name)
{
    int len = snprintf(to, size, "%s%.*s.", before, (int)name.len, (const char *)name.data);
    if (len < 0 || (size_t)len >= size)
        abort();
}

/* Goes into a section: "limits: {...}". */
static void enter_section(struct aff_fill *fill, const struct place *place, aff_bytes key,
                          const struct aff_document_node *node)
{
    struct place inside = { .group = place->group, .base = place->base };
    join(inside.prefix, sizeof inside.prefix, place->prefix, key);
    join(inside.section, sizeof inside.section, place->section, key);
    fill_section(fill, &inside, node);
}

static void fill_entry(struct aff_fill *fill, const struct place *place, const struct aff_document_entry *entry)
{
    aff_bytes key = aff_document_text(entry->key);
    char path[96];
    int len = snprintf(path, sizeof path, "%s%.*s", place->section, key.len < 48 ? (int)key.len : 48,
                       (const char *)key.data);
    aff_bytes full = aff_bytes_of(path, (size_t)len);
    if (memchr(key.data, 0, key.len) || key.len >= 48)
        full = aff_str(""); /* no setting has such a name */
    const struct aff_setting *setting = aff_setting_find(place->group, full);
    bool top = place->group == AFF_GROUP_ROOT && place->section[0] == '\0';
    const struct aff_setting *beside = aff_setting_beside(place->group, place->section);

    if (setting && aff_type_is_map(setting->type))
        fill_properties(fill, place, setting, entry->value);
    else if (setting && aff_type_is_list(setting->type))
        fill_list(fill, place, setting, entry->value);
    else if (setting)
        fill_value(fill, place, setting, entry->value);
    else if (aff_setting_is_section(place->group, full))
        enter_section(fill, place, key, entry->value);
    else if (top && aff_group_find(full) != AFF_GROUP_ROOT)
        fill_group(fill, aff_group_find(full), entry->value);
    else if (beside)
        aff_fill_property(fill, beside, (char *)place->base + beside->offset, place->prefix, entry);
    else
        aff_complain_unknown(fill, place->group, place->prefix, place->section, entry->key);
}

static void fill_section(struct aff_fill *fill, const struct place *place, const struct aff_document_node *node)
{
    int name = (int)strlen(place->prefix) - 1; /* without its dot */
    if (node->kind == AFF_NODE_NULL)
        return;
    if (node->kind != AFF_NODE_MAP) {
        aff_complain(fill->source, node->mark, "%.*s%sexpected a map of settings, not %s", name > 0 ? name : 0,
                     place->prefix, name > 0 ? ": " : "", kind_name(node->kind));
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        fill_entry(fill, place, &node->entries[i]);
}

/* ---- lists and maps of entries ---- */

static void *make_items(struct aff_fill *fill, enum aff_group_id id, size_t count)
{
    const struct aff_group *group = aff_group_of(id);
    void *items = count ? aff_xcalloc(count, group->size) : NULL;
    memcpy((char *)fill->config + group->items_offset, &items, sizeof items);
    memcpy((char *)fill->config + group->count_offset, &count, sizeof count);
    for (size_t i = 0; i < count; i++)
        aff_fill_defaults(id, (char *)items + i * group->size);
    return items;
}

/* The name of an entry of a map; a name that cannot be is an error, and the entry is filled all the same. */
static void fill_name(struct aff_fill *fill, const struct aff_group *group, const struct aff_document_node *key,
                      void *item)
{
    aff_bytes text = aff_document_text(key);
    if (!aff_is_word(text))
        aff_complain(fill->source, key->mark,
                     "%s: %s is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9 and _", group->path,
                     aff_show(text).text);
    char *name = aff_xstrdup(aff_show(text).text);
    memcpy(item, &name, sizeof name);
}

static bool fits_group(struct aff_fill *fill, const struct aff_group *group, const struct aff_document_node *node)
{
    bool list = group->shape == AFF_SHAPE_LIST;
    if (node->kind != (list ? AFF_NODE_LIST : AFF_NODE_MAP)) {
        aff_complain(fill->source, node->mark, "%s: expected %s, not %s", group->path,
                     list ? "a list of entries" : "a map of names", kind_name(node->kind));
        return false;
    }
    if (node->count > group->max) {
        aff_complain(fill->source, node->mark, "%s: has %zu entries, at most %zu are possible", group->path,
                     node->count, group->max);
        return false;
    }
    return true;
}

static void fill_group(struct aff_fill *fill, enum aff_group_id id, const struct aff_document_node *node)
{
    const struct aff_group *group = aff_group_of(id);
    if (node->kind == AFF_NODE_NULL || !fits_group(fill, group, node))
        return;
    char *items = make_items(fill, id, node->count);
    for (size_t i = 0; i < node->count; i++) {
        struct place place = { .group = id, .base = items + i * group->size };
        if (group->shape == AFF_SHAPE_MAP) {
            fill_name(fill, group, node->entries[i].key, place.base);
            (void)snprintf(place.prefix, sizeof place.prefix, "%s.%.70s.", group->path, *(char **)place.base);
        } else {
            (void)snprintf(place.prefix, sizeof place.prefix, "%s.%zu.", group->path, i);
        }
        fill_section(fill, &place, node->entries[i].value);
    }
}

/* ---- the whole ---- */

static void default_groups(struct aff_fill *fill)
{
    for (unsigned id = AFF_GROUP_ROOT + 1; id < AFF_GROUPS; id++) {
        const struct aff_group *group = aff_group_of((enum aff_group_id)id);
        size_t count;
        memcpy(&count, (char *)fill->config + group->count_offset, sizeof count);
        if (count == 0)
            make_items(fill, (enum aff_group_id)id, group->fallback_count);
    }
}

void aff_fill(struct aff_fill *fill, const struct aff_document *document)
{
    struct place top = { .group = AFF_GROUP_ROOT, .base = fill->config };
    aff_fill_defaults(AFF_GROUP_ROOT, fill->config);
    fill_section(fill, &top, document->root);
    default_groups(fill);
}

void aff_fill_fini(struct aff_fill *fill)
{
    for (size_t i = 0; i < fill->given_count; i++)
        free(fill->given[i].path);
    free(fill->given);
}

const struct aff_given *aff_fill_given(const struct aff_fill *fill, const void *member)
{
    for (size_t i = 0; i < fill->given_count; i++)
        if (fill->given[i].member == member)
            return &fill->given[i];
    return NULL;
}
