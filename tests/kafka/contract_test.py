"""contract_test EXECUTABLE [VERSION] - the contract suite of the changelog (tests/contract) against a real broker of its own.

The suite runs as in any meson test; what the broker said last is shown when it fails.
"""
import os
import subprocess
import sys

from kafka import Kafka

SHOWN_LINES = 30


def main(executable, version=None):
    # Short, so that many segments of many topics are looked at often.
    with Kafka(version=version, settings={"log.cleaner.backoff.ms": "50"}) as kafka:
        done = subprocess.run([executable, "kafka"], env={**os.environ, "AFFINITY_TEST_KAFKA": kafka.bootstrap}, check=False)
        if done.returncode != 0:
            print("the broker said:", *kafka.log().splitlines()[-SHOWN_LINES:], sep="\n", file=sys.stderr)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
