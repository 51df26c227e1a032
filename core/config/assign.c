/*
 * assign.c - static lists: which nodes hold which partition. See assign.h; check_cluster.c sees to it that every partition has one.
 */
#include "config/assign.h"

#include "base/alloc.h"
#include "config/errors.h"
#include "config/value.h"

#include <stdlib.h>

/* ---- one line ---- */

/* "3", "0-7" */
static bool read_range(const char *text, uint32_t partitions, struct aff_assign *to)
{
    uint64_t first, last;
    const char *dash = strchr(text, '-');
    aff_bytes from = dash ? aff_bytes_of(text, (size_t)(dash - text)) : aff_str(text);
    if (aff_number_read(AFF_TYPE_INT, from, &first, NULL) != 0)
        return false;
    last = first;
    if (dash && aff_number_read(AFF_TYPE_INT, aff_str(dash + 1), &last, NULL) != 0)
        return false;
    to->first = (uint32_t)first;
    to->last = (uint32_t)last;
    return first <= last && last < partitions;
}

static aff_bytes trimmed(const char *text, size_t len)
{
    for (; len && *text == ' '; len--)
        text++;
    while (len && text[len - 1] == ' ')
        len--;
    return aff_bytes_of(text, len);
}

static bool has(const struct aff_assign *assign, aff_bytes node)
{
    for (size_t i = 0; i < assign->count; i++)
        if (aff_bytes_equal(assign->nodes[i], node))
            return true;
    return false;
}

/* "n1, n2" */
static int read_nodes(const char *text, struct aff_assign *to, aff_error *err)
{
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        aff_bytes node = trimmed(at, len);
        if (!aff_is_label(node))
            return aff_fail_with(err, AFF_ECONFIG, "%s is not the name of a node", aff_show(node).text);
        if (has(to, node))
            return aff_fail_with(err, AFF_ECONFIG, "%s stands there twice", aff_show(node).text);
        if (to->count == AFF_ASSIGN_MAX)
            return aff_fail_with(err, AFF_ECONFIG, "has more than the %d nodes that are possible", AFF_ASSIGN_MAX);
        to->nodes[to->count++] = node;
        at += len;
        if (!*at)
            return 0;
    }
}

bool aff_assign_read(const struct aff_config_keyspace *keyspace, const struct aff_config_property *line,
                     struct aff_assign *ret_assign, aff_error *err)
{
    struct aff_assign assign = { 0 };
    int code = 0;
    if (!read_range(line->name, keyspace->partitions, &assign))
        code = aff_fail_with(err, AFF_ECONFIG,
                             "these are no partitions: expected a number from 0 to %u, or several of them such as 0-%u",
                             keyspace->partitions - 1, keyspace->partitions - 1);
    else
        code = read_nodes(line->value, &assign, err);
    if (code == 0 && assign.count != keyspace->replicas)
        code = aff_fail_with(err, AFF_ECONFIG, "has %zu nodes, and replicas is %u", assign.count, keyspace->replicas);
    if (code == 0)
        *ret_assign = assign;
    return code == 0;
}

/* ---- all of them ---- */

static size_t texts_len(const struct aff_config_properties *lines)
{
    size_t len = 0;
    for (size_t i = 0; i < lines->count; i++)
        len += strlen(lines->items[i].value) + AFF_ASSIGN_MAX;
    return len;
}

const char *const *const *aff_config_assigned(const struct aff_config_keyspace *keyspace)
{
    const struct aff_config_properties *lines = &keyspace->assign;
    size_t lists = keyspace->partitions * sizeof(char **), names = lines->count * AFF_ASSIGN_MAX * sizeof(char *);
    if (lines->count == 0)
        return NULL;
    char *block = aff_xcalloc(1, lists + names + texts_len(lines));
    const char ***list = (const char ***)(void *)block, **name = (const char **)(void *)(block + lists);
    char *text = block + lists + names;
    for (size_t i = 0; i < lines->count; i++) {
        struct aff_assign assign;
        if (!aff_assign_read(keyspace, &lines->items[i], &assign, NULL))
            abort(); /* it was checked */
        for (uint32_t p = assign.first; p <= assign.last; p++)
            list[p] = name;
        for (size_t n = 0; n < assign.count; n++) {
            *name++ = text;
            text = (char *)memcpy(text, assign.nodes[n].data, assign.nodes[n].len) + assign.nodes[n].len + 1;
        }
    }
    return (const char *const *const *)list;
}
