"""trial - a cluster under load, what it did to the clients, and the verdict: was an acknowledged write lost, was a read stale?

    with Trial(cluster, program, rate=400) as trial:
        with trial.watch() as step:             # until the cluster is settled again
            cluster.nodes["n1"].stop()
        trial.refresh()
        print(trial.of(step), trial.pauses_ms(step))
    complaints = trial.verdict()                # [] when all is well

What a write pause is, handovers.py says. What it is compared with: the time that a write takes when no mastership moves, from the
request to the answer, of the writers (clients that write one key of a partition all the time), asked of the node that led, answered
at the first attempt. It is taken of the whole time from the first step to the last, starts and ends of nodes included, and costs
little more than the record takes from the master to the brokers and back.
"""
import contextlib
import time
from dataclasses import dataclass, field

from handovers import MS, Handovers
from harness import Client
from traffic import WRITES, Load, Request, partition_of, writer_keys

FELT_NS = 50_000_000  # what was answered when a fault came may arrive so much later
STILL_S, LOOK_S = 3.0, 0.2
QUIET_S = 0.5  # after a step, before the next: what belongs to a step is over then


@dataclass
class Step:
    name: str
    start: int
    end: int = 0
    before: dict = field(default_factory=dict)  # {partition: (master, epoch)}
    after: dict = field(default_factory=dict)

    def moved(self):
        """The partitions whose mastership changed."""
        return [p for p in self.after if self.before.get(p) != self.after[p]]

    def led_by(self, node):
        return [p for p, (master, _) in self.before.items() if master == node]


class Trial:
    """`options`: of the load client."""

    def __init__(self, cluster, program, keyspace="accounts", **options):
        self.cluster, self.program, self.keyspace = cluster, program, keyspace
        self.options = options
        self.writers = writer_keys(cluster.keyspaces[keyspace]["partitions"])
        self.steps = []
        self.load = self._history = self._runs = self._accepted = self._handovers = None

    # ---- life ----

    def __enter__(self):
        self.load = Load(self.program, self.cluster.addresses(), self.cluster.folder, self.writers, self.keyspace, **self.options)
        return self

    def __exit__(self, *exception):
        self.load.__exit__(*exception)

    @contextlib.contextmanager
    def watch(self, name, settles=True):
        """One step. It ends when every partition has a master, its standbys are in step, and no mastership moves any more."""
        step = Step(name, time.monotonic_ns(), before=self.leads())
        yield step
        if settles:
            self.cluster.await_settled()
            self.await_still()
        time.sleep(QUIET_S)
        step.end, step.after = time.monotonic_ns(), self.leads()
        self.steps.append(step)

    def await_still(self):
        """Until no mastership has moved for a while: a node that came takes its share by one hand-over after the other."""
        leads, since = self.leads(), time.monotonic()
        while time.monotonic() < since + STILL_S:
            time.sleep(LOOK_S)
            now = self.leads()
            if now != leads:
                leads, since = now, time.monotonic()

    def leads(self):
        """{partition: (master, epoch)}"""
        parts = self.cluster.all_parts()
        masters = self.cluster.masters(parts)
        return {p: (name, parts[name][space, p]["epoch"]) for (space, p), name in masters.items() if space == self.keyspace}

    # ---- figures, as of the last refresh() ----

    @property
    def history(self):
        if self._history is None:
            self._history = self.load.history()
        return self._history

    @property
    def runs(self):
        """{partition: [(start, end), ...]}: the acknowledged writes of its writer."""
        if self._runs is None:
            self._runs = {self.writers[key]: run for key, run in self.history.pauses(self.writers).items()}
        return self._runs

    @property
    def accepted(self):
        """{partition: [when a write of it was acknowledged, by whichever client, ...]}, in order."""
        if self._accepted is None:
            count = self.cluster.keyspaces[self.keyspace]["partitions"]
            self._accepted = {partition: [] for partition in range(count)}
            for request in self.history.requests:
                if request.acknowledged:
                    self._accepted[partition_of(request.key, count)].append(request.end)
            for ends in self._accepted.values():
                ends.sort()
        return self._accepted

    @property
    def handovers(self):
        if self._handovers is None:
            self._handovers = Handovers(self.cluster.nodes.values(), self.keyspace)
        return self._handovers

    def refresh(self):
        """The history so far, and the logs."""
        if self.load.process.poll() is None:
            self.load.count()
        self.history.read_on()
        self._runs = self._accepted = self._handovers = None

    def accepted_again_ms(self, step, partition):
        """From the step's start to the first write, of any client, that was accepted after the longest gap that began there."""
        ends = self.accepted[partition]
        gaps = [(after - before, after) for before, after in zip(ends, ends[1:])
                if after > step.start and before < step.start + FELT_NS]
        return (max(gaps)[1] - step.start) / 1e6 if gaps else float("inf")

    def pauses_ms(self, start, end):
        """[(hand-over, its write pause)] of those that began then and met a write: nobody waited for the others, and they would flatter."""
        moved = self.handovers.between(start, end)
        writes = {one.partition: [] for one in moved}
        count = self.cluster.keyspaces[self.keyspace]["partitions"]
        for request in self.history.requests:
            if request.kind in WRITES and request.end >= start:
                writes.get(partition_of(request.key, count), []).append(request)
        pauses = ((one, self.handovers.pause_ms(one, writes[one.partition])) for one in moved)
        return [(one, pause) for one, pause in pauses if pause]

    def writes_ms(self, outside=lambda request: True):
        """Of the writers' writes that the top tells of, from the first step to the last."""
        ports = {node.name: int(node.http.rpartition(":")[2]) for node in self.cluster.nodes.values()}
        moved = {partition: [] for partition in self.writers.values()}
        for one in self.handovers.all:
            moved[one.partition].append(one)
        for request in self.history.requests:
            partition = self.writers.get(request.key)
            if partition is None or not request.acknowledged or request.attempts > 1 or not self._within(request) or \
                    any(one.touches(request.start, request.end) for one in moved[partition]):
                continue
            if request.port == ports.get(self.handovers.leader(partition, request.start)) and outside(request):
                yield (request.end - request.start) / 1e6

    def begun_later_ms(self, most_ms=100):
        """(of the partition, of the others): writers' writes that began after the pause of a hand-over, until most_ms after it."""
        same, others = [], []
        windows = [(one.window()[1], one.led + most_ms * MS, one.partition) for one in self.handovers.between(self.steps[0].start, self.steps[-1].end)]
        for request in self.history.requests:
            for first, last, partition in windows:
                if first < request.start < last and request.key in self.writers and request.acknowledged:
                    (same if self.writers[request.key] == partition else others).append((request.end - request.start) / MS)
        return same, others

    def _within(self, request):
        return self.steps and self.steps[0].start <= request.start and request.end <= self.steps[-1].end

    def quiet_ms(self):
        """Those of them that touch no step."""
        return self.writes_ms(lambda request: not any(request.end >= step.start and request.start <= step.end for step in self.steps))

    def of(self, step):
        """(requests, failed ones, the slowest in ms) of a step."""
        requests = self.history.between(step.start, step.end)
        failed = [r for r in requests if r.bad or r.status == 0]
        return len(requests), failed, max(((r.end - r.start) / 1e6 for r in requests), default=0)

    # ---- the verdict ----

    def last_reads(self, keys):
        """{key: Request}: a strict read of each, by one node after the other."""
        clients = [Client(*_split(address), timeout=60) for address in self.cluster.addresses()]
        reads = {}
        for i, key in enumerate(sorted(keys)):
            reads[key] = self._last_read(clients[i % len(clients)], key)
        for client in clients:
            client.close()
        return reads

    def _last_read(self, client, key):
        start = time.monotonic_ns()
        answer = client.get(f"/v1/{self.keyspace}/{key}")
        if answer.status not in (200, 404):
            raise AssertionError(f"the last read of {key}: {answer}")
        value = answer.json()["by"] if answer.status == 200 else None
        etag = answer.etag.strip('"') if answer.etag else None
        return Request(start, time.monotonic_ns(), "last", "get", key, value, answer.status, etag, 1, 0, 0, 0, "")

    def verdict(self, all_there=True):
        """What is wrong, as texts: writes that are lost, reads that are stale, replicas that differ from the log. Ends the load.
        `all_there`: no node has left, so each partition has its standbys."""
        if self.load.process.poll() is None:
            self.load.stop()
        self.refresh()
        self.cluster.await_settled(all_there)
        complaints = list(self.history.unexplained(self.last_reads(self.history.by_key())))
        return complaints + self.cluster.verify()


def _split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)
