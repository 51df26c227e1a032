/*
 * kafka/pool.h - the parts of a pool of producers (producer.h), for producer.c, instance.c and lane.c alone.
 *
 *   producer.c  the pool: its port in the loop, slots, fresh instances for failed ones, the end
 *   instance.c  one instance of librdkafka: made, asked about topics, produced to, drained, given up
 *   lane.c      one partition: the order of its appends and their reports
 *
 * Everything but jobs belongs to the loop's thread. The order of a partition's appends is kept by its lane, as a list; an
 * append is held (the lane has a copy), sent (librdkafka has it) or done (its report is known and not delivered yet). In a
 * lane the done ones of an earlier time stand first, held ones last.
 */
#ifndef AFF_CHANGELOG_KAFKA_POOL_H
#define AFF_CHANGELOG_KAFKA_POOL_H

#include "changelog/kafka/keeper.h"
#include "changelog/kafka/producer.h"

enum {
    KAFKA_SENT_MOST = 1024, /* appends of a lane that librdkafka has: what is held is certainly not in the log */
    KAFKA_SENT_BYTES_MOST = 2 << 20, /* and their bytes */
    KAFKA_APPEND_COST = 256,         /* of memory, beside key, value and headers */
    KAFKA_RECORD_OVERHEAD = 512,     /* of a record and its batch in the log, generously */
};

struct kafka_instance;

/* The copy of an entry that is held. */
struct kafka_held {
    struct aff_entry entry; /* views into `bytes` */
    char bytes[];
};

struct kafka_append {
    struct kafka_append *next; /* in the lane */
    struct aff_kafka_pool *pool;
    struct aff_kafka_lane *lane; /* NULL: nobody waits for its report any more */
    struct aff_list sent;        /* instance->sent */
    enum { KAFKA_HELD, KAFKA_SENT, KAFKA_DONE } state;
    size_t size;
    struct kafka_held *held;
    struct aff_delivery_report report; /* done */
};

/* ---- a topic as one instance knows it ---- */

struct kafka_topic {
    struct aff_list link; /* instance->topics */
    struct kafka_instance *instance;
    char *name;
    rd_kafka_topic_t *handle;
    bool known;  /* its metadata is there: appends do not wait for it */
    bool asked;  /* a job is under way */
    bool failed; /* logged already */
    int64_t retry_ns;
    struct kafka_job job;
    rd_kafka_resp_err_t asked_err; /* the job's result */
};

/* ---- one instance of librdkafka ---- */

struct kafka_instance {
    struct aff_kafka_pool *pool;
    struct kafka_slot *slot;
    struct aff_list link; /* pool->instances */
    struct kafka_job job; /* that makes it, and that destroys it */
    char text[256];       /* why it could not be made */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct aff_list sent; /* of kafka_append.sent */
    struct aff_list topics;
    size_t lanes; /* that append through it */
    bool failed;
    int64_t made_ns, failed_ns;
};

/* Starts to make one; it comes back through aff_pool_instance_made(). */
void aff_instance_make(struct aff_kafka_pool *pool, struct kafka_slot *slot);
/* Starts to destroy it. Nothing of it is used any more. */
void aff_instance_destroy(struct kafka_instance *instance);
/* The same at once, in the end. */
void aff_instance_destroy_now(struct kafka_instance *instance);
void aff_instance_wake(struct kafka_instance *instance, int fd); /* -1: nobody */
/* The topic when it is known, else NULL, and it is asked for. */
struct kafka_topic *aff_instance_topic(struct kafka_instance *instance, const char *name);
/* Hands an append over. AFF_EAGAIN: its queue is full. AFF_ECLOSED: the instance failed. AFF_EVOID: refused for another reason. */
int aff_instance_send(struct kafka_instance *instance, struct kafka_append *a, const struct aff_entry *entry,
                      rd_kafka_topic_t *topic, uint32_t partition);
/* Takes reports and errors, at most about so many; returns how many. */
size_t aff_instance_drain(struct kafka_instance *instance, size_t most, int wait_ms);
/* It takes nothing any more. Logged and counted once. */
void aff_instance_fail(struct kafka_instance *instance, const char *why);
/* Goes on with a failed one: what it still has is called back, in the end given up. True: nothing is left in it. */
bool aff_instance_wind_up(struct kafka_instance *instance, int64_t now_ns);
/* What it still has is not waited for any longer: its outcome is unknown. */
void aff_instance_abandon(struct kafka_instance *instance);

/* ---- one partition ---- */

struct aff_kafka_lane {
    struct aff_kafka_pool *pool;
    struct kafka_slot *slot;
    struct aff_list link;      /* slot->lanes */
    struct aff_list reporting; /* pool->reporting: its first append is done */
    struct aff_list holding;   /* pool->holding: an append is held */
    struct aff_kafka_lane_user *user;
    char *topic;
    uint32_t partition;
    uint64_t max_message_bytes;
    struct kafka_instance *instance; /* NULL: there is none at the moment, or it does not know the topic yet */
    rd_kafka_topic_t *handle;        /* of the instance */

    struct kafka_append *first, **last;
    struct kafka_append *held; /* the first held one */
    size_t sent, sent_bytes;
    bool proven; /* the instance had a success here, so the broker knows its sequence numbers */
    int64_t proven_ns;
    bool failed;       /* an append failed: no later one may land until the reset */
    bool failure_told; /* ... and its report was delivered */
    int64_t confirmed_end;
    int64_t told_offset; /* of the last success, as librdkafka told it */
    bool told_wrong;     /* that one was no offset */
};

/* librdkafka's word on an append. */
void aff_lane_settle(struct kafka_append *a, const rd_kafka_message_t *message);
/* There will be no word: its outcome is unknown. */
void aff_lane_settle_unknown(struct kafka_append *a);
/* Hands over what is held as far as it may be. */
void aff_lane_pump(struct aff_kafka_lane *lane);
/* Takes up the slot's present instance when it has none. */
void aff_lane_settle_down(struct aff_kafka_lane *lane);
/* Reports what is done, in order. */
void aff_lane_report(struct aff_kafka_lane *lane);

/* ---- the pool ---- */

struct kafka_slot {
    struct kafka_instance *instance; /* NULL: being made */
    bool making;
    int64_t retry_ns;      /* no instance is made before: making it failed, or the last ones failed soon */
    int64_t delay_ms;      /* by what the next one would be delayed */
    struct aff_list lanes; /* of lane->link */
    size_t lane_count;
};

struct kafka_pool_port {
    struct aff_port port;
    struct aff_kafka_pool *pool;
};

struct aff_kafka_pool {
    struct aff_kafka_pool_opts opts;
    struct kafka_keeper keeper;
    struct kafka_slot *slots;
    struct aff_list instances; /* made, not being destroyed */
    struct aff_list reporting, holding;
    size_t lane_count;
    struct kafka_pool_port *port; /* NULL: no loop */
    struct aff_loop *loop;
    struct aff_timer timer;
    int64_t timer_ns; /* 0: not set */
    bool closing;
};

int64_t aff_pool_now(const struct aff_kafka_pool *pool);
/* The slot's instance failed: a fresh one is wanted, at once unless those before it did not last. */
void aff_pool_replace(struct kafka_instance *instance);
void aff_pool_instance_made(struct kafka_instance *instance); /* rk == NULL: it could not be */
void aff_pool_topic_known(struct kafka_topic *topic);
void aff_pool_ring(struct aff_kafka_pool *pool); /* serve it on the next pass */
/* Looks at failed instances and retries at this time at the latest. */
void aff_pool_at(struct aff_kafka_pool *pool, int64_t due_ns);
void aff_pool_charge_back(struct aff_kafka_pool *pool, size_t size);

#endif
