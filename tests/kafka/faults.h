/*
 * faults.h - partitions of a node on the driver `kafka`, against librdkafka's mock: real core, real store, an embedded
 * coordinator that has no lock on the log, and brokers that fail as a test says. In the end the log itself is the judge.
 *
 * One thread, one loop; both partitions append through one producer, so that one's failure is the other's.
 *
 * The mock checks no sequence numbers: a batch that was sent behind one that is refused lands, which no real broker lets
 * happen, and what became of the first can then not be told. So tests in which a broker refuses or loses some of the batches
 * have one record of each partition under way at a time (faults_make_careful). What else the mock does not do (replication,
 * compaction) is in the tests against real brokers.
 *
 * AFFINITY_TEST_LOG=1 in the environment shows the log lines.
 */
#ifndef AFF_TESTS_KAFKA_FAULTS_H
#define AFF_TESTS_KAFKA_FAULTS_H

#include "partition/partition.h"
#include "unit/changelog/kafka_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    FAULTS_BROKERS = 3, /* 1, 2, 3 */
    FAULTS_PARTS = 2,
    FAULTS_KEYS = 40, /* of a partition */
    FAULTS_WRITES = 40000,
    FAULTS_FETCH = 1, /* of the protocol's requests */
    FAULTS_LIST_OFFSETS = 2,
    FAULTS_METADATA = 3,
    FAULTS_PRODUCER_ID = 22,
};
#define FAULTS_TOPIC "test.things"

struct faults;

struct faults_write {
    struct aff_op op;
    struct faults *faults;
    uint32_t part;
    char key[16], value[16];
    bool done, released;
    int64_t found; /* offset of the valid record that carries it; -1: there is none */
};

struct faults {
    struct kafka_mock mock;
    struct aff_logger logger;
    struct aff_changelog *log;
    struct aff_loop *loop;
    struct aff_coordinator *coordinator;
    struct aff_partition_group *group;
    struct aff_partition *parts[FAULTS_PARTS];
    char folder[64];
    int64_t heartbeat_ms, stall_ms;
    uint32_t window; /* records of a partition under way */
    struct faults_write *writes;
    size_t count, released, stalled;
};

int faults_set_up(void **state); /* leads both partitions */
int faults_tear_down(void **state);
/* The parts of faults_set_up(), for tests with settings of their own. */
struct faults *faults_make(void);
struct faults *faults_make_careful(void);
void faults_start(struct faults *f);

/* Passes until the condition holds; fails the test when it does not come. */
#define faults_await(f, condition)                                                                                     \
    do {                                                                                                               \
        int64_t faults_until = aff_mono_ns(aff_clock_system()) + 60 * AFF_NS_PER_S;                                    \
        while (!(condition)) {                                                                                         \
            if (aff_mono_ns(aff_clock_system()) > faults_until)                                                        \
                fail_msg("it did not come: %s", #condition);                                                           \
            (void)aff_loop_pass((f)->loop, 10 * AFF_NS_PER_MS);                                                        \
        }                                                                                                              \
    } while (0)

bool faults_lead(const struct faults *f); /* all partitions */
uint64_t faults_rebuilt(const struct faults *f);

/* Submits so many writes, as clients of which each waits for its answer would. */
void faults_load(struct faults *f, size_t count);
void faults_submit(struct faults *f, uint32_t part); /* one */
void faults_press(struct faults *f, size_t count);   /* without waiting for answers: fewer when they do not come */
/* Until writes are refused because the log confirms none; then all of one partition's are. */
void faults_load_until_it_stalls(struct faults *f);
/* Until each write has its answer and nothing is left to be repaired. */
void faults_settle(struct faults *f);
/*
 * Settles, and asks the log: each write is committed and valid in the log, where its answer says, or not applied and not
 * valid; and whoever applies the log as it stands, last writer wins, has what the store has (I7).
 */
void faults_judge(struct faults *f);
/* The same state in new stores, which have nothing but the log. */
void faults_rebuild(struct faults *f);
/* It goes on: a write of each partition is committed. */
void faults_goes_on(struct faults *f);
size_t faults_committed(const struct faults *f);

void faults_inject(struct faults *f, int16_t request, size_t count, rd_kafka_resp_err_t error);
/* The next request of the kind to one broker is answered so, and so late; without an error it is carried out at once. */
void faults_answer(struct faults *f, int32_t broker, int16_t request, rd_kafka_resp_err_t error, int late_ms);

#endif
