"""traffic - the load client (tests/load) as a process, and what its history says.

    with Load(program, addresses, folder, writers={key: partition}) as load:   # begins at once
        ...                                     # faults
        load.nodes(other_addresses)
        print(load.count())                     # so far
    history = load.history()                    # after the end; history.read_on() for one that is taken before
    history.failed()                            # requests with an answer 5xx, none in time, or a broken one
    history.unexplained(last_reads)             # what no order of the operations explains: lost, stale, or not refused

Every time is one of time.monotonic_ns().
"""
import collections
import math
import os
import subprocess
from dataclasses import dataclass

import linear

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WRITES = {"put": linear.PUT, "patch": linear.PUT, "delete": linear.DELETE}


@dataclass
class Request:
    start: int
    end: int
    worker: str
    kind: str
    key: str
    value: str | None
    status: int  # 0: unknown
    etag: str | None
    attempts: int
    refused: int
    lost: int
    bad: int
    what: str
    port: int = 0  # of the node that was asked last

    @property
    def acknowledged(self):
        return self.kind in WRITES and self.status in (200, 201, 204)

    def __str__(self):
        return (f"{self.start / 1e9:.4f} +{(self.end - self.start) / 1e6:.1f} ms {self.worker} {self.kind} {self.key}={self.value} "
                f"{self.status} attempts={self.attempts} refused={self.refused} lost={self.lost} {self.what}")


class History:
    def __init__(self, path):
        self.path, self.at, self.requests = path, 0, []
        self.read_on()

    def read_on(self):
        """What was written since."""
        with open(self.path, "rb") as f:
            f.seek(self.at)
            text = f.read()
        whole = text[:text.rfind(b"\n") + 1]  # the last one may be under way
        self.at += len(whole)
        self.requests += [_request(line) for line in whole.decode(errors="replace").split("\n")[:-1]]

    def failed(self):
        return [r for r in self.requests if r.bad or r.status == 0]

    def between(self, start, end):
        """Those that ended then."""
        return [r for r in self.requests if start <= r.end < end]

    def by_key(self):
        keys = collections.defaultdict(list)
        for request in self.requests:
            if request.kind != "scan":
                keys[request.key].append(request)
        return keys

    def acknowledged(self):
        return sum(r.acknowledged for r in self.requests)

    def unexplained(self, last_reads):
        """Of every key: is there an order that explains every answer and keeps to real time? `last_reads`: {key: Request}, strict
        reads after the end, one for each key. Yields texts."""
        for key, requests in self.by_key().items():
            last = last_reads[key]
            yield from _values_wrong(key, requests + [last])
            explained, stuck = linear.check([_op(r) for r in requests + [last] if _counts(r)])
            if not explained:
                near = sorted((r for r in requests if not stuck or r.end > stuck.start - 2e9), key=lambda r: r.start)
                story = "\n    ".join(str(r) for r in near[:30])
                yield f"{key}: no order explains {stuck}; the last read saw {last.value}\n    {story}"

    def pauses(self, writers):
        """{key: [(start, end), ...]} of the writes of the writers, in order; a writer has one under way at a time."""
        runs = {key: [] for key in writers}
        for request in self.requests:
            if request.key in runs and request.acknowledged:
                runs[request.key].append((request.start, request.end))
        return runs


def _request(line):
    words = line.split("\t")
    value, etag = (None if word == "-" else word for word in (words[5], words[7]))
    return Request(int(words[0]), int(words[1]), words[2], words[3], words[4], value, int(words[6]), etag,
                   *(int(word) for word in words[8:12]), words[12], int(words[13]))


def _counts(request):
    """Whether it says anything about the key; a read without an answer does not."""
    return request.kind in WRITES or request.status in (200, 404)


def _op(request):
    end = math.inf if request.status == 0 else request.end
    if request.kind == "get":
        return linear.Op(request.start, request.end, linear.GET, request.value, who=request.worker)
    op = linear.Op(request.start, end, WRITES[request.kind], request.value, who=request.worker)
    if request.status == 404:
        op.refused = True
    elif request.status == 503:  # it said so itself: it never happened, which is an expectation that never holds
        op.refused, op.expects = True, (object(),)
    elif request.status in (200, 201) and op.kind == linear.PUT:
        op.tells = (request.status == 200,)
    return op


def _values_wrong(key, requests):
    """A value has one ETag, whoever tells it."""
    etags = {}
    for request in requests:
        if request.status in (200, 201) and request.value and request.etag:
            known = etags.setdefault(request.value, request.etag)
            if known != request.etag:
                yield f"{key}: the ETag of {request.value} was {known} and then {request.etag}: {request}"


def percentile(values, p):
    """The nearest rank; NaN of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(p / 100 * len(ranked)) - 1)] if ranked else math.nan


class Load:
    """`writers`: {key: partition}. `options`: of the client, as {"rate": 500, "gives-up": True}."""

    def __init__(self, program, addresses, folder, writers=(), keyspace="accounts", **options):
        self.path = os.path.join(folder, "history")
        line = [program, "--history", self.path, "--nodes", ",".join(addresses), "--keyspace", keyspace]
        if writers:
            line += ["--writers", ",".join(writers)]
        for name, value in options.items():
            line += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        self.writers = dict(writers)
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def nodes(self, addresses):
        self._tell("nodes " + ",".join(addresses))

    def rate(self, requests_a_second):
        self._tell(f"rate {requests_a_second}")

    def count(self):
        """{"requests": N, "failed": N, "repeated": N}"""
        self._tell("count")
        return _counts_of(self.process.stdout.readline())

    def stop(self):
        """Every worker finishes what it has. Returns what count() does."""
        said, _ = self.process.communicate("stop\n" if self.process.poll() is None else None)
        if self.process.returncode != 0:
            raise RuntimeError(f"the load client ended with status {self.process.returncode}")
        return _counts_of(said.splitlines()[-1])

    def history(self):
        return History(self.path)

    def _tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0]:
            self.process.kill()
            self.process.communicate()
        elif self.process.poll() is None:
            self.stop()


def _counts_of(line):
    return {name: int(value) for name, value in (word.split("=") for word in line.split())}


def build(folder):
    """Compiles the client, for who has no build with the tests. Returns its path."""
    sources = [os.path.join(ROOT, "tests", "load", name) for name in ("main.c", "worker.c", "http.c")]
    program = os.path.join(folder, "load")
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-pthread", "-o", program, *sources], check=True)
    return program


def partition_of(key, partitions):
    """Kafka's default partitioner, as doc/protocol.md has it; for choosing keys only."""
    data, mask, multiplier = key.encode(), 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * multiplier & mask
        k = (k ^ k >> 24) * multiplier & mask
        h = (h * multiplier & mask) ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    h = (h ^ h >> 13) * multiplier & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def writer_keys(partitions):
    """{key: partition}: one key for each partition."""
    keys, number = {}, 0
    while len(keys) < partitions:
        partition = partition_of(f"writer{number}", partitions)
        if partition not in keys.values():
            keys[f"writer{number}"] = partition
        number += 1
    return keys
