"""fuzz_test - schemathesis makes requests of /openapi.json, valid ones and others, and holds the answers against it.

All of its checks are on, for every operation of the bank and of a keyspace with values; the same seeds each time. It runs from
build/venv, which scripts/setup all makes. schemathesis.toml and fuzz_hooks.py say where a check knows less than HTTP.
"""
import os
import re
import subprocess
import unittest

from conversation import Programs, ROOT, end_in_order
from harness import Server

PROGRAM = ROOT / "build" / "venv" / "bin" / "schemathesis"
FOLDER = ROOT / "tests" / "rest"
CASES_LEAST = 10_000
EXAMPLES = 65  # of an operation, at most, where they are made up
SEEDS = (20260823, 20260824)  # each with a server of its own, at the same time
TIMEOUT_S = 900


class Fuzzed(unittest.TestCase):
    def begin(self, server, seed):
        """Its output goes to a file of the server's folder."""
        if not PROGRAM.exists():
            raise RuntimeError(f"there is no {PROGRAM}: scripts/setup all makes it")
        line = [PROGRAM, "--config-file", FOLDER / "schemathesis.toml", "--no-color", "run"]
        line += [f"http://127.0.0.1:{server.port}/openapi.json", "--checks", "all", "--seed", str(seed)]
        line += ["--max-examples", str(EXAMPLES)]
        env = {**os.environ, "PYTHONPATH": str(FOLDER)}
        with open(os.path.join(server.folder, "fuzz.txt"), "wb") as out:
            process = subprocess.Popen(line, cwd=server.folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.addCleanup(process.kill)
        return process

    def count_of(self, server, process):
        """The cases that it made; each answer must have passed."""
        status = process.wait(TIMEOUT_S)
        with open(os.path.join(server.folder, "fuzz.txt"), encoding="utf-8", errors="replace") as f:
            told = f.read()
        self.assertEqual(status, 0, told[-30000:])
        counts = re.search(r"^\s*([0-9]+) generated, ([0-9]+) passed", told, re.M)
        self.assertTrue(counts, told[-2000:])
        self.assertEqual(counts[1], counts[2], told[-2000:])
        return int(counts[1])

    def test_no_answer_contradicts_the_description(self):
        servers = [self.enterContext(Server(Programs.others[:1], keyspaces={"notes": {}})) for _ in SEEDS]
        processes = [self.begin(server, seed) for server, seed in zip(servers, SEEDS)]
        counts = [self.count_of(server, process) for server, process in zip(servers, processes)]
        print(f"seeds {SEEDS}: {' + '.join(map(str, counts))} = {sum(counts)} cases, no failure")
        self.assertGreaterEqual(sum(counts), CASES_LEAST, "too few cases: raise EXAMPLES")
        for server in servers:
            end_in_order(server)


if __name__ == "__main__":
    from conversation import main

    main()
