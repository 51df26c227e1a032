"""topics_test - core/changelog/kafka/admin.h against real brokers: topics are made, refused, watched. `topics_test.py TOPICS`"""
import socket
import subprocess
import sys
import threading
import time
import unittest

from kafka import Kafka

HOUR, WEEK = 3_600_000, 7 * 24 * 3_600_000
WANTED = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(HOUR),
    "delete.retention.ms": str(WEEK),
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(2 << 20),
    "unclean.leader.election.enable": "false",
}


class Topics:
    """The program topics.c, as one node would use it."""

    def __init__(self, bootstrap, mode="development", timeout_ms=60_000, **overrides):
        line = [PROGRAM, bootstrap, mode, str(timeout_ms)]
        line += [f"{name.replace('_', '.')}={value}" for name, value in overrides.items()]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def topic(self, name, partitions=2, lag=HOUR, retention=WEEK):
        return self.ask("topic", name, partitions, lag, retention)

    def await_trouble(self, text):
        """Until the watch tells this, whatever it told before; "" is no trouble."""
        while True:  # the test's own time is the limit
            told = self.ask("trouble")
            if told == "ok" if text == "" else text in told:
                return told
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.communicate()
        if exception[0] is None and self.process.returncode != 0:
            raise AssertionError(f"topics ended with {self.process.returncode}")


class OneBroker:
    """Tests that are run against each release."""

    version = None

    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka(version=cls.version).start()
        cls.addClassCleanup(cls.kafka.stop)

    def test_a_new_topic_has_every_setting(self):
        with Topics(self.kafka.bootstrap) as topics:
            self.assertEqual(topics.topic("new", 5), f"ok {2 << 20} 1")
            self.assertEqual(topics.topic("new", 5), f"ok {2 << 20} 1", "one that is there is right")
        found = self.kafka.topic_config("new")
        self.assertEqual({name: found[name] for name in WANTED}, WANTED)
        self.assertEqual(found["min.insync.replicas"], "1")
        self.assertEqual(len(self.kafka.partitions("new")), 5)

    def test_each_setting_that_differs_is_named(self):
        with Topics(self.kafka.bootstrap) as topics:
            topics.topic("differs")
            for name, value, told in [
                ("cleanup.policy", "delete", "cleanup.policy: found delete, wanted compact"),
                ("cleanup.policy", "compact,delete", "cleanup.policy: found compact,delete, wanted compact"),
                ("min.compaction.lag.ms", 0, f"min.compaction.lag.ms: found 0, wanted at least {HOUR}"),
                ("delete.retention.ms", 86400000, f"delete.retention.ms: found 86400000, wanted at least {WEEK}"),
                ("message.timestamp.type", "CreateTime", "message.timestamp.type: found CreateTime, wanted LogAppendTime"),
                ("max.message.bytes", 1048588, f"max.message.bytes: found 1048588, wanted at least {2 << 20}"),
                ("unclean.leader.election.enable", "true", "unclean.leader.election.enable: found true, wanted false"),
                ("min.insync.replicas", 2, "min.insync.replicas: found 2, wanted at most 1"),
            ]:
                before = self.kafka.topic_config("differs")[name]
                self.kafka.alter_topic("differs", {name: value})
                self.assertEqual(topics.topic("differs"), f"ECONFIG kafka: topic differs: {told}")
                self.kafka.alter_topic("differs", {name: before})
            self.assertEqual(topics.topic("differs"), f"ok {2 << 20} 1")

    def test_a_topic_of_kafkas_defaults_is_refused_with_all_differences(self):
        self.kafka.create_topic("plain", 2)
        with Topics(self.kafka.bootstrap) as topics:
            told = topics.topic("plain")
            for name in list(WANTED)[:5]:
                self.assertIn(f"{name}: found {self.kafka.topic_config('plain')[name]}, wanted", told)

    def test_another_partition_count_is_refused(self):
        with Topics(self.kafka.bootstrap) as topics:
            topics.topic("counted", 3)
            self.assertEqual(topics.topic("counted", 4), "ECONFIG kafka: topic counted: partitions: found 3, wanted 4")

    def test_production_wants_three_replicas(self):
        with Topics(self.kafka.bootstrap) as topics:
            topics.topic("single")
        with Topics(self.kafka.bootstrap, "production") as topics:
            told = topics.topic("single")
            self.assertIn("replication factor: found 1, wanted at least 3", told)
            self.assertIn("min.insync.replicas: found 1, wanted at least 2", told)
            told = topics.topic("another")
            self.assertRegex(told, "^ECONFIG kafka: could not make topic another at 127.0.0.1:[0-9]+: .*3")

    def test_an_override_is_set_and_must_be_found(self):
        with Topics(self.kafka.bootstrap, min_compaction_lag_ms=100, segment_ms=1000, max_message_bytes=100000) as topics:
            self.assertEqual(topics.topic("short"), "ok 100000 1")
            found = self.kafka.topic_config("short")
            self.assertEqual((found["min.compaction.lag.ms"], found["segment.ms"]), ("100", "1000"))
        with Topics(self.kafka.bootstrap) as topics:
            self.assertIn("min.compaction.lag.ms: found 100, wanted at least", topics.topic("short"))
        with Topics(self.kafka.bootstrap, segment_ms=2000) as topics:
            self.assertIn("segment.ms: found 1000, wanted 2000", topics.topic("short", lag=100))

    def test_a_setting_that_kafka_does_not_have_is_refused(self):
        with Topics(self.kafka.bootstrap, no_such_setting=1) as topics:
            told = topics.topic("odd")
            self.assertTrue(told.startswith("ECONFIG kafka: could not make topic odd"), told)
            self.assertIn("no.such.setting", told)

    def test_nodes_that_make_a_topic_at_once_agree(self):
        nodes = [Topics(self.kafka.bootstrap) for _ in range(4)]
        for round_ in range(5):
            answers = []
            make = lambda node, name=f"race{round_}": answers.append(node.topic(name))
            threads = [threading.Thread(target=make, args=[node]) for node in nodes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(answers, [f"ok {2 << 20} 1"] * 4)
        for node in nodes:
            node.__exit__(None, None, None)

    def test_the_watch_sees_a_change_and_that_it_was_taken_back(self):
        with Topics(self.kafka.bootstrap) as topics:
            topics.topic("watched")
            topics.topic("beside")
            topics.ask("watch")
            self.assertEqual(topics.ask("trouble"), "ok")
            self.kafka.alter_topic("watched", {"min.compaction.lag.ms": 1})
            self.assertEqual(topics.ask("trusted"), "yes")
            told = topics.await_trouble("watched")
            self.assertEqual(topics.ask("trusted"), "no")
            self.assertEqual(told, f"EUNSAFE kafka: topic watched: min.compaction.lag.ms: found 1, wanted at least {HOUR}")
            self.kafka.alter_topic("beside", {"cleanup.policy": "delete"})
            self.kafka.alter_topic("watched", {"min.compaction.lag.ms": HOUR})
            topics.await_trouble("beside: cleanup.policy: found delete, wanted compact")
            self.kafka.alter_topic("beside", {"cleanup.policy": "compact"})
            topics.await_trouble("")
            self.assertEqual(topics.ask("trusted"), "yes")

    def test_a_topic_that_is_gone_is_trouble(self):
        with Topics(self.kafka.bootstrap) as topics:
            topics.topic("gone")
            topics.ask("watch")
            self.kafka.delete_topic("gone")
            told = topics.await_trouble("gone")
            self.assertRegex(told, "^EUNSAFE kafka: there is no topic gone at 127.0.0.1")

    def test_partitions_that_were_added_are_trouble(self):
        with Topics(self.kafka.bootstrap) as topics:
            topics.topic("grown", 2)
            topics.ask("watch")
            self.kafka.add_partitions("grown", 3)
            topics.await_trouble("grown: partitions: found 3, wanted 2")

    def test_brokers_that_do_not_answer_are_named_and_change_nothing(self):
        with Topics(self.kafka.bootstrap, timeout_ms=2000) as topics:
            topics.topic("silent")
            topics.ask("watch")
            self.kafka.pause(1)
            self.addCleanup(self.kafka.resume, 1)  # also when this fails: the other tests need it
            told = topics.topic("other")
            self.assertRegex(told, r"^EIO kafka: could not (ask for|ask for the settings of|make) topic other at 127\.0\.0\.1:")
            self.assertEqual(topics.ask("trouble"), "ok")
            self.kafka.resume(1)
            self.kafka.alter_topic("silent", {"cleanup.policy": "delete"})
            topics.await_trouble("silent: cleanup.policy")

    def test_it_ends_while_the_watch_waits_for_an_answer(self):
        with Topics(self.kafka.bootstrap, timeout_ms=3_600_000) as topics:
            topics.topic("unanswered")
            self.kafka.pause(1)
            self.addCleanup(self.kafka.resume, 1)
            topics.ask("watch")
            time.sleep(0.5)  # a question is under way, or it ends sooner

    def test_the_watch_goes_on_after_a_broker_restarted(self):
        with Topics(self.kafka.bootstrap, timeout_ms=2000) as topics:
            topics.topic("survives")
            topics.ask("watch")
            self.kafka.kill(1)
            self.kafka.restart(1)
            self.assertEqual(topics.ask("trouble"), "ok")
            self.kafka.alter_topic("survives", {"cleanup.policy": "delete"})
            topics.await_trouble("survives: cleanup.policy")

    def test_without_descriptions_the_partitions_are_compared(self):
        with Topics(self.kafka.bootstrap, "blind") as topics:
            self.assertIn("ECONFIG kafka: there is no topic nothing", topics.topic("nothing"))
            self.kafka.create_topic("dark", 3)
            self.assertEqual(topics.topic("dark", 3), f"ok {2 << 20} 1")
            self.assertIn("with 3 partitions, not 2", topics.topic("dark", 2))


class Kafka4(OneBroker, unittest.TestCase):
    pass


class Kafka3(OneBroker, unittest.TestCase):
    version = "3"


class NoBroker(unittest.TestCase):
    def test_who_does_not_answer_is_named(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # and does not listen
            address = f"127.0.0.1:{nobody.getsockname()[1]}"
            with Topics(address, timeout_ms=500) as topics:
                told = topics.topic("t")
                self.assertTrue(told.startswith(f"EIO kafka: could not ask for the settings of topic t at {address}: "), told)
                self.assertIn("refused", told)

    def test_an_override_in_production_is_refused_before_anybody_is_asked(self):
        with subprocess.Popen([PROGRAM, "127.0.0.1:1", "production", "1000", "segment.ms=5"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as process:
            self.assertIn("ECONFIG kafka.topic.segment.ms: settings of topics can only be changed", process.stdout.read())


class ThreeBrokers(unittest.TestCase):
    def test_production_makes_three_replicas_and_wants_two_in_sync(self):
        with Kafka(brokers=3) as kafka, Topics(kafka.bootstrap, "production") as topics:
            self.assertEqual(topics.topic("t", 3), f"ok {2 << 20} 3")
            self.assertEqual(kafka.topic_config("t")["min.insync.replicas"], "2")
            topics.ask("watch")
            kafka.await_in_sync("t")
            kafka.kill(kafka.leader("t", 0))
            self.assertEqual(topics.topic("t", 3), f"ok {2 << 20} 3", "with a broker down")
            self.assertEqual(topics.ask("trouble"), "ok")
            kafka.alter_topic("t", {"min.insync.replicas": 1})
            topics.await_trouble("min.insync.replicas: found 1, wanted at least 2")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
