/*
 * changelog_recovery_test.c - what a start makes of a data folder: torn ends at every byte, flipped bits everywhere, files
 * that are left over, missing or not ours.
 */
#include "changelog/embedded/format.h"
#include "changelog/embedded/segment.h"
#include "journal_folder.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 64 };
#define FIRST "0000000000000001.journal"

/* A small journal of one segment, as bytes, with the places of its batches. */
struct small {
    unsigned char *data;
    size_t len, at[MOST], count;
};

static struct small make_small(struct folder *f, unsigned entries)
{
    struct small s;
    struct aff_changelog *log = folder_open(f);
    folder_fill(log, 0, entries);
    log->ops->free(log);
    s.data = folder_read(f, FIRST, &s.len);
    s.count = folder_batches(s.data, s.len, s.at, MOST);
    assert_int_equal(s.count, entries);
    assert_int_equal(s.at[s.count], s.len); /* what was allocated ahead is given back at the end */
    return s;
}

/* Starts and counts; -1 when the start is refused with AFF_ECORRUPT and a place. */
static int count_after_start(struct folder *f)
{
    struct aff_changelog *log = NULL;
    const struct aff_topic topic = { FOLDER_TOPIC, FOLDER_PARTITIONS, 1000, 1000, true };
    aff_error err = { 0 };
    int rc = folder_start(f, &log, &err);
    if (rc) {
        assert_int_equal(rc, AFF_ECORRUPT);
        assert_non_null(strstr(err.text, f->path));
        return -1;
    }
    rc = log->ops->topic(log, &topic, &err);
    assert_int_equal(rc, 0);
    int count = (int)folder_count(log);
    log->ops->free(log);
    return count;
}

/* ---- torn ends ---- */

static void a_batch_torn_at_any_byte_is_cut_off(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 4);
    unsigned char *torn = calloc(1, s.len + 4096);

    for (size_t cut = s.at[3]; cut < s.len; cut++)
        for (int padded = 0; padded < 2; padded++) { /* the file ends there, or space was allocated behind */
            char place[64];
            memset(torn, 0, s.len + 4096);
            memcpy(torn, s.data, cut);
            folder_write(f, FIRST, torn, padded ? s.len + 4096 : cut);
            folder_forget_log(f);
            if (padded && memcmp(torn, s.data, s.len) == 0) { /* nothing is missing but zeros */
                assert_int_equal(count_after_start(f), 4);
                continue;
            }
            assert_int_equal(count_after_start(f), 3);
            size_t end = cut;
            while (end > s.at[3] && torn[end - 1] == 0)
                end--;
            (void)snprintf(place, sizeof place, "position=%zu bytes=%zu", s.at[3], end - s.at[3]);
            if (cut > s.at[3])
                assert_true(folder_logged(f, "event=changelog.tail-cut", place));
            assert_int_equal(folder_logged(f, "changelog.tail-cut", ""), cut > s.at[3]);

            folder_forget_log(f); /* it was cut for good */
            assert_int_equal(count_after_start(f), 3);
            assert_false(folder_logged(f, "changelog.tail-cut", ""));
        }
    free(torn);
    free(s.data);
}

/* Sectors of one write can reach the disk in any order: the end may be there and the beginning not. */
static void a_batch_with_a_hole_is_cut_off(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 4);
    unsigned char *torn = malloc(s.len);

    for (size_t from = s.at[3]; from < s.len; from += 8) {
        memcpy(torn, s.data, s.len);
        memset(torn + s.at[3], 0, from + 8 - s.at[3]);
        folder_write(f, FIRST, torn, s.len);
        assert_int_equal(count_after_start(f), 3);
    }
    free(torn);
    free(s.data);
}

/* Two batches of one round: the first one torn, the second one whole. Neither was acknowledged, and the second one must not
 * come back when another batch takes the place of the first. */
static void a_whole_batch_behind_a_torn_one_of_the_same_round_goes_too(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 4);
    struct aff_batch_head head;

    aff_bytes last = aff_bytes_of(s.data + s.at[3], s.len - s.at[3]);
    assert_true(aff_batch_head_get(last, 1, s.at[3], &head));
    head.durable = s.at[2]; /* as if written with the one before, without a sync in between */
    uint32_t crc = aff_batch_head_put(s.data + s.at[3], &head);
    aff_batch_crc_put(s.data + s.at[3],
                      aff_batch_crc(crc, s.data + s.at[3] + AFF_BATCH_HEAD, head.length - AFF_BATCH_HEAD));
    folder_write(f, FIRST, s.data, s.len);
    assert_int_equal(count_after_start(f), 4); /* both whole */

    s.data[s.at[2] + AFF_BATCH_HEAD + 5] ^= 1;
    folder_write(f, FIRST, s.data, s.len);
    assert_int_equal(count_after_start(f), 2);
    struct aff_changelog *log = folder_open(f);
    folder_fill(log, 2, 3); /* of the same length */
    log->ops->free(log);
    assert_int_equal(count_after_start(f), 3);
    free(s.data);
}

static void appends_go_on_behind_a_cut(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 3);

    folder_write(f, FIRST, s.data, s.len - 9);
    struct aff_changelog *log = folder_open(f);
    folder_fill(log, 2, 5);
    log->ops->free(log);
    assert_int_equal(count_after_start(f), 5);
    free(s.data);
}

/* ---- damage ---- */

static void a_flipped_bit_is_never_accepted(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 4);
    unsigned refused = 0, cut = 0;

    for (size_t byte = 0; byte < s.len; byte++) {
        unsigned char bit = (unsigned char)(1u << byte % 8);
        s.data[byte] ^= bit;
        folder_write(f, FIRST, s.data, s.len);
        s.data[byte] ^= bit;
        int count = count_after_start(f);
        if (count < 0) {
            size_t len; /* a start that is refused changes nothing */
            unsigned char *now = folder_read(f, FIRST, &len);
            assert_int_equal(len, s.len);
            now[byte] ^= bit;
            assert_memory_equal(now, s.data, len);
            free(now);
            refused++;
            assert_true(byte < s.at[3]);
        } else {
            assert_true(byte >= s.at[3]); /* only the last batch can be taken for a torn write */
            assert_int_equal(count, 3);
            cut++;
        }
    }
    assert_int_equal(refused + cut, s.len);
    free(s.data);
}

static void damage_is_named_with_file_and_place(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 4);
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    char place[64];

    s.data[s.at[1] + 60] ^= 4;
    folder_write(f, FIRST, s.data, s.len);
    assert_int_equal(folder_start(f, &log, &err), AFF_ECORRUPT);
    assert_non_null(strstr(err.text, FIRST));
    (void)snprintf(place, sizeof place, "at byte %zu:", s.at[1]);
    assert_non_null(strstr(err.text, place));
    free(s.data);
}

/* The checksum is right and the content is not: no torn write does that. */
static void a_batch_that_no_release_wrote_is_refused(void **state)
{
    static const struct {
        size_t at; /* in the entry */
        unsigned char value;
    } changes[] = {
        { 3, 9 },     /* a topic that there is not */
        { 7, 200 },   /* a partition that there is not */
        { 15, 0 },    /* an offset that was there before */
        { 8, 0x80 },  /* a negative one */
        { 27, 0 },    /* an empty key */
        { 24, 0x7f }, /* a key longer than the batch */
        { 31, 1 },    /* a value that leaves too much behind it */
    };
    struct folder *f = *state;
    struct small s = make_small(f, 3);

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        unsigned char *changed = malloc(s.len), *batch = changed + s.at[2];
        struct aff_batch_head head;
        memcpy(changed, s.data, s.len);
        assert_true(aff_batch_head_get(aff_bytes_of(batch, s.len - s.at[2]), 1, s.at[2], &head));
        batch[AFF_BATCH_HEAD + changes[i].at] = changes[i].value;
        uint32_t crc = aff_batch_head_put(batch, &head);
        aff_batch_crc_put(batch, aff_batch_crc(crc, batch + AFF_BATCH_HEAD, head.length - AFF_BATCH_HEAD));
        folder_write(f, FIRST, changed, s.len);
        if (count_after_start(f) != -1)
            fail_msg("change %zu was accepted", i);
        free(changed);
    }
    free(s.data);
}

/* ---- several segments ---- */

/* Four entries and more in segments of a batch or two each; returns the number of segments. */
static size_t make_segments(struct folder *f, unsigned entries, char names[MOST][32])
{
    f->opts.segment_bytes = 200;
    struct aff_changelog *log = folder_open(f);
    folder_fill(log, 0, entries);
    log->ops->free(log);
    size_t count = folder_segments(f, names, MOST);
    assert_true(count >= 3);
    return count;
}

static void sealed_segments_are_read_back(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];

    make_segments(f, 20, names);
    assert_int_equal(count_after_start(f), 20);
    struct aff_changelog *log = folder_open(f);
    folder_fill(log, 20, 25);
    log->ops->free(log);
    assert_int_equal(count_after_start(f), 25);
}

static void a_flipped_bit_of_a_sealed_segment_is_refused(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];
    size_t len;

    make_segments(f, 6, names);
    unsigned char *data = folder_read(f, names[1], &len);
    for (size_t byte = 0; byte < len; byte++) {
        data[byte] ^= 0x10;
        folder_write(f, names[1], data, len);
        data[byte] ^= 0x10;
        if (count_after_start(f) != -1)
            fail_msg("a bit of byte %zu of %zu was accepted", byte, len);
    }
    folder_write(f, names[1], data, len);
    assert_int_equal(count_after_start(f), 6);
    free(data);
}

static void a_sealed_segment_cut_short_is_refused(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];
    size_t len;

    make_segments(f, 6, names);
    unsigned char *data = folder_read(f, names[0], &len);
    for (size_t cut = 0; cut < len; cut++) {
        folder_write(f, names[0], data, cut);
        if (count_after_start(f) != -1)
            fail_msg("%zu bytes of %zu were accepted", cut, len);
    }
    free(data);
}

static void a_missing_segment_is_refused(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];
    size_t len, count = make_segments(f, 12, names);

    for (size_t i = 0; i + 1 < count; i++) {
        unsigned char *data = folder_read(f, names[i], &len);
        folder_remove(f, names[i]);
        assert_int_equal(count_after_start(f), -1);
        folder_write(f, names[i], data, len);
        free(data);
    }
    assert_int_equal(count_after_start(f), 12);
}

/* The process died while it made the next segment: the file is there in any state, and the one before has no END. */
static void a_segment_that_was_being_made_is_removed(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 3);
    unsigned char head[128] = { 0 };
    static const size_t lengths[] = { 0, 10, AFF_SEGMENT_HEAD, 64 };

    aff_segment_head_put(head, (struct aff_segment_head){ 2, 2 });
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        folder_write(f, "0000000000000002.journal", head, lengths[i]);
        assert_int_equal(count_after_start(f), 3);
        assert_false(folder_has(f, "0000000000000002.journal"));
        folder_write(f, "0000000000000002.journal", head + 40, lengths[i] / 2); /* not even its header */
        assert_int_equal(count_after_start(f), 3);
        assert_false(folder_has(f, "0000000000000002.journal"));
    }
    free(s.data);
}

/* The same, and the END was written already: the new one is the one to go on with. */
static void a_segment_that_was_made_behind_an_end_is_used(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];
    unsigned char head[AFF_SEGMENT_HEAD];

    size_t count = make_segments(f, 7, names);
    size_t len;
    unsigned char *data = folder_read(f, names[count - 1], &len);
    size_t at[MOST];
    bool empty = folder_batches(data, len, at, MOST) == 0;
    free(data);
    if (!empty) { /* seal it: one more than fits */
        struct aff_changelog *log = folder_open(f);
        folder_fill(log, 7, 9);
        log->ops->free(log);
        count = folder_segments(f, names, MOST);
    }
    unsigned entries = (unsigned)count_after_start(f);
    aff_segment_head_put(head, (struct aff_segment_head){ count, count });
    folder_remove(f, names[count - 1]);
    unsigned before = (unsigned)count_after_start(f); /* the END stands alone: the next one is made */
    assert_true(before <= entries);
    assert_true(folder_has(f, names[count - 1]));
    folder_write(f, names[count - 1], head, 12); /* the header did not get there */
    assert_int_equal(count_after_start(f), before);
    assert_true(folder_has(f, names[count - 1]));
}

static void what_a_merge_left_over_is_removed(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];
    size_t len, merged_len, at[MOST];
    struct aff_batch_head head;

    make_segments(f, 8, names);
    unsigned char *first = folder_read(f, names[0], &len);
    unsigned char *merged = calloc(1, 4096);
    memcpy(merged, first, len);
    /* Segment 1 as a merge of 1 and 2 would be: it covers both, and has the batches of 2 behind its own. */
    aff_segment_head_put(merged, (struct aff_segment_head){ 1, 2 });
    size_t count = folder_batches(merged, len, at, MOST), end = at[count - 1], len2, at2[MOST];
    unsigned char *second = folder_read(f, names[1], &len2);
    size_t count2 = folder_batches(second, len2, at2, MOST);
    for (size_t i = 0; i < count2; i++) {
        assert_true(aff_batch_head_get(aff_bytes_of(second + at2[i], len2 - at2[i]), 2, at2[i], &head));
        head.segment = 1;
        head.position = head.durable = end;
        memcpy(merged + end, second + at2[i], head.length);
        uint32_t crc = aff_batch_head_put(merged + end, &head);
        aff_batch_crc_put(merged + end,
                          aff_batch_crc(crc, merged + end + AFF_BATCH_HEAD, head.length - AFF_BATCH_HEAD));
        end += head.length;
    }
    merged_len = end;
    folder_write(f, names[0], merged, merged_len);
    folder_write(f, "0000000000000005.journal.tmp", merged, 100);
    assert_int_equal(count_after_start(f), 8);
    assert_false(folder_has(f, names[1]));
    assert_false(folder_has(f, "0000000000000005.journal.tmp"));
    assert_int_equal(count_after_start(f), 8);
    free(first);
    free(second);
    free(merged);
}

/* ---- topics ---- */

static void a_damaged_topics_file_is_refused(void **state)
{
    struct folder *f = *state;
    struct small s = make_small(f, 2);
    size_t len;
    unsigned char *topics = folder_read(f, "topics", &len);

    for (size_t byte = 0; byte < len; byte++) {
        topics[byte] ^= 1;
        folder_write(f, "topics", topics, len);
        topics[byte] ^= 1;
        if (count_after_start(f) != -1)
            fail_msg("a bit of byte %zu was accepted", byte);
    }
    for (size_t cut = 0; cut < len; cut++) {
        folder_write(f, "topics", topics, cut);
        if (count_after_start(f) != -1)
            fail_msg("%zu bytes of %zu were accepted", cut, len);
    }
    folder_remove(f, "topics");
    assert_int_equal(count_after_start(f), -1); /* entries of a topic that nobody knows */
    folder_write(f, "topics", topics, len);
    folder_write(f, "topics.tmp", "half", 4);
    assert_int_equal(count_after_start(f), 2);
    free(topics);
    free(s.data);
}

static void topics_keep_their_numbers(void **state)
{
    struct folder *f = *state;
    struct aff_changelog *log = folder_open(f);
    const struct aff_topic more[] = { { "a.second", 5, 0, 0, false }, { "a.third", 1, 0, 0, false } };
    size_t len;

    for (int i = 0; i < 2; i++)
        assert_int_equal(log->ops->topic(log, &more[i], NULL), 0);
    log->ops->free(log);
    char *topics = (char *)folder_read(f, "topics", &len);
    topics[len] = '\0';
    assert_non_null(strstr(topics, "affinity topics 1\n1 3 test.topic\n2 5 a.second\n3 1 a.third\ncrc32 "));
    free(topics);
    assert_int_equal(count_after_start(f), 0);
}

/* ---- the documented bytes ---- */

static void the_documented_bytes_are_what_is_written(void **state)
{
    static const unsigned char aff[] = { 1, 2, 3 };
    const struct aff_entry entries[] = {
        { .key = aff_str("alice"),
          .value = aff_str("{}"),
          .aff = aff_bytes_of(aff, sizeof aff),
          .content_type = aff_str("application/json") },
        { .key = aff_str("bob") },
    };
    struct folder *f = *state;
    struct aff_changelog *log = folder_open(f);
    struct client c;
    size_t len;

    assert_true(client_open(&c, log, FOLDER_TOPIC, 2, NULL));
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(client_append(&c, &entries[i], i), 0);
    assert_true(client_await_reports(&c, 2));
    client_close(&c);
    log->ops->free(log);
    unsigned char *data = folder_read(f, FIRST, &len);
    vector_assert("segment-header", aff_bytes_of(data, AFF_SEGMENT_HEAD));
    vector_assert("batch", aff_bytes_of(data + AFF_SEGMENT_HEAD, len - AFF_SEGMENT_HEAD));
    free(data);
    data = folder_read(f, "topics", &len);
    vector_assert("topics", aff_bytes_of(data, len));
    free(data);
}

static void the_documented_end_is_what_is_written(void **state)
{
    struct folder *f = *state;
    char names[MOST][32];
    size_t len, at[MOST];

    make_segments(f, 6, names);
    unsigned char *data = folder_read(f, names[0], &len);
    size_t count = folder_batches(data, len, at, MOST);
    vector_assert("batch-end", aff_bytes_of(data + at[count - 1], len - at[count - 1]));
    free(data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_torn_at_any_byte_is_cut_off),
        TEST(a_batch_with_a_hole_is_cut_off),
        TEST(a_whole_batch_behind_a_torn_one_of_the_same_round_goes_too),
        TEST(appends_go_on_behind_a_cut),
        TEST(a_flipped_bit_is_never_accepted),
        TEST(damage_is_named_with_file_and_place),
        TEST(a_batch_that_no_release_wrote_is_refused),
        TEST(sealed_segments_are_read_back),
        TEST(a_flipped_bit_of_a_sealed_segment_is_refused),
        TEST(a_sealed_segment_cut_short_is_refused),
        TEST(a_missing_segment_is_refused),
        TEST(a_segment_that_was_being_made_is_removed),
        TEST(a_segment_that_was_made_behind_an_end_is_used),
        TEST(what_a_merge_left_over_is_removed),
        TEST(a_damaged_topics_file_is_refused),
        TEST(topics_keep_their_numbers),
        TEST(the_documented_bytes_are_what_is_written),
        TEST(the_documented_end_is_what_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
