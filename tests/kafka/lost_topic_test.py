"""lost_topic_test - a topic that is deleted and made again under a running node: it stops and says so, and keeps its store,
since that may be all that is left; an operator decides.

    lost_topic_test.py AFFINITY
"""
import os
import shutil
import sys
import tempfile
import time
import unittest

from harness import ServerFailed
from kafka import Kafka
from nodes import Node

PATIENCE_S = 60
KEPT = ("cleanup.policy", "min.compaction.lag.ms", "delete.retention.ms", "message.timestamp.type", "max.message.bytes")


def wait_until(what, condition):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.1)


class LostTopicTest(unittest.TestCase):
    def test_a_topic_that_was_made_again_stops_the_node(self):
        with Kafka() as kafka, tempfile.TemporaryDirectory(prefix="affinity-lost.") as folder:
            self.kafka, self.node = kafka, Node(AFFINITY, "n", folder, kafka, {"notes": {"partitions": 1}})
            try:
                self.lose_it()
            finally:
                self.node.kill()

    def lose_it(self):
        kafka, node = self.kafka, self.node
        client = node.start().server.client()
        for i in range(10):
            self.assertEqual(client.put(f"/v1/notes/{i}", b"1").status, 201)
        settings = {name: value for name, value in kafka.topic_config("test.notes").items() if name in KEPT}
        kafka.delete_topic("test.notes")
        kafka.create_topic("test.notes", 1, config=settings)

        self.assertIn(client.put("/v1/notes/new", b"1").status, (503, 504))  # it may be the first record of the new topic
        failures = []
        for _ in range(3):  # it tries again every five seconds
            wait_until("it has failed again", lambda: node.server.log().count("partition.failed") > len(failures))
            failures.append(client.get("/readyz?verbose").json()["all"][0])
        for failure in failures:
            self.assertEqual(failure["role"], "failed", failure)
            self.assertIn("lost records, or is another one", failure["failure"])
        self.assertEqual(client.get("/v1/notes/3").status, 503)
        self.assertEqual(client.get("/v1/notes/3", Affinity_Consistency="eventual").body, b"1")
        self.assertNotIn("partition.rebuild", node.server.log())

        node.kill()
        with self.assertRaisesRegex(ServerFailed, "delete the store"):
            node.start()
        shutil.rmtree(os.path.join(node.server.folder, "data"))
        client = node.start().server.client()
        self.assertEqual(client.get("/v1/notes/3").status, 404)
        self.assertIn(client.put("/v1/notes/3", b"2").status, (200, 201))


if __name__ == "__main__":
    AFFINITY = sys.argv.pop(1)
    unittest.main()
