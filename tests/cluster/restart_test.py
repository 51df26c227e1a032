"""restart_test - two nodes, one broker, one ZooKeeper, under load: restart_test.py AFFINITY LOAD

A restart costs no request, and a worker that is killed nothing that was acknowledged.
"""
import os
import sys
import unittest

from cluster import Cluster
from trial import Trial

AFFINITY, LOAD = (os.path.abspath(path) for path in sys.argv[1:3])
KEYSPACES = {"accounts": {"partitions": 4, "replicas": 2}}


class RestartTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(AFFINITY, nodes=2, brokers=1, servers=1, keyspaces=KEYSPACES, config={"mode": "development"})
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.await_settled()

    def test_under_load(self):
        with Trial(self.cluster, LOAD, rate=200, writer_gap=10000, short_attempt=2000) as trial:
            self.cluster.wait_for(lambda: trial.load.count()["requests"] > 300)
            for node in self.cluster.running():
                with trial.watch(f"{node.name} restarts") as restarted:
                    self.assertEqual(node.stop(), 0, f"{node.name} was told to end")
                    node.start()
                trial.refresh()
                self.assertEqual([str(r) for r in trial.of(restarted)[1]], [], f"requests failed while {node.name} restarted")
            with trial.watch("a worker is killed"):
                self.cluster.leads_most().kill_worker()
            complaints = trial.verdict()
        self.assertEqual(complaints, [], "\n".join(complaints))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
