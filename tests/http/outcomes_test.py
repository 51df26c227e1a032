"""outcomes_test - each request ends as one of committed, not applied, unknown; and what was unknown can be looked up.

Arguments: AFFINITY, the library of tests/lib/hold.c.
"""
import signal
import time

from conversation import Conversation, HeldConversation, main, wait_until


class Outcomes(Conversation):
    keyspaces = {"notes": {}, "one": {"partitions": 1}}

    def outcome(self, request_id, client=None):
        answer = (client or self.client).get(f"/outcome/{request_id}")
        self.assertStatus(answer, 200)
        self.assertEqual(answer.headers["content-type"], "application/json", answer)
        self.assertEqual(answer.json()["id"], request_id, answer)
        return answer.json()["outcome"]

    def test_a_write_that_was_acknowledged_is_committed(self):
        for answer in (
            self.client.put("/v1/notes/a", b"1"),
            self.client.put("/v1/notes/a", b"2"),
            self.client.delete("/v1/notes/a"),
        ):
            self.assertEqual(self.outcome(answer.headers["affinity-request-id"]), "committed")

    def test_ids_differ(self):
        ids = {self.client.put("/v1/notes/ids", b"1").headers["affinity-request-id"] for _ in range(20)}
        self.assertEqual(len(ids), 20)

    def test_what_is_no_id_is_404(self):
        good = self.client.put("/v1/notes/b", b"1").headers["affinity-request-id"]
        name, partition, epoch, nonce, number = good.split("-")
        for text in (
            "x",
            "%00",
            good + "-",
            good + "-1",
            good + "%20",
            "-" + good,
            good[:-len(number) - 1],
            f"{name}-8-{epoch}-{nonce}-{number}",
            f"{name}--1-{epoch}-{nonce}-{number}",
            f"{name}-{partition}-{epoch}-{nonce}-18446744073709551616",
            f"{name}-{partition}-{epoch}-{nonce}-0x1",
            f"{name}-{partition}-fffffffffffffffff-{nonce}-{number}",
            f"{name}-{partition}-{epoch}-xyz-{number}",
            f"nothing-{partition}-{epoch}-{nonce}-{number}",
            "a" * 300,
        ):
            with self.subTest(id=text[:60]):
                self.assertProblem(self.client.get("/outcome/" + text), "no-route")
        for path in ("/outcome", "/outcome/", f"/outcome/{good}/x"):
            with self.subTest(path=path):
                self.assertProblem(self.client.get(path), "no-route")

    def test_it_is_only_read(self):
        request_id = self.client.put("/v1/notes/c", b"1").headers["affinity-request-id"]
        answer = self.client.delete(f"/outcome/{request_id}")
        self.assertProblem(answer, "method-not-allowed")
        self.assertEqual(answer.headers["allow"], "GET, HEAD, OPTIONS")
        self.assertEqual(self.client.request("HEAD", f"/outcome/{request_id}").status, 200)

    def test_a_write_that_is_not_there_is_never_called_committed(self):
        good = self.client.put("/v1/one/d", b"1").headers["affinity-request-id"]
        head, number = good.rsplit("-", 1)
        self.assertEqual(self.outcome(f"{head}-{int(number) + 1000}"), "unknown")

    def test_an_id_of_another_log_is_never_called_committed(self):
        with self.serving() as other:
            foreign = other.client().put("/v1/one/e", b"1").headers["affinity-request-id"]
        for i in range(3):
            self.client.put(f"/v1/one/mine-{i}", b"1")
        answer = self.client.get(f"/outcome/{foreign}")
        if answer.status != 404:
            self.assertEqual(self.outcome(foreign), "unknown")

    def test_outcomes_outlive_the_process(self):
        with self.serving() as server:
            written = server.client().put("/v1/one/f", b"1").headers["affinity-request-id"]
            head, number = written.rsplit("-", 1)
            for end in (server.kill, server.stop):
                end()
                server.start()
                client = server.client()
                self.assertEqual(self.outcome(written, client), "committed")
                later = f"{head}-{int(number) + 1000}"
                self.assertEqual(self.outcome(later, client), "not-applied", "its mastership has ended without it")


class Unknown(HeldConversation):
    """A write that is in the log's hands when its time is over."""

    sets = ["limits.exchange_timeout=1s"]
    keyspaces = {"notes": {"partitions": 1}}

    def outcome(self, request_id):
        return self.client.get(f"/outcome/{request_id}").json()["outcome"]

    def assertUnknown(self, answer):
        problem = self.assertProblem(answer, "outcome-unknown")
        self.assertEqual(answer.headers.get("affinity-outcome"), "unknown", answer)
        request_id = answer.headers["affinity-request-id"]
        self.assertEqual(problem["instance"], f"/outcome/{request_id}", answer)
        return request_id

    def test_a_write_that_is_late_is_unknown_until_it_is_known(self):
        self.put("/v1/notes/late", b"1")
        with self.hold:
            request_id = self.assertUnknown(self.client.put("/v1/notes/late", b"2", Idempotency_Key="k"))
            self.assertEqual(self.outcome(request_id), "unknown")
            self.assertValue("/v1/notes/late", b"1")
            running = self.client.put("/v1/notes/late", b"2", Idempotency_Key="k")
            self.assertProblem(running, "idempotency-running")
        wait_until("it is committed", lambda: self.outcome(request_id) == "committed")
        self.assertValue("/v1/notes/late", b"2")
        again = self.client.put("/v1/notes/late", b"2", Idempotency_Key="k")
        self.assertEqual((again.status, again.headers.get("affinity-replayed")), (200, "true"), again)

    def test_what_waits_behind_it_is_provably_not_applied(self):
        self.put("/v1/notes/queue", b"0")
        first, second = self.wire(), self.wire()
        with self.hold:
            first.request("PUT", "/v1/notes/queue", body=b"1")
            self.wait_gauge("aff_partition_in_flight", 1)
            second.request("PUT", "/v1/notes/queue", body=b"2")
            self.assertUnknown(first.answer())
            self.assertProblem(second.answer(), "timed-out")
        wait_until("the first is committed", lambda: self.client.get("/v1/notes/queue").body == b"1")
        self.put("/v1/notes/queue", b"3")
        self.assertValue("/v1/notes/queue", b"3")

    def test_reads_and_pages_do_not_wait_for_writes(self):
        self.put("/v1/notes/read", b"1")
        with self.hold:
            wire = self.wire().request("PUT", "/v1/notes/read", body=b"2")
            self.wait_gauge("aff_partition_in_flight", 1)
            self.assertValue("/v1/notes/read", b"1")
            for path in ("/livez", "/readyz", "/metrics", "/cluster"):
                self.assertStatus(self.client.get(path), 200)
            self.assertUnknown(wire.answer())
        wait_until("it is committed", lambda: self.client.get("/v1/notes/read").body == b"2")

    def test_a_delete_can_be_unknown_too(self):
        self.put("/v1/notes/gone", b"1")
        with self.hold:
            request_id = self.assertUnknown(self.client.delete("/v1/notes/gone"))
        wait_until("it is committed", lambda: self.outcome(request_id) == "committed")
        self.assertAbsent("/v1/notes/gone")

    def test_a_node_that_stood_still_names_the_write(self):
        wires = [self.wire() for _ in range(16)]  # of both loops
        with self.hold:
            for i, wire in enumerate(wires):
                wire.request("PUT", f"/v1/notes/still-{i}", body=b"1")
            self.wait_gauge("aff_partition_in_flight", len(wires))
            self.server.process.send_signal(signal.SIGSTOP)
            time.sleep(3.5)  # so that every deadline has passed when it goes on
            self.server.process.send_signal(signal.SIGCONT)
            ids = [self.assertUnknown(wire.answer()) for wire in wires]
        for request_id in ids:
            wait_until("it is committed", lambda request_id=request_id: self.outcome(request_id) == "committed")

    def test_a_client_that_goes_away_does_not_take_its_write_with_it(self):
        with self.hold:
            wire = self.wire().request("PUT", "/v1/notes/orphan", body=b"1")
            self.wait_gauge("aff_partition_in_flight", 1)
            wire.reset()
            wire = self.wire().request("PUT", "/v1/notes/orphan-2", body=b"1")
            self.wait_gauge("aff_partition_in_flight", 2)
            wire.close()
        for path in ("/v1/notes/orphan", "/v1/notes/orphan-2"):
            wait_until(f"{path} is there", lambda: self.client.get(path).status == 200)


if __name__ == "__main__":
    main()
