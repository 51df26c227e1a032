/*
 * handover.pml - a mastership moves to another node while both live (doc/protocol.md "To hand over", doc/cluster.md "Hand-over"):
 * what the log, the owner as the coordinator has it, and the leases for reads make of it together.
 *
 * Two nodes, one partition; node 0 is the owner with epoch 1 and leads. The owner offers, stops writing, says GO; the other claims and
 * leads without reading when its CLAIM stands where the giver stopped. Every message may be lost or late, every wait may end too early,
 * a session may expire (its leases have lapsed before), records land as late as they like. A record is valid when its epoch is not
 * below that of the last valid one: epochs are granted once here; claim2.pml has those that are granted twice.
 *
 * Checked: an acknowledged write is valid for ever (I3); who leads has applied all valid records below its CLAIM, which is valid (I2);
 * whoever may answer reads by a lease has applied every acknowledged write, at every moment (I5). Left out, since the claim models
 * have it: repairs, several keys, reads that are proven by the log, writes in doubt that are found later.
 *
 * Switches; the weakened variants (each of them the other way) must fail:
 *   QUIET   1: the giver serves nothing any more once GO left; 0: it goes on to answer reads by its lease
 *   ASK     1: a giver that hears nothing claims again once the coordinator has taken the hand-over back; 0: it does not ask
 *   FOLLOWS 1: the receiver leads without reading only if its CLAIM is at the giver's end; 0: wherever that is
 *   REACH   1: the receiver claims when it has applied all below the giver's end; 0: at once
 *   EPOCH   1: a lease is of the epoch with which the coordinator has the node for the owner; 0: of any
 * Bounds: NLOG places in the log, MAXE epochs (3: one hand-over, 5: two), NWR writes, NEX sessions that expire.
 */
#ifndef QUIET
#define QUIET 1
#endif
#ifndef ASK
#define ASK 1
#endif
#ifndef FOLLOWS
#define FOLLOWS 1
#endif
#ifndef REACH
#define REACH 1
#endif
#ifndef EPOCH
#define EPOCH 1
#endif
#ifndef NLOG
#define NLOG 6
#endif
#ifndef MAXE
#define MAXE 5
#endif
#ifndef NWR
#define NWR 2
#endif
#ifndef NEX
#define NEX 1
#endif
#define IN_FLIGHT 2
#define NOBODY 9

mtype = { CLAIM, DATA }

/* The log: node 0's CLAIM with epoch 1 stands there. */
mtype log_kind[NLOG] = CLAIM;
byte log_epoch[NLOG] = 1;
byte log_end = 1;

/* The znode of the partition, changed by compare-and-set: each change is one step. */
byte epoch_top = 1;                /* the highest that was granted or reserved */
byte owner = 0, owner_epoch = 1;
byte next = NOBODY, claim_epoch = 0, back_epoch = 0; /* a hand-over that is under way */
bit lives[2] = 1;                  /* the node's session */
bit begun = 0;
byte expired = 0, writes = 0;

/* What is sent and not reported, for each node; the answers; the words of the hand-over, each to the node of that number. */
chan requests[2] = [IN_FLIGHT] of { mtype, byte };        /* kind, epoch */
chan reports[2] = [IN_FLIGHT] of { mtype, byte, byte };   /* kind, epoch, offset */
chan go[2] = [1] of { byte, byte, byte };                 /* epoch for the receiver, the giver's end, its last valid epoch */
chan taken[2] = [1] of { byte };                          /* epoch with which the receiver leads */

#define STANDBY 0
#define CLAIMING 1
#define MASTER 2
byte role[2];
byte own_epoch[2];  /* of whom claims or leads */
byte seen_epoch[2]; /* as the node last saw the znode: it is the owner with that epoch; 0: it is not */
byte applied[2] = 1;   /* every offset below is */
byte cur_epoch[2] = 1; /* of the last valid record below */
byte state_end[2];  /* one above the last valid DATA below */

#define NONE 0
#define DRAINING 1
#define GONE 2
#define BACK 3
byte give[2];
byte give_epoch[2]; /* of the one that is to lead */

/* Ghost: one above the highest offset that was acknowledged. */
byte acked_end = 0;

#define OTHER (1 - _pid)
/* Who said GO has no epoch of its own any more: the giver of QUIET=0 goes by the znode alone. */
#define ANSWERS(node) (role[node] == MASTER || (!QUIET && give[node] == GONE))
#define LEASED(node)                                                                                                   \
    (lives[node] && seen_epoch[node] > 0 && (!EPOCH || !QUIET || seen_epoch[node] == own_epoch[node]))
#define SEES_ITSELF seen_epoch[_pid] = (owner == _pid -> owner_epoch : 0)

/* Reads the log below `offset`: the owner of the last valid record, and the place above the last valid DATA. */
inline judge_below(offset)
{
    d_step {
        last = 0; data_end = 0; i = 0;
        do
        :: i < offset ->
            if
            :: log_epoch[i] >= last ->
                last = log_epoch[i];
                if
                :: log_kind[i] == DATA -> data_end = i + 1
                :: else
                fi
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

inline append(kind_)
{
    requests[_pid]!kind_, own_epoch[_pid];
    in_flight++
}

inline claim_with(epoch_)
{
    own_epoch[_pid] = epoch_; role[_pid] = CLAIMING; writing = 0;
    append(CLAIM)
}

inline stand_by()
{
    role[_pid] = STANDBY; own_epoch[_pid] = 0; writing = 0; give[_pid] = NONE; give_epoch[_pid] = 0
}

inline forget_go()
{
    taking = 0; go_end = 0; go_cur = 0
}

/* The own CLAIM at `offset` counts as read, and nothing above it. */
inline lead_by(offset)
{
    judge_below(offset);
    assert(last < own_epoch[_pid]);       /* I2: the CLAIM is valid */
    assert(state_end[_pid] == data_end);  /* I2: all below it is applied */
    last = 0; data_end = 0;
    applied[_pid] = offset + 1; cur_epoch[_pid] = own_epoch[_pid];
    role[_pid] = MASTER;
    give[_pid] = NONE; give_epoch[_pid] = 0;
    if
    :: taking && taking == own_epoch[_pid] ->
        if
        :: taken[OTHER]!taking
        :: skip /* lost */
        fi
    :: else
    fi;
    forget_go()
}

/* One record, as whoever does not lead reads it; also whoever claims, up to its own CLAIM. */
inline read_one()
{
    at = applied[_pid];
    if
    :: log_epoch[at] < cur_epoch[_pid] -> /* void */
        applied[_pid] = at + 1;
        if
        :: role[_pid] == CLAIMING && log_kind[at] == CLAIM && log_epoch[at] == own_epoch[_pid] -> stand_by(); forget_go()
        :: else
        fi
    :: else ->
        if
        :: role[_pid] == CLAIMING && log_epoch[at] == own_epoch[_pid] -> lead_by(at)
        :: else ->
            cur_epoch[_pid] = log_epoch[at]; applied[_pid] = at + 1;
            if
            :: log_kind[at] == DATA -> state_end[_pid] = at + 1
            :: else
            fi;
            if
            :: role[_pid] == CLAIMING && log_epoch[at] > own_epoch[_pid] -> stand_by(); forget_go()
            :: give[_pid] >= GONE && log_epoch[at] == give_epoch[_pid] && role[_pid] == STANDBY -> heard_taken()
            :: else
            fi
        fi
    fi;
    at = 0
}

/* The giver knows that the other leads; it may tell the coordinator so. */
inline heard_taken()
{
    if
    :: give[_pid] == GONE -> tells = give_epoch[_pid]
    :: else
    fi;
    give[_pid] = NONE; give_epoch[_pid] = 0
}

/* A master meets what is not its own: a higher epoch deposes it, the rest is void. */
inline meet_foreign()
{
    if
    :: log_epoch[applied[_pid]] > own_epoch[_pid] -> stand_by()
    :: else -> applied[_pid] = applied[_pid] + 1
    fi
}

#define ROOM (in_flight < IN_FLIGHT && log_end + in_flight < NLOG)

active [2] proctype Node()
{
    byte in_flight = 0;  /* sent and not reported, of earlier epochs too */
    bit writing = 0;     /* a DATA record of the own epoch is in flight */
    byte taking = 0, go_end = 0, go_cur = 0; /* GO came, for that epoch */
    bit asks = 0;        /* that the coordinator takes the hand-over back */
    byte tells = 0;      /* the coordinator that the other leads with that epoch */
    mtype kind;
    byte sent_epoch, offset, last = 0, data_end = 0, i = 0, at = 0;

    atomic {
        if
        :: _pid == 0 -> role[0] = MASTER; own_epoch[0] = 1; seen_epoch[0] = 1; begun = 1
        :: else -> begun
        fi
    }

end_node:
    do
    /* ---- as ever ---- */

    /* Clients write. */
    :: atomic { role[_pid] == MASTER && give[_pid] == NONE && !writing && writes < NWR && ROOM ->
            writes++; writing = 1;
            append(DATA)
        }

    /* Who does not lead reads. */
    :: atomic { role[_pid] != MASTER && applied[_pid] < log_end -> read_one() }

    /* Who leads reads what is not its own. */
    :: atomic { role[_pid] == MASTER && applied[_pid] < log_end && log_epoch[applied[_pid]] != own_epoch[_pid] -> meet_foreign() }

    /* A delivery report. */
    :: atomic { reports[_pid]?kind, sent_epoch, offset ->
            in_flight--;
            if
            :: kind == CLAIM && role[_pid] == CLAIMING && sent_epoch == own_epoch[_pid] && taking == sent_epoch &&
               (!FOLLOWS || (offset == go_end && (!REACH || offset == applied[_pid]))) -> lead_by(offset)
            :: kind == DATA && role[_pid] == MASTER && sent_epoch == own_epoch[_pid] ->
                do
                :: role[_pid] == MASTER && applied[_pid] < offset -> meet_foreign()
                :: else -> break
                od;
                if
                :: role[_pid] == MASTER -> /* the client is told */
                    judge_below(offset);
                    assert(last <= own_epoch[_pid]); /* I3 */
                    last = 0; data_end = 0;
                    applied[_pid] = offset + 1; state_end[_pid] = offset + 1; writing = 0;
                    acked_end = (offset + 1 > acked_end -> offset + 1 : acked_end)
                :: else
                fi
            :: else -> skip /* a CLAIM up to which is read; or of an earlier mastership */
            fi;
            kind = 0; sent_epoch = 0; offset = 0
        }

    /* ---- the giver ---- */

    /* The owner offers. */
    :: atomic { lives[_pid] && owner == _pid && role[_pid] == MASTER && own_epoch[_pid] == owner_epoch && give[_pid] == NONE &&
                next == NOBODY && lives[OTHER] && !asks && !tells && epoch_top + 2 <= MAXE ->
            next = OTHER; claim_epoch = epoch_top + 1; back_epoch = epoch_top + 2; epoch_top = epoch_top + 2;
            SEES_ITSELF;
            give[_pid] = DRAINING; give_epoch[_pid] = claim_epoch
        }

    /* Nothing is in flight: GO, which may be lost. */
    :: atomic { give[_pid] == DRAINING && role[_pid] == MASTER && in_flight == 0 ->
            give[_pid] = GONE; role[_pid] = STANDBY; own_epoch[_pid] = 0;
            if
            :: go[OTHER]!give_epoch[_pid], applied[_pid], cur_epoch[_pid]
            :: skip
            fi
        }

    /* It took too long: as master it goes on; who said GO asks, or does not. */
    :: atomic { give[_pid] == DRAINING -> give[_pid] = NONE; give_epoch[_pid] = 0; asks = 1 }
    :: atomic { give[_pid] == GONE && (ASK || ROOM) ->
            give[_pid] = BACK;
            if
            :: ASK -> asks = 1
            :: else -> give[_pid] = NONE; claim_with(give_epoch[_pid] + 1); give_epoch[_pid] = 0
            fi
        }
    :: atomic { give[_pid] == BACK && !asks -> give[_pid] = NONE; give_epoch[_pid] = 0 }

    /* The other leads, as it says. */
    :: atomic { taken[_pid]?at ->
            if
            :: at == give_epoch[_pid] && give[_pid] >= GONE && role[_pid] == STANDBY -> heard_taken()
            :: else
            fi;
            at = 0
        }

    /* ---- the receiver ---- */

    :: atomic { go[_pid]?sent_epoch, offset, at ->
            if
            :: role[_pid] == STANDBY && sent_epoch > cur_epoch[_pid] -> taking = sent_epoch; go_end = offset; go_cur = at
            :: else
            fi;
            sent_epoch = 0; offset = 0; at = 0
        }
    :: atomic { taking && role[_pid] == STANDBY && (applied[_pid] >= go_end || !REACH) && ROOM ->
            if
            :: cur_epoch[_pid] == go_cur || !REACH -> claim_with(taking)
            :: else -> forget_go()
            fi
        }
    :: atomic { taking && role[_pid] == STANDBY -> forget_go() } /* too late */

    /* ---- the coordinator ---- */

    /* "The other leads", of either. */
    :: atomic { lives[_pid] && role[_pid] == MASTER && next == _pid && own_epoch[_pid] == claim_epoch ->
            owner = _pid; owner_epoch = claim_epoch; next = NOBODY; claim_epoch = 0; back_epoch = 0;
            SEES_ITSELF
        }
    :: atomic { tells ->
            if
            :: lives[_pid] && next == OTHER && claim_epoch == tells ->
                owner = OTHER; owner_epoch = claim_epoch; next = NOBODY; claim_epoch = 0; back_epoch = 0
            :: else
            fi;
            if
            :: lives[_pid] -> SEES_ITSELF
            :: else
            fi;
            tells = 0
        }

    /* "I keep it." */
    :: atomic { asks ->
            if
            :: lives[_pid] && owner == _pid && next != NOBODY ->
                owner_epoch = back_epoch; next = NOBODY; claim_epoch = 0; back_epoch = 0
            :: else
            fi;
            if
            :: lives[_pid] -> SEES_ITSELF
            :: else
            fi;
            asks = 0
        }

    /* It sees the znode; the owner that leads with a lower epoch, or not at all, claims. */
    :: atomic { lives[_pid] && seen_epoch[_pid] != (owner == _pid -> owner_epoch : 0) -> SEES_ITSELF }
    :: atomic { lives[_pid] && seen_epoch[_pid] > own_epoch[_pid] && seen_epoch[_pid] > cur_epoch[_pid] &&
                (give[_pid] == NONE || give[_pid] == BACK) && !asks && ROOM ->
            forget_go();
            give[_pid] = NONE; give_epoch[_pid] = 0;
            claim_with(seen_epoch[_pid])
        }

    /* The session expires. Its leases have lapsed before, and it owns nothing as whoever it is next. */
    :: atomic { lives[_pid] && expired < NEX -> expired++; lives[_pid] = 0; seen_epoch[_pid] = 0 }

    /* The controller gives on what nobody has that lives. */
    :: atomic { lives[_pid] && owner == OTHER && !lives[OTHER] && next == _pid -> /* inherited */
            owner = _pid; owner_epoch = claim_epoch; next = NOBODY; claim_epoch = 0; back_epoch = 0
        }
    :: atomic { lives[_pid] && owner == OTHER && !lives[OTHER] && next == NOBODY && epoch_top < MAXE ->
            epoch_top++;
            owner = _pid; owner_epoch = epoch_top
        }
    od
}

/* Takes the first request of either node and appends it. */
#define LAND(node)                                                                                                     \
    :: atomic { log_end < NLOG && nempty(requests[node]) ->                                                            \
            requests[node]?kind, epoch;                                                                                \
            log_kind[log_end] = kind; log_epoch[log_end] = epoch;                                                      \
            reports[node]!kind, epoch, log_end;                                                                        \
            log_end++;                                                                                                 \
            kind = 0; epoch = 0                                                                                        \
        }

active proctype Broker()
{
    mtype kind;
    byte epoch;

end_broker:
    do
    LAND(0)
    LAND(1)
    od
}

#define STALE(node) (ANSWERS(node) && LEASED(node) && state_end[node] < acked_end)

/* A read may be answered by a lease at any moment. */
active proctype Reader()
{
end_reader:
    do
    :: atomic { STALE(0) -> assert(state_end[0] >= acked_end) } /* I5 */
    :: atomic { STALE(1) -> assert(state_end[1] >= acked_end) } /* I5 */
    od
}
