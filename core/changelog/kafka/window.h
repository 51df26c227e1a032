/*
 * kafka/window.h - the stretch of a partition that was read and not handed over yet. The reader's thread.
 *
 * Everything that the log has from `base` to below `position` is in it, in order; holes are covered like entries.
 */
#ifndef AFF_CHANGELOG_KAFKA_WINDOW_H
#define AFF_CHANGELOG_KAFKA_WINDOW_H

#include "changelog/changelog.h"

#include <librdkafka/rdkafka.h>

struct aff_kafka_window {
    int64_t base, position;
    size_t count;
    size_t bytes; /* of keys and values */

    rd_kafka_message_t **ring;
    size_t head, capacity;
};

void aff_kafka_window_init(struct aff_kafka_window *w);
void aff_kafka_window_fini(struct aff_kafka_window *w);

/* Empties it and puts it somewhere else. */
void aff_kafka_window_move(struct aff_kafka_window *w, int64_t position);
/* Drops what is below `from`; false when that is not covered. */
bool aff_kafka_window_skip(struct aff_kafka_window *w, int64_t from);
/* Takes the message at or above `position`; what is below was read already: false, it is the caller's still. */
bool aff_kafka_window_add(struct aff_kafka_window *w, rd_kafka_message_t *message);
/* There is nothing from `position` to below this offset. */
void aff_kafka_window_reach(struct aff_kafka_window *w, int64_t offset);

/*
 * Takes messages off the front, about `max_bytes` of keys and values but at least one when there is one, `room` at most.
 * Returns how many; everything below the new `base` is taken.
 */
size_t aff_kafka_window_take(struct aff_kafka_window *w, size_t max_bytes, size_t room, rd_kafka_message_t **messages);
/* Puts back what was taken last, which began at `base`. */
void aff_kafka_window_untake(struct aff_kafka_window *w, rd_kafka_message_t **messages, size_t count, int64_t base);

#endif
