/*
 * fake_router.h - a double of the router, linked in its place: a store in memory, and answers as a test wants them.
 *
 * The real functions of router.h, on one loop. Everything here is touched on the loop's thread (fixture_run()).
 */
#ifndef AFF_TESTS_HTTP_FAKE_ROUTER_H
#define AFF_TESTS_HTTP_FAKE_ROUTER_H

#include "router/inquiry.h"
#include "router/later.h"
#include "router/scan.h"
#include "router/standby.h"

enum { FAKE_VALUES_MAX = 64, FAKE_VALUE_MAX = 1 << 21 };

enum fake_when {
    FAKE_IN_STAGE, /* in the partition's stage of the same pass, as the real one */
    FAKE_AT_ONCE,  /* inside aff_port_call() */
    FAKE_HELD,     /* when the test says so */
};

/* What the next calls are answered with, laid over what the fake would say. */
struct fake_script {
    enum fake_when when;
    bool late_release; /* answered, and released by fake_release_all() only */
    int code;          /* 0: carried out */
    enum aff_outcome outcome;
    bool replayed, replay_cut, unversioned, unstamped;
    uint16_t status;
    const char *reply, *reply_type, *problem, *title, *detail;
    int read_code;          /* of aff_port_get() */
    bool no_lease;          /* aff_port_get() wants a barrier */
    bool behind;            /* the copy has not what a bounded read wants */
    unsigned scan_waits_at; /* the scan waits before its entry of this number, from 1; 0: never */
    unsigned scan_fails_at; /* it fails there */
    int scan_code;          /* with this */
    bool scan_held;         /* it waits until fake_wake_scans() */
    enum aff_outcome inquiry_outcome;
    int inquiry_code;
};

/* What the last call carried, copied. */
struct fake_seen {
    enum aff_op_kind kind;
    char key[600], content_type[300], traceparent[64], body_type[300];
    size_t key_len, value_len;
    int64_t ttl_ms, event_ms;
    struct aff_conditions conditions;
    struct aff_etag match[4], none_match[4];
    bool identified;
    struct aff_digest id, request;
    bool has_deadline;
    struct aff_bound bound; /* of the last read that had one */
};

struct fake_value {
    bool used;
    unsigned char key[AFF_KEY_MAX], type[256];
    size_t key_len, type_len, len;
    char *bytes;
    struct aff_version version;
};

struct fake_router {
    struct aff_loop *loop;
    struct aff_hook hook;
    const struct aff_space *spaces;
    struct fake_script script;
    struct fake_seen seen;
    struct aff_bound bound; /* of the last read that had one; it is told in `seen` */
    unsigned calls, barriers, reads, released, snapshots;
    int64_t next_offset;
    struct fake_value values[FAKE_VALUES_MAX];
    struct aff_list queue;    /* ops for the stage */
    struct aff_list held;     /* ops for the test */
    struct aff_list answered; /* ops that wait for their release */
    struct aff_list scans;    /* all that there are */
    unsigned scans_alive, scans_waiting;
    struct aff_scan_opts scanned; /* the last one's; its views are gone */
};

/* `spaces` ends with a NULL name. The port and the router of router.h are this struct. */
struct fake_router *fake_router_new(struct aff_loop *loop, const struct aff_space *spaces);
void fake_router_free(struct fake_router *fake);

void fake_answer_held(struct fake_router *fake); /* by the present script */
void fake_wake_scans(struct fake_router *fake);  /* those that wait */
void fake_release_all(struct fake_router *fake); /* what was answered and not released */

#endif
