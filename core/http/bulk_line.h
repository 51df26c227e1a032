/*
 * bulk_line.h - one line of a bulk write, taken apart.
 *
 *   {"key": "a", "value": {"n": 1.0}, "if_match": "\"0badcafe-3-100\"", "id": "7"}
 *   {"key64": "AP8=", "delete": true}
 *
 * doc/rest.md (Bulk writes) says what each member means. The line is checked whole: a member that is not known, stands twice or
 * contradicts another is a fault. Nothing of the text is changed or copied but strings with escapes; a value is a view of it.
 *
 * Pure; any thread.
 */
#ifndef AFF_HTTP_BULK_LINE_H
#define AFF_HTTP_BULK_LINE_H

#include "http/conditional.h"

enum { AFF_BULK_TYPE_MAX = 255, AFF_BULK_ID_MAX = 255, AFF_BULK_DETAIL_MAX = 192 };

struct aff_bulk_line {
    bool deletes;
    aff_bytes key_text; /* as it stands in the line, with its quotes; data NULL: the line was no object with a key */
    bool key64;         /* key_text is base64 */
    aff_bytes key;      /* a view of the line or of key_room */
    aff_bytes value;    /* of a put: a view of the line; `encoded`: base64 that is well formed, see aff_bulk_decode() */
    bool encoded;
    aff_bytes type; /* of a put; a view of the line, of type_room or constant */
    bool is_json;   /* it is a type of JSON. A value that is not encoded is JSON then, an encoded one may not be */
    bool match_any, has_match, none_match_any;
    unsigned match_count; /* 0: a tag that can be none of ours */
    struct aff_etag match;
    aff_bytes id;       /* data NULL: none */
    int64_t ttl_ms;     /* 0: none */
    int64_t expires_ms; /* AFF_NO_TIME: none */
    int64_t event_ms;   /* AFF_NO_TIME: none */
    /* as they stand in the line, for the digest of an identified request; strings without quotes. data NULL: absent */
    aff_bytes match_text, none_match_text, life_text, event_text;

    unsigned char key_room[AFF_KEY_MAX];
    char type_room[AFF_BULK_TYPE_MAX], id_room[AFF_BULK_ID_MAX], match_room[AFF_ETAG_TEXT_MAX * 2];
    char detail[AFF_BULK_DETAIL_MAX]; /* of a fault */
};

/* Nothing but spaces, tabs and a CR: no line. */
bool aff_bulk_line_empty(aff_bytes text);
/* 0, or AFF_EJSON or AFF_EINVAL with `detail`. `depth`: of the arrays and objects in a value. `now_ms`: wall clock. */
int aff_bulk_line_parse(aff_bytes text, unsigned depth, int64_t now_ms, struct aff_bulk_line *ret_line);

/* The bytes of well-formed base64: how many they are, and the bytes themselves; `to` may be the text itself. */
size_t aff_bulk_decoded_length(aff_bytes text);
void aff_bulk_decode(aff_bytes text, unsigned char *to);

#endif
