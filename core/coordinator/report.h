/*
 * report.h - what a node tells of its replicas, several times a second: the znode `lag/<name>`.
 *
 * The text is one JSON object, as short as it can be:
 *   {"v":1,"member":"n1-0000000007","draining":true,"seats":{"accounts":[0,3,1234,7,2,1230]}}
 * with three numbers for each replica: partition (rising), state (enum aff_seat_state), applied offset. A report counts for the
 * incarnation that it names: of a node that is gone it is the last that is known. Unknown members are ignored, a form above 1
 * is refused (AFF_EREFUSED), what is malformed is AFF_ECORRUPT with the place.
 *
 * Pure: any thread.
 */
#ifndef AFF_COORDINATOR_REPORT_H
#define AFF_COORDINATOR_REPORT_H

#include "base/buf.h"
#include "coordinator/coordinator.h"
#include "coordinator/member.h"

#include <affinity/error.h>

enum { AFF_REPORT_SEATS_MAX = 65536, AFF_REPORT_SPACES_MAX = 1024 };

struct aff_report_seat {
    uint32_t partition;
    uint8_t state;   /* enum aff_seat_state */
    int64_t applied; /* everything below is applied */
};

struct aff_report_space {
    char keyspace[AFF_NODE_NAME_MAX + 1];
    struct aff_report_seat *seats; /* by partition, rising */
    size_t count, capacity;
};

struct aff_report {
    char member[AFF_MEMBER_MAX + 1];
    bool draining;
    struct aff_report_space *spaces;
    size_t spaces_count;
};

void aff_report_init(struct aff_report *report, const char *member, bool draining);
void aff_report_fini(struct aff_report *report);
/* Partitions of a keyspace come together, rising; seats that are AFF_SEAT_AWAY are left out. */
void aff_report_add(struct aff_report *report, const char *keyspace, uint32_t partition, enum aff_seat_state state,
                    int64_t applied);
/* NULL: it holds no replica as far as it says. */
const struct aff_report_seat *aff_report_find(const struct aff_report *report, const char *keyspace,
                                              uint32_t partition);

int aff_report_encode(const struct aff_report *report, struct aff_buf *out, aff_error *err); /* appends */
/* `name` is that of the znode. The caller ends the report with aff_report_fini() when 0 is returned. */
int aff_report_decode(const char *name, aff_bytes text, struct aff_report *ret_report, aff_error *err);

/*
 * Is a replica in step? When it says so, or leads; or when it has applied all but `bound` records of what the leader had.
 * Either may be NULL.
 */
bool aff_seat_in_step(const struct aff_report_seat *seat, const struct aff_report_seat *leader, int64_t bound);

#endif
