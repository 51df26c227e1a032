/*
 * cursor.c - see cursor.h.
 */
#include "http/cursor.h"

#include "base/base64.h"
#include "base/buf.h"

enum { VERSION = 1, ORDER_AT = 1, QUERY_AT = 2, QUERY_LEN = 8, KEY_AT = 10, CHECK_LEN = 4 };

_Static_assert((KEY_AT + AFF_KEY_MAX + CHECK_LEN + 2) / 3 * 4 == AFF_CURSOR_TEXT_MAX,
               "the text of the longest key fits");

size_t aff_cursor_print(struct aff_cursor_of_scan scan, aff_bytes key, char out[AFF_CURSOR_TEXT_MAX])
{
    unsigned char bytes[KEY_AT + AFF_KEY_MAX + CHECK_LEN];
    size_t len = KEY_AT + key.len;
    bytes[0] = VERSION;
    bytes[ORDER_AT] = scan.reverse;
    memcpy(bytes + QUERY_AT, scan.query.b, QUERY_LEN);
    memcpy(bytes + KEY_AT, key.data, key.len);
    aff_put_u32(bytes + len, aff_crc32(0, bytes, len));
    return (size_t)(aff_base64url_put(out, aff_bytes_of(bytes, len + CHECK_LEN)) - out);
}

const char *aff_cursor_parse(aff_bytes text, struct aff_cursor_of_scan scan, unsigned char key[AFF_KEY_MAX],
                             size_t *ret_len)
{
    unsigned char bytes[KEY_AT + AFF_KEY_MAX + CHECK_LEN];
    size_t len;
    if (!aff_base64url_take(text, bytes, sizeof bytes, &len) || len <= KEY_AT + CHECK_LEN ||
        aff_get_u32(bytes + len - CHECK_LEN) != aff_crc32(0, bytes, len - CHECK_LEN))
        return "`cursor` is none of ours: take it from the `next` of a page, unchanged";
    if (bytes[0] != VERSION)
        return "`cursor` has a form that this version does not know: begin without it";
    if (bytes[ORDER_AT] != scan.reverse)
        return "`cursor` is of a scan in the other `order`: begin without it, or ask in the same order";
    if (memcmp(bytes + QUERY_AT, scan.query.b, QUERY_LEN) != 0)
        return "`cursor` is of another scan: keyspace, its parameters must be those of the page that it came with";
    *ret_len = len - KEY_AT - CHECK_LEN;
    memcpy(key, bytes + KEY_AT, *ret_len);
    return NULL;
}
