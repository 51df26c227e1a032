"""ledger - a topic as doc/protocol.md reads it: which records count and which are void. A second implementation of that rule,
for tests that look at what nodes left in the log.
"""
import collections
import struct
from dataclasses import dataclass, field

import java

DATA, CLAIM, BARRIER, REPAIR = 1, 2, 3, 4

Stamp = collections.namedtuple("Stamp", "kind epoch nonce number")


@dataclass
class Entry:
    partition: int
    offset: int
    time: int
    key: bytes
    value: bytes | None
    stamp: Stamp | None  # None: it has no header that can be read
    valid: bool = False

    @property
    def is_data(self):
        return self.key[:1] != b"\0"


@dataclass
class Ledger:
    entries: list = field(default_factory=list)
    ends: dict = field(default_factory=dict)  # {partition: (start, end)}

    def void(self):
        """Data records that do not count."""
        return [e for e in self.entries if e.is_data and not e.valid]

    def kept(self):
        """How many records there are, and how many offsets there were."""
        return len(self.entries), sum(end for _, end in self.ends.values())

    def state(self):
        """{key: value} of the records that count."""
        state = {}
        for entry in self.entries:
            if entry.valid and entry.is_data:
                state[entry.key] = entry.value
        return {key: value for key, value in state.items() if value is not None}

    def count(self, kind):
        return sum(e.stamp is not None and e.stamp.kind == kind for e in self.entries)

    def masterships(self):
        """How many were claimed with success."""
        return sum(e.valid and e.stamp.kind == CLAIM for e in self.entries)


def stamp_of(header):
    if header is None or len(header) < 24 or header[0] != 1:
        return None
    kind, major, minor, nonce, number = struct.unpack(">xBIHQQ", header[:24])
    known = DATA <= kind <= REPAIR and major > 0 and (number == 0) == (kind == CLAIM)
    return Stamp(kind, (major, minor), nonce, number) if known else None


def judge(entries):
    """Sets `valid` of the entries of one partition, in order of their offsets."""
    epoch, nonce, number = (0, 0), 0, 0
    for entry in entries:
        stamp = entry.stamp
        if stamp is None:
            continue
        entry.valid = stamp.epoch > epoch or (stamp.epoch, stamp.nonce) == (epoch, nonce) and stamp.number > number
        if entry.valid:
            epoch, nonce, number = stamp.epoch, stamp.nonce, stamp.number


def read(bootstrap, topic):
    ledger, parts = Ledger(), collections.defaultdict(list)
    for line in java.run("Dump.java", bootstrap, topic):
        words = line.split(" ")
        if words[1] == "end":
            ledger.ends[int(words[0])] = (int(words[4]), int(words[2]))
            continue
        key, value, header = (None if text == "-" else bytes.fromhex(text) for text in words[3:6])
        entry = Entry(int(words[0]), int(words[1]), int(words[2]), key or b"", value, stamp_of(header))
        ledger.entries.append(entry)
        parts[entry.partition].append(entry)
    for entries in parts.values():
        judge(entries)
    return ledger
