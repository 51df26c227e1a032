/*
 * c11_threads.c - the threads of C11 on those of POSIX, for programs under ThreadSanitizer that use librdkafka.
 *
 * librdkafka makes its threads by thrd_create(), which ThreadSanitizer does not know: such a thread has no state of it and
 * dies at its first allocation, and what mtx_lock() orders is not seen. Linked into a program these take their place. In
 * glibc the types of both interfaces are the same.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t), "the same types");

struct start {
    thrd_start_t function;
    void *arg;
};

static void *run(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    return (void *)(intptr_t)start.function(start.arg);
}

static int result_of(int rc)
{
    switch (rc) {
    case 0:
        return thrd_success;
    case EBUSY:
        return thrd_busy;
    case ETIMEDOUT:
        return thrd_timedout;
    case ENOMEM:
        return thrd_nomem;
    default:
        return thrd_error;
    }
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        return thrd_nomem;
    *start = (struct start){ function, arg };
    int rc = pthread_create(thread, NULL, run, start);
    if (rc)
        free(start);
    return result_of(rc);
}

int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int rc = pthread_join(thread, &value);
    if (rc == 0 && result)
        *result = (int)(intptr_t)value;
    return result_of(rc);
}

int thrd_detach(thrd_t thread)
{
    return result_of(pthread_detach(thread));
}

static pthread_mutex_t *mutex_of(mtx_t *mutex)
{
    return (pthread_mutex_t *)(void *)mutex;
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    int rc = pthread_mutex_init(mutex_of(mutex), &attr);
    pthread_mutexattr_destroy(&attr);
    return result_of(rc);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock(mutex_of(mutex)));
}

int mtx_trylock(mtx_t *mutex)
{
    return result_of(pthread_mutex_trylock(mutex_of(mutex)));
}

int mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
    return result_of(pthread_mutex_timedlock(mutex_of(mutex), until));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock(mutex_of(mutex)));
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy(mutex_of(mutex));
}

static pthread_cond_t *cond_of(cnd_t *cond)
{
    return (pthread_cond_t *)(void *)cond;
}

int cnd_init(cnd_t *cond)
{
    return result_of(pthread_cond_init(cond_of(cond), NULL));
}

int cnd_signal(cnd_t *cond)
{
    return result_of(pthread_cond_signal(cond_of(cond)));
}

int cnd_broadcast(cnd_t *cond)
{
    return result_of(pthread_cond_broadcast(cond_of(cond)));
}

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return result_of(pthread_cond_wait(cond_of(cond), mutex_of(mutex)));
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    return result_of(pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), until));
}

void cnd_destroy(cnd_t *cond)
{
    pthread_cond_destroy(cond_of(cond));
}
