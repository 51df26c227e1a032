"""servers - server processes of others for one test, by a script of scripts/: what kafka.py and zookeeper.py have in common.

Should the test end without stop(), a guard process does it.
"""
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ServersFailed(Exception):
    """The script refused; the text is its own."""


class Servers:
    """`folder` is kept when it is given; else it is a temporary one that goes away with stop()."""

    script = None  # in scripts/
    one = None     # what one of them is called there: broker, server
    failed = ServersFailed

    def __init__(self, count, settings, folder, host=None):
        self.count, self.settings, self.host = count, dict(settings or {}), host
        self.own_folder = folder is None
        self.folder = folder
        self.pids = {}  # of server 1, 2, ...
        self._guard = None

    # ---- life ----

    def _start(self, *arguments):
        """What the script printed."""
        if self.own_folder:
            self.folder = tempfile.mkdtemp(prefix=f"affinity-{os.path.basename(self.script)}.")
        self._guard = _guard(self.script, self.folder, keep=not self.own_folder)
        line = ["start", f"--{self.one}s", str(self.count), *arguments]
        if not os.path.exists(os.path.join(self.folder, "complete")):
            line += ["--host", self.host] if self.host else []
            for name, value in self.settings.items():
                line += ["--set", f"{name}={value}"]
        try:
            told = self._run(*line)
        except BaseException:
            self.stop()
            raise
        self.pids = {i: int(pid) for i, pid in enumerate(told["pid"], 1)}
        return told

    def stop(self):
        """All servers; in order when the folder stays, else at once, since nobody will look at it."""
        if self.folder and os.path.exists(self.folder):
            if self.own_folder:
                for pid in self.pids.values():
                    _signal(pid, signal.SIGKILL)
            subprocess.run([self.script, "stop", "--dir", self.folder], check=True)
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)
        self.pids = {}
        if self._guard:
            self._guard.stdin.write(b"stopped\n")
            self._guard.communicate()
            self._guard = None

    def kill(self, i):
        self._run("kill", f"--{self.one}", str(i))
        del self.pids[i]

    def stop_one(self, i):
        """In order."""
        self._run("stop", f"--{self.one}", str(i))
        del self.pids[i]

    def restart(self, i):
        """One that was killed or stopped."""
        self.pids[i] = int(self._run("restart", f"--{self.one}", str(i))["pid"][0])

    def pause(self, i):
        """Returns when each of its threads stands: until then one of them may still answer."""
        os.kill(self.pids[i], signal.SIGSTOP)
        while any(state in "RSD" for state in self._thread_states(i)):
            time.sleep(0.001)

    def _thread_states(self, i):
        for path in glob.glob(f"/proc/{self.pids[i]}/task/*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path, encoding="utf-8") as f:
                yield f.read().rpartition(")")[2].split()[0]

    def resume(self, i):
        os.kill(self.pids[i], signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    # ---- what there is to know ----

    def log(self, i=1):
        with open(os.path.join(self.folder, f"{self.one}-{i}", "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def _run(self, command, *arguments):
        """What the script printed: {"pid": ["12", ...], ...}; a line without a name is under ""."""
        line = [self.script, command, "--dir", self.folder, *arguments]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise self.failed(f"scripts/{os.path.basename(self.script)} {command}: {done.stderr}")
        told = {}
        for text in done.stdout.splitlines():
            name, is_named, value = text.partition("=")
            told.setdefault(name if is_named else "", []).append(value if is_named else text)
        return told


GUARD = """
read -r word
[ "$word" != stopped ] || exit 0
"$1" stop --dir "$2" 2>/dev/null
[ "$3" = keep ] || rm -rf "$2"
"""


def _guard(script, folder, keep):
    """Stops the servers when this process ends without having done it. It reads a pipe that ends with this process."""
    line = ["bash", "-c", GUARD, "guard", script, folder, "keep" if keep else "remove"]
    return subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
