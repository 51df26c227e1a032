"""limits_test - bounds on time, connections and memory; what is slow, too much, or goes away in the middle.

Arguments: AFFINITY, the library of tests/lib/hold.c.
"""
import socket

from conversation import Conversation, HeldConversation, main, metrics_of, total, wait_until
from wire import Wire

KIB = 1024


class Slowness(Conversation):
    """What comes too slowly is told so, and closed. Nothing is measured: the test waits for the end that must come."""

    sets = [
        "limits.head_timeout=300ms",
        "limits.idle_timeout=600ms",
        "limits.exchange_timeout=2s",
        "limits.body_min_rate=64KiB",
    ]

    def count(self, what):
        return metrics_of(self.client)[f'aff_http_timeouts_total{{what="{what}"}}']

    def test_a_head_that_does_not_end_is_408(self):
        whole = "GET /v1/notes/a HTTP/1.1\r\nHost: x\r\nX: y\r\n"
        for part in (whole[:1], whole[:15], whole[:26], whole):
            with self.subTest(part=part):
                before = self.count("head")
                wire = self.wire().send(part)
                answer = wire.answer()
                self.assertProblem(answer, "request-timeout", detail="head")
                self.assertEqual(answer.headers["connection"], "close")
                wire.ended()
                self.assertEqual(self.count("head"), before + 1)

    def test_a_second_head_that_does_not_end_is_given_up_as_well(self):
        """Half a request line that came in the same moment as the last answer ends like silence."""
        for part, told in (("GET /v1", b"^(|HTTP/1.1 408 )"), ("GET / HTTP/1.1\r\nHost: x\r\n", b"^HTTP/1.1 408 ")):
            with self.subTest(part=part):
                wire = self.wire().request("GET", "/livez")
                self.assertStatus(wire.answer(), 200)
                self.assertRegex(wire.send(part).rest(), told)

    def test_a_head_that_drips_is_408_however_long_it_drips(self):
        wire = self.wire().send("GET /v1/notes/a HTTP/1.1\r\nHost: x\r\nX: ")

        def drip():
            wire.send("y")
            return not wire.silent()

        wait_until("the head is given up", drip)
        self.assertProblem(wire.answer(), "request-timeout")

    def test_a_connection_that_says_nothing_is_closed(self):
        self.wire().ended()

    def test_a_kept_connection_that_says_nothing_is_closed(self):
        before = self.count("idle")
        wire = self.wire().request("GET", "/livez")
        self.assertStatus(wire.answer(), 200)
        wire.ended()
        self.assertGreater(self.count("idle"), before)

    def test_a_body_that_does_not_end_is_408_and_does_nothing(self):
        for name, start in {
            "nothing of it": "Content-Length: 10\r\n\r\n",
            "half of it": "Content-Length: 10\r\n\r\nhello",
            "no last chunk": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "half a chunk": "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        }.items():
            with self.subTest(name):
                wire = self.wire().send("PUT /v1/notes/slow HTTP/1.1\r\nHost: x\r\n", start)
                answer = wire.answer()
                self.assertProblem(answer, "request-timeout", detail="body")
                wire.ended()
                self.assertAbsent("/v1/notes/slow")

    def test_a_body_below_the_slowest_rate_is_408(self):
        wire = self.wire().send("PUT /v1/notes/drip HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")

        def drip():
            wire.send("y")
            return not wire.silent()

        wait_until("the body is given up", drip)
        self.assertProblem(wire.answer(), "request-timeout", detail="body")
        self.assertAbsent("/v1/notes/drip")

    def test_a_body_that_keeps_coming_is_taken_beyond_the_time_of_a_head(self):
        """Fast enough for the rate, and longer than head_timeout."""
        body = b"x" * (200 * KIB)
        wire, other = self.wire(), self.wire()
        wire.send(f"PUT /v1/notes/steady HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n")
        wire.send(body[: 150 * KIB])
        other.ended()  # head_timeout has passed
        wire.send(body[150 * KIB :])
        self.assertStatus(wire.answer(), 201)
        self.assertValue("/v1/notes/steady", body)


class Takers(Conversation):
    sets = ["limits.idle_timeout=400ms", "limits.body_min_rate=64MiB"]

    def test_a_client_that_does_not_take_its_answers_is_given_up(self):
        self.put("/v1/notes/big", b"x" * (1020 * KIB), "text/plain")
        wire = self.wire()
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            wire.request("GET", "/v1/notes/big")
        wait_until("it is closed", lambda: self.open_connections() == 0)

    def open_connections(self):
        """Without the one that asks."""
        return total(metrics_of(self.client), "aff_http_connections") - 1


class Connections(Conversation):
    sets = ["limits.connections=8", "limits.connections_per_address=4"]

    def setUp(self):
        super().setUp()
        self.client.get("/livez")
        wait_until("the connections of the last test are gone", self.only_mine)

    def only_mine(self):
        return total(metrics_of(self.client), "aff_http_connections") == 1

    def assertTurnedAway(self, wire):
        """It is told before it has asked, and may ask all the same."""
        answer = wire.answer()
        self.assertProblem(answer, "queue-full", detail="connections")
        self.assertEqual(answer.headers["connection"], "close")
        wire.ended()

    def fill(self, count, source):
        """So many connections from an address, each of which the server knows."""
        wires = [self.wire(source=source) for _ in range(count)]
        for wire in wires:
            self.assertStatus(wire.request("GET", "/livez").answer(), 200)
        return wires

    def test_an_address_has_its_share(self):
        wires = self.fill(4, "127.0.0.2")
        for _ in range(3):
            self.assertTurnedAway(self.wire(source="127.0.0.2"))
        self.fill(1, "127.0.0.3")
        self.assertStatus(wires[0].request("GET", "/livez").answer(), 200)
        wires[0].close()
        wait_until("there is room again", lambda: total(metrics_of(self.client), "aff_http_connections") == 5)
        self.fill(1, "127.0.0.2")

    def test_all_together_have_a_limit(self):
        refused = total(metrics_of(self.client), "aff_http_connections_refused_total")
        self.fill(4, "127.0.0.2"), self.fill(3, "127.0.0.3")  # and this test's own client
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"):
            self.assertTurnedAway(self.wire(source=source))
        metrics = metrics_of(self.client)
        self.assertEqual(total(metrics, "aff_http_connections_refused_total"), refused + 4)
        self.assertEqual(total(metrics, "aff_http_connections"), 8)

    def test_who_is_turned_away_is_told_even_when_it_speaks_first(self):
        self.fill(4, "127.0.0.2")
        for _ in range(10):
            wire = self.wire(source="127.0.0.2").request("PUT", "/v1/notes/away", body=b"x" * 100000)
            self.assertTurnedAway(wire)
        self.assertAbsent("/v1/notes/away")

    def test_a_connection_that_is_reset_gives_its_place_back(self):
        for _ in range(20):
            for wire in self.fill(4, "127.0.0.2"):
                wire.reset()
            wait_until("they are gone", self.only_mine)


class Bodies(HeldConversation):
    """All bodies that are held at a time."""

    sets = ["limits.bodies=1MiB"]
    keyspaces = {"notes": {}}

    def held(self):
        return total(metrics_of(self.client), "aff_http_bodies_bytes")

    def begin(self, path, length):
        wire = self.wire()
        wire.send(f"PUT {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
        self.assertEqual(wire.answer(interim=True).status, 100)
        return wire

    def test_a_body_beyond_the_budget_is_503_and_fits_later(self):
        first = self.begin("/v1/notes/first", 900 * KIB)
        wait_until("its room is taken", lambda: self.held() == 900 * KIB)
        second = self.wire()
        second.send(f"PUT /v1/notes/second HTTP/1.1\r\nHost: x\r\nContent-Length: {200 * KIB}\r\n\r\n")
        self.assertProblem(second.answer(), "queue-full", detail="bodies")
        second.ended()
        self.put("/v1/notes/small", b"x" * KIB, "text/plain")
        first.send(b"x" * (900 * KIB))
        self.assertStatus(first.answer(), 201)
        wait_until("its room is given back", lambda: self.held() == 0)
        self.put("/v1/notes/second", b"x" * (200 * KIB), "text/plain")
        self.assertValue("/v1/notes/first", b"x" * (900 * KIB))

    def test_a_chunked_body_beyond_the_budget_is_503(self):
        first = self.begin("/v1/notes/first", 900 * KIB)
        wire = self.wire()
        wire.send("PUT /v1/notes/chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            wire.send("10000\r\n", b"x" * 0x10000, "\r\n")
        self.assertProblem(wire.answer(), "queue-full", detail="bodies")
        wire.ended()
        self.assertAbsent("/v1/notes/chunks")
        first.reset()
        wait_until("all room is given back", lambda: self.held() == 0)

    def test_a_client_that_leaves_in_its_body_gives_the_room_back_and_has_written_nothing(self):
        for leave in (Wire.close, Wire.reset, lambda wire: wire.finish().rest()):
            wire = self.begin("/v1/notes/left", 500 * KIB).send(b"x" * (499 * KIB))
            leave(wire)
            wait_until("its room is given back", lambda: self.held() == 0)
            self.assertAbsent("/v1/notes/left")

    def test_the_room_is_held_until_the_write_is_done(self):
        wire = self.wire()
        with self.hold:
            wire.request("PUT", "/v1/notes/held", body=b"x" * (800 * KIB))
            self.wait_gauge("aff_partition_in_flight", 1)
            self.assertEqual(self.held(), 800 * KIB)
            wire.reset()
            self.assertEqual(self.held(), 800 * KIB)
        wait_until("its room is given back", lambda: self.held() == 0)
        wait_until("it is written", lambda: len(self.client.get("/v1/notes/held").body) == 800 * KIB)


class KeptConnections(HeldConversation):
    def test_requests_that_are_sent_at_once_are_answered_in_order(self):
        wire = self.wire()
        for i in range(200):
            wire.request("PUT", f"/v1/notes/pipe-{i % 7}", body=b"%d" % i)
            wire.request("GET", f"/v1/notes/pipe-{i % 7}")
            wire.request("GET", f"/v1/notes/none-{i}")
        for i in range(200):
            self.assertStatus(wire.answer(), 200, 201)
            self.assertEqual(wire.answer().body, b"%d" % i)
            self.assertProblem(wire.answer(), "not-found")
        self.assertTrue(wire.silent())

    def test_a_read_behind_a_write_waits_for_it(self):
        wire = self.wire()
        with self.hold:
            wire.request("PUT", "/v1/notes/behind", body=b"1").request("GET", "/v1/notes/behind")
            self.wait_gauge("aff_partition_in_flight", 1)
            self.assertTrue(wire.silent())
        self.assertStatus(wire.answer(), 201)
        self.assertEqual(wire.answer().body, b"1")

    def test_bodies_and_heads_may_be_cut_anywhere(self):
        text = b"".join(
            b"PUT /v1/notes/cut-%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d" % (i, i + 10) for i in range(5)
        )
        for size in (1, 2, 3, 7, 19, 50, 64):
            wire = self.wire()
            for at in range(0, len(text), size):
                wire.send(text[at : at + size])
            for i in range(5):
                self.assertStatus(wire.answer(), 200, 201)
        for i in range(5):
            self.assertValue(f"/v1/notes/cut-{i}", b"%02d" % (i + 10))

    def test_close_closes(self):
        self.put("/v1/notes/close", b"1")
        wire = self.wire().request("GET", "/v1/notes/close", "Connection: close")
        answer = wire.answer()
        self.assertEqual((answer.body, answer.headers["connection"].lower()), (b"1", "close"))
        wire.ended()

    def test_http_1_0_closes_unless_it_is_kept(self):
        wire = self.wire().send("GET /livez HTTP/1.0\r\n\r\n")
        self.assertStatus(wire.answer(), 200)
        wire.ended()
        wire = self.wire()
        for _ in range(2):
            wire.send("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertStatus(wire.answer(), 200)

    def test_a_client_that_has_said_all_is_answered_and_closed(self):
        """It sends the end of its stream right behind the request, as `nc -N` does, and reads to the end."""
        for turn in range(30):
            wire = self.wire()
            if turn % 2:
                wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # all in one segment
            wire.request("PUT", "/v1/notes/all", body=b"1").request("GET", "/v1/notes/all").finish()
            self.assertStatus(wire.answer(), 200, 201)
            self.assertEqual(wire.answer().body, b"1")
            wire.socket.settimeout(10)
            wire.ended()


class Clients(Conversation):
    """What one client may send; as slowly as it can be told, and more than comes back while a test runs."""

    sets = ("limits.rate=1", "limits.burst=20")

    def from_address(self, address):
        wire = Wire(self.server, source=address)
        self.addCleanup(wire.close)
        return wire

    def ask(self, wire, target="/v1/notes/none"):
        return wire.request("GET", target).answer()

    def test_a_client_that_sends_too_many_is_told_when_to_come_again(self):
        wire = self.from_address("127.0.0.2")
        answers = [self.ask(wire) for _ in range(60)]  # 20, and one for each second that this takes
        refused = [answer for answer in answers if answer.status == 429]
        self.assertGreaterEqual(len(refused), 1, "no request was refused")
        self.assertEqual({answer.status for answer in answers}, {404, 429})
        self.assertEqual([answer.status for answer in answers[:20]], [404] * 20)
        self.assertProblem(refused[0], "too-many-requests", detail="a second")
        self.assertRegex(refused[0].headers["retry-after"], "^[1-9][0-9]*$")
        self.assertEqual(self.ask(wire, "/livez").status, 200, "a probe was counted")
        self.assertEqual(self.ask(self.from_address("127.0.0.3")).status, 404, "another client has to wait for it")
        server = self.from_address("127.0.0.4").request("GET", "/metrics").answer().body.decode()
        self.assertRegex(server, r"aff_http_throttled_total [1-9]")
        self.assertRegex(server, r"aff_http_clients [3-9]")

    def test_what_is_wrong_counts_and_nothing_is_written(self):
        wire = self.from_address("127.0.0.5")
        answers = [wire.request("PUT", "/v1/notes/a%zz", body=b"1").answer() for _ in range(60)]
        self.assertEqual({answer.status for answer in answers}, {400, 429})
        self.assertEqual(answers[0].status, 400)


class Together(HeldConversation):
    sets = ("limits.concurrent=2",)

    def test_so_many_requests_at_a_time(self):
        writers = [self.wire(source="127.0.0.2") for _ in range(3)]
        with self.hold:
            for i, wire in enumerate(writers[:2]):
                wire.request("PUT", f"/v1/notes/{i}", body=b"1")
            refused = wait_until("the next is refused", self.refused)
            self.assertProblem(refused, "too-many-requests", detail="under way")
        for wire in writers[:2]:
            self.assertEqual(wire.answer().status, 201)
        self.assertEqual(writers[2].request("GET", "/v1/notes/0").answer().status, 200)

    def refused(self):
        wire = self.wire(source="127.0.0.2")
        answer = wire.request("GET", "/v1/notes/none").answer()
        wire.close()
        return answer if answer.status == 429 else None


if __name__ == "__main__":
    main()
