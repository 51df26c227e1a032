#!/usr/bin/env python3
"""crash - kills a server in the middle of its work, again and again on one data folder, and checks what it kept.

    crash.py BANK --rounds N [--power-loss LIBRARY | --kafka [--kafka-version V]] [--seed S] [--expect-broken]

BANK is the program of example/bank: its accounts, and the keyspaces `regs` and `short` of this suite's configuration. In each
round it is started, everything that is known is checked, unknown outcomes are settled, and mixed requests run on a few dozen
connections until it is killed: at a random moment, at a named fault point, or after a while of a disk that does not answer.
Now and then it is stopped properly, or the stores are removed and rebuilt from the log. With --power-loss each kill is
followed by the loss of what was not synced (powerloss.py), and by another boot id. With --kafka the log is a real Kafka of one
broker; there is no disk to fail then, and it is the broker that does not answer for a while.

The last line is the summary. With --expect-broken the status is 0 when a violation was found, or the server itself noticed
that its log has lost something, as it must be for a build that does not sync or that acknowledges too early. The stores are
removed each round then, so that a lost log cannot hide behind them.
"""
import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass

from harness import Server, ServerFailed
from http1 import Lost, NotSent
from kafka import Kafka
from load import Load
from model import Counts, Violation, World
from powerloss import Loss

WORKERS = 32
END_S = 60  # for a server that was killed, or that ends by itself, to be gone
REGISTERS, ACCOUNTS = 384, 40

KEYSPACES = {
    "accounts": {"partitions": 2},
    "transactions": {"partitions": 1},
    "regs": {"partitions": 3},
    "short": {"partitions": 2, "compaction_lag": "300ms"},
}

# Where it may be killed, and the most passes before; doc/faults.md says what they are.
KILL_POINTS = {
    "changelog.before-write": 200,
    "changelog.after-write": 200,
    "changelog.after-sync": 200,
    "changelog.after-segment-create": 3,
    "changelog.before-rename": 2,
    "changelog.after-rename": 2,
    "partition.before-append": 800,
    "partition.before-report": 400,
    "partition.before-commit": 400,
    "partition.after-commit": 400,
}
SLOW_POINTS = ["changelog.before-write", "changelog.after-write"]
SYNC_ERROR, NO_SPACE = "changelog.sync-error", "changelog.nospace"


@dataclass
class Plan:
    """How a round ends."""

    faults: str | None = None  # of the server
    timeout: str = "30s"  # its exchange timeout
    seconds: float = 1.0  # of load
    by_signal: bool = False
    pause: float = 0  # seconds in which the broker does not answer, in the middle of the load

    def __str__(self):
        how = self.faults or ("SIGTERM" if self.by_signal else "kill")
        return f"{how} after {self.seconds:.2f} s" + (f", broker paused for {self.pause:.2f} s" if self.pause else "")


class EmbeddedLog:
    """The log is files of the server."""

    config = {"embedded": {"segment": "256KiB", "compaction_interval": "200ms"}}

    @staticmethod
    def plan(rng):
        roll = rng.random()
        if roll < 0.45:
            return Plan(some_point(rng, KILL_POINTS))
        if roll < 0.55:
            point = rng.choice(SLOW_POINTS)
            return Plan(f"{point}=sleep:700@{rng.randint(1, 30)}", "300ms", rng.uniform(0.2, 1.5))
        if roll < 0.60:
            return Plan(f"{SYNC_ERROR}=error@{rng.randint(1, 200)}")
        if roll < 0.65:
            return Plan(f"{NO_SPACE}=error@{rng.randint(1, 3)}+")
        return Plan(seconds=rng.uniform(0.01, 0.8), by_signal=roll > 0.95)


class KafkaLog:
    """The log is topics of a broker, so only what is above it fails; and the broker pauses."""

    def __init__(self, kafka):
        self.kafka = kafka
        self.config = {"changelog": "kafka", "kafka": {"bootstrap.servers": kafka.bootstrap}}

    @staticmethod
    def plan(rng):
        roll = rng.random()
        if roll < 0.45:
            return Plan(some_point(rng, {p: n for p, n in KILL_POINTS.items() if p.startswith("partition.")}))
        if roll < 0.60:
            return Plan(None, "300ms", rng.uniform(0.2, 1.5), pause=rng.uniform(0.1, 1.2))
        return Plan(seconds=rng.uniform(0.01, 0.8), by_signal=roll > 0.95)

    async def pause(self, seconds):
        self.kafka.pause(1)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.kafka.resume(1)


def some_point(rng, points):
    point = rng.choice(list(points))
    return f"{point}=kill@{rng.randint(1, points[point])}"


class Suite:
    def __init__(self, arguments, log):
        self.arguments, self.log = arguments, log
        self.random = random.Random(arguments.seed)
        self.counts = Counts()
        self.folder = tempfile.mkdtemp(prefix="affinity-crash.")
        self.disk = os.path.join(self.folder, "disk")
        self.journal = os.path.join(self.folder, "journal")
        self.boot_id = os.path.join(self.folder, "boot_id")
        os.mkdir(self.disk)
        self.new_boot()
        self.world = World(REGISTERS, ACCOUNTS)

    def new_boot(self):
        with open(self.boot_id, "w", encoding="utf-8") as f:
            f.write(f"{uuid.UUID(int=self.random.getrandbits(128))}\n")

    def server(self, faults, timeout="30s"):
        env = {}
        if self.arguments.power_loss:
            env = {
                "LD_PRELOAD": self.arguments.power_loss,
                "POWERLOSS_ROOT": self.disk,
                "POWERLOSS_JOURNAL": self.journal,
                "POWERLOSS_BOOT_ID": self.boot_id,
            }
        config = {
            "mode": "development",  # for the short lag of one keyspace
            "node": {"name": "n1", "data": os.path.join(self.disk, "data"), "loops": 2},
            "limits": {"exchange_timeout": timeout},
            **self.log.config,
        }
        return Server([self.arguments.bank], KEYSPACES, config, folder=self.folder, faults=faults, env=env)

    # ---- rounds ----

    def round(self):
        plan = self.log.plan(self.random)
        server = self.server(plan.faults, plan.timeout)
        what = f"round {self.counts.rounds + 1}: {plan}"
        try:
            asyncio.run(self.live(server, plan))
        finally:
            server.kill()
        self.counts.rounds += 1
        if self.arguments.power_loss:
            loss = Loss(self.disk, self.journal, self.random.getrandbits(32))
            if not loss.ops:
                raise SystemExit(f"{self.arguments.power_loss} saw nothing of what the server did")
            loss.strike()
            self.new_boot()
            what += f", {loss.kept} unsynced changes kept, {loss.lost} lost"
        if self.arguments.expect_broken or self.random.random() < 0.15:
            shutil.rmtree(os.path.join(self.disk, "data", "state"), ignore_errors=True)
            what += ", stores removed"
        if self.arguments.verbose:
            print(what, flush=True)
        return what

    async def live(self, server, plan):
        if not self.start(server):
            return  # the fault point came while it started
        load = Load(server, self.world, self.counts, self.random)
        try:
            await load.check(16)
        except (Lost, NotSent) as lost:
            if not self.died_of_fault(server):
                raise ServerFailed(f"{plan}: a connection ended while it was checked ({lost}); {self.state(server)}\n"
                                   f"{server.log()[-4000:]}") from lost
            return  # the fault point came while it was checked
        if self.counts.violations:
            return
        running = asyncio.ensure_future(load.run(WORKERS))
        pausing = asyncio.ensure_future(self.log.pause(plan.pause)) if plan.pause else None
        done, _ = await asyncio.wait([running], timeout=plan.seconds)
        if plan.by_signal and not done:
            status = await asyncio.to_thread(server.stop)
            if status != 0:
                raise ServerFailed(f"ended with status {status} after SIGTERM:\n{server.log()[-4000:]}")
        server.kill()
        load.stopping = True
        await running
        if pausing:
            await pausing

    def start(self, server):
        """False: its fault point came while it started."""
        try:
            server.start()
            return True
        except ServerFailed:
            if not self.died_of_fault(server):
                raise
            return False

    @staticmethod
    def died_of_fault(server):
        """Killed, or ended by itself when a sync failed."""
        if server.faults is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            return server.process.wait(END_S) in (-signal.SIGKILL, -signal.SIGABRT)
        return False

    @staticmethod
    def state(server):
        """Of its process; one that has closed a connection may take a moment to be gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f"the server ended with status {server.process.wait(END_S)}"
        return "the server runs"

    def run(self):
        """True when something was violated."""
        history = []
        while self.counts.rounds < self.arguments.rounds and not self.counts.violations:
            history.append(self.round())
        if not self.counts.violations:
            self.last_check()
        for violation in self.counts.violations[:10]:
            print(violation)
        if self.counts.violations:
            print("the last rounds:\n  " + "\n  ".join(history[-3:]))
        return bool(self.counts.violations)

    def last_check(self):
        server = self.server(None)
        try:
            server.start()
            asyncio.run(Load(server, self.world, self.counts, self.random).check(16))
        finally:
            server.kill()

    def keep(self):
        print(f"the folder is kept: {self.folder}")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--power-loss", metavar="LIBRARY", type=os.path.abspath)
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--kafka-version")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--expect-broken", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().getrandbits(32)
    print(f"seed {arguments.seed}")
    with log_of(arguments) as log:
        return check(Suite(arguments, log))


@contextlib.contextmanager
def log_of(arguments):
    if not arguments.kafka:
        yield EmbeddedLog()
        return
    with Kafka(version=arguments.kafka_version) as kafka:
        yield KafkaLog(kafka)


def check(suite):
    arguments = suite.arguments
    try:
        broken = suite.run()
    except ServerFailed as failure:
        print(failure)
        broken = "damaged" in str(failure) or not arguments.expect_broken
        suite.counts.violations.append(Violation("lost", "the log"))
    print(suite.counts.line())
    if broken and not arguments.expect_broken:
        suite.keep()
    else:
        suite.remove()
    return 0 if broken == arguments.expect_broken else 1


if __name__ == "__main__":
    sys.exit(main())
