#!/usr/bin/env python3
"""compaction - topics that are compacted for real, under load, while masters are stopped and leave void records behind.

    compaction.py AFFINITY [--seconds N] [--seed S] [--kafka-version V]

Two nodes as in split_brain.py, on topics whose segments last a second and may be compacted after two. Some keys are deleted
first and never touched again. When enough has happened, and neither these deletes nor most offsets stand in the topic any more:

- the history of every key is explained, as in split_brain.py;
- void records of masters that were stopped had been repaired before they could win;
- a fresh node makes the same state of what is left, and the deleted keys stay deleted on all three.
"""
import argparse
import asyncio
import random
import sys
import tempfile
import time

import ledger
import split_brain
from http1 import Connection
from kafka import Kafka
from nodes import Node
from split_brain import Anomaly, target

LAG_S, RETENTION_S, PARTITIONS = 2, 8, 2
GONE, GONE_S = 100, 120
KEYSPACES = {
    "regs": {"partitions": PARTITIONS, "compaction_lag": f"{LAG_S}s", "tombstone_retention": f"{RETENTION_S}s"},
}
TOPIC = {"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
GONE_KEYS = [f"gone/{i}".encode() for i in range(GONE)]


async def put_and_delete(node):
    connection = Connection(node.host, node.port)
    for method, body in (("PUT", b"1"), ("DELETE", b"")):
        for key in GONE_KEYS:
            answer = await connection.request(method, target(key), body, [("Content-Type", "application/json")])
            if answer.status not in (201, 204):
                raise Anomaly(f"{method} {target(key)}: {answer}")
    connection.close()


async def come_back(node):
    """Which of the deleted keys are there."""
    connection, there = Connection(node.host, node.port), []
    for key in GONE_KEYS:
        answer = await connection.request("GET", target(key), headers=[("Affinity-Consistency", "eventual")])
        if answer.status != 404:
            there.append(f"{key}: {node.name} has it again: {answer}")
    connection.close()
    return there


def wait_until_compacted(bootstrap):
    """Until no record of the deleted keys is left, and most offsets have none. The nodes' barriers make new segments."""
    until = time.monotonic() + GONE_S
    while True:
        topic = ledger.read(bootstrap, "test.regs")
        records, offsets = topic.kept()
        left = sum(entry.key in GONE_KEYS for entry in topic.entries)
        if not left and records < offsets / 2:
            return records, offsets
        if time.monotonic() > until:
            raise Anomaly(f"after {GONE_S} s {records} records of {offsets} offsets are left, {left} of deleted keys")
        time.sleep(2)


def run(arguments, kafka, folder, nodes, rng):
    nodes.extend(Node(arguments.affinity, name, folder, kafka, KEYSPACES, topic=TOPIC) for name in ("a", "b"))
    for node in nodes:
        node.start()
    asyncio.run(put_and_delete(nodes[-1]))
    # ids are remembered for as long as the lag, here for less than a request may take: /outcome tells what is unknown
    history = asyncio.run(split_brain.load(nodes, arguments.seconds, rng, repeats=False, met=lambda: split_brain.repairs(nodes) > 0))
    wrong = split_brain.clean(nodes, history.counts)
    if not history.counts["repairs"]:
        wrong.append("no void record was left behind, so nothing was proven")
    records, offsets = wait_until_compacted(kafka.bootstrap)
    fresh = Node(arguments.affinity, "c", folder, kafka, KEYSPACES, topic=TOPIC)
    nodes.append(fresh)
    fresh.start()
    wrong += split_brain.judge(history, nodes, kafka.bootstrap)
    for node in nodes:
        wrong += asyncio.run(come_back(node))
    history.counts.update({"records after compaction": records, "offsets": offsets})
    return history, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("affinity")
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--kafka-version")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    nodes = []
    with Kafka(version=arguments.kafka_version) as kafka, tempfile.TemporaryDirectory(prefix="affinity-compact.") as folder:
        with split_brain.ended_with_logs(nodes):
            history, wrong = run(arguments, kafka, folder, nodes, random.Random(arguments.seed))
    return split_brain.verdict(history, wrong)


if __name__ == "__main__":
    sys.exit(main())
