#!/usr/bin/env python3
"""foreign - a reader of a topic that knows nothing of Affinity but two things: of several records with one key the last one
counts, and keys that begin with a zero byte are not data.

    foreign.py BOOTSTRAP TOPIC      prints `key digest` a line, in order of the keys: the key in hexadecimal digits, and the
                                    SHA-256 of the value; the last line says how many

It reads through kcat, which prints each record behind its lengths.
"""
import collections
import hashlib
import subprocess
import sys

Record = collections.namedtuple("Record", "partition offset time key value")  # value None: a tombstone

FORMAT = r"%p %o %T %K %S\n%k%s"


class ReadFailed(Exception):
    pass


def records(bootstrap, topic):
    """All of a topic, from the beginning to what was its end; each partition in the order of its offsets."""
    line = ["kcat", "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning", "-f", FORMAT]
    line += ["-X", "check.crcs=true", "-X", "isolation.level=read_uncommitted"]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        while head := reader.stdout.readline():
            partition, offset, time, key_len, value_len = map(int, head.split())
            key = reader.stdout.read(max(key_len, 0))
            value = reader.stdout.read(value_len) if value_len >= 0 else None
            yield Record(partition, offset, time, key, value)
        complaint = reader.stderr.read().decode(errors="replace")
    if reader.returncode != 0:
        raise ReadFailed(f"kcat ended with {reader.returncode}: {complaint[-2000:]}")


def last_writer_wins(all_records):
    """{key: its last record}; a key whose last record is a tombstone is not in it."""
    state = {}
    for record in all_records:
        if record.key[:1] == b"\0":
            continue
        if record.value is None:
            state.pop(record.key, None)
        else:
            state[record.key] = record
    return state


def values(bootstrap, topic):
    """{key: value}"""
    return {key: record.value for key, record in last_writer_wins(records(bootstrap, topic)).items()}


def main():
    state = values(*sys.argv[1:])
    for key in sorted(state):
        print(key.hex(), hashlib.sha256(state[key]).hexdigest())
    print(f"{len(state)} keys")


if __name__ == "__main__":
    main()
