"""world - a network of its own for one test, in which a node can be cut off from some of the others as if a cable was pulled:
what is sent is lost without a word, in both directions.

    world.enter()                                # first of all: runs this program again, in namespaces of its own
    network = world.Network()
    node = network.node(1)                       # has an address on each cable, and a command that starts programs in it
    network.cut(1, world.KAFKA)
    network.mend(1, world.KAFKA)

Servers listen on network.servers(world.KAFKA). Needs root, or a system that gives user namespaces to everybody. When the program
ends, so does everything that it started: they are in a process namespace whose first process it is.
"""
import os
import subprocess
import sys

KAFKA, ZOOKEEPER, PEERS, CLIENTS = CABLES = ("kafka", "zookeeper", "peers", "clients")


def enter():
    if os.getpid() == 1:  # we are in there
        _run("ip", "link", "set", "lo", "up")
        return
    line = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        line.append("--map-root-user")
    os.execvp(line[0], [*line, sys.executable, *sys.argv])


def _run(*line):
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(line)}: {done.stderr}")


class Node:
    """A network namespace."""

    def __init__(self, number):
        self.number = number
        # It says so when it is in its namespace, and ends with this program.
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.command = ["nsenter", "--target", str(self.holder.pid), "--net", "--"]

    def address(self, cable):
        return f"{_prefix(cable)}.{10 + self.number}"

    def run(self, *line):
        _run(*self.command, *line)


class Network:
    def __init__(self):
        self.nodes = {}
        for cable in CABLES:
            _run("ip", "link", "add", cable, "type", "bridge")
            _run("ip", "address", "add", f"{self.servers(cable)}/24", "dev", cable)
            _run("ip", "link", "set", cable, "up")

    def servers(self, cable):
        return f"{_prefix(cable)}.1"

    def node(self, number):
        if number not in self.nodes:
            self.nodes[number] = self._add(Node(number))
        return self.nodes[number]

    def cut(self, number, cable):
        _run("ip", "link", "set", _plug(number, cable), "nomaster")

    def mend(self, number, cable):
        _run("ip", "link", "set", _plug(number, cable), "master", cable)

    def _add(self, node):
        node.run("ip", "link", "set", "lo", "up")
        for cable in CABLES:
            plug = _plug(node.number, cable)
            _run("ip", "link", "add", plug, "type", "veth", "peer", "name", cable, "netns", str(node.holder.pid))
            _run("ip", "link", "set", plug, "master", cable, "up")
            node.run("ip", "address", "add", f"{node.address(cable)}/24", "dev", cable)
            node.run("ip", "link", "set", cable, "up")
        return node


def _prefix(cable):
    return f"10.77.{1 + CABLES.index(cable)}"


def _plug(number, cable):
    return f"{cable}{number}"
