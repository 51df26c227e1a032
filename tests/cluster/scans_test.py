"""scans_test - scans and outcomes in a cluster: any node tells all entries, in order and each once, whoever leads them and wherever that
moves meanwhile. One broker and one ZooKeeper: what is tested is between the nodes."""
import base64
import http.client
import json
import subprocess
import sys
import unittest

from cluster import Cluster

AFFINITY = sys.argv[1]
KEYS = [f"k{i:04}" for i in range(600)]
FILLER = "x" * 20000  # all of it is more than what lies in sockets and buffers, so a stream that is not read stands still


def value_of(key):
    return {"key": key, "odd": int(key[1:]) % 2, "filler": FILLER}


class Stream:
    """A streamed scan that is read line by line."""

    def __init__(self, node, query=""):
        host, _, port = node.http.rpartition(":")
        self.node = node
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.connection.request("GET", f"/v1/accounts{query}", headers={"Accept": "application/jsonl"})
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise AssertionError(f"{node.name} answered {self.answer.status}: {self.answer.read()[:1000]}")

    def read(self, most=None):
        """Keys of the next lines; of all that are left, when `most` is not given."""
        keys = []
        line = None
        while (most is None or len(keys) < most) and (line := self.answer.readline()):
            entry = json.loads(line)
            if "problem" in entry:
                raise AssertionError(f"{self.node.name} broke off: {line[:1000]}\n{self.node.log()[-3000:]}")
            keys.append(entry["key"])
        if line == b"":
            self.answer.close()
            self.connection.close()
        return keys


class ScansTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        space = {"partitions": 6, "replicas": 2, "indexes": {"odd": "/odd"}}
        cls.cluster = Cluster(AFFINITY, nodes=3, brokers=1, servers=1, config={"mode": "development"}, keyspaces={"accounts": space})
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.await_settled()
        cls.fill()

    @classmethod
    def fill(cls):
        node = next(iter(cls.cluster.nodes.values()))
        lines = [json.dumps({"key": key, "value": value_of(key)}) for key in KEYS]
        answer = node.ask("POST", "/v1/accounts", "\n".join(lines).encode(), timeout=60, Content_Type="application/jsonl")
        told = [json.loads(line) for line in answer.body.splitlines()]
        wrong = [line for line in told if line.get("status") not in (200, 201)]
        if answer.status != 200 or len(told) != len(KEYS) or wrong:
            raise AssertionError(f"bulk write: {answer.status}, {len(told)} lines, {wrong[:3]}\n{node.log()[-3000:]}")

    def setUp(self):
        self.nodes = list(self.cluster.nodes.values())
        self.cluster.await_settled()

    def pages(self, node, query, **headers):
        """Keys of all pages, each asked of the next node: a cursor is good at any."""
        keys, url, at = [], f"/v1/accounts?{query}", self.nodes.index(node)
        while url:
            answer = self.nodes[at].ask("GET", url, timeout=60, **headers)
            self.assertEqual(answer.status, 200, f"{url} at {self.nodes[at].name}: {answer}\n{self.nodes[at].log()[-3000:]}")
            page = answer.json()
            keys += [item["key"] for item in page["items"]]
            url, at = page.get("next"), (at + 1) % len(self.nodes)
        return keys

    def test_every_node_tells_all_entries(self):
        for node in self.nodes:
            with self.subTest(node=node.name):
                self.assertEqual(Stream(node).read(), KEYS)
                self.assertEqual(Stream(node, "?order=desc&keys=only").read(), KEYS[::-1])
                self.assertEqual(self.pages(node, "prefix=k01&limit=40"), [key for key in KEYS if key.startswith("k01")])
                self.assertEqual(self.pages(node, "keys=only&limit=400", Affinity_Consistency="eventual"), KEYS)

    def test_every_node_answers_by_an_index(self):
        odd = [key for key in KEYS if int(key[1:]) % 2]
        for node in self.nodes:
            with self.subTest(node=node.name):
                self.assertEqual(self.pages(node, "index=odd&value=1&limit=77&keys=only"), odd)

    def test_a_value_that_is_too_long_to_be_read_ahead_is_told(self):
        big = base64.b64encode(bytes(600000)).decode()
        for i in range(3):
            answer = self.nodes[i].ask("PUT", f"/v1/accounts/z{i}", json.dumps(big).encode(), timeout=60, Content_Type="application/json")
            self.assertEqual(answer.status, 201, answer)
        for node in self.nodes:
            items = []
            for i in range(3):
                page = node.ask("GET", f"/v1/accounts?prefix=z{i}", timeout=60).json()
                items += [(item["key"], item["value"] == big) for item in page["items"]]
            self.assertEqual(items, [("z0", True), ("z1", True), ("z2", True)], node.name)
        for i in range(3):
            self.assertEqual(self.nodes[i].ask("DELETE", f"/v1/accounts/z{i}", timeout=60).status, 204)

    def hand_over_all(self, name):
        """Every partition that the node leads, to whoever else is best."""
        for keyspace, partition in sorted(key for key, master in self.cluster.masters().items() if master == name):
            self.cluster.await_settled()  # a standby must be in step
            line = ["handover", "--url", f"http://{self.nodes[0].http}", "--keyspace", keyspace, "--partition", str(partition)]
            done = subprocess.run([AFFINITY, *line], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done)

    def test_a_scan_goes_on_where_partitions_move_to(self):
        for node in self.nodes:
            with self.subTest(node=node.name):
                stream = Stream(node)
                keys = stream.read(50)
                self.hand_over_all(next(other for other in self.nodes if other is not node).name)
                keys += stream.read(100)
                self.hand_over_all(node.name)
                keys += stream.read()
                self.assertEqual(keys, KEYS)
                self.cluster.await_settled()

    def test_a_scan_outlives_a_node_that_leads(self):
        node = self.nodes[0]
        stream = Stream(node)
        keys = stream.read(50)
        killed = next(other for other in self.nodes if other is not node and other.name in self.cluster.masters().values())
        killed.kill_worker()
        keys += stream.read()
        self.assertEqual(keys, KEYS)

    def test_what_became_of_a_write_is_known_at_every_node(self):
        for key in ("a", "b", "c", "d"):
            answer = self.nodes[0].ask("PUT", f"/v1/accounts/{key}", b"1", timeout=60)
            self.assertEqual(answer.status, 201, answer)
            for node in self.nodes:
                told = node.ask("GET", f"/outcome/{answer.headers['affinity-request-id']}", timeout=60)
                self.assertEqual((told.status, told.json()["outcome"]), (200, "committed"), f"{node.name}: {told}")
            self.assertEqual(self.nodes[1].ask("DELETE", f"/v1/accounts/{key}", timeout=60).status, 204)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
