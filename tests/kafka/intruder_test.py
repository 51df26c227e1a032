"""intruder_test - what somebody else writes into a topic does not count, and is overwritten by what does, also while nobody asks.

    intruder_test.py AFFINITY
"""
import os
import shutil
import sys
import tempfile
import time
import unittest

import foreign
from kafka import Kafka
from nodes import Node, dirty

PATIENCE_S = 60


class IntruderTest(unittest.TestCase):
    def setUp(self):
        self.kafka = self.enterContext(Kafka())
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="affinity-intruder."))
        self.node = Node(AFFINITY, "n", folder, self.kafka, {"notes": {"partitions": 1}})
        self.addCleanup(self.node.kill)
        self.client = self.node.start().server.client()

    def intrude(self, key, value=None):
        """Without a value: a tombstone."""
        self.kafka.kcat("-P", "-t", "test.notes", "-p", "0", "-K:", "-Z", stdin=b"%s:%s\n" % (key, value or b""))

    def wait_repaired(self, count):
        until = time.monotonic() + PATIENCE_S
        while self.node.metric("aff_partition_repairs_total") < count or dirty(self.node):
            self.assertLess(time.monotonic(), until, self.node.metrics())
            time.sleep(0.1)

    def read(self):
        return {key: self.client.get(f"/v1/notes/{key}").body for key in ("changed", "deleted", "left")}

    def test_it(self):
        expected = {key: b"1" for key in ("changed", "deleted", "left")}
        for key, value in expected.items():
            self.assertEqual(self.client.put(f"/v1/notes/{key}", value).status, 201)
        etag = self.client.get("/v1/notes/changed").etag
        self.intrude(b"changed", b"theirs")
        self.intrude(b"deleted")
        self.intrude(b"new", b"theirs")
        self.wait_repaired(3)
        self.assertEqual(self.read(), expected)
        self.assertEqual(self.client.get("/v1/notes/changed").etag, etag)
        self.assertEqual(self.client.get("/v1/notes/new").status, 404)
        state = foreign.values(self.kafka.bootstrap, "test.notes")
        self.assertEqual(state, {key.encode(): value for key, value in expected.items()})
        self.assertIsNone(self.node.verify())

        self.node.kill()
        self.intrude(b"left", b"theirs, while nobody led")
        shutil.rmtree(os.path.join(self.node.server.folder, "data"))
        self.client = self.node.start().server.client()
        self.assertEqual(self.read(), expected)
        self.wait_repaired(1)
        self.assertEqual(foreign.values(self.kafka.bootstrap, "test.notes")[b"left"], b"1")
        self.assertEqual(self.client.get("/v1/notes/changed").etag, etag)


if __name__ == "__main__":
    AFFINITY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
