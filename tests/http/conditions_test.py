"""conditions_test - conditional requests (RFC 9110, 13): a version that a client knows decides what happens."""
import email.utils

from conversation import Conversation, at_once, main

OTHER = '"00000000-0-0"'


class Reads(Conversation):
    def setUp(self):
        super().setUp()
        self.path = "/v1/notes/" + self._testMethodName
        self.etag = self.put(self.path, b'{"a": 1}').etag

    def get(self, **headers):
        return self.client.get(self.path, **headers)

    def assertNotModified(self, answer):
        self.assertStatus(answer, 304)
        self.assertEqual((answer.etag, answer.body), (self.etag, b""), answer)

    def test_if_none_match_of_the_present_version_is_304(self):
        for tags in (self.etag, f"{OTHER}, {self.etag}", f"{OTHER},,{self.etag} ,", "W/" + self.etag, "*"):
            with self.subTest(tags=tags):
                self.assertNotModified(self.get(If_None_Match=tags))

    def test_if_none_match_of_others_is_the_value(self):
        for tags in (OTHER, '"anything"', '"", "x,y"', f"W/{OTHER}"):
            with self.subTest(tags=tags):
                self.assertStatus(self.get(If_None_Match=tags), 200)

    def test_a_list_may_come_in_several_lines(self):
        wire = self.wire()
        wire.request("GET", self.path, f"If-None-Match: {OTHER}", f"If-None-Match: {self.etag}")
        self.assertNotModified(wire.answer())

    def test_304_has_no_body_and_the_connection_goes_on(self):
        wire = self.wire()
        for _ in range(2):
            self.assertNotModified(wire.request("GET", self.path, f"If-None-Match: {self.etag}").answer())
            self.assertNotModified(wire.request("HEAD", self.path, f"If-None-Match: {self.etag}").answer("HEAD"))
        self.assertEqual(wire.request("GET", self.path).answer().body, b'{"a": 1}')

    def test_if_match_of_the_present_version_is_the_value(self):
        for tags in (self.etag, f"{OTHER}, {self.etag}", "*"):
            with self.subTest(tags=tags):
                self.assertStatus(self.get(If_Match=tags), 200)

    def test_if_match_of_others_is_412(self):
        for tags in (OTHER, '"x"', "W/" + self.etag):
            with self.subTest(tags=tags):
                self.assertProblem(self.get(If_Match=tags), "precondition-failed")

    def test_a_tag_of_an_older_version_is_old(self):
        self.put(self.path, b'{"a": 1}')
        self.assertStatus(self.get(If_None_Match=self.etag), 200)
        self.assertProblem(self.get(If_Match=self.etag), "precondition-failed")

    def test_if_modified_since(self):
        modified = self.get().headers["last-modified"]
        time = email.utils.parsedate_to_datetime(modified).timestamp()
        earlier = email.utils.formatdate(time - 1, usegmt=True)
        self.assertNotModified(self.get(If_Modified_Since=modified))
        self.assertNotModified(self.get(If_Modified_Since=email.utils.formatdate(time + 100, usegmt=True)))
        self.assertStatus(self.get(If_Modified_Since=earlier), 200)
        self.assertStatus(self.get(If_Modified_Since="yesterday"), 200)
        self.assertStatus(self.get(If_Modified_Since=modified, If_None_Match=OTHER), 200)

    def test_if_unmodified_since(self):
        modified = self.get().headers["last-modified"]
        time = email.utils.parsedate_to_datetime(modified).timestamp()
        earlier = email.utils.formatdate(time - 1, usegmt=True)
        self.assertStatus(self.get(If_Unmodified_Since=modified), 200)
        self.assertProblem(self.get(If_Unmodified_Since=earlier), "precondition-failed")
        self.assertStatus(self.get(If_Unmodified_Since=earlier, If_Match=self.etag), 200)

    def test_a_missing_key_is_404_but_for_if_match(self):
        self.assertProblem(self.client.get("/v1/notes/none", If_None_Match="*"), "not-found")
        self.assertProblem(self.client.get("/v1/notes/none", If_None_Match=self.etag), "not-found")
        self.assertProblem(self.client.get("/v1/notes/none", If_Match="*"), "precondition-failed")

    def test_what_is_no_list_of_tags_is_400(self):
        for tags in ("", "x", '"open', '"a" "b"', "*, " + self.etag, "w/" + OTHER, ","):
            for name in ("If-Match", "If-None-Match"):
                with self.subTest(name=name, tags=tags):
                    answer = self.client.request("GET", self.path, None, {name: tags})
                    self.assertProblem(answer, "bad-request", detail=name)


class Writes(Conversation):
    keyspaces = {"notes": {}, "strict": {"require_match": True}}

    def setUp(self):
        super().setUp()
        self.path = "/v1/notes/" + self._testMethodName

    def test_if_match_changes_what_was_read(self):
        first = self.put(self.path, b"1").etag
        second = self.put(self.path, b"2", If_Match=first).etag
        third = self.put(self.path, b"3", If_Match=f'{OTHER}, {second}, "x"').etag
        self.put(self.path, b"4", If_Match="*")
        self.assertNotEqual(second, third)
        self.assertValue(self.path, b"4")

    def test_if_match_of_an_old_version_is_412_and_writes_nothing(self):
        old = self.put(self.path, b"1").etag
        present = self.put(self.path, b"2").etag
        with self.nothing_written():
            for tags in (old, f"{OTHER}, {old}", "W/" + present, '"x"'):
                with self.subTest(tags=tags):
                    self.assertProblem(self.client.put(self.path, b"3", If_Match=tags), "precondition-failed")
                    self.assertProblem(self.client.delete(self.path, If_Match=tags), "precondition-failed")
        self.assertValue(self.path, b"2")

    def test_if_match_of_a_missing_key_is_412(self):
        with self.nothing_written():
            for tags in ("*", OTHER):
                self.assertProblem(self.client.put(self.path, b"1", If_Match=tags), "precondition-failed")
                self.assertProblem(self.client.delete(self.path, If_Match=tags), "precondition-failed")
        self.assertAbsent(self.path)

    def test_the_tag_of_a_deleted_value_matches_no_more(self):
        etag = self.put(self.path, b"1").etag
        self.assertStatus(self.client.delete(self.path, If_Match=etag), 204)
        self.assertProblem(self.client.put(self.path, b"2", If_Match=etag), "precondition-failed")
        self.put(self.path, b"1")
        self.assertProblem(self.client.put(self.path, b"2", If_Match=etag), "precondition-failed")

    def test_the_tag_of_another_key_does_not_match(self):
        self.put(self.path, b"1")
        other = self.put("/v1/notes/another", b"1").etag
        self.assertProblem(self.client.put(self.path, b"2", If_Match=other), "precondition-failed")

    def test_if_none_match_star_creates_once(self):
        self.assertStatus(self.client.put(self.path, b"1", If_None_Match="*"), 201)
        self.assertProblem(self.client.put(self.path, b"2", If_None_Match="*"), "precondition-failed")
        self.assertValue(self.path, b"1")
        self.client.delete(self.path)
        self.assertStatus(self.client.put(self.path, b"3", If_None_Match="*"), 201)

    def test_if_none_match_of_versions_guards_against_them(self):
        etag = self.put(self.path, b"1").etag
        self.assertProblem(self.client.put(self.path, b"2", If_None_Match=etag), "precondition-failed")
        self.assertProblem(self.client.put(self.path, b"2", If_None_Match="W/" + etag), "precondition-failed")
        self.put(self.path, b"2", If_None_Match=f'{OTHER}, "x"')
        self.put(self.path, b"3", If_None_Match=etag)

    def test_both_conditions_must_hold(self):
        etag = self.put(self.path, b"1").etag
        self.assertProblem(self.client.put(self.path, b"2", If_Match=etag, If_None_Match="*"), "precondition-failed")
        self.assertProblem(self.client.put(self.path, b"2", If_Match=OTHER, If_None_Match=OTHER), "precondition-failed")
        self.put(self.path, b"2", If_Match=etag, If_None_Match=OTHER)

    def test_delete_if_match(self):
        etag = self.put(self.path, b"1").etag
        self.assertProblem(self.client.delete(self.path, If_Match=OTHER), "precondition-failed")
        self.assertStatus(self.client.delete(self.path, If_Match=etag), 204)

    def test_what_is_no_list_of_tags_is_400_and_writes_nothing(self):
        with self.nothing_written():
            for name in ("If-Match", "If-None-Match"):
                answer = self.client.request("PUT", self.path, b"1", {name: "x", "Content-Type": "text/plain"})
                self.assertProblem(answer, "bad-request", detail=name)
            many = ", ".join(f'"00000000-0-{i}"' for i in range(65))
            self.assertProblem(self.client.put(self.path, b"1", If_Match=many), "bad-request", detail="64")

    def test_a_keyspace_can_demand_a_condition(self):
        with self.nothing_written():
            self.assertProblem(self.client.put("/v1/strict/k", b"1"), "precondition-required")
            self.assertProblem(self.client.delete("/v1/strict/k"), "precondition-required")
        etag = self.put("/v1/strict/k", b"1", If_None_Match="*").etag
        self.assertProblem(self.client.put("/v1/strict/k", b"2"), "precondition-required")
        self.assertProblem(self.client.delete("/v1/strict/k"), "precondition-required")
        etag = self.put("/v1/strict/k", b"2", If_Match=etag).etag
        self.assertStatus(self.client.delete("/v1/strict/k", If_Match=etag), 204)
        self.assertAbsent("/v1/strict/k")


class Races(Conversation):
    """Twenty connections want the same."""

    COUNT = 20

    def setUp(self):
        super().setUp()
        self.clients = [self.server.client() for _ in range(self.COUNT)]
        for client in self.clients:
            client.get("/livez")  # all are connected

    def test_one_of_many_creates(self):
        for turn in range(10):
            path = f"/v1/notes/race-{turn}"
            answers = at_once(self.COUNT, lambda i: self.clients[i].put(path, str(i).encode(), If_None_Match="*"))
            winners = [i for i, answer in enumerate(answers) if answer.status == 201]
            self.assertEqual(len(winners), 1, f"{len(winners)} of {self.COUNT} created {path}")
            for answer in answers:
                if answer.status != 201:
                    self.assertProblem(answer, "precondition-failed")
            self.assertValue(path, str(winners[0]).encode())

    def test_one_of_many_changes_a_version(self):
        path = "/v1/notes/race-version"
        etag = self.put(path, b'"first"').etag
        for turn in range(10):
            answers = at_once(self.COUNT, lambda i: self.clients[i].put(path, b"%d" % i, If_Match=etag))
            winners = [i for i, answer in enumerate(answers) if answer.status != 412]
            self.assertEqual(len(winners), 1, f"{len(winners)} of {self.COUNT} changed one version in turn {turn}")
            etag = answers[winners[0]].etag
            self.assertEqual(self.assertValue(path, b"%d" % winners[0]).etag, etag)

    def test_one_of_many_deletes(self):
        path = "/v1/notes/race-delete"
        for _ in range(10):
            self.put(path, b"1")
            statuses = [a.status for a in at_once(self.COUNT, lambda i: self.clients[i].delete(path))]
            self.assertEqual(sorted(statuses), [204] + [404] * (self.COUNT - 1))

    def test_a_counter_kept_by_conditional_writes_misses_nothing(self):
        path = "/v1/notes/counter"
        self.put(path, b"0")

        def count_up(i):
            done = 0
            while done < 5:
                answer = self.clients[i].get(path)
                changed = self.clients[i].put(path, b"%d" % (int(answer.body) + 1), If_Match=answer.etag)
                done += changed.status != 412
            return done

        self.assertEqual(sum(at_once(self.COUNT, count_up)), 100)
        self.assertValue(path, b"100")


if __name__ == "__main__":
    main()
