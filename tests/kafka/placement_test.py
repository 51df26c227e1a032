"""placement_test - a key is in the partition where Kafka's Java client puts it: by its function, and by its producer.

    placement_test.py AFFINITY
"""
import random
import subprocess
import sys
import unittest

import foreign
import java
from kafka import Kafka

KEYS, SEED = 10_000, 4711
COUNTS = [1, 2, 3, 8, 9, 97, 256, 1000, 4096]

# Hashes as Java prints them, and partitions: of other people's tests.
HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"": 275646681,
}
PARTITIONS = [(b"test-value-for-partitioner", 4, 3), (b"\0\0\0\0\x06\x2c6290853012217500191217", 9, 4)]


def random_keys(count, seed):
    """Of 1 to 511 bytes: text, and any bytes but a zero in front."""
    source = random.Random(seed)
    for i in range(count):
        length = source.choice([source.randint(1, 511), source.randint(1, 16)])
        if i % 2:
            yield "".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789-_/äß漢", k=length)).encode()[:511]
        else:
            yield bytes([source.randint(1, 255)]) + source.randbytes(length - 1)


def in_hex(keys):
    return "".join(f"{key.hex()}\n" for key in keys).encode()


def affinity_places(keys, count):
    """[(hash, partition)] by `affinity partition`."""
    line = [AFFINITY, "partition", "--stdin", "--hex", "--partitions", str(count)]
    printed = subprocess.run(line, input=in_hex(keys), stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    fields = [dict(field.split("=") for field in line.split()) for line in printed]
    return [(int(f["hash"], 16), int(f["partition"])) for f in fields]


def java_places(keys, counts):
    """[[hash, partition...]] by Kafka's client."""
    rows = [line.split() for line in java.run("Placement.java", *counts, stdin=in_hex(keys))]
    return [[int(row[0], 16), *map(int, row[1:])] for row in rows]


class PlacementTest(unittest.TestCase):
    def test_random_keys_are_placed_as_kafka_places_them(self):
        keys = list(random_keys(KEYS, SEED))
        theirs = java_places(keys, COUNTS)
        self.assertEqual(len(theirs), KEYS)
        for i, count in enumerate(COUNTS):
            ours = affinity_places(keys, count)
            self.assertEqual(len(ours), KEYS)
            for key, (our_hash, our_partition), their in zip(keys, ours, theirs):
                self.assertEqual((our_hash, our_partition), (their[0], their[1 + i]), f"{key.hex()} of {count}")
        print(f"{KEYS:,} keys, {len(COUNTS)} counts of partitions: all equal")

    def test_known_keys(self):
        for (key, expected), row in zip(HASHES.items(), java_places(HASHES, [8])):
            self.assertEqual(row[0], expected & 0xFFFFFFFF, key)
            if key:  # which a keyspace takes
                self.assertEqual(affinity_places([key], 8), [tuple(row)], key)
        for key, count, expected in PARTITIONS:
            self.assertEqual(java_places([key], [count])[0][1], expected, key)
            if key[0]:
                self.assertEqual(affinity_places([key], count)[0][1], expected, key)

    def test_a_java_producer_writes_where_affinity_looks(self):
        keys = list(dict.fromkeys(random_keys(2000, SEED + 1)))
        with Kafka() as kafka:
            java.run("Produce.java", kafka.bootstrap, "theirs", 8, stdin=in_hex(keys))
            found = {record.key: record for record in foreign.records(kafka.bootstrap, "theirs")}
        self.assertEqual(set(found), set(keys))
        for i, (key, (_, partition)) in enumerate(zip(keys, affinity_places(keys, 8))):
            self.assertEqual((found[key].partition, found[key].value), (partition, b"%d" % i), key.hex())
        print(f"{len(keys):,} records of a Java producer: each is in our partition")


if __name__ == "__main__":
    AFFINITY = sys.argv.pop(1)
    unittest.main()
