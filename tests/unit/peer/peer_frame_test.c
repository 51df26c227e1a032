/* peer_frame_test.c - the layout of peer/frame.h: the examples of doc/peers.md byte for byte, and what is no frame. */
#include "fixture.h"

#include <string.h>

static const struct {
    struct aff_frame frame;
    const char *body;
    const char *bytes; /* hexadecimal, as in doc/peers.md */
} examples[] = {
    { { .type = AFF_FRAME_QUESTION, .kind = 3, .id = 258, .left_us = 2500000 },
      "hello",
      "00000015"
      "02"
      "03"
      "0000"
      "0000000000000102"
      "002625a0"
      "68656c6c6f" },
    { { .type = AFF_FRAME_ANSWER, .id = 258 },
      "world!",
      "00000012"
      "03"
      "00"
      "0000"
      "0000000000000102"
      "776f726c6421" },
    { { .type = AFF_FRAME_REFUSED, .kind = AFF_REFUSAL_FULL, .id = 259 },
      "",
      "0000000c"
      "04"
      "02"
      "0000"
      "0000000000000103" },
    { { .type = AFF_FRAME_GOODBYE },
      "",
      "0000000c"
      "05"
      "00"
      "0000"
      "0000000000000000" },
    { { .type = AFF_FRAME_PING },
      "",
      "0000000c"
      "06"
      "00"
      "0000"
      "0000000000000000" },
    { { .type = AFF_FRAME_PONG },
      "",
      "0000000c"
      "07"
      "00"
      "0000"
      "0000000000000000" },
    { { .type = AFF_FRAME_VOID, .kind = 3, .id = 258 },
      "",
      "0000000c"
      "08"
      "03"
      "0000"
      "0000000000000102" },
    { { .type = AFF_FRAME_TURN_AWAY },
      "no",
      "0000000e"
      "09"
      "00"
      "0000"
      "0000000000000000"
      "6e6f" },
};

static const char hello_example[] = "0000002f"
                                    "01"
                                    "00"
                                    "0000"
                                    "0000000000000000"
                                    "41464650"
                                    "0001"
                                    "0001"
                                    "0000000000000005"
                                    "04"
                                    "64656d6f"
                                    "0d"
                                    "6e312d30303030303030303037";

static size_t bytes_of(const char *hex, unsigned char *to)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        const char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        to[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return len;
}

static ssize_t read_frame(const void *data, size_t len, struct aff_frame *ret_frame, const char **ret_why)
{
    size_t size;
    *ret_why = NULL;
    return aff_frame_read(aff_bytes_of(data, len), ret_frame, &size, ret_why);
}

static void frames_are_written_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        unsigned char wanted[64], got[64];
        size_t len = bytes_of(examples[i].bytes, wanted), body = strlen(examples[i].body);
        size_t head = aff_frame_head(got, &examples[i].frame, body);
        memcpy(got + head, examples[i].body, body);
        assert_int_equal(head + body, len);
        assert_memory_equal(got, wanted, len);
    }
}

static void frames_are_read_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        unsigned char bytes[80];
        struct aff_frame frame;
        const char *why;
        size_t len = bytes_of(examples[i].bytes, bytes);
        bytes[len] = 0xff; /* of the next frame */
        assert_int_equal(read_frame(bytes, len + 1, &frame, &why), len);
        assert_int_equal(frame.type, examples[i].frame.type);
        assert_int_equal(frame.kind, examples[i].frame.kind);
        assert_int_equal(frame.id, examples[i].frame.id);
        assert_int_equal(frame.left_us, examples[i].frame.left_us);
        assert_true(aff_bytes_equal(frame.body, aff_str(examples[i].body)));
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(read_frame(bytes, cut, &frame, &why), 0);
    }
}

static void the_size_is_known_from_the_length(void **state)
{
    (void)state;
    unsigned char bytes[80];
    struct aff_frame frame;
    size_t size = 1, len = bytes_of(examples[0].bytes, bytes);
    const char *why = NULL;
    assert_int_equal(aff_frame_read(aff_bytes_of(bytes, 3), &frame, &size, &why), 0);
    assert_int_equal(size, 0);
    assert_int_equal(aff_frame_read(aff_bytes_of(bytes, 4), &frame, &size, &why), 0);
    assert_int_equal(size, len);
}

static void expect_wrong(const char *hex, const char *reason)
{
    unsigned char bytes[64];
    struct aff_frame frame;
    const char *why;
    assert_int_equal(read_frame(bytes, bytes_of(hex, bytes), &frame, &why), AFF_EINVAL);
    assert_non_null(why);
    if (!strstr(why, reason))
        fail_msg("the reason is '%s', not '%s'", why, reason);
}

static void what_is_no_frame_is_told_at_once(void **state)
{
    (void)state;
    expect_wrong("0000000b", "shorter than its head");
    expect_wrong("00400001", "longer than 4 MiB");
    expect_wrong("ffffffff", "longer than 4 MiB");
    expect_wrong("0000000c"
                 "00"
                 "00"
                 "0000"
                 "0000000000000000",
                 "of a type");
    expect_wrong("0000000c"
                 "0a"
                 "00"
                 "0000"
                 "0000000000000000",
                 "of a type");
    expect_wrong("0000000f"
                 "02"
                 "00"
                 "0000"
                 "0000000000000000",
                 "a question is shorter");
    expect_wrong("47455420"
                 "2f20485454502f312e310d0a",
                 "longer than 4 MiB"); /* GET / HTTP/1.1 */
}

static void a_question_becomes_void_in_place(void **state)
{
    (void)state;
    unsigned char bytes[80];
    struct aff_frame frame;
    const char *why;
    size_t len = bytes_of(examples[0].bytes, bytes);
    assert_int_equal(aff_frame_left_us(bytes), 2500000);
    aff_frame_set_left_us(bytes, 17);
    assert_int_equal(aff_frame_left_us(bytes), 17);
    aff_frame_make_void(bytes);
    assert_int_equal(read_frame(bytes, len, &frame, &why), len);
    assert_int_equal(frame.type, AFF_FRAME_VOID);
}

static void hello_is_as_documented(void **state)
{
    (void)state;
    unsigned char wanted[128];
    size_t len = bytes_of(hello_example, wanted);
    struct aff_hello hello = { .version = 1, .oldest = 1, .features = 5, .cluster = "demo", .member = "n1-0000000007" };
    struct aff_hello read = { 0 };
    struct aff_frame frame;
    const char *why;
    struct aff_buf out;
    aff_buf_init(&out);
    assert_true(aff_hello_write(&hello, &out));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, wanted, len);
    assert_int_equal(read_frame(out.data, out.len, &frame, &why), len);
    assert_null(aff_hello_read(frame.body, &read));
    assert_int_equal(read.version, 1);
    assert_int_equal(read.oldest, 1);
    assert_int_equal(read.features, 5);
    assert_string_equal(read.cluster, "demo");
    assert_string_equal(read.member, "n1-0000000007");
    aff_buf_fini(&out);
}

static const struct aff_hello opener = {
    .version = 1,
    .oldest = 1,
    .features = 5,
    .cluster = "demo",
    .member = "n1-0000000007",
    .fence = { .asker = 0x1122334455667788, .stream = 3, .kept_count = 1, .kept = { 2 } },
};
static const char opener_example[] = "00000048"
                                     "01"
                                     "00"
                                     "0000"
                                     "0000000000000000"
                                     "41464650"
                                     "0001"
                                     "0001"
                                     "0000000000000005"
                                     "04"
                                     "64656d6f"
                                     "0d"
                                     "6e312d30303030303030303037"
                                     "1122334455667788"
                                     "0000000000000003"
                                     "01"
                                     "0000000000000002";

static void who_opens_a_stream_tells_of_the_older_ones(void **state)
{
    (void)state;
    unsigned char wanted[128];
    size_t len = bytes_of(opener_example, wanted), body_len = len - AFF_FRAME_HEAD;
    unsigned char *body = wanted + AFF_FRAME_HEAD;
    struct aff_hello read = { 0 };
    struct aff_buf out;
    aff_buf_init(&out);
    assert_true(aff_hello_write(&opener, &out));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, wanted, len);
    assert_null(aff_hello_read(aff_bytes_of(body, body_len), &read));
    assert_memory_equal(&read.fence, &opener.fence, sizeof read.fence);
    for (size_t cut = 1; cut < 8 + 8 + 1 + 8; cut++)
        assert_non_null(strstr(aff_hello_read(aff_bytes_of(body, body_len - cut), &read), "a part of its asker"));
    body[body_len - 9] = AFF_HELLO_STREAMS_MAX + 1;
    assert_non_null(strstr(aff_hello_read(aff_bytes_of(body, body_len), &read), "more than 8 streams"));
    aff_buf_fini(&out);
}

static void a_longer_hello_of_a_newer_version_is_read(void **state)
{
    (void)state;
    unsigned char bytes[128];
    size_t len = bytes_of(opener_example, bytes);
    struct aff_hello read = { 0 };
    memcpy(bytes + len, "more", 4);
    assert_null(aff_hello_read(aff_bytes_of(bytes + AFF_FRAME_HEAD, len + 4 - AFF_FRAME_HEAD), &read));
    assert_string_equal(read.member, "n1-0000000007");
    assert_int_equal(read.fence.stream, 3);
}

static void what_is_no_hello_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[128];
    size_t len = bytes_of(hello_example, bytes) - AFF_FRAME_HEAD;
    unsigned char *body = bytes + AFF_FRAME_HEAD;
    struct aff_hello read;
    for (size_t cut = 0; cut < len; cut++)
        assert_non_null(aff_hello_read(aff_bytes_of(body, cut), &read));
    body[0] = 'B';
    assert_non_null(strstr(aff_hello_read(aff_bytes_of(body, len), &read), "no node of Affinity"));
    body[0] = 'A';
    body[16] = 0; /* no cluster */
    assert_non_null(aff_hello_read(aff_bytes_of(body, len), &read));
    body[16] = 64; /* longer than a name may be */
    assert_non_null(aff_hello_read(aff_bytes_of(body, len), &read));
    body[16] = 4;
    body[18] = 0; /* a NUL in a name */
    assert_non_null(aff_hello_read(aff_bytes_of(body, len), &read));
}

static uint16_t common(uint16_t ours, uint16_t our_oldest, uint16_t theirs, uint16_t their_oldest)
{
    struct aff_hello one = { .version = ours, .oldest = our_oldest };
    struct aff_hello other = { .version = theirs, .oldest = their_oldest };
    assert_int_equal(aff_hello_version(&one, &other), aff_hello_version(&other, &one));
    return aff_hello_version(&one, &other);
}

static void both_speak_the_newest_common_version(void **state)
{
    (void)state;
    assert_int_equal(common(1, 1, 1, 1), 1);
    assert_int_equal(common(1, 1, 3, 1), 1);
    assert_int_equal(common(4, 2, 3, 1), 3);
    assert_int_equal(common(1, 1, 2, 2), 0);
    assert_int_equal(common(1, 1, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_written_as_documented),          cmocka_unit_test(frames_are_read_as_documented),
        cmocka_unit_test(the_size_is_known_from_the_length),         cmocka_unit_test(what_is_no_frame_is_told_at_once),
        cmocka_unit_test(a_question_becomes_void_in_place),          cmocka_unit_test(hello_is_as_documented),
        cmocka_unit_test(a_longer_hello_of_a_newer_version_is_read), cmocka_unit_test(what_is_no_hello_is_refused),
        cmocka_unit_test(who_opens_a_stream_tells_of_the_older_ones), cmocka_unit_test(both_speak_the_newest_common_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
