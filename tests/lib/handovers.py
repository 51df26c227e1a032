"""handovers - when masterships moved from node to node, as the nodes' logs tell, and for how long writes waited because of it.

    log = Handovers(cluster.nodes.values(), "accounts")
    for one in log.all:                         # in order
        print(one, log.pause_ms(one, history.writes(one.partition)))
    log.leader(partition, moment)               # the name of the node

A hand-over lasts from GO, when the giver serves nothing any more, until the other leads. A write that it delays is under way at
some moment of that: it came before and waits at the giver, or comes meanwhile. So the write pause of a hand-over, as clients see it, is
the longest wait for an answer, with all repeats, of the writes of the partition that were under way at any moment from GO until
AFTER_MS after the other led. Whether the hand-over was the reason is not asked. Who comes later is sent on from a node that has not
heard of it, without a wait; whether that is so, trial.begun_later_ms() shows. Times are those of time.monotonic_ns(); a log tells
milliseconds.
"""
import bisect
import datetime
import time
from dataclasses import dataclass

AFTER_MS = 5
MS = 1_000_000


@dataclass
class HandOver:
    partition: int
    epoch: int
    giver: str
    went: int
    receiver: str | None = None  # None: nobody led by it, and `led` is when somebody led again, or when it was given up
    led: int = 0

    def __str__(self):
        return f"partition {self.partition} from {self.giver} to {self.receiver}, epoch {self.epoch}, {(self.led - self.went) / MS:.0f} ms after GO"

    def window(self):
        return self.went - MS, self.led + MS + AFTER_MS * MS

    def touches(self, start, end):
        first, last = self.window()
        return end >= first and start <= last


class Handovers:
    """What the logs of the nodes say by now. `behind`: so many ns is the monotonic clock behind that of the logs."""

    def __init__(self, nodes, keyspace, behind=None):
        behind = monotonic_behind() if behind is None else behind
        events = sorted(event for node in nodes for event in _events(node, keyspace, behind))
        self.all = []
        self._leads = {}  # {partition: ([moments], [names])}
        waiting = {}  # {partition: HandOver}
        for moment, event, name, partition, epoch in events:
            if event == "partition.go":
                waiting[partition] = HandOver(partition, epoch, name, moment, led=moment)
                self.all.append(waiting[partition])
            elif event == "partition.not-handed-over":
                self._failed(waiting, moment, name, partition, epoch)
            else:
                self._led(waiting, moment, name, partition, epoch)

    def _failed(self, waiting, moment, name, partition, epoch):
        """Before GO: the giver had stopped writing, and goes on. After it, it asks for the partition, and somebody leads later."""
        if partition not in waiting:
            self.all.append(HandOver(partition, epoch, name, moment, led=moment))
        else:
            waiting[partition].led = moment

    def _led(self, waiting, moment, name, partition, epoch):
        moments, names = self._leads.setdefault(partition, ([], []))
        moments.append(moment)
        names.append(name)
        one = waiting.pop(partition, None)
        if one:
            one.led = moment
            one.receiver = name if epoch == one.epoch else None

    def leader(self, partition, moment):
        """Who led then, or last before; None: nobody had."""
        moments, names = self._leads.get(partition, ([], []))
        at = bisect.bisect_right(moments, moment)
        return names[at - 1] if at else None

    def between(self, start, end):
        """Those that began then."""
        return [one for one in self.all if start <= one.went < end]

    @staticmethod
    def pause_ms(one, writes):
        """Of the writes of its partition: requests of the history."""
        return max(((w.end - w.start) / MS for w in writes if one.touches(w.start, w.end)), default=0)


def monotonic_behind():
    """The two clocks are read one after the other; of some tries that counts which was interrupted the least."""
    tries = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(10)]
    before, wall, after = min(tries, key=lambda one: one[2] - one[0])
    return wall - (before + after) // 2


def _events(node, keyspace, behind):
    for line in node.log().splitlines():
        if " event=partition." in line:
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if words.get("keyspace") == keyspace and _tells(words):
                yield _ns(words["time"]) - behind, words["event"], node.name, int(words["partition"]), int(words["epoch"])


def _tells(words):
    return words["event"] in ("partition.go", "partition.not-handed-over") or \
        (words["event"] == "partition.role" and words["role"] == "master" and words["minor"] == "0")


def _ns(text):
    """Of "2026-11-22T20:28:47.470Z"."""
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1000) * MS
