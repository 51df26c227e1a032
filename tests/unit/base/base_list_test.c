/*
 * base_list_test.c - the list of base/list.h.
 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    char name;
    struct aff_list link;
};

static char name_of(const struct aff_list *link)
{
    return aff_container_of(link, struct item, link)->name;
}

/* The names on the list, read forwards; read backwards it must be the same. */
static const char *names(const struct aff_list *head, char *text)
{
    size_t len = 0;
    for (const struct aff_list *l = head->next; l != head; l = l->next)
        text[len++] = name_of(l);
    text[len] = '\0';
    for (const struct aff_list *l = head->prev; l != head; l = l->prev)
        assert_int_equal(name_of(l), text[--len]);
    assert_int_equal(len, 0);
    return text;
}

static void fill(struct aff_list *head, struct item *items, const char *letters)
{
    aff_list_init(head);
    for (size_t i = 0; letters[i]; i++) {
        items[i].name = letters[i];
        aff_list_append(head, &items[i].link);
    }
}

static void appended_nodes_keep_their_order(void **state)
{
    (void)state;
    struct aff_list head;
    struct item items[3];
    char text[8];
    aff_list_init(&head);
    assert_true(aff_list_empty(&head));
    assert_null(aff_list_first(&head));
    fill(&head, items, "abc");
    assert_string_equal(names(&head, text), "abc");
    assert_ptr_equal(aff_list_first(&head), &items[0].link);
}

static void a_removed_node_is_on_no_list_and_can_be_removed_again(void **state)
{
    (void)state;
    struct aff_list head;
    struct item items[3];
    char text[8];
    fill(&head, items, "abc");
    aff_list_remove(&items[1].link);
    aff_list_remove(&items[1].link);
    assert_true(aff_list_empty(&items[1].link));
    assert_string_equal(names(&head, text), "ac");
    aff_list_append(&head, &items[1].link);
    assert_string_equal(names(&head, text), "acb");
}

static void take_empties_the_list_from_the_front(void **state)
{
    (void)state;
    struct aff_list head;
    struct item items[2];
    fill(&head, items, "ab");
    assert_int_equal(name_of(aff_list_take(&head)), 'a');
    assert_int_equal(name_of(aff_list_take(&head)), 'b');
    assert_null(aff_list_take(&head));
}

static void splice_moves_all_nodes_behind_those_that_are_there(void **state)
{
    (void)state;
    struct aff_list a, b;
    struct item first[2], second[2];
    char text[8];
    fill(&a, first, "ab");
    fill(&b, second, "cd");
    aff_list_splice(&a, &b);
    assert_string_equal(names(&a, text), "abcd");
    assert_true(aff_list_empty(&b));
    aff_list_splice(&a, &b); /* nothing to move */
    assert_string_equal(names(&a, text), "abcd");
    aff_list_splice(&b, &a); /* into an empty list */
    assert_string_equal(names(&b, text), "abcd");
    assert_true(aff_list_empty(&a));
}

static void the_walk_may_remove_and_free_its_node(void **state)
{
    (void)state;
    struct aff_list head;
    char text[32];
    aff_list_init(&head);
    for (char c = 'a'; c <= 'z'; c++) {
        struct item *item = malloc(sizeof *item);
        assert_non_null(item);
        item->name = c;
        aff_list_append(&head, &item->link);
    }
    aff_list_each(link, &head) {
        if (strchr("aeiouz", name_of(link)))
            continue;
        aff_list_remove(link);
        free(aff_container_of(link, struct item, link));
    }
    assert_string_equal(names(&head, text), "aeiouz");
    aff_list_each(link, &head)
        free(aff_container_of(link, struct item, link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_nodes_keep_their_order),
        cmocka_unit_test(a_removed_node_is_on_no_list_and_can_be_removed_again),
        cmocka_unit_test(take_empties_the_list_from_the_front),
        cmocka_unit_test(splice_moves_all_nodes_behind_those_that_are_there),
        cmocka_unit_test(the_walk_may_remove_and_free_its_node),
    };
    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
