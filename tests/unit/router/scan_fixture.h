/*
 * scan_fixture.h - partitions on two loops that a test drives on its own thread, pass by pass; what was written to them; and scans
 * that are compared with it.
 */
#ifndef AFF_TESTS_SCAN_FIXTURE_H
#define AFF_TESTS_SCAN_FIXTURE_H

#include "coordinator/coordinator.h"
#include "router/build.h"
#include "router/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LOOPS = 2, KEYS = 2500, BATCH = 200, VALUE_MAX = 1 << 20 };

/* What the keyspace has under a key. A value is "<version>:" and as many bytes as `size` says. */
struct record {
    char key[AFF_KEY_MAX + 1];
    size_t key_len;
    bool there;
    unsigned version;
    size_t size;
};

struct fixture {
    struct aff_loop *loops[LOOPS];
    struct aff_partition_group *groups[LOOPS];
    struct aff_partition **parts;
    uint32_t count;
    struct aff_port *port; /* of loop 0 */
    struct aff_changelog *log;
    struct aff_coordinator *coordinator;
    struct aff_coordinator_ops ops; /* of the coordinator, but for its lease */
    struct aff_router *router;
    const struct aff_space *space;
    struct aff_finder finder;
    bool indexed;
    char folder[64];
    struct record *records; /* KEYS, sorted */
    uint64_t seed;
    char *value;
};

extern bool leased; /* what the coordinator says */

uint64_t below(struct fixture *f, uint64_t limit);
void pass(struct fixture *f);

struct fixture *fixture_new(uint32_t partitions);
struct fixture *fixture_routed(uint32_t partitions, const char *route);
struct fixture *fixture_indexed(uint32_t partitions); /* by the last byte of the key */
void fixture_free(struct fixture *f);

/* ---- writes ---- */

struct request {
    struct aff_call call;
    bool answered, released;
    char *value;
};

aff_bytes key_of(const struct record *r);
void send_write(struct fixture *f, struct request *q, struct record *r, bool there);
void finish_write(struct fixture *f, struct request *q);
void write_one(struct fixture *f, struct record *r, bool there);
void fill(struct fixture *f, size_t size_max); /* all records */

/* ---- scans ---- */

struct walk {
    struct fixture *f;
    struct aff_scan *scan;
    struct aff_scan_opts opts;
    unsigned ready;     /* how often it came */
    unsigned waits;     /* AFF_EAGAIN */
    uint32_t partition; /* of a failure */
    int at;             /* the record that was told last, or where it begins */
};

void walk_begin(struct walk *w, struct fixture *f, struct aff_scan_opts opts);
int walk_next(struct walk *w, struct aff_scan_entry *e); /* whatever must be waited for */
int wanted_after(const struct walk *w, int at);          /* the next record that the scan must tell; -1: none */
void expect_entry(struct walk *w, const struct record *r, const struct aff_scan_entry *e);
/* What is left of a scan is what the records say, while nothing changes. Returns how many. */
unsigned expect_rest(struct walk *w);
unsigned expect_scan(struct fixture *f, struct aff_scan_opts opts);

#endif
