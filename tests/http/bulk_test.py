"""bulk_test - many writes in one request: each line has its own outcome, in its place, and a repeat is safe.

Arguments: AFFINITY, the library of tests/lib/hold.c.
"""
import base64
import json
import random
import time

from conversation import ETAG, PROBLEM_TYPES, REQUEST_ID, Conversation, HeldConversation, main, metrics_of, total, wait_until


def line(key=None, **members):
    """if_match="x" is "if_match": "x"; a value is given as the text that shall stand in the line."""
    value = members.pop("value", None)
    if isinstance(key, bytes):
        members["key64"] = base64.b64encode(key).decode()
    elif key is not None:
        members["key"] = key
    text = json.dumps(members)
    if value is not None:
        text = text[:-1] + (", " if members else "") + f'"value": {value}}}'
    return text.encode()


class Bulk:
    """What both classes below ask."""

    def bulk(self, *lines, keyspace="notes", client=None, **headers):
        """The answer's lines, taken apart; the request must have been taken."""
        answer = (client or self.client).post(f"/v1/{keyspace}", b"\n".join(lines), "application/jsonl", **headers)
        self.assertStatus(answer, 200)
        self.assertEqual(answer.headers["content-type"], "application/jsonl", answer)
        self.assertTrue(answer.body.endswith(b"\n") or not answer.body, answer)
        return [json.loads(text) for text in answer.body.splitlines()]

    def statuses(self, results):
        return [result["status"] for result in results]

    def assertFailed(self, result, status, kind, number):
        self.assertEqual((result["status"], result["line"]), (status, number), result)
        self.assertEqual(result["problem"]["type"], PROBLEM_TYPES + kind, result)
        self.assertEqual(result["problem"]["status"], status, result)
        self.assertEqual(result.get("outcome"), {503: "not-applied", 504: "unknown"}.get(status), result)


class Lines(Bulk, Conversation):
    keyspaces = {"notes": {}, "strict": {"require_match": True}, "small": {"max_value": "100B"}}

    def test_good_and_bad_lines_are_answered_each_in_its_place(self):
        self.put("/v1/notes/there", b"1")
        results = self.bulk(
            line("new", value='{"n" : 1.0}'),
            line("there", value="2") + b"\r",
            b"",
            b"nonsense",
            line("there", delete=True),
            line("there", delete=True),
            line(b"\xff/\0", value64="/wA=", type="image/png"),
            line("x", value="1", valeu=2),
            line("", value="1"),
            b'{"key": "half',
            line("last", value="null"),
        )
        self.assertEqual(self.statuses(results), [201, 200, 400, 204, 404, 201, 400, 400, 400, 201])
        self.assertFailed(results[2], 400, "bad-json", 4)
        self.assertFailed(results[4], 404, "not-found", 6)
        self.assertEqual(results[4]["key"], "there")
        self.assertFailed(results[6], 400, "bad-request", 8)
        self.assertIn("valeu", results[6]["problem"]["detail"])
        self.assertFailed(results[8], 400, "bad-json", 10)
        self.assertEqual(results[5]["key64"], "/y8A")
        for key, result, body, kind in (
            ("new", results[0], b'{"n" : 1.0}', "application/json"),
            ("%FF%2F%00", results[5], b"\xff\0", "image/png"),
            ("last", results[9], b"null", "application/json"),
        ):
            answer = self.assertValue(f"/v1/notes/{key}", body, kind)
            self.assertEqual(answer.etag, result["etag"])
        self.assertAbsent("/v1/notes/there")
        self.assertAbsent("/v1/notes/x")

    def test_lines_of_a_key_are_carried_out_in_their_order(self):
        chance, lines, last = random.Random(1), [], {}
        for number in range(3000):
            key = f"order-{chance.randrange(4)}"
            last[key] = None if chance.random() < 0.2 else str(number)
            lines.append(line(key, value=last[key]) if last[key] else line(key, delete=True))
        results, there = self.bulk(*lines), set()
        for text, result in zip(lines, results, strict=True):
            key, deletes = json.loads(text)["key"], b'"delete"' in text
            expected = (204 if key in there else 404) if deletes else 200 if key in there else 201
            self.assertEqual((result["key"], result["status"]), (key, expected), text)
            there = there - {key} if deletes else there | {key}
        for key, value in last.items():
            if value:
                self.assertValue(f"/v1/notes/{key}", value.encode())
            else:
                self.assertAbsent(f"/v1/notes/{key}")

    def test_conditions_are_decided_where_the_line_is_written(self):
        etag = self.put("/v1/notes/cas", b"1").etag
        results = self.bulk(
            line("cas", value="2", if_none_match="*"),
            line("cas", value="3", if_match=etag),
            line("cas", value="4", if_match=etag),
            line("cas", value="5", if_match="*"),
            line("cas", delete=True, if_match=etag.strip('"')),
            line("cas2", value="1", if_match='"someone-else"'),
            line("cas2", value="1", if_none_match="*"),
        )
        self.assertEqual(self.statuses(results), [412, 200, 412, 200, 412, 412, 201])
        self.assertValue("/v1/notes/cas", b"5")

    def test_the_rules_of_the_keyspace_hold_for_each_line(self):
        results = self.bulk(line("a", value="1"), line("a", value="1", if_none_match="*"), keyspace="strict")
        self.assertFailed(results[0], 428, "precondition-required", 1)
        self.assertEqual(results[1]["status"], 201)
        results = self.bulk(line("a", value=f'"{"x" * 99}"'), line("a", value=f'"{"x" * 98}"'), keyspace="small")
        self.assertFailed(results[0], 413, "content-too-large", 1)
        self.assertEqual(results[1]["status"], 201)

    def test_a_line_that_is_repeated_by_its_id_is_done_once(self):
        lines = [line(f"id-{i % 50}", value=str(i), id=f"r{i}") for i in range(100)]
        first = self.bulk(*lines)
        self.assertEqual(self.statuses(first), [201] * 50 + [200] * 50)
        again = self.bulk(*lines)
        self.assertEqual(again, [{**result, "replayed": True} for result in first])
        self.assertValue("/v1/notes/id-49", b"99")
        other = self.bulk(line("id-1", value="other", id="r1"), line("id-1", value='"other"', id="r1"))
        self.assertFailed(other[1], 422, "idempotency-reused", 2)
        twice = self.bulk(
            line("twice", value="1", id="t"), line("twice", value="1", id="t"), line("twice", delete=True, id="t")
        )
        self.assertEqual(self.statuses(twice), [201, 201, 204])
        self.assertEqual([result.get("replayed") for result in twice], [None, True, None])

    def test_a_line_repeats_a_put_and_is_repeated_by_one(self):
        put = self.put("/v1/notes/both", b"[1, 2]", Idempotency_Key="b")
        result = self.bulk(line("both", value="[1, 2]", id="b"))[0]
        self.assertEqual((result["etag"], result.get("replayed")), (put.etag, True))
        etag = self.bulk(line("both", value64="AAA=", type="a/b", id="c", ttl="1h", event_time=5))[0]["etag"]
        again = self.client.put(
            "/v1/notes/both", b"\0\0", "a/b", Idempotency_Key="c", Affinity_TTL="1h", Affinity_Event_Time="5"
        )
        self.assertEqual((again.etag, again.headers.get("affinity-replayed")), (etag, "true"))

    def test_times_are_kept_as_they_are_given(self):
        ends = (int(time.time()) + 3600) * 1000 + 123
        self.bulk(line("times", value="1", expires=ends, event_time=-7), line("ttl", value="1", ttl="1h"))
        answer = self.assertValue("/v1/notes/times", b"1")
        self.assertEqual(answer.headers["affinity-expires"], str(ends))
        self.assertEqual(answer.headers["affinity-event-time"], "-7")
        self.assertIn("affinity-expires", self.assertValue("/v1/notes/ttl", b"1").headers)
        self.assertFailed(self.bulk(line("past", value="1", expires=1))[0], 400, "bad-request", 1)

    def test_a_brief_answer_tells_failures_and_a_sum(self):
        results = self.bulk(line("brief", value="1"), line("none", delete=True), Prefer="return=minimal")
        self.assertFailed(results[0], 404, "not-found", 2)
        self.assertEqual(results[1:], [{"lines": 2, "failed": 1}])

    def test_as_many_lines_as_there_may_be(self):
        lines = [line(f"many-{i}", value=str(i)) for i in range(100000)]
        results = self.bulk(*lines)
        self.assertEqual(len(results), 100000)
        for i, result in enumerate(results):
            if result["key"] != f"many-{i}" or result["status"] != 201 or not ETAG.fullmatch(result["etag"]):
                self.fail(f"line {i}: {result}")
        self.assertEqual(len({result["etag"] for result in results}), 100000)
        for i in random.Random(2).sample(range(100000), 100):
            self.assertValue(f"/v1/notes/many-{i}", str(i).encode())
        with self.nothing_written():
            answer = self.client.post("/v1/notes", b"\n".join([*lines, b"{}"]), "application/jsonl")
            self.assertProblem(answer, "content-too-large", detail="100000 lines")

    def test_what_is_too_long_is_refused_before_it_is_read(self):
        wire = self.wire()
        wire.send("POST /v1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/jsonl\r\n")
        wire.send(f"Content-Length: {16 * 1024 * 1024 + 1}\r\n\r\n")
        self.assertProblem(wire.answer(), "content-too-large", detail="16777216")
        wire.ended()

    def test_large_values_and_chunks(self):
        value = '"' + "x" * 1000000 + '"'
        parts = [line(f"large-{i}", value=value) + b"\n" for i in range(15)]
        answer = self.client.request("POST", "/v1/notes", iter(parts), {"Content-Type": "application/x-ndjson"})
        self.assertStatus(answer, 200)
        self.assertEqual(self.statuses(map(json.loads, answer.body.splitlines())), [201] * 15)
        self.assertValue("/v1/notes/large-14", value.encode())
        wait_until("nothing is held", lambda: total(metrics_of(self.client), "aff_http_bodies_bytes") == 0)

    def test_what_is_no_bulk_write_is_refused(self):
        for headers, kind in (
            ({"Content-Type": "application/json"}, "unsupported-media-type"),
            ({"Content-Encoding": "gzip"}, "unsupported-media-type"),
            ({"Accept": "text/html"}, "not-acceptable"),
            ({"Idempotency-Key": "x"}, "bad-request"),
        ):
            fields = {"Content-Type": "application/jsonl", **headers}
            self.assertProblem(self.client.request("POST", "/v1/notes", line("no", value="1"), fields), kind)
        self.assertIn("POST", self.client.request("OPTIONS", "/v1/notes").headers["allow"])
        self.assertAbsent("/v1/notes/no")


class Held(Bulk, HeldConversation):
    """The disk does not answer for a while."""

    sets = ["limits.exchange_timeout=700ms"]
    keyspaces = {"notes": {"partitions": 2}}

    def test_at_the_deadline_each_line_says_what_is_known(self):
        lines = [line(f"d{i}", value=str(i), id=str(i)) for i in range(2000)]
        with self.hold:
            results = self.bulk(*lines)
        self.assertEqual(len(results), 2000)
        unknown = [result for result in results if result["status"] == 504]
        self.assertTrue(unknown)
        for number, result in enumerate(results, 1):
            kind = {504: "outcome-unknown", 503: "timed-out"}.get(result["status"])
            self.assertFailed(result, result["status"], kind, number)
        for result in unknown:
            self.assertRegex(result["request_id"], REQUEST_ID)
            self.assertEqual(result["problem"]["instance"], "/outcome/" + result["request_id"])
        for result in unknown[:: len(unknown) // 10 + 1]:
            path = result["problem"]["instance"]
            wait_until("it is known", lambda path=path: self.client.get(path).json()["outcome"] == "committed")
        again = self.bulk(*lines)
        self.assertEqual(self.statuses(again), [201] * 2000)
        replayed = {result["key"] for result in again if result.get("replayed")}
        self.assertEqual(replayed, {result["key"] for result in unknown}, "what was unknown was done, nothing else")

    def test_a_client_may_leave(self):
        before = total(metrics_of(self.client), "aff_partition_committed_total")
        body = b"\n".join(line(f"gone{i}", value="1") for i in range(20000))
        with self.hold:
            wire = self.wire()
            wire.request("POST", "/v1/notes", "Content-Type: application/jsonl", body=body)
            self.wait_gauge("aff_partition_in_flight", 100)
            wire.reset()
        wait_until("nothing is held", lambda: total(metrics_of(self.client), "aff_http_bodies_bytes") == 0)
        done = total(metrics_of(self.client), "aff_partition_committed_total") - before
        self.assertLess(done, 10000, "lines were begun for nobody")

    def test_a_stop_finishes_what_was_begun(self):
        with self.serving(env=self.hold.env, sets=()) as server:
            wire = self.wire(server)
            with self.hold:
                body = b"\n".join(line(f"s{i}", value="1") for i in range(5000))
                wire.request("POST", "/v1/notes", "Content-Type: application/jsonl", body=body)
                self.wait_gauge("aff_partition_in_flight", 100, server.client())
                server.process.terminate()
                wait_until("it drains", lambda: "node.draining" in server.log())
            results = [json.loads(text) for text in wire.answer("POST").body.splitlines()]
            self.assertEqual(len(results), 5000)
            self.assertEqual({result["status"] for result in results}, {201, 503})
            self.assertEqual(results[-1]["problem"]["type"], PROBLEM_TYPES + "draining")


if __name__ == "__main__":
    main()
