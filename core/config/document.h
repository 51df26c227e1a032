/*
 * document.h - a YAML document as a tree of nodes that know their place in the file.
 *
 * What the file says, before anyone asks what it means: scalars are text, a map keeps the order of its keys. An alias is
 * the very node that it names, so a document that multiplies itself by aliases stays as small as its text. Bounds: 1 MiB,
 * depth 32, 50,000 nodes, 100 anchors, 16 %TAG directives. libyaml is used in document.c alone.
 */
#ifndef AFF_CONFIG_DOCUMENT_H
#define AFF_CONFIG_DOCUMENT_H

#include "config/errors.h"

#define AFF_DOCUMENT_MAX ((size_t)1 << 20)

enum aff_node_kind {
    AFF_NODE_NULL,   /* nothing, "~" or "null", not quoted; as a key it has its text all the same */
    AFF_NODE_SCALAR, /* text */
    AFF_NODE_LIST,
    AFF_NODE_MAP
};

struct aff_document_node;

struct aff_document_entry {
    struct aff_document_node *key; /* NULL in a list */
    struct aff_document_node *value;
    bool merged; /* came by a merge key (<<); the map's own keys win */
};

struct aff_document_node {
    enum aff_node_kind kind;
    struct aff_mark mark;
    char *text; /* of a scalar, with a NUL after it */
    size_t len;
    struct aff_document_entry *entries; /* of a list or map */
    size_t count, capacity;
    struct aff_document_node *next; /* all nodes of the document */
};

struct aff_document {
    struct aff_document_node *root; /* never NULL once it is read; an empty file is a NULL node */
    struct aff_document_node *all;
};

/* 0, or AFF_ECONFIG when it cannot be read as YAML; errors that leave a tree (a key given twice) are only reported. */
int aff_document_read(aff_bytes text, const struct aff_source *source, struct aff_document *ret_document);
void aff_document_fini(struct aff_document *document);

/* ---- for override.c ---- */

struct aff_document_node *aff_document_node_new(struct aff_document *document, enum aff_node_kind kind,
                                                struct aff_mark mark);
struct aff_document_node *aff_document_scalar_new(struct aff_document *document, aff_bytes text, bool quoted,
                                                  struct aff_mark mark);
void aff_document_add(struct aff_document_node *node, struct aff_document_entry entry);

static inline aff_bytes aff_document_text(const struct aff_document_node *node)
{
    return aff_bytes_of(node->text ? node->text : "", node->len);
}

/*
 * Lays "path=value" (a.b=c, http.0.listen=c) over the document as the number-th `--set`. What it passes through is
 * copied, so that other aliases of the same node do not change.
 */
void aff_document_override(struct aff_document *document, const struct aff_source *source, unsigned number,
                           const char *set);

#endif
