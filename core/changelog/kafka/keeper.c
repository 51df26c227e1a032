/*
 * kafka/keeper.c - see kafka/keeper.h.
 */
#include "changelog/kafka/keeper.h"

#include <string.h>

static struct kafka_job *next_job(struct kafka_keeper *keeper)
{
    struct aff_list *node;
    pthread_mutex_lock(&keeper->lock);
    while ((node = aff_list_take(&keeper->jobs)) == NULL && !keeper->stop)
        pthread_cond_wait(&keeper->work, &keeper->lock);
    pthread_mutex_unlock(&keeper->lock);
    return node ? aff_container_of(node, struct kafka_job, link) : NULL;
}

static void *keeper_run(void *arg)
{
    struct kafka_keeper *keeper = arg;
    struct kafka_job *job;

    (void)pthread_setname_np(pthread_self(), "aff-log-keeper");
    while ((job = next_job(keeper)) != NULL) {
        job->run(job);
        pthread_mutex_lock(&keeper->lock);
        aff_list_append(&keeper->finished, &job->link);
        if (keeper->port)
            aff_port_ring(keeper->port);
        pthread_mutex_unlock(&keeper->lock);
    }
    return NULL;
}

int aff_keeper_init(struct kafka_keeper *keeper, aff_error *err)
{
    *keeper = (struct kafka_keeper){ .port = NULL };
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->work, NULL);
    aff_list_init(&keeper->jobs);
    aff_list_init(&keeper->finished);
    int rc = pthread_create(&keeper->thread, NULL, keeper_run, keeper);
    if (rc == 0)
        return 0;
    pthread_cond_destroy(&keeper->work);
    pthread_mutex_destroy(&keeper->lock);
    return aff_fail_with(err, AFF_EIO, "kafka: no thread for the producers: %s", strerror(rc));
}

void aff_keeper_fini(struct kafka_keeper *keeper)
{
    atomic_store(&keeper->stopping, true);
    pthread_mutex_lock(&keeper->lock);
    keeper->stop = true;
    pthread_cond_signal(&keeper->work);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    aff_keeper_finish(keeper);
    pthread_cond_destroy(&keeper->work);
    pthread_mutex_destroy(&keeper->lock);
}

void aff_keeper_submit(struct kafka_keeper *keeper, struct kafka_job *job)
{
    pthread_mutex_lock(&keeper->lock);
    aff_list_append(&keeper->jobs, &job->link);
    pthread_cond_signal(&keeper->work);
    pthread_mutex_unlock(&keeper->lock);
}

void aff_keeper_finish(struct kafka_keeper *keeper)
{
    struct aff_list finished;
    aff_list_init(&finished);
    pthread_mutex_lock(&keeper->lock);
    aff_list_splice(&finished, &keeper->finished);
    pthread_mutex_unlock(&keeper->lock);
    struct aff_list *node;
    while ((node = aff_list_take(&finished)) != NULL) {
        struct kafka_job *job = aff_container_of(node, struct kafka_job, link);
        job->done(job);
    }
}

void aff_keeper_ring(struct kafka_keeper *keeper, struct aff_port *port)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->port = port;
    if (port && !aff_list_empty(&keeper->finished))
        aff_port_ring(port);
    pthread_mutex_unlock(&keeper->lock);
}
