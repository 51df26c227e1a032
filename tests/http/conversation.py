"""conversation - what the tests of this folder have in common: a server for each class, and what is said of answers.

Each test file is a program: `verbs_test.py AFFINITY [LIBRARY OR APPLICATION...]`, where AFFINITY is the built binary. A
server that a test ran is ended by SIGTERM and must end with status 0, so that what a sanitizer finds at the end fails
the test.
"""
import contextlib
import json
import pathlib
import re
import sys
import threading
import time
import unittest

from harness import Server
from hold import Hold
from wire import Wire

PATIENCE_S = 60
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROBLEM_TYPES = "https://affinity.dev/problems/"
ETAG = re.compile(r'"([0-9a-f]{8})-(0|[1-9][0-9]*)-(0|[1-9][0-9]*)"')
REQUEST_ID = re.compile(r"([a-z][a-z0-9_]*)-([0-9]+)-([0-9a-f]+)-([0-9a-f]+)-([0-9]+)")


class Programs:
    """What was built, from the command line."""

    affinity = None
    others = []


def main():
    count = sum(not a.startswith("-") and "/" in a for a in sys.argv[1:])
    Programs.affinity, *Programs.others = sys.argv[1 : 1 + count]
    del sys.argv[1 : 1 + count]
    unittest.main()


def read_problem_table():
    """{type: (status, title)} of <affinity/error.h>, the one table that there is."""
    text = (ROOT / "core/include/affinity/error.h").read_text(encoding="utf-8")
    rows = re.findall(r'X\(E\w+, -\d+, (\d+), "([^"]+)",\s*(?:\\\n\s*)?"([^"]+)"\)', text)
    return {kind: (int(status), title) for status, kind, title in rows}


PROBLEMS = read_problem_table()


def partition_of(key, partitions):
    """Kafka's default partitioner, written a second time: murmur2 with its seed over the bytes of the key."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        k ^= k >> 24
        h = (h * m & mask) ^ (k * m & mask)
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h ^= h >> 13
    h = h * m & mask
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % partitions


def metrics_of(client):
    """{'name{labels}': value} of /metrics; its form is checked in node_test.py."""
    answer = client.get("/metrics")
    lines = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def total(metrics, family):
    """The sum of all series of a family."""
    return sum(value for series, value in metrics.items() if series.split("{")[0] == family)


def wait_until(what, condition):
    """Asks again until the condition holds. `what` says what is waited for, should it never come."""
    until = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.002)
    return result


def at_once(count, work):
    """Runs work(i) in `count` threads that start together; the results."""
    start, results = threading.Barrier(count), [None] * count

    def run(i):
        start.wait()
        results[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Conversation(unittest.TestCase):
    """A class of tests against one server, whose keyspaces and `--set`s it names."""

    maxDiff = None
    keyspaces = {"notes": {}}
    sets = ()
    server_options = {}

    @classmethod
    def command(cls):
        return [Programs.affinity, "serve"]

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(
            Server(cls.command(), keyspaces=cls.keyspaces, sets=cls.sets, **cls.server_options)
        )

    @classmethod
    def tearDownClass(cls):
        end_in_order(cls.server)

    def setUp(self):
        self.client = self.server.client()
        self.addCleanup(self.client.close)

    @contextlib.contextmanager
    def serving(self, command=None, **options):
        """A server of the test's own."""
        with Server(command or self.command(), **{"keyspaces": self.keyspaces, **options}) as server:
            yield server
            if server.runs():
                end_in_order(server)

    def wire(self, server=None, **options):
        wire = Wire(server or self.server, **options)
        self.addCleanup(wire.close)
        return wire

    # ---- what is said of answers ----

    def assertStatus(self, answer, *statuses):
        self.assertIn(answer.status, statuses, answer)
        return answer

    def assertProblem(self, answer, kind, status=None, detail=None):
        """A problem of that type as the table has it, for programs and for people."""
        expected_status, title = PROBLEMS.get(kind, (status, None))
        self.assertEqual(answer.status, status or expected_status, answer)
        self.assertEqual(answer.headers.get("content-type"), "application/problem+json", answer)
        problem = answer.json()
        self.assertEqual(problem["type"], PROBLEM_TYPES + kind, answer)
        self.assertEqual(problem["status"], answer.status, answer)
        self.assertEqual(problem["title"], title or problem["title"], answer)
        self.assertTrue(problem.get("detail") or kind in BRIEF, f"it does not say what was wrong: {answer}")
        if detail:
            self.assertRegex(problem["detail"], detail, answer)
        if answer.status == 503:
            self.assertRegex(answer.headers.get("retry-after", ""), r"^[0-9]+$", answer)
            self.assertEqual(answer.headers.get("affinity-outcome"), "not-applied", answer)
        return problem

    def tag_of(self, answer):
        """(identity, partition, offset) of its ETag, which must be a strong one of ours."""
        parts = ETAG.fullmatch(answer.etag or "")
        self.assertTrue(parts, f'ETag is not "<8 hex digits>-<partition>-<offset>": {answer}')
        return parts[1], int(parts[2]), int(parts[3])

    def assertWritten(self, answer, *statuses, keyspace="notes"):
        """A write that was committed: it says where, and under which id."""
        self.assertStatus(answer, *statuses)
        _, partition, offset = self.tag_of(answer) if answer.etag else (None, *self.position_of(answer))
        self.assertEqual(answer.headers.get("affinity-position"), f"{partition}:{offset}", answer)
        name, at, *_ = self.request_id_of(answer)
        self.assertEqual((name, at), (keyspace, partition), f"the request id is of another partition: {answer}")
        return partition, offset

    def position_of(self, answer):
        text = answer.headers.get("affinity-position", "")
        self.assertRegex(text, r"^(0|[1-9][0-9]*):(0|[1-9][0-9]*)$", answer)
        return tuple(map(int, text.split(":")))

    def request_id_of(self, answer):
        """(keyspace, partition, epoch, nonce, number)"""
        parts = REQUEST_ID.fullmatch(answer.headers.get("affinity-request-id", ""))
        self.assertTrue(parts, f"no Affinity-Request-Id, or none of ours: {answer}")
        return parts[1], int(parts[2]), int(parts[3], 16), int(parts[4], 16), int(parts[5])

    def put(self, target, body=b"{}", content_type="application/json", **headers):
        """A PUT that must succeed."""
        return self.assertStatus(self.client.put(target, body, content_type, **headers), 200, 201, 204)

    def assertValue(self, target, body, content_type=None, client=None):
        answer = self.assertStatus((client or self.client).get(target), 200)
        self.assertEqual(answer.body, body, f"another value under {target}")
        if content_type:
            self.assertEqual(answer.headers.get("content-type"), content_type, answer)
        return answer

    def assertAbsent(self, target, client=None):
        return self.assertProblem((client or self.client).get(target), "not-found")

    @contextlib.contextmanager
    def nothing_written(self):
        """What happens inside commits no write."""
        before = total(metrics_of(self.client), "aff_partition_committed_total")
        yield
        after = total(metrics_of(self.client), "aff_partition_committed_total")
        self.assertEqual(after, before, "a write was committed")


class HeldConversation(Conversation):
    """The server's disk obeys the test: see hold.py. Programs.others[0] is the library."""

    @classmethod
    def setUpClass(cls):
        cls.hold = Hold(Programs.others[0])
        cls.addClassCleanup(cls.hold.close)
        cls.server_options = {"env": cls.hold.env}
        super().setUpClass()

    def wait_gauge(self, family, least, client=None):
        """Until the sum of a metric is as large."""
        wait_until(f"{family} reaches {least}", lambda: total(metrics_of(client or self.client), family) >= least)


# Problems whose title says everything.
BRIEF = {
    "not-found",
    "no-route",
    "method-not-allowed",
    "precondition-failed",
    "idempotency-running",
    "idempotency-reused",
    "outcome-unknown",
    "timed-out",
    "draining",
    "no-space",
}


def end_in_order(server):
    status = server.stop()
    if status != 0:
        raise AssertionError(f"it ended with status {status} after SIGTERM:\n{server.log()[-8000:]}")
    if "Sanitizer" in server.log() or "runtime error:" in server.log():
        raise AssertionError(f"a sanitizer found something:\n{server.log()[-8000:]}")
