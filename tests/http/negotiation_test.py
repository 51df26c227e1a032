"""negotiation_test - what a client may choose: codings, types, less or more of an answer."""
import gzip
import subprocess

from conversation import Conversation, Programs, main

TEXT = b'{"text": "' + b"to be or not to be, " * 200 + b'"}'
SHORT = b'{"n": 1}'


def fields(answer, *names):
    return tuple(answer.headers.get(name) for name in names)


class Gzip(Conversation):
    sets = ("limits.body=2MiB", "keyspaces.notes.max_value=1536KiB")

    def setUp(self):
        super().setUp()
        self.put("/v1/notes/long", TEXT)
        self.put("/v1/notes/short", SHORT)
        self.put("/v1/notes/image", bytes(range(256)) * 16, "image/png")

    def get(self, key, accept_encoding, **headers):
        return self.client.get(f"/v1/notes/{key}", Accept_Encoding=accept_encoding, **headers)

    def head(self, key, **headers):
        return self.client.request("HEAD", f"/v1/notes/{key}", None, headers)

    def assertCoded(self, answer, body):
        self.assertStatus(answer, 200)
        self.assertEqual(fields(answer, "content-encoding", "vary"), ("gzip", "Accept-Encoding"), answer)
        self.assertLess(len(answer.body), len(body))
        self.assertEqual(int(answer.headers["content-length"]), len(answer.body), answer)
        self.assertEqual(gzip.decompress(answer.body), body)

    def assertPlain(self, answer, body, vary=None):
        self.assertStatus(answer, 200)
        self.assertEqual(fields(answer, "content-encoding", "vary"), (None, vary), answer)
        self.assertEqual(answer.body, body)

    def test_text_is_coded_for_who_takes_it(self):
        self.assertCoded(self.get("long", "gzip"), TEXT)
        self.assertCoded(self.get("long", "br, gzip;q=0.5"), TEXT)
        for accepted in ("identity", "gzip;q=0", "br", "", "gzip;q=nonsense"):
            with self.subTest(accepted=accepted):
                self.assertPlain(self.get("long", accepted), TEXT, "Accept-Encoding")
        self.assertPlain(self.client.get("/v1/notes/long"), TEXT, "Accept-Encoding")

    def test_what_is_short_or_no_text_is_sent_as_it_is(self):
        self.assertPlain(self.get("short", "gzip"), SHORT)
        self.assertPlain(self.get("image", "gzip"), bytes(range(256)) * 16)

    def test_it_is_coded_all_the_same_for_who_takes_nothing_else(self):
        answer = self.get("short", "gzip, identity;q=0")
        self.assertEqual((answer.status, gzip.decompress(answer.body)), (200, SHORT), answer)
        self.assertPlain(self.get("short", "gzip"), SHORT)  # nothing of it stayed

    def test_what_is_long_is_sent_as_it_is(self):
        body = b"x" * (256 * 1024 + 1)
        self.put("/v1/notes/longer", body, "text/plain")
        self.put("/v1/notes/longest", body[1:], "text/plain")
        self.assertPlain(self.get("longer", "gzip"), body)
        self.assertCoded(self.get("longest", "gzip"), body[1:])
        self.assertProblem(self.get("longer", "gzip, identity;q=0"), "not-acceptable", detail="identity")

    def test_no_coding_fits(self):
        for accepted in ("identity;q=0", "*;q=0", "br, identity;q=0"):
            with self.subTest(accepted=accepted):
                answer = self.get("long", accepted)
                self.assertProblem(answer, "not-acceptable", detail="identity and gzip")
                self.assertEqual(answer.headers.get("vary"), "Accept-Encoding", answer)

    def test_the_coded_form_has_a_tag_of_its_own(self):
        plain, coded = self.client.get("/v1/notes/long").etag, self.get("long", "gzip").etag
        self.assertEqual(coded, plain[:-1] + '-gzip"')

    def test_a_condition_takes_both_tags(self):
        plain = self.client.get("/v1/notes/long").etag
        coded = plain[:-1] + '-gzip"'
        for accepted in ("gzip", "identity"):
            for tag in (plain, coded):
                with self.subTest(accepted=accepted, tag=tag):
                    answer = self.get("long", accepted, If_None_Match=tag)
                    self.assertEqual(answer.status, 304, answer)
                    self.assertEqual(fields(answer, "etag", "vary"), (tag, "Accept-Encoding"), answer)
                    self.assertStatus(self.get("long", accepted, If_Match=tag), 200)
            both = self.get("long", accepted, If_None_Match=f"{plain}, {coded}")
            self.assertEqual((both.status, both.etag), (304, coded if accepted == "gzip" else plain), both)
            any_of_them = self.get("long", accepted, If_None_Match="*")
            self.assertEqual(any_of_them.etag, coded if accepted == "gzip" else plain, any_of_them)

    def test_a_write_takes_both_tags(self):
        coded = self.get("long", "gzip").etag
        written = self.client.put("/v1/notes/long", TEXT, If_Match=coded)
        self.assertWritten(written, 200)
        self.assertProblem(self.client.put("/v1/notes/long", TEXT, If_Match=coded), "precondition-failed")
        self.assertStatus(self.client.delete("/v1/notes/long", If_Match=written.etag[:-1] + '-gzip"'), 204)

    def test_head_and_304_tell_what_a_get_does(self):
        for i, accepted in enumerate(("gzip", "identity")):
            key = f"head-{i}"
            self.put(f"/v1/notes/{key}", TEXT)
            first = self.head(key, **{"Accept-Encoding": accepted})
            answer = self.get(key, accepted)
            again = self.head(key, **{"Accept-Encoding": accepted})
            unchanged = self.get(key, accepted, If_None_Match=answer.etag)
            for one in (first, answer, again, unchanged):
                one.headers.pop("date")
            self.assertEqual((first.headers, again.headers), (answer.headers, answer.headers))
            self.assertEqual(unchanged.status, 304, unchanged)
            for name in ("etag", "vary", "content-length", "cache-control"):
                self.assertEqual(unchanged.headers[name], answer.headers[name], name)

    def test_kept_answers_are_those_without_a_coding(self):
        for _ in range(3):
            self.assertCoded(self.get("long", "gzip"), TEXT)
            self.assertPlain(self.get("short", "gzip"), SHORT)
            self.assertPlain(self.get("long", "identity"), TEXT, "Accept-Encoding")
            self.assertEqual(self.get("short", "identity;q=0").status, 406)

    def test_pages_are_coded_too(self):
        plain = self.client.get("/metrics")
        self.assertEqual(plain.headers.get("vary"), "Accept-Encoding", plain)
        coded = self.client.get("/metrics", Accept_Encoding="gzip")
        self.assertEqual(coded.headers.get("content-encoding"), "gzip", coded)
        self.assertIn(b"aff_http_requests_total", gzip.decompress(coded.body))
        self.assertNotIn("content-encoding", self.client.get("/livez", Accept_Encoding="gzip").headers)

    def test_curl_decodes_it(self):
        line = ["curl", "-sS", "-f", "--compressed", f"http://{self.server.addresses[0]}/v1/notes/long"]
        self.assertEqual(subprocess.run(line, check=True, capture_output=True).stdout, TEXT)

    def test_it_can_be_turned_off(self):
        with self.serving(sets=["gzip.level=0"]) as server:
            client = server.client()
            client.put("/v1/notes/long", TEXT)
            self.assertPlain(client.get("/v1/notes/long", Accept_Encoding="gzip"), TEXT)
            self.assertEqual(client.get("/v1/notes/long", Accept_Encoding="gzip, identity;q=0").status, 406)
            tag = client.get("/v1/notes/long").etag[:-1] + '-gzip"'
            self.assertEqual(client.get("/v1/notes/long", If_None_Match=tag).status, 304)

    def test_a_coded_body_is_refused(self):
        with self.nothing_written():
            answer = self.client.put("/v1/notes/coded", gzip.compress(TEXT), Content_Encoding="gzip")
            self.assertProblem(answer, "unsupported-media-type", detail="Content-Encoding")
            self.assertEqual(fields(answer, "accept", "accept-encoding"), (None, "identity"), answer)


class Types(Conversation):
    def test_a_type_that_is_not_accepted_is_named(self):
        self.put("/v1/notes/typed", b"<p>", "text/html; charset=utf-8")
        for method in ("GET", "HEAD"):
            answer = self.client.request(method, "/v1/notes/typed", None, {"Accept": "application/json, text/*;q=0"})
            self.assertEqual((answer.status, answer.headers.get("vary")), (406, "Accept"), answer)
        self.assertProblem(
            self.client.get("/v1/notes/typed", Accept="application/json"), "not-acceptable", detail="text/html; charset"
        )
        self.assertStatus(self.client.get("/v1/notes/typed", Accept="text/*;q=0.1"), 200)

    def test_a_type_that_is_none_is_told_what_would_be_right(self):
        answer = self.client.put("/v1/notes/typed", b"1", "nonsense")
        self.assertProblem(answer, "unsupported-media-type")
        self.assertEqual(fields(answer, "accept", "accept-encoding"), ("*/*", None), answer)


class Methods(Conversation):
    PATHS = ("/v1/notes/k", "/livez", "/readyz", "/metrics", "/cluster", "/verify")

    def test_head_and_options_go_wherever_get_does(self):
        self.put("/v1/notes/k")
        wire = self.wire()
        for path in self.PATHS:
            with self.subTest(path=path):
                get = wire.request("GET", path).answer()
                head = wire.request("HEAD", path).answer("HEAD")
                self.assertEqual((head.status, head.body), (get.status, b""), head)
                self.assertEqual(head.headers.keys(), get.headers.keys())
                options = wire.request("OPTIONS", path).answer()
                self.assertEqual(options.status, 204, options)
                self.assertRegex(options.headers["allow"], "^GET, HEAD, .*OPTIONS$", options)

    def test_the_whole_server_has_options_alone(self):
        wire = self.wire()
        self.assertEqual(wire.request("OPTIONS", "*").answer().status, 204)
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            self.assertEqual(wire.request(method, "*", body=b"" if method == "PUT" else None).answer(method).status, 400)


class Preferences(Conversation):
    keyspaces = {"things": {}}

    @classmethod
    def command(cls):
        return [Programs.others[0]]

    def test_a_delete_says_no_more_than_that(self):
        self.put("/v1/things/gone")
        answer = self.client.delete("/v1/things/gone", Prefer="return=minimal")
        self.assertEqual((answer.status, answer.headers.get("preference-applied")), (204, "return=minimal"), answer)
        self.put("/v1/things/gone")
        answer = self.client.delete("/v1/things/gone", Prefer="return=representation")
        self.assertEqual((answer.status, answer.headers.get("preference-applied")), (204, None), answer)

    def test_a_command_leaves_its_reply_out(self):
        for tag in (None, '"again"'):
            headers = {"Idempotency_Key": tag} if tag else {}
            answer = self.client.post("/v1/things/m/add", b"{}", Prefer="return=minimal", **headers)
            self.assertWritten(answer, 204, keyspace="things")
            self.assertEqual((answer.body, answer.headers.get("preference-applied")), (b"", "return=minimal"), answer)
        self.assertEqual(self.client.post("/v1/things/m/add", b"{}").json(), {"n": 3})
        accepted = self.client.post("/v1/things/m/note", b'{"text": "a"}', Prefer="return=minimal")
        self.assertEqual((accepted.status, accepted.body), (202, b""), accepted)
        refused = self.client.post("/v1/things/none/take", b"{}", Prefer="return=minimal")
        self.assertProblem(refused, "too-little", 409)

    def test_a_command_says_which_type_it_takes(self):
        answer = self.client.post("/v1/things/m/add", b"1", "text/plain")
        self.assertProblem(answer, "unsupported-media-type")
        self.assertEqual(answer.headers.get("accept"), "application/json", answer)

    def test_the_reply_of_a_command_is_coded(self):
        text = "a" * 3000
        answer = self.client.post("/v1/things/t/note", f'{{"text": "{text}"}}', Accept_Encoding="gzip")
        self.assertEqual((answer.status, gzip.decompress(answer.body)), (202, text.encode()), answer)
        self.assertNotIn("-gzip", answer.etag, "what was written is no coded form of anything")
        unwanted = self.client.post("/v1/things/t/note", f'{{"text": "{text}"}}', Accept_Encoding="*;q=0")
        self.assertEqual((unwanted.status, unwanted.body), (202, text.encode()), unwanted)


if __name__ == "__main__":
    main()
