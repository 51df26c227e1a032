"""nodes_test - three nodes that share their partitions: any of them takes any request, others take over from one that dies, is drained or
is stopped. One broker and one ZooKeeper: what is tested is between the nodes."""
import os
import re
import subprocess
import sys
import unittest

from cluster import Cluster

AFFINITY = sys.argv[1]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "operations.md"), encoding="utf-8") as doc:
    OPERATIONS = doc.read()
KEYS = [f"k{i}" for i in range(24)]


def led_by(cluster, name):
    return sorted(key for key, master in cluster.masters().items() if master == name)


class NodesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(AFFINITY, nodes=3, brokers=1, servers=1, config={"mode": "development"},
                              keyspaces={"accounts": {"partitions": 6, "replicas": 2}})
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)

    def setUp(self):
        self.nodes = list(self.cluster.nodes.values())
        self.cluster.await_settled()

    def put_all(self, text):
        """Every key through every node; the last one's word counts."""
        for node in self.nodes:
            for key in KEYS:
                answer = node.ask("PUT", f"/v1/accounts/{key}", f'"{text} by {node.name}"'.encode(), timeout=60,
                                  Content_Type="application/json")
                self.assertIn(answer.status, (200, 201), f"PUT {key} through {node.name}: {answer}\n{node.log()[-2000:]}")
        return f'"{text} by {self.nodes[-1].name}"'.encode()

    def check_all(self, expected):
        for node in self.nodes:
            for key in KEYS:
                answer = node.ask("GET", f"/v1/accounts/{key}", timeout=60)
                self.assertEqual((answer.status, answer.body), (200, expected), f"GET {key} through {node.name}\n{node.log()[-2000:]}")

    def run_cli(self, *arguments):
        return subprocess.run([AFFINITY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def moved_away(self, name):
        self.cluster.wait_for(lambda: not led_by(self.cluster, name) and len(self.cluster.masters()) == 6,
                              lambda: f"{name} leads {led_by(self.cluster, name)} of {self.cluster.masters()}")

    def given(self, node, key):
        """What it counts of that partition: hand-overs that were done, that were not, and for how long writes waited for them."""
        metrics = node.ask("GET", "/metrics").body.decode()
        labels = re.escape(f'{{keyspace="{key[0]}",partition="{key[1]}"}}')
        return [float(re.search(f"^aff_partition_{name}{labels} (.+)$", metrics, re.M)[1])
                for name in ("given_total", "not_given_total", "given_seconds_total")]

    def test_every_node_takes_every_key(self):
        self.check_all(self.put_all("one"))

    def test_every_verb_goes_through_every_node(self):
        """What a node says of a key is the same whoever leads it: versions, conditions, repeats, patches."""
        for number, node in enumerate(self.nodes):
            for key in KEYS[:8]:
                path, other = f"/v1/accounts/verb-{key}", self.nodes[number - 1]
                made = node.ask("PUT", path, b'{"a":1}', timeout=60, Content_Type="application/json", Idempotency_Key=f"{key}-{number}")
                again = other.ask("PUT", path, b'{"a":1}', timeout=60, Content_Type="application/json", Idempotency_Key=f"{key}-{number}")
                self.assertEqual((made.status, again.status), (201, 201), f"{made}\n{again}")
                self.assertEqual((made.headers["etag"], again.headers["affinity-replayed"]), (again.headers["etag"], "true"))
                same = other.ask("GET", path, timeout=60, If_None_Match=made.headers["etag"])
                self.assertEqual((same.status, same.headers["etag"], same.body), (304, made.headers["etag"], b""), f"{same}")
                head = node.ask("HEAD", path, timeout=60)
                self.assertEqual((head.status, head.headers["content-length"], head.headers["content-type"]), (200, "7", "application/json"), f"{head}")
                patched = node.ask("PATCH", path, b'{"b":2}', timeout=60, Content_Type="application/merge-patch+json",
                                   If_Match=made.headers["etag"], Prefer="return=representation")
                self.assertEqual((patched.status, patched.body), (200, b'{"a":1,"b":2}'), f"{patched}")
                stale = other.ask("DELETE", path, timeout=60, If_Match=made.headers["etag"])
                self.assertEqual(stale.status, 412, f"{stale}")
                bad = node.ask("PATCH", path, b'[{"op":"test","path":"/a","value":9}]', timeout=60,
                               Content_Type="application/json-patch+json")
                self.assertEqual(bad.status, 409, f"{bad}")
                found = other.ask("GET", f"/outcome/{patched.headers.get('affinity-request-id')}", timeout=60)
                self.assertIn(b'"committed"', found.body, f"{found}")
                gone = other.ask("DELETE", path, timeout=60, If_Match=patched.headers["etag"])
                self.assertEqual(gone.status, 204, f"{gone}")
                self.assertEqual(node.ask("GET", path, timeout=60).status, 404)

    def test_copies_are_read_as_old_as_the_reader_allows(self):
        """Three nodes hold two copies of a partition: each read is answered by the leader, a copy, or a node that asks the leader."""
        for number, node in enumerate(self.nodes):
            for key in KEYS[:12]:
                path, body = f"/v1/accounts/copy-{key}", b'{"round":%d}' % number
                place = node.ask("PUT", path, body, timeout=60, Content_Type="application/json").headers["affinity-position"]
                for reader in self.nodes:
                    own = reader.ask("GET", path, timeout=60, Affinity_Consistency=f"at-least={place}")
                    self.assertEqual((own.status, own.body, own.headers["affinity-position"]), (200, body, place),
                                     f"{key} through {reader.name}: {own}\n{reader.log()[-2000:]}")
                    for lag in ("60s", "1ms"):  # by a word that is known mostly, and by one that has to be asked for
                        young = reader.ask("GET", path, timeout=60, Affinity_Consistency=f"eventual; max-lag={lag}")
                        self.assertEqual((young.status, young.body), (200, body), f"{key} through {reader.name}: {young}")

    def test_lines_and_pages_go_through_every_node(self):
        lines = b"".join(b'{"key":"line-%02d","value":%d}\n' % (i, i) for i in range(40))
        for node in self.nodes:
            told = node.ask("POST", "/v1/accounts", lines, timeout=60, Content_Type="application/jsonl")
            self.assertEqual(told.status, 200, f"{told}")
            self.assertEqual(told.body.count(b'"status":20'), 40, f"{told}")
            page = node.ask("GET", "/v1/accounts?prefix=line-&limit=100", timeout=60)
            self.assertEqual(page.body.count(b'"key":"line-'), 40, f"{page}")

    def test_others_take_over_from_a_worker_that_is_killed(self):
        written = self.put_all("two")
        node = self.cluster.leads_most()
        worker = node.worker()
        before = led_by(self.cluster, node.name)
        node.kill_worker()
        self.check_all(written)
        self.check_all(self.put_all("three"))
        self.cluster.wait_for(lambda: node.worker() not in (None, worker), lambda: f"{node.name} has no other worker")
        self.assertTrue(before)
        self.assertIn("supervisor.worker_died", node.log())
        self.assertNotIn("supervisor.session_not_closed", node.log())

    def test_a_node_that_is_drained_serves_on(self):
        written = self.put_all("four")
        node = self.cluster.leads_most()
        done = self.run_cli("drain", "--url", f"http://{node.http}")
        self.assertEqual(done.returncode, 0, f"{done}\n{node.log()[-3000:]}")
        self.assertIn(f"{node.name} leads nothing", done.stdout)
        self.assertEqual(led_by(self.cluster, node.name), [])
        self.check_all(written)
        self.check_all(self.put_all("five"))
        # It is a member that leads nothing, until it is started anew.
        self.assertEqual(node.stop(), 0, node.log()[-3000:])
        node.start()
        self.check_all(self.put_all("six"))

    def test_a_node_that_is_told_to_end_gives_away_what_it_leads(self):
        written = self.put_all("seven")
        node = self.cluster.leads_most()
        self.assertEqual(node.stop(), 0, node.log()[-3000:])
        self.assertIn("how=drained", node.log())
        self.assertNotIn("node.not_retired", node.log())
        self.assertEqual(len(self.cluster.masters()), 6)  # at once: nobody had to notice
        self.nodes.remove(node)
        self.check_all(written)
        node.start()
        self.nodes.append(node)
        self.check_all(self.put_all("eight"))

    def test_a_partition_is_handed_over_to_the_node_that_is_named(self):
        parts = self.cluster.all_parts()
        key, master = sorted(self.cluster.masters(parts).items())[0]
        standby = next(n for n, own in parts.items() if n != master and own.get(key, {}).get("role") == "following")
        other = next(n for n in self.nodes if n.name not in (master, standby)) if len(self.nodes) > 2 else self.nodes[0]
        line = ["handover", "--url", f"http://{other.http}", "--keyspace", key[0], "--partition", str(key[1])]
        before = self.given(self.cluster.nodes[master], key)
        done = self.run_cli(*line, "--to", standby)
        self.assertEqual(done.returncode, 0, f"{done}\n{self.cluster.nodes[master].log()[-3000:]}")
        self.assertIn(f"{standby} leads partition {key[1]} of accounts", done.stdout)
        self.assertEqual(self.cluster.masters()[key], standby)
        after = self.given(self.cluster.nodes[master], key)
        self.assertEqual(after[:2], [before[0] + 1, before[1]], "hand-overs that were done, that were not")
        self.assertGreater(after[2], before[2], "the time in which writes waited for hand-overs")
        done = self.run_cli(*line, "--to", "nobody")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody", done.stderr)

    def test_every_node_tells_of_all_and_every_replica_is_verified(self):
        self.put_all("nine")

        def told():
            """What each says of all nodes: the same, and everybody has its share, when what moves has come to rest."""
            return {node.name: {n["name"]: (n["live"], n["leads"], n["holds"]) for n in node.view()["nodes"]} for node in self.nodes}

        even = {name: {other: (True, 2, 4) for other in ("n1", "n2", "n3")} for name in ("n1", "n2", "n3")}
        self.cluster.wait_for(lambda: told() == even, lambda: f"they say {told()}")
        self.cluster.await_settled()
        masters = self.cluster.masters()
        for node in self.nodes:
            page = node.view()
            for part in page["partitions"]:
                self.assertEqual(part["master"], masters[part["keyspace"], part["partition"]], f"as {node.name} sees it: {part}")
                self.assertEqual([r["in_step"] for r in part["replicas"]], [True, True], f"as {node.name} sees it: {part}")
            metrics = node.ask("GET", "/metrics").body.decode()
            served = set(re.findall(r"^(aff_[a-z_]+)", metrics, re.M))
            self.assertEqual(served, set(re.findall(r"`(aff_[a-z_]+)`", OPERATIONS)), "what is served, and doc/operations.md")
            self.assertIn("\naff_cluster_nodes_live 3\n", metrics)
            self.assertIn(f"\naff_cluster_leads {len(led_by(self.cluster, node.name))}\n", metrics)
        done = self.run_cli("status", "--url", f"http://{self.nodes[0].http}")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("\n6 partitions: 0 without a master, 0 with a replica that is not in step\n", done.stdout)
        done = self.run_cli("verify", "--url", f"http://{self.nodes[0].http}", "--timeout", "1m")
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
        self.assertIn("\n12 partitions: 12 equal, 0 differ, 0 not decided\n", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
