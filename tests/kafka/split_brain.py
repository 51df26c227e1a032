#!/usr/bin/env python3
"""split_brain - two nodes that both want to lead, on the same topics, while one or the other is stopped for seconds.

    split_brain.py AFFINITY [--every-fault] [--seconds N] [--seed S] [--kafka-version V] [--history FILE]

Each has a data folder and a coordinator of its own, so that nothing but the log keeps them apart. Mixed requests run on both; now
and then one of them gets a SIGSTOP, most often the one that leads, and finds out later that it does not lead any more. With
--every-fault nodes are also killed -9 and started again, with their data folder or without, and the broker is stopped or killed,
now and then together with a node. In the end:

- the history of every key has an order that explains every answer of either node and keeps to real time (linear.py): nothing
  that was acknowledged is lost, no strict read is stale, what was refused never happened;
- every outcome that was unknown has been settled;
- last writer wins by offset (foreign.py), the records that count (ledger.py), and eventual reads of both nodes are the same, and
  `affinity verify` says so, too.

The last line is the summary. --history keeps every operation as a line of JSON, for another checker.
"""
import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from urllib.parse import quote

import foreign
import ledger
from harness import ServerFailed
from http1 import Connection, Lost, NotSent
from kafka import Kafka
from linear import DELETE, GET, PUT, Op, check
from nodes import Node, dirty

KEYS, WORKERS, PARTITIONS = 128, 8, 4
LEAST_ACKNOWLEDGED = 1000  # by each node; the load goes on for it, but not for ever
LONGER_S = 180
SETTLE_S, QUIET_S = 60, 60


class Anomaly(Exception):
    pass


class History:
    """What was asked and answered, by key, on one clock."""

    def __init__(self):
        self.ops = defaultdict(list)
        self.seen_eventually = set()  # (key, value)
        self.etags = {}  # key: (ETag, value) that some answer told last
        self.counts = Counter()
        self.acknowledged = Counter()  # by node

    def add(self, key, op):
        self.ops[key].append(op)


class Worker:
    def __init__(self, number, node, nodes, history, rng, repeats=True):
        """`repeats`: ids are remembered for long enough, so that what is unknown may be settled by the same request again."""
        self.node, self.nodes, self.history, self.random, self.repeats = node, nodes, history, rng, repeats
        self.name = f"{node.name}/{number}"
        self.connections = {}
        self.made = 0
        self.stopping = False

    async def ask(self, node, method, target, body=b"", headers=()):
        connection = self.connections.get(node.name)
        if not connection or connection.port != node.port:
            connection = self.connections[node.name] = Connection(node.host, node.port)
        return await connection.request(method, target, body, headers)

    async def run(self):
        while not self.stopping:
            key = self.random.choice(KEY_NAMES)
            roll = self.random.random()
            act = self.read if roll < 0.45 else self.read_eventually if roll < 0.50 else self.write
            try:
                served = await act(key)
            except (Lost, NotSent):
                self.history.counts["connections lost"] += 1
                served = False
            if not served:
                await asyncio.sleep(0.05)
        for connection in self.connections.values():
            connection.close()

    # ---- reading ----

    async def read(self, key):
        start = time.monotonic_ns()
        answer = await self.ask(self.node, "GET", target(key))
        if answer.status == 503:
            self.history.counts["reads refused"] += 1
            return False
        if answer.status not in (200, 404):
            raise Anomaly(f"{self.name}: GET {target(key)}: {answer}")
        value = answer.body if answer.status == 200 else None
        self.history.add(key, Op(start, time.monotonic_ns(), GET, value, who=self.name))
        self.history.counts["strict reads"] += 1
        if value is not None:
            self.history.etags[key] = (answer.etag, value)
        return True

    async def read_eventually(self, key):
        answer = await self.ask(self.node, "GET", target(key), headers=[("Affinity-Consistency", "eventual")])
        if answer.status not in (200, 404):
            raise Anomaly(f"{self.name}: eventual GET {target(key)}: {answer}")
        if answer.status == 200:
            self.history.seen_eventually.add((key, answer.body))
        self.history.counts["eventual reads"] += 1
        return True

    # ---- writing ----

    def some_write(self, key):
        """(method, headers, op); the op's end is not known yet."""
        headers, expects, roll = [], (), self.random.random()
        if self.random.random() < 0.5:
            headers.append(("Idempotency-Key", uuid.UUID(int=self.random.getrandbits(128)).hex))
        if roll < 0.15:
            return "DELETE", headers, Op(0, math.inf, DELETE, who=self.name)
        if roll < 0.25:
            headers.append(("If-None-Match", "*"))
            expects = (None,)
        elif roll < 0.40 and key in self.history.etags:
            etag, value = self.history.etags[key]
            headers.append(("If-Match", etag))
            expects = (value,)
        headers.append(("Content-Type", "application/json"))
        self.made += 1
        value = json.dumps({"by": self.name, "number": self.made, "pad": "x" * self.random.choice([0, 50, 1000])}).encode()
        return "PUT", headers, Op(0, math.inf, PUT, value, expects, who=self.name)

    async def write(self, key):
        method, headers, op = self.some_write(key)
        op.start = time.monotonic_ns()
        try:
            answer = await self.ask(self.node, method, target(key), op.value or b"", headers)
        except Lost:
            return await self.unheard(key, method, op, headers)
        if answer.status == 504:
            self.history.counts["unknown"] += 1
            answer = await self.settle(key, method, op, headers, answer)
        return self.answered(key, op, answer)

    async def unheard(self, key, method, op, headers):
        """The connection ended without an answer: a repeat can tell, if it may be repeated."""
        self.history.counts["unheard"] += 1
        if self.may_repeat(headers):
            return self.answered(key, op, await self.settle_by_repeats(key, method, op, headers, time.monotonic() + SETTLE_S))
        self.history.add(key, op)
        return False

    def answered(self, key, op, answer):
        """Adds the write with what its answer says. None: nobody could tell."""
        history = self.history
        if answer is None:
            history.counts["undecided"] += 1
            history.add(key, op)
            return False
        if answer.status == 503:
            if answer.headers.get("affinity-outcome") != "not-applied":
                raise Anomaly(f"{self.name}: {answer}")
            history.counts["not applied"] += 1
            return False
        op.end = time.monotonic_ns()
        if answer.status in (404, 412):
            op.refused = True
            history.counts["conditions refused"] += 1
        elif answer.status in (200, 201, 204):
            if op.kind == PUT and answer.status != 204:
                op.tells = (answer.status == 200,)
            history.acknowledged[self.node.name] += 1
        else:
            raise Anomaly(f"{self.name}: {op}: {answer}")
        history.add(key, op)
        if op.kind == PUT and answer.etag and not op.refused:
            history.etags[key] = (answer.etag, op.value)
        return True

    # ---- unknown outcomes ----

    def may_repeat(self, headers):
        return self.repeats and any(name == "Idempotency-Key" for name, _ in headers)

    async def settle(self, key, method, op, headers, answer):
        """The answer that the write would have had, by either node; None when none tells."""
        request_id = answer.headers.get("affinity-request-id")
        if answer.headers.get("affinity-outcome") != "unknown" or not request_id:
            raise Anomaly(f"{self.name}: {answer}")
        until = time.monotonic() + SETTLE_S
        if self.may_repeat(headers) and self.random.random() < 0.5:
            return await self.settle_by_repeats(key, method, op, headers, until)
        return await self.settle_by_outcome(request_id, until)

    async def settle_by_outcome(self, request_id, until):
        while time.monotonic() < until:
            answer = await self.ask_any("GET", f"/outcome/{request_id}")
            outcome = answer.json().get("outcome") if answer and answer.status == 200 else None
            if outcome in ("committed", "not-applied"):
                self.history.counts["settled by /outcome"] += 1
                return Told(204 if outcome == "committed" else 503)
            await asyncio.sleep(0.05)
        return None

    async def settle_by_repeats(self, key, method, op, headers, until):
        while time.monotonic() < until:
            answer = await self.ask_any(method, target(key), op.value or b"", headers)
            running = answer and answer.status == 409 and b"idempotency-running" in answer.body
            if answer and answer.status not in (503, 504) and not running:
                self.history.counts["settled by a repeat"] += 1
                return answer
            await asyncio.sleep(0.05)
        return None


    async def ask_any(self, *request):
        """Either node; None when it is not there."""
        try:
            return await self.ask(self.random.choice(self.nodes), *request)
        except (Lost, NotSent):
            return None


class Told:
    """What /outcome said, in the form of an answer."""

    etag = None

    def __init__(self, status):
        self.status = status
        self.headers = {"affinity-outcome": "not-applied"} if status == 503 else {}


KEY_NAMES = [f"ключ/{i}".encode() for i in range(KEYS)]


def target(key):
    return f"/v1/regs/{quote(key, safe='')}"


# ---- a run ----


class Faults:
    """Stops a node for seconds, again and again; three times of four the one that writes. With a broker: other faults, too. It goes on
    for longer until `met`, which may block: what the run is about happens by chance."""

    def __init__(self, nodes, history, rng, kafka=None, met=lambda: True):
        self.nodes, self.history, self.random, self.kafka, self.met = nodes, history, rng, kafka, met

    async def run(self, until):
        while True:
            before = Counter(self.history.acknowledged)
            await asyncio.sleep(self.random.uniform(1, 3))
            if time.monotonic() > until and (await self.enough() or time.monotonic() > until + LONGER_S):
                return
            leader = max(self.nodes, key=lambda node: self.history.acknowledged[node.name] - before[node.name])
            victim = leader if self.random.random() < 0.75 else self.random.choice(self.nodes)
            await asyncio.gather(*(self.some(victim) if self.kafka else [self.pause(victim)]))

    async def enough(self):
        written = all(self.history.acknowledged[node.name] >= LEAST_ACKNOWLEDGED for node in self.nodes)
        return written and await asyncio.to_thread(self.met)

    def some(self, victim):
        roll = self.random.random()
        if roll < 0.3:
            return [self.pause(victim)]
        if roll < 0.5:
            return [self.kill(victim)]
        broker = self.pause_broker if roll < 0.8 else self.kill_broker
        return [broker()] if self.random.random() < 0.6 else [broker(), self.pause(victim)]

    async def pause(self, node):
        self.history.counts["nodes paused"] += 1
        node.pause()
        try:
            await asyncio.sleep(self.random.uniform(1, 8))
        finally:
            node.resume()

    async def kill(self, node):
        self.history.counts["nodes killed"] += 1
        node.kill()
        if self.random.random() < 0.5:
            shutil.rmtree(os.path.join(node.server.folder, "data"))
        await asyncio.sleep(self.random.uniform(0, 5))
        await asyncio.to_thread(node.start)

    async def pause_broker(self):
        self.history.counts["brokers paused"] += 1
        self.kafka.pause(1)
        try:
            await asyncio.sleep(self.random.uniform(0.2, 6))
        finally:
            self.kafka.resume(1)

    async def kill_broker(self):
        self.history.counts["brokers killed"] += 1
        await asyncio.to_thread(self.kafka.kill, 1)
        await asyncio.sleep(self.random.uniform(0, 3))
        await asyncio.to_thread(self.kafka.restart, 1)


async def load(nodes, seconds, rng, kafka=None, repeats=True, met=lambda: True):
    """With `kafka` every fault. `repeats`: as a Worker has it. `met`: as Faults have it."""
    history = History()
    workers = [
        Worker(i, node, nodes, history, random.Random(rng.random()), repeats) for node in nodes for i in range(WORKERS)
    ]
    running = [asyncio.ensure_future(worker.run()) for worker in workers]
    faults = asyncio.ensure_future(Faults(nodes, history, rng, kafka, met).run(time.monotonic() + seconds))
    broken = asyncio.gather(*running)
    await asyncio.wait([faults, broken], return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.stopping = True
    await faults
    await broken
    await last_reads(nodes, history)
    return history


async def last_reads(nodes, history):
    """A strict read of every key, by whoever leads."""
    readers = [Worker("last", node, nodes, history, random) for node in nodes]
    until = time.monotonic() + QUIET_S
    for key in KEY_NAMES:
        while not any([await reader.read(key) for reader in readers]):
            if time.monotonic() > until:
                raise Anomaly(f"nobody answers a strict read of {key}")
            await asyncio.sleep(0.1)


async def read_all(node):
    connection = Connection(node.host, node.port)
    state = {}
    for key in KEY_NAMES:
        answer = await connection.request("GET", target(key), headers=[("Affinity-Consistency", "eventual")])
        if answer.status == 200:
            state[key] = answer.body
    connection.close()
    return state


# ---- the verdict ----


def unexplained(history):
    for key, ops in history.ops.items():
        explained, stuck = check(ops)
        if not explained:
            near = sorted((o for o in ops if stuck is None or o.end > stuck.start - 2e9), key=lambda o: o.start)
            story = "\n    ".join(describe(op) for op in near[:40])
            yield f"{key}: no order explains {stuck and describe(stuck)}\n    {story}"


def keep(history, path):
    with open(path, "w", encoding="utf-8") as f:
        for key, ops in history.ops.items():
            for op in ops:
                told = {**vars(op), "key": key, "unknown": op.unknown, "end": None if op.unknown else op.end}
                f.write(json.dumps(told, default=bytes.decode) + "\n")


def describe(op):
    return (f"{op.start / 1e9:.4f}..{op.end / 1e9:.4f} {op.who} {op.kind} {(op.value or b'')[:45]!r} expects={op.expects!r:.60} "
            f"refused={op.refused} tells={op.tells}")


def never_written(history):
    written = {(key, op.value) for key, ops in history.ops.items() for op in ops if op.kind == PUT and not op.refused}
    for key, value in history.seen_eventually - written:
        yield f"{key}: an eventual read saw {value[:60]!r}, which was refused or never written"


def different(what, state, expected):
    for key in sorted(set(state) | set(expected)):
        if state.get(key) != expected.get(key):
            yield f"{key}: {what} has {state.get(key, b'')[:60]!r}, the records that count make {expected.get(key, b'')[:60]!r}"


def clean(nodes, counts):
    """Waits until nothing is dirty any more."""
    until = time.monotonic() + QUIET_S
    while found := {node.name: dirty(node) for node in nodes if dirty(node)}:
        if time.monotonic() > until:
            return [f"keys stay dirty: {found}"]
        time.sleep(0.1)
    counts["repairs"] = repairs(nodes)
    return []


def repairs(nodes):
    return int(sum(node.metric("aff_partition_repairs_total") for node in nodes))


def compare(nodes, bootstrap, counts):
    wrong = clean(nodes, counts)
    topic = ledger.read(bootstrap, "test.regs")
    expected = topic.state()
    counts.update({"records": len(topic.entries), "void records": len(topic.void()), "masterships": topic.masterships()})
    wrong += different("last writer wins", foreign.values(bootstrap, "test.regs"), expected)
    for node in nodes:
        until = time.monotonic() + QUIET_S
        while differences := list(different(node.name, asyncio.run(read_all(node)), expected)):
            if time.monotonic() > until:
                wrong += differences
                break
            time.sleep(0.2)
    return wrong + [said for node in nodes if (said := node.verify())]


def judge(history, nodes, bootstrap):
    wrong = compare(nodes, bootstrap, history.counts)
    wrong += unexplained(history)
    wrong += never_written(history)
    for name in ("a", "b"):
        history.counts[f"acknowledged by {name}"] = history.acknowledged[name]
        if history.acknowledged[name] < LEAST_ACKNOWLEDGED:
            wrong.append(f"{name} acknowledged {history.acknowledged[name]}, too few to tell")
    if history.counts["undecided"]:
        wrong.append(f"{history.counts['undecided']} outcomes stayed unknown")
    if history.counts["connections lost"] and not history.counts["nodes killed"]:
        wrong.append(f"{history.counts['connections lost']} connections were lost")
    return wrong


@contextlib.contextmanager
def ended_with_logs(nodes):
    """Kills the nodes at the end; when what runs in it fails, their logs are shown."""
    try:
        yield
    except (Anomaly, Lost, NotSent, ServerFailed) as failure:
        for node in nodes:
            print(f"---- {node.name} ----\n{node.server.log()[-4000:]}")
        raise SystemExit(f"{type(failure).__name__}: {failure}") from failure
    finally:
        for node in nodes:
            node.kill()


def verdict(history, wrong):
    """Prints it, with the summary as the last line. The status to end with."""
    for one in wrong[:10]:
        print(one)
    print(" ".join(f"{k}={v}" for k, v in history.counts.items()) + f" anomalies={len(wrong)}")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("affinity")
    parser.add_argument("--every-fault", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--kafka-version")
    parser.add_argument("--history")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    with Kafka(version=arguments.kafka_version) as kafka, tempfile.TemporaryDirectory(prefix="affinity-split.") as folder:
        nodes = [Node(arguments.affinity, name, folder, kafka, {"regs": {"partitions": PARTITIONS}}) for name in ("a", "b")]
        with ended_with_logs(nodes):
            for node in nodes:
                node.start()
            history = asyncio.run(load(nodes, arguments.seconds, rng, kafka if arguments.every_fault else None))
            if arguments.history:
                keep(history, arguments.history)
            wrong = judge(history, nodes, kafka.bootstrap)
    return verdict(history, wrong)


if __name__ == "__main__":
    sys.exit(main())
