/*
 * later.c - see later.h and <affinity/ask.h>.
 *
 * Questions that a function asks are collected, and leave when it has returned: by the timer of the run, like the function itself. So
 * nothing of a run is ever inside another function of it.
 *
 * On the loop of the port.
 */
#include "router/later_inner.h"

#include "base/alloc.h"
#include "serde/json.h"
#include "serde/media.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ASKING_MAX = 1000, ID_MAX = 255, JSON_DEPTH = AFF_JSON_DEPTH_MAX };

#define JSON_TYPE "application/json"

/* A question under way. Its bytes lie behind it. */
struct asking {
    struct aff_command_op op;
    struct aff_list link;
    struct aff_later *later;
    const struct aff_space *space;
    const aff_command *command; /* NULL: the value is read */
    aff_bytes key, body, type;
    aff_told_fn *answered;
    void *arg;
    unsigned char bytes[];
};

static bool writes(const struct asking *q)
{
    return q->command && q->command->run;
}

/* ---- memory ---- */

void *aff_later_alloc(aff_later *later, size_t size)
{
    struct aff_later_block *b = size < SIZE_MAX - sizeof *b ? malloc(sizeof *b + size) : NULL;

    if (!b)
        return NULL;
    b->next = later->blocks;
    later->blocks = b;
    return b->bytes;
}

static bool copy(aff_later *later, aff_bytes *bytes)
{
    void *to;

    if (!bytes->data)
        return true;
    to = aff_later_alloc(later, bytes->len + 1);
    if (!to)
        return false;
    if (bytes->len > 0)
        memcpy(to, bytes->data, bytes->len);
    bytes->data = to;
    return true;
}

static void free_run(aff_later *later)
{
    struct aff_later_block *b = later->blocks;

    aff_loop_timer_cancel(later->opts.port->loop, &later->turn);
    while (b) {
        struct aff_later_block *next = b->next;

        free(b);
        b = next;
    }
    free(later);
}

/* ---- the reply ---- */

static void reply(aff_later *later, const struct aff_result *result)
{
    if (later->replied)
        return;
    later->replied = true;
    later->opts.replied(later->opts.self, result);
}

/* What is "not applied" to a client (503) must be so of all that was asked. */
static void reply_code(aff_later *later, int code)
{
    struct aff_result result = { .code = code };

    if (code > 0 || (code < 0 && strcmp(aff_error_name(code), "EBUG") == 0))
        result.code = AFF_EBUG;
    else if (aff_error_status(code) == 503 && (later->wrote || later->writing > 0))
        result.code = AFF_EUNKNOWN;
    result.outcome = result.code == AFF_EUNKNOWN ? AFF_OUTCOME_UNKNOWN : AFF_OUTCOME_NONE;
    reply(later, &result);
}

int aff_later_reply(aff_later *later, int status, aff_bytes body, const char *content_type)
{
    struct aff_result result = { .status = (uint16_t)status, .reply = body };

    if (status < 200 || status > 299)
        return AFF_EINVAL;
    result.reply_type = aff_str(content_type ? content_type : JSON_TYPE);
    reply(later, &result);
    return 0;
}

int aff_later_fail(aff_later *later, const aff_failure *failure, const char *format, ...)
{
    struct aff_result result = { .code = AFF_EREFUSED, .title = failure->title };
    va_list args;

    result.status = (uint16_t)(failure->status >= 400 && failure->status <= 499 ? failure->status : 422);
    (void)snprintf(result.problem, sizeof result.problem, "%s", failure->type);
    va_start(args, format);
    (void)vsnprintf(result.detail, sizeof result.detail, format, args);
    va_end(args);
    reply(later, &result);
    return AFF_EREFUSED;
}

void aff_later_pass(aff_later *later, const aff_told *answer)
{
    struct aff_result result = { .code = answer->code, .status = (uint16_t)answer->status };

    if (answer->code == AFF_EREFUSED) {
        result.title = answer->title[0] ? answer->title : NULL;
        (void)snprintf(result.problem, sizeof result.problem, "%s", answer->type);
        (void)snprintf(result.detail, sizeof result.detail, "%s", answer->detail);
    } else if (answer->code != 0) {
        reply_code(later, answer->code);
        return;
    } else {
        result.reply = answer->body;
        result.reply_type = answer->content_type;
    }
    reply(later, &result);
}

/* ---- running ---- */

static void leave(struct asking *q);

void aff_later_settle(aff_later *later)
{
    if (later->inside)
        return;
    if (later->unanswered == 0)
        reply_code(later, AFF_EBUG); /* unless it has replied */
    if (later->asking == 0)
        free_run(later);
    else if (!aff_list_empty(&later->leaving))
        aff_loop_timer_set(later->opts.port->loop, &later->turn, aff_loop_now(later->opts.port->loop));
}

static void begin(aff_later *later)
{
    int code;

    later->begun = true;
    code = later->opts.command->later(later);
    if (code != 0)
        reply_code(later, code);
}

static void take_turn(struct aff_timer *timer)
{
    aff_later *later = aff_container_of(timer, struct aff_later, turn);
    struct aff_list now, *link;

    later->inside = true;
    if (!later->begun)
        begin(later);
    aff_list_init(&now);
    aff_list_splice(&now, &later->leaving);
    while ((link = aff_list_take(&now)))
        leave(aff_container_of(link, struct asking, link));
    later->inside = false;
    aff_later_settle(later);
}

/* ---- answers ---- */

static aff_effect effect_of(const struct aff_result *r)
{
    static const aff_effect effects[] = {
        [AFF_OUTCOME_NONE] = AFF_EFFECT_NONE,
        [AFF_OUTCOME_COMMITTED] = AFF_EFFECT_COMMITTED,
        [AFF_OUTCOME_NOT_APPLIED] = AFF_EFFECT_NOT_APPLIED,
        [AFF_OUTCOME_UNKNOWN] = AFF_EFFECT_UNKNOWN,
    };

    return effects[r->outcome];
}

/* What was asked of a value: the value, or what a command that reads makes of it. */
static void take_found(struct asking *q, aff_value *value, aff_told *answer)
{
    const struct aff_found *found = &q->op.call.found;

    if (q->command) {
        aff_command_prepare(&q->op, q->space, q->command, q->body, q->type);
        aff_command_read(&q->op, found);
        return;
    }
    if (!found->exists)
        return;
    *value = (aff_value){ found->item.value, found->item.content_type, found->partition, found->item.version.offset,
                          found->item.version.time_ms };
    answer->value = value;
    answer->body = value->bytes;
    answer->content_type = value->content_type;
}

static void tell(struct asking *q)
{
    const struct aff_result *r = &q->op.call.op.result;
    aff_later *later = q->later;
    bool nested = later->inside;
    aff_told answer = { .size = sizeof answer, .body = aff_str(""), .content_type = aff_str("") };
    aff_value value;

    if (r->code == 0 && !writes(q))
        take_found(q, &value, &answer);
    answer.code = r->code;
    answer.effect = effect_of(r);
    answer.status = r->status;
    if (r->reply.data)
        answer.body = r->reply, answer.content_type = r->reply_type;
    answer.type = r->problem;
    answer.title = r->title ? r->title : "";
    answer.detail = r->detail;
    later->inside = true;
    q->answered(later, &answer, q->arg);
    later->inside = nested;
}

static bool may_have_written(const struct aff_result *r)
{
    return r->outcome == AFF_OUTCOME_COMMITTED || r->outcome == AFF_OUTCOME_UNKNOWN || r->replayed;
}

static struct asking *asking_of(struct aff_call *call)
{
    return aff_container_of(aff_container_of(call, struct aff_command_op, call), struct asking, op);
}

static void call_answered(struct aff_call *call)
{
    struct asking *q = asking_of(call);

    q->later->unanswered--;
    if (writes(q)) {
        q->later->writing--;
        q->later->wrote |= may_have_written(&call->op.result);
    }
    tell(q);
    aff_later_settle(q->later);
}

static void call_released(struct aff_call *call)
{
    struct asking *q = asking_of(call);
    aff_later *later = q->later;

    aff_command_fini(&q->op);
    free(q);
    later->asking--;
    aff_later_settle(later);
}

/* ---- questions ---- */

static void leave(struct asking *q)
{
    struct aff_call *call = &q->op.call;
    struct aff_port *port = q->later->opts.port;

    call->op.key = q->key;
    call->op.deadline_ns = q->later->opts.deadline_ns;
    call->answered = call_answered;
    call->released = call_released;
    if (!writes(q)) {
        aff_port_read(port, q->space, call);
        return;
    }
    aff_command_prepare(&q->op, q->space, q->command, q->body, q->type);
    aff_port_call(port, q->space, call);
}

static void identify(struct asking *q, aff_bytes id)
{
    const aff_bytes name[] = { aff_str("ask"), aff_str(q->space->name), q->key, aff_str(q->command->name), id };
    const aff_bytes request[] = { q->type, q->body };
    struct aff_op *op = &q->op.call.op;

    op->identified = true;
    op->id = aff_digest_of(name, sizeof name / sizeof *name);
    op->request = aff_digest_of(request, sizeof request / sizeof *request);
}

static int check_body(const aff_command *command, const aff_question *question, aff_bytes *ret_type)
{
    const char *accepts = command->accepts ? command->accepts : JSON_TYPE;
    bool any = strcmp(accepts, "*") == 0;
    struct aff_media media;

    *ret_type = aff_str(question->content_type ? question->content_type : any ? "application/octet-stream" : accepts);
    if (!aff_media_parse(*ret_type, &media))
        return AFF_EMEDIATYPE;
    *ret_type = media.essence;
    if (!any && !aff_media_is(&media, accepts))
        return AFF_EMEDIATYPE;
    if (aff_media_is_json(&media) && question->body.len > 0 && aff_json_check(question->body, JSON_DEPTH, NULL) != 0)
        return AFF_EJSON;
    return 0;
}

/* What is asked, or why not. */
static int check(aff_later *later, const aff_question *question, const struct aff_space **ret_space, const aff_command **ret_command,
                 aff_bytes *ret_type)
{
    const struct aff_space *space = aff_router_space(later->opts.port->router, aff_str(question->keyspace));
    const aff_command *command = space && question->command ? aff_space_command(space, aff_str(question->command)) : NULL;

    if (!space || (question->command && (!command || command->later)))
        return AFF_ENOTFOUND;
    if (question->key.len == 0 || question->key.len > AFF_KEY_MAX || *(const unsigned char *)question->key.data == 0 ||
        (question->id.data && question->id.len > ID_MAX))
        return AFF_EINVAL;
    if (later->asking == ASKING_MAX)
        return AFF_EQUEUEFULL;
    *ret_space = space;
    *ret_command = command;
    *ret_type = aff_str("");
    return command ? check_body(command, question, ret_type) : 0;
}

static unsigned char *keep(unsigned char *room, aff_bytes from, aff_bytes *ret)
{
    if (from.len > 0)
        memcpy(room, from.data, from.len);
    *ret = aff_bytes_of(room, from.len);
    return room + from.len;
}

int aff_ask(aff_later *later, const aff_question *question, aff_told_fn *answered, void *arg)
{
    const struct aff_space *space = NULL;
    const aff_command *command = NULL;
    aff_bytes type = aff_str("");
    struct asking *q;
    int code = check(later, question, &space, &command, &type);

    if (code != 0)
        return code;
    q = malloc(sizeof *q + question->key.len + question->body.len + type.len + 1);
    if (!q)
        return AFF_ENOMEM;
    memset(q, 0, sizeof *q);
    (void)keep(keep(keep(q->bytes, question->key, &q->key), question->body, &q->body), type, &q->type);
    aff_op_init(&q->op.call.op, AFF_OP_COMMAND);
    q->later = later;
    q->space = space;
    q->command = command;
    q->answered = answered;
    q->arg = arg;
    if (writes(q) && question->id.data)
        identify(q, question->id);
    later->writing += writes(q);
    later->asking++;
    later->unanswered++;
    aff_list_append(&later->leaving, &q->link);
    return 0;
}

/* ---- the request ---- */

int aff_later_begin(const struct aff_later_opts *opts)
{
    aff_later *later = aff_xcalloc(1, sizeof *later);

    later->opts = *opts;
    later->turn.fire = take_turn;
    aff_list_init(&later->leaving);
    if (!copy(later, &later->opts.key) || !copy(later, &later->opts.body) || !copy(later, &later->opts.body_type) ||
        !copy(later, &later->opts.id)) {
        free_run(later);
        return AFF_ENOMEM;
    }
    aff_loop_timer_set(opts->port->loop, &later->turn, aff_loop_now(opts->port->loop));
    return 0;
}

aff_bytes aff_later_key(const aff_later *later)
{
    return later->opts.key;
}
aff_bytes aff_later_body(const aff_later *later)
{
    return later->opts.body.data ? later->opts.body : aff_str("");
}
aff_bytes aff_later_body_type(const aff_later *later)
{
    return later->opts.body_type;
}
aff_bytes aff_later_id(const aff_later *later)
{
    return later->opts.id;
}
void *aff_later_user(const aff_later *later)
{
    return later->opts.command->user;
}
