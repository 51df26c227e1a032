/* How many requests a client may send: on times that the test chooses. */
#include "http/quota.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { S = 1000000000 };

static int64_t wait_ns; /* of the last that was refused */

static const struct sockaddr *address(const char *text)
{
    static union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } made;
    memset(&made, 0, sizeof made);
    if (inet_pton(AF_INET, text, &made.four.sin_addr) == 1) {
        made.four.sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &made.six.sin6_addr), 1);
        made.six.sin6_family = AF_INET6;
    }
    return &made.any;
}

/* Sends a request that is over at once. */
static enum aff_quota_verdict send_one(struct aff_quota *q, const char *from, int64_t now_ns)
{
    struct aff_quota_pass pass;
    enum aff_quota_verdict verdict = aff_quota_enter(q, address(from), now_ns, &pass, &wait_ns);
    aff_quota_leave(&pass);
    return verdict;
}

/* How many of `count` requests at one moment are let in. */
static int send_many(struct aff_quota *q, const char *from, int64_t now_ns, int count)
{
    int in = 0;
    while (count--)
        in += send_one(q, from, now_ns) == AFF_QUOTA_IN;
    return in;
}

static void a_burst_is_let_in_and_then_the_rate(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 10, .burst = 5 });
    int64_t now = 7 * (int64_t)S;
    assert_int_equal(send_many(q, "10.0.0.1", now, 20), 5);
    assert_int_equal(send_one(q, "10.0.0.1", now), AFF_QUOTA_RATE);
    assert_int_equal(wait_ns, S / 10);
    assert_int_equal(send_many(q, "10.0.0.1", now + S / 10 - 1, 20), 0);
    assert_int_equal(wait_ns, 1);
    assert_int_equal(send_many(q, "10.0.0.1", now + S / 10, 20), 1);
    int in = 0;
    for (int64_t at = now + S; at < now + 11 * (int64_t)S; at += S / 100) /* ten times as many as may */
        in += send_many(q, "10.0.0.1", at, 1);
    assert_in_range(in, 100, 105);
    assert_int_equal(send_many(q, "10.0.0.1", now + 100 * (int64_t)S, 20), 5);
    (void)aff_quota_free(q);
}

static void a_burst_is_that_of_a_second_when_none_is_set(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 3 });
    assert_int_equal(send_many(q, "10.0.0.1", S, 10), 3);
    (void)aff_quota_free(q);
}

static void so_many_may_be_under_way(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .concurrent = 2 });
    struct aff_quota_pass first, second, third;
    assert_int_equal(aff_quota_enter(q, address("10.0.0.1"), 0, &first, &wait_ns), AFF_QUOTA_IN);
    assert_int_equal(aff_quota_enter(q, address("10.0.0.1"), 0, &second, &wait_ns), AFF_QUOTA_IN);
    assert_int_equal(aff_quota_enter(q, address("10.0.0.1"), 0, &third, &wait_ns), AFF_QUOTA_CONCURRENT);
    assert_true(wait_ns > 0);
    aff_quota_leave(&third); /* it has none */
    assert_int_equal(send_one(q, "10.0.0.2", 0), AFF_QUOTA_IN);
    aff_quota_leave(&first);
    aff_quota_leave(&first); /* once */
    assert_int_equal(aff_quota_enter(q, address("10.0.0.1"), 0, &third, &wait_ns), AFF_QUOTA_IN);
    assert_int_equal(send_one(q, "10.0.0.1", 0), AFF_QUOTA_CONCURRENT);
    aff_quota_leave(&second);
    aff_quota_leave(&third);
    (void)aff_quota_free(q);
}

static void a_refusal_for_what_is_under_way_costs_nothing_of_the_rate(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 2, .burst = 2, .concurrent = 1 });
    struct aff_quota_pass pass;
    assert_int_equal(aff_quota_enter(q, address("10.0.0.1"), S, &pass, &wait_ns), AFF_QUOTA_IN);
    assert_int_equal(send_many(q, "10.0.0.1", S, 50), 0);
    aff_quota_leave(&pass);
    assert_int_equal(send_many(q, "10.0.0.1", S, 50), 1);
    (void)aff_quota_free(q);
}

static void of_ipv6_the_first_64_bits_count_and_mapped_ones_are_ipv4(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 1, .burst = 1 });
    assert_int_equal(send_one(q, "2001:db8:1:2::1", S), AFF_QUOTA_IN);
    assert_int_equal(send_one(q, "2001:db8:1:2:ffff:ffff:ffff:ffff", S), AFF_QUOTA_RATE);
    assert_int_equal(send_one(q, "2001:db8:1:3::1", S), AFF_QUOTA_IN);
    assert_int_equal(send_one(q, "10.0.0.1", S), AFF_QUOTA_IN);
    assert_int_equal(send_one(q, "::ffff:10.0.0.1", S), AFF_QUOTA_RATE);
    assert_int_equal(send_one(q, "::ffff:10.0.0.2", S), AFF_QUOTA_IN);
    assert_int_equal(aff_quota_known(q), 4);
    (void)aff_quota_free(q);
}

/* One address of very many: the number-th. */
static const char *one_of_many(unsigned number)
{
    static char text[32];
    (void)snprintf(text, sizeof text, "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255, number & 255);
    return text;
}

static void who_has_many_addresses_pushes_nobody_out(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 1, .burst = 1, .clients = 256 });
    int newcomers = 0;
    assert_int_equal(send_one(q, "192.0.2.1", S), AFF_QUOTA_IN);
    for (unsigned i = 0; i < 20000; i++)
        newcomers += send_one(q, one_of_many(i), S) == AFF_QUOTA_IN;
    assert_true(aff_quota_known(q) <= 256);
    assert_true(newcomers <= 256 + 16); /* those that are known, and one of each part's others */
    assert_int_equal(send_one(q, "192.0.2.1", S), AFF_QUOTA_RATE); /* it is still known */
    assert_int_equal(send_one(q, "192.0.2.1", 2 * (int64_t)S), AFF_QUOTA_IN);
    (void)aff_quota_free(q);
}

static void who_may_everything_again_is_forgotten_when_others_come(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 1, .burst = 1, .clients = 256 });
    for (unsigned i = 0; i < 5000; i++)
        (void)send_one(q, one_of_many(i), S);
    assert_true(aff_quota_known(q) > 200);
    int in = 0;
    for (unsigned i = 0; i < 500; i++)
        in += send_one(q, one_of_many(70000 + i), (10 + (int64_t)i) * S) == AFF_QUOTA_IN;
    assert_int_equal(in, 500);
    assert_true(aff_quota_known(q) < 64); /* the table has shrunk to those of the last moment */
    (void)aff_quota_free(q);
}

static void what_is_under_way_is_never_forgotten(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .concurrent = 1, .clients = 16 });
    struct aff_quota_pass pass;
    assert_int_equal(aff_quota_enter(q, address("192.0.2.1"), 0, &pass, &wait_ns), AFF_QUOTA_IN);
    for (unsigned i = 0; i < 1000; i++)
        (void)send_one(q, one_of_many(i), i * (int64_t)S);
    assert_int_equal(send_one(q, "192.0.2.1", 2000 * (int64_t)S), AFF_QUOTA_CONCURRENT);
    aff_quota_leave(&pass);
    assert_int_equal(send_one(q, "192.0.2.1", 2000 * (int64_t)S), AFF_QUOTA_IN);
    (void)aff_quota_free(q);
}

static void *send_from_a_thread(void *quota)
{
    int64_t ignored;
    intptr_t in = 0;
    struct sockaddr_in from = { .sin_family = AF_INET };
    for (unsigned i = 0; i < 5000; i++) {
        struct aff_quota_pass pass;
        from.sin_addr.s_addr = htonl(0x0a000000 + i % 10);
        in += aff_quota_enter(quota, (const struct sockaddr *)(const void *)&from, S, &pass, &ignored) == AFF_QUOTA_IN;
        aff_quota_leave(&pass);
    }
    return (void *)in;
}

static void loops_share_the_allowance_of_a_client(void **state)
{
    (void)state;
    struct aff_quota *q = aff_quota_new(&(struct aff_quota_opts){ .rate = 100, .burst = 100, .concurrent = 64 });
    pthread_t threads[4];
    intptr_t in = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_from_a_thread, q), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        in += (intptr_t)result;
    }
    assert_int_equal(in, 10 * 100);
    (void)aff_quota_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_let_in_and_then_the_rate),
        cmocka_unit_test(a_burst_is_that_of_a_second_when_none_is_set),
        cmocka_unit_test(so_many_may_be_under_way),
        cmocka_unit_test(a_refusal_for_what_is_under_way_costs_nothing_of_the_rate),
        cmocka_unit_test(of_ipv6_the_first_64_bits_count_and_mapped_ones_are_ipv4),
        cmocka_unit_test(who_has_many_addresses_pushes_nobody_out),
        cmocka_unit_test(who_may_everything_again_is_forgotten_when_others_come),
        cmocka_unit_test(what_is_under_way_is_never_forgotten),
        cmocka_unit_test(loops_share_the_allowance_of_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
