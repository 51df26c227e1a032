"""faults_test - one cluster under load, one fault after the other, each with the outcome that is promised: faults_test.py AFFINITY LOAD

3 brokers, 3 ZooKeepers, 3 nodes, each in a network of its own. After every fault the cluster settles and `affinity verify` finds each
replica equal to its topic; at the end the history of every key has an order that explains every answer. Every fault is mended by its
own test, failed or not. `-k NAME` runs those faults alone whose names have it (besides the last word, test_z); with KEEP=FOLDER in the
environment everything of the nodes stays in that new folder.
"""
import contextlib
import math
import os
import sys
import threading
import time
import unittest

import world
from cluster import Cluster
from harness import Client
from traffic import partition_of
from trial import Step, Trial

AFFINITY, LOAD = (os.path.abspath(path) for path in sys.argv[1:3])
PARTITIONS, REPLICAS, NODES = 8, 2, 3
KAFKA_AWAY_S, ZOOKEEPER_AWAY_S = 20, 60
PATIENCE_S = 90  # for an answer of a node that is in trouble
EXCHANGE_S = 5  # a node answers within it, whatever the trouble
SILENT_MS = 15000  # what has no answer then will have none: shorter, and a busy machine looks like a fault


def now():
    return time.monotonic_ns()


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keyspaces = {"accounts": {"partitions": PARTITIONS, "replicas": REPLICAS}}
        cls.network = world.Network()
        cls.cluster = Cluster(AFFINITY, NODES, keyspaces=keyspaces, network=cls.network,
                              config={"limits": {"exchange_timeout": f"{EXCHANGE_S}s"}}, folder=os.environ.get("KEEP"))
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.await_even()  # by hand-overs, which are no fault's
        cls.trial = Trial(cls.cluster, LOAD, rate=150, writer_gap=20000, attempt=SILENT_MS, short_attempt=SILENT_MS,
                          patience=PATIENCE_S * 1000, gives_up=True)
        cls.trial.__enter__()
        cls.addClassCleanup(cls.trial.load.process.kill)
        cls.failed = False

    def tearDown(self):
        if self._outcome.result.failures or self._outcome.result.errors:
            self.tell()

    def tell(self):
        """The ends of the logs, once."""
        if not type(self).failed:
            type(self).failed = True
            for node in self.cluster.nodes.values():
                print(f"---- the end of the log of {node.name} ----\n{node.log()[-6000:]}", file=sys.stderr)

    # ---- parts ----

    @contextlib.contextmanager
    def cut(self, node, cable):
        self.network.cut(node.number, cable)
        try:
            yield
        finally:
            self.network.mend(node.number, cable)

    def whole(self):
        """Every node runs and can reach everybody; and the stores are what the topics say."""
        self.cluster.await_settled()
        self.assertEqual(self.cluster.verify(), [])

    def await_writes(self, partitions=range(PARTITIONS)):
        """Until the writer of each partition has begun a write from now on that was acknowledged."""
        since, waiting = now(), set(partitions)

        def written():
            self.trial.refresh()
            waiting.difference_update([p for p in waiting if any(s > since for s, _ in self.trial.runs[p][-50:])])
            return not waiting

        self.cluster.wait_for(written, lambda: f"no write was accepted of the partitions {sorted(waiting)}")

    def failures(self, step):
        self.trial.refresh()
        _, failed, _ = self.trial.of(step)
        return [str(r) for r in failed]

    def key_of(self, partition):
        return next(key for key, p in self.trial.writers.items() if p == partition)

    def leads(self, node):
        """The partitions that it leads, as it says itself."""
        return {p for _, p in self.cluster.masters({node.name: node.parts()})}

    def others_lead(self, node, partitions=range(PARTITIONS)):
        """Do the other nodes lead these partitions, as they say themselves?"""
        others = {n.name: n.parts() for n in self.cluster.running() if n is not node}
        return {p for _, p in self.cluster.masters(others)} >= set(partitions)

    def await_taken_over(self, node, partitions):
        self.cluster.wait_for(lambda: self.others_lead(node, partitions),
                              lambda: f"{sorted(partitions)} of {node.name} should be led by others; they say {self.cluster.masters()}")

    # ---- Kafka ----

    def test_1_broker_that_leads_is_killed(self):
        """Its partitions get another leader in Kafka; writes go on."""
        leaders = [p["leader"] for p in self.cluster.kafka.partitions("demo.accounts")]
        broker = max(set(leaders), key=leaders.count)
        with self.trial.watch("broker killed"):
            self.cluster.kafka.kill(broker)
            try:
                self.await_writes()
            finally:
                self.cluster.kafka.restart(broker)
            self.cluster.kafka.await_in_sync("demo.accounts")
        self.whole()

    def test_2_all_brokers_are_away(self):
        """Reads go on by the lease. A write is refused, or its outcome is unknown and settled later."""
        kafka = self.cluster.kafka
        self.await_writes()  # so that there is something to read
        with self.trial.watch("no broker"):
            for broker in list(kafka.pids):
                kafka.kill(broker)
            try:
                until = time.monotonic() + KAFKA_AWAY_S
                refused = self.write_to_each()
                self.assertTrue(all(status in (503, 504) for status in refused.values()), refused)
                self.read_until(until)
            finally:
                kafka.start_all()
            self.await_writes()
            kafka.await_in_sync("demo.accounts")
        self.whole()

    def write_to_each(self):
        """{partition: status} of a write of a key of its own, all at once."""
        nodes = self.cluster.running()

        def write(partition):
            answer = nodes[partition % len(nodes)].ask("PUT", f"/v1/accounts/{self.other_key(partition)}", b'{"by":"fault"}',
                                                       timeout=PATIENCE_S, Content_Type="application/json")
            if answer.status == 503:
                self.assertEqual(answer.headers.get("affinity-outcome"), "not-applied", answer)
            if answer.status == 504:
                self.assertEqual(answer.headers.get("affinity-outcome"), "unknown", answer)
            return answer.status

        return together(write, range(PARTITIONS))

    def other_key(self, partition):
        """A key of the partition that the load does not know."""
        return next(f"fault{i}" for i in range(1000) if partition_of(f"fault{i}", PARTITIONS) == partition)

    def read_until(self, until):
        while time.monotonic() < until:
            self.assert_reads_answered()
            time.sleep(1)

    def assert_reads_answered(self):
        nodes = self.cluster.running()
        for partition in range(PARTITIONS):
            answer = nodes[partition % len(nodes)].ask("GET", f"/v1/accounts/{self.key_of(partition)}", timeout=PATIENCE_S)
            self.assertEqual(answer.status, 200, f"a strict read of partition {partition} at {nodes[partition % len(nodes)].name}")

    # ---- ZooKeeper ----

    def test_3_leader_of_zookeeper_is_killed(self):
        """Sessions go on with the next leader: no mastership moves, and no request fails."""
        with self.trial.watch("ZooKeeper's leader killed") as step:
            leader = self.cluster.zookeeper.leader()
            self.cluster.zookeeper.kill(leader)
            try:
                self.await_writes()
            finally:
                self.cluster.zookeeper.restart(leader)
        self.assertEqual(self.failures(step), [])
        self.assertEqual(step.moved(), [])
        self.whole()

    def test_4_all_zookeepers_are_away(self):
        """Writes and strict reads go on, these by barriers once the leases have lapsed; nobody is elected."""
        self.await_writes()  # so that there is something to read
        with self.trial.watch("no ZooKeeper") as step:
            self.cluster.zookeeper.stop_all()
            try:
                self.read_until(time.monotonic() + ZOOKEEPER_AWAY_S)
                self.assertEqual(self.trial.leads(), step.before, "a mastership moved while nobody could grant one")
                self.assert_all_degraded()
                self.await_writes()
            finally:
                self.cluster.zookeeper.start_all()
        self.assertEqual(self.failures(step), [])
        self.whole()

    def assert_all_degraded(self):
        """They serve, and say what is wrong."""
        for node in self.cluster.running():
            answer = node.ask("GET", "/readyz", timeout=PATIENCE_S)
            self.assertEqual(answer.status, 200, answer)
            self.assertTrue(answer.json().get("degraded"), answer)

    # ---- a node that is cut off ----

    def test_5_node_is_cut_off_from_zookeeper(self):
        """Its session ends, so others take over what it led; it learns of that from the log and follows."""
        node = self.cluster.leads_most()
        with self.trial.watch(f"{node.name} without ZooKeeper") as step:
            with self.cut(node, world.ZOOKEEPER):
                self.await_taken_over(node, step.led_by(node.name))
                self.cluster.wait_for(lambda: not self.leads(node), lambda: f"{node.name} says that it leads {self.leads(node)}")
                self.await_writes()
        self.whole()

    def test_6_node_is_cut_off_from_kafka(self):
        """It can neither write nor learn, and gives back what it leads."""
        node = self.cluster.leads_most()
        with self.trial.watch(f"{node.name} without Kafka") as step:
            with self.cut(node, world.KAFKA):
                self.await_taken_over(node, step.led_by(node.name))
                self.await_writes()
        self.whole()

    def test_7_node_is_cut_off_from_its_peers(self):
        """Every master goes on. What a node cannot forward is refused, or unknown; a client that asks the right one is served."""
        node = self.cluster.leads_most()
        with self.trial.watch(f"{node.name} without peers") as step:
            with self.cut(node, world.PEERS):
                self.assert_served_by_masters(step)
                self.await_writes()
        self.assertEqual(step.moved(), [])
        self.whole()

    def assert_served_by_masters(self, step):
        for partition, (master, _) in step.before.items():
            answer = self.cluster.nodes[master].ask("PUT", f"/v1/accounts/{self.other_key(partition)}", b'{"by":"peers"}',
                                                    timeout=PATIENCE_S, Content_Type="application/json")
            self.assertIn(answer.status, (200, 201), f"partition {partition} at its master {master}: {answer}")

    # ---- a node that stands still ----

    def test_8_node_that_is_stopped_is_deposed(self):
        """What it is asked while it stands is never answered with what it knew before."""
        node = self.cluster.leads_most()
        with self.trial.watch(f"{node.name} stopped") as step:
            led = step.led_by(node.name)
            node.pause()
            try:
                asked = {p: ask_early(node, f"/v1/accounts/{self.other_key(p)}") for p in led}
                self.await_taken_over(node, led)
                self.write_beside(node, led)
                late = {p: ask_early(node, f"/v1/accounts/{self.other_key(p)}") for p in led}
            finally:
                node.resume()
            for p in led:
                self.read_late(asked[p])
                answer = self.read_late(late[p])
                if answer and answer.status in (200, 404):
                    self.assertEqual(answer.body, b'{"by":"later"}', f"{node.name} served partition {p} from before it was stopped")
            self.cluster.wait_for(lambda: not self.leads(node) & set(led), lambda: f"{node.name} still leads {self.leads(node)}")
        self.whole()

    def write_beside(self, node, partitions):
        other = next(n for n in self.cluster.running() if n is not node)
        for partition in partitions:
            answer = other.ask("PUT", f"/v1/accounts/{self.other_key(partition)}", b'{"by":"later"}', timeout=PATIENCE_S,
                               Content_Type="application/json")
            self.assertIn(answer.status, (200, 201), answer)

    def read_late(self, client):
        """None: the connection was closed without an answer, as too old."""
        try:
            response = client.connection.getresponse()
            body = response.read()
            return type("Answer", (), {"status": response.status, "body": body})
        except (OSError, ValueError, EOFError):
            return None
        finally:
            client.close()

    # ---- nodes that come and go ----

    def test_9_node_joins_and_another_leaves(self):
        """No request fails, and no more masterships move than the new node's share; then only those of the node that leaves."""
        share = math.ceil(PARTITIONS / (NODES + 1))
        self.cluster.await_even()
        with self.trial.watch("n4 joins") as joined:
            self.cluster.add("n4")
            self.trial.load.nodes(self.cluster.addresses())
            self.cluster.await_even()
        with self.trial.watch("n1 leaves", settles=False) as left:  # it keeps its replicas: it may come back
            self.assertEqual(self.cluster.nodes["n1"].stop(), 0)
            self.trial.load.nodes(self.cluster.addresses())
            self.cluster.await_settled(all_there=False)
            self.trial.await_still()
        for step in (joined, left):
            print(f"\n  {step.name}: {len(step.moved())} of {PARTITIONS} masterships moved, {step.before} became {step.after}")
        whole = Step("both", joined.start, left.end)  # the moment between the two as well
        self.assertEqual(self.failures(whole), [])
        self.assertLessEqual(len(joined.moved()), share)
        self.assertLessEqual(len(left.moved()), share)
        self.assertEqual({joined.after[p][0] for p in joined.moved()}, {"n4"}, "what moves on a join moves to the node that joined")
        self.assertEqual(set(left.moved()), set(left.led_by("n1")), "what moves when a node leaves is what it led")
        self.assertEqual(self.cluster.verify(), [])

    def test_z_nothing_was_lost_and_no_read_was_stale(self):
        complaints = self.trial.verdict(all_there=self.cluster.nodes["n1"] in self.cluster.running())  # it may have left
        history = self.trial.history
        for step in self.trial.steps:
            count, failed, slowest = self.trial.of(step)
            print(f"  {step.name:<28} {(step.end - step.start) / 1e9:5.1f} s {count:6} requests, {len(failed):4} of them 5xx or silent, "
                  f"slowest {slowest:.0f} ms, moved {len(step.moved())}")
        print(f"  {len(history.requests)} requests, {history.acknowledged()} acknowledged writes, "
              f"{sum(r.status == 0 for r in history.requests)} unknown at the end")
        self.assertEqual(complaints, [], "\n".join(complaints[:5]))


def together(act, arguments):
    """{argument: what it returned}, all at once; the first exception is raised."""
    results, errors = {}, []

    def one(argument):
        try:
            results[argument] = act(argument)
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=one, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def ask_early(node, target):
    """A GET that is on its way, and whose answer can be read later."""
    host, _, port = node.http.rpartition(":")
    client = Client(host, int(port), PATIENCE_S)
    client.connection.request("GET", target)
    return client


if __name__ == "__main__":
    world.enter()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[3:]])
