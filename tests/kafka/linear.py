"""linear - is there an order of the operations on a register that explains every answer, and that keeps to real time?

    ops = [Op(start, end, kind, value, ...), ...]       # of one key, times of one clock
    explained, stuck = check(ops)

The search is the one of Wing and Gong with Lowe's memory of what was tried: an operation may be the next one if it began before
every other that is left has ended. An operation whose outcome is unknown has no end, and may be left out. Values are unique, so
few orders are possible, and histories of thousands of operations take moments.
"""
import math
from dataclasses import dataclass

PUT, DELETE, GET = "put", "delete", "get"


@dataclass
class Op:
    start: int
    end: float  # math.inf: unknown
    kind: str
    value: bytes | None = None  # PUT: what it writes; GET: what it saw, None: nothing
    # of a write
    expects: tuple = ()  # (value,): only if this was the value, None: only if there was none
    refused: bool = False  # because of that expectation, or because there was nothing to delete
    tells: tuple = ()  # (bool,): whether there was a value before, as the answer said
    who: str = ""

    @property
    def unknown(self):
        return self.end == math.inf

    def step(self, state):
        """(may it come next, the state after it)"""
        if self.kind == GET:
            return state == self.value, state
        holds = not self.expects or self.expects[0] == state
        if self.kind == DELETE:
            holds = holds and state is not None
        if self.refused:
            return not holds, state
        if not holds or (self.tells and self.tells[0] != (state is not None)):
            return False, state
        return True, self.value if self.kind == PUT else None


class _Event:
    """A call or a return in a doubly linked list; a call knows its return, unless it has none."""

    __slots__ = ("op", "index", "end", "before", "after")

    def __init__(self, op, index):
        self.op, self.index = op, index
        self.end = self.before = self.after = None


def _events(ops):
    """The head of the list of all calls and returns, in order of time; a call comes before a return of the same moment."""
    moments = []
    for index, op in enumerate(ops):
        call = _Event(op, index)
        moments.append((op.start, 0, index, call))
        if not op.unknown:
            call.end = _Event(None, index)
            moments.append((op.end, 1, index, call.end))
    moments.sort(key=lambda moment: moment[:3])
    head = last = _Event(None, -1)
    for *_, event in moments:
        last.after, event.before, last = event, last, event
    return head


def _lift(event):
    for one in (event, event.end):
        if one:
            one.before.after = one.after
            if one.after:
                one.after.before = one.before


def _unlift(event):
    for one in (event.end, event):
        if one:
            one.before.after = one
            if one.after:
                one.after.before = one


def check(ops, state=None):
    """(True, None), or (False, the operation that no order could get past)."""
    head = _events(ops)
    left = sum(not op.unknown for op in ops)
    done, tried, path = 0, set(), []
    deepest, stuck = -1, None
    event = head.after
    while left:
        if event is not None and event.op is not None:
            may, after = event.op.step(state)
            mark = done | 1 << event.index
            if may and (mark, after) not in tried:
                tried.add((mark, after))
                path.append((event, state))
                state, done = after, mark
                left -= not event.op.unknown
                _lift(event)
                event = head.after
            else:
                event = event.after
            continue
        if len(path) > deepest and event is not None:  # at a return of what could not be placed
            deepest, stuck = len(path), ops[event.index]
        if not path:
            return False, stuck
        event, state = path.pop()
        done &= ~(1 << event.index)
        left += not event.op.unknown
        _unlift(event)
        event = event.after
    return True, None
