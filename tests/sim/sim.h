/*
 * sim.h - one simulated run: a partition on two or three nodes, a log, a coordinator and clients, in virtual time.
 *
 * Everything that happens is an event on one heap; a seed decides all of it. The parts:
 *
 *   fake_log.c          the changelog: entries, reading
 *   fake_producer.c     appends and their reports: delays, zombies, resends
 *   fake_compaction.c   what old records become
 *   fake_store.c        the state of a node: transactions, crashes, backups, disks that fail
 *   fake_coordinator.c  elections, grants, hand-overs, leases; it lies where a real one may
 *   fake_net.c          what nodes say to each other in a hand-over
 *   node.c, world.c     a node: the core in its world, paused, crashed and started again
 *   clients.c           who writes and reads, and repeats what became unknown
 *   attempt.c           one operation of a client at one node
 *   faults.c            what goes wrong, and when
 *   truth.c             what the log really says, by a validity rule of its own
 *   checker.c           the invariants (I2 to I10), after each step and at the end
 *   checker_ops.c       the same for what clients were told
 *   profile.c           the world of a seed: how large, how bad
 *   run.c               one seed from start to end
 *   main.c              many seeds, mutants, the command line
 *
 * Single-threaded, no real time, no input or output but the trace.
 */
#ifndef AFF_SIM_SIM_H
#define AFF_SIM_SIM_H

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "coverage.h"
#include "partition/core.h"
#include "random.h"

#include <stdio.h>

enum {
    SIM_NODES_MAX = 3,
    SIM_REGISTERS_MAX = 6,
    SIM_LEDGERS_MAX = 3,
    SIM_KEYS_MAX = SIM_REGISTERS_MAX + SIM_LEDGERS_MAX
};

#define SIM_MS AFF_NS_PER_MS
#define SIM_S AFF_NS_PER_S
#define SIM_MINUTE (60 * AFF_NS_PER_S)
#define SIM_HOUR (60 * SIM_MINUTE)
#define SIM_WALL_START_MS INT64_C(1760000000000)

struct sim;
struct sim_log;
struct sim_coordinator;
struct sim_truth;
struct sim_node;
struct sim_clients;
struct sim_faults;

struct sim_event {
    struct aff_heap_node node; /* key: virtual time, ns */
    void (*run)(struct sim *sim, struct sim_event *event);
};

enum sim_lease_mode {
    SIM_LEASE_NONE,  /* barriers only; elections and grants at any time, epochs may be granted twice */
    SIM_LEASE_TIMED, /* truthful: nobody else is granted an epoch before a lease has ended */
    SIM_LEASE_LOCK,  /* one node may lead until its process ends */
};

/* What kind of world a seed lives in. Chances are of 10,000. */
struct sim_profile {
    int nodes, registers, ledgers;
    int steps;            /* of the clients and faults */
    int64_t gap_ns;       /* typical time between two steps */
    unsigned idle_chance; /* of a pause between steps: seconds, minutes, hours */
    bool long_idle;       /* hours, too */
    unsigned write_chance, command_chance, id_chance, condition_chance, ttl_chance, deadline_chance, burst_chance;
    bool compaction_obeys; /* the log obeys keep_from (embedded), or compacts by itself (Kafka) */
    bool start_moves;      /* its start is the first entry that is left, or stays 0 */
    int64_t lag_ms, retention_ms, heartbeat_ms;
    int window, queue;  /* of the core */
    int64_t stall_ms;   /* of the core; 0: never */
    int64_t latency_ns; /* typical time for an append, a report, a read */
    enum sim_lease_mode lease_mode;
    /* faults, chance of each per step */
    unsigned election, pause, crash, backup_restored, disk_lost, clock_jump, outage, stall, drain, foreign,
        long_absence, lease_lapse, distrust, handover;
    /* faults, chance per append */
    unsigned report_lost, report_no_offset, resend, refused, broken, again;
    /* chance per commit, disk full, per read, per grant */
    unsigned commit_fails, no_room, read_fails, grant_lost, grant_twice;
    unsigned net_lost, net_twice, net_slow; /* per message between nodes */
    unsigned go_pause;                      /* per GO: the giver stands still */
    unsigned disk_fails; /* chance per operation of the store, of a million */
};

struct sim {
    uint64_t seed;
    unsigned mutants;
    bool tracing;
    struct sim_random random;
    struct sim_profile profile;
    int64_t now_ns;
    uint64_t steps; /* events so far */
    struct aff_heap events;
    bool quiet; /* the last phase: nothing fails any more */

    struct sim_log *log;
    struct sim_truth *truth;
    struct sim_coordinator *coordinator;
    struct sim_node *nodes[SIM_NODES_MAX];
    struct sim_clients *clients;
    struct sim_faults *faults;
    struct sim_coverage *coverage;

    bool violated;
    char violation[400];
};

/* ---- events ---- */

void sim_at(struct sim *sim, struct sim_event *event, int64_t at_ns); /* moves it when it is planned already */
void sim_cancel(struct sim *sim, struct sim_event *event);
/* Runs events until `until_ns` or a violation. */
void sim_run_until(struct sim *sim, int64_t until_ns);
/* The same, but stops early when `done` says so; false: it never did. */
bool sim_run_while(struct sim *sim, int64_t until_ns, bool (*waits)(struct sim *sim));

/* ---- what was found ---- */

/* The first one counts; the run stops at the next event. `invariant` is "I3" or a word. */
void sim_violation(struct sim *sim, const char *invariant, const char *format, ...) AFF_PRINTF(3, 4);

/* ---- one seed ---- */

struct sim_options {
    uint64_t seed;
    unsigned mutants;
    int nodes; /* 0: the seed decides */
    bool tracing;
};
/* True when the invariants held. Counts into `coverage`; a violation is printed. */
bool sim_run_seed(const struct sim_options *options, struct sim_coverage *coverage);
void sim_profile_make(struct sim_profile *profile, struct sim_random *random, int nodes);

#endif
