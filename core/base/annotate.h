/*
 * annotate.h - which thread may touch what, said so that clang checks it (-Wthread-safety); gcc sees nothing.
 *
 *   struct part { struct aff_list queue AFF_OWNED_BY(aff_on_loop); };    only code on the loop's thread touches it
 *   static void drain(struct part *p) AFF_ON(aff_on_loop);               only to be called from such code
 *   void deliver(struct aff_msg *m) { aff_assert_on_loop(loop); ... }    a callback proves its role on entry
 *
 * A role stands for "the thread that owns this", not for one thread: which loop it is, the run-time assertion tells.
 * Two limits of clang 14 in C: a role cannot be a sibling field, and an unlock in a cleanup handler is not seen.
 */
#ifndef AFF_BASE_ANNOTATE_H
#define AFF_BASE_ANNOTATE_H

#include "base/loop.h"

#include <assert.h>

#if defined(__clang__)
#define AFF_ANNOTATE(x) __attribute__((x))
#else
#define AFF_ANNOTATE(x)
#endif

#define AFF_OWNED_BY(role) AFF_ANNOTATE(guarded_by(role))
#define AFF_ON(role) AFF_ANNOTATE(requires_capability(role))
#define AFF_ASSERTS_ON(role) AFF_ANNOTATE(assert_capability(role))
#define AFF_ANY_THREAD AFF_ANNOTATE(no_thread_safety_analysis) /* a body that may touch it for a reason it tells */

struct AFF_ANNOTATE(capability("role")) aff_role {
    char unused;
};

/* Roles are names for the compiler; none is ever defined. A layer with a thread of its own declares one likewise. */
extern struct aff_role aff_on_loop;

static inline void aff_assert_on_loop(const struct aff_loop *loop) AFF_ASSERTS_ON(aff_on_loop);
static inline void aff_assert_on_loop(const struct aff_loop *loop)
{
    assert(aff_loop_here(loop));
    (void)loop;
}

#endif
