/*
 * coverage.h - what the seeds brought about, counted: a simulator in which something never happens finds nothing there.
 * `affinity-sim --covers` fails when a count is zero.
 */
#ifndef AFF_SIM_COVERAGE_H
#define AFF_SIM_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

/* X(identifier, what) */
#define SIM_COVERAGE_TABLE(X)                                                                                          \
    X(EVENTS, "events")                                                                                                \
    X(SECONDS, "seconds simulated")                                                                                    \
    X(COMMITTED, "operations committed")                                                                               \
    X(NOT_APPLIED, "operations not applied")                                                                           \
    X(UNKNOWN, "operations with unknown outcome")                                                                      \
    X(LOST_ANSWERS, "operations lost with their node")                                                                 \
    X(READS_BARRIER, "strict reads by barrier")                                                                        \
    X(READS_LEASE, "strict reads by lease")                                                                            \
    X(READS_PAUSED, "lease reads stopped in the middle")                                                               \
    X(PRECONDITIONS, "preconditions that failed")                                                                      \
    X(REFUSALS, "commands refused")                                                                                    \
    X(REPLAYS, "repeats answered from memory")                                                                         \
    X(REPLAYS_CUT, "repeats whose reply was too long")                                                                 \
    X(IDS_REUSED, "ids reused for another request")                                                                    \
    X(IDS_RUNNING, "ids that were still running")                                                                      \
    X(OUTCOMES, "outcomes looked up")                                                                                  \
    X(DEADLINES, "deadlines that passed")                                                                              \
    X(RECORDS, "records in the log")                                                                                   \
    X(VOIDS, "void records")                                                                                           \
    X(FOREIGN, "foreign records")                                                                                      \
    X(ZOMBIES, "records of producers that were given up")                                                              \
    X(RESENDS, "records sent twice")                                                                                   \
    X(MERGED, "records with several commands")                                                                         \
    X(GAPS, "gaps read by a master")                                                                                   \
    X(CLAIMS_VALID, "claims that counted")                                                                             \
    X(CLAIMS_VOID, "claims that were void")                                                                            \
    X(CLAIMS_WITHDRAWN, "claims withdrawn")                                                                            \
    X(EPOCHS_TWICE, "epochs granted twice")                                                                            \
    X(SETTLES, "re-claims to settle doubts")                                                                           \
    X(DEPOSALS, "masters deposed")                                                                                     \
    X(REPAIRS, "repairs")                                                                                              \
    X(IDLE_BARRIERS, "barriers that no read asked for")                                                                \
    X(EXPIRIES, "keys expired")                                                                                        \
    X(COMPACTED, "records compacted away")                                                                             \
    X(TOMBSTONES, "tombstones removed")                                                                                \
    X(HOLES, "reads that jumped over a hole")                                                                          \
    X(UNKNOWN_REPORTS, "reports without an outcome")                                                                   \
    X(REFUSED_REPORTS, "reports of a refusal")                                                                         \
    X(NO_OFFSETS, "reports without an offset")                                                                         \
    X(LOG_FULL, "appends turned away")                                                                                 \
    X(LOG_UNSAFE, "appends to a log that is not as it must be")                                                        \
    X(UNSAFE, "operations refused for an unsafe log")                                                                  \
    X(STALLED, "operations refused for a log that stalls")                                                             \
    X(READ_ERRORS, "reads that failed")                                                                                \
    X(STALE_READS, "answers to reads that were replaced")                                                              \
    X(PAUSES, "nodes paused")                                                                                          \
    X(CRASHES, "nodes crashed")                                                                                        \
    X(STOPS, "nodes stopped in order")                                                                                 \
    X(FAILURES, "nodes failed by their store")                                                                         \
    X(RESUMES, "checkpoints resumed")                                                                                  \
    X(WIPES, "stores thrown away by the core")                                                                         \
    X(DISKS_LOST, "disks lost")                                                                                        \
    X(BACKUPS, "backups restored")                                                                                     \
    X(CLOCK_JUMPS, "wall clocks set")                                                                                  \
    X(ELECTIONS, "elections")                                                                                          \
    X(GRANTS_LOST, "grants lost")                                                                                      \
    X(HANDOVERS, "hand-overs begun")                                                                                   \
    X(HANDOVERS_TAKEN, "hand-overs by which the receiver led")                                                         \
    X(HANDOVERS_DONE, "hand-overs that the giver heard the end of")                                                    \
    X(HANDOVERS_BACK, "hand-overs that the giver wanted back")                                                         \
    X(LEADS_UNREAD, "receivers that led without reading")                                                              \
    X(NET_LOST, "messages between nodes lost")                                                                         \
    X(NET_ONCE, "messages between nodes that came once")                                                               \
    X(NET_TWICE, "messages between nodes that came again")                                                             \
    X(DIGESTS, "states compared with the truth")                                                                       \
    X(REBUILDS, "rebuilds from the compacted log compared")

enum sim_counter {
#define SIM_COVERAGE_ENUM(id, what) SIM_##id,
    SIM_COVERAGE_TABLE(SIM_COVERAGE_ENUM)
#undef SIM_COVERAGE_ENUM
        SIM_COUNTERS
};

struct sim_coverage {
    uint64_t count[SIM_COUNTERS];
};

static inline void sim_count(struct sim_coverage *c, enum sim_counter counter)
{
    c->count[counter]++;
}

void sim_coverage_print(const struct sim_coverage *c);
/* False, and says which, when something never happened. */
bool sim_coverage_is_whole(const struct sim_coverage *c);

#endif
