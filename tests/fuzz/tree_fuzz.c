/*
 * tree_fuzz.c - the check and the tree agree on every input, byte for byte of the place where they refuse; the spans of a
 * tree nest in order, each is JSON by itself, names are found under what they spell, and pointers made of them lead back.
 */
#include "serde/tree.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static void check_links(const struct aff_json_tree *tree, uint32_t i)
{
    const struct aff_json_node *n = &tree->nodes[i];
    uint32_t count = 0, at = n->begin;
    for (uint32_t c = n->first; c != AFF_JSON_NONE; c = tree->nodes[c].next, count++) {
        const struct aff_json_node *child = &tree->nodes[c];
        demand(child->parent == i, "a child knows its parent");
        demand((child->key_end ? child->key_begin : child->begin) > at && child->end < n->end, "spans nest in order");
        demand((child->key_end != 0) == (n->type == AFF_JSON_OBJECT), "members and nothing else have names");
        demand(child->key_end <= child->begin, "the name stands before its value");
        at = child->end - 1;
    }
    demand(count == n->count, "as many children as it says");
}

static void check_name(const struct aff_json_tree *tree, uint32_t i)
{
    const struct aff_json_node *n = &tree->nodes[i];
    aff_bytes key = aff_json_key(tree, i);
    char *room = malloc(key.len + 1);
    size_t len;
    if (key.len && room) {
        (void)aff_json_unquote(key, room, &len);
        demand(len <= key.len - 2, "no string grows");
        demand(aff_json_spells(key, aff_bytes_of(room, len)), "a name spells its own bytes");
        uint32_t found = aff_json_member(tree, n->parent, aff_bytes_of(room, len));
        demand(found != AFF_JSON_NONE && found >= i && tree->nodes[found].parent == n->parent, "a member is found");
    }
    free(room);
}

static void check_tree(const struct aff_json_tree *tree)
{
    for (uint32_t i = 0; i < tree->count && i < 300; i++) {
        demand(aff_json_check(aff_json_text(tree, i), DEPTH, NULL) == 0, "each span is JSON");
        check_links(tree, i);
        check_name(tree, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct aff_json_tree tree; /* parsed into again and again */
    aff_bytes text = aff_bytes_of(data ? data : (const uint8_t *)"", size);
    struct aff_json_error checked = { 0 }, error = { 0 };
    int code = aff_json_check(text, DEPTH, &checked);
    demand(aff_json_tree_parse(&tree, text, DEPTH, &error) == code, "the check and the tree agree");
    if (code != 0) {
        demand(error.offset == checked.offset && strcmp(error.expected, checked.expected) == 0, "and on the place");
        return 0;
    }
    bool malformed;
    check_tree(&tree);
    (void)aff_json_point(&tree, text, &malformed); /* any bytes */
    return 0;
}
