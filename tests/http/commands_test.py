"""commands_test - an application's commands over HTTP: what they get, what they answer, what becomes of their writes.

Arguments: AFFINITY (not used), the library of tests/lib/hold.c, the application commands.c.
"""
import json

from conversation import PROBLEMS, Conversation, HeldConversation, Programs, main, wait_until


class Commands(Conversation):
    keyspaces = {}

    @classmethod
    def command(cls):
        return [Programs.others[1]]

    def post(self, key, command, body=b"", content_type="application/json", **headers):
        return self.client.post(f"/v1/things/{key}/{command}", body, content_type, **headers)

    def test_a_command_answers_with_what_it_staged(self):
        answer = self.post("a", "add", b'{"n": 2}')
        self.assertWritten(answer, 200, keyspace="things")
        self.assertEqual((answer.json(), answer.headers["content-type"]), ({"n": 2}, "application/json"))
        got = self.assertValue("/v1/things/a", answer.body, "application/json")
        self.assertEqual(got.etag, answer.etag)

    def test_a_command_can_answer_otherwise(self):
        answer = self.post("b", "note", b'{"text": "hello"}')
        self.assertWritten(answer, 202, keyspace="things")
        self.assertEqual((answer.body, answer.headers["content-type"]), (b"hello", "text/plain; charset=utf-8"))
        self.assertValue("/v1/things/b", b'{"text": "hello"}')

    def test_a_command_can_delete(self):
        self.post("c", "add")
        answer = self.post("c", "clear")
        self.assertStatus(answer, 204)
        self.assertEqual(answer.body, b"")
        self.assertAbsent("/v1/things/c")
        with self.nothing_written():
            self.assertStatus(self.post("c", "clear"), 204)

    def test_a_command_can_set_a_lifetime(self):
        self.post("d", "fleeting", b'{"ms": 100}')
        wait_until("it expires", lambda: self.client.get("/v1/things/d").status == 404)

    def test_a_refusal_has_the_type_of_the_application_and_changes_nothing(self):
        self.post("e", "add", b'{"n": 2}')
        with self.nothing_written():
            problem = self.assertProblem(self.post("e", "take", b'{"n": 3}'), "too-little", 409)
        self.assertEqual(problem["title"], "There is less than that")
        self.assertEqual(problem["detail"], '2 is less than "3"')
        self.assertEqual(self.client.get("/v1/things/e").json(), {"n": 2})

    # ---- commands that ask ----

    def test_a_command_asks_other_keys(self):
        self.post("m1", "add", b'{"n": 5}')
        answer = self.post("m1", "move", b'{"to": "m2", "n": 2}')
        self.assertStatus(answer, 200)
        self.assertEqual(answer.json(), {"n": 2})
        self.assertEqual([self.client.get(f"/v1/things/{key}").json() for key in ("m1", "m2")], [{"n": 3}, {"n": 2}])

    def test_a_refusal_of_another_key_can_be_passed_on(self):
        self.post("m3", "add", b'{"n": 1}')
        with self.nothing_written():
            problem = self.assertProblem(self.post("m3", "move", b'{"to": "m4", "n": 2}'), "too-little", 409)
        self.assertEqual((problem["title"], problem["detail"]), ("There is less than that", '1 is less than "2"'))

    def test_what_is_repeated_under_its_id_is_done_once(self):
        self.post("m5", "add", b'{"n": 9}')
        for _ in range(3):
            answer = self.post("m5", "move", b'{"to": "m6", "n": 4}', idempotency_key="move-1")
            self.assertStatus(answer, 200)
            self.assertEqual(answer.json(), {"n": 4})
        self.assertEqual([self.client.get(f"/v1/things/{key}").json() for key in ("m5", "m6")], [{"n": 5}, {"n": 4}])

    def test_many_keys_are_asked_at_once(self):
        keys = [f"p{i}" for i in range(30)]
        for i, key in enumerate(keys[:-1]):
            self.post(key, "add", json.dumps({"n": i}))
        answers = self.post("any", "peek", json.dumps({"keys": keys})).json()
        for i, key in enumerate(keys[:-1]):
            self.assertEqual(answers[2 * i], {"code": "OK", "status": 0, "body": {"n": i}})
            self.assertEqual(answers[2 * i + 1], {"code": "OK", "status": 200, "body": {"n": i, "key": key}})
        self.assertEqual(answers[-2], {"code": "OK", "status": 0})  # no such key: read, and nothing there
        self.assertEqual(answers[-1], {"code": "EREFUSED", "status": 404})

    def test_every_partition_is_asked(self):
        keys = [f"t/{i}" for i in range(200)]
        for key in keys:
            self.post(key.replace("/", "%2F"), "add", json.dumps({"n": 1}))
        answer = self.post("any", "tally", json.dumps({"prefix": "t/"})).json()
        self.assertEqual(answer["missing"], [])
        self.assertEqual(answer["entries"], len(keys))
        self.assertEqual(sum(answer["counts"].values()), len(keys))
        self.assertGreater(len(answer["counts"]), 1)
        self.assertGreaterEqual(answer["partitions"], len(answer["counts"]))
        too_long = self.post("any", "tally", json.dumps({"prefix": "x" * 600}))
        self.assertEqual(too_long.status, 400, too_long)

    def test_what_cannot_be_asked_is_said(self):
        for ask, kind in (("nobody", "not-found"), ("no command", "not-found"), ("another", "not-found"),
                          ("no key", "bad-request"), ("no JSON", "bad-json"), (None, "internal")):
            with self.subTest(ask=ask):
                answer = self.post("o", "odd", json.dumps({"ask": ask}))
                self.assertEqual(answer.status, PROBLEMS[kind][0], answer)
                self.assertTrue(answer.json()["type"].endswith("/" + kind), answer)

    def test_a_command_that_asks_takes_no_conditions_and_no_get(self):
        self.assertProblem(self.post("q", "move", b"{}", if_match="*"), "bad-request", 400)
        self.assertProblem(self.client.get("/v1/things/q/move"), "method-not-allowed", 405)

    def test_a_code_of_the_table_is_its_problem_and_discards_what_was_staged(self):
        kinds = {-2: "bad-request", -3: "not-found", -6: "conflict", -11: "draining", -16: "content-too-large"}
        for code, kind in kinds.items():
            with self.subTest(code=code):
                answer = self.post("f", "code", json.dumps({"code": code}))
                self.assertEqual(answer.status, PROBLEMS[kind][0], answer)
                self.assertTrue(answer.json()["type"].endswith("/" + kind), answer)
        for code in (7, -12345, -9):
            with self.subTest(code=code):
                answer = self.post("f", "code", json.dumps({"code": code}))
                self.assertEqual((answer.status, answer.json()["type"][-9:]), (500, "/internal"), answer)
        self.assertAbsent("/v1/things/f")

    def test_a_command_takes_its_media_type_only(self):
        for content_type in ("text/plain", "application/octet-stream", "application/jsonx", "nonsense", ""):
            with self.subTest(content_type=content_type):
                self.assertProblem(self.post("g", "add", b"{}", content_type), "unsupported-media-type")
        self.assertStatus(self.post("g", "add", b"{}", "Application/JSON; charset=utf-8"), 200)
        for content_type in ("text/plain", "image/png"):
            self.assertStatus(self.post("g", "keep", b"\x00\xff", content_type), 200)
            self.assertValue("/v1/things/g", b"\x00\xff", content_type)
        answer = self.post("g", "add", b"{}", Content_Encoding="gzip")
        self.assertProblem(answer, "unsupported-media-type", detail="Content-Encoding")

    def test_arguments_are_json_or_nothing(self):
        self.assertProblem(self.post("h", "add", b'{"n": }'), "bad-json", detail="line 1, column 7")
        self.assertAbsent("/v1/things/h")
        self.assertEqual(self.post("h", "add", b"").json(), {"n": 1})
        wire = self.wire()
        wire.send("POST /v1/things/h/add HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(wire.answer().json(), {"n": 2}, "a POST without a body is a command without arguments")

    def test_a_command_that_only_reads_can_be_asked_by_get(self):
        self.post("i%2F%C3%A9", "add", b'{"n": 4}')
        for method in ("GET", "POST"):
            answer = self.client.request(method, "/v1/things/i%2F%C3%A9/show")
            self.assertEqual((answer.status, answer.json()), (200, {"n": 4, "key": "i/é"}), answer)
        head = self.client.request("HEAD", "/v1/things/i%2F%C3%A9/show")
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(answer.body))), head)
        self.assertProblem(self.client.get("/v1/things/none/show"), "nothing-here", 404)
        self.assertStatus(self.client.get("/v1/things/none/quiet"), 204)

    def test_a_command_that_writes_is_not_asked_by_get(self):
        with self.nothing_written():
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                answer = self.client.request(method, "/v1/things/j/add", b"{}" if method == "PUT" else None)
                self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST, OPTIONS"), answer)

    def test_there_are_no_other_commands(self):
        for path in ("/v1/things/k/ad", "/v1/things/k/Add", "/v1/things/k/add/x", "/v1/nothing/k/add"):
            self.assertProblem(self.client.post(path, b"{}"), "no-route")

    def test_a_keyspace_may_have_commands_alone(self):
        self.assertStatus(self.client.post("/v1/hidden/a/add", b"{}"), 200)
        for method in ("GET", "PUT", "DELETE"):
            answer = self.client.request(method, "/v1/hidden/a", b"{}" if method == "PUT" else None)
            self.assertProblem(answer, "method-not-allowed")
            self.assertEqual(answer.headers["allow"], "OPTIONS", answer)

    def test_a_command_can_be_conditional(self):
        etag = self.post("m", "add").etag
        other = etag.replace("-", "-1", 1)
        with self.nothing_written():
            self.assertProblem(self.post("m", "add", If_Match=other), "precondition-failed")
            self.assertProblem(self.post("m", "add", If_None_Match="*"), "precondition-failed")
        self.assertEqual(self.post("m", "add", If_Match=etag).json(), {"n": 2})


class Together(HeldConversation):
    """Commands that wait for the same key run in order and leave as one record."""

    keyspaces = {}

    @classmethod
    def command(cls):
        return [Programs.others[1]]

    def test_each_is_answered_with_its_own_result_and_the_last_with_the_version(self):
        self.client.post("/v1/things/k/add", b'{"n": 10}')
        wires = [self.wire() for _ in range(6)]
        steps = [("add", 1), ("add", 2), ("take", 99), ("add", 3), ("take", 1), ("add", 4)]
        bodies = [(command, b'{"n": %d}' % n) for command, n in steps]
        with self.hold:
            for i, (wire, (command, body)) in enumerate(zip(wires, bodies)):
                wire.request("POST", f"/v1/things/k/{command}", f"Idempotency-Key: {i}", body=body)
                if i == 0:
                    self.wait_gauge("aff_partition_in_flight", 1)
                else:
                    self.wait_gauge("aff_partition_queued", i)
            self.assertTrue(all(wire.silent() for wire in wires), "one was answered before its record was durable")
        answers = [wire.answer() for wire in wires]
        self.assertEqual([a.json().get("n") for a in answers], [11, 13, None, 16, 15, 19])
        self.assertProblem(answers[2], "too-little", 409)
        self.assertTrue(answers[0].etag, "the first had a record of its own")
        self.assertEqual([bool(a.etag) for a in answers[1:]], [False, False, False, False, True])
        got = self.client.get("/v1/things/k")
        self.assertEqual((got.json(), got.etag), ({"n": 19}, answers[5].etag))
        for i in (0, 1, 3, 4, 5):
            again = self.client.post(f"/v1/things/k/{bodies[i][0]}", bodies[i][1], Idempotency_Key=str(i))
            self.assertEqual((again.headers.get("affinity-replayed"), again.body), ("true", answers[i].body), again)
        self.assertEqual(self.client.get("/v1/things/k").json(), {"n": 19})


class Asking(HeldConversation):
    """Commands that ask, while the disk keeps them waiting."""

    keyspaces = {}
    sets = ["limits.exchange_timeout=1s"]

    @classmethod
    def command(cls):
        return [Programs.others[1]]

    def test_a_command_goes_on_when_its_client_is_gone(self):
        self.client.post("/v1/things/g1/add", b'{"n": 3}')
        wire = self.wire()
        with self.hold:
            wire.request("POST", "/v1/things/g1/move", body=b'{"to": "g2", "n": 1}')
            self.wait_gauge("aff_partition_in_flight", 1)
            wire.close()
        wait_until("the second key was asked", lambda: self.client.get("/v1/things/g2").status == 200)
        self.assertEqual(self.client.get("/v1/things/g1").json(), {"n": 2})

    def test_what_may_have_been_written_is_never_said_not_to_be(self):
        self.client.post("/v1/things/u1/add", b'{"n": 3}')
        with self.hold:
            answer = self.client.post("/v1/things/u1/move", b'{"to": "u2", "n": 1}')
        self.assertProblem(answer, "outcome-unknown", 504)
        self.assertEqual(answer.headers["affinity-outcome"], "unknown")


if __name__ == "__main__":
    main()
