"""contract_test EXECUTABLE PART - the contract suite of the coordinator (tests/contract) against real ZooKeeper servers of its own.

PART: seats and cluster, with one server; ensemble, with three that the suite stops and starts. What the servers said last is shown
when it fails.
"""
import os
import subprocess
import sys

from zookeeper import SCRIPT, ZooKeeper

SHOWN_LINES = 30


def main(executable, part, *test):
    with ZooKeeper(servers=3 if part == "ensemble" else 1) as zookeeper:
        env = {
            **os.environ,
            "AFFINITY_TEST_ZOOKEEPER": zookeeper.connect,
            "AFFINITY_TEST_ZOOKEEPER_DIR": zookeeper.folder,
            "AFFINITY_TEST_ZOOKEEPER_SCRIPT": SCRIPT,
        }
        done = subprocess.run([executable, "zookeeper", part, *test], env=env, check=False)
        if done.returncode != 0:
            print("the first server said:", *zookeeper.log().splitlines()[-SHOWN_LINES:], sep="\n", file=sys.stderr)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
