/*
 * kafka/entry.c - a message of librdkafka as an entry of the log; see kafka/reader.h. Pure; whoever has the message.
 */
#include "changelog/kafka/reader.h"

#include <string.h>

static aff_bytes view(const void *data, size_t len)
{
    static const char empty[1];
    return data ? aff_bytes_of(data, len) : aff_bytes_of(len ? NULL : empty, 0);
}

static void take_header(struct aff_entry *entry, const char *name, const void *value, size_t len)
{
    const struct {
        const char *name;
        aff_bytes *place;
    } known[] = {
        { "aff", &entry->aff },
        { "content-type", &entry->content_type },
        { "aff-event-time", &entry->event_time },
        { "traceparent", &entry->traceparent },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            *known[i].place = aff_bytes_of(value, value ? len : 0);
}

static void take_headers(const rd_kafka_message_t *message, struct aff_entry *entry)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;

    if (rd_kafka_message_headers(message, &headers))
        return; /* there are none, or they cannot be read: not a record of ours then */
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++)
        take_header(entry, name, value, len);
}

void aff_kafka_entry_of(const rd_kafka_message_t *message, struct aff_entry *ret_entry)
{
    rd_kafka_timestamp_type_t type;
    int64_t time_ms = rd_kafka_message_timestamp(message, &type);

    *ret_entry = (struct aff_entry){
        .offset = message->offset,
        .time_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? 0 : time_ms,
        .key = view(message->key, message->key_len),
        .value = aff_bytes_of(message->payload, message->payload ? message->len : 0),
    };
    take_headers(message, ret_entry);
}
