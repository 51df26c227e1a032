/*
 * list.h - an intrusive, doubly linked, circular list.
 *
 * The links are embedded in the things that are listed, so putting something on a list allocates nothing and cannot
 * fail. A list belongs to one thread.
 */
#ifndef AFF_BASE_LIST_H
#define AFF_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The struct that holds `member` at `ptr`. */
#define aff_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct aff_list {
    struct aff_list *prev, *next;
};

static inline void aff_list_init(struct aff_list *l)
{
    l->prev = l->next = l;
}

/* True for an empty head and for a node that is on no list. */
static inline bool aff_list_empty(const struct aff_list *l)
{
    return l->next == l;
}

static inline void aff_list_append(struct aff_list *head, struct aff_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Leaves the node on no list; removing it again is harmless. */
static inline void aff_list_remove(struct aff_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    aff_list_init(node);
}

/* The first node, or NULL. */
static inline struct aff_list *aff_list_first(const struct aff_list *head)
{
    return aff_list_empty(head) ? NULL : head->next;
}

/* Takes the first node off the list, or returns NULL. */
static inline struct aff_list *aff_list_take(struct aff_list *head)
{
    struct aff_list *node = aff_list_first(head);
    if (node)
        aff_list_remove(node);
    return node;
}

/* Moves every node of `from` to the end of `to`, keeping their order. */
static inline void aff_list_splice(struct aff_list *to, struct aff_list *from)
{
    if (aff_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    aff_list_init(from);
}

/* Visits every node; `node` may be removed (and freed) by the body. */
#define aff_list_each(node, head)                                                                                      \
    for (struct aff_list *node = (head)->next, *node##_next = node->next; node != (head);                              \
         node = node##_next, node##_next = node->next)

#endif
