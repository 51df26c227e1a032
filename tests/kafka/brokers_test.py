"""brokers_test - scripts/kafka and tests/lib/kafka.py: brokers that are ready, side by side, and gone when they are stopped."""
import os
import signal
import subprocess
import sys
import tempfile
import unittest

from kafka import SCRIPT, TOPICS, Kafka, KafkaFailed


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def script(*arguments):
    return subprocess.run([SCRIPT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


class OneBroker(unittest.TestCase):
    def test_two_releases_run_side_by_side(self):
        with Kafka() as new, Kafka(version="3", settings={"message.max.bytes": 3000001}) as old:
            for kafka in new, old:
                kafka.create_topic("t", 2)
                kafka.kcat("-P", "-t", "t", "-p", "1", "-K:", stdin=f"key:{kafka.bootstrap}\n".encode())
            for kafka in new, old:
                read = kafka.kcat("-C", "-t", "t", "-p", "1", "-e", "-q", "-f", "%k %s\n")
                self.assertEqual(read.decode(), f"key {kafka.bootstrap}\n", "each has its own records")
            self.assertIn("4.", self.release(new))
            self.assertIn("3.", self.release(old))
            self.assertEqual(old.topic_config("t")["max.message.bytes"], "3000001", "a setting of --set is in force")
            pids = [*new.pids.values(), *old.pids.values()]
            folders = [new.folder, old.folder]
        self.assertEqual([p for p in pids if running(p)], [], "processes that stop() left")
        self.assertEqual([f for f in folders if os.path.exists(f)], [], "folders that stop() left")

    def release(self, kafka):
        with open(os.path.join(kafka.folder, "version"), encoding="ascii") as f:
            return f.read()

    def test_what_a_killed_broker_had_is_there_after_its_restart(self):
        with Kafka() as kafka:
            kafka.create_topic("t")
            kafka.kcat("-P", "-t", "t", "-p", "0", stdin=b"before\n")
            pid, address = kafka.pids[1], kafka.bootstrap
            kafka.kill(1)
            self.assertFalse(running(pid))
            kafka.restart(1)
            kafka.kcat("-P", "-t", "t", "-p", "0", stdin=b"after\n")
            self.assertEqual(kafka.bootstrap, address)
            self.assertEqual(kafka.kcat("-C", "-t", "t", "-e", "-q"), b"before\nafter\n")

    def test_a_folder_is_started_again_with_its_data(self):
        with tempfile.TemporaryDirectory(prefix="affinity-kafka.") as folder:
            with Kafka(folder=folder) as kafka:
                kafka.create_topic("t")
                kafka.kcat("-P", "-t", "t", "-p", "0", stdin=b"kept\n")
                address = kafka.bootstrap
                again = script("start", "--dir", folder)
                self.assertIn("runs already in", again.stderr)
                self.assertEqual((again.returncode, again.stdout), (1, ""))
            with Kafka(folder=folder) as kafka:
                self.assertEqual(kafka.bootstrap, address)
                self.assertEqual(kafka.kcat("-C", "-t", "t", "-e", "-q"), b"kept\n")
            other = script("start", "--dir", folder, "--brokers", "3")
            self.assertIn("has 1 broker(s), not 3", other.stderr)

    def test_topics_are_made_described_changed_and_deleted(self):
        with Kafka() as kafka:
            kafka.create_topic("a.b", 3, config={"cleanup.policy": "compact", "retention.ms": "5"})
            self.assertEqual(kafka.partitions("a.b"), [{"leader": 1, "replicas": [1], "isr": [1]}] * 3)
            kafka.alter_topic("a.b", {"cleanup.policy": None, "segment.ms": 7000})
            found = kafka.topic_config("a.b")
            self.assertEqual([found[n] for n in ("cleanup.policy", "retention.ms", "segment.ms")], ["delete", "5", "7000"])
            kafka.add_partitions("a.b", 4)
            self.assertEqual(len(kafka.partitions("a.b")), 4)
            kafka.delete_topic("a.b")
            with self.assertRaisesRegex(KafkaFailed, "UnknownTopicOrPartition"):
                kafka.partitions("a.b")

    def test_a_test_that_is_killed_leaves_nothing(self):
        program = "import sys; from kafka import Kafka; k = Kafka().start(); print(k.pids[1], k.folder, flush=True); input()"
        test = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "PYTHONPATH": os.path.dirname(TOPICS)})
        pid, folder = test.stdout.readline().split()
        os.kill(test.pid, signal.SIGKILL)
        test.communicate()
        while running(int(pid)) or os.path.exists(folder):  # the test's own time is the limit
            os.sched_yield()

    def test_what_is_wrong_is_said(self):
        with tempfile.TemporaryDirectory(prefix="affinity-kafka.") as folder:
            for arguments, told in [
                (["start", "--dir", folder, "--version", "5"], "there is no Kafka '5'"),
                (["start", "--dir", folder, "--brokers", "no"], "--brokers is a number"),
                (["start", "--dir", folder, "--set", "log.cleaner.threads=-1"], "log.cleaner.threads"),
                (["start", "--dir", folder, "--set", "metric.reporters=no.such.Class"], "broker 1 ended while it started"),
                (["stop", "--dir", folder + "/none"], "there is no folder"),
                (["stop"], "start --dir D"),
            ]:
                done = script(*arguments)
                self.assertNotEqual(done.returncode, 0, arguments)
                self.assertIn(told, done.stderr, arguments)
                self.assertEqual(done.stdout, "", arguments)


class ThreeBrokers(unittest.TestCase):
    def test_one_may_go_away(self):
        with Kafka(brokers=3) as kafka:
            kafka.create_topic("t", 3, config={"min.insync.replicas": "2"})
            self.assertEqual(sorted(p["leader"] for p in kafka.partitions("t")), [1, 2, 3])
            kafka.await_in_sync("t")
            kafka.kill(2)
            kafka.kcat("-P", "-t", "t", "-p", "0", "-X", "acks=all", stdin=b"with two\n")
            kafka.restart(2)
            kafka.await_in_sync("t")
            kafka.pause(3)
            kafka.kcat("-P", "-t", "t", "-p", "0", "-X", "acks=all", stdin=b"with a paused one\n")
            kafka.resume(3)
            kafka.await_in_sync("t")
            self.assertEqual(kafka.kcat("-C", "-t", "t", "-p", "0", "-e", "-q"), b"with two\nwith a paused one\n")


if __name__ == "__main__":
    unittest.main()
