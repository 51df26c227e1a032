/* peer_hello_test.c - who is talked to: clusters, incarnations, versions of the form, certificates, and what is no node at all. */
#include "fixture.h"

#include <string.h>

static int set_up(void **state)
{
    *state = peer_fixture_new(false);
    return 0;
}

static int set_up_tls(void **state)
{
    *state = peer_fixture_new(true);
    return 0;
}

static int tear_down(void **state)
{
    *state = peer_fixture_free(*state);
    return 0;
}

static void expect_logged(struct peer_fixture *f, const char *text)
{
    peer_run_until_logged(f, text);
    (void)peer_logged(f, text); /* and is forgotten */
}

/* ---- clusters and incarnations ---- */

static void another_cluster_is_turned_away(void **state)
{
    struct peer_fixture *f = *state;
    struct aff_peers_opts opts = { .cluster = "other" };
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", &opts);
    struct peer_asked asked;
    peer_expect(n1, &n2->to, &asked, "hello", AFF_EAGAIN);
    assert_int_equal(n2->served, 0);
    peer_run_until_logged(f, "event=peer.turned-away");
    assert_true(peer_logged(f, "the nodes are of different clusters"));
}

static void another_incarnation_is_asked_nothing(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", NULL);
    struct aff_peer_to old = { .member = "n2-0000000000", .address = n2->to.address };
    struct peer_asked asked;
    peer_expect(n1, &old, &asked, "hello", AFF_EAGAIN);
    assert_int_equal(n2->served, 0);
    expect_logged(f, "another incarnation or node answers");
    peer_expect(n1, &n2->to, &asked, "hello", 0);
}

static void a_node_that_has_not_joined_turns_away(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", NULL);
    struct peer_asked asked;
    aff_peers_name(n2->peers, "");
    peer_expect(n1, &n2->to, &asked, "hello", AFF_EAGAIN);
    expect_logged(f, "has not joined its cluster yet");
}

static void clusters_need_a_name_that_fits(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    char name[65];
    memset(name, 'x', 64);
    name[64] = '\0';
    struct aff_peers_opts opts = { .loop = n1->loop, .cluster = name };
    struct aff_peers *peers = NULL;
    aff_error err = { 0 };
    assert_int_equal(aff_peers_new(&opts, &peers, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "1 to 63"));
    opts.cluster = "";
    assert_int_equal(aff_peers_new(&opts, &peers, &err), AFF_ECONFIG);
    assert_null(aff_peers_free(NULL));
}

/* ---- versions ---- */

static void say_hello_as(struct peer_raw *raw, uint16_t version, uint16_t oldest)
{
    struct aff_hello hello = { .version = version, .oldest = oldest, .cluster = "test", .member = "n9-0000000009" };
    struct aff_buf out;
    aff_buf_init(&out);
    assert_true(aff_hello_write(&hello, &out));
    peer_raw_send(raw, aff_buf_view(&out));
    aff_buf_fini(&out);
}

static void expect_answer_to_hello(struct peer_fixture *f, uint16_t version, uint16_t oldest, enum aff_frame_type type)
{
    struct peer_raw raw;
    struct aff_buf from;
    struct aff_frame frame;
    aff_buf_init(&from);
    peer_raw_connect(&raw, f->nodes[0].to.address);
    say_hello_as(&raw, version, oldest);
    (void)peer_raw_frame(f, &raw, &from, &frame);
    assert_int_equal(frame.type, type);
    aff_buf_fini(&from);
    peer_raw_close(&raw);
}

static void nodes_of_other_versions_are_talked_to_when_possible(void **state)
{
    struct peer_fixture *f = *state;
    (void)peer_node_add(f, "n1", NULL);
    expect_answer_to_hello(f, 1, 1, AFF_FRAME_HELLO);
    expect_answer_to_hello(f, 7, 1, AFF_FRAME_HELLO); /* a newer node that speaks ours, too */
    expect_answer_to_hello(f, 7, 2, AFF_FRAME_TURN_AWAY);
    expect_answer_to_hello(f, 0, 0, AFF_FRAME_TURN_AWAY); /* one that is too old */
    expect_logged(f, "no version of the frames in common");
}

/* ---- what is no node ---- */

static void what_comes_instead_of_hello_ends_the_stream(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *reason;
    } greetings[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "longer than 4 MiB" },
        { "\x16\x03\x01\x02\x00\x01\x00", 7, "it speaks TLS" },
        { "\0\0\0\xc\6\0\0\0\0\0\0\0\0\0\0\0", 16, "has no place here" },                     /* PING */
        { "\0\0\0\x15\2\3\0\0\0\0\0\0\0\0\1\2\0\x26\x25\xa0hello", 25, "has no place here" }, /* QUESTION */
        { "\0\0\0\x14\1\0\0\0\0\0\0\0\0\0\0\0NOPENOPE", 24, "no node of Affinity" },
        { "\0\0\7\xff\1\0\0\0\0\0\0\0\0\0\0\0", 16, "longer than any HELLO" },
        { "\0\0\0\1", 4, "shorter than its head" },
    };
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        struct peer_raw raw;
        peer_raw_connect(&raw, n1->to.address);
        peer_raw_send(&raw, aff_bytes_of(greetings[i].bytes, greetings[i].len));
        peer_run_until_closed(f, &raw);
        expect_logged(f, greetings[i].reason);
        peer_raw_close(&raw);
    }
    assert_int_equal(n1->served, 0);
    assert_int_equal(peer_stats_of(n1).streams, 0);
}

static void hello_is_said_once(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct peer_raw raw;
    peer_raw_connect(&raw, n1->to.address);
    peer_raw_hello(&raw, "test", "n9-0000000009");
    peer_raw_hello(&raw, "test", "n9-0000000009");
    peer_run_until_closed(f, &raw);
    expect_logged(f, "has no place here");
    peer_raw_close(&raw);
}

static void hello_is_due_in_time(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct peer_raw raw;
    peer_raw_connect(&raw, n1->to.address);
    while (peer_stats_of(n1).streams == 0)
        peer_run(f, 1);
    aff_virtual_clock_advance(&f->clock, 4900 * AFF_NS_PER_MS);
    peer_run(f, 3);
    assert_int_equal(peer_stats_of(n1).streams, 1);
    aff_virtual_clock_advance(&f->clock, 400 * AFF_NS_PER_MS);
    peer_run_until_closed(f, &raw);
    expect_logged(f, "no HELLO came in time");
    peer_raw_close(&raw);
}

static void an_address_that_is_none_is_told(void **state)
{
    static const char *const addresses[] = { "nothing", ":1", "name.example:80", "127.0.0.1:http", "[::1]", "" };
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        char member[32];
        (void)snprintf(member, sizeof member, "n2-%010zu", i);
        struct aff_peer_to to = { .member = member, .address = addresses[i] };
        struct peer_asked asked;
        peer_expect(n1, &to, &asked, "hello", AFF_EAGAIN);
        assert_true(peer_logged(f, "the address is not"));
    }
}

/* ---- certificates ---- */

static void nodes_of_one_authority_talk(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", NULL);
    struct peer_asked asked;
    peer_expect(n1, &n2->to, &asked, "there", 0);
    peer_expect(n2, &n1->to, &asked, "back", 0);
}

static void a_node_of_another_authority_is_not_talked_to(void **state)
{
    struct peer_fixture *f = *state;
    struct certificates *others = certificates_new();
    struct certificate_files files;
    struct aff_peer_tls *tls = NULL;
    aff_error err = { 0 };
    struct peer_asked asked;
    certificates_issue(others, "stranger", 3600, &files);
    assert_int_equal(aff_peer_tls_new(files.certificate, files.key, files.ca, &tls, &err), 0);
    struct aff_peers_opts opts = { .cluster = "test", .tls = tls };
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", &opts);
    peer_expect(n1, &n2->to, &asked, "hello", AFF_EAGAIN);
    expect_logged(f, "tls: the other side's certificate");
    peer_expect(n2, &n1->to, &asked, "hello", AFF_EAGAIN);
    expect_logged(f, "tls: the other side's certificate");
    assert_int_equal(n1->served + n2->served, 0);
    n2->listener = aff_peer_listener_free(n2->listener);
    n2->peers = aff_peers_free(n2->peers);
    tls = aff_peer_tls_free(tls);
    others = certificates_free(others);
}

/* It trusts our authority, which does not know it. */
static void a_node_that_shows_no_certificate_of_ours_is_turned_away(void **state)
{
    struct peer_fixture *f = *state;
    struct certificates *others = certificates_new();
    struct certificate_files files, ours;
    struct aff_peer_tls *tls = NULL;
    aff_error err = { 0 };
    struct peer_asked asked;
    certificates_issue(others, "stranger", 3600, &files);
    certificates_issue(f->ca, "known", 3600, &ours);
    assert_int_equal(aff_peer_tls_new(files.certificate, files.key, ours.ca, &tls, &err), 0);
    struct aff_peers_opts opts = { .cluster = "test", .tls = tls };
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", &opts);
    peer_expect(n2, &n1->to, &asked, "hello", AFF_EAGAIN);
    assert_int_equal(n1->served, 0);
    expect_logged(f, "shows no certificate that our CA has signed");
    n2->listener = aff_peer_listener_free(n2->listener);
    n2->peers = aff_peers_free(n2->peers);
    tls = aff_peer_tls_free(tls);
    others = certificates_free(others);
}

static void plain_text_reaches_no_node_under_tls(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct peer_raw raw;
    peer_raw_connect(&raw, n1->to.address);
    peer_raw_hello(&raw, "test", "n9-0000000009");
    peer_run_until_closed(f, &raw);
    expect_logged(f, "tls: ");
    peer_raw_close(&raw);
    assert_int_equal(peer_stats_of(n1).streams, 0);
}

static void a_handshake_is_due_in_time(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct peer_raw raw, silent;
    struct peer_asked asked;
    struct aff_peer_to to = { .member = "n9-0000000009", .address = silent.address };
    peer_raw_connect(&raw, n1->to.address);
    peer_raw_listen(&silent, 0);
    peer_ask(n1, &to, &asked, "hello");
    while (peer_stats_of(n1).streams < 2)
        peer_run(f, 1);
    for (int i = 0; i < 22; i++) {
        aff_virtual_clock_advance(&f->clock, 250 * AFF_NS_PER_MS);
        peer_run(f, 1);
    }
    peer_run_until_closed(f, &raw);
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, AFF_EAGAIN);
    assert_true(peer_logged(f, "no HELLO came in time"));
    peer_raw_close(&raw);
    peer_raw_close(&silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_cluster_is_turned_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_incarnation_is_asked_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_has_not_joined_turns_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clusters_need_a_name_that_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_of_other_versions_are_talked_to_when_possible, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_instead_of_hello_ends_the_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hello_is_said_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hello_is_due_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_none_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_of_one_authority_talk, set_up_tls, tear_down),
        cmocka_unit_test_setup_teardown(another_incarnation_is_asked_nothing, set_up_tls, tear_down),
        cmocka_unit_test_setup_teardown(a_node_of_another_authority_is_not_talked_to, set_up_tls, tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_shows_no_certificate_of_ours_is_turned_away, set_up_tls, tear_down),
        cmocka_unit_test_setup_teardown(plain_text_reaches_no_node_under_tls, set_up_tls, tear_down),
        cmocka_unit_test_setup_teardown(a_handshake_is_due_in_time, set_up_tls, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
