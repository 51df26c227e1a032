/*
 * headers.c - see headers.h.
 */
#include "http/headers.h"

#include "serde/media.h"

#include <stdlib.h>

#define NAME(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
static const struct {
    const char *text;
    size_t len;
} names[AFF_FIELDS] = {
    [AFF_FIELD_ACCEPT] = NAME("Accept"),
    [AFF_FIELD_ACCEPT_ENCODING] = NAME("Accept-Encoding"),
    [AFF_FIELD_IF_MATCH] = NAME("If-Match"),
    [AFF_FIELD_IF_NONE_MATCH] = NAME("If-None-Match"),
    [AFF_FIELD_PREFER] = NAME("Prefer"),
    [AFF_FIELD_CONTENT_TYPE] = NAME("Content-Type"),
    [AFF_FIELD_CONTENT_ENCODING] = NAME("Content-Encoding"),
    [AFF_FIELD_EXPECT] = NAME("Expect"),
    [AFF_FIELD_IDEMPOTENCY_KEY] = NAME("Idempotency-Key"),
    [AFF_FIELD_IF_MODIFIED_SINCE] = NAME("If-Modified-Since"),
    [AFF_FIELD_IF_UNMODIFIED_SINCE] = NAME("If-Unmodified-Since"),
    [AFF_FIELD_ORIGIN] = NAME("Origin"),
    [AFF_FIELD_REQUEST_METHOD] = NAME("Access-Control-Request-Method"),
    [AFF_FIELD_TRACEPARENT] = NAME("traceparent"),
    [AFF_FIELD_TTL] = NAME("Affinity-TTL"),
    [AFF_FIELD_EVENT_TIME] = NAME("Affinity-Event-Time"),
    [AFF_FIELD_CONSISTENCY] = NAME("Affinity-Consistency"),
};

void aff_headers_init(struct aff_headers *headers)
{
    memset(headers, 0, sizeof *headers);
}

void aff_headers_fini(struct aff_headers *headers)
{
    for (int i = 0; i < AFF_LIST_FIELDS; i++) {
        free(headers->joined[i]);
        headers->joined[i] = NULL;
    }
}

static void join(struct aff_headers *headers, int field, aff_bytes more)
{
    aff_bytes first = headers->field[field];
    char *list = malloc(first.len + 2 + more.len);
    if (!list) {
        headers->no_memory = true;
        return;
    }
    memcpy(list, first.data, first.len);
    memcpy(list + first.len, ", ", 2);
    if (more.len)
        memcpy(list + first.len + 2, more.data, more.len);
    free(headers->joined[field]);
    headers->joined[field] = list;
    headers->field[field] = aff_bytes_of(list, first.len + 2 + more.len);
}

void aff_headers_add(struct aff_headers *headers, aff_bytes name, aff_bytes value)
{
    for (int i = 0; i < AFF_FIELDS; i++) {
        if (names[i].len != name.len || !aff_same_word(name, names[i].text))
            continue;
        value = aff_trimmed(value);
        if (!headers->field[i].data)
            headers->field[i] = value;
        else if (i < AFF_LIST_FIELDS)
            join(headers, i, value);
        else
            headers->twice = names[i].text;
        return;
    }
}
