"""fuzz_test - schemathesis makes requests of /openapi.json, valid ones and others, and holds the answers against it.

All of its checks are on, for every operation of the bank and of a keyspace with values; the same seed each time. It runs from
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
EXAMPLES = 350  # of an operation, in each of the phases that make them up
SEED = 20260823
TIMEOUT_S = 900


class Fuzzed(unittest.TestCase):
    def run_fuzzer(self, server):
        if not PROGRAM.exists():
            raise RuntimeError(f"there is no {PROGRAM}: scripts/setup all makes it")
        line = [PROGRAM, "--config-file", FOLDER / "schemathesis.toml", "--no-color", "run"]
        line += [f"http://127.0.0.1:{server.port}/openapi.json", "--checks", "all", "--seed", str(SEED)]
        line += ["--max-examples", str(EXAMPLES)]
        env = {**os.environ, "PYTHONPATH": str(FOLDER)}
        return subprocess.run(line, cwd=server.folder, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)

    def test_no_answer_contradicts_the_description(self):
        with Server(Programs.others[:1], keyspaces={"notes": {}}) as server:
            done = self.run_fuzzer(server)
            told = done.stdout[-20000:] + done.stderr[-2000:]
            self.assertEqual(done.returncode, 0, told)
            generated = re.search(r"^\s*([0-9]+) generated, ([0-9]+) passed", done.stdout, re.M)
            self.assertTrue(generated, told)
            print(f"{generated[1]} cases, {int(generated[1]) - int(generated[2])} failures")
            self.assertGreaterEqual(int(generated[1]), CASES_LEAST, "too few cases: raise EXAMPLES")
            end_in_order(server)


if __name__ == "__main__":
    from conversation import main

    main()
