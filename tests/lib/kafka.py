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
import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "scripts", "kafka")
TOPICS = os.path.join(ROOT, "tests", "lib", "KafkaTopics.java")
PATIENCE_S = 120  # for what must come; nothing is ever waited for this long when all is well


class KafkaFailed(Exception):
    """scripts/kafka or the admin client refused; the text is theirs."""


class Kafka:
    """`folder` is kept when it is given; else it is a temporary one that goes away with stop()."""

    def __init__(self, brokers=1, version=None, settings=None, folder=None):
        self.brokers, self.version, self.settings = brokers, version, dict(settings or {})
        self.own_folder = folder is None
        self.folder = folder
        self.bootstrap = None
        self.pids = {}  # of broker 1, 2, ...
        self._guard = self._topics = None

    # ---- life ----

    def start(self):
        if self.own_folder:
            self.folder = tempfile.mkdtemp(prefix="affinity-kafka.")
        self._guard = _guard(self.folder, keep=not self.own_folder)
        line = ["start", "--brokers", str(self.brokers)]
        if self.version:
            line += ["--version", self.version]
        if not os.path.exists(os.path.join(self.folder, "complete")):
            for name, value in self.settings.items():
                line += ["--set", f"{name}={value}"]
        try:
            told = self._run(*line)
        except BaseException:
            self.stop()
            raise
        self.bootstrap = told["bootstrap"][0]
        self.pids = {i: int(pid) for i, pid in enumerate(told["pid"], 1)}
        return self

    def stop(self):
        """All brokers; in order when the folder stays, else at once, since nobody will look at it."""
        self._close_topics()
        if self.folder and os.path.exists(self.folder):
            if self.own_folder:
                for pid in self.pids.values():
                    _signal(pid, signal.SIGKILL)
            subprocess.run([SCRIPT, "stop", "--dir", self.folder], check=True)
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)
        self.pids = {}
        if self._guard:
            self._guard.stdin.write(b"stopped\n")
            self._guard.communicate()
            self._guard = None

    def kill(self, i):
        self._run("kill", "--broker", str(i))
        del self.pids[i]

    def stop_broker(self, i):
        """In order: it hands its partitions over first."""
        self._run("stop", "--broker", str(i))
        del self.pids[i]

    def restart(self, i):
        """One that was killed or stopped."""
        self.pids[i] = int(self._run("restart", "--broker", str(i))["pid"][0])

    def pause(self, i):
        """Returns when each of its threads stands: until then one of them may still answer."""
        os.kill(self.pids[i], signal.SIGSTOP)
        while any(state in "RSD" for state in self._thread_states(i)):
            time.sleep(0.001)

    def _thread_states(self, i):
        for path in glob.glob(f"/proc/{self.pids[i]}/task/*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path, encoding="utf-8") as f:
                yield f.read().rpartition(")")[2].split()[0]

    def resume(self, i):
        os.kill(self.pids[i], signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    # ---- what there is to know ----

    def log(self, i=1):
        with open(os.path.join(self.folder, f"broker-{i}", "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

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
        """Sets these settings and leaves the others; None takes one back to the default."""
        self._admin("alter", name, *_pairs(config))

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

    def _run(self, command, *arguments):
        """What scripts/kafka printed: {"pid": ["12", ...], ...}."""
        line = [SCRIPT, command, "--dir", self.folder, *arguments]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KafkaFailed(f"scripts/kafka {command}: {done.stderr}")
        told = {}
        for name, _, value in (text.partition("=") for text in done.stdout.splitlines()):
            told.setdefault(name, []).append(value)
        return told

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


GUARD = """
read -r word
[ "$word" != stopped ] || exit 0
"$1" stop --dir "$2" 2>/dev/null
[ "$3" = keep ] || rm -rf "$2"
"""


def _guard(folder, keep):
    """Stops the brokers when this process ends without having done it. It reads a pipe that ends with this process."""
    line = ["bash", "-c", GUARD, "guard", SCRIPT, folder, "keep" if keep else "remove"]
    return subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True)


def _pairs(config):
    return [name if value is None else f"{name}={value}" for name, value in (config or {}).items()]


def _ids(text):
    return [int(word) for word in text.split(",") if word]


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
