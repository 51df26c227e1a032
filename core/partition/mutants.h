/*
 * mutants.h - weakenings of the protocol, one bit each, for the simulator: with any of them its checks must find a
 * violation. In every other build AFF_WEAK() is a constant false and the weakening does not exist.
 */
#ifndef AFF_PARTITION_MUTANTS_H
#define AFF_PARTITION_MUTANTS_H

/* X(name on the command line, identifier, what is left out) */
#define AFF_MUTANT_TABLE(X)                                                                                            \
    X("ack", ACK, "acknowledge on the delivery report, without continuity (I3)")                                      \
    X("read", READ, "strict reads without lease or barrier (I5)")                                                     \
    X("repair", REPAIR, "void records are not repaired (I6)")                                                         \
    X("cut", CUT, "lead after the end offset, without reading up to the own claim (I2)")                              \
    X("dup", DUP, "validity ignores the nonce, so a doubly granted epoch has two owners (I1, I2)")                    \
    X("join", JOIN, "a read joins a barrier that was handed over before it arrived (I5)")                             \
    X("tail", TAIL, "an idle master appends no barriers (I6)")                                                        \
    X("settle", SETTLE, "an unknown outcome is taken for not applied without asking the log (I10)")                   \
    X("order", ORDER, "applies before continuity is known (I4)")                                                      \
    X("checkpoint", CHECKPOINT, "resumes from a checkpoint whatever its age (I8)")                                    \
    X("idem", IDEM, "does not remember idempotency ids of commits found in the log")                                  \
    X("drain", DRAIN, "says GO while records are in flight (I9)")                                                     \
    X("serve", SERVE, "serves strict reads after GO (I9)")                                                            \
    X("queue", QUEUE, "does not answer what waited when the other leads (I10)")                                       \
    X("early", EARLY, "takes before everything below GO's end is applied (I2)")                                       \
    X("jump", JUMP, "leads by a take wherever its CLAIM stands (I2)")

enum aff_mutant_bit {
#define AFF_MUTANT_BIT(name, id, what) AFF_MUTANT_BIT_##id,
    AFF_MUTANT_TABLE(AFF_MUTANT_BIT)
#undef AFF_MUTANT_BIT
};

#ifdef AFF_MUTANTS
#define AFF_WEAK(core, id) (((core)->opts.mutants >> AFF_MUTANT_BIT_##id) & 1u)
#else
#define AFF_WEAK(core, id) ((void)(core), 0)
#endif

#endif
