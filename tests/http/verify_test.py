"""verify_test - `affinity verify` and /verify: stores that are equal to their changelog are found so, others are not."""
import contextlib
import hashlib
import http.server
import json
import os
import random
import re
import subprocess
import threading
import unittest

from conversation import Conversation, Programs, at_once, main, partition_of, wait_until

HEX = re.compile(r"[0-9a-f]{32}")


def verify(server_or_url, *options):
    """Runs the command to its end."""
    url = server_or_url if isinstance(server_or_url, str) else f"http://127.0.0.1:{server_or_url.port}"
    return subprocess.run(
        [Programs.affinity, "verify", "--url", url, *options], capture_output=True, text=True, timeout=120
    )


def plain_digest(values):
    """As doc/operations.md tells: {key: (content type, value)} to the sum of what each adds."""
    total = 0
    for key, (kind, value) in values.items():
        parts = b"".join(len(part).to_bytes(8, "big") + part for part in (key, kind, value))
        total += int.from_bytes(hashlib.sha256(parts).digest()[:16], "big")
    return f"{total % 2**128:032x}"


def tamper(server, keyspace, partition, what, key):
    folder = os.path.join(server.config["node"]["data"], "state", keyspace, str(partition))
    subprocess.run([Programs.others[0], folder, what, key], check=True, timeout=60)


class Verifying(Conversation):
    def assertEqualStores(self, server, *options):
        """What it found, as JSON."""
        done = verify(server, "--json", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        found = json.loads(done.stdout)
        self.assertEqual((found["state"], found["equal"]), ("done", found["asked"]))
        self.assertEqual((found["differs"], found["undecided"], len(found["partitions"])), (0, 0, found["asked"]))
        for part in found["partitions"]:
            self.assertEqual((part["result"], part["last_writer_wins"]), ("equal", "equal"), part)
            self.assertRegex(part["digest"], HEX)
            self.assertEqual(part["digest"], part["changelog"]["digest"])
            self.assertEqual(part["keys"], part["changelog"]["keys"])
        return found

    def assertNothingLeft(self, server):
        self.assertNotIn("verify", os.listdir(server.config["node"]["data"]))

    def write_anything(self, client, dice, keys, times, live):
        """Puts, deletes and lifetimes at random; `live` becomes what is there."""
        for _ in range(times):
            key = f"k{dice.randrange(keys)}"
            what = dice.random()
            if what < 0.25:
                self.assertStatus(client.delete(f"/v1/notes/{key}"), 204, 404)
                live.pop(key, None)
            else:
                body = dice.randbytes(dice.choice((0, 1, 30, 4000)))
                headers = {"Affinity-TTL": "50ms"} if what < 0.35 else {}
                headers["Content-Type"] = dice.choice(("text/plain", "application/x-anything; a=b"))
                self.assertStatus(client.request("PUT", f"/v1/notes/{key}", body, headers), 200, 201)
                live[key] = body if what >= 0.35 else None

    def wait_expired(self, client, live):
        for key in [key for key, body in live.items() if body is None]:
            wait_until(f"{key} expires", lambda key=key: client.get(f"/v1/notes/{key}").status == 404)
            del live[key]


class Equal(Verifying):
    keyspaces = {"notes": {"partitions": 3}, "others": {"partitions": 1}}

    def test_after_any_writes_deletes_and_expiries(self):
        live = {}
        with self.serving() as server:
            dice, client = random.Random(7), server.client()
            for _ in range(3):
                self.write_anything(client, dice, 60, 200, live)
                self.wait_expired(client, live)
                found = self.assertEqualStores(server)
                self.assertEqual(found["asked"], 4)
                self.assertEqual(sum(p["keys"] for p in found["partitions"]), len(live))
            self.assertNothingLeft(server)
            server.stop()
            server.start()  # with stores that were kept
            again = self.assertEqualStores(server)
            self.assertEqual([p["digest"] for p in again["partitions"]], [p["digest"] for p in found["partitions"]])
            server.kill()
            server.start()
            self.assertEqualStores(server)
            self.assertNothingLeft(server)

    def test_of_a_log_in_memory(self):
        with self.serving(config={"changelog": "memory", "mode": "development"}) as server:
            live = {}
            self.write_anything(server.client(), random.Random(3), 30, 100, live)
            self.wait_expired(server.client(), live)
            self.assertEqualStores(server)

    def test_after_compaction(self):
        """Records that are superfluous are gone from the log, and so are tombstones; equal all the same."""
        sets = ["mode=development", "embedded.segment=64KiB", "embedded.compaction_interval=100ms"]
        space = {"partitions": 2, "compaction_lag": "100ms", "tombstone_retention": "2h"}
        with self.serving(keyspaces={"notes": space}, sets=sets) as server:
            live, dice, client, found = {}, random.Random(11), server.client(), None
            for _ in range(50):
                self.write_anything(client, dice, 20, 100, live)
                found = self.assertEqualStores(server)
                parts = found["partitions"]
                if sum(p["changelog"]["records"] for p in parts) < sum(p["offset"] for p in parts) // 2:
                    break
            else:
                self.fail(f"nothing was compacted: {found}")

    def test_while_writing_goes_on(self):
        ended = threading.Event()

        def write(number):
            client, dice, live = self.server.client(), random.Random(number), {}
            while not ended.is_set():
                self.write_anything(client, dice, 500, 20, live)
            client.close()

        writers = [threading.Thread(target=write, args=(i,)) for i in range(3)]
        for writer in writers:
            writer.start()
        try:
            offsets = [0] * 4
            for _ in range(8):
                parts = self.assertEqualStores(self.server)["partitions"]
                self.assertTrue(all(p["offset"] >= before for p, before in zip(parts, offsets)), (parts, offsets))
                offsets = [p["offset"] for p in parts]
        finally:
            ended.set()
            for writer in writers:
                writer.join()

    def test_the_plain_digest_can_be_computed_by_anybody(self):
        with self.serving(keyspaces={"notes": {"partitions": 1}}) as server:
            client, values = server.client(), {}
            for i in range(30):
                key, kind, value = b"key %d" % i, random.Random(i).choice(("text/plain", "a/b; c=d")), b"v" * i
                self.assertStatus(client.put(f"/v1/notes/key%20{i}", value, kind), 201)
                values[key] = (kind.encode(), value)
            self.assertStatus(client.delete("/v1/notes/key%207"), 204)
            del values[b"key 7"]
            part = self.assertEqualStores(server)["partitions"][0]
            self.assertEqual((part["keys"], part["plain_digest"]), (29, plain_digest(values)))

    def test_of_one_keyspace_or_partition(self):
        found = self.assertEqualStores(self.server, "--keyspace", "notes")
        self.assertEqual([(p["keyspace"], p["partition"]) for p in found["partitions"]],
                         [("notes", 0), ("notes", 1), ("notes", 2)])
        found = self.assertEqualStores(self.server, "--keyspace", "notes", "--partition", "1")
        self.assertEqual([(p["keyspace"], p["partition"]) for p in found["partitions"]], [("notes", 1)])

    def test_for_people(self):
        self.put("/v1/others/a", b"1")
        done = verify(self.server, "--keyspace", "others")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        head, row, summary = done.stdout.splitlines()
        self.assertEqual(head.split(), ["KEYSPACE", "PARTITION", "OFFSET", "KEYS", "DIGEST", "RESULT"])
        self.assertRegex(row, r"^others +0 +[1-9]\d* +1 [0-9a-f]{32}  equal$")
        self.assertEqual(summary, "1 partition: 1 equal, 0 differ, 0 not decided")


class Different(Verifying):
    def test_a_store_that_was_tampered_with(self):
        key = "milk"
        partition = partition_of(key.encode(), 4)
        reasons = {
            "flip": "as many keys as the changelog has, but other values",
            "version": "as many keys as the changelog has, but other versions",
            "add": "the store has 2 keys, the changelog 1",
            "drop": "the store has 0 keys, the changelog 1",
        }
        for what, reason in reasons.items():
            with self.subTest(what), self.serving(keyspaces={"notes": {"partitions": 4}}) as server:
                server.client().put(f"/v1/notes/{key}", b'{"litres": 2}')
                self.assertEqualStores(server)
                server.stop()
                tamper(server, "notes", partition, what, "nobody put this" if what == "add" else key)
                server.start()
                done = verify(server)
                self.assertEqual(done.returncode, 1, done.stdout)
                rows = done.stdout.splitlines()[1:-1]
                self.assertEqual([row.split()[1] for row in rows if row.endswith(" equal")],
                                 [str(p) for p in range(4) if p != partition])
                self.assertTrue(rows[partition].endswith(f"differs: {reason}"), rows[partition])
                self.assertEqual(done.stdout.splitlines()[-1], "4 partitions: 3 equal, 1 differ, 0 not decided")
                found = server.client().get("/verify").json()
                part = found["partitions"][partition]
                self.assertEqual((found["differs"], part["result"]), (1, "differs"))
                self.assertNotEqual(part["digest"], part["changelog"]["digest"])
                self.assertEqual(verify(server, "--keyspace", "notes", "--partition", str(partition)).returncode, 1)
                server.stop()
                tamper(server, "notes", partition, "drop", "nobody put this")
                folder = os.path.join(server.config["node"]["data"], "state", "notes", str(partition))
                for name in os.listdir(folder):
                    os.unlink(os.path.join(folder, name))
                server.start()  # what doc/operations.md tells to do
                self.assertEqualStores(server)


class Asking(Verifying):
    """Pages and refusals."""

    keyspaces = {"notes": {"partitions": 3}, "many": {"partitions": 40}}

    def wait_done(self, client):
        return wait_until("it ends", lambda: (r := client.get("/verify").json())["state"] != "running" and r)

    def test_the_page(self):
        with self.serving(keyspaces={"notes": {"partitions": 1}}) as server:
            client = server.client()
            none = self.assertStatus(client.get("/verify"), 200)
            self.assertEqual(none.json(), {"state": "none"})
            self.assertEqual(none.headers["cache-control"], "no-store")
            begun = self.assertStatus(client.post("/verify?keyspace=notes&partition=0&timeout=30s"), 202).json()
            self.assertEqual((begun["asked"], begun["state"]), (1, "running"))
            done = self.wait_done(client)
            self.assertEqual((done["run"], done["equal"]), (begun["run"], 1))
            self.assertEqual(client.get("/verify").json(), done, "it is kept")
            self.assertEqual(client.request("OPTIONS", "/verify").headers["allow"], "GET, HEAD, POST, OPTIONS")

    def test_what_is_refused(self):
        for query, kind, detail in (
            ("?keyspace=nothing", "no-route", "nothing"),
            ("?keyspace=notes&partition=3", "no-route", "0 to 2"),
            ("?partition=0", "bad-request", "keyspace"),
            ("?keyspace=", "bad-request", "keyspace"),
            ("?keyspace=notes&partition=-1", "bad-request", "partition"),
            ("?timeout=5", "bad-request", "timeout"),
            ("?timeuot=5s", "bad-request", "timeuot"),
            ("?keyspace=%zz", "bad-request", "%"),
        ):
            self.assertProblem(self.client.post("/verify" + query), kind, detail=detail)
        self.assertProblem(self.client.get("/verify?keyspace=notes"), "bad-request", detail="keyspace")
        self.assertProblem(self.client.put("/verify", b"{}"), "method-not-allowed")

    def test_one_at_a_time(self):
        self.assertStatus(self.client.post("/verify?keyspace=many"), 202)
        problem = self.assertProblem(self.client.post("/verify"), "conflict", detail="GET /verify")
        done = verify(self.server)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"says no (409): {problem['detail']}", done.stderr)
        self.assertEqual(self.wait_done(self.client)["equal"], 40)

    def test_a_time_that_is_too_short(self):
        done = verify(self.server, "--keyspace", "many", "--timeout", "1ms")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"\nmany +39 +- +- -  +not decided: the time was over before it was begun\n")
        self.assertRegex(done.stdout, r"\n40 partitions: \d+ equal, 0 differ, \d+ not decided\n$")

    def test_a_node_that_ends_meanwhile_ends_in_order(self):
        with self.serving() as server:
            self.assertStatus(server.client().post("/verify"), 202)
            self.assertEqual(server.stop(), 0)
            self.assertNothingLeft(server)
            server.start()
            self.assertEqual(server.client().get("/verify").json(), {"state": "none"})

    def test_a_node_that_is_killed_meanwhile_leaves_nothing(self):
        with self.serving() as server:
            self.assertStatus(server.client().post("/verify"), 202)
            server.kill()
            folder = os.path.join(server.config["node"]["data"], "verify")
            os.makedirs(folder, exist_ok=True)  # it is there for a moment only, in which it may have been killed
            with open(os.path.join(folder, "data.mdb"), "wb") as f:
                f.write(b"left")
            server.start()
            self.assertNothingLeft(server)
            self.assertEqualStores(server, "--keyspace", "notes")

    def test_at_once_from_many(self):
        statuses = at_once(8, lambda i: self.server.client().post("/verify?keyspace=many").status)
        self.assertEqual(sorted(statuses), [202] + [409] * 7)
        self.assertEqual(self.wait_done(self.client)["equal"], 40)


class CommandLine(unittest.TestCase):
    def test_what_cannot_be_right_is_usage(self):
        for arguments, says in (
            ([], "expected --url"),
            (["--url", "127.0.0.1:80"], "127.0.0.1:80 is not the address of a node: expected http://HOST:PORT"),
            (["--url", "ftp://x"], "expected http://HOST:PORT"),
            (["--url", "http://x/v1"], "expected http://HOST:PORT"),
            (["--url", "http://x?y"], "expected http://HOST:PORT"),
            (["--url", "http://me@x"], "expected http://HOST:PORT"),
            (["--url", ""], "expected http://HOST:PORT"),
            (["--url", "http://x", "--partition", "1"], "--partition needs --keyspace"),
            (["--url", "http://x", "--keyspace", "a", "--partition", "1a"], "--partition 1a: expected a number"),
            (["--url", "http://x", "--keyspace", "A"], "--keyspace A: a name is"),
            (["--url", "http://x", "--timeout", "5"], "--timeout 5 is not a whole number with a unit"),
            (["--url", "http://x", "--timeout", "0s"], "--timeout 0s: expected 1ms to 36500d"),
            (["--url", "http://x", "more"], "more is too much"),
        ):
            done = subprocess.run([Programs.affinity, "verify", *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertTrue(done.stderr.startswith("affinity verify: ") and says in done.stderr, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)


@contextlib.contextmanager
def pretending(answers):
    """A server that gives these answers, (status, body) each, and is gone after the last. Yields its address."""
    answers = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            if not answers:
                self.connection.close()
                return
            status, body = answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def running(run, state="running"):
    return json.dumps({"run": run, "state": state, "asked": 1, "equal": 0, "partitions": []}).encode()


ALONE = (200, b'{"node": "n1", "nodes": [{"name": "n1", "live": true, "http": "127.0.0.1:1"}]}')  # what /cluster says


class NoNode(unittest.TestCase):
    def assertFails(self, url, *says):
        done = verify(url)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        for one in says:
            self.assertIn(one, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_nobody_is_there(self):
        with pretending([]) as url:
            pass
        self.assertFails(url, f"no answer from {url}")

    def test_somebody_else_is_there(self):
        with pretending([(200, b"<html>")]) as url:
            self.assertFails(url, "answered with status 200 and is no node of this release")
        with pretending([(404, b"<html>")]) as url:
            self.assertFails(url, "answered with status 404 and is no node of this release")

    def test_the_node_goes_away_in_the_middle(self):
        with pretending([ALONE, (202, running("a")), (200, running("a")), (200, running("a"))]) as url:
            self.assertFails(url, f"no answer from {url}", "the verification was not finished")

    def test_the_node_was_started_anew_in_the_middle(self):
        for body in (b'{"state": "none"}', running("b"), running("b", "done")):
            with pretending([ALONE, (202, running("a")), (200, running("a")), (200, body)]) as url:
                self.assertFails(url, f"{url} does not know this verification any more")


class Cluster(unittest.TestCase):
    """Every node that lives is asked; nodes that pretend, for what matters is what becomes of their answers."""

    def begun_and_done(self, run, equal):
        done = {"run": run, "state": "done", "asked": 2, "equal": equal, "differs": 2 - equal, "undecided": 0, "partitions": []}
        return [(202, running(run)), (200, json.dumps(done).encode())]

    def cluster_of(self, *addresses):
        nodes = [{"name": f"n{i}", "live": True, "http": address} for i, address in enumerate(addresses, 1)]
        return 200, json.dumps({"node": "n1", "nodes": [*nodes, {"name": "n9", "live": False}]}).encode()

    def test_all_are_equal(self):
        with pretending(self.begun_and_done("b", 2)) as other:
            address = other.removeprefix("http://")
            with pretending([self.cluster_of("127.0.0.1:1", address), *self.begun_and_done("a", 2)]) as url:
                done = verify(url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"node n1 at {url}\n\nnode n2 at {other}\n\n4 partitions: 4 equal, 0 differ, 0 not decided\n")

    def test_one_differs(self):
        with pretending(self.begun_and_done("b", 1)) as other:
            address = other.removeprefix("http://")
            with pretending([self.cluster_of("127.0.0.1:1", address), *self.begun_and_done("a", 2)]) as url:
                done = verify(url, "--json")
        found = json.loads(done.stdout)
        self.assertEqual((done.returncode, found["asked"], found["equal"], found["differs"]), (1, 4, 3, 1))
        self.assertEqual([run["node"] for run in found["nodes"]], ["n1", "n2"])

    def test_one_is_not_there(self):
        with pretending([self.cluster_of("127.0.0.1:1", "127.0.0.1:1"), *self.begun_and_done("a", 2)]) as url:
            done = verify(url)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no answer from http://127.0.0.1:1", done.stderr)
        self.assertIn("\n2 partitions: 2 equal", done.stdout)

    def test_this_node_alone(self):
        with pretending(self.begun_and_done("a", 2)) as url:
            done = verify(url, "--here")
        self.assertEqual((done.returncode, done.stdout), (0, "2 partitions: 2 equal, 0 differ, 0 not decided\n"))


if __name__ == "__main__":
    main()
