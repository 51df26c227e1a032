"""nodes - nodes on one Kafka: each a process with a data folder of its own, all on the same topics."""
import os
import signal
import subprocess

from harness import Server


class Node:
    def __init__(self, affinity, name, folder, kafka, keyspaces, config=None, topic=None):
        """`config` is laid over the defaults; `topic`: settings of the topics."""
        self.name = name
        own = os.path.join(folder, name)
        os.mkdir(own)
        properties = {"bootstrap.servers": kafka.bootstrap, **({"topic": topic} if topic else {})}
        self.server = Server([affinity, "serve"], keyspaces, {
            "mode": "development",
            "node": {"name": name, "data": os.path.join(own, "data"), "loops": 2},
            "changelog": "kafka",
            "kafka": properties,
            "limits": {"exchange_timeout": "3s"},
            **(config or {}),
        }, folder=own)
        self.paused = False

    def start(self):
        self.server.start()
        return self

    def pause(self):
        self.server.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.server.process.send_signal(signal.SIGCONT)
        self.paused = False

    def kill(self):
        if self.server.process:
            self.server.kill()

    @property
    def host(self):
        return self.server.host

    @property
    def port(self):
        return self.server.port

    def verify(self):
        """`affinity verify`: None, or what it said when a store differs from the log."""
        line = [*self.server.command[:1], "verify", "--url", f"http://{self.host}:{self.port}", "--timeout", "2m"]
        ended = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return None if ended.returncode == 0 else f"{self.name} verify: {ended.stdout}{ended.stderr}"

    def metrics(self):
        """{'name{labels}': value}"""
        client = self.server.client()
        lines = client.get("/metrics").body.decode().splitlines()
        client.close()
        series = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in series}

    def metric(self, family):
        """The sum of all series of a family."""
        return sum(value for series, value in self.metrics().items() if series.split("{")[0] == family)


def dirty(node):
    return int(node.metric("aff_partition_dirty"))
