"""patch_test - PATCH: merge patches and JSON patches, at once or not at all, and the text of the rest as it was."""
import json

from conversation import Conversation, at_once, main, wait_until

MERGE = "application/merge-patch+json"
PATCH = "application/json-patch+json"
BOTH = f"{MERGE}, {PATCH}"


def operation(op, path, *value, **more):
    return {"op": op, "path": path, **({"value": value[0]} if value else {}), **more}


class Patching(Conversation):
    keyspaces = {"notes": {"max_value": "1KiB"}}

    def setUp(self):
        super().setUp()
        self.path = "/v1/notes/" + self._testMethodName

    def send(self, body, content_type, client=None, path=None, **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type:
            fields["Content-Type"] = content_type
        return (client or self.client).request("PATCH", path or self.path, body, fields)

    def merge(self, body, **more):
        return self.send(body, MERGE, **more)

    def patch(self, *operations, **more):
        return self.send(list(operations), PATCH, **more)


class Values(Patching):
    def test_a_merge_patch_changes_what_it_names_and_no_byte_of_the_rest(self):
        self.put(self.path, b'{ "n" : 1.10 , "m":{"x":1e400,\n "y":[ ]},"n2":12345678901234567890 }')
        answer = self.merge({"m": {"y": None, "z": 1.0}})
        self.assertWritten(answer, 200)
        self.assertEqual(answer.body, b"", answer)
        got = self.assertValue(
            self.path, b'{ "n" : 1.10 , "m":{"x":1e400,"z":1.0},"n2":12345678901234567890 }', "application/json"
        )
        self.assertEqual(got.etag, answer.etag)

    def test_a_json_patch_carries_out_its_operations_in_order(self):
        self.put(self.path, b' {"list" : [1, 2.0] ,"d":1,"d":2}')
        answer = self.patch(
            operation("test", "/list/1", 2),
            operation("add", "/list/-", {"deep": True}),
            operation("move", "/list/0", **{"from": "/list/1"}),
            operation("replace", "/d", 3),
        )
        self.assertWritten(answer, 200)
        self.assertValue(self.path, b'{"list" : [2.0,1,{"deep": true}] ,"d":1,"d":3}')

    def test_the_new_value_is_answered_when_that_is_preferred(self):
        self.put(self.path, b'{"a":1}', "application/vnd.thing+json; v=1")
        answer = self.merge({"b": 2}, Prefer="return=representation")
        self.assertWritten(answer, 200)
        self.assertEqual(answer.body, b'{"a":1,"b":2}')
        self.assertEqual(answer.headers["content-type"], "application/vnd.thing+json; v=1", "the type did not stay")
        self.assertEqual(answer.headers["preference-applied"], "return=representation")
        minimal = self.merge({"b": 3}, Prefer="return=minimal")
        self.assertWritten(minimal, 204)
        self.assertEqual(minimal.headers["preference-applied"], "return=minimal")
        self.assertValue(self.path, b'{"a":1,"b":3}', "application/vnd.thing+json; v=1")

    def test_a_merge_patch_creates_what_is_not_there(self):
        answer = self.merge(b'{"a": 1, "b": null}', Prefer="return=representation")
        self.assertWritten(answer, 201)
        self.assertEqual((answer.body, answer.headers["location"]), (b'{"a": 1}', self.path))
        self.assertValue(self.path, b'{"a": 1}', "application/json")

    def test_a_json_patch_of_nothing_is_404(self):
        with self.nothing_written():
            self.assertProblem(self.patch(operation("add", "", {})), "not-found")
        self.assertAbsent(self.path)

    def test_a_patch_that_changes_nothing_writes_nothing(self):
        text = b'{"a":1.0,"b":[true]}'
        etag = self.put(self.path, text).etag
        with self.nothing_written():
            for answer in (
                self.merge({}),
                self.merge(b'{"a":1.0}'),
                self.patch(),
                self.patch(operation("test", "/a", 1)),
                self.patch(operation("add", "/b/-", 1), operation("remove", "/b/1")),
            ):
                self.assertStatus(answer, 200)
                self.assertEqual(answer.etag, etag, answer)
            kept = self.merge({}, Prefer="return=representation")
            self.assertEqual((kept.body, kept.headers["content-type"]), (text, "application/json"))
        self.assertWritten(self.merge({}, Affinity_TTL="1h"), 200)
        self.assertIn("affinity-expires", self.client.get(self.path).headers)


class Lifetimes(Patching):
    keyspaces = {"notes": {"ttl": "1h"}, "brief": {}}

    def expires(self, path):
        return int(self.client.get(path).headers["affinity-expires"])

    def test_the_expiry_stays_unless_the_patch_brings_one(self):
        self.put(self.path, b"{}", Affinity_TTL="7d")
        before = self.expires(self.path)
        self.assertWritten(self.merge({"a": 1}), 200)
        self.assertEqual(self.expires(self.path), before)
        self.assertWritten(self.patch(operation("add", "/b", 1), Affinity_TTL="30m"), 200)
        self.assertLess(self.expires(self.path), before - 6 * 86400000)

    def test_what_a_patch_creates_lives_as_long_as_the_keyspace_says(self):
        self.assertWritten(self.merge({"a": 1}), 201)
        self.put(self.path + "-put", b"{}")
        self.assertLess(abs(self.expires(self.path) - self.expires(self.path + "-put")), 600000)

    def test_a_patched_value_expires(self):
        path = "/v1/brief/x"
        self.put(path, b"{}", Affinity_TTL="700ms")
        self.assertStatus(self.merge({"a": 1}, path=path), 200, 201)
        wait_until("it expires", lambda: self.client.get(path).status == 404 or None)


class Refusals(Patching):
    def setUp(self):
        super().setUp()
        self.text = b'{"a":{"b":[1]}}'
        self.etag = self.put(self.path, self.text).etag

    def assertRefused(self, answer, kind, detail=None):
        problem = self.assertProblem(answer, kind, detail=detail)
        self.assertEqual(self.assertValue(self.path, self.text).etag, self.etag, "something was written")
        return problem

    def test_another_type_is_415_and_says_which_are_right(self):
        for content_type in ("application/json", "text/plain", None, "nonsense", "application/json-patch"):
            with self.subTest(content_type):
                answer = self.send(b"{}", content_type)
                self.assertRefused(answer, "unsupported-media-type")
                self.assertEqual(answer.headers.get("accept-patch"), BOTH, answer)
                self.assertEqual(answer.headers.get("accept"), BOTH, answer)
        options = self.client.request("OPTIONS", self.path)
        self.assertEqual(options.headers.get("accept-patch"), BOTH)
        self.assertIn("PATCH", options.headers["allow"])
        self.assertNotIn("accept-patch", self.client.request("OPTIONS", "/livez").headers)

    def test_parameters_and_case_of_the_type_do_not_matter(self):
        self.assertStatus(self.send(b"{}", "Application/Merge-Patch+JSON; charset=utf-8"), 200)

    def test_what_is_no_json_is_400(self):
        for body in (b"", b"{", b'{"a":1}}', b'{"a":01}', b'"\xff"', b"[" * 200 + b"]" * 200):
            for content_type in (MERGE, PATCH):
                with self.subTest(body=body[:20], content_type=content_type):
                    self.assertRefused(self.send(body, content_type), "bad-json", "byte")

    def test_json_that_is_no_json_patch_is_422_and_names_the_operation(self):
        for body, detail in (
            ({}, "array of operations"),
            ([3], "operation 0"),
            ([operation("test", "", 1), operation("delete", "/a")], '^operation 1: "op" must be'),
            ([operation("add", "/a")], '"value"'),
            ([operation("add", "a", 1)], "JSON pointer"),
            ([operation("move", "/a/b", **{"from": "/a"})], "into itself"),
        ):
            with self.subTest(body=body):
                self.assertRefused(self.send(body, PATCH), "bad-patch", detail)

    def test_a_patch_that_does_not_fit_is_409_and_names_the_operation(self):
        for operations, detail in (
            ([operation("test", "/a/b/0", 2)], r'^operation 0 \(test\): the value at "/a/b/0"'),
            ([operation("add", "/c", 1), operation("remove", "/x")], r'^operation 1 \(remove\): .*"/x" names nothing'),
            ([operation("add", "/a/b/2", 1)], "beyond the end"),
            ([operation("replace", "/a/b/01", 1)], "names nothing"),
            ([operation("remove", "")], "whole value"),
        ):
            with self.subTest(operations=operations):
                self.assertRefused(self.patch(*operations), "patch-failed", detail)

    def test_a_value_that_is_not_json_is_409(self):
        other = self.path + "-text"
        self.put(other, b"{}", "text/plain")
        for answer in (self.merge({}, path=other), self.patch(path=other)):
            self.assertProblem(answer, "patch-failed", detail="not JSON: its type is text/plain")
        self.assertValue(other, b"{}", "text/plain")

    def test_a_result_that_is_too_large_or_too_deep_is_413(self):
        self.assertRefused(self.merge({"c": "x" * 1024}), "content-too-large", "larger than it may be")
        doubling = [operation("copy", f"/c{i}", **{"from": ""}) for i in range(40)]
        self.assertRefused(self.patch(*doubling), "content-too-large", r"operation \d+ \(copy\)")
        deep = [operation("add", "/a/b/0", json.loads("[" * 100 + "]" * 100))]
        deep += [operation("add", "/a/b/0" + "/0" * 99, json.loads("[" * 100 + "]" * 100))]
        self.assertRefused(self.patch(*deep), "content-too-large", "deeper")

    def test_a_body_without_a_length_is_411(self):
        wire = self.wire()
        wire.request("PATCH", self.path, f"Content-Type: {MERGE}")
        self.assertEqual(wire.answer().status, 411)

    def test_the_query_takes_nothing(self):
        self.assertProblem(self.merge({}, path=self.path + "?x=1"), "bad-request", detail="`x`")


class Conditions(Patching):
    keyspaces = {"notes": {}, "strict": {"require_match": True}}

    def test_a_patch_may_ask_for_a_version(self):
        etag = self.put(self.path, b'{"a":1}').etag
        first = self.merge({"a": 2}, If_Match=etag)
        self.assertWritten(first, 200)
        self.assertProblem(self.merge({"a": 3}, If_Match=etag), "precondition-failed")
        self.assertProblem(self.patch(operation("remove", "/x"), If_Match=etag), "precondition-failed")
        self.assertProblem(self.merge({"a": 3}, If_None_Match="*"), "precondition-failed")
        self.assertValue(self.path, b'{"a":2}')
        self.assertProblem(self.merge({"a": 3}, path=self.path + "-none", If_Match="*"), "precondition-failed")
        self.assertWritten(self.merge({"a": 3}, path=self.path + "-none", If_None_Match="*"), 201)

    def test_a_keyspace_may_demand_it(self):
        path = "/v1/strict/a"
        self.assertProblem(self.merge({}, path=path), "precondition-required")
        created = self.merge({}, path=path, If_None_Match="*")
        self.assertWritten(created, 201, keyspace="strict")
        self.assertWritten(self.merge({"a": 1}, path=path, If_Match=created.etag), 200, keyspace="strict")


class Repeats(Patching):
    def test_a_repeated_patch_is_carried_out_once(self):
        self.put(self.path, b'{"n":[]}')
        add = operation("add", "/n/-", 1)
        first = self.patch(add, Idempotency_Key="k", Prefer="return=representation")
        self.assertWritten(first, 200)
        again = self.patch(add, Idempotency_Key="k", Prefer="return=representation")
        self.assertEqual(again.headers.get("affinity-replayed"), "true", again)
        for name in ("etag", "content-type", "preference-applied"):
            self.assertEqual(again.headers.get(name), first.headers.get(name), name)
        self.assertEqual((again.status, again.body), (200, b'{"n":[1]}'))
        self.assertValue(self.path, b'{"n":[1]}')
        self.assertProblem(self.patch(add, add, Idempotency_Key="k"), "idempotency-reused")
        self.assertProblem(self.merge({}, Idempotency_Key="k"), "idempotency-reused")

    def test_a_repeat_whose_value_was_not_kept_says_so_by_having_none(self):
        self.put(self.path, b"{}")
        first = self.merge({"a": 1}, Idempotency_Key="k")
        again = self.merge({"a": 1}, Idempotency_Key="k", Prefer="return=representation")
        self.assertEqual((again.status, again.body, again.etag), (200, b"", first.etag))
        self.assertNotIn("preference-applied", again.headers)

    def test_a_repeated_creation_is_201_again(self):
        first = self.merge({"a": 1}, Idempotency_Key="k")
        again = self.merge({"a": 1}, Idempotency_Key="k")
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertEqual(again.etag, first.etag)

    def test_a_failed_patch_may_succeed_later_under_the_same_key(self):
        self.put(self.path, b"{}")
        remove = operation("remove", "/a")
        self.assertProblem(self.patch(remove, Idempotency_Key="k"), "patch-failed")
        self.put(self.path, b'{"a":1}')
        self.assertWritten(self.patch(remove, Idempotency_Key="k"), 200)


class Together(Patching):
    def test_patches_of_many_clients_lose_nothing(self):
        clients, rounds = 6, 15
        self.put(self.path, json.dumps({f"m{i}": 0 for i in range(clients)}).encode())

        def work(i):
            client = self.server.client()
            try:
                for n in range(rounds):
                    answer = self.patch(
                        operation("test", f"/m{i}", n), operation("replace", f"/m{i}", n + 1), client=client
                    )
                    self.assertWritten(answer, 200)
            finally:
                client.close()
            return True

        self.assertEqual(at_once(clients, work), [True] * clients)
        self.assertEqual(self.client.get(self.path).json(), {f"m{i}": rounds for i in range(clients)})

    def test_of_patches_that_test_the_same_value_one_wins(self):
        self.put(self.path, b'{"n":0}')
        for n in range(5):
            both = operation("test", "/n", n), operation("replace", "/n", n + 1)
            answers = at_once(4, lambda i, both=both: self.patch(*both, client=self.server.client()))
            self.assertEqual(sorted(a.status for a in answers), [200, 409, 409, 409])
        self.assertValue(self.path, b'{"n":5}')

    def test_patches_and_values_of_the_same_key_happen_one_after_the_other(self):
        self.put(self.path, b'{"list":[]}')

        def work(i):
            return self.patch(operation("add", "/list/-", i), client=self.server.client())

        answers = at_once(8, work)
        self.assertEqual(len({a.etag for a in answers}), 8, "patches shared a version")
        self.assertEqual(sorted(self.client.get(self.path).json()["list"]), list(range(8)))


if __name__ == "__main__":
    main()
