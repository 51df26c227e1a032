"""node_supervisor_test - `affinity serve` as two processes: one that holds the ports, and one that serves and may die."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

from harness import Server, ServerFailed

NOTES = {"notes": {"partitions": 2}}
PATIENCE_S = 60


def wait_for(what, condition):
    """Until it is true; what it was, then."""
    until = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.002)
    return found


def is_gone(pid):
    """No process, or one that only its parent has not asked about yet: then its last thread is gone, too."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            ended = f.read().rsplit(")", 1)[1].split()[0] == "Z"
        return ended and len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def said(server):
    """The ready file; None while there is none."""
    try:
        with open(server.ready_path, encoding="utf-8") as f:
            return json.load(f)
    except OSError:
        return None


def next_worker(server, before):
    return wait_for("another worker that serves",
                    lambda: (now := said(server)) is not None and now["worker"] != before and now["worker"])


class SupervisorTest(unittest.TestCase):
    def serve(self, **more):
        server = Server([BINARY, "serve"], NOTES, supervised=True, **more)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        return server.start()

    def test_the_process_that_was_started_is_the_one_to_be_told(self):
        server = self.serve()
        told = said(server)
        self.assertEqual(told["pid"], server.process.pid)
        self.assertNotEqual(told["worker"], server.process.pid)
        self.assertEqual(server.client().put("/v1/notes/a", b"1").status, 201)
        self.assertEqual(server.stop(), 0)
        self.assertTrue(is_gone(told["worker"]))
        self.assertIn("how=drained", server.log())
        self.assertIsNone(said(server))

    def test_a_worker_that_is_killed_is_replaced_and_nobody_is_refused(self):
        server = self.serve()
        port, worker, refused, answered = server.port, server.worker, [], []
        ends = threading.Event()

        def ask():
            """One connection a request. A request that the killed worker had taken ends without an answer; a connect never fails."""
            while not ends.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
                        s.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                        answered.append(s.recv(100).startswith(b"HTTP/1.1 200"))
                except ConnectionRefusedError as e:
                    refused.append(e)
                except ConnectionResetError:
                    pass

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            self.assertEqual(server.client().put("/v1/notes/a", b"1").status, 201)
            for _ in range(3):
                os.kill(worker, signal.SIGKILL)
                worker = next_worker(server, worker)
                self.assertEqual(server.client().get("/v1/notes/a").body, b"1")
        finally:
            ends.set()
            asker.join()
        self.assertEqual(refused, [])
        self.assertIn(True, answered)
        self.assertEqual(said(server)["pid"], server.process.pid)
        self.assertIn("supervisor.worker_died", server.log())
        self.assertIn("signal=9", server.log())
        self.assertEqual(server.stop(), 0)

    def test_a_worker_does_not_outlive_its_supervisor(self):
        server = self.serve()
        worker = server.worker
        server.kill()
        wait_for("the end of the worker", lambda: is_gone(worker))
        server.start()  # the data folder is free, and what is left of the ready file misleads nobody
        self.assertNotEqual(server.worker, worker)

    def test_a_second_signal_hurries(self):
        server = self.serve()
        stuck = socket.create_connection((server.host, server.port))
        self.addCleanup(stuck.close)
        stuck.sendall(b"PUT /v1/notes/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nContent-Type: text/plain\r\n"
                      b"Expect: 100-continue\r\n\r\n")
        self.assertIn(b"100 Continue", stuck.recv(100))  # its body will not come
        server.process.send_signal(signal.SIGTERM)
        wait_for("the drain", lambda: "node.draining" in server.log())
        os.kill(server.worker, signal.SIGTERM)  # as those do who send theirs to all processes: it hurries nobody
        with self.assertRaises(subprocess.TimeoutExpired):
            server.process.wait(0.3)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(PATIENCE_S), 1)
        self.assertIn("node.draining", server.log())

    def test_an_interrupt_of_the_process_group_drains_once(self):
        server = Server(["setsid", "--wait", BINARY, "serve"], NOTES, supervised=True)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        server.start()
        first = said(server)
        os.killpg(os.getpgid(first["pid"]), signal.SIGINT)
        wait_for("the end", lambda: is_gone(first["pid"]) and is_gone(first["worker"]))
        self.assertIn("how=drained", server.log())

    def test_a_worker_that_is_told_to_end_ends_the_whole(self):
        server = self.serve()
        os.kill(server.worker, signal.SIGTERM)
        self.assertEqual(server.process.wait(PATIENCE_S), 0)

    def test_a_hang_up_ends_both(self):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever started this test may have it ignored, and that is inherited
        server = self.serve()
        worker = server.worker
        server.process.send_signal(signal.SIGHUP)
        self.assertEqual(server.process.wait(PATIENCE_S), 128 + signal.SIGHUP)
        self.assertTrue(is_gone(worker))

    def test_what_dies_again_and_again_is_paced(self):
        server = Server([BINARY, "serve"], NOTES, faults="changelog.before-write=kill@1", supervised=True)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        server.start(wait=False)
        wait_for("four deaths", lambda: server.log().count("supervisor.worker_died") >= 4)
        self.assertEqual(re.findall(r"again_in_ms=(\d+)\n", server.log())[:4], ["0", "100", "200", "400"])
        self.assertEqual(server.stop(), 0)

    def test_a_port_that_becomes_free_is_waited_for(self):
        with socket.create_server(("127.0.0.1", 0)) as held:
            server = Server([BINARY, "serve"], NOTES, {"http": [{"listen": f"127.0.0.1:{held.getsockname()[1]}"}]}, supervised=True)
            self.addCleanup(server.remove)
            self.addCleanup(server.kill)
            server.start(wait=False)
            time.sleep(0.5)
            self.assertIsNone(server.process.poll(), "it gave up while the one before may have been ending")
        server.wait_ready()
        self.assertEqual(server.stop(), 0)

    def test_what_cannot_start_says_so_and_ends(self):
        with Server([BINARY, "serve"], NOTES) as holder:
            other = Server([BINARY, "serve"], NOTES, {"node": holder.config["node"]}, supervised=True)
            self.addCleanup(other.remove)
            with self.assertRaises(ServerFailed) as caught:
                other.start()
            self.assertEqual(other.process.returncode, 1)
            self.assertIn(str(holder.process.pid), str(caught.exception))
            taken = Server([BINARY, "serve"], NOTES, {"http": [{"listen": f"127.0.0.1:{holder.port}"}]}, supervised=True)
            self.addCleanup(taken.remove)
            with self.assertRaises(ServerFailed) as caught:
                taken.start()
            self.assertEqual(taken.process.returncode, 1)
            self.assertIn("affinity serve: http: cannot listen on 127.0.0.1 port", str(caught.exception))
            self.assertNotIn("supervisor", str(caught.exception))


if __name__ == "__main__":
    BINARY = sys.argv[1]
    unittest.main(argv=sys.argv[:1], verbosity=2)
