"""idempotency_test - a request that is sent again under its Idempotency-Key is carried out once, and answered twice.

Arguments: AFFINITY, the library of tests/lib/hold.c, the application commands.c.
"""
import json

from conversation import Conversation, HeldConversation, Programs, at_once, main


class Repeats(Conversation):
    keyspaces = {"notes": {}, "others": {}}

    def setUp(self):
        super().setUp()
        self.path = "/v1/notes/" + self._testMethodName

    def assertReplay(self, again, first):
        self.assertEqual(again.headers.get("affinity-replayed"), "true", again)
        self.assertNotIn("affinity-replayed", first.headers, "the first answer calls itself a repeat")
        self.assertEqual((again.status, again.body), (first.status, first.body))
        for name in ("etag", "affinity-position", "content-type", "location"):
            self.assertEqual(again.headers.get(name), first.headers.get(name), f"{name}: {again}")

    def test_a_repeated_put_gets_the_first_answer(self):
        first = self.client.put(self.path, b"1", Idempotency_Key="k1")
        self.assertWritten(first, 201)
        for client in (self.client, self.server.client()):
            self.assertReplay(client.put(self.path, b"1", Idempotency_Key="k1"), first)
        self.assertEqual(self.assertValue(self.path, b"1").etag, first.etag, "the repeat was written")

    def test_a_repeat_does_not_undo_what_came_between(self):
        first = self.client.put(self.path, b"1", Idempotency_Key="k1")
        between = self.put(self.path, b"2")
        self.assertReplay(self.client.put(self.path, b"1", Idempotency_Key="k1"), first)
        self.assertEqual(self.assertValue(self.path, b"2").etag, between.etag)
        self.client.delete(self.path)
        self.assertReplay(self.client.put(self.path, b"1", Idempotency_Key="k1"), first)
        self.assertAbsent(self.path)

    def test_a_replacing_put_is_repeated_as_such(self):
        self.put(self.path, b"1")
        first = self.client.put(self.path, b"2", Idempotency_Key="k1")
        self.assertReplay(self.client.put(self.path, b"2", Idempotency_Key="k1"), first)
        self.assertEqual(self.client.put(self.path, b"2", Idempotency_Key="k1", Prefer="return=minimal").status, 204)

    def test_a_repeated_delete_gets_204_again(self):
        self.put(self.path)
        first = self.client.delete(self.path, Idempotency_Key="d1")
        self.assertStatus(first, 204)
        again = self.client.delete(self.path, Idempotency_Key="d1")
        self.assertReplay(again, first)
        self.put(self.path, b"1")
        self.assertReplay(self.client.delete(self.path, Idempotency_Key="d1"), first)
        self.assertValue(self.path, b"1")

    def test_a_repeat_of_a_conditional_put_is_not_judged_again(self):
        etag = self.put(self.path, b"1").etag
        first = self.client.put(self.path, b"2", If_Match=etag, Idempotency_Key="c1")
        self.assertReplay(self.client.put(self.path, b"2", If_Match=etag, Idempotency_Key="c1"), first)
        created = self.client.put(self.path + "-new", b"1", If_None_Match="*", Idempotency_Key="c2")
        self.assertReplay(self.client.put(self.path + "-new", b"1", If_None_Match="*", Idempotency_Key="c2"), created)

    def test_another_request_under_the_same_key_is_422(self):
        self.put(self.path, b"1", Idempotency_Key="k1")
        etag = self.client.get(self.path).etag
        for body, content_type, headers in [
            (b"2", "application/json", {}),
            (b"1 ", "application/json", {}),
            (b"1", "text/plain", {}),
            (b"1", "application/json", {"Affinity_TTL": "1h"}),
            (b"1", "application/json", {"If_Match": "*"}),
            (b"1", "application/json", {"If_None_Match": "*"}),
        ]:
            with self.subTest(body=body, content_type=content_type, headers=headers):
                answer = self.client.put(self.path, body, content_type, Idempotency_Key="k1", **headers)
                self.assertProblem(answer, "idempotency-reused")
        self.assertEqual(self.assertValue(self.path, b"1").etag, etag)

    def test_a_key_counts_for_its_resource_and_method_only(self):
        self.assertStatus(self.client.put(self.path, b"1", Idempotency_Key="k1"), 201)
        for other in (self.path + "-b", self.path.replace("notes", "others")):
            answer = self.client.put(other, b"2", Idempotency_Key="k1")
            self.assertStatus(answer, 201)
            self.assertNotIn("affinity-replayed", answer.headers)
        self.assertStatus(self.client.delete(self.path, Idempotency_Key="k1"), 204)
        self.assertAbsent(self.path)

    def test_letters_of_a_key_are_what_they_are(self):
        self.put(self.path, b"1", Idempotency_Key="Key")
        self.put(self.path, b"2", Idempotency_Key="key")
        self.assertValue(self.path, b"2")

    def test_what_changed_nothing_is_not_remembered(self):
        self.put(self.path, b"1")
        self.assertStatus(self.client.put(self.path, b"2", If_None_Match="*", Idempotency_Key="k1"), 412)
        self.client.delete(self.path)
        self.assertStatus(self.client.delete(self.path, Idempotency_Key="d1"), 404)
        self.assertStatus(self.client.put(self.path, b"{", Idempotency_Key="k2"), 400)
        self.assertStatus(self.client.put(self.path, b"2", If_None_Match="*", Idempotency_Key="k1"), 201)
        self.assertStatus(self.client.delete(self.path, Idempotency_Key="d1"), 204)
        self.assertStatus(self.client.put(self.path, b"2", Idempotency_Key="k2"), 201)

    def test_what_is_no_key_is_400_and_writes_nothing(self):
        with self.nothing_written():
            for key in ("", " ", "a b", "x" * 256, "sch\xfcssel", "a\tb"):
                with self.subTest(key=key[:20]):
                    answer = self.client.put(self.path, b"1", Idempotency_Key=key)
                    self.assertProblem(answer, "bad-request", detail="Idempotency-Key")
            wire = self.wire()
            wire.request("PUT", self.path, "Idempotency-Key: a", "Idempotency-Key: b", body=b"1")
            self.assertProblem(wire.answer(), "bad-request", detail="Idempotency-Key came twice")
        self.put(self.path, b"1", Idempotency_Key="!" + "~" * 254)

    def test_the_first_answer_outlives_the_process(self):
        with self.serving() as server:
            client = server.client()
            put = client.put(self.path, b"1", Idempotency_Key="k1")
            second = client.put(self.path, b"2", Idempotency_Key="k2")
            gone = client.put(self.path + "-gone", b"2")
            deleted = client.delete(self.path + "-gone", Idempotency_Key="d1")
            self.assertStatus(gone, 201)
            for end in (server.kill, server.stop):
                end()
                server.start()
                client = server.client()
                self.assertReplay(client.put(self.path, b"1", Idempotency_Key="k1"), put)
                self.assertReplay(client.put(self.path, b"2", Idempotency_Key="k2"), second)
                self.assertReplay(client.delete(self.path + "-gone", Idempotency_Key="d1"), deleted)
                self.assertProblem(client.put(self.path, b"3", Idempotency_Key="k1"), "idempotency-reused")
                self.assertEqual(self.assertValue(self.path, b"2", client=client).etag, second.etag)


class AtOnce(HeldConversation):
    """The same request on many connections, while the first is under way."""

    def test_a_repeat_while_the_first_is_under_way_is_409(self):
        wire = self.wire()
        with self.hold:
            wire.request("PUT", "/v1/notes/held", "Idempotency-Key: k", body=b"1")
            self.wait_gauge("aff_partition_in_flight", 1)
            again = self.wire().request("PUT", "/v1/notes/held", "Idempotency-Key: k", body=b"1").answer()
            self.assertProblem(again, "idempotency-running")
            self.assertTrue(wire.silent(), "it was answered before it was durable")
        first = wire.answer()
        self.assertStatus(first, 201)
        again = self.wire().request("PUT", "/v1/notes/held", "Idempotency-Key: k", body=b"1").answer()
        self.assertEqual((again.status, again.etag), (201, first.etag))
        self.assertEqual(again.headers.get("affinity-replayed"), "true", again)

    def test_whoever_comes_first_of_many_writes_once(self):
        clients = [self.server.client() for _ in range(20)]
        for client in clients:
            client.get("/livez")
        for turn in range(10):
            path = f"/v1/notes/many-{turn}"
            answers = at_once(20, lambda i: clients[i].put(path, b"1", Idempotency_Key="same"))
            done = [a for a in answers if a.status != 409]
            for answer in answers:
                if answer.status == 409:
                    self.assertProblem(answer, "idempotency-running")
            self.assertEqual({(a.status, a.etag) for a in done}, {(201, self.client.get(path).etag)})
            fresh = [a for a in done if "affinity-replayed" not in a.headers]
            self.assertEqual(len(fresh), 1, "more than one was carried out")


class Commands(Conversation):
    """tests/http/commands.c"""

    keyspaces = {}

    @classmethod
    def command(cls):
        return [Programs.others[1]]

    def post(self, key, command, body=b"", **headers):
        return self.client.post(f"/v1/things/{key}/{command}", body, **headers)

    def assertReplayed(self, answer):
        self.assertEqual(answer.headers.get("affinity-replayed"), "true", answer)

    def test_a_repeated_command_runs_once(self):
        first = self.post("counter", "add", b'{"n": 5}', Idempotency_Key="a")
        self.assertEqual((first.status, first.json()), (200, {"n": 5}), first)
        again = self.post("counter", "add", b'{"n": 5}', Idempotency_Key="a")
        self.assertReplayed(again)
        self.assertEqual((again.status, again.body, again.etag), (200, first.body, first.etag))
        self.assertEqual(again.headers["content-type"], first.headers["content-type"])
        self.assertProblem(self.post("counter", "add", b'{"n": 6}', Idempotency_Key="a"), "idempotency-reused")
        self.assertEqual(self.post("counter", "add", b'{"n": 1}', Idempotency_Key="b").json(), {"n": 6})

    def test_a_key_counts_for_its_command_only(self):
        self.post("scope", "add", b'{"n": 5}', Idempotency_Key="a")
        answer = self.post("scope", "note", b'{"n": 5}', Idempotency_Key="a")
        self.assertNotIn("affinity-replayed", answer.headers, answer)

    def test_a_refusal_is_not_remembered(self):
        self.assertProblem(self.post("refusal", "take", b'{"n": 1}', Idempotency_Key="a"), "too-little", 409)
        self.post("refusal", "add", b'{"n": 1}')
        answer = self.post("refusal", "take", b'{"n": 1}', Idempotency_Key="a")
        self.assertEqual((answer.status, answer.json()), (200, {"n": 0}), answer)

    def test_a_command_that_writes_nothing_is_not_remembered(self):
        for _ in range(2):
            answer = self.post("nothing", "note", b'{"write": false}', Idempotency_Key="a")
            self.assertStatus(answer, 202)
            self.assertNotIn("affinity-replayed", answer.headers, answer)

    def test_the_reply_of_a_command_is_replayed_as_it_was(self):
        first = self.post("reply", "note", b'{"text": "\\u00e9 1"}', Idempotency_Key="a")
        self.assertEqual((first.status, first.headers["content-type"]), (202, "text/plain; charset=utf-8"), first)
        self.assertEqual(first.body, "é 1".encode())
        again = self.post("reply", "note", b'{"text": "\\u00e9 1"}', Idempotency_Key="a")
        self.assertReplayed(again)
        self.assertEqual((again.status, again.body), (202, first.body))
        self.assertEqual(again.headers["content-type"], "text/plain; charset=utf-8")

    def test_a_long_reply_is_replayed_as_status_and_etag(self):
        for length, kept in ((4096, True), (4097, False)):
            body = json.dumps({"text": "x" * length}).encode()
            first = self.post(f"long-{length}", "note", body, Idempotency_Key="a")
            self.assertEqual((first.status, len(first.body)), (202, length))
            again = self.post(f"long-{length}", "note", body, Idempotency_Key="a")
            self.assertReplayed(again)
            self.assertEqual((again.status, again.etag), (202, first.etag), again)
            self.assertEqual(again.body, first.body if kept else b"", f"the reply of {length} bytes")

    def test_many_at_once_count_once_each(self):
        clients = [self.server.client() for _ in range(16)]

        def add(i):
            for turn in range(10):
                key = f"{i}-{turn}"
                first = clients[i].post("/v1/things/sum/add", b'{"n": 1}', Idempotency_Key=key)
                again = clients[i].post("/v1/things/sum/add", b'{"n": 1}', Idempotency_Key=key)
                self.assertEqual((first.status, again.status), (200, 200))
                self.assertEqual(again.body, first.body)

        at_once(16, add)
        self.assertEqual(self.client.get("/v1/things/sum").json(), {"n": 160})


if __name__ == "__main__":
    main()
