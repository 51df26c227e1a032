"""readme_test - the console blocks of the READMEs are run, and what they show is what comes.

In a ```console block a line that begins with "$ " is a command (it goes on behind a backslash and within single quotes), and the
lines up to the next command are its output. Commands run in the order of their README:

    $ scripts/run ...                          a node on example/affinity.yaml; the server before it ends
    $ build/release/example/bank/bank ...      the bank
    $ curl ...                                 is run by a shell, to its end; its output is compared line by line

"127.0.0.1:8080" stands for where the server is. The output shown may leave out and stand for other values:

    a line "..."                    any number of lines
    an entity tag, a position, a request id, a trace, a date, a time in ms, an opaque cursor
                                    another one of the same form; from then on, in commands too, the one shown stands for the
                                    one that came: a tag that is shown twice must come twice

A command of any other kind fails the test: the README shows nothing that is not run.
"""
import contextlib
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import time
import unittest

from conversation import PATIENCE_S, Programs, ROOT, main

READMES = {"README.md": 9, "example/bank/README.md": 12}  # and how many curls there are at least
PLACE = "127.0.0.1:8080"
VOLATILE = re.compile(
    r"\b[a-z][a-z0-9_]*-[0-9]+-[0-9a-f]+-[0-9a-f]+-[0-9]+\b"  # a request id
    r"|\b[0-9a-f]{8}-[0-9]+-[0-9]+(?:-gzip)?\b"  # what stands in an entity tag
    r"|(?<=Affinity-Position: )[0-9]+:[0-9]+"
    r"|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
    r"|(?<=Affinity-Expires: )[0-9]+"
    r"|(?<=\"trace_id\":\")[0-9a-f]{32}|(?<=traceparent: 00-)[0-9a-f]{32}-[0-9a-f]{16}"
    r"|(?<=cursor=)[A-Za-z0-9_-]+|(?<=\"cursor\":\")[A-Za-z0-9_-]+"
)


class Step:
    """A command, and the output that the README shows."""

    def __init__(self, name, line, command):
        self.name, self.line, self.command, self.shown = name, line, command, []

    def __repr__(self):
        return f"{self.name}:{self.line}: $ {self.command}"


def is_open(command):
    """Does it go on in the next line?"""
    return command.endswith("\\") or command.count("'") % 2 == 1


def steps_of(name):
    steps, inside, goes_on = [], False, False
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif not inside:
            continue
        elif goes_on:
            steps[-1].command += "\n" + line
        elif line.startswith("$ "):
            steps.append(Step(name, number, line[2:]))
        elif steps:
            steps[-1].shown.append(line)
        else:
            raise ValueError(f"{name}:{number}: output before any command")
        goes_on = inside and bool(steps) and not steps[-1].shown and is_open(steps[-1].command)
    return steps


class Names:
    """Volatile values: what the README shows, and what came."""

    def __init__(self):
        self.came = {}

    def in_command(self, text):
        return VOLATILE.sub(lambda shown: self.came.get(shown.group(), shown.group()), text)

    def same(self, shown, came):
        """Is the line that came the line shown? Then what is volatile in it gets its name."""
        ours, theirs = VOLATILE.findall(shown), VOLATILE.findall(came)
        if VOLATILE.sub("~", shown) != VOLATILE.sub("~", came):
            return False
        if any(self.came.get(one, other) != other for one, other in zip(ours, theirs)):
            return False
        self.came.update(zip(ours, theirs))
        return True


def first_difference(shown, came, names):
    """None, or which line of what is shown does not come."""
    at = 0
    for number, line in enumerate(shown):
        if line == "...":
            rest = shown[number + 1 :]
            while at < len(came) and not (rest and names.same(rest[0], came[at])):
                at += 1
        elif at < len(came) and names.same(line, came[at]):
            at += 1
        else:
            return f"expected {line!r}, got {came[at]!r}" if at < len(came) else f"expected {line!r}, and nothing came"
    return None if at == len(came) else f"not shown: {came[at]!r}"


class Node:
    """A server as the README starts it, but on a free port and in a folder of its own."""

    def __init__(self, command, folder):
        self.folder, self.ready = folder, os.path.join(folder, "ready.json")
        sets = ["--set", "http.0.listen=127.0.0.1:0", "--set", "node.data=" + os.path.join(folder, "data")]
        with open(os.path.join(folder, "log.txt"), "wb") as log:
            line = [*command, *sets, "--ready-file", self.ready]
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)

    def wait(self):
        """Its address."""
        until = time.monotonic() + PATIENCE_S
        while not os.path.exists(self.ready):
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError("it does not start:\n" + pathlib.Path(self.folder, "log.txt").read_text(encoding="utf-8"))
            time.sleep(0.005)
        return pathlib.Path(self.ready).read_text(encoding="utf-8").split('"')[3]

    def end(self):
        self.process.terminate()
        if self.process.wait(PATIENCE_S) != 0:
            raise AssertionError(f"it ended with status {self.process.returncode}")


class Readme(unittest.TestCase):
    def start(self, words, stack):
        programs = {
            "scripts/run": [Programs.affinity, "serve", "-c", "example/affinity.yaml"],
            "build/release/example/bank/bank": [Programs.others[0]],
        }
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="affinity-readme."))
        node = Node([os.path.abspath(programs[words[0]][0]), *programs[words[0]][1:], *words[1:]], folder)
        stack.callback(node.end)
        return node.wait()

    def run_curl(self, step, address, names):
        self.assertIsNotNone(address, f"{step}: no server was started before")
        command = names.in_command(step.command).replace("curl ", "curl -sS ", 1).replace(PLACE, address)
        done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=PATIENCE_S)
        self.assertEqual((done.returncode, done.stderr), (0, b""), step)
        came = done.stdout.decode().replace(address, PLACE).replace("\r\n", "\n").rstrip("\n").split("\n")
        came = [] if came == [""] else came
        shown = "\n".join(step.shown).rstrip("\n")
        difference = first_difference(shown.split("\n") if shown else [], came, names)
        self.assertIsNone(difference, f"{step}: {difference}. What came:\n" + "\n".join(came))

    def run_steps(self, steps):
        """How many curls there were."""
        address, names, curls = None, Names(), 0
        with contextlib.ExitStack() as stack:
            for step in steps:
                words = shlex.split(step.command)
                if words[0] == "curl":
                    self.run_curl(step, address, names)
                    curls += 1
                elif words[0] in ("scripts/run", "build/release/example/bank/bank"):
                    stack.close()
                    address = self.start(words, stack)
                else:
                    self.fail(f"{step}: this test knows no such command")
        return curls

    def test_every_command_shows_what_the_readmes_show(self):
        for name, least in READMES.items():
            with self.subTest(name):
                self.assertGreaterEqual(self.run_steps(steps_of(name)), least, "the examples are not found any more")

    def test_another_output_is_noticed(self):
        cases = [
            (["a", "...", "z"], ["a", "b", "c", "z"], True),
            (["a", "..."], ["a"], True),
            (["a", "...", "z"], ["a", "b"], False),
            (["a"], ["a", "b"], False),
            (["a", "b"], ["a"], False),
            (['ETag: "0a1b2c3d-1-2"'], ['ETag: "ffffffff-4-99"'], True),
            (['ETag: "0a1b2c3d-1-2"', 'ETag: "0a1b2c3d-1-2"'], ['ETag: "ffffffff-4-99"', 'ETag: "ffffffff-4-98"'], False),
            (["Date: Sun, 06 Nov 1994 08:49:37 GMT"], ["Date: Mon, 07 Nov 1994 08:49:37 GMT"], True),
            (["Date: Sun, 06 Nov 1994 08:49:37 GMT"], ["Date: yesterday"], False),
            (["Affinity-Position: 1:2"], ["Affinity-Position: 3:44"], True),
        ]
        for shown, came, same in cases:
            with self.subTest(shown=shown, came=came):
                self.assertEqual(first_difference(shown, came, Names()) is None, same)


if __name__ == "__main__":
    main()
