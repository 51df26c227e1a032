"""cluster - a whole cluster for a test or a demonstration: Kafka brokers, ZooKeeper servers, and nodes of Affinity.

    with Cluster(affinity, keyspaces={"accounts": {"partitions": 12, "replicas": 2}}) as cluster:
        cluster.await_settled()                 # every partition has a master and its standbys are in step
        node = cluster.nodes["n1"]
        node.kill_worker()                      # kill -9; the supervisor starts another
        node.stop(), node.start()               # SIGTERM, and again with the same data; node.start(binary) with another build
        node.pause(), node.resume()             # SIGSTOP, SIGCONT of the worker
        cluster.add("n4"), cluster.addresses(), cluster.masters("accounts")
        assert not cluster.verify()             # `affinity verify` of every node that runs

With `network`, a world.Network, each node has a network namespace of its own, and can be cut off. Everything ends with the
cluster, and with the process that made it: a guard ends what is left.
"""
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import world
from harness import Client, Server
from kafka import Kafka
from zookeeper import ZooKeeper

PATIENCE_S = 180  # for what must come; nothing is ever waited for this long when all is well
LOOK_S = 0.05


class ClusterFailed(Exception):
    """What should have come did not; the text says what there was instead, and where the logs are."""


class Node:
    """One node. Its ports stay the same for all its life."""

    def __init__(self, cluster, name, number, binary):
        self.cluster, self.name, self.number = cluster, name, number
        self.namespace = cluster.network.node(number) if cluster.network else None
        folder = os.path.join(cluster.folder, name)
        os.mkdir(folder)
        self.http = f"{self._host(world.CLIENTS)}:{_free_port()}"
        self.peers = f"{self._host(world.PEERS)}:{_free_port()}"
        self.server = Server([], cluster.keyspaces, self._config(folder), folder=folder, supervised=True)
        self.binary = binary

    def _host(self, cable):
        return self.namespace.address(cable) if self.namespace else "127.0.0.1"

    def _config(self, folder):
        cluster = self.cluster
        own = {
            "cluster": cluster.name,
            "node": {"name": self.name, "data": os.path.join(folder, "data"), "loops": cluster.loops},
            "http": [{"listen": self.http}],
            "changelog": "kafka",
            "kafka": {"bootstrap.servers": cluster.kafka.bootstrap},
            "coordinator": "zookeeper",
            "zookeeper": {"connect": cluster.zookeeper.connect, "session": cluster.session, "tick": "500ms"},
            "peer": {"listen": self.peers, "security": "plain"},
        }
        for key, value in cluster.config.items():
            own[key] = {**own.get(key, {}), **value} if isinstance(value, dict) else value
        return own

    # ---- life ----

    def start(self, binary=None, wait=True):
        """With another binary, when one is given. Returns when it serves."""
        self.binary = binary or self.binary
        self.server.command = [*(self.namespace.command if self.namespace else []), self.binary, "serve"]
        self.server.start(wait=False)
        self.cluster.guard(self.server.process.pid)
        if wait:
            self.server.wait_ready(PATIENCE_S)
        return self

    def stop(self):
        """SIGTERM: it drains. Returns its exit status."""
        return self.server.stop(timeout=PATIENCE_S)

    def runs(self):
        return self.server.runs()

    @property
    def supervisor(self):
        return self.server.process.pid

    def worker(self):
        """The pid of the process that serves: the child of the supervisor, or the only one there is. None: between two."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{self.supervisor}/task/{self.supervisor}/children", encoding="utf-8") as f:
                children = f.read().split()
            if children:
                return int(children[-1])  # before it there may be one that ends the session of the worker before
            return self.supervisor if not self._has_supervisor() else None
        return None

    def _has_supervisor(self):
        """Whether this process is one: it has a single thread, and a worker has many."""
        return len(os.listdir(f"/proc/{self.supervisor}/task")) == 1

    def kill_worker(self):
        self._signal(self.worker(), signal.SIGKILL)

    def kill_both(self):
        """The worker dies with its supervisor. Returns when its ports are free: who starts it again would not get them before."""
        worker = self.worker()
        self.server.kill()
        until = time.monotonic() + PATIENCE_S
        while worker is not None and not _is_gone(worker):
            if time.monotonic() > until:
                raise ClusterFailed(f"the supervisor of {self.name} is dead, and its worker {worker} is not; its log is {self.server.log_path}")
            time.sleep(0.001)

    def pause(self):
        """Returns when every thread of the worker stands."""
        worker = self.worker()
        self._signal(worker, signal.SIGSTOP)
        while any(state in "RSD" for state in _thread_states(worker)):
            time.sleep(0.001)

    def resume(self):
        self._signal(self.worker(), signal.SIGCONT)

    def _signal(self, pid, number):
        if pid is None:
            raise ClusterFailed(f"{self.name} has no worker now; its log is {self.server.log_path}")
        os.kill(pid, number)

    # ---- what it says ----

    def ask(self, method, target, body=None, timeout=10, **headers):
        """One request on a connection of its own."""
        host, _, port = self.http.rpartition(":")
        client = Client(host, int(port), timeout)
        try:
            return client.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        finally:
            client.close()

    def view(self):
        """/cluster; None when it does not answer."""
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            answer = self.ask("GET", "/cluster", timeout=2)
            return answer.json() if answer.status == 200 else None
        return None

    def parts(self):
        """{(keyspace, partition): {...}} of what /cluster says of its own; {} when it does not answer."""
        view = self.view()
        return {(p["keyspace"], p["partition"]): p for p in view["partitions"]} if view else {}

    def verify(self):
        """`affinity verify`: None, or what it said when a store differs from the log."""
        line = [self.cluster.affinity, "verify", "--here", "--url", f"http://{self.http}", "--timeout", "2m"]
        ended = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return None if ended.returncode == 0 else f"{self.name} verify: {ended.stdout}{ended.stderr}"

    def log(self):
        return self.server.log()


class Cluster:
    """`folder` is kept when it is given; else it is a temporary one that goes away with stop(). `config` is laid over every node's."""

    def __init__(self, affinity, nodes=3, brokers=3, servers=3, keyspaces=None, config=None, folder=None, network=None,
                 session="4s", loops=1, name="demo"):
        self.affinity, self.network, self.session, self.loops, self.name = affinity, network, session, loops, name
        self.keyspaces = keyspaces or {"accounts": {"partitions": 12, "replicas": 2}}
        self.config = dict(config or {})
        self.own_folder, self.folder = folder is None, folder
        self.count = nodes
        self.kafka = Kafka(brokers, host=network and network.servers(world.KAFKA))
        self.zookeeper = ZooKeeper(servers, host=network and network.servers(world.ZOOKEEPER))
        self.nodes = {}
        self._guard = None

    # ---- life ----

    def start(self):
        """Returns when every node serves."""
        if self.own_folder:
            self.folder = tempfile.mkdtemp(prefix="affinity-cluster.")
        os.makedirs(self.folder, exist_ok=True)
        self._guard = _guard(self.folder, keep=not self.own_folder)
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                for started in [pool.submit(self.kafka.start), pool.submit(self.zookeeper.start)]:
                    started.result()
            for number in range(1, self.count + 1):
                self.add(f"n{number}", wait=False)
            for node in self.nodes.values():
                node.server.wait_ready(PATIENCE_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        for node in self.nodes.values():
            if node.runs():
                node.kill_both()
        if self._guard:
            self._guard.stdin.write(b"stopped\n")
            self._guard.communicate()
            self._guard = None
        self.zookeeper.stop()
        self.kafka.stop()
        if self.own_folder and self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, exception, _):
        if kind:
            for node in self.nodes.values():
                print(f"---- the end of the log of {node.name} ----\n{node.log()[-4000:]}")
        self.stop()

    def add(self, name, binary=None, wait=True):
        """A node more."""
        node = self.nodes[name] = Node(self, name, len(self.nodes) + 1, binary or self.affinity)
        return node.start(wait=wait)

    def guard(self, pid):
        self._guard.stdin.write(f"{pid}\n".encode())
        self._guard.stdin.flush()

    # ---- what there is to know ----

    def running(self):
        return [node for node in self.nodes.values() if node.runs()]

    def addresses(self):
        return [node.http for node in self.running()]

    def partitions(self):
        return [(name, p) for name, space in self.keyspaces.items() for p in range(space.get("partitions", 8))]

    def masters(self, parts=None):
        """{(keyspace, partition): the name of the node that leads it}; of those that have one. `parts`: as all_parts() told."""
        parts = parts or self.all_parts()
        return {key: name for name, own in parts.items() for key, part in own.items()
                if part.get("role") == "master" and part.get("serves", True)}

    def all_parts(self):
        """{node: its parts()}, asked all at once."""
        nodes = self.running()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return dict(zip([node.name for node in nodes], pool.map(Node.parts, nodes)))

    def leads_most(self):
        leads = list(self.masters().values())
        return self.nodes[max(sorted(set(leads)), key=leads.count)]

    def unsettled(self, all_there=True):
        """Why it is not settled; "" when it is. `all_there`: as many replicas as are wanted, in step."""
        parts = self.all_parts()
        masters = self.masters(parts)
        missing = [key for key in self.partitions() if key not in masters]
        if missing:
            return f"no master: {missing}"
        for key in self.partitions():
            end = parts[masters[key]][key]["applied"]
            behind = [n for n, own in parts.items()
                      if key in own and own[key].get("role") == "following" and own[key]["applied"] >= end - 100]
            wanted = min(self.keyspaces[key[0]].get("replicas", 1), len(parts)) - 1
            if all_there and len(behind) < wanted:
                return f"{key}: master {masters[key]}, in step {behind}, wanted {wanted} standbys"
        return ""

    def await_settled(self, all_there=True):
        """Returns {(keyspace, partition): master}."""
        self.wait_for(lambda: not self.unsettled(all_there), lambda: self.unsettled(all_there))
        return self.masters()

    def shares(self):
        """{node that runs: how many partitions it leads}"""
        led = collections.Counter(self.masters().values())
        return {node.name: led[node.name] for node in self.running()}

    def await_even(self):
        """Until it is settled and everybody leads its share: after a start that takes until all have come, and then some hand-overs."""
        def even(shares):
            return sum(shares.values()) == len(self.partitions()) and max(shares.values()) - min(shares.values()) <= 1

        self.wait_for(lambda: even(self.shares()), lambda: f"they lead {self.shares()} of {len(self.partitions())} partitions")
        self.await_settled()

    def wait_for(self, holds, why=lambda: "", patience_s=PATIENCE_S):
        deadline = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > deadline:
                raise ClusterFailed(f"not after {patience_s} s: {why()}; the logs are in {self.folder}")
            time.sleep(LOOK_S)

    def verify(self):
        """What `affinity verify` has to complain about, of every node that runs."""
        return [text for text in (node.verify() for node in self.running()) if text]


def _thread_states(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8") as f:
                yield f.read().rpartition(")")[2].split()[0]


def _is_gone(pid):
    """All of its threads; a process that nobody has waited for yet holds nothing any more."""
    try:
        return all(state in "ZX" for state in _thread_states(pid))
    except (FileNotFoundError, ProcessLookupError):
        return True


def _free_port():
    """Below those that the system gives to connections by itself, so that nobody takes it while its node is down."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="utf-8") as f:
        high = int(f.read().split()[0])
    while True:
        port = random.randrange(10240, high) if high > 11240 else random.randrange(1024, 65536)
        with socket.socket() as one:
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                return port


GUARD = """
while read -r word; do
    case "$word" in stopped) exit 0 ;; *) pids="$pids $word" ;; esac
done
for pid in $pids; do
    tr '\\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$1/" && kill -KILL "$pid" 2>/dev/null
done
[ "$2" = keep ] || rm -rf "$1"
"""


def _guard(folder, keep):
    """Kills the nodes when this process ends without having done it. It reads a pipe that ends with this process."""
    line = ["bash", "-c", GUARD, "guard", folder, "keep" if keep else "remove"]
    return subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True)
