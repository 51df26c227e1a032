"""scan - scripts/bench scan: how fast a keyspace is streamed, beside the least that it could cost.

Measured in turn, in rounds, over the same files:

    affinity     one loop; GET /v1/bench with Accept: application/jsonl
    scan_lmdb    scan_lmdb.c: cursors of LMDB, merged, the same lines written to a socket

The client reads and throws away; the first time it compares what both sent. doc/performance.md says how to read the table.
"""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from harness import Server, ServerFailed  # noqa: E402
from loader import fill  # noqa: E402

GOAL = 0.60
PARTITIONS = 8
VALUE = b'{"id":"fedcba9876543210","name":"a value under a key","n":67890,"ok":false,"tags":["d","e","f","g"]}'


class Failed(Exception):
    pass


def cpu_of(pid):
    """Nanoseconds that the threads of a process and its children have run."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
            total += sum(cpu_of(int(child)) for child in f.read().split())
    return total


def stream(port, keep=False):
    """Reads a whole answer; its bytes when they are to be kept."""
    kept = []
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET /v1/bench HTTP/1.1\r\nHost: x\r\nAccept: application/jsonl\r\nConnection: close\r\n\r\n")
        while got := client.recv_into(buffer):
            if keep:
                kept.append(bytes(buffer[:got]))
    return b"".join(kept)


def lines_of(answer):
    """The lines of a kept answer, without the chunks around them."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return body
    text, at = [], 0
    while size := int(body[at : (end := body.index(b"\r\n", at))], 16):
        text.append(body[end + 2 : end + 2 + size])
        at = end + 4 + size
    return b"".join(text)


def measure(name, port, pid, keys):
    cpu, begin = cpu_of(pid), time.monotonic()
    stream(port)
    seconds = time.monotonic() - begin
    return name, keys / seconds, (cpu_of(pid) - cpu) / keys


def identities(lines):
    """The eight digits of each partition."""
    found = {}
    for identity, partition in re.findall(rb'\\"([0-9a-f]{8})-(\d+)-\d+\\"', lines):
        found[int(partition)] = identity.decode()
    if len(found) != PARTITIONS:
        raise Failed("too few keys: some partitions have none")
    return [found[p] for p in range(PARTITIONS)]


def start_plain(program, server, lines):
    folder = os.path.join(server.folder, "data", "state", "bench")
    plain = subprocess.Popen([program, folder, *identities(lines)], stdout=subprocess.PIPE)
    ready = plain.stdout.readline()
    if not ready:
        plain.wait()
        raise Failed("scan_lmdb did not start")
    return plain, int(json.loads(ready)["http"][0].rsplit(":", 1)[1])


def report(rows):
    print(f"{'program':12} {'lines/CPU-s':>12} {'CPU ns a line':>14} {'[min':>6} {'max]':>6} {'lines/s':>10}")
    cost, rate = {}, {}
    for name in ("affinity", "scan_lmdb"):
        costs = [c for n, _, c in rows if n == name]
        cost[name] = statistics.median(costs)
        rate[name] = statistics.median(r for n, r, _ in rows if n == name)
        print(
            f"{name:12} {1e9 / cost[name]:12.0f} {cost[name]:14.0f} {min(costs):6.0f} {max(costs):6.0f} "
            f"{rate[name]:10.0f}"
        )
    ratio = cost["scan_lmdb"] / cost["affinity"]
    print(f"by the clock, whatever else ran: {rate['affinity'] / rate['scan_lmdb']:.2f}")
    print(
        f"scan: ratio {ratio:.2f}, goal {GOAL:.2f}: {'met' if ratio >= GOAL else 'missed'} "
        f"(affinity {1e9 / cost['affinity']:.0f} lines/CPU-s, scan_lmdb {1e9 / cost['scan_lmdb']:.0f} lines/CPU-s)"
    )


def run(options, folder):
    config = {"node": {"name": "n1", "data": os.path.join(folder, "data"), "loops": 1}, "log": {"level": "warn"}}
    command = [options.affinity, "serve"]
    spaces = {"bench": {"partitions": PARTITIONS}}
    with Server(command, keyspaces=spaces, config=config, folder=folder, sets=options.set) as server:
        fill(server, "bench", range(options.keys), VALUE)
        ours = lines_of(stream(server.port, keep=True))
        plain, port = start_plain(options.plain, server, ours)
        try:
            if lines_of(stream(port, keep=True)) != ours:
                raise Failed("the two programs did not send the same lines")
            programs = [("affinity", server.port, server.process.pid), ("scan_lmdb", port, plain.pid)]
            rows = [measure(*program, options.keys) for _ in range(options.rounds) for program in programs]
        finally:
            plain.kill()
            plain.wait()
    report(rows)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench scan")
    parser.add_argument("--affinity", required=True)
    parser.add_argument("--plain", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--keys", type=int, default=300_000)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    parent = os.environ.get("TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory(prefix="affinity-bench.", dir=parent) as folder:
        try:
            run(options, folder)
        except (Failed, ServerFailed) as e:
            sys.exit(f"bench: {e}")


if __name__ == "__main__":
    main()
