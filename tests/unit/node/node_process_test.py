"""node_process_test - a node as a process: command line, ready file, signals, what it refuses to start with, its health."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import Server, ServerFailed

NOTES = {"notes": {"partitions": 3}}
SLOW_DISK = "changelog.before-write=sleep:{}@{}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(*options):
    """Runs `affinity serve` that is to end by itself."""
    return subprocess.run([BINARY, "serve", *options], capture_output=True, text=True, timeout=60)


class CommandLineTest(unittest.TestCase):
    def test_help_and_version(self):
        self.assertIn("usage: affinity serve -c FILE", serve("--help").stdout)
        self.assertRegex(serve("--version").stdout, r"^affinity \d+\.\d+\.\d+\n$")

    def test_a_wrong_command_line_is_status_2(self):
        for options, says in ((["--nonsense"], "--nonsense is not an option"), (["-c"], "-c needs an argument"),
                              (["extra"], "extra is too much")):
            done = serve(*options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"affinity serve: {says}", done.stderr)

    def test_every_error_of_the_configuration_is_told_with_its_place(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("cluster: Demo\nkeyspaces:\n  notes: { partitions: 0 }\n")
            f.flush()
            done = serve("-c", f.name, "--set", "node.loops=many")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{f.name}:1:10: cluster:", done.stderr)
        self.assertIn(f"{f.name}:3:24: keyspaces.notes.partitions:", done.stderr)
        self.assertIn("--set 1: node.loops:", done.stderr)

    def test_there_must_be_something_to_serve(self):
        done = serve()
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing to serve", done.stderr)

    def test_fault_points_that_cannot_be_read_are_refused(self):
        env = {**os.environ, "AFFINITY_FAULTS": "a.b=explode"}
        done = subprocess.run([BINARY, "serve", "--set", "keyspaces.a="], env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("fault points: 'a.b=explode'", done.stderr)


class StartTest(unittest.TestCase):
    def refuses(self, server, *says):
        with self.assertRaises(ServerFailed) as caught:
            server.start()
        self.assertEqual(server.process.returncode, 1)
        for one in says:
            self.assertIn(one, str(caught.exception))

    def test_the_ready_file_is_one_line_with_address_and_pid(self):
        with Server([BINARY, "serve"], NOTES) as server:
            with open(server.ready_path, encoding="utf-8") as f:
                line = f.read()
            self.assertEqual(json.loads(line), {
                "http": [f"127.0.0.1:{server.port}"], "pid": server.process.pid, "worker": server.process.pid})
            self.assertEqual(line.count("\n"), 1)
            self.assertEqual([n for n in os.listdir(server.folder) if n.startswith("ready")], ["ready.json"])

    def test_a_ready_file_of_a_run_before_goes_away_at_once(self):
        server = Server([BINARY, "serve"], NOTES, faults=SLOW_DISK.format(400, 1))
        try:
            server.start(wait=False)
            with open(server.ready_path, "w", encoding="utf-8") as f:
                f.write("stale")  # it may be there already when the process looks: start it again
            server.stop()
            server.faults = None
            with open(server.ready_path, "w", encoding="utf-8") as f:
                f.write("stale")
            server.start()
        finally:
            server.kill()
            server.remove()

    def test_several_listeners(self):
        config = {"http": [{"listen": "127.0.0.1:0"}, {"listen": "[::1]:0"}]}
        with Server([BINARY, "serve"], NOTES, config) as server:
            self.assertEqual(len(server.addresses), 2)
            with socket.create_connection(("::1", int(server.addresses[1].rsplit(":", 1)[1]))) as s:
                s.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertIn(b"200 OK", s.recv(1000))

    def test_a_port_that_is_taken_is_told(self):
        with Server([BINARY, "serve"], NOTES) as first:
            second = Server([BINARY, "serve"], NOTES, {"http": [{"listen": f"127.0.0.1:{first.port}"}]})
            self.addCleanup(second.remove)
            self.refuses(second, "127.0.0.1", str(first.port), "Address already in use")

    def test_a_folder_that_is_held_is_told_with_the_holder(self):
        with Server([BINARY, "serve"], NOTES) as first:
            second = Server([BINARY, "serve"], NOTES, {"node": first.config["node"]})
            self.addCleanup(second.remove)
            self.refuses(second, str(first.process.pid), os.path.join(first.folder, "data"))

    def test_another_number_of_partitions_is_refused(self):
        with Server([BINARY, "serve"], NOTES) as server:
            server.stop()
            server.config["keyspaces"] = {"notes": {"partitions": 4}}
            self.refuses(server, "test.notes", "3", "4")

    def test_a_partition_that_fails_is_named(self):
        with Server([BINARY, "serve"], {"notes": {"partitions": 1}}) as server:
            for i in range(5):
                self.assertEqual(server.client().put(f"/v1/notes/{i}", b"1").status, 201)
            server.stop()
            log = os.path.join(server.folder, "data", "log")
            for name in os.listdir(log):  # the store is ahead of a log that is empty
                if name.endswith(".journal"):
                    os.unlink(os.path.join(log, name))
            self.refuses(server, "keyspace notes, partition 0: ", "the log")

    def test_too_few_files_are_told_by_numbers(self):
        server = Server([BINARY, "serve"], NOTES, {"limits": {"connections": 100000}})
        self.addCleanup(server.remove)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        limited = ["bash", "-c", 'ulimit -n 4096; exec "$0" "$@"', BINARY, "serve"]
        server.command = limited
        self.refuses(server, "100000 for limits.connections", "RLIMIT_NOFILE allows 4096")
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), before)

    def test_folders_are_made(self):
        with tempfile.TemporaryDirectory() as folder:
            node = {"name": "n1", "data": os.path.join(folder, "a", "b", "c")}
            with Server([BINARY, "serve"], NOTES, {"node": node}):
                self.assertEqual(sorted(os.listdir(node["data"])), ["log", "state"])


class KafkaTest(unittest.TestCase):
    """A changelog in Kafka whose brokers are not there."""

    def setUp(self):
        broker, port = free_port(), free_port()
        self.broker = f"127.0.0.1:{broker}"
        config = {"changelog": "kafka", "kafka": {"bootstrap.servers": self.broker},
                  "http": [{"listen": f"127.0.0.1:{port}"}]}
        self.server = Server([BINARY, "serve"], NOTES, config)
        self.server.addresses = [f"127.0.0.1:{port}"]
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)

    def test_it_lives_and_says_what_is_missing_until_it_is_told_to_end(self):
        server = self.server
        server.start(wait=False)
        self.assertEqual(HealthTest.get_when_up(server, "/livez").json()["live"], True)
        until = time.monotonic() + 30
        while self.broker not in (trouble := server.client().get("/readyz").json()["changelog"]["trouble"]):
            self.assertLess(time.monotonic(), until, trouble)
            time.sleep(0.1)
        answer = server.client().get("/readyz")
        self.assertEqual((answer.status, answer.json()["serving"]), (503, 0))
        self.assertEqual(answer.json()["changelog"]["driver"], "kafka")
        self.assertIn("aff_changelog_trusted 0\n", server.client().get("/metrics").body.decode())
        for request in (lambda c: c.put("/v1/notes/milk", b"1"), lambda c: c.get("/v1/notes/milk")):
            answer = request(server.client())
            self.assertEqual((answer.status, answer.headers["affinity-outcome"]), (503, "not-applied"), answer)
        self.assertEqual(server.client().get("/livez").status, 200)
        self.assertIn("event=node.topics-not-known", server.log())
        self.assertEqual(server.stop(), 0)

    def test_a_start_that_may_not_wait_for_ever_ends(self):
        self.server.config["kafka"]["start_timeout"] = "1s"
        with self.assertRaises(ServerFailed) as caught:
            self.server.start()
        self.assertEqual(self.server.process.returncode, 1)
        self.assertIn("not started within kafka.start_timeout: ", str(caught.exception))

    def test_what_the_driver_refuses_is_told_with_its_place(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("changelog: kafka\nkafka:\n  bootstrap.servers: b:1\n  acks: 1\n")
            f.flush()
            for command in "serve", "check":
                done = subprocess.run([BINARY, command, "-c", f.name], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"{f.name}:4:9: kafka.acks cannot be '1': ", done.stderr)
            done = subprocess.run([BINARY, "check", "-c", f.name, "--set", "kafka.acks=all", "--set",
                                   "kafka.sasl.password=hidden"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0)
            self.assertIn('  sasl.password: "***"\n', done.stdout)


class HealthTest(unittest.TestCase):
    def test_health_answers_while_partitions_recover(self):
        port = free_port()
        config = {"http": [{"listen": f"127.0.0.1:{port}"}]}
        server = Server([BINARY, "serve"], NOTES, config, faults=SLOW_DISK.format(3000, 1))
        try:
            server.start(wait=False)
            server.addresses = [f"127.0.0.1:{port}"]
            self.assertEqual(self.get_when_up(server, "/livez").json()["live"], True)
            ready = server.client().get("/readyz")
            self.assertEqual((ready.status, ready.json()["ready"], ready.json()["serving"]), (503, False, 0))
            self.assertEqual({w["keyspace"] for w in ready.json()["waiting"]}, {"notes"})
            answer = server.client().get("/v1/notes/milk")
            self.assertEqual(answer.status, 503, answer)
            self.assertTrue(answer.json()["type"].endswith("/no-master"), answer)
            server.wait_ready()
            self.assertEqual(server.client().get("/readyz").json()["serving"], 3)
        finally:
            server.kill()
            server.remove()

    @staticmethod
    def get_when_up(server, target):
        until = time.monotonic() + 30
        while True:
            try:
                return server.client().get(target)
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def test_a_read_waits_until_what_was_applied_is_committed(self):
        """I5: other loops read snapshots; a new master may serve them when its state is in there, and not before."""
        config = {"http": [{"listen": f"127.0.0.1:{free_port()}"}]}
        with Server([BINARY, "serve"], {"notes": {"partitions": 1}}, config) as server:
            self.assertEqual(server.client().put("/v1/notes/milk", b"1").status, 201)
            server.kill()
            shutil.rmtree(os.path.join(server.folder, "data", "state"))
            server.faults = ",".join(f"partition.before-commit=sleep:300@{i}" for i in range(1, 6))
            addresses = server.addresses
            server.start(wait=False)
            server.addresses = addresses
            self.get_when_up(server, "/livez")
            statuses = []

            def look():  # some on the partition's loop, some on the other
                client = server.client()
                while 200 not in statuses:
                    statuses.append(client.get("/v1/notes/milk").status)

            threads = [threading.Thread(target=look) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(set(statuses) - {503}, {200}, statuses)

    def test_readyz_lists_every_partition_when_asked(self):
        with Server([BINARY, "serve"], NOTES) as server:
            answer = server.client().get("/readyz?verbose")
            self.assertEqual(answer.status, 200)
            self.assertEqual([p["partition"] for p in answer.json()["all"]], [0, 1, 2])
            self.assertEqual({p["role"] for p in answer.json()["all"]}, {"master"})

    def test_every_health_answer_tells_of_development(self):
        with Server([BINARY, "serve"], NOTES, {"mode": "development", "changelog": "memory"}) as server:
            for target in ("/livez", "/readyz", "/cluster"):
                self.assertEqual(server.client().get(target).json()["mode"], "development", target)

    def test_cluster_tells_who_leads_what(self):
        with Server([BINARY, "serve"], NOTES) as server:
            server.client().put("/v1/notes/milk", b"1")
            cluster = server.client().get("/cluster").json()
            self.assertEqual((cluster["cluster"], cluster["node"]), ("test", "n1"))
            self.assertEqual(cluster["http"], server.addresses)
            self.assertEqual(len(cluster["partitions"]), 3)
            self.assertEqual(sum(p["applied"] for p in cluster["partitions"]), 4)  # three claims and the note
            for part in cluster["partitions"]:
                self.assertEqual((part["epoch"], part["dirty"], part["role"]), ("1.0", 0, "master"))
                self.assertRegex(part["identity"], "^[0-9a-f]{8}$")

    def test_metrics_are_well_formed_and_count(self):
        with Server([BINARY, "serve"], NOTES) as server:
            before = self.metrics(server)
            self.assertEqual(server.client().put("/v1/notes/milk", b"1").status, 201)
            self.assertEqual(server.client().put("/v1/notes/milk", b"{").status, 400)
            after = self.metrics(server)

        def total(samples, name):
            return sum(v for k, v in samples.items() if k.split("{")[0] == name)

        self.assertEqual(total(after, "aff_partition_committed_total") - total(before, "aff_partition_committed_total"), 1)
        self.assertEqual(total(after, "aff_partition_applied") - total(before, "aff_partition_applied"), 1)
        self.assertEqual(total(after, "aff_partition_serves"), 3)
        self.assertEqual(after['aff_partition_role{keyspace="notes",partition="0",role="master"}'], 1)
        self.assertGreater(after["aff_process_resident_bytes"], 1000000)
        self.assertGreater(after["aff_process_open_files"], 10)
        self.assertNotIn("milk", str(after))

    def test_every_metric_is_documented(self):
        with Server([BINARY, "serve"], NOTES) as server:
            served = {name.split("{")[0] for name in self.metrics(server)}
        with open(os.path.join(SOURCE_ROOT, "doc", "operations.md"), encoding="utf-8") as f:
            told = set(re.findall(r"`(aff_[a-z_]+)`", f.read()))
        # those of a cluster are looked at where there is one (tests/cluster/nodes_test.py)
        self.assertEqual(served, {name for name in told if not name.startswith(("aff_cluster_", "aff_peer_", "aff_router_"))})

    def metrics(self, server):
        answer = server.client().get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"), answer.headers)
        samples, families, current = {}, set(), None
        for line in answer.body.decode().splitlines():
            if line.startswith("# HELP "):
                current = line.split(" ")[2]
                self.assertNotIn(current, families, "a family comes once")
                families.add(current)
            elif line.startswith("# TYPE "):
                self.assertEqual(line.split(" ")[2], current)
                self.assertIn(line.split(" ")[3], ("counter", "gauge", "histogram"))
            else:
                match = re.fullmatch(r"(aff_[a-z0-9_]+)(\{.*\})? (\S+)", line)
                self.assertTrue(match, line)
                self.assertTrue(match[1].startswith(current), line)
                samples[match[1] + (match[2] or "")] = float(match[3])
        return samples


class EndTest(unittest.TestCase):
    def test_sigterm_and_sigint_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server([BINARY, "serve"], NOTES) as server:
                client = server.client()
                self.assertEqual(client.put("/v1/notes/milk", b"1").status, 201)
                server.process.send_signal(number)
                self.assertEqual(server.process.wait(30), 0)
                self.assertFalse(os.path.exists(server.ready_path))
                self.assertIn("event=node.ended how=drained", server.log())

    def test_what_is_under_way_is_finished(self):
        with Server([BINARY, "serve"], NOTES, faults=SLOW_DISK.format(1000, 6)) as server:
            answers = []

            def put(name):
                answers.append(server.client().put(f"/v1/notes/{name}", b"1"))

            threads = [threading.Thread(target=put, args=(i,)) for i in range(20)]
            for thread in threads:
                thread.start()
            self.wait_for_queue(server, 20, answers)
            self.assertEqual(server.stop(), 0)
            for thread in threads:
                thread.join()
            self.assertEqual({a.status for a in answers} - {201}, set(), answers)
            self.assertEqual(len(answers), 20)

    @staticmethod
    def wait_for_queue(server, count, answers):
        """Until every request is answered, or has come to its partition."""
        client = server.client()
        while True:
            done = len(answers)
            text = client.get("/metrics").body.decode()
            here = re.findall(r"^aff_partition_(?:in_flight|queued)\{.*\} (\d+)$", text, re.M)
            if done + sum(map(int, here)) >= count:
                return
            time.sleep(0.001)

    def test_a_second_signal_hurries(self):
        config = {"limits": {"exchange_timeout": "1h"}}
        faults = SLOW_DISK.format(4000, 5)
        with Server([BINARY, "serve"], NOTES, config, faults=faults) as server:
            outcome = []

            def put_some():
                client = server.client()
                try:
                    for i in range(20):
                        outcome.append(client.put(f"/v1/notes/{i}", b"1").status)
                except OSError as error:
                    outcome.append(error)

            thread = threading.Thread(target=put_some)
            thread.start()
            self.wait_for_queue_to_stay(server)
            server.process.send_signal(signal.SIGTERM)
            while "event=node.draining" not in server.log():
                time.sleep(0.001)
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(30), 1)
            self.assertIn('how="requests were cut off"', server.log())
            thread.join()
            self.assertNotEqual(outcome[-1], 201)

    @staticmethod
    def wait_for_queue_to_stay(server):
        """Until one write is in flight for longer than any disk takes: the slow one."""
        client, since = server.client(), None
        while since is None or time.monotonic() - since < 0.5:
            text = client.get("/metrics").body.decode()
            busy = sum(int(n) for n in re.findall(r"^aff_partition_in_flight\{.*\} (\d+)$", text, re.M))
            since = (since or time.monotonic()) if busy else None

    def test_a_signal_while_it_starts_ends_it(self):
        server = Server([BINARY, "serve"], NOTES, faults=SLOW_DISK.format(1000, 1))
        try:
            server.start(wait=False)
            while "aff-loop" not in self.threads(server):
                time.sleep(0.001)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("node.serving", server.log())
        finally:
            server.kill()
            server.remove()

    @staticmethod
    def threads(server):
        names = ""
        folder = f"/proc/{server.process.pid}/task"
        for task in os.listdir(folder):
            try:
                with open(f"{folder}/{task}/comm", encoding="utf-8") as f:
                    names += f.read()
            except OSError:
                pass
        return names


if __name__ == "__main__":
    BINARY, SOURCE_ROOT = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
