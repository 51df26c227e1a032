/*
 * member.h - who is a member: the name of an incarnation, the text of its znode `nodes/<name>-<seq>`, and the set of those that live.
 *
 * The text is a JSON object: {"v":1,"http":"host:port","peer":"host:port","zone":"","version":1,"features":0}. `features` is a number below
 * 2^63. Members of the object that are unknown are ignored; a form above 1 is refused (AFF_EREFUSED), since a later release would
 * only write it when it means something else.
 *
 * Pure: any thread.
 */
#ifndef AFF_COORDINATOR_MEMBER_H
#define AFF_COORDINATOR_MEMBER_H

#include "base/buf.h"
#include "coordinator/view.h"

#include <affinity/error.h>

enum {
    AFF_ZNODE_VERSION = 1,       /* of the form of each of our znodes */
    AFF_ZNODE_MAX = 1000 * 1000, /* bytes; ZooKeeper takes requests below 1 MiB (jute.maxbuffer) */
};

/* [a-z][a-z0-9_-]*, at most AFF_NODE_NAME_MAX */
bool aff_node_name_valid(const char *name);

/* Takes "n1-0000000007" apart; false when it is no such text. Both results may be NULL. */
bool aff_member_parse(const char *member, char ret_name[AFF_NODE_NAME_MAX + 1], uint32_t *ret_incarnation);
/* Puts it together. */
void aff_member_format(char ret_member[AFF_MEMBER_MAX + 1], const char *name, uint32_t incarnation);
/* Is it an incarnation of this node? */
bool aff_member_of(const char *member, const char *name);

/* Appends the text of `node`, whose name, incarnation and flags are no part of it. */
int aff_member_encode(const struct aff_view_node *node, struct aff_buf *out, aff_error *err);
/* `member` is the name of the znode. The node lives, and drains when its report says so. */
int aff_member_decode(const char *member, aff_bytes text, struct aff_view_node *ret_node, aff_error *err);

/*
 * The incarnations that live. A node may have several: the session of one that crashed has not ended yet. Then the
 * youngest is the node, and the others keep what they own until they are gone.
 */
struct aff_members {
    struct aff_view_node *nodes; /* in any order */
    size_t count;
};

bool aff_members_live(const struct aff_members *members, const char *member);
/* The youngest incarnation of the node, or NULL: it does not live. */
const struct aff_view_node *aff_members_find(const struct aff_members *members, const char *name);

#endif
