#!/usr/bin/env python3
"""broker_kills - a broker is killed -9 under load and started again, many times, and the node has to live with it.

    broker_kills.py BANK [--kills N] [--brokers N] [--seed S] [--kafka-version V] [--verbose]

The load and its checks are those of the crash suite: what was acknowledged is there, what was refused is not, what was unknown is
settled by /outcome or by a repeat under its Idempotency-Key, and done once. After each kill the node must acknowledge again by
itself. In the end its data folder is removed, and everything is checked once more on what the topics alone have.

A broker that was killed keeps what it had accepted, in the page cache: one broker of one replica loses nothing then. With
three, two of which must have a write, one at a time is killed, and writing goes on without it.
"""
import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time

from crash import KEYSPACES
from harness import Server, ServerFailed
from http1 import Lost, NotSent
from kafka import Kafka
from load import Load
from model import Counts, Violation, World

WORKERS, REGISTERS, ACCOUNTS = 24, 240, 24
RECOVERY_S = 60


class Suite:
    def __init__(self, arguments, kafka, folder):
        self.arguments, self.kafka = arguments, kafka
        self.random = random.Random(arguments.seed)
        self.counts, self.world = Counts(), World(REGISTERS, ACCOUNTS)
        self.longest = 0
        self.server = Server([arguments.bank], KEYSPACES, {
            "mode": "development",
            "node": {"name": "n1", "data": os.path.join(folder, "data"), "loops": 2},
            "changelog": "kafka",
            "kafka": {"bootstrap.servers": kafka.bootstrap},
            "limits": {"exchange_timeout": "3s"},
        }, folder=folder)

    def load(self):
        return Load(self.server, self.world, self.counts, self.random)

    async def live(self):
        load = self.load()
        running = asyncio.ensure_future(load.run(WORKERS))
        try:
            for _ in range(self.arguments.kills):
                await asyncio.sleep(self.random.uniform(0.2, 2))
                broker = self.random.randint(1, self.arguments.brokers)
                await asyncio.to_thread(self.kafka.kill, broker)
                if self.arguments.brokers > 1:
                    await self.recovered(running)
                await asyncio.sleep(self.random.uniform(0, 4))
                await asyncio.to_thread(self.kafka.restart, broker)
                await self.recovered(running)
                await asyncio.to_thread(self.in_sync)
                self.counts.rounds += 1
                if self.arguments.verbose:
                    print(f"kill {self.counts.rounds}: {self.counts.line()}", flush=True)
        finally:
            load.stopping = True
        await running
        await load.check(16)

    def in_sync(self):
        for keyspace in KEYSPACES:
            self.kafka.await_in_sync(f"test.{keyspace}")

    async def recovered(self, running):
        begun, before = time.monotonic(), self.counts.acknowledged
        while self.counts.acknowledged < before + 100:
            if running.done() or self.counts.violations:
                raise Violation("lost", "the load has ended")
            if time.monotonic() > begun + RECOVERY_S:
                raise Violation("lost", f"nothing is acknowledged {RECOVERY_S} s later")
            await asyncio.sleep(0.05)
        self.longest = max(self.longest, time.monotonic() - begun)

    def metric(self, name):
        lines = self.server.client().get("/metrics").body.decode().splitlines()
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def run(self):
        self.server.start()
        asyncio.run(self.live())
        rebuilt = self.metric("aff_changelog_producers_rebuilt_total")
        repairs = self.metric("aff_partition_repairs_total")
        self.server.kill()
        shutil.rmtree(os.path.join(self.server.folder, "data"))
        self.server.start()
        asyncio.run(self.load().check(16))
        return rebuilt, repairs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--kafka-version")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    rebuilt = repairs = -1
    folders = tempfile.TemporaryDirectory(prefix="affinity-kills.")
    with Kafka(arguments.brokers, arguments.kafka_version) as kafka, folders as folder:
        suite = Suite(arguments, kafka, folder)
        try:
            rebuilt, repairs = suite.run()
        except Violation as violation:
            suite.counts.violations.append(violation)
        except (Lost, NotSent, ServerFailed) as failure:
            suite.counts.violations.append(Violation("lost", f"the node: {failure}"))
        finally:
            suite.server.kill()
        if suite.counts.violations:
            print(f"---- log of the node ----\n{suite.server.log()[-8000:]}")
    for violation in suite.counts.violations[:10]:
        print(violation)
    print(f"{suite.counts.line()} unsettled={suite.world.unsettled()} producers-rebuilt={rebuilt} repairs={repairs} "
          f"longest-recovery={suite.longest:.1f}s")
    return 1 if suite.counts.violations or suite.world.unsettled() else 0


if __name__ == "__main__":
    sys.exit(main())
