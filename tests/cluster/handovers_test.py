"""handovers_test - what the nodes' logs say of hand-overs, and which writes count for the pause of one."""
import datetime
import unittest
from dataclasses import dataclass

from handovers import AFTER_MS, MS, Handovers

BEGIN, BEHIND = 50_000_000 * MS, 1_700_000_000_000 * MS  # of the monotonic clock, which is so far behind the logs'


def line(after_ms, event, partition, **words):
    moment = datetime.datetime.fromtimestamp((BEGIN + after_ms * MS + BEHIND) // MS / 1000, datetime.timezone.utc)
    told = {"keyspace": "accounts", "partition": partition, **words}
    text = " ".join(f"{name}={value}" for name, value in told.items())
    return f"time={moment.strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3]}Z level=info event={event} {text}\n"


def master(after_ms, partition, epoch, minor=0):
    return line(after_ms, "partition.role", partition, role="master", epoch=epoch, minor=minor, applied=1)


def go(after_ms, partition, epoch):
    return line(after_ms, "partition.go", partition, epoch=epoch, applied=1)


@dataclass
class Node:
    name: str
    text: str

    def log(self):
        return self.text


@dataclass
class Write:
    start: int
    end: int


def write(start_ms, end_ms):
    return Write(BEGIN + start_ms * MS, BEGIN + end_ms * MS)


def read(**logs):
    return Handovers([Node(name, text) for name, text in logs.items()], "accounts", BEHIND)


class HandoversTest(unittest.TestCase):
    def at(self, moment, after_ms):
        self.assertEqual((moment - BEGIN) / MS, after_ms)

    def test_one_goes_from_giver_to_receiver(self):
        log = read(n1=master(0, 3, 1) + go(100, 3, 2), n2=master(120, 3, 2))
        [one] = log.all
        self.assertEqual((one.partition, one.epoch, one.giver, one.receiver), (3, 2, "n1", "n2"))
        self.at(one.went, 100)
        self.at(one.led, 120)
        self.assertEqual(log.leader(3, BEGIN - 9 * MS), None)
        self.assertEqual(log.leader(3, BEGIN + 50 * MS), "n1")
        self.assertEqual(log.leader(3, BEGIN + 150 * MS), "n2")

    def test_partitions_and_keyspaces_are_kept_apart(self):
        others = master(110, 3, 2).replace("accounts", "sessions")
        log = read(n1=go(100, 3, 2) + go(101, 4, 2), n2=others + master(115, 4, 2) + master(130, 3, 2))
        self.assertEqual([(one.partition, round((one.led - one.went) / MS)) for one in log.all], [(3, 30), (4, 14)])

    def test_one_that_failed_lasts_until_somebody_leads(self):
        log = read(n1=go(100, 3, 2) + line(400, "partition.not-handed-over", 3, epoch=2) + master(450, 3, 3), n2="")
        [one] = log.all
        self.assertIsNone(one.receiver)
        self.at(one.led, 450)

    def test_one_that_ended_before_go_counts(self):
        [one] = read(n1=line(1000, "partition.not-handed-over", 3, epoch=2)).all
        self.assertIsNone(one.receiver)
        self.assertEqual(read(n1=line(1000, "partition.not-handed-over", 3, epoch=2)).pause_ms(one, [write(1, 1004)]), 1003)

    def test_who_leads_on_after_settling_has_handed_nothing_over(self):
        log = read(n1=master(0, 3, 1) + go(100, 3, 2) + master(110, 3, 1, minor=1), n2=master(120, 3, 2))
        self.at(log.all[0].led, 120)

    def test_every_write_that_was_under_way_counts(self):
        log = read(n1=go(100, 3, 2), n2=master(120, 3, 2))
        [one] = log.all
        for longest in (write(10, 105), write(102, 190), write(50, 300), write(120 + AFTER_MS - 5, 250)):
            writes = [write(90, 95), write(100, 101), longest, write(500, 2000)]
            self.assertEqual(log.pause_ms(one, writes), (longest.end - longest.start) / MS)
        self.assertEqual(log.pause_ms(one, [write(0, 90), write(500, 2000)]), 0)


if __name__ == "__main__":
    unittest.main()
