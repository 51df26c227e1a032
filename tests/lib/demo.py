"""demo - what the demonstrations of a cluster share: what is built, what is started, and how figures stand beside their bounds."""
import os
import subprocess
import sys
import time

import traffic
from cluster import Cluster
from traffic import ROOT, percentile

PARTITIONS, REPLICAS = 12, 2
RATE, WRITER_GAP_US = 100, 20000  # with more, 3 brokers, 3 ZooKeepers and 3 nodes have to wait for two cores


def add_arguments(parser, partitions=PARTITIONS, rate=RATE, writer_gap=WRITER_GAP_US):
    parser.add_argument("--affinity", help="the binary; without it, it is built")
    parser.add_argument("--partitions", type=int, default=partitions)
    parser.add_argument("--replicas", type=int, default=REPLICAS)
    parser.add_argument("--rate", type=int, default=rate, help="mixed requests a second, besides the writers")
    parser.add_argument("--writer-gap", type=int, default=writer_gap, metavar="US", help="a writer rests for so long after an answer")
    parser.add_argument("--keep", metavar="FOLDER", help="a new folder for everything of the nodes, which stays")


def binary(arguments):
    if arguments.affinity:
        return os.path.abspath(arguments.affinity)
    subprocess.run([os.path.join(ROOT, "scripts", "setup"), "all"], check=True)
    return build("release")


def build(kind):
    """The path of the binary."""
    line = [os.path.join(ROOT, "scripts", "build"), kind]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]


def cluster(arguments):
    return Cluster(binary(arguments), keyspaces={"accounts": {"partitions": arguments.partitions, "replicas": arguments.replicas}},
                   folder=arguments.keep and os.path.abspath(arguments.keep))


def started(made, since):
    """Says what runs."""
    made.await_even()
    print(f"3 brokers, 3 ZooKeepers, 3 nodes, {len(made.partitions())} partitions, after {time.monotonic() - since:.1f} s")
    for node in made.nodes.values():
        print(f"  {node.name}  http://{node.http}  supervisor {node.supervisor}, worker {node.worker()}")
    sys.stdout.flush()


def load_program(made):
    return traffic.build(made.folder)


def ms(value):
    return f"{value:.1f} ms"


def bounded(name, value, limit):
    """A figure in ms and what it should be at most."""
    print(f"  {name:<50} {ms(value):>12}   bound {ms(limit):>10}   {'met' if value <= limit else 'NOT MET'}")


def summary(name, values):
    """p50, p99 and most of some figures in ms."""
    print(f"  {name:<50} p50 {ms(percentile(values, 50))}, p99 {ms(percentile(values, 99))}, most "
          f"{ms(max(values, default=float('nan')))}, of {len(values)}")


def show_failed(requests, most=5):
    for request in requests[:most]:
        print(f"    failed: {request}")
    if len(requests) > most:
        print(f"    ... {len(requests) - most} more")


def conclude(name, complaints):
    """Prints them and the last line; the exit status."""
    for complaint in complaints[:20]:
        print(complaint)
    print(f"{name}: {'all well' if not complaints else f'{len(complaints)} complaints'}")
    return 1 if complaints else 0
