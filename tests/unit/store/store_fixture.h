/*
 * store_fixture.h - a store in a temporary folder, and items of one line. For the tests of this folder.
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    char folder[256];
    struct aff_store_opts opts;
    struct aff_store *store; /* open, or NULL */
    bool fresh;              /* as the last open said */
    int log_fd;              /* what the store logs, a file without a name */
};

/* An own folder, a map of 256 MiB, boot id "boot-1"; nothing is open. */
void fixture_init(struct fixture *f);
void fixture_fini(struct fixture *f); /* closes what is open and removes the folder */

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
/* Opens, which must fail with this code and a text that names `part`. */
void fixture_open_fails(struct fixture *f, int code, const char *part);
bool fixture_logged(struct fixture *f, const char *text);

/* Setup and teardown of cmocka: a fixture that is open. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

struct aff_item item_of(const char *value, int64_t offset);
struct aff_item item_due(const char *value, int64_t offset, int64_t expires_ms);
void put(struct fixture *f, const char *key, struct aff_item item);
void commit(struct fixture *f);
/* The value of the key is this one; NULL: it has none. */
void expect(struct fixture *f, const char *key, const char *value);

/* Numbers of one seed: the same everywhere. */
uint64_t next_random(uint64_t *seed);
void remove_folder(const char *folder);

#endif
