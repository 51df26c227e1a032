/*
 * node.h - a node: one core in its world (world.c), an inbox, a life.
 *
 * What reaches a node waits in its inbox until its next pass; a pass hands over what came, flushes, and plans the next tick, as
 * the loop of a real node does. A paused node has no passes while everything else goes on.
 */
#ifndef AFF_SIM_NODE_H
#define AFF_SIM_NODE_H

#include "fake_log.h"
#include "fake_store.h"

struct sim_attempt;

/* The answer to a read, as offsets: entries stay in memory until the run ends. */
struct sim_batch {
    uint64_t ticket;
    int status;
    int64_t next, start, end, clean_bound, doubt_until;
    int64_t count;
    int64_t offsets[];
};

struct sim_node {
    struct sim *sim;
    int index;
    uint64_t incarnation;  /* of the process, 0: none yet */
    struct aff_core *core; /* NULL: down */
    bool stopping;         /* it drains */
    bool dying;            /* its process is gone; what it still does reaches nobody */
    struct sim_store *store, *backup;
    struct sim_producer *producer;

    /* the core's world */
    struct aff_world world;
    struct aff_world_log world_log;
    struct aff_world_coordinator world_coordinator;
    struct aff_world_net world_net;
    struct aff_world_entropy world_entropy;
    struct aff_world_host world_host;
    struct aff_clock clock;
    struct aff_logger logger;
    int64_t asleep_ns; /* the monotonic clock is so much behind the others */
    int64_t wall_off_ms;
    int64_t wall_set_ns; /* when that was changed last */

    /* what is known of it */
    struct aff_standing standing;
    uint64_t ticket; /* of the newest read */
    int64_t keep_from;
    struct aff_stamp last_sent; /* the number that was handed to the log last */
    struct aff_stamp claimed;   /* a mastership whose claim was found valid */
    struct aff_stamp gone;      /* a mastership that said GO */
    uint32_t gives;             /* the epoch of the hand-over that it was told to begin last */
    uint32_t gave;              /* how many it has ended */
    int64_t healthy_since_ns;   /* neither paused nor restarted since */
    int64_t leads_since_ns;

    /* passes */
    struct aff_list under_way, inbox; /* of letters */
    struct sim_event pass, tick, restart;
    int64_t paused_until_ns;
    bool sleeps;     /* this pause is one of its machine */
    int busy_passes; /* in a row with more to do at once */
    struct aff_record scratch;
};

struct sim_node *sim_node_new(struct sim *sim, int index);
void sim_node_end(struct sim_node *n); /* goes down for good; its events may still be planned */
struct sim_node *sim_node_free(struct sim_node *n);

/* ---- what reaches it; `at_ns`: when it enters the inbox ---- */

void sim_node_report(struct sim_node *n, struct sim_producer *p, const struct aff_delivery_report *report, int key,
                     int64_t at_ns);
void sim_node_batch(struct sim_node *n, struct sim_batch *batch, int64_t at_ns);
void sim_node_lead(struct sim_node *n, int64_t at_ns);
void sim_node_resign(struct sim_node *n, int64_t at_ns);
void sim_node_granted(struct sim_node *n, uint32_t major, uint64_t incarnation, int64_t at_ns);
void sim_node_give(struct sim_node *n, uint32_t major, int64_t at_ns);
void sim_node_go(struct sim_node *n, const struct aff_go *go, int64_t lasts_ns, uint64_t incarnation, int64_t at_ns);
void sim_node_went(struct sim_node *n, uint32_t major, bool taken, uint64_t incarnation, int64_t at_ns);
void sim_node_submit(struct sim_node *n, struct sim_attempt *attempt);
/* The node was stopped in the middle of an attempt: goes on with it before anything else. */
void sim_node_go_on(struct sim_node *n, void (*run)(struct sim_node *n, struct sim_attempt *attempt),
                    struct sim_attempt *attempt);
struct sim_batch *sim_batch_new(int64_t count);

/* ---- its life ---- */

void sim_node_start(struct sim_node *n);
void sim_node_crash(struct sim_node *n);
void sim_node_stop(struct sim_node *n); /* drains, goes down in a later pass, and comes back */
void sim_node_restart_later(struct sim_node *n);
void sim_node_pause(struct sim_node *n, int64_t for_ns, bool machine_sleeps);
void sim_node_wake(struct sim_node *n); /* the pause is over */

static inline bool sim_node_up(const struct sim_node *n)
{
    return n->core != NULL;
}
bool sim_node_paused(const struct sim_node *n);
bool sim_node_leads(const struct sim_node *n); /* it says so */
uint64_t sim_node_incarnation(const struct sim_node *n);
uint64_t sim_node_ticket(const struct sim_node *n);
int64_t sim_node_keeps_from(const struct sim_node *n);
int64_t sim_node_mono_ns(const struct sim_node *n);
int64_t sim_node_boot_ns(const struct sim_node *n);
int64_t sim_node_wall_ms(const struct sim_node *n);

/* world.c: gives the core its world. */
void sim_world_make(struct sim_node *n);

#endif
