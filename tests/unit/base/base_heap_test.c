/*
 * base_heap_test.c - the heap of base/heap.h against a plain array that is searched.
 */
#include "base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void an_empty_heap_has_no_minimum(void **state)
{
    (void)state;
    struct aff_heap h;
    struct aff_heap_node n = { 0 };
    aff_heap_init(&h);
    assert_null(aff_heap_min(&h));
    aff_heap_remove(&h, &n); /* on no heap: harmless */
    assert_null(aff_heap_min(&h));
    aff_heap_fini(&h);
}

static void setting_a_node_again_moves_it(void **state)
{
    (void)state;
    struct aff_heap h;
    struct aff_heap_node a = { 0 }, b = { 0 };
    aff_heap_init(&h);
    aff_heap_set(&h, &a, 10);
    aff_heap_set(&h, &b, 20);
    assert_ptr_equal(aff_heap_min(&h), &a);
    aff_heap_set(&h, &a, 30);
    assert_ptr_equal(aff_heap_min(&h), &b);
    aff_heap_set(&h, &a, INT64_MIN);
    assert_ptr_equal(aff_heap_min(&h), &a);
    assert_int_equal(h.count, 2);
    aff_heap_fini(&h);
    assert_false(aff_heap_has(&a));
    assert_false(aff_heap_has(&b));
}

static void removing_everything_gives_the_keys_in_order(void **state)
{
    (void)state;
    enum { NODES = 1000 };
    static struct aff_heap_node nodes[NODES];
    struct aff_heap h;
    aff_heap_init(&h);
    for (int i = 0; i < NODES; i++)
        aff_heap_set(&h, &nodes[i], (int64_t)i * 7919 % NODES);
    for (int i = 0; i < NODES; i++) {
        struct aff_heap_node *min = aff_heap_min(&h);
        assert_non_null(min);
        assert_int_equal(min->key, i);
        aff_heap_remove(&h, min);
    }
    assert_null(aff_heap_min(&h));
    aff_heap_fini(&h);
}

/* ---- any order of operations ---- */

enum { MODEL_NODES = 60, STEPS = 20000 };

struct model {
    struct aff_heap heap;
    struct aff_heap_node nodes[MODEL_NODES];
    bool in[MODEL_NODES];
    int64_t key[MODEL_NODES];
};

static void check_against_model(const struct model *m)
{
    size_t count = 0;
    int64_t least = INT64_MAX;
    for (int i = 0; i < MODEL_NODES; i++) {
        assert_int_equal(aff_heap_has(&m->nodes[i]), m->in[i]);
        if (!m->in[i])
            continue;
        count++;
        least = m->key[i] < least ? m->key[i] : least;
        assert_int_equal(m->nodes[i].key, m->key[i]);
    }
    assert_int_equal(m->heap.count, count);
    for (size_t i = 1; i < count; i++)
        assert_true(m->heap.nodes[(i - 1) / 2]->key <= m->heap.nodes[i]->key);
    const struct aff_heap_node *min = aff_heap_min(&m->heap);
    assert_int_equal(min != NULL, count > 0);
    if (min)
        assert_int_equal(min->key, least);
}

static void any_order_of_operations_keeps_the_minimum_first(void **state)
{
    (void)state;
    struct model m = { 0 };
    unsigned seed = 20261122;
    aff_heap_init(&m.heap);
    for (int step = 0; step < STEPS; step++) {
        int i = rand_r(&seed) % MODEL_NODES;
        m.in[i] = rand_r(&seed) % 3 != 0;
        if (m.in[i]) {
            m.key[i] = rand_r(&seed) % 50 - 25; /* many equal keys */
            aff_heap_set(&m.heap, &m.nodes[i], m.key[i]);
        } else {
            aff_heap_remove(&m.heap, &m.nodes[i]);
        }
        check_against_model(&m);
    }
    aff_heap_fini(&m.heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_minimum),
        cmocka_unit_test(setting_a_node_again_moves_it),
        cmocka_unit_test(removing_everything_gives_the_keys_in_order),
        cmocka_unit_test(any_order_of_operations_keeps_the_minimum_first),
    };
    return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}
