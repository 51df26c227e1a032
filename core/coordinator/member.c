/*
 * member.c - see member.h.
 */
#include "coordinator/member.h"

#include "coordinator/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 10 };

bool aff_node_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (!len || len > AFF_NODE_NAME_MAX || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

bool aff_member_parse(const char *member, char ret_name[AFF_NODE_NAME_MAX + 1], uint32_t *ret_incarnation)
{
    char name[AFF_NODE_NAME_MAX + 1];
    size_t len = strlen(member), name_len;
    uint64_t incarnation = 0;

    if (len < DIGITS + 2 || len > AFF_NODE_NAME_MAX + 1 + DIGITS || member[len - DIGITS - 1] != '-')
        return false;
    name_len = len - DIGITS - 1;
    memcpy(name, member, name_len);
    name[name_len] = '\0';
    for (const char *at = member + name_len + 1; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        incarnation = incarnation * 10 + (uint64_t)(*at - '0');
    }
    if (incarnation > UINT32_MAX || !aff_node_name_valid(name))
        return false;
    if (ret_name)
        memcpy(ret_name, name, name_len + 1);
    if (ret_incarnation)
        *ret_incarnation = (uint32_t)incarnation;
    return true;
}

void aff_member_format(char ret_member[AFF_MEMBER_MAX + 1], const char *name, uint32_t incarnation)
{
    (void)snprintf(ret_member, AFF_MEMBER_MAX + 1, "%.*s-%010" PRIu32, (int)AFF_NODE_NAME_MAX, name, incarnation);
}

bool aff_member_of(const char *member, const char *name)
{
    size_t len = strlen(name);

    return strlen(member) == len + 1 + DIGITS && memcmp(member, name, len) == 0 && member[len] == '-';
}

int aff_member_encode(const struct aff_view_node *node, struct aff_buf *out, aff_error *err)
{
    json_t *object = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I}", "v", (int)AFF_ZNODE_VERSION, "http", node->http,
                               "peer", node->peer, "zone", node->zone, "version", (json_int_t)node->version, "features",
                               (json_int_t)(node->features & INT64_MAX));

    return aff_text_write(object, "the member", out, err);
}

int aff_member_decode(const char *member, aff_bytes text, struct aff_view_node *ret_node, aff_error *err)
{
    struct aff_view_node node = { .live = true };
    struct aff_text_place place = { .what = member, .partition = -1 };
    json_t *object = NULL;
    uint64_t version = 0;
    int rc = 0;

    if (!aff_member_parse(member, node.name, &node.incarnation))
        return aff_fail_with(err, AFF_ECORRUPT,
                             "\"%.80s\" is not the name of a member: it should be <name>-<10 digits>", member);
    rc = aff_text_read(text, member, &object, err);
    if (rc)
        return rc;
    rc = aff_text_string(object, "http", &place, node.http, sizeof node.http, err);
    rc = rc ? rc : aff_text_string(object, "peer", &place, node.peer, sizeof node.peer, err);
    rc = rc ? rc : aff_text_string(object, "zone", &place, node.zone, sizeof node.zone, err);
    rc = rc ? rc : aff_text_number(object, "version", &place, UINT32_MAX, &version, err);
    rc = rc ? rc : aff_text_number(object, "features", &place, INT64_MAX, &node.features, err);
    json_decref(object);
    if (rc)
        return rc;
    node.version = (uint32_t)version;
    *ret_node = node;
    return 0;
}

bool aff_members_live(const struct aff_members *members, const char *member)
{
    char name[AFF_NODE_NAME_MAX + 1];
    uint32_t incarnation = 0;

    if (!aff_member_parse(member, name, &incarnation))
        return false;
    for (size_t i = 0; i < members->count; i++)
        if (members->nodes[i].incarnation == incarnation && strcmp(members->nodes[i].name, name) == 0)
            return true;
    return false;
}

const struct aff_view_node *aff_members_find(const struct aff_members *members, const char *name)
{
    const struct aff_view_node *youngest = NULL;

    for (size_t i = 0; i < members->count; i++) {
        const struct aff_view_node *node = &members->nodes[i];
        if (strcmp(node->name, name) == 0 && (!youngest || node->incarnation > youngest->incarnation))
            youngest = node;
    }
    return youngest;
}
