/*
 * chunks.c - the assignments: each chunk is read with a watch, and changed by compare-and-set.
 *
 * A write takes the text as it was last read, makes every step on it that this node has to make now (its seats', wishes, the decision
 * when this node is the controller) and is sent with the version that was read. Is it lost or refused, the chunk is stale: it
 * is read again, and what is still to be done is done on what is found.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static void moved(struct keeper_chunk *chunk)
{
    chunk->moved = true;
    chunk->k->view_due = chunk->k->controller.due = true;
    keeper_due(chunk->k);
}

static void take_text(struct keeper_chunk *chunk, const struct aff_zk_reply *reply)
{
    struct aff_chunk *read;
    aff_error err;

    if (chunk->known && chunk->exists && chunk->version == reply->version)
        return;
    read = aff_xmalloc(sizeof *read);
    aff_chunk_init(read, chunk->k->spaces[chunk->space].name, chunk->k->spaces[chunk->space].partitions, chunk->index);
    chunk->unreadable = aff_chunk_decode(read, reply->data, &err) != 0;
    if (chunk->unreadable) {
        (void)snprintf(chunk->k->trouble, sizeof chunk->k->trouble, "%.150s", err.text);
        aff_log(chunk->k->opts.logger, ERROR, "coordinator.unreadable", aff_f_str("path", chunk->path),
                aff_f_str("error", err.text));
    } else
        chunk->now = *read;
    free(read);
    chunk->exists = chunk->known = true;
    chunk->version = reply->version;
    moved(chunk);
}

/* It was not there, and now it is watched: or it was made in between. */
static void read_absence(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper_chunk *chunk = aff_container_of(call, struct keeper_chunk, call);

    keeper_due(chunk->k);
    if (reply->result != AFF_ZK_NONE) {
        chunk->stale = true;
        return;
    }
    chunk->known = true;
    chunk->exists = chunk->unreadable = false;
    aff_chunk_init(&chunk->now, chunk->k->spaces[chunk->space].name, chunk->k->spaces[chunk->space].partitions,
                   chunk->index);
    moved(chunk);
}

static void read_text(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper_chunk *chunk = aff_container_of(call, struct keeper_chunk, call);

    keeper_due(chunk->k);
    if (reply->result == AFF_ZK_OK) {
        take_text(chunk, reply);
    } else if (reply->result == AFF_ZK_NONE) {
        call->done = read_absence;
        aff_zk_exists(chunk->k->zk, call, chunk->path, true);
    } else {
        chunk->stale = true;
        if (reply->result != AFF_ZK_UNKNOWN)
            aff_keeper_trouble(chunk->k, "read", chunk->path, reply);
    }
}

static void settle_seats(struct keeper_chunk *chunk)
{
    struct keeper_space *space = &chunk->k->spaces[chunk->space];

    chunk->moved = false;
    for (uint32_t i = 0; i < chunk->now.count; i++)
        if (space->places[chunk->now.first + i])
            aff_keeper_settle(space->places[chunk->now.first + i]);
}

static void read_chunk(struct keeper_chunk *chunk)
{
    if (chunk->stale && !chunk->call.op) {
        chunk->stale = false;
        chunk->call.done = read_text;
        aff_zk_get(chunk->k->zk, &chunk->call, chunk->path, true);
    }
    if (chunk->moved && chunk->known)
        settle_seats(chunk);
}

void aff_keeper_chunks_read(struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++)
            read_chunk(&k->spaces[s].chunks[i]);
}

void aff_keeper_chunks_changed(struct keeper *k, const char *path)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++)
            if (!path || strcmp(path, k->spaces[s].chunks[i].path) == 0)
                k->spaces[s].chunks[i].stale = true;
}

/* ---- writing ---- */

static void end_write(struct keeper_chunk *chunk)
{
    free(chunk->next);
    chunk->next = NULL;
}

static void written(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper_chunk *chunk = aff_container_of(call, struct keeper_chunk, call);

    if (reply->result == AFF_ZK_OK) {
        chunk->now = *chunk->next;
        chunk->version = reply->version;
        chunk->stale = chunk->stale || !chunk->exists; /* a znode that is new is not watched */
        chunk->exists = true;
        end_write(chunk);
        moved(chunk);
        return;
    }
    end_write(chunk);
    chunk->known = chunk->known && reply->result != AFF_ZK_UNKNOWN; /* what is true now? */
    chunk->stale = true;
    keeper_due(chunk->k);
    if (reply->result == AFF_ZK_DENIED || reply->result == AFF_ZK_FAILED)
        aff_keeper_trouble(chunk->k, "write", chunk->path, reply);
}

static void send_write(struct keeper_chunk *chunk, struct aff_chunk *next)
{
    struct keeper *k = chunk->k;
    struct aff_buf text;
    aff_error err;

    aff_buf_init(&text);
    if (aff_chunk_encode(next, &text, &err)) {
        (void)snprintf(k->trouble, sizeof k->trouble, "%.150s", err.text);
        free(next);
    } else {
        chunk->next = next;
        chunk->call.done = written;
        if (chunk->exists)
            aff_zk_set(k->zk, &chunk->call, chunk->path, aff_buf_view(&text), chunk->version);
        else
            aff_zk_create(k->zk, &chunk->call, chunk->path, aff_buf_view(&text), AFF_ZK_PERSISTENT);
    }
    aff_buf_fini(&text);
}

static bool seats_steps(struct keeper_chunk *chunk, struct aff_chunk *next)
{
    struct keeper_space *space = &chunk->k->spaces[chunk->space];
    bool changed = false;

    for (uint32_t i = 0; i < next->count; i++)
        if (space->places[next->first + i])
            changed |= aff_keeper_seat_steps(space->places[next->first + i], next);
    return changed;
}

void aff_keeper_chunk_write(struct keeper_chunk *chunk, const struct aff_chunk *decided)
{
    struct aff_chunk *next;
    bool changed = decided != NULL;

    if (!chunk->known || chunk->stale || chunk->unreadable || chunk->call.op)
        return;
    next = aff_xmemdup(decided ? decided : &chunk->now, sizeof *next);
    changed |= seats_steps(chunk, next);
    changed |= aff_keeper_wishes_step(chunk, next);
    if (changed)
        send_write(chunk, next);
    else
        free(next);
}

void aff_keeper_chunks_write(struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++)
            aff_keeper_chunk_write(&k->spaces[s].chunks[i], NULL);
}

void aff_keeper_chunks_reset(struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++) {
            struct keeper_chunk *chunk = &k->spaces[s].chunks[i];

            aff_zk_forget(&chunk->call);
            end_write(chunk);
            chunk->known = chunk->moved = false;
            chunk->stale = true;
        }
}
