/*
 * affinity/ask.h - commands that ask other keys: of any keyspace, wherever in the cluster they are led.
 *
 * A command of the third kind has `later` in its entry of the table (affinity/command.h), in place of `run` and `read`. It is called by
 * POST /v1/{keyspace}/{key}/{command}, on the node that took the request, and need not lead the key: for it the key is an argument. It
 * asks, returns, and goes on in the functions that it named for the answers, until it replies:
 *
 *     static void deposited(aff_later *later, const aff_told *answer, void *arg)
 *     {
 *         (void)arg;
 *         if (answer->code == 0)
 *             aff_later_reply(later, 200, answer->body, NULL);
 *         else
 *             aff_later_pass(later, answer);
 *     }
 *
 *     static int move(aff_later *later)
 *     {
 *         aff_question q = { .size = sizeof q, .keyspace = "accounts", .key = aff_later_key(later), .command = "deposit",
 *                            .body = aff_later_body(later), .id = aff_later_id(later) };
 *         return aff_ask(later, &q, deposited, NULL);
 *     }
 *
 * Each answer stands for itself: there is no transaction over several keys, and what was committed stays when a later question fails. So
 * that the whole may be repeated, questions that write carry an `id`, made of the request's Idempotency-Key: then a repeat finds what was
 * committed, and is told its first answer.
 *
 * A command goes on when its client goes away; nobody gets its reply then.
 *
 * Everything here is on the loop that took the request. The functions of one request never run at the same time, and never inside
 * aff_ask() or aff_scatter(). They must not block.
 */
#ifndef AFFINITY_ASK_H
#define AFFINITY_ASK_H

#include <affinity/command.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the request ---- */

/* Views of these, and memory, live until the command has replied and all its questions are answered. */
AFF_API aff_bytes aff_later_key(const aff_later *later);
AFF_API aff_bytes aff_later_body(const aff_later *later);      /* empty when there is none */
AFF_API aff_bytes aff_later_body_type(const aff_later *later); /* its media type without parameters */
AFF_API aff_bytes aff_later_id(const aff_later *later);        /* Idempotency-Key; data NULL: none came */
AFF_API void *aff_later_user(const aff_later *later);          /* aff_command.user */
AFF_API void *aff_later_alloc(aff_later *later, size_t size);  /* NULL when there is none */

/* ---- questions ---- */

typedef struct aff_question {
    size_t size;          /* sizeof(aff_question) */
    const char *keyspace; /* one that is served */
    aff_bytes key;        /* 1 to 511 bytes */
    const char *command;  /* of that keyspace, with `run` or `read`; NULL: the value of the key is read */
    aff_bytes body;       /* for the command */
    const char *content_type; /* of the body; NULL: what the command accepts */
    aff_bytes id;         /* of a question that writes: at most 255 bytes. The same id with the same question is carried out once, for as
                             long as the keyspace's compaction lag. data NULL: it is carried out each time that it is asked */
} aff_question;

typedef enum aff_effect {
    AFF_EFFECT_NONE,        /* nothing was to be written */
    AFF_EFFECT_COMMITTED,   /* in the log */
    AFF_EFFECT_NOT_APPLIED, /* provably not, now and for ever */
    AFF_EFFECT_UNKNOWN      /* it may be committed, or be so later: ask again under the same id */
} aff_effect;

/* What became of a question. Views live until the function that is told returns. */
typedef struct aff_told {
    size_t size; /* sizeof(aff_told), of the library */
    /*
     * 0; AFF_EREFUSED: the command refused, with `status`, `type`, `title` and `detail`; AFF_ENOMASTER and others: it was not carried
     * out; AFF_EUNKNOWN: see `effect`.
     */
    int code;
    aff_effect effect;
    int status;              /* HTTP status that the command chose; 0: the default */
    aff_bytes body;          /* the command's reply; of a value that is read the value */
    aff_bytes content_type;  /* of the body */
    const aff_value *value;  /* of a value that is read; NULL: no such key, or not asked for */
    const char *type, *title, *detail; /* of a refusal; "" */
} aff_told;

/* Comes exactly once for each question, also after the reply. May ask more, and reply. */
typedef void aff_told_fn(aff_later *later, const aff_told *answer, void *arg);

/*
 * Asks; what the question shows is copied. The answer comes within the time that the request has. 0; or, and then nothing was asked:
 * AFF_ENOTFOUND: no such keyspace or command, AFF_EINVAL: the key or the id, AFF_EMEDIATYPE: the command takes another type, AFF_EJSON: the
 * body is to be JSON and is not, AFF_EQUEUEFULL: 1,000 are under way, AFF_ENOMEM.
 */
AFF_API int aff_ask(aff_later *later, const aff_question *question, aff_told_fn *answered, void *arg) AFF_MUST_USE;

/* ---- all partitions of a keyspace ---- */

/* What is looked for, in every partition by the node that leads it. */
typedef struct aff_scatter_query {
    size_t size;          /* sizeof(aff_scatter_query) */
    const char *keyspace; /* one that is served */
    aff_bytes prefix;     /* only keys that begin so; data NULL: all */
    bool keys_only;       /* the values are not fetched: aff_value.bytes is empty */
} aff_scatter_query;

/* One entry, that was current at some moment of the query. Views live until the function that is told returns. */
typedef struct aff_scattered {
    size_t size; /* sizeof(aff_scattered), of the library */
    aff_bytes key;
    const aff_value *value; /* its partition, too */
} aff_scattered;

/* A partition that did not tell all of its entries. */
typedef struct aff_missing {
    uint32_t partition;
    int code; /* AFF_ENOMASTER: nobody leads it; AFF_ETIMEDOUT: the time of the request was over; and others (affinity/error.h) */
} aff_missing;

typedef struct aff_gathered {
    size_t size;                /* sizeof(aff_gathered), of the library */
    uint32_t partitions;        /* of the keyspace */
    uint32_t missing_count;     /* 0: every partition has told everything */
    const aff_missing *missing; /* by number; what such a partition had told before was told */
    uint64_t entries;           /* that were told */
} aff_gathered;

/* Each entry, in order of the keys of its partition; those of several partitions come mixed. False: no more of this partition. */
typedef bool aff_scattered_fn(aff_later *later, const aff_scattered *entry, void *arg);
/* Comes exactly once, after the last entry; also after the reply. May ask more, and reply. */
typedef void aff_gathered_fn(aff_later *later, const aff_gathered *result, void *arg);

/*
 * Asks every partition of a keyspace, a few at a time, and gathers what they tell; one that cannot is named in the result and holds up no
 * other. Reads are strict. All of it has the time that the request has, and holds about 2 MiB, however much is told. 0; or, and then
 * nothing was asked: AFF_ENOTFOUND: no such keyspace, AFF_EINVAL: the prefix is longer than a key, AFF_EQUEUEFULL: 4 are under way, or
 * 1,000 questions, AFF_ENOMEM.
 *
 *     static bool counted(aff_later *later, const aff_scattered *entry, void *arg)
 *     {
 *         (*(unsigned *)arg)++;
 *         return true;
 *     }
 */
AFF_API int aff_scatter(aff_later *later, const aff_scatter_query *query, aff_scattered_fn *entry, aff_gathered_fn *gathered,
                        void *arg) AFF_MUST_USE;

/* ---- the reply: the first one counts. A command that has nothing under way and did not reply is answered 500 ---- */

/* Status 200 to 299; the body is copied. content_type NULL: application/json. AFF_EINVAL: the status; AFF_ENOMEM. */
AFF_API int aff_later_reply(aff_later *later, int status, aff_bytes body, const char *content_type);
/* Refuses, as aff_cmd_fail(); returns AFF_EREFUSED. In the command's own function: `return aff_later_fail(...)`. */
AFF_API int aff_later_fail(aff_later *later, const aff_failure *failure, const char *format, ...) AFF_PRINTF(3, 4);
/* Replies what a question was answered, whatever it is: its reply, its refusal, or that it failed. */
AFF_API void aff_later_pass(aff_later *later, const aff_told *answer);

#ifdef __cplusplus
}
#endif
#endif
