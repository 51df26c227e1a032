/*
 * properties.c - names that the table of settings does not know, because they belong to somebody else (librdkafka, topics) or are
 * numbers (partitions): kept as text with their places, checked for what any of them must be, printed with secrets left out.
 */
#include "config/fill.h"
#include "config/utf8.h"
#include "config/value.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { MOST_PROPERTIES = 500, NAME_MAX_LEN = 128, VALUE_MAX_LEN = 64 * 1024, MOST_PLACES = 4096 };

/* ---- reading ---- */

static bool is_property_name(aff_bytes text)
{
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *c = text.data;
    if (text.len < 1 || text.len > NAME_MAX_LEN || !strchr(others, c[0]) || strchr("0123456789._-", c[0]))
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (c[i] == '\0' || !strchr(others, c[i]))
            return false;
    return true;
}

/* Lines are ended by a line feed, as in a certificate; no other control characters but tabs. */
static bool is_property_text(aff_bytes text)
{
    const unsigned char *bytes = text.data;
    for (size_t at = 0, len; at < text.len; at += len) {
        len = bytes[at] == '\n' || bytes[at] == '\t' ? 1 : aff_utf8_printable(bytes + at, text.len - at);
        if (len == 0)
            return false;
    }
    return true;
}

static void add(void *member, struct aff_config_property property)
{
    struct aff_config_properties all;
    memcpy(&all, member, sizeof all);
    all.items = aff_xrealloc(all.items, all.count + 1, sizeof *all.items);
    all.items[all.count++] = property;
    memcpy(member, &all, sizeof all);
}

static size_t count(const void *member)
{
    struct aff_config_properties all;
    memcpy(&all, member, sizeof all);
    return all.count;
}

/* The items of a list with commas between them, to be freed; NULL when one is not a single value, or they are too many. */
static char *joined(const struct aff_document_node *list)
{
    size_t size = 1;
    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].value->kind != AFF_NODE_SCALAR)
            return NULL;
        size += list->entries[i].value->len + 2;
    }
    if (size > VALUE_MAX_LEN)
        return NULL;
    char *text = aff_xcalloc(size, 1), *at = text;
    for (size_t i = 0; i < list->count; i++) {
        aff_bytes item = aff_document_text(list->entries[i].value);
        at = stpcpy(at, i ? ", " : "");
        at = (char *)memcpy(at, item.data, item.len) + item.len;
    }
    return text;
}

/* A list of nodes is kept as one text; what the numbers and names must be, check_cluster.c knows. */
static void fill_places(const struct aff_fill *fill, void *member, const char *prefix,
                        const struct aff_document_entry *entry)
{
    const struct aff_document_node *name = entry->key, *node = entry->value;
    char *text = node->kind == AFF_NODE_LIST ? joined(node) : NULL;
    if (node->kind == AFF_NODE_SCALAR && node->len <= VALUE_MAX_LEN)
        text = aff_text_copy(aff_document_text(node));
    if (!text || count(member) >= MOST_PLACES) {
        aff_complain(fill->source, node->mark, "%s%s: %s", prefix, aff_show(aff_document_text(name)).text,
                     text ? "there are more entries than partitions can be"
                          : "expected a list of node names, such as [n1, n2]");
        free(text);
        return;
    }
    add(member, (struct aff_config_property){
                    .name = aff_text_copy(aff_document_text(name)), .value = text, .mark = name->mark });
}

/* What is wrong with the property, for a text that goes on "<path>: "; NULL: nothing. */
static const char *wrong_with(const struct aff_document_node *name, const struct aff_document_node *node,
                              const void *member)
{
    if (!is_property_name(aff_document_text(name)))
        return "is not the name of a property: expected a letter, then up to 127 of a-z, A-Z, 0-9, dots, _ and -";
    if (node->kind == AFF_NODE_MAP)
        return "expected one value, not a map: the name of a property is written with its dots, such as "
               "bootstrap.servers";
    if (node->kind == AFF_NODE_LIST)
        return "expected one value, not a list: several are one text, with commas between them";
    if (node->len > VALUE_MAX_LEN)
        return "is longer than 64 KiB";
    if (!is_property_text(aff_document_text(node)))
        return "is not text in UTF-8 without control characters";
    return count(member) >= MOST_PROPERTIES ? "there are more than 500 properties" : NULL;
}

void aff_fill_property(const struct aff_fill *fill, const struct aff_setting *setting, void *member, const char *prefix,
                       const struct aff_document_entry *entry)
{
    const struct aff_document_node *name = entry->key, *node = entry->value;
    if (node->kind == AFF_NODE_NULL)
        return; /* the same as not given */
    if (setting->type == AFF_TYPE_PLACES) {
        fill_places(fill, member, prefix, entry);
        return;
    }
    const char *wrong = wrong_with(name, node, member);
    if (wrong)
        aff_complain(fill->source, is_property_name(aff_document_text(name)) ? node->mark : name->mark, "%s%s: %s",
                     prefix, aff_show(aff_document_text(name)).text, wrong);
    else
        add(member, (struct aff_config_property){ .name = aff_text_copy(aff_document_text(name)),
                                                  .value = aff_text_copy(aff_document_text(node)),
                                                  .mark = node->mark });
}

const char *aff_property(const struct aff_config_properties *properties, const char *name)
{
    for (size_t i = 0; i < properties->count; i++)
        if (strcmp(properties->items[i].name, name) == 0)
            return properties->items[i].value;
    return NULL;
}

/* ---- what others found wrong ---- */

/* The property that the text names right after `before`, or NULL. */
static const struct aff_config_property *named_by(const struct aff_config_properties *properties, const char *before,
                                                  const char *text)
{
    size_t skip = strlen(before);
    for (size_t i = 0; strncmp(text, before, skip) == 0 && i < properties->count; i++) {
        size_t len = strlen(properties->items[i].name);
        const char *after = text + skip + len;
        if (strncmp(text + skip, properties->items[i].name, len) == 0 && (*after == ':' || *after == ' '))
            return &properties->items[i];
    }
    return NULL;
}

void aff_config_refuse(const struct aff_config *config, const char *text, struct aff_config_errors *errors)
{
    static const char kafka[] = "kafka: ", topic[] = "kafka.topic.";
    const struct aff_source source = { .file = config->file, .errors = errors };
    const struct aff_config_property *property = named_by(&config->kafka.properties, kafka, text);
    if (property)
        aff_complain(&source, property->mark, "kafka.%s", text + sizeof kafka - 1);
    else if ((property = named_by(&config->kafka.topic, topic, text)))
        aff_complain(&source, property->mark, "%s", text);
    else
        aff_complain(&source, (struct aff_mark){ 0 }, "%s", text);
}

/* ---- printing ---- */

bool aff_property_is_secret(const char *name)
{
    static const char *const parts[] = { "password",    "passphrase", "secret",
                                         "private.key", "key.pem",    "sasl.oauthbearer.config" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}
