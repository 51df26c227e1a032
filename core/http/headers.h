/*
 * headers.h - the header fields of a request that we look at, collected in one pass.
 *
 * Views of libmicrohttpd's buffer: they live as long as its request. Lists that came in several lines are joined.
 */
#ifndef AFF_HTTP_HEADERS_H
#define AFF_HTTP_HEADERS_H

#include <affinity/bytes.h>
#include <stdint.h>

enum aff_field {
    /* lists: several lines are one list */
    AFF_FIELD_ACCEPT,
    AFF_FIELD_ACCEPT_ENCODING,
    AFF_FIELD_IF_MATCH,
    AFF_FIELD_IF_NONE_MATCH,
    AFF_FIELD_PREFER,
    AFF_FIELD_TRACEPARENT, /* two of them are an invalid one */
    AFF_LIST_FIELDS,
    /* the rest: a second one is an error */
    AFF_FIELD_CONTENT_TYPE = AFF_LIST_FIELDS,
    AFF_FIELD_CONTENT_ENCODING,
    AFF_FIELD_EXPECT,
    AFF_FIELD_IDEMPOTENCY_KEY,
    AFF_FIELD_IF_MODIFIED_SINCE,
    AFF_FIELD_IF_UNMODIFIED_SINCE,
    AFF_FIELD_ORIGIN,
    AFF_FIELD_REQUEST_METHOD, /* Access-Control-Request-Method */
    AFF_FIELD_TTL,
    AFF_FIELD_EVENT_TIME,
    AFF_FIELD_CONSISTENCY,
    AFF_FIELDS
};

struct aff_headers {
    aff_bytes field[AFF_FIELDS]; /* without spaces around; data NULL: it did not come */
    char *joined[AFF_LIST_FIELDS];
    const char *twice; /* the name of one that came twice and must not; NULL: none */
    bool no_memory;    /* for a joined list */
};

void aff_headers_init(struct aff_headers *headers);
void aff_headers_add(struct aff_headers *headers, aff_bytes name, aff_bytes value);
void aff_headers_fini(struct aff_headers *headers);

static inline bool aff_headers_have(const struct aff_headers *headers, enum aff_field field)
{
    return headers->field[field].data != NULL;
}

#endif
