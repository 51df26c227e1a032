/*
 * base_map_test.c - the map of base/map.h. calloc() is wrapped by the linker so that growing can fail.
 */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool out_of_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return out_of_memory ? NULL : __real_calloc(count, size);
}

struct item {
    struct aff_map_node node;
    char key[16];
    int seen;
};

enum { ITEMS = 3000 };
static struct item items[ITEMS];

static aff_bytes key_of(int i)
{
    (void)snprintf(items[i].key, sizeof items[i].key, "key-%d", i);
    return aff_str(items[i].key);
}

static void add_all(struct aff_map *m)
{
    for (int i = 0; i < ITEMS; i++) {
        items[i].seen = 0;
        aff_map_add(m, &items[i].node, key_of(i));
    }
}

/* Inputs 00 01 02 ... under the key 00..0f, computed by an implementation that meets the paper's vector of 2-4. */
static void the_hash_is_siphash_1_3(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {
        { 0, UINT64_C(0xabac0158050fc4dc) },   { 1, UINT64_C(0xc9f49bf37d57ca93) },
        { 7, UINT64_C(0xd3927d989bb11140) },   { 8, UINT64_C(0x369095118d299a8e) },
        { 9, UINT64_C(0x25a48eb36c063de4) },   { 15, UINT64_C(0xd320d86d2a519956) },
        { 16, UINT64_C(0xcc4fdd1a7d908b66) },  { 63, UINT64_C(0x9d199062b7bbb3a8) },
        { 64, UINT64_C(0xf17997ec4b4a6065) },  { 255, UINT64_C(0xf76214e3153c4a15) },
        { 256, UINT64_C(0x75b3e64e167de370) }, { 300, UINT64_C(0x4016a23bda5a2224) },
    };
    unsigned char key[300];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct aff_map m = { .seed = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) } };
        struct aff_map_node node = { 0 };
        aff_map_add(&m, &node, aff_bytes_of(key, vectors[i].len));
        assert_true(node.hash == vectors[i].hash);
        aff_map_fini(&m);
    }
}

static void every_map_hashes_under_its_own_seed(void **state)
{
    (void)state;
    struct aff_map a, b;
    struct aff_map_node in_a = { 0 }, in_b = { 0 };
    aff_map_init(&a, 1);
    aff_map_init(&b, 2);
    assert_true(a.seed[1] != b.seed[1]);
    aff_map_add(&a, &in_a, aff_str("same"));
    aff_map_add(&b, &in_b, aff_str("same"));
    assert_true(in_a.hash != in_b.hash);
    aff_map_fini(&a);
    aff_map_fini(&b);
}

static void an_empty_map_has_nothing(void **state)
{
    (void)state;
    struct aff_map m;
    aff_map_init(&m, 7);
    assert_null(aff_map_get(&m, aff_str("a")));
    assert_null(aff_map_next(&m, NULL));
    aff_map_fini(&m);
    assert_null(aff_map_get(&m, aff_str("a")));
}

static void keys_are_any_bytes(void **state)
{
    (void)state;
    static const aff_bytes keys[] = {
        { "", 0 }, { "\0", 1 }, { "\0\0", 2 }, { "a", 1 }, { "a\0", 2 }, { "\xff\xfe", 2 }
    };
    enum { KEYS = sizeof keys / sizeof *keys };
    struct aff_map_node nodes[KEYS];
    struct aff_map m;
    aff_map_init(&m, 7);
    for (size_t i = 0; i < KEYS; i++) {
        assert_null(aff_map_get(&m, keys[i]));
        aff_map_add(&m, &nodes[i], keys[i]);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_ptr_equal(aff_map_get(&m, keys[i]), &nodes[i]);
    aff_map_fini(&m);
}

static void a_map_grows_and_keeps_all(void **state)
{
    (void)state;
    struct aff_map m;
    aff_map_init(&m, 7);
    add_all(&m);
    assert_int_equal(m.count, ITEMS);
    assert_true(m.mask + 1 >= ITEMS); /* it grew: one node a slot on average */
    for (int i = 0; i < ITEMS; i++)
        assert_ptr_equal(aff_map_get(&m, key_of(i)), &items[i].node);
    assert_null(aff_map_get(&m, aff_str("key-3000")));
    aff_map_fini(&m);
}

/* 3,000 nodes in 16 slots: each chain holds some 190 keys that collide. */
static void a_map_that_cannot_grow_is_slow_but_right(void **state)
{
    (void)state;
    struct aff_map m;
    aff_map_init(&m, 7);
    struct aff_map_node first = { 0 };
    aff_map_add(&m, &first, aff_str("first"));
    out_of_memory = true;
    add_all(&m);
    out_of_memory = false;
    assert_int_equal(m.mask, 15);
    for (int i = 0; i < ITEMS; i += 2)
        aff_map_remove(&m, &items[i].node);
    for (int i = 0; i < ITEMS; i++)
        assert_ptr_equal(aff_map_get(&m, key_of(i)), i % 2 ? &items[i].node : NULL);
    assert_int_equal(m.count, ITEMS / 2 + 1);
    aff_map_fini(&m);
}

static void a_walk_meets_every_node_once(void **state)
{
    (void)state;
    struct aff_map m;
    aff_map_init(&m, 7);
    add_all(&m);
    for (struct aff_map_node *n = aff_map_next(&m, NULL); n; n = aff_map_next(&m, n))
        ((struct item *)n)->seen++;
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].seen, 1);
    aff_map_fini(&m);
}

static void the_node_returned_last_may_be_removed(void **state)
{
    (void)state;
    struct aff_map m;
    aff_map_init(&m, 7);
    add_all(&m);
    int met = 0;
    for (struct aff_map_node *n = aff_map_next(&m, NULL); n; n = aff_map_next(&m, n))
        if (met++ % 3 != 0)
            aff_map_remove(&m, n);
    assert_int_equal(met, ITEMS);
    assert_int_equal(m.count, ITEMS / 3);
    aff_map_fini(&m);
}

static void a_node_may_be_freed_once_the_walk_went_past_it(void **state)
{
    (void)state;
    struct aff_map m;
    char keys[100][4];
    aff_map_init(&m, 7);
    for (int i = 0; i < 100; i++) {
        struct aff_map_node *node = malloc(sizeof *node);
        assert_non_null(node);
        (void)snprintf(keys[i], sizeof keys[i], "%d", i);
        aff_map_add(&m, node, aff_str(keys[i]));
    }
    for (struct aff_map_node *next, *n = aff_map_next(&m, NULL); n; n = next) {
        next = aff_map_next(&m, n);
        aff_map_remove(&m, n);
        free(n);
    }
    assert_int_equal(m.count, 0);
    assert_null(aff_map_next(&m, NULL));
    aff_map_fini(&m);
}

static void any_order_of_operations_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 200, STEPS = 50000 };
    bool in[KEYS] = { false };
    size_t count = 0;
    unsigned seed = 20261122;
    struct aff_map m;
    aff_map_init(&m, 7);
    for (int step = 0; step < STEPS; step++) {
        int i = rand_r(&seed) % KEYS;
        assert_ptr_equal(aff_map_get(&m, key_of(i)), in[i] ? &items[i].node : NULL);
        if (in[i])
            aff_map_remove(&m, &items[i].node);
        else
            aff_map_add(&m, &items[i].node, key_of(i));
        in[i] = !in[i];
        count = in[i] ? count + 1 : count - 1;
        assert_int_equal(m.count, count);
    }
    aff_map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_1_3),
        cmocka_unit_test(every_map_hashes_under_its_own_seed),
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(keys_are_any_bytes),
        cmocka_unit_test(a_map_grows_and_keeps_all),
        cmocka_unit_test(a_map_that_cannot_grow_is_slow_but_right),
        cmocka_unit_test(a_walk_meets_every_node_once),
        cmocka_unit_test(the_node_returned_last_may_be_removed),
        cmocka_unit_test(a_node_may_be_freed_once_the_walk_went_past_it),
        cmocka_unit_test(any_order_of_operations_agrees_with_an_array),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
