"""forward - scripts/bench forward: what a GET costs when another node has to be asked, beside one that is answered at once.

Two nodes of one loop each and a keyspace of one partition, so one of them leads it all. The same load goes in turn to the leader (local)
and to the other (forwarded); counted is the CPU time of both nodes together. doc/performance.md says how to read it.
"""
import argparse
import os
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from cluster import Cluster  # noqa: E402

GOAL = 0.45
CONNECTIONS = 64
VALUE = b'{"id":"fedcba9876543210","name":"a value under a key","n":67890,"ok":false,"tags":["d","e","f","g"]}'


class Failed(Exception):
    pass


def fill(node, keys):
    """Every key that load.lua asks for."""
    lines = b"".join(b'{"key":"key-%06d","value":%s}\n' % (i, VALUE) for i in range(keys))
    answer = node.ask("POST", "/v1/bench", lines, timeout=120, Content_Type="application/jsonl")
    if answer.body.count(b'"status":20') != keys:
        raise Failed(f"not all keys could be put: {answer}")


def cpu_of(pid):
    """Nanoseconds that the threads of a process have run."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def load(address, seconds, keys):
    """The number of requests that were answered, and the median and 99th percentile of their latencies in microseconds."""
    line = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "-s", os.path.join(ROOT, "tests", "bench", "load.lua"),
            f"http://{address}", "--", "GET", str(keys), "-"]
    told = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    result = next((text.split()[1:] for text in told.splitlines() if text.startswith("bench ")), None)
    if not result or result[4:] != ["0", "0"]:
        raise Failed(f"wrk at {address} says: {told}")
    return int(result[0]), int(result[2]), int(result[3])


def measure(nodes, node, options):
    """Requests per CPU second of all nodes, and the latencies."""
    before = sum(cpu_of(n.worker()) for n in nodes)
    requests, p50, p99 = load(node.http, options.seconds, options.keys)
    return requests * 1e9 / (sum(cpu_of(n.worker()) for n in nodes) - before), p50, p99


def run(cluster, options):
    nodes = list(cluster.nodes.values())
    (leader,) = cluster.await_settled().values()
    here = cluster.nodes[leader]
    there = next(n for n in nodes if n is not here)
    fill(here, options.keys)
    rates = {"local": [], "forwarded": []}
    for number in range(-1, options.rounds):  # the first warms up
        for name, node in (("local", here), ("forwarded", there)):
            rate, p50, p99 = measure(nodes, node, options)
            if number < 0:
                continue
            rates[name].append(rate)
            print(f"{name:10} {rate:9.0f} req/CPU-s  p50 {p50} us  p99 {p99} us", flush=True)
    ratio = statistics.median(f / l for f, l in zip(rates["forwarded"], rates["local"]))
    print(f"forward: ratio {ratio:.2f} (forwarded {statistics.median(rates['forwarded']):.0f} req/CPU-s, local "
          f"{statistics.median(rates['local']):.0f} req/CPU-s), goal {GOAL}: {'met' if ratio >= GOAL else 'missed'}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench forward")
    parser.add_argument("--affinity", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--keys", type=int, default=4096)
    options = parser.parse_args()
    with Cluster(options.affinity, nodes=2, brokers=1, servers=1, config={"mode": "development", "log": {"level": "warn"}},
                 keyspaces={"bench": {"partitions": 1, "replicas": 1}}) as cluster:
        try:
            run(cluster, options)
        except Failed as problem:
            sys.exit(f"bench: {problem}")


if __name__ == "__main__":
    main()
