"""restart_test - what was acknowledged is there after the process was killed or told to end; and how it ends.

Arguments: AFFINITY, the library of tests/lib/hold.c, the application commands.c (not used).
"""
import http.client
import os
import pathlib
import shutil
import signal
import socket
import threading

from conversation import Conversation, HeldConversation, main, wait_until


class Writer(threading.Thread):
    """Writes its own keys over and over, until its connection ends; knows what each of them can be."""

    KEYS = 5

    def __init__(self, server, number, acknowledged):
        super().__init__()
        self.client = server.client()
        self.number, self.acknowledged = number, acknowledged
        self.known = {}  # path: (body or None, etag) that was acknowledged last
        self.doubtful = {}  # path: body or None of the request that was not answered
        self.refused = []

    def run(self):
        connection = self.client.connection
        for turn in range(1000000):
            path = f"/v1/notes/w{self.number}-{turn % self.KEYS}"
            body = None if turn % 11 == 10 else b'{"writer": %d, "turn": %d}' % (self.number, turn)
            try:
                connection.request("PUT" if body else "DELETE", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):  # closed, reset, half an answer
                self.doubtful[path] = body
                return
            if answer.status in (200, 201, 204):
                self.known[path] = (body, answer.getheader("ETag"))
                self.acknowledged.release()
            elif answer.status != 404:
                self.refused.append(answer.status)
                if answer.getheader("Connection", "").lower() == "close":
                    return


class Restarts(Conversation):
    WRITERS = 8

    def write_until(self, server, count, end):
        """Writers write; after so many acknowledgements `end` is called. The writers, when all have stopped."""
        acknowledged = threading.Semaphore(0)
        writers = [Writer(server, i, acknowledged) for i in range(self.WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(count):
            acknowledged.acquire(timeout=60)
        end()
        for writer in writers:
            writer.join()
        return writers

    def assertKept(self, server, writers):
        client = server.client()
        for writer in writers:
            for path, (body, etag) in writer.known.items():
                answer = client.get(path)
                found = answer.body if answer.status == 200 else None
                if path in writer.doubtful:
                    self.assertIn(found, (body, writer.doubtful[path]), f"{path} is neither of the last two")
                else:
                    self.assertEqual(found, body, f"{path} was acknowledged as {body}")
                    self.assertTrue(body is None or answer.etag == etag, f"{path} has another version")

    def test_what_was_acknowledged_outlives_kill_9(self):
        with self.serving() as server:
            everything = []
            for _ in range(3):
                everything = self.write_until(server, 300, lambda: os.kill(server.process.pid, signal.SIGKILL))
                server.kill()
                server.start()
                self.assertKept(server, everything)

    def test_what_was_acknowledged_outlives_the_end(self):
        with self.serving() as server:
            for _ in range(2):
                status = []
                writers = self.write_until(server, 300, lambda: status.append(server.stop()))
                self.assertEqual(status, [0], server.log()[-4000:])
                self.assertEqual({s for w in writers for s in w.refused} - {503}, set())
                server.start()
                self.assertKept(server, writers)

    def test_every_version_is_the_same_after_a_restart(self):
        with self.serving() as server:
            client = server.client()
            for i in range(50):
                client.put(f"/v1/notes/{i}", b"%d" % i, If_None_Match="*")
            client.delete("/v1/notes/7")
            trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}  # a problem has a new one
            before = {i: client.get(f"/v1/notes/{i}", **(trace if i == 7 else {})) for i in range(50)}
            for end in (server.kill, server.stop, server.kill):
                end()
                server.start()
                client = server.client()
                for i, was in before.items():
                    answer = client.get(f"/v1/notes/{i}", **(trace if i == 7 else {}))
                    for headers in (answer.headers, was.headers):
                        headers.pop("date", None)
                    self.assertEqual((answer.status, answer.headers, answer.body), (was.status, was.headers, was.body))
            self.assertStatus(client.put("/v1/notes/3", b"again", "text/plain", If_Match=before[3].etag), 200)

    def test_a_store_that_is_lost_is_made_again_from_the_log(self):
        with self.serving() as server:
            client = server.client()
            etags = {i: client.put(f"/v1/notes/{i}", b"%d" % i).etag for i in range(100)}
            client.delete("/v1/notes/7")
            server.stop()
            data = pathlib.Path(server.config["node"]["data"])
            stores = [path for path in data.rglob("*.mdb") if path.name != "lock.mdb"]
            self.assertEqual(len(stores), 8, f"one for each partition is expected: {sorted(data.rglob('*'))}")
            for store in stores:
                shutil.rmtree(store.parent)
            server.start()
            client = server.client()
            for i, etag in etags.items():
                answer = client.get(f"/v1/notes/{i}")
                self.assertEqual((answer.status, answer.etag), (404, None) if i == 7 else (200, etag), i)


class Ending(HeldConversation):
    """SIGTERM: what is under way is finished, what is new is not begun."""

    def ending(self):
        return self.serving(env=self.hold.env)

    def tell_to_end(self, server):
        """When this returns, nobody is let in any more."""
        server.process.send_signal(signal.SIGTERM)

        def is_closed():
            try:
                socket.create_connection((server.host, server.port), 10).close()
                return False
            except ConnectionError:  # refused, or reset when the listener closes with it in its queue
                return True

        wait_until("the listener is closed", is_closed)

    def test_a_write_under_way_is_finished(self):
        with self.ending() as server:
            wire = self.wire(server)
            with self.hold:
                wire.request("PUT", "/v1/notes/late", body=b"1")
                self.wait_gauge("aff_partition_in_flight", 1, client=server.client())
                self.tell_to_end(server)
                self.assertTrue(server.runs(), "it ended with a write under way")
                self.assertTrue(wire.silent())
            answer = wire.answer()
            self.assertStatus(answer, 201)
            self.assertEqual(answer.headers["connection"], "close", answer)
            wire.ended()
            self.assertEqual(server.process.wait(60), 0, server.log()[-4000:])
            server.start()
            self.assertValue("/v1/notes/late", b"1", client=server.client())

    def test_a_write_that_is_complete_too_late_is_not_applied(self):
        with self.ending() as server:
            wire, other = self.wire(server), self.wire(server)
            for each in (wire, other):
                each.send("PUT /v1/notes/half HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
                self.assertEqual(each.answer(interim=True).status, 100)
            self.tell_to_end(server)
            self.assertProblem(wire.send("true").answer(), "draining")
            wire.ended()
            self.assertTrue(server.runs(), "it did not wait for the other one")
            other.close()
            self.assertEqual(server.process.wait(60), 0, server.log()[-4000:])
            server.start()
            self.assertAbsent("/v1/notes/half", client=server.client())

    def test_a_request_that_has_not_come_whole_is_told_so(self):
        with self.ending() as server:
            server.client().put("/v1/notes/read", b"1")
            wire = self.wire(server).send("GET /v1/notes/read HTTP/1.1\r\nHost: x\r\n")
            wait_until("its head is begun", lambda: self.all_is_read(server))
            self.tell_to_end(server)
            answer = wire.answer()
            self.assertProblem(answer, "draining")
            self.assertEqual(answer.headers["connection"], "close", answer)
            wire.ended()
            self.assertEqual(server.process.wait(60), 0, server.log()[-4000:])

    def all_is_read(self, server):
        """The server has taken all bytes from its sockets, as far as the kernel tells."""
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        mine = [row for row in rows if row[1].endswith(f":{server.port:04X}") and row[3] == "01"]
        return mine and all(row[4].endswith(":00000000") for row in mine)

    def test_silent_connections_do_not_keep_it(self):
        with self.ending() as server:
            wires = [self.wire(server) for _ in range(20)]
            for wire in wires[:10]:
                self.assertStatus(wire.request("GET", "/livez").answer(), 200)
            server.process.send_signal(signal.SIGTERM)
            for wire in wires:
                self.assertIn(wire.rest(), (b"",))
            self.assertEqual(server.process.wait(60), 0, server.log()[-4000:])

    def test_a_second_signal_hurries(self):
        with self.ending() as server:
            wire = self.wire(server)
            wire.send("PUT /v1/notes/half HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            self.assertEqual(wire.answer(interim=True).status, 100)
            self.tell_to_end(server)
            self.assertTrue(server.runs(), "it did not wait")
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(60), 1, "something was cut off")


if __name__ == "__main__":
    main()
