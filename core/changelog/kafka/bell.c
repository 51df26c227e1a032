/*
 * kafka/bell.c - see kafka/bell.h.
 */
#include "changelog/kafka/bell.h"

#include "base/clock.h"

#include <errno.h>
#include <time.h>

void aff_kafka_bell_init(struct aff_kafka_bell *bell)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&bell->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&bell->rung, &attr);
    pthread_condattr_destroy(&attr);
    aff_list_init(&bell->calls);
}

void aff_kafka_bell_fini(struct aff_kafka_bell *bell)
{
    pthread_cond_destroy(&bell->rung);
    pthread_mutex_destroy(&bell->lock);
}

void aff_kafka_call_init(struct aff_kafka_call *call, void (*run)(struct aff_kafka_call *call))
{
    aff_list_init(&call->link);
    call->run = run;
}

void aff_kafka_bell_ring(struct aff_kafka_bell *bell, struct aff_kafka_call *call)
{
    pthread_mutex_lock(&bell->lock);
    if (aff_list_empty(&call->link)) {
        aff_list_append(&bell->calls, &call->link);
        pthread_cond_signal(&bell->rung);
    }
    pthread_mutex_unlock(&bell->lock);
}

void aff_kafka_bell_forget(struct aff_kafka_bell *bell, struct aff_kafka_call *call)
{
    pthread_mutex_lock(&bell->lock);
    aff_list_remove(&call->link);
    pthread_mutex_unlock(&bell->lock);
}

static struct timespec timespec_of(int64_t mono_ns)
{
    return (struct timespec){ .tv_sec = mono_ns / AFF_NS_PER_S, .tv_nsec = mono_ns % AFF_NS_PER_S };
}

static void await(struct aff_kafka_bell *bell, int64_t until_mono_ns) /* lock held */
{
    struct timespec until = timespec_of(until_mono_ns);
    int rc = 0;

    while (aff_list_empty(&bell->calls) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&bell->rung, &bell->lock, &until);
}

/* As many as there were when it began, so that a call that rings itself does not keep timers waiting. */
static size_t count(const struct aff_list *calls)
{
    size_t n = 0;
    for (const struct aff_list *node = calls->next; node != calls; node = node->next)
        n++;
    return n;
}

void aff_kafka_bell_serve(struct aff_kafka_bell *bell, int64_t until_mono_ns)
{
    pthread_mutex_lock(&bell->lock);
    await(bell, until_mono_ns);
    for (size_t left = count(&bell->calls); left > 0; left--) {
        struct aff_list *node = aff_list_take(&bell->calls);
        if (!node)
            break; /* one that ran made others be forgotten */
        struct aff_kafka_call *call = aff_container_of(node, struct aff_kafka_call, link);
        pthread_mutex_unlock(&bell->lock);
        call->run(call);
        pthread_mutex_lock(&bell->lock);
    }
    pthread_mutex_unlock(&bell->lock);
}
