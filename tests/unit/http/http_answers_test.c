/* What partitions and commands answer, as HTTP: every code, replays, refusals, unknown outcomes. */
#include "fixture.h"

static struct fixture *f;
static struct response r;

static void send_body(const char *line, const char *headers, const char *body)
{
    char request[8192];
    (void)snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n%s", line,
                   strlen(body), headers, body);
    exchange(f, &r, request);
}

static void put(const char *key)
{
    char line[128];
    (void)snprintf(line, sizeof line, "PUT /v1/notes/%s", key);
    send_body(line, "", "1");
}

static void get(const char *target)
{
    char request[512];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    exchange(f, &r, request);
}

/* ---- failures ---- */

static void each_code_has_its_status_and_type(void **state)
{
    (void)state;
    const int codes[] = { AFF_EPRECONDITION, AFF_ECONFLICT, AFF_EIDRUNNING, AFF_EIDREUSED, AFF_ENOMASTER, AFF_EDRAINING,
                          AFF_EQUEUEFULL,    AFF_EVOID,     AFF_ENOSPACE,   AFF_ETOOLARGE, AFF_ENOTFOUND, AFF_ENOMEM,
                          AFF_ETIMEDOUT,     AFF_EIO,       AFF_ECORRUPT,   AFF_EBUG };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        fixture_script(f, (struct fake_script){ .code = codes[i], .outcome = AFF_OUTCOME_NOT_APPLIED });
        put("code");
        assert_problem(&r, aff_error_status(codes[i]), aff_error_type(codes[i]), NULL);
        assert_header(&r, "ETag", NULL);
        assert_header(&r, "Location", NULL);
    }
}

static void reads_fail_with_their_code(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .read_code = AFF_ENOMASTER });
    get("/v1/notes/a");
    assert_problem(&r, 503, "no-master", NULL);
    get("/v1/notes/a/show");
    assert_problem(&r, 503, "no-master", NULL);
}

static void an_unknown_outcome_can_be_asked_for(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .code = AFF_EUNKNOWN, .outcome = AFF_OUTCOME_UNKNOWN });
    put("unknown");
    assert_problem(&r, 504, "outcome-unknown", "\"instance\":\"/outcome/notes-3-42\"");
    assert_header(&r, "Affinity-Outcome", "unknown");
    assert_header(&r, "Affinity-Request-Id", "notes-3-42");
    assert_header(&r, "Retry-After", NULL);
}

/* Whatever the code says: nothing that is unknown is ever told as "not applied", or as an error of the server. */
static void unknown_outweighs_every_code(void **state)
{
    (void)state;
    const int codes[] = { AFF_EVOID, AFF_ENOMASTER, AFF_EBUG, AFF_ETIMEDOUT, AFF_EIO };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        fixture_script(f, (struct fake_script){ .code = codes[i], .outcome = AFF_OUTCOME_UNKNOWN });
        put("unknown");
        assert_status(&r, 504);
        assert_header(&r, "Affinity-Outcome", "unknown");
    }
}

static void detail_of_a_failure_is_passed_on(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .code = AFF_ENOSPACE, .detail = "the disk of \"n1\" is full" });
    put("full");
    assert_problem(&r, 507, "no-space", "the disk of \\\"n1\\\" is full");
}

/* ---- outcomes ---- */

static void an_outcome_is_told(void **state)
{
    (void)state;
    static const struct {
        enum aff_outcome outcome;
        const char *text, *retry;
    } cases[] = { { AFF_OUTCOME_COMMITTED, "committed", NULL },
                  { AFF_OUTCOME_NOT_APPLIED, "not-applied", NULL },
                  { AFF_OUTCOME_UNKNOWN, "unknown", "1" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[128];
        fixture_script(f, (struct fake_script){ .inquiry_outcome = cases[i].outcome });
        get("/outcome/notes-3-42");
        assert_status(&r, 200);
        (void)snprintf(want, sizeof want, "{\"id\":\"notes-3-42\",\"outcome\":\"%s\"}\n", cases[i].text);
        assert_string_equal(r.body, want);
        assert_header(&r, "Retry-After", cases[i].retry);
    }
    fixture_script(f, (struct fake_script){ .inquiry_code = AFF_ENOMASTER });
    get("/outcome/notes-3-42");
    assert_problem(&r, 503, "no-master", NULL);
}

/* ---- replays ---- */

static void a_replay_looks_like_the_first_answer(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .replayed = true, .status = 201 });
    send_body("PUT /v1/notes/replay", "Idempotency-Key: a\r\n", "1");
    send_body("PUT /v1/notes/replay", "Idempotency-Key: a\r\nPrefer: return=representation\r\n", "1");
    assert_status(&r, 201);
    assert_header(&r, "Affinity-Replayed", "true");
    assert_header(&r, "Location", "/v1/notes/replay");
    assert_string_equal(r.body, "1");
    assert_non_null(header(&r, "ETag"));
}

/* The fake frees the reply of a replay at the release, as the partition does. */
static void a_replayed_reply_is_copied_in_time(void **state)
{
    (void)state;
    struct fake_script script = {
        .replayed = true, .status = 202, .reply = "[\"first\"]", .reply_type = "application/vnd.first+json"
    };
    fixture_script(f, script);
    send_body("POST /v1/notes/replay/deposit", "Idempotency-Key: a\r\n", "1");
    assert_status(&r, 202);
    assert_string_equal(r.body, "[\"first\"]");
    assert_header(&r, "Content-Type", "application/vnd.first+json");
    assert_header(&r, "Affinity-Replayed", "true");
    script.reply = NULL;
    script.replay_cut = true;
    fixture_script(f, script);
    send_body("POST /v1/notes/replay/deposit", "Idempotency-Key: a\r\n", "");
    assert_status(&r, 202);
    assert_int_equal(r.body_len, 0);
    assert_non_null(header(&r, "ETag"));
}

/* ---- commands ---- */

static void a_command_gets_its_body_and_type(void **state)
{
    (void)state;
    send_body("POST /v1/notes/c/deposit", "Content-Type: application/json;charset=utf-8\r\n", "{\"amount\":5}");
    assert_status(&r, 200);
    assert_string_equal(r.body, "{\"amount\":5}");
    assert_header(&r, "Content-Type", "application/json");
    assert_header(&r, "Affinity-Request-Id", "notes-3-42");
    struct fake_seen seen = fixture_seen(f);
    assert_int_equal(seen.kind, AFF_OP_COMMAND);
    assert_string_equal(seen.body_type, "application/json");
    send_body("POST /v1/notes/c/swallow", "Content-Type: image/png\r\n", "xyz");
    assert_string_equal(fixture_seen(f).body_type, "image/png");
    send_body("POST /v1/notes/c/count", "", "two words");
    assert_string_equal(fixture_seen(f).body_type, "text/plain");
}

static void without_a_body_or_answer_it_is_204(void **state)
{
    (void)state;
    exchange(f, &r, "POST /v1/notes/c/deposit HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 204);
    send_body("POST /v1/notes/c/deposit", "", "");
    assert_status(&r, 204);
}

static void the_body_must_be_what_the_command_takes(void **state)
{
    (void)state;
    send_body("POST /v1/notes/c/deposit", "Content-Type: application/x-www-form-urlencoded\r\n", "amount=5");
    assert_problem(&r, 415, "unsupported-media-type", "the command `deposit` takes application/json");
    send_body("POST /v1/notes/c/count", "Content-Type: application/json\r\n", "1");
    assert_problem(&r, 415, "unsupported-media-type", "text/plain");
    send_body("POST /v1/notes/c/deposit", "", "{\"amount\":}");
    assert_problem(&r, 400, "bad-json", "byte 10");
}

static void a_refusal_brings_its_own_problem(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .code = AFF_EREFUSED,
                                            .status = 409,
                                            .problem = "insufficient-funds",
                                            .title = "There is not enough money",
                                            .detail = "5 asked, 3 there" });
    send_body("POST /v1/notes/c/deposit", "", "");
    assert_problem(&r, 409, "insufficient-funds",
                   "\"title\":\"There is not enough money\",\"status\":409,\"detail\":\"5 asked, 3 there\"");
    fixture_script(f, (struct fake_script){ .code = AFF_EREFUSED });
    send_body("POST /v1/notes/c/deposit", "", "");
    assert_problem(&r, 422, "refused", NULL);
}

static void a_merged_command_has_no_version(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .unversioned = true });
    send_body("POST /v1/notes/c/deposit", "", "1");
    assert_status(&r, 200);
    assert_header(&r, "ETag", NULL);
    assert_header(&r, "Affinity-Position", NULL);
    assert_header(&r, "Affinity-Request-Id", "notes-3-42");
}

static void a_command_that_only_reads_runs_here(void **state)
{
    (void)state;
    put("shown");
    unsigned before = fixture_calls(f);
    get("/v1/notes/shown/show");
    assert_status(&r, 200);
    assert_string_equal(r.body, "1");
    send_body("POST /v1/notes/shown/show", "", "{}");
    assert_string_equal(r.body, "1");
    get("/v1/notes/not-there/show");
    assert_string_equal(r.body, "\"nothing\"");
    assert_int_equal(fixture_calls(f), before);
}

/* ---- no lease ---- */

static void without_a_lease_a_barrier_comes_before_the_read(void **state)
{
    (void)state;
    put("leased");
    fixture_script(f, (struct fake_script){ .no_lease = true });
    get("/v1/notes/leased");
    assert_status(&r, 200);
    assert_string_equal(r.body, "1");
    get("/v1/notes/leased/show");
    assert_string_equal(r.body, "1");
    get("/v1/notes/absent");
    assert_problem(&r, 404, "not-found", NULL);
    fixture_script(f, (struct fake_script){ .no_lease = true, .code = AFF_ENOMASTER });
    get("/v1/notes/leased");
    assert_problem(&r, 503, "no-master", NULL);
    get("/v1/notes/leased/show");
    assert_problem(&r, 503, "no-master", NULL);
}

static void an_eventual_read_needs_no_master(void **state)
{
    (void)state;
    put("left");
    fixture_script(f, (struct fake_script){ .no_lease = true, .code = AFF_ENOMASTER });
    exchange(f, &r, "GET /v1/notes/left HTTP/1.1\r\nHost: x\r\nAffinity-Consistency: eventual\r\n\r\n");
    assert_status(&r, 200);
    assert_string_equal(r.body, "1");
    exchange(f, &r, "GET /v1/notes/left/show HTTP/1.1\r\nHost: x\r\nAffinity-Consistency: eventual\r\n\r\n");
    assert_status(&r, 200);
    assert_string_equal(r.body, "1");
}

/* ---- */

static int start(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ 0 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    response_free(&r);
    fixture_stop(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_code_has_its_status_and_type, reset),
        cmocka_unit_test_setup(reads_fail_with_their_code, reset),
        cmocka_unit_test_setup(an_unknown_outcome_can_be_asked_for, reset),
        cmocka_unit_test_setup(unknown_outweighs_every_code, reset),
        cmocka_unit_test_setup(detail_of_a_failure_is_passed_on, reset),
        cmocka_unit_test_setup(an_outcome_is_told, reset),
        cmocka_unit_test_setup(a_replay_looks_like_the_first_answer, reset),
        cmocka_unit_test_setup(a_replayed_reply_is_copied_in_time, reset),
        cmocka_unit_test_setup(a_command_gets_its_body_and_type, reset),
        cmocka_unit_test_setup(without_a_body_or_answer_it_is_204, reset),
        cmocka_unit_test_setup(the_body_must_be_what_the_command_takes, reset),
        cmocka_unit_test_setup(a_refusal_brings_its_own_problem, reset),
        cmocka_unit_test_setup(a_merged_command_has_no_version, reset),
        cmocka_unit_test_setup(a_command_that_only_reads_runs_here, reset),
        cmocka_unit_test_setup(without_a_lease_a_barrier_comes_before_the_read, reset),
        cmocka_unit_test_setup(an_eventual_read_needs_no_master, reset),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
