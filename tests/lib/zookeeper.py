"""zookeeper - real ZooKeeper servers for one test, by scripts/zookeeper.

    with ZooKeeper() as zookeeper:                      # one server, tick 500 ms; ready
        run(zookeeper.connect)                          # "127.0.0.1:23456"

    with ZooKeeper(servers=3, settings={"tickTime": 200}) as zookeeper:
        zookeeper.kill(zookeeper.leader())              # kill -9; servers count from 1
        zookeeper.restart(2)                            # same address, same data; returns when it serves
        zookeeper.pause(1), zookeeper.resume(1)         # SIGSTOP, SIGCONT
        zookeeper.stop_all(), zookeeper.start_all()     # everything away for a while

A server is 70 MB, and half a second until it serves; three take two seconds. What a server said: zookeeper.log(1).
"""
import os

from servers import ROOT, Servers, ServersFailed

SCRIPT = os.path.join(ROOT, "scripts", "zookeeper")


class ZooKeeperFailed(ServersFailed):
    """scripts/zookeeper refused; the text is its own."""


class ZooKeeper(Servers):
    """`folder` is kept when it is given; else it is a temporary one that goes away with stop()."""

    script, one, failed = SCRIPT, "server", ZooKeeperFailed

    def __init__(self, servers=1, settings=None, folder=None, host=None):
        super().__init__(servers, settings, folder, host)
        self.connect = None

    def start(self):
        self.connect = self._start()["connect"][0]
        return self

    def stop_all(self):
        """In order, and everything stays for start_all()."""
        self._run("stop")
        self.pids = {}

    def start_all(self):
        told = self._run("start")
        self.pids = {i: int(pid) for i, pid in enumerate(told["pid"], 1)}

    def leader(self):
        """The number of the server that leads; 1 when there is only one."""
        return int(self._run("leader")[""][0])

    def address(self, i=1):
        return self.connect.split(",")[i - 1]
