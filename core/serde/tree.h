/*
 * tree.h - a JSON text taken apart without changing a byte of it: a flat array of nodes, each a span of the text.
 *
 * For whoever must look into a value, or change a part of it and keep the text of all the rest: patches, bulk lines, indexes.
 * Numbers stay text, so that none loses digits; strings stay escaped until they are asked for.
 *
 * Pure; any thread.
 */
#ifndef AFF_SERDE_TREE_H
#define AFF_SERDE_TREE_H

#include "serde/json.h"

enum aff_json_type {
    AFF_JSON_NULL,
    AFF_JSON_FALSE,
    AFF_JSON_TRUE,
    AFF_JSON_NUMBER,
    AFF_JSON_STRING,
    AFF_JSON_ARRAY,
    AFF_JSON_OBJECT
};

struct aff_json_node {
    uint32_t begin, end;         /* the value's bytes in the text, quotes and brackets included, no space around */
    uint32_t key_begin, key_end; /* of a member: its name with the quotes; else both 0 */
    uint32_t parent, next;       /* places in the array; next sibling; AFF_JSON_NONE: none */
    uint32_t first, count;       /* its first child and how many it has */
    enum aff_json_type type;
};

#define AFF_JSON_NONE UINT32_MAX

struct aff_json_tree {
    aff_bytes text;
    struct aff_json_node *nodes; /* in the order of the text; the first is the whole value */
    uint32_t count, capacity;
};

/* A tree may be parsed into again and again: it keeps its memory, up to 20 times the longest text. */
void aff_json_tree_init(struct aff_json_tree *tree);
void aff_json_tree_fini(struct aff_json_tree *tree);
/*
 * Checks the text as aff_json_check() does, and takes it apart, in time linear in its length. The tree has views of it. AFF_EJSON
 * with `ret_error` (may be NULL); AFF_ENOMEM; AFF_ETOOLARGE: the text is longer than 4 GiB. After a failure the tree has no nodes.
 */
int aff_json_tree_parse(struct aff_json_tree *tree, aff_bytes text, unsigned max_depth,
                        struct aff_json_error *ret_error);

static inline aff_bytes aff_json_text(const struct aff_json_tree *tree, uint32_t node)
{
    const struct aff_json_node *n = &tree->nodes[node];
    return aff_bytes_of((const char *)tree->text.data + n->begin, n->end - n->begin);
}

/* A member's name as it stands in the text, with its quotes; empty for the whole value and for what is in an array. */
static inline aff_bytes aff_json_key(const struct aff_json_tree *tree, uint32_t node)
{
    const struct aff_json_node *n = &tree->nodes[node];
    return aff_bytes_of((const char *)tree->text.data + n->key_begin, n->key_end - n->key_begin);
}

/*
 * The member of an object with this name (unescaped bytes); with a name twice the last one. AFF_JSON_NONE: no object, no such member.
 * Looks at every member: time linear in the object's names.
 */
uint32_t aff_json_member(const struct aff_json_tree *tree, uint32_t node, aff_bytes name);
/* Is it a pointer as RFC 6901 writes them? */
bool aff_json_pointer_fits(aff_bytes pointer);
/* RFC 6901. AFF_JSON_NONE: the pointer is well formed and names nothing; *ret_malformed says that it is not. */
uint32_t aff_json_point(const struct aff_json_tree *tree, aff_bytes pointer, bool *ret_malformed);

/* ---- strings ---- */

/*
 * A string's bytes (UTF-8) without quotes and escapes into `room`, which has the length of its text. False: the string has a lone
 * surrogate, which no UTF-8 can be; it then stands in `room` in three bytes as if it were a character (so that equal strings have
 * equal bytes all the same).
 */
bool aff_json_string(const struct aff_json_tree *tree, uint32_t node, char *room, size_t *ret_len);
/* The same for the text of a string or of a name, with its quotes. */
bool aff_json_unquote(aff_bytes quoted, char *room, size_t *ret_len);
/* The bytes of a string's or name's text one after another; -1 at the end. */
struct aff_json_letters {
    const unsigned char *at, *end;
    unsigned char bytes[4]; /* that an escape stands for */
    unsigned char begin, len;
};
struct aff_json_letters aff_json_letters_of(aff_bytes quoted);
int aff_json_letter(struct aff_json_letters *letters);
/* Is the text of a name or string (with its quotes) another spelling of these bytes? */
bool aff_json_spells(aff_bytes quoted, aff_bytes name);

#endif
