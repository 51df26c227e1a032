/* Accept-Encoding, Prefer, lifetimes, event times, consistency, Idempotency-Key. */
#include "http/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* What is chosen where gzip fits, and where it does not. */
static void the_coding_with_the_larger_weight_is_chosen(void **state)
{
    (void)state;
    const enum aff_coding I = AFF_CODING_IDENTITY, G = AFF_CODING_GZIP, N = AFF_CODING_NONE;
    const struct {
        const char *accept;
        enum aff_coding fits, not ;
    } cases[] = {
        { NULL, I, I },
        { "", I, I },
        { " , ", I, I },
        { "gzip", G, I },
        { "GZip", G, I },
        { "x-gzip", G, I },
        { "br", I, I },
        { "br, deflate;q=0.9, gzip;q=0.8", G, I },
        { "gzip;q=0", I, I },
        { "gzip;q=0.000", I, I },
        { "gzip ; q=0.001", G, I },
        { "gzip;Q=1.000", G, I },
        { "identity", I, I },
        { "identity, gzip", G, I },
        { "gzip;q=0.5, identity", I, I },
        { "gzip;q=0.5, identity;q=0.5", G, I },
        { "*", G, I },
        { "*;q=0", N, N },
        { "gzip, *;q=0", G, N },
        { "identity;q=0", N, N },
        { "identity;q=0, *", G, N },
        { "identity;q=0, br", N, N },
        { "identity;q=0.2, *;q=0", I, I },
        { "gzip;q=0, *", I, I },
        { "gzip;q=0, gzip;q=1", G, I },
        /* what cannot be read is ignored */
        { "gzip;q=2", I, I },
        { "gzip;q=1.001", I, I },
        { "gzip;q=0.0001", I, I },
        { "gzip;q=", I, I },
        { "gzip;q=.5", I, I },
        { "gzip;level=9", I, I },
        { "gz ip", I, I },
        { "identity;q=0, \"", I, I },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aff_bytes accept = cases[i].accept ? aff_str(cases[i].accept) : (aff_bytes){ NULL, 0 };
        if (aff_coding_choose(accept, true) != cases[i].fits || aff_coding_choose(accept, false) != cases[i].not )
            fail_msg("Accept-Encoding: %s", cases[i].accept);
    }
}

static void text_shrinks(void **state)
{
    (void)state;
    const char *text[] = { "text/plain",    "TEXT/html; charset=utf-8", "application/json", "application/problem+json",
                           "image/svg+xml", "application/jsonl",        "application/xml" };
    const char *others[] = {
        "image/png", "application/octet-stream", "text/event-stream", "application/gzip", "video/mp4", "json",
        "",          "application/+xmlx"
    };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (!aff_media_shrinks(aff_str(text[i])))
            fail_msg("%s is text", text[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (aff_media_shrinks(aff_str(others[i])))
            fail_msg("%s is no text", others[i]);
}

static void the_first_return_preference_counts(void **state)
{
    (void)state;
    static const struct {
        const char *prefer;
        enum aff_return what;
    } cases[] = {
        { "return=minimal", AFF_RETURN_MINIMAL },
        { "return=representation", AFF_RETURN_REPRESENTATION },
        { "Return = \"Minimal\"", AFF_RETURN_MINIMAL },
        { "wait=5, return=representation; foo=bar", AFF_RETURN_REPRESENTATION },
        { "return=minimal, return=representation", AFF_RETURN_MINIMAL },
        { "return=other", AFF_RETURN_DEFAULT },
        { "respond-async", AFF_RETURN_DEFAULT },
        { "x=\"return=minimal\"", AFF_RETURN_DEFAULT },
        { "x=\"a,return=minimal\"", AFF_RETURN_DEFAULT },
        { "", AFF_RETURN_DEFAULT },
        { ",;=,", AFF_RETURN_DEFAULT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (aff_prefer_return(aff_str(cases[i].prefer)) != cases[i].what)
            fail_msg("Prefer: %s", cases[i].prefer);
}

static void a_lifetime_has_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } fine[] = { { "1ms", 1 },        { "30s", 30000 },    { " 15m ", 900000 },
                 { "12h", 43200000 }, { "7d", 604800000 }, { "36500d", INT64_C(3153600000000) } };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        int64_t ms = 0;
        assert_true(aff_ttl_parse(aff_str(fine[i].text), &ms));
        assert_int_equal(ms, fine[i].ms);
    }
    const char *wrong[] = { "",    "30",  "s",  "0s", "-1s",    "1.5s",
                            "01s", "1 s", "1S", "1w", "36501d", "99999999999999999999s" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms;
        if (aff_ttl_parse(aff_str(wrong[i]), &ms))
            fail_msg("<%s> was taken", wrong[i]);
    }
}

static void an_event_time_is_a_number_of_milliseconds(void **state)
{
    (void)state;
    int64_t ms;
    assert_true(aff_event_time_parse(aff_str("1795300000000"), &ms));
    assert_int_equal(ms, INT64_C(1795300000000));
    assert_true(aff_event_time_parse(aff_str("-5"), &ms));
    assert_int_equal(ms, -5);
    assert_false(aff_event_time_parse(aff_str(""), &ms));
    assert_false(aff_event_time_parse(aff_str("-"), &ms));
    assert_false(aff_event_time_parse(aff_str("2026-11-22"), &ms));
    assert_false(aff_event_time_parse(aff_str("9223372036854775808"), &ms));
}

static void strict_and_eventual_reads_are_served(void **state)
{
    (void)state;
    struct aff_wanted_consistency c = { .kind = AFF_CONSISTENCY_EVENTUAL };
    assert_null(aff_consistency_parse(aff_str("strict"), &c));
    assert_int_equal(c.kind, AFF_CONSISTENCY_STRICT);
    assert_null(aff_consistency_parse(aff_str(" Eventual "), &c));
    assert_int_equal(c.kind, AFF_CONSISTENCY_EVENTUAL);
    assert_null(aff_consistency_parse(aff_str(" Strict "), &c));
    assert_int_equal(c.kind, AFF_CONSISTENCY_STRICT);
}

static void a_read_says_how_much_it_must_have_seen(void **state)
{
    (void)state;
    struct aff_wanted_consistency c;
    assert_null(aff_consistency_parse(aff_str("at-least=3:1042"), &c));
    assert_int_equal(c.kind, AFF_CONSISTENCY_AT_LEAST);
    assert_int_equal(c.partition, 3);
    assert_int_equal(c.offset, 1042);
    assert_null(aff_consistency_parse(aff_str(" AT-LEAST = 0:0 "), &c));
    assert_int_equal(c.partition, 0);
    assert_int_equal(c.offset, 0);
    assert_null(aff_consistency_parse(aff_str("eventual; max-lag=500ms"), &c));
    assert_int_equal(c.kind, AFF_CONSISTENCY_MAX_LAG);
    assert_int_equal(c.max_lag_ms, 500);
    assert_null(aff_consistency_parse(aff_str("Eventual ;Max-Lag = 2s"), &c));
    assert_int_equal(c.max_lag_ms, 2000);
}

static void a_consistency_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } faults[] = {
        { "", "must be" },
        { "whatever", "must be" },
        { "at-least", "must be" },
        { "strict; max-lag=1s", "must be" },
        { "at-least=", "wants a place" },
        { "at-least=3", "wants a place" },
        { "at-least=3:", "wants a place" },
        { "at-least=:3", "wants a place" },
        { "at-least=-1:3", "wants a place" },
        { "at-least=3:4:5", "wants a place" },
        { "at-least=4294967296:0", "wants a place" },
        { "at-least=0:9223372036854775807", "wants a place" },
        { "eventual;", "stands nothing" },
        { "eventual; max-lag", "stands nothing" },
        { "eventual; max-lag=", "stands nothing" },
        { "eventual; max-lag=0ms", "stands nothing" },
        { "eventual; max-lag=500", "stands nothing" },
        { "eventual; max-age=5s", "stands nothing" },
        { "eventual=5s", "stands nothing" },
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct aff_wanted_consistency c;
        const char *told = aff_consistency_parse(aff_str(faults[i].text), &c);
        if (!told || !strstr(told, faults[i].told))
            fail_msg("'%s' is told to be: %s", faults[i].text, told ? told : "right");
    }
}

static void an_idempotency_key_is_visible_and_not_too_long(void **state)
{
    (void)state;
    char key[256];
    memset(key, 'k', sizeof key);
    assert_true(aff_idempotency_key_fits(aff_str("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"")));
    assert_true(aff_idempotency_key_fits(aff_bytes_of(key, 255)));
    assert_false(aff_idempotency_key_fits(aff_bytes_of(key, 256)));
    assert_false(aff_idempotency_key_fits(aff_str("")));
    assert_false(aff_idempotency_key_fits(aff_str("a b")));
    assert_false(aff_idempotency_key_fits(aff_str("\xc3\xa9")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_coding_with_the_larger_weight_is_chosen),
        cmocka_unit_test(text_shrinks),
        cmocka_unit_test(the_first_return_preference_counts),
        cmocka_unit_test(a_lifetime_has_a_unit),
        cmocka_unit_test(an_event_time_is_a_number_of_milliseconds),
        cmocka_unit_test(strict_and_eventual_reads_are_served),
        cmocka_unit_test(a_read_says_how_much_it_must_have_seen),
        cmocka_unit_test(a_consistency_that_cannot_be_read_is_told),
        cmocka_unit_test(an_idempotency_key_is_visible_and_not_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
