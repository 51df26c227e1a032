"""previous_test - the build of the commit before this one and this one, in one cluster and under load: previous_test.py AFFINITY LOAD

One broker, one ZooKeeper, two nodes. Masterships go from the old build to the new one and back, by hand-over and by kill -9; no request
fails at a restart, nothing is lost, no strict read is stale, and every store equals its topic, as both builds verify it.

$AFFINITY_PREVIOUS names another commit than the one before. A clone without it cannot run this: `git fetch --deepen 1` brings it.
"""
import os
import subprocess
import sys
import unittest

from cluster import Cluster
from traffic import ROOT
from trial import Trial

AFFINITY, LOAD = (os.path.abspath(path) for path in sys.argv[1:3])
KEYSPACES = {"accounts": {"partitions": 4, "replicas": 2}}


def build_previous():
    built = subprocess.run([os.path.join(ROOT, "scripts", "build"), "previous"], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise AssertionError(f"there is no build of the commit before this one: {built.stderr}{built.stdout}")
    return built.stdout.split()[-1]


class PreviousTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.previous = build_previous()
        cls.cluster = Cluster(AFFINITY, nodes=1, brokers=1, servers=1, keyspaces=KEYSPACES, config={"mode": "development"})
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.add("n2", cls.previous)
        cls.cluster.await_even()  # a node that came is given its share when it is in step

    def restarted(self, trial, node, binary):
        """It hands over what it leads, and gets its share back as the other build. The step."""
        with trial.watch(f"{node.name} restarts") as step:
            self.assertEqual(node.stop(), 0, f"{node.name} was told to end; its log is {node.server.log_path}")
            node.start(binary)
        trial.refresh()
        failed = [str(request) for request in trial.of(step)[1]]
        self.assertEqual(failed, [], f"requests failed while {node.name} restarted with {binary}")
        moved = [one for one, _ in trial.pauses_ms(step.start, step.end)]
        self.assertTrue(any(one.receiver for one in moved if one.giver == node.name), f"{node.name} handed nothing over: {moved}")

    def test_in_one_cluster(self):
        new, old = self.cluster.nodes["n1"], self.cluster.nodes["n2"]
        with Trial(self.cluster, LOAD, rate=150, writer_gap=10000, short_attempt=5000) as trial:
            self.cluster.wait_for(lambda: trial.load.count()["requests"] > 300)
            self.restarted(trial, old, AFFINITY)
            self.restarted(trial, new, self.previous)
            with trial.watch("the worker of the old build is killed"):
                new.kill_worker()
            with trial.watch("the worker of the new build is killed"):
                old.kill_worker()
            complaints = trial.verdict()
            self.cluster.affinity = self.previous  # whose `affinity verify` it is
            complaints += self.cluster.verify()
        self.assertEqual(complaints, [], "\n".join(complaints))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
