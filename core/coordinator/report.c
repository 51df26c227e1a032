/*
 * report.c - see report.h.
 */
#include "coordinator/report.h"

#include "base/alloc.h"
#include "coordinator/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void aff_report_init(struct aff_report *report, const char *member, bool draining)
{
    memset(report, 0, sizeof *report);
    (void)snprintf(report->member, sizeof report->member, "%s", member);
    report->draining = draining;
}

void aff_report_fini(struct aff_report *report)
{
    for (size_t i = 0; i < report->spaces_count; i++)
        free(report->spaces[i].seats);
    free(report->spaces);
    memset(report, 0, sizeof *report);
}

static struct aff_report_space *space_of(struct aff_report *report, const char *keyspace)
{
    struct aff_report_space *space = NULL;

    for (size_t i = report->spaces_count; i-- > 0;)
        if (strcmp(report->spaces[i].keyspace, keyspace) == 0)
            return &report->spaces[i];
    report->spaces = aff_xrealloc(report->spaces, report->spaces_count + 1, sizeof *report->spaces);
    space = &report->spaces[report->spaces_count++];
    memset(space, 0, sizeof *space);
    (void)snprintf(space->keyspace, sizeof space->keyspace, "%s", keyspace);
    return space;
}

static void append(struct aff_report_space *space, uint32_t partition, uint8_t state, int64_t applied)
{
    if (space->count == space->capacity) {
        space->capacity = space->capacity ? space->capacity * 2 : 16;
        space->seats = aff_xrealloc(space->seats, space->capacity, sizeof *space->seats);
    }
    space->seats[space->count++] = (struct aff_report_seat){ partition, state, applied };
}

void aff_report_add(struct aff_report *report, const char *keyspace, uint32_t partition, enum aff_seat_state state,
                    int64_t applied)
{
    struct aff_report_space *space = NULL;

    if (state == AFF_SEAT_AWAY)
        return;
    space = space_of(report, keyspace);
    assert(!space->count || space->seats[space->count - 1].partition < partition);
    append(space, partition, (uint8_t)state, applied);
}

const struct aff_report_seat *aff_report_find(const struct aff_report *report, const char *keyspace, uint32_t partition)
{
    for (size_t i = 0; i < report->spaces_count; i++) {
        const struct aff_report_space *space = &report->spaces[i];
        size_t low = 0, high = space->count;

        if (strcmp(space->keyspace, keyspace) != 0)
            continue;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (space->seats[middle].partition < partition)
                low = middle + 1;
            else
                high = middle;
        }
        return low < space->count && space->seats[low].partition == partition ? &space->seats[low] : NULL;
    }
    return NULL;
}

/* ---- writing ---- */

int aff_report_encode(const struct aff_report *report, struct aff_buf *out, aff_error *err)
{
    size_t before = out->len;
    bool ok = aff_buf_printf(out, "{\"v\":%d,\"member\":\"%s\",%s\"seats\":{", AFF_ZNODE_VERSION, report->member,
                             report->draining ? "\"draining\":true," : "");

    for (size_t i = 0; ok && i < report->spaces_count; i++) {
        const struct aff_report_space *space = &report->spaces[i];
        ok = aff_buf_printf(out, "%s\"%s\":[", i ? "," : "", space->keyspace);
        for (size_t k = 0; ok && k < space->count; k++)
            ok = aff_buf_printf(out, "%s%u,%u,%lld", k ? "," : "", space->seats[k].partition, space->seats[k].state,
                                (long long)space->seats[k].applied);
        ok = ok && aff_buf_add(out, "]", 1);
    }
    ok = ok && aff_buf_add(out, "}}", 2);
    if (ok && out->len - before <= AFF_ZNODE_MAX)
        return 0;
    out->len = before;
    if (!ok)
        return aff_fail_with(err, AFF_ENOMEM, "the report of %s: out of memory", report->member);
    return aff_fail_with(
        err, AFF_ETOOLARGE,
        "the report of %s would take more than the %d bytes that a znode holds: the node holds too many replicas",
        report->member, AFF_ZNODE_MAX);
}

/* ---- reading ---- */

struct reading {
    struct aff_text_place place;
    struct aff_report *report;
    size_t seats;
};

static int read_seat(struct reading *reading, struct aff_report_space *space, const json_t *numbers, size_t at,
                     aff_error *err)
{
    json_int_t value[3];

    for (int i = 0; i < 3; i++) {
        const json_t *one = json_array_get(numbers, at + (size_t)i);
        if (!json_is_integer(one) || json_integer_value(one) < 0)
            return aff_text_fail(&reading->place, space->keyspace, "holds something that is no number from 0 on", err);
        value[i] = json_integer_value(one);
    }
    if (value[0] > UINT32_MAX || (space->count && value[0] <= (json_int_t)space->seats[space->count - 1].partition))
        return aff_text_fail(&reading->place, space->keyspace, "holds partitions that do not rise", err);
    if (value[1] > UINT8_MAX)
        return aff_text_fail(&reading->place, space->keyspace, "holds a state above 255", err);
    append(space, (uint32_t)value[0], (uint8_t)value[1], value[2]);
    return 0;
}

static int read_space(struct reading *reading, const char *keyspace, const json_t *numbers, aff_error *err)
{
    struct aff_report_space *space = NULL;
    int rc = 0;

    if (!aff_node_name_valid(keyspace))
        return aff_text_fail(&reading->place, "seats", "holds something that is not the name of a keyspace", err);
    if (!json_is_array(numbers) || json_array_size(numbers) % 3)
        return aff_text_fail(&reading->place, keyspace, "is not an array of three numbers for each replica", err);
    reading->seats += json_array_size(numbers) / 3;
    if (reading->seats > AFF_REPORT_SEATS_MAX || reading->report->spaces_count == AFF_REPORT_SPACES_MAX)
        return aff_text_fail(&reading->place, "seats", "holds more replicas or keyspaces than are possible", err);
    space = space_of(reading->report, keyspace);
    for (size_t at = 0; !rc && at < json_array_size(numbers); at += 3)
        rc = read_seat(reading, space, numbers, at, err);
    return rc;
}

static int read_report(struct reading *reading, json_t *object, const char *name, aff_error *err)
{
    struct aff_report *report = reading->report;
    json_t *seats = json_object_get(object, "seats"), *numbers = NULL;
    const char *keyspace = NULL;
    int rc = aff_text_string(object, "member", &reading->place, report->member, sizeof report->member, err);

    rc = rc ? rc : aff_text_bool(object, "draining", &reading->place, &report->draining, err);
    if (!rc && (!aff_member_parse(report->member, NULL, NULL) || !aff_member_of(report->member, name)))
        rc = aff_text_fail(&reading->place, "member", "is not an incarnation of this node", err);
    if (!rc && seats && !json_is_object(seats))
        rc = aff_text_fail(&reading->place, "seats", "is not an object", err);
    if (rc || !seats)
        return rc;
    json_object_foreach(seats, keyspace, numbers)
    {
        rc = read_space(reading, keyspace, numbers, err);
        if (rc)
            return rc;
    }
    return 0;
}

int aff_report_decode(const char *name, aff_bytes text, struct aff_report *ret_report, aff_error *err)
{
    struct aff_report report = { 0 };
    struct reading reading = { .place = { .what = name, .partition = -1 }, .report = &report };
    json_t *object = NULL;
    int rc = aff_text_read(text, name, &object, err);

    if (rc)
        return rc;
    rc = read_report(&reading, object, name, err);
    json_decref(object);
    if (rc)
        aff_report_fini(&report);
    else
        *ret_report = report;
    return rc;
}

bool aff_seat_in_step(const struct aff_report_seat *seat, const struct aff_report_seat *leader, int64_t bound)
{
    if (!seat)
        return false;
    if (seat->state == AFF_SEAT_IN_STEP || seat->state == AFF_SEAT_LEADS)
        return true;
    return seat->state == AFF_SEAT_BEHIND && leader && leader->state == AFF_SEAT_LEADS &&
           leader->applied - seat->applied <= bound;
}
