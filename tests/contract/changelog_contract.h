/*
 * changelog_contract.h - what the files of the contract suite of the changelog share.
 */
#ifndef AFF_TESTS_CONTRACT_CHANGELOG_CONTRACT_H
#define AFF_TESTS_CONTRACT_CHANGELOG_CONTRACT_H

#include "lib/changelog_client.h"
#include "changelog_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CONTRACT_START_MS INT64_C(1767225600000) /* 2026-01-01 */

/* A topic's name in this world. */
struct contract_name {
    char text[64];
};
struct contract_name contract_name(const struct contract_world *w, const char *topic);

int contract_set_up(void **state); /* the driver comes in *state, the world goes out */
int contract_tear_down(void **state);
void contract_restart(struct contract_world *w);
void contract_topic_of(struct contract_world *w, const struct aff_topic *topic);
void contract_topic(struct contract_world *w, const char *name, uint32_t partitions); /* one that is compacted */
struct client *contract_open(struct contract_world *w, const char *topic, uint32_t partition, struct client *loop_of);
void contract_close(struct contract_world *w, struct client *c); /* fails the test when it saw what may never be */
size_t contract_compact(struct contract_world *w, const char *topic, uint32_t partition);
/* Entries that a client has seen, but for those of contract_compact(). */
size_t contract_seen(const struct client *c);
/* Skips the test when the driver's property is false; `instead` says what stands in for it. */
void contract_needs(bool property, const char *what, const char *instead);

static inline void contract_assert_bytes(aff_bytes a, aff_bytes b)
{
    assert_int_equal(a.data == NULL, b.data == NULL);
    assert_true(aff_bytes_equal(a, b));
}
/* Key, value and headers; not offset and time. */
static inline void contract_assert_same(const struct aff_entry *a, const struct aff_entry *b)
{
    contract_assert_bytes(a->key, b->key);
    contract_assert_bytes(a->value, b->value);
    contract_assert_bytes(a->aff, b->aff);
    contract_assert_bytes(a->content_type, b->content_type);
    contract_assert_bytes(a->event_time, b->event_time);
    contract_assert_bytes(a->traceparent, b->traceparent);
}

/* Many keys, written many times. */
enum { CONTRACT_KEYS = 10, CONTRACT_ROUNDS = 30, CONTRACT_ALL = CONTRACT_KEYS * CONTRACT_ROUNDS };
void contract_fill(struct client *c);

/* The number of failures. */
int contract_compaction_tests(const struct changelog_driver *driver);
int contract_real_time_tests(const struct changelog_driver *driver); /* for drivers whose clock does not move */

#endif
