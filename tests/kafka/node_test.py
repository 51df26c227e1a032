"""node_test - nodes on a real Kafka: what a restart keeps, who leads, what is said when brokers are away or a topic is changed."""
import os
import shutil
import sys
import tempfile
import time
import unittest

from kafka import Kafka
from nodes import Node

KEYSPACES = {"notes": {"partitions": 2}}
PATIENCE_S = 120


def wait_until(what, condition):
    until = time.monotonic() + PATIENCE_S
    while not (got := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.1)
    return got


class OnKafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka()
        cls.kafka.start()
        cls.addClassCleanup(cls.kafka.stop)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="affinity-node.")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def node(self, name, cluster):
        node = Node(AFFINITY, name, self.folder, self.kafka, KEYSPACES, {"cluster": cluster})
        self.addCleanup(node.kill)
        return node.start()

    @staticmethod
    def ask(node, path):
        client = node.server.client()
        answer = client.get(path)
        client.close()
        return answer

    def ready(self, node):
        return self.ask(node, "/readyz?verbose").json()

    def leads(self, node):
        return all(p["serves"] for p in self.ready(node)["all"])

    @staticmethod
    def put(node, key, value):
        client = node.server.client()
        answer = client.put(f"/v1/notes/{key}", value)
        client.close()
        return answer


class NodeTest(OnKafka):
    def test_what_was_written_is_there_after_every_end(self):
        node = self.node("one", "ends")
        for i in range(20):
            self.assertEqual(self.put(node, i, b"%d" % i).status, 201)
        for i in range(0, 20, 2):
            self.assertEqual(node.server.client().delete(f"/v1/notes/{i}").status, 204)

        def stop():
            self.assertEqual(node.server.stop(), 0)

        def lose_data():
            stop()
            shutil.rmtree(node.server.config["node"]["data"])

        for end in stop, node.kill, lose_data:
            end()
            node.start()
            found = [self.ask(node, f"/v1/notes/{i}").status for i in range(20)]
            self.assertEqual(found, [404, 200] * 10, end.__name__)
        self.assertEqual(self.ready(node)["changelog"], {"driver": "kafka", "trusted": True})
        self.assertEqual(self.ready(node)["mode"], "development")

    def test_the_node_started_last_leads_until_it_is_silent(self):
        first = self.node("one", "lead")
        self.assertEqual(self.put(first, "milk", b"1").status, 201)
        second = self.node("two", "lead")
        wait_until("the first stands by", lambda: not any(p["serves"] for p in self.ready(first)["all"]))
        self.assertTrue(self.leads(second))
        refused = self.put(first, "milk", b"2")
        self.assertEqual((refused.status, refused.headers["affinity-outcome"]), (503, "not-applied"), refused)
        self.assertEqual(self.put(second, "milk", b"3").status, 200)
        for _ in range(3):  # it hears the other; that takes longer than it would be patient
            time.sleep(2)
            self.assertFalse(any(p["serves"] for p in self.ready(first)["all"]))
        second.kill()
        wait_until("the first leads again", lambda: self.leads(first))
        self.assertEqual(self.ask(first, "/v1/notes/milk").body, b"3")

    def test_nodes_started_at_once_share_and_both_are_ready(self):
        nodes = [Node(AFFINITY, name, self.folder, self.kafka, KEYSPACES, {"cluster": "both"}) for name in ("a", "b")]
        for node in nodes:
            self.addCleanup(node.kill)
            node.server.start(wait=False)
        for node in nodes:
            node.server.wait_ready()
        wait_until("each partition is led by one", lambda: sum(
            p["serves"] for node in nodes for p in self.ready(node)["all"]) == KEYSPACES["notes"]["partitions"])


class AwayTest(OnKafka):
    def test_a_broker_that_is_away_is_waited_for(self):
        node = self.node("one", "away")
        self.assertEqual(self.put(node, "milk", b"1").status, 201)
        self.kafka.kill(1)
        self.assertEqual(self.ask(node, "/livez").status, 200)
        slow = self.put(node, "milk", b"2")
        self.assertEqual((slow.status, slow.headers["affinity-outcome"]), (504, "unknown"), slow)
        refused = wait_until("writes are refused", lambda: next(
            (a for a in [self.put(node, "eggs", b"2")] if a.status == 503), None))
        self.assertIn(refused.json()["type"].split("/")[-1], ("log-stalled", "timed-out"), refused)
        self.kafka.restart(1)
        wait_until("it writes again", lambda: self.put(node, "milk", b"3").status == 200)
        self.assertEqual(self.ask(node, "/v1/notes/milk").body, b"3")

    def test_a_stop_does_not_wait_for_brokers(self):
        node = self.node("one", "stop")
        self.kafka.kill(1)
        self.addCleanup(self.kafka.restart, 1)
        in_flight = 'aff_partition_in_flight{keyspace="notes",partition="0"}'
        wait_until("a heartbeat is under way", lambda: node.metrics()[in_flight] == 1)
        self.assertEqual(node.server.stop(), 0, node.server.log()[-2000:])


class ChangedTopicTest(OnKafka):
    def test_a_topic_that_is_changed_is_refused_until_it_is_right(self):
        node = self.node("one", "changed")
        self.assertEqual(self.put(node, "milk", b"1").status, 201)
        self.kafka.alter_topic("changed.notes", {"cleanup.policy": "delete"})
        refused = wait_until("writes are refused", lambda: next(
            (a for a in [self.put(node, "milk", b"2")] if a.status != 200), None))
        self.assertEqual((refused.status, refused.headers["affinity-outcome"]), (503, "not-applied"), refused)
        self.assertTrue(refused.json()["type"].endswith("/unsafe-log"), refused)
        read = self.ask(node, "/v1/notes/milk")
        self.assertTrue(read.json()["type"].endswith("/unsafe-log"), read)
        ready = self.ask(node, "/readyz")
        self.assertEqual(ready.status, 503)
        self.assertIn("cleanup.policy: found delete, wanted compact", ready.json()["changelog"]["trouble"])
        self.assertEqual(node.metrics()["aff_changelog_trusted"], 0)
        self.kafka.alter_topic("changed.notes", {"cleanup.policy": "compact"})
        wait_until("it writes again", lambda: self.put(node, "milk", b"3").status == 200)
        self.assertEqual(self.ask(node, "/readyz").status, 200)


if __name__ == "__main__":
    AFFINITY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
