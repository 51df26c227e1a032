"""node_test - what a node says about itself: the ready file, /livez, /readyz, /metrics, /cluster."""
import http.client
import json
import os
import re
import signal
import subprocess

from conversation import Conversation, Programs, main, metrics_of, total, wait_until
from harness import ServerFailed

SERIES = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (\S+)')


def parse_exposition(text):
    """({series: value}, {family: type}) of the Prometheus text format 0.0.4, refusing whatever it does not allow."""
    values, types, helps, current = {}, {}, set(), None
    assert text.endswith("\n"), "the last line does not end"
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in helps, f"{current} is described twice"
            helps.add(current)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and name not in types, f"the type of {name} does not follow its help"
            assert kind in ("counter", "gauge", "histogram", "summary"), line
            types[name] = kind
        else:
            parts = SERIES.fullmatch(line)
            assert parts, f"this is no sample: {line!r}"
            name, labels, value = parts.groups()
            family = name if name in types else re.sub("_(bucket|sum|count)$", "", name)
            assert family == current, f"{name} stands among {current}"
            series = name + (labels or "")
            assert series not in values, f"{series} is there twice"
            values[series] = float(value)
    return values, types


class Pages(Conversation):
    keyspaces = {"notes": {"partitions": 3}, "others": {"partitions": 1}}

    def page(self, path):
        answer = self.assertStatus(self.client.get(path), 200)
        self.assertEqual(answer.headers["content-type"], "application/json", answer)
        self.assertEqual(answer.headers["cache-control"], "no-store", answer)
        return answer.json()

    def test_livez(self):
        page = self.page("/livez")
        self.assertEqual((page["live"], page["mode"]), (True, "production"))

    def test_readyz(self):
        page = self.page("/readyz")
        self.assertEqual((page["ready"], page["draining"], page["partitions"], page["serving"]), (True, False, 4, 4))
        self.assertNotIn("all", page)
        verbose = self.page("/readyz?verbose")["all"]
        named = sorted((p["keyspace"], p["partition"]) for p in verbose)
        self.assertEqual(named, [("notes", 0), ("notes", 1), ("notes", 2), ("others", 0)])
        self.assertEqual({(p["role"], p["serves"]) for p in verbose}, {("master", True)})
        self.assertProblem(self.client.get("/readyz?vebrose"), "bad-request", detail="vebrose")

    def test_cluster(self):
        self.put("/v1/others/a", b"1")
        page = self.page("/cluster")
        self.assertEqual((page["cluster"], page["node"], page["loops"]), ("test", "n1", 2))
        self.assertEqual(page["http"], self.server.addresses)
        parts = {(p["keyspace"], p["partition"]): p for p in page["partitions"]}
        self.assertEqual(len(parts), 4)
        for part in parts.values():
            self.assertEqual((part["role"], part["serves"], part["dirty"]), ("master", True, 0), part)
        identity, partition, offset = self.tag_of(self.client.get("/v1/others/a"))
        self.assertEqual(parts["others", partition]["identity"], identity)
        wait_until("all is applied", lambda: self.all_is_applied(offset))

    def test_cluster_of_one(self):
        page = self.page("/cluster")
        self.assertNotIn("coordinator", page)
        (node,) = page["nodes"]
        self.assertEqual((node["name"], node["live"], node["draining"], node["leads"], node["holds"]), ("n1", True, False, 4, 4))
        for part in page["partitions"]:
            self.assertEqual(part["master"], "n1")
            self.assertEqual([(r["node"], r["state"], r["in_step"]) for r in part["replicas"]], [("n1", "leads", True)])

    def status(self, *options):
        line = [Programs.affinity, "status", *options]
        return subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def test_status(self):
        url = f"http://127.0.0.1:{self.server.port}"
        done = self.status("--url", url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^cluster test, as n1 sees it")
        self.assertRegex(done.stdout, r"(?m)^n1 +0 +live .* 4 +4$")
        self.assertRegex(done.stdout, r"(?m)^notes +2 +n1 +\d+ +- +- +master +\d+ +\d+ +0$")
        self.assertRegex(done.stdout, r"(?m)^4 partitions: 0 without a master, 0 with a replica that is not in step$")
        done = self.status("--json", "--url", url)
        self.assertEqual((done.returncode, json.loads(done.stdout)["node"]), (0, "n1"))
        for options, status in ((), 2), (("--url", "nonsense"), 2), (("--url", "http://127.0.0.1:1"), 1):
            self.assertEqual(self.status(*options).returncode, status, options)

    def all_is_applied(self, offset):
        """Numbers are published a moment after the answer that they belong to."""
        parts = self.page("/cluster")["partitions"]
        return all(p["applied"] == p["log_end"] and (p["keyspace"] != "others" or p["applied"] > offset) for p in parts)

    def test_head_of_a_page(self):
        for path in ("/livez", "/readyz", "/metrics", "/cluster"):
            answer = self.client.request("HEAD", path)
            self.assertEqual((answer.status, answer.body), (200, b""), answer)

    def test_metrics_are_prometheus_text(self):
        answer = self.client.get("/metrics")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        values, types = parse_exposition(answer.body.decode())
        for family, kind in types.items():
            self.assertTrue(family.startswith("aff_"), family)
            self.assertEqual(kind == "counter", family.endswith("_total"), f"{family} is a {kind}")
        self.assertEqual(values['aff_partition_serves{keyspace="notes",partition="2"}'], 1)
        self.assertGreater(values["aff_process_resident_bytes"], 1e6)
        self.assertNotIn("/v1/notes/", answer.body.decode().replace("/v1/{keyspace}/{key}", ""), "a key is a label")

    def test_counters_move_and_never_back(self):
        before, types = parse_exposition(self.client.get("/metrics").body.decode())
        for i in range(10):
            self.put(f"/v1/notes/count-{i}", b"1")
            self.assertStatus(self.client.get(f"/v1/notes/count-{i}"), 200)
            self.assertAbsent(f"/v1/notes/none-{i}")
        self.client.get("/nowhere")
        self.wire().request("GET", "/livez", "X : y").answer()
        after, _ = parse_exposition(self.client.get("/metrics").body.decode())
        self.assertEqual(before.keys(), after.keys())
        for series, value in before.items():
            if types[series.split("{")[0]] == "counter":
                self.assertGreaterEqual(after[series], value, f"{series} went back")

        def moved(series):
            return after[series] - before[series]

        value = 'aff_http_requests_total{{route="/v1/{{keyspace}}/{{key}}",status="{}xx"}}'
        self.assertEqual((moved(value.format(2)), moved(value.format(4))), (20, 10))
        self.assertEqual(moved('aff_http_requests_total{route="/metrics",status="2xx"}'), 1)
        self.assertEqual(moved("aff_http_bad_framing_total"), 1)
        self.assertEqual(sum(moved(s) for s in before if s.startswith("aff_partition_committed_total")), 10)

    def test_the_number_of_connections_is_right(self):
        wires = [self.wire() for _ in range(5)]
        for wire in wires:
            wire.request("GET", "/livez").answer()
        wait_until("these are all", lambda: total(metrics_of(self.client), "aff_http_connections") == 6)


class Starting(Conversation):
    def test_the_ready_file_tells_addresses_and_process(self):
        with self.serving(config={"http": [{"listen": "127.0.0.1:0"}, {"listen": "127.0.0.1:0"}]}) as server:
            with open(server.ready_path, encoding="utf-8") as f:
                text = f.read()
            self.assertRegex(text, r"\A[^\n]+\n\Z", "it is one line")
            ready = json.loads(text)
            self.assertEqual(ready["pid"], server.process.pid)
            self.assertEqual(len(ready["http"]), 2)
            for address in ready["http"]:
                host, port = address.rsplit(":", 1)
                connection = http.client.HTTPConnection(host, int(port), timeout=30)
                connection.request("GET", "/livez")
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
            self.assertEqual(server.client().get("/cluster").json()["http"], ready["http"])
            self.assertEqual([f for f in os.listdir(server.folder) if "ready" in f], ["ready.json"])
            server.stop()
            self.assertFalse(os.path.exists(server.ready_path), "it outlived the process")

    def test_an_address_of_ipv6(self):
        try:
            with self.serving(config={"http": [{"listen": "[::1]:0"}]}) as server:
                self.assertRegex(server.addresses[0], r"^\[::1\]:[0-9]+$")
                self.assertStatus(server.client().get("/livez"), 200)
        except ServerFailed as failure:
            if "Cannot assign requested address" not in str(failure):
                raise
            self.skipTest("this machine has no IPv6")

    def test_an_address_that_is_taken_is_an_error_that_names_it(self):
        with self.assertRaises(ServerFailed) as failed:
            with self.serving(config={"http": [{"listen": self.server.addresses[0]}]}):
                pass
        self.assertIn(str(self.server.port), str(failed.exception))

    def test_a_folder_that_is_held_is_an_error_that_names_it(self):
        with self.assertRaises(ServerFailed) as failed:
            with self.serving(config={"node": {"name": "n2", "data": self.server.config["node"]["data"]}}):
                pass
        self.assertIn(self.server.config["node"]["data"], str(failed.exception))
        self.assertStatus(self.client.get("/readyz"), 200)

    def test_a_keyspace_cannot_change_its_number_of_partitions(self):
        with self.serving(keyspaces={"notes": {"partitions": 4}}) as server:
            server.client().put("/v1/notes/a", b"1")
            server.stop()
            server.config["keyspaces"]["notes"]["partitions"] = 5
            with self.assertRaises(ServerFailed) as failed:
                server.start()
            self.assertRegex(str(failed.exception), "notes")
            self.assertRegex(str(failed.exception), "4")
            server.config["keyspaces"]["notes"]["partitions"] = 4
            server.start()
            self.assertValue("/v1/notes/a", b"1", client=server.client())

    def test_interrupt_ends_in_order_as_well(self):
        with self.serving() as server:
            server.client().put("/v1/notes/a", b"1")
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(server.process.wait(60), 0)


if __name__ == "__main__":
    main()
