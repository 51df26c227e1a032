"""scan_slow_test - a million keys streamed to a client that takes 100 KiB a second, while writes go on: nothing may pile up for it.

    scan_slow_test.py AFFINITY

Neither the memory of the node nor the files of its stores may grow by a fifth: no snapshot is held, nothing is gathered ahead. The
client does not read to the end, which would take half an hour; what grows with a pinned page grows at once.
"""
import json
import os
import random
import socket
import sys
import threading
import time
import unittest

from harness import Server
from loader import fill, key_of

KEYS = 1_000_000
VALUE = b'{"id":"fedcba9876543210","name":"a value under a key","n":67890,"ok":false,"tags":["d","e","f","g"]}'
RATE = 100 * 1024
SECONDS = 25  # that the client reads for
WRITES = 300_000  # at most, meanwhile


def processes_of(pid):
    """It and its children."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        children = [int(child) for child in f.read().split()]
    return [pid] + [p for child in children for p in processes_of(child)]


def resident(server):
    """Bytes in memory, of all its processes."""
    total = 0
    for pid in processes_of(server.process.pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            total += sum(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))
    return total


def stored(server):
    """Bytes of the stores on disk."""
    total = 0
    for folder, _, files in os.walk(os.path.join(server.folder, "data", "state")):
        total += sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in files)
    return total


class Stream:
    """A scan, whose head has come."""

    def __init__(self, server, buffer=None):
        self.socket = socket.create_connection((server.host, server.port), timeout=60)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.sendall(b"GET /v1/many HTTP/1.0\r\nHost: x\r\nAccept: application/jsonl\r\n\r\n")
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(1 << 16)
        self.rest = self.rest.partition(b"\r\n\r\n")[2]

    def read(self, size):
        """The lines that came whole with the next bytes; None at the end."""
        data = self.socket.recv(size)
        *lines, self.rest = (self.rest + data).split(b"\n")
        return lines if data else None


def rewrite(server, stop, written):
    """Writes random keys again, until it is told to stop or has done enough."""
    rng = random.Random(1)

    def numbers():
        while not stop.is_set() and written[0] < WRITES:
            written[0] += 1
            yield rng.randrange(KEYS)

    fill(server, "many", numbers(), VALUE, connections=16)


class SlowScan(unittest.TestCase):
    def read_fast(self, server):
        stream, count = Stream(server), 0
        while (lines := stream.read(1 << 20)) is not None:
            count += len(lines)
        stream.socket.close()
        self.assertEqual(count, KEYS, "a scan of all keys at once")

    def read_slowly(self, server):
        """Keys in order, at RATE; how many."""
        stream, count = Stream(server, 16384), 0
        begin = time.monotonic()
        step = RATE // 20
        for i in range(SECONDS * 20):
            for line in stream.read(step):
                self.assertEqual(json.loads(line)["key"], key_of(count))
                count += 1
            time.sleep(max(0, begin + (i + 1) / 20 - time.monotonic()))
        stream.socket.close()
        return count

    def assertSteady(self, what, before, after):
        print(f"{what}: {before / 2**20:.1f} MiB before, {after / 2**20:.1f} MiB after ({after / before - 1:+.1%})")
        self.assertLess(after, before * 1.2, f"{what} grew by a fifth or more")

    def test_nothing_piles_up_for_a_slow_client(self):
        with Server([sys.argv[1], "serve"], keyspaces={"many": {"partitions": 8}}) as server:
            fill(server, "many", range(KEYS), VALUE)
            self.read_fast(server)  # every page of the stores has been looked at
            memory, files = resident(server), stored(server)
            stop, written = threading.Event(), [0]
            writer = threading.Thread(target=rewrite, args=(server, stop, written))
            writer.start()
            try:
                read = self.read_slowly(server)
            finally:
                stop.set()
                writer.join()
            print(f"{read} entries read, {written[0]} writes meanwhile")
            self.assertSteady("memory", memory, resident(server))
            self.assertSteady("stores", files, stored(server))
            self.assertGreater(read, 1000, "hardly anything was read")
            self.assertGreater(written[0], 1000, "hardly anything was written meanwhile")
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
