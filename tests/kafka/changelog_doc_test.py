"""changelog_doc_test - the lines of doc/changelog.md run and print what the node serves; its tables are those of the source.

    changelog_doc_test.py AFFINITY
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import java
from harness import Server
from kafka import Kafka

ROOT = pathlib.Path(java.ROOT)
TEXT = (ROOT / "doc" / "changelog.md").read_text(encoding="utf-8")
ROLES = {"PRODUCER": "appends", "TAIL": "tails", "CATCH_UP": "catching up", "READERS": "reading", "ALL": "all"}
TOPIC = {  # as a keyspace with the defaults has it, on one broker
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": "3600000",
    "delete.retention.ms": "604800000",
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


def rows():
    """Each row of each table, as its cells."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| `")]


class Tables(unittest.TestCase):
    def test_the_properties_are_those_of_the_source(self):
        source = (ROOT / "core/changelog/kafka/rules.c").read_text(encoding="utf-8")
        rule = r'^    (FIXED|CHOSEN|OPTIONAL)\("([^"]+)", ("[^"]*"|NULL), (\w+),\s*"([^"]+)"\)'
        rules = re.findall(rule, source, re.M)
        self.assertEqual(len(rules), len(re.findall(r'^    (?:FIXED|CHOSEN|OPTIONAL)\("', source, re.M)))
        expected = set()
        for kind, name, value, roles, why in rules:
            value = "not set" if value == "NULL" else f"`{value[1:-1]}`"
            why += " (librdkafka 2.2 and newer)" if kind == "OPTIONAL" else ""
            expected.add((f"`{name}`", value, ROLES[roles], why))
        self.assertEqual({tuple(row) for row in rows() if len(row) == 4}, expected)

    def test_the_settings_of_a_topic_are_told(self):
        told = {row[0].strip("`") for row in rows() if len(row) == 3}
        self.assertLessEqual(set(TOPIC), told)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.enterClassContext(Kafka())
        config = {
            "cluster": "demo",
            "mode": "development",
            "changelog": "kafka",
            "kafka": {"bootstrap.servers": cls.kafka.bootstrap},
        }
        cls.server = cls.enterClassContext(Server([AFFINITY, "serve"], {"accounts": {"partitions": 8}}, config))
        cls.fill(cls.server.client())

    @classmethod
    def fill(cls, client):
        cls.expected, cls.changes = {}, 0
        for i in range(90):
            name, value = ["bob", *(f"account-{n}" for n in range(29))][i % 30], b'{"balance": %d}' % i
            if i % 7 == 6 and name in cls.expected:
                assert client.delete(f"/v1/accounts/{name}").status == 204
                del cls.expected[name]
            else:
                assert client.put(f"/v1/accounts/{name}", value).status in (200, 201)
                cls.expected[name] = value.decode()
            cls.changes += 1
        assert "bob" in cls.expected

    def run_it(self, *line, **more):
        env = {**os.environ, "BOOTSTRAP": self.kafka.bootstrap}
        env["PATH"] = f"{os.path.dirname(AFFINITY)}:{env['PATH']}"
        ended = subprocess.run(line, env=env, capture_output=True, check=False, **more)
        self.assertEqual(ended.returncode, 0, ended.stderr.decode(errors="replace"))
        return ended.stdout

    def assertState(self, printed):
        lines = [f"{name} {value}" for name, value in sorted(self.expected.items())]
        self.assertEqual(printed.decode().splitlines(), lines)

    def test_every_change_by_kcat(self):
        printed = self.run_it("bash", "-c", blocks("sh")[0])
        state, count = {}, 0
        changes = [json.loads(line) for line in printed.decode(errors="replace").splitlines()]
        for change in changes:
            state[change["key"]] = change["payload"]
            count += 1
        self.assertEqual({k: v for k, v in state.items() if v is not None}, self.expected)
        self.assertEqual(count, self.changes)

    def test_one_key_by_kcat(self):
        printed = self.run_it("bash", "-c", blocks("sh")[1])
        self.assertEqual(printed.decode(), f"bob\t{self.expected['bob']}\n")

    def test_the_state_by_python(self):
        """By the first Python that has the library: Debian's, most likely."""
        for python in (sys.executable, "/usr/bin/python3"):
            if subprocess.run([python, "-c", "import confluent_kafka"], capture_output=True, check=False).returncode == 0:
                self.assertState(self.run_it(python, "-c", blocks("python")[0]))
                return
        self.fail("no Python has confluent_kafka: scripts/setup all installs it")

    def test_the_state_by_java(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        program = os.path.join(folder, "State.java")
        with open(program, "w", encoding="utf-8") as f:
            f.write(blocks("java")[0])
        self.assertState(self.run_it("java", *java.FLAGS, "-cp", java.classpath(), program))

    def test_every_example_is_run(self):
        self.assertEqual([len(blocks(language)) for language in ("sh", "python", "java")], [2, 1, 1])

    def test_the_topic_is_set_up_as_told(self):
        found = self.kafka.topic_config("demo.accounts")
        self.assertEqual({name: found[name] for name in TOPIC}, TOPIC)
        self.assertGreaterEqual(int(found["max.message.bytes"]), 2 << 20)
        self.assertEqual(len(self.kafka.partitions("demo.accounts")), 8)


if __name__ == "__main__":
    AFFINITY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
