"""put_kafka - scripts/bench put --kafka: what a PUT costs on Affinity with `changelog: kafka`, beside the least that it could cost.

Measured in turn, in rounds, on one broker that nobody else uses, each on a topic of its own:

    affinity        one loop
    plain-recall    plain_kafka.c: libmicrohttpd and librdkafka with nothing between them, in its two forms; the faster one
    plain-suspend   counts
    rdkafka-alone   rdkafka_alone.c: no HTTP, as many records in flight as there are connections; for the record

and each in two ways: as fast as 64 connections go (the rate), and a few hundred requests a second (the latency: under full
load it is only the number of connections divided by the rate). doc/performance.md says how to read the table.
"""
import argparse
import collections
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from harness import Server, ServerFailed  # noqa: E402

HERE = os.path.join(ROOT, "tests", "bench")
HERTZ = os.sysconf("SC_CLK_TCK")
BODY = '{"id":"fedcba9876543210","name":"a value under a key","n":67890,"ok":false,"tags":["d","e","f","g"]}'
GOAL_RATIO, GOAL_ADDED_MS = 0.70, 1.0
PARTITIONS = 8  # as in producers.h
CONNECTIONS, FEW, THINK_MS = 64, 8, 20

# One measurement. CPU times in seconds.
Row = collections.namedtuple("Row", "requests seconds p50_ms p99_ms server broker client others")


class Failed(Exception):
    pass


# ---- processes ----


def children_of(pid):
    children = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                children += map(int, f.read().split())
        except FileNotFoundError:
            pass  # a thread that has ended meanwhile
    return children


def cpu_of(pids):
    """User and system seconds of processes and their children."""
    total = 0
    for pid in pids:
        total += cpu_of(children_of(pid))
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / HERTZ
    return total


def cpu_of_all():
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq, *_ = map(int, f.readline().split()[1:])
    return (user + nice + system + irq + softirq) / HERTZ


def cpu_of_ended_children():
    times = os.times()
    return times.children_user + times.children_system


class Broker:
    """One broker of scripts/kafka."""

    def __init__(self, folder, version):
        self.folder, self.version = folder, version

    def __enter__(self):
        line = [os.path.join(ROOT, "scripts", "kafka"), "start", "--dir", self.folder]
        if self.version:
            line += ["--version", self.version]
        said = dict(one.split("=", 1) for one in subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.split())
        self.bootstrap, self.pids = said["bootstrap"], [int(said["pid"])]
        return self

    def __exit__(self, *_):
        subprocess.run([os.path.join(ROOT, "scripts", "kafka"), "stop", "--dir", self.folder], check=False)


# ---- what is measured: name, address (None: no HTTP), pids, path of the keys, stop() ----


class Affinity:
    name, topic = "affinity", "bench.bench"

    def __init__(self, binary, broker, folder, sets):
        self.server = Server(
            [binary, "serve"],
            keyspaces={"bench": {"partitions": PARTITIONS}},
            config={
                "cluster": "bench",
                "node": {"name": "n1", "data": os.path.join(folder, "data"), "loops": 1},
                "log": {"level": "warn"},
                "changelog": "kafka",
                "kafka": {"bootstrap.servers": broker.bootstrap},
                "mode": "development",
            },
            folder=folder,
            sets=sets,
        )

    def start(self):
        self.server.start()
        with open(self.server.ready_path, encoding="utf-8") as f:
            self.pids = [json.load(f)["pid"]]
        self.address = self.server.addresses[0]
        answer = self.server.client().put("/v1/bench/key-000007", BODY.encode())
        if answer.status not in (200, 201):
            raise Failed(f"affinity: a PUT was answered {answer}")

    def check(self):
        answer = self.server.client().get("/v1/bench/key-000007")
        if answer.status != 200 or answer.body.decode() != BODY:
            raise Failed(f"affinity: the value is not what was put: {answer}")

    def stop(self):
        self.server.stop()


class Plain:
    def __init__(self, program, mode, producers, broker):
        self.name = self.topic = f"plain-{mode}"
        self.line = [program, mode, str(producers), broker.bootstrap, self.topic]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = self.process.stdout.readline()
        if not said:
            raise Failed(f"{' '.join(self.line)} did not start")
        self.address, self.pids = json.loads(said)["http"][0], [self.process.pid]

    def check(self):
        pass

    def stop(self):
        self.process.kill()
        self.process.wait()


class Alone:
    """Is a program for each measurement, and says itself what CPU time it used."""

    name = topic = "rdkafka-alone"
    address, pids = None, []

    def __init__(self, program, producers, broker):
        self.line = [program, str(producers), broker.bootstrap, self.topic]

    def start(self):
        pass

    def check(self):
        pass

    def stop(self):
        pass


def compile_program(folder, name, *libraries):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *libraries], check=True, stdout=subprocess.PIPE, text=True).stdout
    program = os.path.join(folder, name)
    sources = [os.path.join(HERE, f"{name}.c"), os.path.join(HERE, "producers.c")]
    subprocess.run(
        [os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-O3", "-o", program, *sources, *shlex.split(flags)], check=True
    )
    return program


# ---- measuring ----


def load_line(one, options, connections, think_ms, seconds):
    if one.address:
        line = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", os.path.join(HERE, "load.lua")]
        return [*line, f"http://{one.address}", "--", "PUT", str(options.keys), BODY, *([str(think_ms)] if think_ms else [])]
    return [*one.line, str(connections), str(think_ms), str(options.keys), str(seconds), BODY]


def measure(one, broker, options, connections, think_ms, seconds):
    server, brokers, ended, everything = cpu_of(one.pids), cpu_of(broker.pids), cpu_of_ended_children(), cpu_of_all()
    done = subprocess.run(
        load_line(one, options, connections, think_ms, seconds), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False
    )
    server, brokers = cpu_of(one.pids) - server, cpu_of(broker.pids) - brokers
    ended, everything = cpu_of_ended_children() - ended, cpu_of_all() - everything
    line = next((line.split()[1:] for line in done.stdout.splitlines() if line.startswith("bench ")), None)
    if not line:
        raise Failed(f"{one.name}: no result: {done.stdout} {done.stderr}")
    requests, micros, p50, p99, refused, broken, *own_cpu = map(float, line)
    if refused or broken or not requests:
        raise Failed(f"{one.name}: {requests:.0f} requests, {refused:.0f} refused, {broken:.0f} socket errors or timeouts")
    others = max(0, everything - server - brokers - ended)
    client, server = (0, own_cpu[0] / 1e6) if own_cpu else (ended, server)
    return Row(requests, micros / 1e6, p50 / 1e3, p99 / 1e3, server, brokers, client, others)


def measure_all(subjects, broker, options):
    """{name: {"full": rows, "few": rows}}; every round begins with another one."""
    results = {one.name: {"full": [], "few": []} for one in subjects}
    for number in range(options.rounds):
        for i in range(len(subjects)):
            one = subjects[(number + i) % len(subjects)]
            results[one.name]["full"].append(measure(one, broker, options, CONNECTIONS, 0, options.seconds))
            results[one.name]["few"].append(measure(one, broker, options, FEW, THINK_MS, options.seconds))
    return results


def idle(subjects, broker):
    """CPU cores that broker and Affinity use while nobody asks for anything."""
    servers = [one for one in subjects if one.name == "affinity"]
    pids = [pid for one in servers for pid in one.pids]
    begin, server, brokers = time.monotonic(), cpu_of(pids), cpu_of(broker.pids)
    time.sleep(2)
    took = time.monotonic() - begin
    return (cpu_of(pids) - server) / took, (cpu_of(broker.pids) - brokers) / took


# ---- reporting ----


def median(rows, value):
    return statistics.median(value(row) for row in rows)


def rate(row):
    return row.requests / row.seconds


def per_cpu(row):
    return row.requests / max(row.server, 1 / HERTZ)


def cost(row):
    """CPU time of all that takes part, for one request. Where these share the cores, the rate is the cores divided by it."""
    return (row.server + row.broker + row.client) / row.requests


def print_table(results):
    print(
        f"{'':14}|{f'{CONNECTIONS} connections':^40}|{'CPU us/request':^33}|{'cores':^14}|{'few requests':^23}\n"
        f"{'':14}|{'req/s':>7} {'[min':>7} {'max]':>7} {'p50 ms':>7} {'p99 ms':>7} |{'server':>7} {'broker':>7} {'wrk':>7} {'all':>7} |"
        f"{'all':>6} {'others':>6} |{'req/s':>6} {'p50 ms':>7} {'p99 ms':>7}"
    )
    for name, both in results.items():
        full, few = both["full"], both["few"]
        costs = [1e6 * median(full, lambda r, part=part: getattr(r, part) / r.requests) for part in ("server", "broker", "client")]
        print(
            f"{name:14}|{median(full, rate):7.0f} {min(map(rate, full)):7.0f} {max(map(rate, full)):7.0f}"
            f" {median(full, lambda r: r.p50_ms):7.2f} {median(full, lambda r: r.p99_ms):7.2f} |"
            f"{costs[0]:7.1f} {costs[1]:7.1f} {costs[2]:7.1f} {1e6 * median(full, cost):7.1f} |"
            f"{median(full, lambda r: cost(r) * rate(r)):6.2f} {median(full, lambda r: r.others / r.seconds):6.2f} |"
            f"{median(few, rate):6.0f} {median(few, lambda r: r.p50_ms):7.2f} {median(few, lambda r: r.p99_ms):7.2f}"
        )
    print("others: cores that were busy with something else. Above 0.2, or much more for one than for another, rates and latencies")
    print("are not to be trusted; CPU times are, within a tenth.")


def verdict(met):
    return "met" if met else "missed"


def ratio_of(results, value):
    """Affinity's median over that of the plain program that is best by this measure; and the latter's name."""
    plains = {name: median(both["full"], value) for name, both in results.items() if name.startswith("plain")}
    best = max(plains, key=plains.get)
    return median(results["affinity"]["full"], value) / plains[best], best


def print_result(results):
    ratio, best = ratio_of(results, rate)
    server, whole = ratio_of(results, per_cpu)[0], ratio_of(results, lambda row: 1 / cost(row))[0]
    p50 = {name: median(both["few"], lambda row: row.p50_ms) for name, both in results.items()}
    quick = min((name for name in p50 if name.startswith("plain")), key=p50.get)
    added = p50["affinity"] - p50[quick]
    print(f"put --kafka: requests per CPU second: of the server {server:.2f}, of server, broker and wrk together {whole:.2f}")
    print(
        f"put --kafka: added p50 {added:.2f} ms (affinity {p50['affinity']:.2f} ms, {quick} {p50[quick]:.2f} ms, at"
        f" {median(results['affinity']['few'], rate):.0f} req/s), goal {GOAL_ADDED_MS:.0f} ms: {verdict(added <= GOAL_ADDED_MS)}"
    )
    print(
        f"put --kafka: ratio {ratio:.2f} (affinity {median(results['affinity']['full'], rate):.0f} req/s,"
        f" {best} {median(results[best]['full'], rate):.0f} req/s), goal {GOAL_RATIO:.2f}: {verdict(ratio >= GOAL_RATIO)}"
    )


# ---- main ----


def scratch_folder():
    """On a disk: the brokers' files and the store are to cost what they cost."""
    folder = os.environ.get("TMPDIR", "/tmp")
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    folder = folder if kind != "tmpfs" else os.path.join(ROOT, "build")
    os.makedirs(folder, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="affinity-bench.", dir=folder)


def subjects_of(options, broker, scratch):
    plain = compile_program(scratch, "plain_kafka", "libmicrohttpd", "rdkafka")
    alone = compile_program(scratch, "rdkafka_alone", "rdkafka")
    folder = os.path.join(scratch, "affinity")
    os.makedirs(folder)
    ours = [Affinity(options.affinity, broker, folder, options.sets)] if options.affinity else []
    plains = [Plain(plain, mode, options.producers, broker) for mode in ("recall", "suspend")]
    return [*ours, *plains, Alone(alone, options.producers, broker)]


def run(options, broker, scratch):
    started = []
    try:
        subjects = subjects_of(options, broker, scratch)
        for one in subjects:
            started.append(one)
            one.start()
            measure(one, broker, options, CONNECTIONS, 0, 2)  # warms the broker, too
        server, brokers = idle(subjects, broker)
        print(f"while nobody asks, affinity uses {server:.2f} cores and the broker {brokers:.2f}", file=sys.stderr)
        results = measure_all(subjects, broker, options)
        for one in subjects:
            one.check()
    finally:
        for one in started:
            one.stop()
    print_table(results)
    if options.affinity:
        print_result(results)


def main():
    parser = argparse.ArgumentParser(prog="bench put --kafka")
    parser.add_argument("--affinity", help="the binary; without it only the other programs are measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--keys", type=int, default=4096)
    parser.add_argument("--producers", type=int, default=1, help="of the plain program and of librdkafka alone")
    parser.add_argument("--version", default="", help="of Kafka")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with scratch_folder() as scratch:
        try:
            with Broker(os.path.join(scratch, "kafka"), options.version) as broker:
                run(options, broker, scratch)
        except (Failed, ServerFailed, subprocess.CalledProcessError) as failed:
            sys.exit(f"bench: {failed}")


main()
