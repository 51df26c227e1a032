/*
 * claim2.pml - claim and continuity with what claim.pml leaves out: two keys, nonces, epochs that are granted twice,
 * reads that join a record under way, and masters that do not look while nobody writes.
 *
 * A record is owned by (epoch, nonce); here the nonce is the number of the node. A record is valid when its epoch is
 * higher than that of the last valid one, or when both epoch and nonce are the same. The adversary is that of claim.pml.
 *
 * Checked: an acknowledged write is valid for ever (I3), a strict read sees what was acknowledged before it began (I5),
 * in a quiet moment plain last-writer-wins is the state, for both keys (I7).
 *
 * Switches; the weakened variants (FIX=0 with DUP=1, JOIN=1, TAIL=0) must fail:
 *   DUP     1: the coordinator may grant the newest epoch to the other node as well; safety must not depend on it
 *   FIX     1: a node leads only if its own claim is valid; 0: if no higher epoch was claimed before
 *   JOIN    1: a read may wait for a record that was handed to the producer before the read arrived; 0: never
 *   TAIL    1: an idle master tails its own partition; 0: it sees foreign records only in the gap of its next report
 *   REPAIR  1: void records are repaired
 * Bounds: NLOG places in the log, MAXE epochs (at most 3), NWR writes, NCR crashes, NRD reads.
 */
#ifndef DUP
#define DUP 0
#endif
#ifndef FIX
#define FIX 1
#endif
#ifndef JOIN
#define JOIN 0
#endif
#ifndef TAIL
#define TAIL 1
#endif
#ifndef REPAIR
#define REPAIR 1
#endif
#ifndef NLOG
#define NLOG 8
#endif
#ifndef MAXE
#define MAXE 3
#endif
#ifndef NWR
#define NWR 3
#endif
#ifndef NCR
#define NCR 1
#endif
#ifndef NRD
#define NRD 1
#endif
#define IN_FLIGHT 2
#define NOBODY 9

mtype = { CLAIM, DATA, BARRIER }

/* The log. */
mtype log_kind[NLOG];
byte log_epoch[NLOG];
byte log_nonce[NLOG];
byte log_key[NLOG];
byte log_value[NLOG];
byte log_end = 0;

/* The coordinator: the newest epoch, and who alone was granted it (NOBODY: two were). */
byte granted = 0, granted_to = NOBODY;
byte writes = 0, reads = 0, crashes = 0;

/* Appends under way, a queue for each producer (node and epoch); reports on their way back to each node. */
chan requests[6] = [IN_FLIGHT] of { mtype, byte, byte, byte };    /* kind, epoch, key, value */
chan reports[2] = [IN_FLIGHT] of { mtype, byte, byte, byte, byte }; /* kind, epoch, key, value, offset */
#define PRODUCER(node, epoch) requests[(node) * MAXE + (epoch) - 1]

/* Ghost: one above the highest acknowledged offset of each key. */
short acked_end[2];

#define STANDBY 0
#define CLAIMING 1
#define MASTER 2
byte role_of[2], epoch_of[2], expects_of[2];
bit dirty_of[2];

#define VALID(i) (log_epoch[i] > cur_epoch || (log_epoch[i] == cur_epoch && log_nonce[i] == cur_nonce))

/*
 * Reads the log below `offset` by the validity rule: (cur_epoch, cur_nonce) is then the owner of the last valid record.
 * With `applies` the local state and the dirty keys are made from it too.
 */
inline scan_below(offset, applies)
{
    cur_epoch = 0;
    cur_nonce = NOBODY;
    i = 0;
    do
    :: i < offset ->
        if
        :: VALID(i) ->
            cur_epoch = log_epoch[i]; cur_nonce = log_nonce[i];
            if
            :: applies && log_kind[i] == DATA ->
                state_end[log_key[i]] = i + 1; state_value[log_key[i]] = log_value[i]; dirty[log_key[i]] = 0
            :: else
            fi
        :: else ->
            if
            :: applies && log_kind[i] == DATA -> dirty[log_key[i]] = 1
            :: else
            fi
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* Reads from `expects` up to `offset`: a higher epoch deposes, other foreign records are void and make dirty. */
inline read_gap(offset)
{
    do
    :: role == MASTER && expects < offset ->
        if
        :: log_epoch[expects] > epoch -> role = STANDBY; role_of[_pid] = STANDBY
        :: log_kind[expects] == DATA && !(log_epoch[expects] == epoch && log_nonce[expects] == _pid) ->
            dirty[log_key[expects]] = 1; dirty_of[_pid] = 1; expects++
        :: else -> expects++
        fi
    :: else -> break
    od
}

inline forget_work()
{
    dirty[0] = 0; dirty[1] = 0; busy[0] = 0; busy[1] = 0; reading = 0
}

inline claim_epoch()
{
    epoch = granted; role = CLAIMING;
    forget_work();
    PRODUCER(_pid, epoch)!CLAIM, epoch, 0, 0;
    in_flight++;
    role_of[_pid] = CLAIMING; epoch_of[_pid] = epoch; dirty_of[_pid] = 0
}

inline append_data(key_, value_)
{
    busy[key_] = 1;
    PRODUCER(_pid, epoch)!DATA, epoch, key_, value_;
    in_flight++
}

inline begin_read(waits_for)
{
    reads++;
    if
    :: read_key = 0
    :: read_key = 1
    fi;
    must_see = acked_end[read_key];
    reading = waits_for
}

#define MAY_WRITE(key_)                                                                                                \
    (role == MASTER && in_flight < IN_FLIGHT && !busy[key_] && writes < NWR && log_end + in_flight < NLOG - 2)
#define MUST_REPAIR(key_)                                                                                              \
    (REPAIR && role == MASTER && dirty[key_] && !busy[key_] && in_flight < IN_FLIGHT && log_end < NLOG - 1)

/* What a read waits for. */
#define OWN_BARRIER 1
#define ANY_REPORT 2

active [2] proctype Node()
{
    byte role = STANDBY, epoch = 0;
    byte expects = 0;   /* the offset that the next own record must get to be contiguous */
    byte in_flight = 0; /* requests and reports, those of earlier epochs too */
    short state_end[2]; /* one above the record that the state of the key comes from */
    byte state_value[2];
    bit dirty[2];
    bit busy[2];        /* one record in flight for each key */
    byte reading = 0, read_key = 0;
    short must_see = 0; /* of read_key, when the read arrived */
    mtype kind;
    byte sent_epoch, key, value, offset, cur_epoch, cur_nonce, i = 0;

end_node:
    do
    /* The coordinator grants the next epoch, at any time; or the newest one a second time. */
    :: atomic { role != CLAIMING && in_flight < IN_FLIGHT && granted < MAXE ->
            granted++; granted_to = _pid;
            claim_epoch()
        }
    :: atomic { DUP && role == STANDBY && in_flight < IN_FLIGHT && granted > 0 && granted_to != _pid &&
                granted_to != NOBODY && epoch < granted ->
            granted_to = NOBODY;
            claim_epoch()
        }

    /* Crash: everything is forgotten, but what was sent may still land. */
    :: atomic { role != STANDBY && crashes < NCR ->
            crashes++;
            role = STANDBY; expects = 0; must_see = 0;
            forget_work();
            state_end[0] = 0; state_end[1] = 0; state_value[0] = 0; state_value[1] = 0;
            role_of[_pid] = STANDBY; dirty_of[_pid] = 0
        }

    /* Clients write. */
    :: atomic { MAY_WRITE(0) -> writes++; append_data(0, writes) }
    :: atomic { MAY_WRITE(1) -> writes++; append_data(1, writes) }

    /* A dirty key is appended again. */
    :: atomic { MUST_REPAIR(0) -> dirty[0] = 0; dirty_of[_pid] = dirty[1]; append_data(0, state_value[0]) }
    :: atomic { MUST_REPAIR(1) -> dirty[1] = 0; dirty_of[_pid] = dirty[0]; append_data(1, state_value[1]) }

    /* A client reads: with a barrier of its own, or (JOIN) on whatever is under way already. */
    :: atomic { NRD && role == MASTER && !reading && in_flight < IN_FLIGHT && reads < NRD &&
                log_end + in_flight < NLOG - 1 ->
            begin_read(OWN_BARRIER);
            PRODUCER(_pid, epoch)!BARRIER, epoch, 0, 0;
            in_flight++
        }
    :: atomic { JOIN && role == MASTER && !reading && in_flight > 0 && reads < NRD -> begin_read(ANY_REPORT) }

    /* An idle master tails the log and meets a foreign record. */
    :: atomic { TAIL && role == MASTER && expects < log_end &&
                !(log_epoch[expects] == epoch && log_nonce[expects] == _pid) ->
            if
            :: log_epoch[expects] > epoch ->
                role = STANDBY; role_of[_pid] = STANDBY;
                forget_work(); dirty_of[_pid] = 0
            :: else ->
                if
                :: log_kind[expects] == DATA -> dirty[log_key[expects]] = 1; dirty_of[_pid] = 1
                :: else
                fi;
                expects++; expects_of[_pid] = expects
            fi
        }

    /* A delivery report. */
    :: atomic { reports[_pid]?kind, sent_epoch, key, value, offset ->
            in_flight--;
            if
            :: kind == CLAIM && role == CLAIMING && sent_epoch == epoch ->
                state_end[0] = 0; state_end[1] = 0; state_value[0] = 0; state_value[1] = 0; dirty[0] = 0; dirty[1] = 0;
                scan_below(offset, 1);
                if
                :: cur_epoch > epoch || (FIX && cur_epoch == epoch && cur_nonce != _pid) -> /* the claim is void */
                    role = STANDBY; role_of[_pid] = STANDBY; dirty[0] = 0; dirty[1] = 0
                :: else ->
                    expects = offset + 1; role = MASTER;
                    role_of[_pid] = MASTER; dirty_of[_pid] = (dirty[0] || dirty[1]); expects_of[_pid] = expects
                fi
            :: role == MASTER && sent_epoch == epoch && kind != CLAIM ->
                read_gap(offset);
                if
                :: role == MASTER ->
                    expects = offset + 1; expects_of[_pid] = expects;
                    if
                    :: kind == DATA -> /* the client is told: this must be valid for ever */
                        scan_below(offset, 0);
                        assert(sent_epoch > cur_epoch || (sent_epoch == cur_epoch && cur_nonce == _pid)); /* I3 */
                        state_end[key] = offset + 1; state_value[key] = value;
                        dirty[key] = 0; busy[key] = 0; dirty_of[_pid] = (dirty[0] || dirty[1]);
                        if
                        :: offset + 1 > acked_end[key] -> acked_end[key] = offset + 1
                        :: else
                        fi
                    :: else
                    fi;
                    if
                    :: (kind == BARRIER && reading == OWN_BARRIER) || reading == ANY_REPORT ->
                        reading = 0;
                        assert(state_end[read_key] >= must_see); /* I5 */
                        must_see = 0; read_key = 0
                    :: else
                    fi
                :: else -> forget_work(); dirty_of[_pid] = 0; must_see = 0
                fi
            :: else -> skip /* of an earlier incarnation, or the node was deposed meanwhile */
            fi;
            kind = 0; sent_epoch = 0; key = 0; value = 0; offset = 0; cur_epoch = 0; cur_nonce = 0
        }
    od
}

/* Takes the first request of any producer and appends it. */
#define LAND(producer)                                                                                                 \
    :: atomic { log_end < NLOG && requests[producer]?[kind, epoch, key, value] ->                                      \
            requests[producer]?kind, epoch, key, value;                                                                \
            log_kind[log_end] = kind; log_epoch[log_end] = epoch; log_nonce[log_end] = (producer) / MAXE;              \
            log_key[log_end] = key; log_value[log_end] = value;                                                        \
            reports[(producer) / MAXE]!kind, epoch, key, value, log_end;                                               \
            log_end++;                                                                                                 \
            kind = 0; epoch = 0; key = 0; value = 0                                                                    \
        }

active proctype Broker()
{
    mtype kind;
    byte epoch, key, value;

end_broker:
    do
    LAND(0)
    LAND(1)
    LAND(2)
    LAND(3)
    LAND(4)
    LAND(5)
    od
}

#define NOTHING_IN_FLIGHT                                                                                              \
    (empty(requests[0]) && empty(requests[1]) && empty(requests[2]) && empty(requests[3]) && empty(requests[4]) &&     \
     empty(requests[5]) && empty(reports[0]) && empty(reports[1]))
#define SETTLED(node)                                                                                                  \
    (role_of[node] == MASTER && epoch_of[node] == granted && !dirty_of[node] && (!TAIL || expects_of[node] == log_end))

/* At some quiet moment: what a plain reader makes of the log is the state, for both keys. */
active proctype PlainReader()
{
    byte i = 0, cur_epoch = 0, cur_nonce = NOBODY;
    byte valid_value[2], plain_value[2];

end_plain_reader:
    do
    :: atomic { NOTHING_IN_FLIGHT && (SETTLED(0) || SETTLED(1)) ->
            i = 0; cur_epoch = 0; cur_nonce = NOBODY;
            do
            :: i < log_end ->
                if
                :: log_kind[i] == DATA -> plain_value[log_key[i]] = log_value[i]
                :: else
                fi;
                if
                :: VALID(i) ->
                    cur_epoch = log_epoch[i]; cur_nonce = log_nonce[i];
                    if
                    :: log_kind[i] == DATA -> valid_value[log_key[i]] = log_value[i]
                    :: else
                    fi
                :: else
                fi;
                i++
            :: else -> break
            od;
            assert(valid_value[0] == plain_value[0]); /* I7 */
            assert(valid_value[1] == plain_value[1]); /* I7 */
            i = 0; cur_epoch = 0; cur_nonce = 0;
            valid_value[0] = 0; valid_value[1] = 0; plain_value[0] = 0; plain_value[1] = 0;
            break
        }
    od
}
