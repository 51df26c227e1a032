"""gone_test - a node that is away for longer than `zookeeper.away` is not waited for: gone_test.py AFFINITY

Others build copies of what it held; when it comes back, with an old store, it gets its share like one that joins. One broker and one
ZooKeeper: what is tested is between the nodes.
"""
import sys
import unittest

from cluster import Cluster

AFFINITY = sys.argv[1]
PARTITIONS, AWAY_S = 6, 5
KEYS = [f"k{i}" for i in range(60)]


class GoneTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(AFFINITY, nodes=3, brokers=1, servers=1,
                               session="2s", config={"mode": "development", "zookeeper": {"away": f"{AWAY_S}s"}},
                               keyspaces={"accounts": {"partitions": PARTITIONS, "replicas": 2}})
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.await_shares({"n1": (2, 4), "n2": (2, 4), "n3": (2, 4)})

    def await_shares(self, expected):
        """Until each leads and holds as many, of those that live, and every copy is in step."""
        def told():
            page = next(iter(self.cluster.running())).view()
            return {n["name"]: (n["leads"], n["holds"]) for n in page["nodes"] if n["live"]} if page else None

        self.cluster.wait_for(lambda: told() == expected, lambda: f"{told()} instead of {expected}")
        self.cluster.await_settled()

    def write(self, text):
        for number, key in enumerate(KEYS):
            node = self.cluster.running()[number % len(self.cluster.running())]
            answer = node.ask("PUT", f"/v1/accounts/{key}", f'"{text}"'.encode(), timeout=60, Content_Type="application/json")
            self.assertIn(answer.status, (200, 201), f"PUT {key} through {node.name}: {answer}\n{node.log()[-2000:]}")

    def check(self, text):
        for node in self.cluster.running():
            for key in KEYS:
                answer = node.ask("GET", f"/v1/accounts/{key}", timeout=60)
                self.assertEqual((answer.status, answer.body), (200, f'"{text}"'.encode()), f"GET {key} through {node.name}")
        self.assertEqual(self.cluster.verify(), [])

    def test_its_replicas_are_built_elsewhere_and_it_gets_others_when_it_is_back(self):
        self.write("one")
        self.cluster.nodes["n3"].kill_both()
        self.write("two")
        self.await_shares({"n1": (3, PARTITIONS), "n2": (3, PARTITIONS)})
        self.check("two")
        self.cluster.nodes["n3"].start()
        self.await_shares({"n1": (2, 4), "n2": (2, 4), "n3": (2, 4)})
        self.check("two")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
