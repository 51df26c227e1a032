/*
 * kafka/admin.c - see kafka/admin.h.
 *
 * A topic is remembered once it was found right. The watch looks at each of them; what it finds is the topic's trouble until
 * it looks the next time. Threads: the lock guards the list and the troubles; nobody is asked under it.
 */
#include "changelog/kafka/admin.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "changelog/kafka/ask.h"
#include "changelog/kafka/wanted.h"
#include "changelog/topic.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMEOUT_MS = 30000,
    VERIFY_EVERY_MS = 60000,
    AGAIN_MS = 50,
    SLICE_FIRST_MS = 2000, /* for a first question; what goes unanswered is asked again, with more time */
    SLICE_MAX_MS = 60000,
};

struct known_topic {
    struct aff_list node;
    struct aff_topic topic; /* its name is owned */
    aff_error trouble;      /* lock; code 0: none */
};

struct aff_kafka_admin {
    struct aff_kafka_property *overrides;
    size_t override_count;
    bool development, blind;
    int64_t timeout_ns, verify_every_ns;
    const struct aff_logger *logger;
    struct aff_kafka_asker *asker;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct aff_list topics; /* lock; none is taken off before the end */
    atomic_bool stop;       /* written under the lock */
    atomic_bool trusted;
    bool watching;
    pthread_t watch;
};

/* ---- life ---- */

static void copy_overrides(struct aff_kafka_admin *admin, const struct aff_kafka_property *overrides, size_t count)
{
    admin->overrides = aff_xcalloc(count + 1, sizeof *admin->overrides);
    for (size_t i = 0; i < count; i++)
        admin->overrides[admin->override_count++] = (struct aff_kafka_property){ aff_xstrdup(overrides[i].name),
                                                                                 aff_xstrdup(overrides[i].value) };
}

static void init_threads(struct aff_kafka_admin *admin)
{
    pthread_condattr_t attributes;
    int rc = pthread_mutex_init(&admin->lock, NULL);
    rc |= pthread_condattr_init(&attributes);
    rc |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc |= pthread_cond_init(&admin->ended, &attributes);
    rc |= pthread_condattr_destroy(&attributes);
    assert(rc == 0);
    (void)rc;
}

static struct aff_kafka_demand demand_of(const struct aff_kafka_admin *admin, const struct aff_topic *topic)
{
    return (struct aff_kafka_demand){
        .topic = topic,
        .development = admin->development,
        .overrides = admin->overrides,
        .override_count = admin->override_count,
    };
}

int aff_kafka_admin_new(const struct aff_kafka_admin_opts *opts, struct aff_kafka_admin **ret_admin, aff_error *err)
{
    static const struct aff_topic any = { .name = "", .compact = true };
    struct aff_kafka_admin *admin = aff_xcalloc(1, sizeof *admin);

    copy_overrides(admin, opts->topic, opts->topic_count);
    admin->development = opts->development;
    admin->blind = opts->blind;
    admin->timeout_ns = (opts->timeout_ms ? opts->timeout_ms : TIMEOUT_MS) * AFF_NS_PER_MS;
    admin->verify_every_ns = (opts->verify_every_ms ? opts->verify_every_ms : VERIFY_EVERY_MS) * AFF_NS_PER_MS;
    admin->logger = opts->logger;
    atomic_init(&admin->stop, false);
    atomic_init(&admin->trusted, true);
    aff_list_init(&admin->topics);
    init_threads(admin);
    const struct aff_kafka_demand demand = demand_of(admin, &any);
    int rc = aff_kafka_demand_check(&demand, err);
    if (rc == 0)
        rc = aff_kafka_asker_new(opts->settings, opts->logger, &admin->stop, &admin->asker, err);
    if (rc == 0)
        *ret_admin = admin;
    else
        aff_kafka_admin_free(admin);
    return rc;
}

static void end_watch(struct aff_kafka_admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    atomic_store(&admin->stop, true);
    pthread_cond_signal(&admin->ended);
    pthread_mutex_unlock(&admin->lock);
    if (admin->watching)
        pthread_join(admin->watch, NULL);
}

static void free_topics(struct aff_kafka_admin *admin)
{
    aff_list_each(node, &admin->topics) {
        struct known_topic *known = aff_container_of(node, struct known_topic, node);
        free((void *)(uintptr_t)known->topic.name);
        free(known);
    }
}

struct aff_kafka_admin *aff_kafka_admin_free(struct aff_kafka_admin *admin)
{
    if (!admin)
        return NULL;
    end_watch(admin);
    aff_kafka_asker_free(admin->asker);
    free_topics(admin);
    for (size_t i = 0; i < admin->override_count; i++) {
        free((void *)(uintptr_t)admin->overrides[i].name);
        free((void *)(uintptr_t)admin->overrides[i].value);
    }
    free(admin->overrides);
    pthread_cond_destroy(&admin->ended);
    pthread_mutex_destroy(&admin->lock);
    free(admin);
    return NULL;
}

/* ---- one topic ---- */

static uint64_t batch_of(const struct aff_kafka_found *found)
{
    const char *text = aff_kafka_setting(found, "max.message.bytes");
    return text ? strtoull(text, NULL, 10) : AFF_KAFKA_BATCH_MAX;
}

/* Brokers that cannot describe: the partitions are all that can be compared. */
static int check_blindly(const struct aff_topic *topic, const struct aff_kafka_shape *shape,
                         struct aff_kafka_topic_facts *ret_facts, aff_error *err)
{
    *ret_facts = (struct aff_kafka_topic_facts){ AFF_KAFKA_BATCH_MAX, shape->replication };
    return aff_topic_check_count(topic, shape->partitions, err);
}

/* 0, AFF_ENOTFOUND, AFF_ECONFIG: it differs, AFF_EIO. */
static int check(struct aff_kafka_admin *admin, const struct aff_topic *topic, int64_t deadline_ns,
                 struct aff_kafka_shape *ret_shape, struct aff_kafka_topic_facts *ret_facts, aff_error *err)
{
    struct aff_kafka_described described = { .count = 0 };
    const struct aff_kafka_demand demand = demand_of(admin, topic);
    int rc = 0, missing = 0;

    if (!admin->blind)
        missing = rc = aff_kafka_ask_settings(admin->asker, topic->name, deadline_ns, &described, err);
    if (rc == 0 || rc == AFF_ENOTFOUND) /* a new one is made by the number of brokers */
        rc = aff_kafka_ask_shape(admin->asker, topic->name, deadline_ns, ret_shape, err);
    if (rc == 0 && missing)
        rc = aff_fail_with(err, missing, "kafka: topic %s was there and was not", topic->name);
    if (rc == 0 && admin->blind) {
        rc = check_blindly(topic, ret_shape, ret_facts, err);
    } else if (rc == 0) {
        const struct aff_kafka_found found = { ret_shape->partitions, ret_shape->replication, described.settings,
                                               described.count };
        rc = aff_kafka_compare(&demand, &found, err);
        *ret_facts = (struct aff_kafka_topic_facts){ batch_of(&found), found.replication };
    }
    aff_kafka_described_free(&described);
    return rc;
}

/* ---- making ---- */

static int make(struct aff_kafka_admin *admin, const struct aff_topic *topic, int32_t brokers, int64_t deadline_ns,
                aff_error *err)
{
    const struct aff_kafka_demand demand = demand_of(admin, topic);
    int32_t replication = aff_kafka_replication_of(&demand, brokers);

    if (admin->blind)
        return aff_fail_with(err, AFF_ECONFIG, "kafka: there is no topic %s, and brokers like these cannot make it",
                             topic->name);
    int rc = aff_kafka_ask_create(admin->asker, &demand, replication, deadline_ns, err);
    if (rc == 0)
        aff_log(admin->logger, INFO, "kafka.topic-made", aff_f_str("topic", topic->name),
                aff_f_int("partitions", topic->partitions), aff_f_int("replication", replication));
    return rc;
}

/* The time for everything that is asked of a topic, in slices that grow. */
struct patience {
    int64_t deadline_ns, slice_ns;
};

static struct patience new_patience(const struct aff_kafka_admin *admin)
{
    return (struct patience){ aff_mono_ns(aff_clock_system()) + admin->timeout_ns, SLICE_FIRST_MS * AFF_NS_PER_MS };
}

/* The end of a slice. */
static int64_t slice_of(struct patience *p)
{
    int64_t end_ns = aff_mono_ns(aff_clock_system()) + p->slice_ns;
    if (p->slice_ns < SLICE_MAX_MS * AFF_NS_PER_MS)
        p->slice_ns *= 2;
    return end_ns < p->deadline_ns ? end_ns : p->deadline_ns;
}

/* After a little pause; false when the time is over. */
static bool try_again(const struct aff_kafka_admin *admin, const struct patience *p)
{
    const struct timespec pause = { .tv_nsec = AGAIN_MS * AFF_NS_PER_MS };
    if (!aff_kafka_ask_on(admin->asker, p->deadline_ns))
        return false;
    (void)nanosleep(&pause, NULL);
    return aff_kafka_ask_on(admin->asker, p->deadline_ns);
}

/* As check(), until somebody answers. */
static int check_patiently(struct aff_kafka_admin *admin, const struct aff_topic *topic, struct patience *p,
                           struct aff_kafka_shape *ret_shape, struct aff_kafka_topic_facts *ret_facts, aff_error *err)
{
    int rc;
    do
        rc = check(admin, topic, slice_of(p), ret_shape, ret_facts, err);
    while (rc == AFF_EIO && try_again(admin, p));
    return rc;
}

/* Until it is there and right, whoever makes it, and has leaders when it is new. */
static int make_and_check(struct aff_kafka_admin *admin, const struct aff_topic *topic,
                          struct aff_kafka_topic_facts *ret_facts, aff_error *err)
{
    struct patience p = new_patience(admin);
    bool made = false;

    for (;;) {
        struct aff_kafka_shape shape = { .partitions = 0 };
        int rc = check_patiently(admin, topic, &p, &shape, ret_facts, err);
        if (rc == AFF_ENOTFOUND && !made) {
            rc = make(admin, topic, shape.brokers, slice_of(&p), err);
            made = rc == 0;
            if (rc != 0 && rc != AFF_EAGAIN)
                return rc;
        } else if ((rc != 0 && rc != AFF_ENOTFOUND) || (rc == 0 && (shape.led || !made))) {
            return rc;
        }
        if (!try_again(admin, &p))
            return rc == 0 ? aff_fail_with(err, AFF_EIO, "kafka: topic %s was made and has no leaders", topic->name)
                           : AFF_EIO; /* with the last text */
    }
}

static void remember(struct aff_kafka_admin *admin, const struct aff_topic *topic)
{
    struct known_topic *known = aff_xcalloc(1, sizeof *known);
    known->topic = *topic;
    known->topic.name = aff_xstrdup(topic->name);
    pthread_mutex_lock(&admin->lock);
    aff_list_append(&admin->topics, &known->node);
    pthread_mutex_unlock(&admin->lock);
}

int aff_kafka_admin_topic(struct aff_kafka_admin *admin, const struct aff_topic *topic,
                          struct aff_kafka_topic_facts *ret_facts, aff_error *err)
{
    const struct aff_kafka_demand demand = demand_of(admin, topic);
    struct aff_kafka_topic_facts facts;
    aff_error why = { .code = 0 };

    int rc = aff_topic_check(topic, err);
    if (rc == 0)
        rc = aff_kafka_demand_check(&demand, err);
    if (rc)
        return rc;
    rc = make_and_check(admin, topic, &facts, &why);
    if (rc)
        return aff_fail_with(err, rc, "%s", why.text);
    remember(admin, topic);
    *ret_facts = facts;
    return 0;
}

/* ---- the watch ---- */

static void log_change(struct aff_kafka_admin *admin, const char *topic, const aff_error *before, const aff_error *now)
{
    if (now->code && strcmp(before->text, now->text) != 0)
        aff_log(admin->logger, ERROR, "kafka.topic-unsafe", aff_f_str("topic", topic), aff_f_str("text", now->text));
    else if (before->code && !now->code)
        aff_log(admin->logger, INFO, "kafka.topic-safe", aff_f_str("topic", topic));
}

static void set_trouble(struct aff_kafka_admin *admin, struct known_topic *known, const aff_error *now)
{
    bool trusted = true;
    pthread_mutex_lock(&admin->lock);
    const aff_error before = known->trouble;
    known->trouble = *now;
    aff_list_each(node, &admin->topics) {
        trusted = trusted && aff_container_of(node, struct known_topic, node)->trouble.code == 0;
    }
    atomic_store(&admin->trusted, trusted);
    pthread_mutex_unlock(&admin->lock);
    log_change(admin, known->topic.name, &before, now);
}

static void look_at(struct aff_kafka_admin *admin, struct known_topic *known)
{
    struct patience p = new_patience(admin);
    struct aff_kafka_topic_facts facts;
    struct aff_kafka_shape shape;
    aff_error now = { .code = 0 };

    int rc = check_patiently(admin, &known->topic, &p, &shape, &facts, &now);
    if (rc == AFF_EIO) {
        if (!atomic_load(&admin->stop))
            aff_log(admin->logger, WARN, "kafka.topic-unseen", aff_f_str("topic", known->topic.name),
                    aff_f_str("text", now.text));
        return;
    }
    if (rc)
        now.code = AFF_EUNSAFE;
    else
        now = (aff_error){ .code = 0 };
    set_trouble(admin, known, &now);
}

static struct aff_list *next_topic(struct aff_kafka_admin *admin, struct aff_list *after)
{
    pthread_mutex_lock(&admin->lock);
    struct aff_list *next = after->next;
    pthread_mutex_unlock(&admin->lock);
    return next == &admin->topics || atomic_load(&admin->stop) ? NULL : next;
}

/* False: the end. */
static bool wait_for_turn(struct aff_kafka_admin *admin)
{
    int64_t until_ns = aff_mono_ns(aff_clock_system()) + admin->verify_every_ns;
    const struct timespec until = { .tv_sec = until_ns / AFF_NS_PER_S, .tv_nsec = until_ns % AFF_NS_PER_S };
    int timed_out = 0;

    pthread_mutex_lock(&admin->lock);
    while (!atomic_load(&admin->stop) && timed_out == 0)
        timed_out = pthread_cond_timedwait(&admin->ended, &admin->lock, &until);
    bool go_on = !atomic_load(&admin->stop);
    pthread_mutex_unlock(&admin->lock);
    return go_on;
}

static void *watch(void *arg)
{
    struct aff_kafka_admin *admin = arg;
    while (wait_for_turn(admin))
        for (struct aff_list *node = &admin->topics; (node = next_topic(admin, node));)
            look_at(admin, aff_container_of(node, struct known_topic, node));
    return NULL;
}

int aff_kafka_admin_watch(struct aff_kafka_admin *admin, aff_error *err)
{
    assert(!admin->watching);
    if (pthread_create(&admin->watch, NULL, watch, admin) != 0)
        return aff_fail_with(err, AFF_ENOMEM, "kafka: no thread could be started to watch the topics");
    admin->watching = true;
    return 0;
}

bool aff_kafka_admin_trusted(const struct aff_kafka_admin *admin)
{
    return atomic_load(&admin->trusted);
}

void aff_kafka_admin_trouble(struct aff_kafka_admin *admin, aff_error *ret_err)
{
    *ret_err = (aff_error){ .code = 0 };
    pthread_mutex_lock(&admin->lock);
    aff_list_each(node, &admin->topics) {
        const struct known_topic *known = aff_container_of(node, struct known_topic, node);
        if (known->trouble.code && !ret_err->code)
            *ret_err = known->trouble;
    }
    pthread_mutex_unlock(&admin->lock);
}
