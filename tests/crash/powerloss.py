#!/usr/bin/env python3
"""powerloss - makes a folder look as a machine could find it after its power failed; see powerloss.c for the model.

    powerloss.py ROOT JOURNAL --seed N

No process uses the folder any more. What was synced stays. Of what was not, a seed decides: nothing, everything, a part in
order, or any sectors of it, torn or not, may have reached the disk; names that were not synced may be as they were before.
Then the journal begins anew, since all that is there now is durable.
"""
import argparse
import os
import random
import shutil
import struct

WRITE, SIZE, SYNC, CREATE, MKDIR, RENAME, UNLINK, MAP, IMAGE = range(1, 10)
RECORD = struct.Struct("<IIQQQQII")
SECTOR, PAGE = 512, 4096


class Op:
    def __init__(self, kind, number, ino, a, b, first, second):
        self.kind, self.number, self.ino, self.a, self.b = kind, number, ino, a, b
        self.first, self.second = first, second


def read_journal(path):
    with open(path, "rb") as f:
        data = f.read()
    ops, at = [], 0
    while at + RECORD.size <= len(data):
        kind, length, number, ino, a, b, first, _ = RECORD.unpack_from(data, at)
        start = at + RECORD.size
        if start + length > len(data):
            break  # torn: what it tells of was not done
        ops.append(Op(kind, number, ino, a, b, data[start : start + first], data[start + first : start + length]))
        at = start + length
    return ops


class Loss:
    """One power failure. `lost` and `kept` count what was decided, for the one line that is printed."""

    def __init__(self, root, journal, seed):
        self.root, self.journal, self.graves = root, journal, journal + ".graves"
        self.random = random.Random(seed)
        self.ops = read_journal(journal) if os.path.exists(journal) else []
        self.lost = self.kept = 0
        self.synced = {}  # ino: everything up to this number is durable
        for op in self.ops:
            if op.kind == SYNC:
                self.synced[op.ino] = max(self.synced.get(op.ino, 0), op.a)

    def strike(self):
        self.undo_names()
        paths = self.walk()
        for ino in {op.ino for op in self.ops if op.kind in (WRITE, SIZE, MAP)}:
            if ino in paths:
                self.strike_file(ino, paths[ino])
        shutil.rmtree(self.graves, ignore_errors=True)
        if os.path.exists(self.journal):
            os.unlink(self.journal)

    def walk(self):
        """Path of every file and folder, by its number."""
        paths = {os.stat(self.root).st_ino: self.root}
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                path = os.path.join(folder, name)
                paths[os.lstat(path).st_ino] = path
        return paths

    # ---- names: of each folder, the changes after some moment did not reach the disk ----

    def undo_names(self):
        by_folder = {}
        for op in self.ops:
            if op.kind in (CREATE, MKDIR, RENAME, UNLINK) and op.number > self.synced.get(op.ino, 0):
                by_folder.setdefault(op.ino, []).append(op)
        lost = []
        for ops in by_folder.values():
            keep = self.random.choice([0, len(ops), self.random.randint(0, len(ops))])
            self.kept += keep
            lost += ops[keep:]
        self.lost += len(lost)
        paths = self.walk()
        for op in sorted(lost, key=lambda op: -op.number):
            if op.ino in paths and os.path.isdir(paths[op.ino]):
                self.undo_name(op, paths[op.ino])

    def undo_name(self, op, folder):
        name = os.path.join(folder, os.fsdecode(op.first))
        if op.kind == MKDIR:
            shutil.rmtree(name, ignore_errors=True)
        elif op.kind == CREATE:
            self.remove(name, op.a)
        elif op.kind == UNLINK:
            self.dig_out(op.a, name)
        else:
            to = os.path.join(folder, os.fsdecode(op.second))
            if os.path.lexists(to) and os.lstat(to).st_ino == op.a:
                os.rename(to, name)
            if op.b:
                self.dig_out(op.b, to)

    def remove(self, name, ino):
        if os.path.lexists(name) and os.lstat(name).st_ino == ino:
            os.unlink(name)

    def dig_out(self, ino, name):
        grave = os.path.join(self.graves, str(ino))
        if os.path.exists(grave) and not os.path.lexists(name):
            os.link(grave, name)

    # ---- content ----

    def strike_file(self, ino, path):
        if any(op.kind == MAP and op.ino == ino for op in self.ops):
            self.strike_mapped(ino, path)
            return
        ops = [op for op in self.ops if op.ino == ino and op.kind in (WRITE, SIZE)]
        ops = [op for op in ops if op.number > self.synced.get(ino, 0)]
        if not ops:
            return
        with open(path, "r+b", buffering=0) as f:
            self.take_back(f, ops)
            self.put_again(f, ops)

    def take_back(self, f, ops):
        """As if nothing of it had been done."""
        for op in reversed(ops):
            if op.kind == WRITE:
                os.pwrite(f.fileno(), op.first, op.a)
                f.truncate(op.b)
            else:
                f.truncate(op.a)
                if op.first:
                    os.pwrite(f.fileno(), op.first, op.b)

    def put_again(self, f, ops):
        how = self.random.choice(["none", "all", "order", "order", "any", "any", "torn"])
        reached = {"none": 0, "all": len(ops)}.get(how, self.random.randint(0, len(ops)))
        share = self.random.random()
        for i, op in enumerate(ops):
            if how in ("any", "torn"):
                self.put_some(f, op, share, how == "torn")
            elif i < reached:
                self.put_whole(f, op)
            else:
                self.lost += 1
                if i == reached and how == "order":
                    self.put_some(f, op, share, True)

    def put_whole(self, f, op):
        self.kept += 1
        if op.kind == SIZE:
            f.truncate(op.b)
        else:
            os.pwrite(f.fileno(), op.second, op.a)

    def put_some(self, f, op, share, torn):
        """Each sector on its own; a torn one only up to some byte, or as noise where this write stood."""
        if self.random.random() < share:
            self.kept += 1
            grows = op.b if op.kind == SIZE else op.a + len(op.second)
            if op.kind == SIZE or os.fstat(f.fileno()).st_size < grows:
                f.truncate(grows)
        else:
            self.lost += 1
        if op.kind == SIZE:
            return
        size = os.fstat(f.fileno()).st_size
        end = min(op.a + len(op.second), size)
        at = op.a
        while at < end:
            stop = min(end, (at // SECTOR + 1) * SECTOR)
            part = op.second[at - op.a : stop - op.a]
            if self.random.random() < share:
                if torn and self.random.random() < 0.3:
                    part = part[: self.random.randint(0, len(part))]
                os.pwrite(f.fileno(), part, at)
            elif torn and self.random.random() < 0.1:
                os.pwrite(f.fileno(), self.random.randbytes(len(part)), at)
            at = stop

    # ---- mapped files: each page as it was when it was durable last, or as the process left it ----

    def strike_mapped(self, ino, path):
        images = [op.a for op in self.ops if op.kind == IMAGE and op.ino == ino]
        image = os.path.join(self.graves, f"{ino}.{images[-1]}") if images else None
        how = self.random.choice(["old", "new", "mixed", "mixed", "noise"])
        if how == "noise" and image:
            how = "mixed"  # what was durable and is not written stays
        with open(path, "r+b", buffering=0) as f:
            old = open(image, "rb", buffering=0) if image else None
            for at in set(data_pages(f)) | set(data_pages(old) if old else ()):
                if how == "new" or (how != "old" and self.random.random() < 0.5):
                    self.kept += 1
                    continue
                page = os.pread(old.fileno(), PAGE, at) if old else b""
                now = os.pread(f.fileno(), PAGE, at)
                page = page.ljust(len(now), b"\0")
                if how == "noise":
                    page = self.random.randbytes(len(now))
                self.lost += page != now
                os.pwrite(f.fileno(), page, at)
            if old:
                old.close()


def data_pages(f):
    """Places of the pages that are not holes."""
    at = 0
    while True:
        try:
            at = os.lseek(f.fileno(), at, os.SEEK_DATA) // PAGE * PAGE
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
        except OSError:
            return  # nothing behind it
        yield from range(at, end, PAGE)
        at = end


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("journal")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    loss = Loss(arguments.root, arguments.journal, arguments.seed)
    loss.strike()
    print(f"{loss.kept} unsynced changes reached the disk, {loss.lost} did not")


if __name__ == "__main__":
    main()
