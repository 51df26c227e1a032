/* Kept responses: the same version finds its response, any other does not, and none is lost. */
#include "http/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct MHD_Response *new_response(void)
{
    static char body[] = "ok";
    return MHD_create_response_from_buffer(2, body, MHD_RESPMEM_PERSISTENT);
}

static void only_the_same_version_finds_its_response(void **state)
{
    (void)state;
    struct aff_kept *table = calloc(AFF_KEPT_PLACES, sizeof *table);
    const struct aff_space notes = { .partitions = 8 }, words = { .partitions = 8 };
    const struct aff_etag tag = { 1, 2, 3 }, later = { 1, 2, 3 + AFF_KEPT_PLACES }, log = { 9, 2, 3 };
    struct aff_kept *place = aff_kept_place(table, &notes, tag);
    assert_false(aff_kept_is(place, &notes, tag));
    assert_true(aff_kept_set(place, &notes, tag, new_response()));
    assert_true(aff_kept_is(place, &notes, tag));
    assert_ptr_equal(aff_kept_place(table, &notes, later), place);
    assert_false(aff_kept_is(place, &notes, later));
    assert_false(aff_kept_is(place, &notes, log));
    assert_false(aff_kept_is(place, &words, tag));
    assert_false(aff_kept_is(place, &notes, (struct aff_etag){ 1, 3, 3 }));
    struct MHD_Response *other = new_response();
    place->pins = 1; /* an answer of it is on its way to libmicrohttpd */
    assert_false(aff_kept_set(place, &notes, later, other));
    assert_true(aff_kept_is(place, &notes, tag));
    place->pins = 0;
    assert_true(aff_kept_set(place, &notes, later, other));
    assert_true(aff_kept_is(place, &notes, later));
    assert_false(aff_kept_is(place, &notes, tag));
    aff_kept_clear(table);
    free(table);
}

static void what_was_written_lately_has_places_of_its_own(void **state)
{
    (void)state;
    struct aff_kept *table = calloc(AFF_KEPT_PLACES, sizeof *table);
    const struct aff_space space = { .partitions = 8 };
    struct MHD_Response *response = new_response();
    for (int64_t offset = 1000; offset < 1000 + AFF_KEPT_PLACES / 8; offset++)
        for (uint32_t partition = 0; partition < 8; partition++) {
            struct aff_kept *place = aff_kept_place(table, &space, (struct aff_etag){ 1, partition, offset });
            assert_true(place >= table && place < table + AFF_KEPT_PLACES);
            assert_null(place->response);
            place->response = response;
        }
    MHD_destroy_response(response);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_version_finds_its_response),
        cmocka_unit_test(what_was_written_lately_has_places_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
