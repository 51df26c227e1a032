"""servers_test - scripts/zookeeper and tests/lib/zookeeper.py: servers that serve, lose one, and are gone when they are stopped."""
import os
import signal
import subprocess
import sys
import tempfile
import unittest

from zookeeper import SCRIPT, ZooKeeper


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def script(*arguments):
    return subprocess.run([SCRIPT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


class Servers(unittest.TestCase):
    def test_folders_run_side_by_side_and_are_gone_afterwards(self):
        with ZooKeeper() as one, ZooKeeper(settings={"tickTime": 200}) as other:
            self.assertNotEqual(one.connect, other.connect)
            self.assertEqual((one.leader(), other.leader()), (1, 1))
            with open(os.path.join(other.folder, "server-1", "zoo.cfg"), encoding="ascii") as f:
                self.assertEqual(f.read().splitlines()[-1], "tickTime=200", "a setting of --set is the last word")
            pids = [*one.pids.values(), *other.pids.values()]
            folders = [one.folder, other.folder]
        self.assertEqual([p for p in pids if running(p)], [], "processes that stop() left")
        self.assertEqual([f for f in folders if os.path.exists(f)], [], "folders that stop() left")

    def test_a_folder_is_started_again(self):
        with tempfile.TemporaryDirectory(prefix="affinity-zookeeper.") as folder:
            with ZooKeeper(folder=folder) as zookeeper:
                connect = zookeeper.connect
                again = script("start", "--dir", folder)
                self.assertIn("runs already in", again.stderr)
                zookeeper.stop_all()
                zookeeper.start_all()
                self.assertEqual(zookeeper.leader(), 1)
            with ZooKeeper(folder=folder) as zookeeper:
                self.assertEqual(zookeeper.connect, connect)
            self.assertIn("has 1 server(s), not 3", script("start", "--dir", folder, "--servers", "3").stderr)

    def test_three_lose_their_leader_then_all_and_come_back(self):
        with ZooKeeper(servers=3) as zookeeper:
            first = zookeeper.leader()
            zookeeper.kill(first)
            while script("leader", "--dir", zookeeper.folder).returncode != 0:  # the test's own time is the limit
                os.sched_yield()
            self.assertNotEqual(zookeeper.leader(), first)
            for i in list(zookeeper.pids):
                zookeeper.kill(i)
            zookeeper.restart(1)  # alone it cannot serve, and restart() does not wait for that
            zookeeper.restart(2)
            self.assertIn(zookeeper.leader(), (1, 2))

    def test_a_test_that_is_killed_leaves_nothing(self):
        program = "from zookeeper import ZooKeeper; z = ZooKeeper().start(); print(z.pids[1], z.folder, flush=True); input()"
        test = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pid, folder = test.stdout.readline().split()
        os.kill(test.pid, signal.SIGKILL)
        test.communicate()
        while running(int(pid)) or os.path.exists(folder):
            os.sched_yield()

    def test_what_is_wrong_is_said(self):
        with tempfile.TemporaryDirectory(prefix="affinity-zookeeper.") as folder:
            for arguments, told in [
                (["start", "--dir", folder, "--servers", "no"], "--servers is a number"),
                (["start", "--dir", folder, "--set", "tickTime=soon"], "server 1 ended while it started"),
                (["stop", "--dir", folder + "/none"], "there is no folder"),
                (["stop"], "start --dir D"),
            ]:
                done = script(*arguments)
                self.assertNotEqual(done.returncode, 0, arguments)
                self.assertIn(told, done.stderr, arguments)
                self.assertEqual(done.stdout, "", arguments)


if __name__ == "__main__":
    unittest.main()
