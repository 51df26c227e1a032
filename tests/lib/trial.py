"""trial - a cluster under load, what it did to the clients, and the verdict: was an acknowledged write lost, was a read stale?

    with Trial(cluster, program, rate=400) as trial:
        with trial.watch() as step:             # until the cluster is settled again
            cluster.nodes["n1"].stop()
        print(step.requests, step.failed, step.moved, trial.pauses(step))
    complaints = trial.verdict()                # [] when all is well

A pause of a partition's writes is how long its writer (a client that writes one key of it all the time) waited for the answer
that took longest, with all its repeats. Its produce latency is the same of the writes in quiet times.
"""
import contextlib
import time
from dataclasses import dataclass, field

from harness import Client
from traffic import Load, Request, percentile, writer_keys

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
        self.load = self._history = self._runs = None

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

    # ---- figures; all of them after the end, or after load.count() ----

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

    def refresh(self):
        """The history so far."""
        self.load.count()
        self._history = self._runs = None

    def pause_ms(self, step, partition):
        """The longest wait for an answer that touches the step."""
        touching = (end - start for start, end in self.runs[partition] if end >= step.start and start <= step.end)
        return max(touching, default=0) / 1e6

    def pauses_ms(self, step):
        """Of the partitions whose mastership moved in it."""
        return [self.pause_ms(step, partition) for partition in step.moved()]

    def accepted_again_ms(self, step, partition):
        """From the step's start to the first write that was accepted after the longest gap that began there."""
        ends = [end for _, end in self.runs[partition]]
        gaps = [(after - before, after) for before, after in zip(ends, ends[1:])
                if after > step.start and before < step.start + FELT_NS]
        return (max(gaps)[1] - step.start) / 1e6 if gaps else float("inf")

    def latencies_ms(self):
        """Of the writers' writes in quiet times: those that touch no step."""
        for run in self.runs.values():
            for start, end in run:
                if not any(end >= step.start and start <= step.end for step in self.steps):
                    yield (end - start) / 1e6

    def produce_ms(self):
        """(p50, p99)"""
        latencies = list(self.latencies_ms())
        return percentile(latencies, 50), percentile(latencies, 99)

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
        self._history = self._runs = None
        self.cluster.await_settled(all_there)
        complaints = list(self.history.unexplained(self.last_reads(self.history.by_key())))
        return complaints + self.cluster.verify()


def _split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)
