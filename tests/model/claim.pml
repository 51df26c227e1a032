/*
 * claim.pml - claim and continuity on one partition with one key: two nodes, one log, a coordinator that may lie.
 *
 * The adversary: any node may be granted a new epoch at any moment, whatever the other one believes; a request to append
 * is delayed for as long as it likes, so it may land long after its writer was deposed (a zombie); a node may crash and
 * forget everything while its requests still fly. What cannot happen: requests of one producer overtake each other (a
 * node has one producer for each epoch), or the log loses what it holds.
 *
 * Checked (doc/protocol.md, invariants): an acknowledged write is valid for ever (I3), a strict read sees every write
 * that was acknowledged before it began (I5), and once nothing is in flight and nothing is left to repair, plain
 * last-writer-wins by offset is the state (I7). claim2.pml has two keys, nonces and epochs that are granted twice.
 *
 * Switches; each of the weakened variants must fail:
 *   ACK     1: a report is an acknowledgement only when its offset is contiguous, else the gap is read; 0: always
 *   READ    1: a read waits for a barrier of its own; 0: it is answered from the local state
 *   REPAIR  1: a master appends a key again that a void record hides; 0: it does not
 *   CUT     0: a claim reads everything below itself before it leads; 1: one record less (an "end offset" of before)
 * Bounds: NLOG places in the log, MAXE epochs, NWR writes.
 */
#ifndef ACK
#define ACK 1
#endif
#ifndef READ
#define READ 1
#endif
#ifndef REPAIR
#define REPAIR 1
#endif
#ifndef CUT
#define CUT 0
#endif
#ifndef NLOG
#define NLOG 9
#endif
#ifndef MAXE
#define MAXE 3
#endif
#ifndef NWR
#define NWR 3
#endif
#define READS 2
#define CRASHES 2
#define IN_FLIGHT 2

mtype = { CLAIM, DATA, BARRIER }

/* The log. All writes are to the same key; each carries a value of its own. */
mtype log_kind[NLOG];
byte log_epoch[NLOG];
byte log_value[NLOG];
byte log_end = 0;

byte granted = 0; /* the last epoch that the coordinator handed out */
byte writes = 0, reads = 0, crashes = 0;

/*
 * Appends under way: a queue for each producer, so for each node and epoch (two at a time are enough), and the delivery
 * reports on their way back to each node.
 */
chan requests[4] = [IN_FLIGHT] of { mtype, byte, byte };    /* kind, epoch, value */
chan reports[2] = [IN_FLIGHT] of { mtype, byte, byte, byte }; /* kind, epoch, value, offset */
#define PRODUCER(node, epoch) requests[(node) * 2 + (epoch) % 2]

/* Ghosts: what only the checks know. */
short acked_offset = -1; /* the highest offset that was acknowledged */

/* What the final check wants to know of each node. */
#define STANDBY 0
#define CLAIMING 1
#define MASTER 2
byte role_of[2], epoch_of[2], expects_of[2];
bit dirty_of[2];

/* Sets `highest` to the highest epoch that was claimed below `offset`. */
inline highest_claim_below(offset)
{
    highest = 0;
    i = 0;
    do
    :: i < offset ->
        if
        :: log_kind[i] == CLAIM && log_epoch[i] > highest -> highest = log_epoch[i]
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* The claim landed at `offset`: applies what is valid below it. With CUT the record just before is overlooked. */
inline catch_up(offset)
{
    highest = 0;
    i = 0;
    state_offset = -1;
    state_value = 0;
    dirty = 0;
    do
    :: i < offset && !(CUT && i + 1 == offset) ->
        if
        :: log_kind[i] == CLAIM && log_epoch[i] > highest -> highest = log_epoch[i]
        :: log_kind[i] == DATA && log_epoch[i] >= highest -> state_offset = i; state_value = log_value[i]; dirty = 0
        :: log_kind[i] == DATA && log_epoch[i] < highest -> dirty = 1
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* Reads the foreign records from `expects` up to `offset`: a newer claim deposes, an older record is void. */
inline read_gap(offset)
{
    do
    :: role == MASTER && expects < offset ->
        if
        :: log_kind[expects] == CLAIM && log_epoch[expects] > epoch -> role = STANDBY; role_of[_pid] = STANDBY
        :: log_kind[expects] == DATA && log_epoch[expects] != epoch -> dirty = 1; dirty_of[_pid] = 1; expects++
        :: else -> expects++
        fi
    :: else -> break
    od
}

active [2] proctype Node()
{
    byte role = STANDBY, epoch = 0;
    byte expects = 0;        /* the offset that the next own record must get to be contiguous */
    byte in_flight = 0;      /* requests and reports, those of earlier epochs too */
    short state_offset = -1; /* the record that the local state comes from */
    byte state_value = 0;
    bit dirty = 0;           /* a void record hides the state from plain readers */
    bit reading = 0;         /* a strict read waits for its barrier */
    short must_see = -1;     /* what was acknowledged when that read arrived */
    mtype kind;
    byte sent_epoch, value, offset, highest, i = 0;

end_node:
    do
    /* The coordinator grants the next epoch, at any time. */
    :: atomic { role != CLAIMING && in_flight < IN_FLIGHT && granted < MAXE ->
            granted++;
            epoch = granted; role = CLAIMING; dirty = 0; reading = 0;
            PRODUCER(_pid, epoch)!CLAIM, epoch, 0;
            in_flight++;
            role_of[_pid] = CLAIMING; epoch_of[_pid] = epoch; dirty_of[_pid] = 0
        }

    /* Crash: everything is forgotten, but what was sent may still land. */
    :: atomic { role != STANDBY && crashes < CRASHES ->
            crashes++;
            role = STANDBY; epoch = 0; dirty = 0; reading = 0; must_see = -1;
            state_offset = -1; state_value = 0; expects = 0;
            role_of[_pid] = STANDBY; dirty_of[_pid] = 0
        }

    /* A client writes. */
    :: atomic { role == MASTER && in_flight < IN_FLIGHT && writes < NWR && log_end + in_flight < NLOG - 2 ->
            writes++;
            PRODUCER(_pid, epoch)!DATA, epoch, writes;
            in_flight++
        }

    /* The key is dirty: its state is appended again. */
    :: atomic { REPAIR && role == MASTER && dirty && in_flight == 0 && log_end < NLOG - 1 ->
            dirty = 0; dirty_of[_pid] = 0;
            PRODUCER(_pid, epoch)!DATA, epoch, state_value;
            in_flight++
        }

    /* A client reads. */
    :: atomic { READ == 0 && role == MASTER && reads < READS ->
            reads++;
            assert(state_offset >= acked_offset) /* I5 */
        }
    :: atomic { READ == 1 && role == MASTER && !reading && in_flight == 0 && reads < READS &&
                log_end + in_flight < NLOG - 1 ->
            reads++;
            must_see = acked_offset; reading = 1;
            PRODUCER(_pid, epoch)!BARRIER, epoch, 0;
            in_flight++
        }

    /* An idle master tails the log and meets a foreign record. */
    :: atomic { role == MASTER && expects < log_end && log_epoch[expects] != epoch ->
            if
            :: log_kind[expects] == CLAIM && log_epoch[expects] > epoch ->
                role = STANDBY; dirty = 0; reading = 0;
                role_of[_pid] = STANDBY; dirty_of[_pid] = 0
            :: else ->
                if
                :: log_kind[expects] == DATA -> dirty = 1; dirty_of[_pid] = 1
                :: else
                fi;
                expects++; expects_of[_pid] = expects
            fi
        }

    /* A delivery report. */
    :: atomic { reports[_pid]?kind, sent_epoch, value, offset ->
            in_flight--;
            if
            :: kind == CLAIM && role == CLAIMING && sent_epoch == epoch ->
                highest_claim_below(offset);
                if
                :: highest > epoch -> role = STANDBY; role_of[_pid] = STANDBY
                :: else ->
                    catch_up(offset);
                    expects = offset + 1; role = MASTER;
                    role_of[_pid] = MASTER; dirty_of[_pid] = dirty; expects_of[_pid] = expects
                fi
            :: role == MASTER && sent_epoch == epoch && kind != CLAIM ->
                if
                :: ACK == 1 -> read_gap(offset)
                :: else -> expects = offset
                fi;
                if
                :: role == MASTER ->
                    expects = offset + 1; expects_of[_pid] = expects;
                    if
                    :: kind == DATA -> /* the client is told: this must be valid for ever */
                        highest_claim_below(offset);
                        assert(highest <= sent_epoch); /* I3 */
                        highest = 0;
                        state_offset = offset; state_value = value;
                        if
                        :: offset > acked_offset -> acked_offset = offset
                        :: else
                        fi;
                        dirty = 0; dirty_of[_pid] = 0
                    :: kind == BARRIER ->
                        reading = 0;
                        assert(state_offset >= must_see); /* I5 */
                        must_see = -1
                    :: else
                    fi
                :: else -> dirty = 0; dirty_of[_pid] = 0; reading = 0; must_see = -1
                fi
            :: else -> skip /* of an earlier incarnation, or the node was deposed meanwhile */
            fi;
            kind = 0; sent_epoch = 0; value = 0; offset = 0; highest = 0
        }
    od
}

/* Takes the first request of any producer and appends it. */
#define LAND(producer)                                                                                                 \
    :: atomic { log_end < NLOG && requests[producer]?[kind, epoch, value] ->                                           \
            requests[producer]?kind, epoch, value;                                                                     \
            log_kind[log_end] = kind; log_epoch[log_end] = epoch; log_value[log_end] = value;                          \
            reports[(producer) / 2]!kind, epoch, value, log_end;                                                       \
            log_end++;                                                                                                 \
            kind = 0; epoch = 0; value = 0                                                                             \
        }

active proctype Broker()
{
    mtype kind;
    byte epoch, value;

end_broker:
    do
    LAND(0)
    LAND(1)
    LAND(2)
    LAND(3)
    od
}

#define NOTHING_IN_FLIGHT                                                                                              \
    (empty(requests[0]) && empty(requests[1]) && empty(requests[2]) && empty(requests[3]) && empty(reports[0]) &&      \
     empty(reports[1]))
#define SETTLED(node)                                                                                                  \
    (role_of[node] == MASTER && epoch_of[node] == granted && (!REPAIR || !dirty_of[node]) &&                           \
     expects_of[node] == log_end)

/*
 * At some quiet moment (nothing in flight, the owner of the newest epoch leads, has seen the whole log and owes no
 * repair): what a plain reader and compaction make of the log is the state that the validity rule makes of it.
 */
active proctype PlainReader()
{
    byte i = 0, highest = 0, valid_value = 0, plain_value = 0;

end_plain_reader:
    do
    :: atomic { NOTHING_IN_FLIGHT && (SETTLED(0) || SETTLED(1)) ->
            i = 0; highest = 0; valid_value = 0; plain_value = 0;
            do
            :: i < log_end ->
                if
                :: log_kind[i] == CLAIM && log_epoch[i] > highest -> highest = log_epoch[i]
                :: log_kind[i] == DATA ->
                    plain_value = log_value[i];
                    if
                    :: log_epoch[i] >= highest -> valid_value = log_value[i]
                    :: else
                    fi
                :: else
                fi;
                i++
            :: else -> break
            od;
            assert(valid_value == plain_value); /* I7 */
            i = 0; highest = 0; valid_value = 0; plain_value = 0;
            break
        }
    od
}
