"""kafka - real Kafka brokers for one test, by scripts/kafka.

    with Kafka() as kafka:                              # one broker of the pinned 4.x; ready
        kafka.create_topic("t", partitions=3, config={"cleanup.policy": "compact"})
        run(kafka.bootstrap)                            # "127.0.0.1:23456"

    with Kafka(brokers=3, version="3", settings={"message.max.bytes": 2097152}) as kafka:
        kafka.kill(2)                                   # kill -9; brokers count from 1, as their ids in Kafka do
        kafka.restart(2)                                # same address, same data; returns when it answers
        kafka.pause(1), kafka.resume(1)                 # SIGSTOP, SIGCONT
        kafka.await_in_sync("t")

A broker is 300 MB and five seconds of a core: stop it as soon as it is not needed. Should the test end without that, a
guard process does it. What a broker said: kafka.log(1).
"""
import json
import os
import subprocess
import time

from servers import ROOT, Servers, ServersFailed

SCRIPT = os.path.join(ROOT, "scripts", "kafka")
TOPICS = os.path.join(ROOT, "tests", "lib", "KafkaTopics.java")
PATIENCE_S = 120  # for what must come; nothing is ever waited for this long when all is well


class KafkaFailed(ServersFailed):
    """scripts/kafka or the admin client refused; the text is theirs."""


class Kafka(Servers):
    """`folder` is kept when it is given; else it is a temporary one that goes away with stop()."""

    script, one, failed = SCRIPT, "broker", KafkaFailed

    def __init__(self, brokers=1, version=None, settings=None, folder=None, host=None):
        super().__init__(brokers, settings, folder, host)
        self.brokers, self.version = brokers, version
        self.bootstrap = None
        self._topics = None

    # ---- life ----

    def start(self):
        self.bootstrap = self._start(*(["--version", self.version] if self.version else []))["bootstrap"][0]
        return self

    def stop(self):
        self._close_topics()
        super().stop()

    def start_all(self):
        """After every one was killed or stopped: none of them serves without the others."""
        told = self._run("start")
        self.pids = {i: int(pid) for i, pid in enumerate(told["pid"], 1)}

    def stop_broker(self, i):
        """In order: it hands its partitions over first."""
        self.stop_one(i)

    # ---- what there is to know ----

    def address(self, i=1):
        return self.bootstrap.split(",")[i - 1]

    def kcat(self, *arguments, stdin=None):
        """What kcat prints, as bytes."""
        done = subprocess.run(["kcat", "-b", self.bootstrap, *arguments], input=stdin, capture_output=True, check=False)
        if done.returncode != 0:
            raise KafkaFailed(f"kcat {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout

    # ---- topics ----

    def create_topic(self, name, partitions=1, replication=None, config=None):
        """Returns when each partition has a leader."""
        copies = min(3, self.brokers) if replication is None else replication
        self._admin("create", name, partitions, copies, *_pairs(config))

    def delete_topic(self, name):
        self._admin("delete", name)

    def topic_config(self, name):
        """Every setting in force, by name, as text."""
        return dict(setting.split("=", 1) for setting in self._admin("config", name))

    def alter_topic(self, name, config):
        """Sets these settings and leaves the others; None takes one back to the default. Returns when they are told: the controller has
        them before the brokers do."""
        self._admin("alter", name, *_pairs(config))
        wanted = {setting: str(value) for setting, value in config.items() if value is not None}
        until = time.monotonic() + PATIENCE_S
        while not wanted.items() <= self.topic_config(name).items():
            if time.monotonic() > until:
                raise KafkaFailed(f"topic {name}: {self.topic_config(name)} after it was altered to {wanted}")
            time.sleep(0.01)

    def add_partitions(self, name, total):
        self._admin("grow", name, total)

    def partitions(self, name):
        """Of each partition, in order: {"leader": id or -1, "replicas": [ids], "isr": [ids]}."""
        list_ = []
        for text in self._admin("partitions", name):
            leader, replicas, isr = text.split(";")
            list_.append({"leader": int(leader), "replicas": _ids(replicas), "isr": _ids(isr)})
        return list_

    def leader(self, name, partition=0):
        return self.partitions(name)[partition]["leader"]

    def await_in_sync(self, name):
        """Until every replica of every partition is in sync, so that a broker can be taken away without a loss."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self.partitions(name)
            if all(p["leader"] >= 0 and sorted(p["replicas"]) == sorted(p["isr"]) for p in found):
                return
            if time.monotonic() > deadline:
                raise KafkaFailed(f"{name} is not in sync after {PATIENCE_S} s: {json.dumps(found)}")
            time.sleep(0.1)

    # ---- parts ----

    def _admin(self, *words):
        if not self._topics:
            line = [SCRIPT, "classpath"] + (["--version", self.version] if self.version else [])
            jars = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            java = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars, TOPICS, self.bootstrap]
            self._topics = subprocess.Popen(java, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True)
        self._topics.stdin.write("\t".join(str(word) for word in words) + "\n")
        self._topics.stdin.flush()
        answer = self._topics.stdout.readline().rstrip("\n").split("\t")
        if answer[0] != "ok":
            raise KafkaFailed(f"{' '.join(str(word) for word in words)}: {' '.join(answer[1:]) or 'the admin client ended'}")
        return answer[1:]

    def _close_topics(self):
        if self._topics:
            self._topics.kill()
            self._topics.communicate()
            self._topics = None


def _pairs(config):
    return [name if value is None else f"{name}={value}" for name, value in (config or {}).items()]


def _ids(text):
    return [int(word) for word in text.split(",") if word]
