"""problems_test - what is refused: each refusal is a problem+json that says what was wrong and what would be right."""
from conversation import Conversation, main

KIB = 1024


class Refusals(Conversation):
    keyspaces = {"notes": {}, "small": {"max_value": "100B"}}

    def test_a_path_without_a_resource_is_404(self):
        paths = ("/", "/nothing", "/favicon.ico", "/livez/x", "/metrics/", "/%6civez%00")
        for path in (*paths, "/v1/notes/a/b/c", "/v1/notes/a/b/c/d/e/f"):
            with self.subTest(path=path):
                self.assertProblem(self.client.get(path), "no-route")

    def test_a_method_that_is_not_taken_is_405_and_told_which_are(self):
        for path, allow in [
            ("/v1/notes/a", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
            ("/v1/notes", "GET, HEAD, POST, OPTIONS"),
            ("/livez", "GET, HEAD, OPTIONS"),
            ("/readyz", "GET, HEAD, OPTIONS"),
            ("/metrics", "GET, HEAD, OPTIONS"),
            ("/cluster", "GET, HEAD, OPTIONS"),
            ("/outcome/x", "GET, HEAD, OPTIONS"),
        ]:
            for method in ("POST", "TRACE", "get", "PROPFIND", "X-" + "Y" * 20):
                if method in allow.split(", "):
                    continue
                with self.subTest(path=path, method=method):
                    answer = self.client.request(method, path, b"{}")
                    self.assertProblem(answer, "method-not-allowed")
                    self.assertEqual(answer.headers.get("allow"), allow, answer)

    def test_connect_is_not_taken(self):
        wire = self.wire()
        wire.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        answer = wire.answer()
        self.assertIn(answer.status, (400, 405), answer)
        self.assertEqual(answer.headers.get("content-type"), "application/problem+json", answer)

    def test_options_tells_what_is_taken(self):
        for path, allow in [
            ("/v1/notes/a", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
            ("/v1/notes", "GET, HEAD, POST, OPTIONS"),
            ("/livez", "GET, HEAD, OPTIONS"),
            ("*", "GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS"),
        ]:
            with self.subTest(path=path):
                answer = self.client.request("OPTIONS", path)
                self.assertEqual((answer.status, answer.headers.get("allow"), answer.body), (204, allow, b""), answer)
        self.assertProblem(self.client.request("OPTIONS", "/v1/nothing/a"), "no-route")

    def test_only_options_is_asked_of_the_server_as_a_whole(self):
        for method in ("GET", "DELETE"):
            self.assertStatus(self.client.request(method, "*"), 400, 405)

    def test_a_type_that_the_client_does_not_accept_is_406(self):
        self.put("/v1/notes/text", b"hello", "text/plain; charset=utf-8")
        for accept in ("application/json", "text/html, application/*;q=0.9", "text/plain;q=0, */*", "image/png"):
            with self.subTest(accept=accept):
                self.assertProblem(self.client.get("/v1/notes/text", Accept=accept), "not-acceptable")
        for accept in ("text/plain", "text/*", "*/*", "application/json, text/*;q=0.1", "TEXT/PLAIN", "", "nonsense"):
            with self.subTest(accept=accept):
                self.assertStatus(self.client.get("/v1/notes/text", Accept=accept), 200)
        wire = self.wire().request("GET", "/v1/notes/text", "Accept: image/png", "Accept: text/plain")
        self.assertStatus(wire.answer(), 200)

    def test_a_put_without_a_length_is_411(self):
        wire = self.wire()
        wire.send("PUT /v1/notes/length HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\r\n")
        self.assertProblem(wire.answer(), "length-required")
        self.assertAbsent("/v1/notes/length")

    def test_a_body_that_is_too_long_is_413_before_it_is_sent(self):
        wire = self.wire()
        wire.send(f"PUT /v1/notes/long HTTP/1.1\r\nHost: x\r\nContent-Length: {1020 * KIB + 1}\r\n\r\n")
        self.assertProblem(wire.answer(), "content-too-large", detail=str(1020 * KIB))
        wire.ended()
        wire = self.wire()
        wire.send("PUT /v1/notes/long HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999\r\n\r\n")
        self.assertProblem(wire.answer(), "content-too-large")
        wire.ended()

    def test_a_chunked_body_that_is_too_long_is_413(self):
        wire = self.wire()
        wire.send("PUT /v1/notes/long HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(15):
            wire.send(chunk)
        self.assertTrue(wire.silent(), "it was refused too early")
        wire.send(chunk, chunk)
        self.assertProblem(wire.answer(), "content-too-large", detail=str(1020 * KIB))
        wire.ended()
        self.assertAbsent("/v1/notes/long")

    def test_a_long_body_on_its_way_does_not_destroy_the_answer(self):
        """The client sends all of 4 MiB before it reads; a reset would take the 413 away."""
        for _ in range(5):
            wire = self.wire()
            wire.send(f"PUT /v1/notes/long HTTP/1.1\r\nHost: x\r\nContent-Length: {4 * KIB * KIB}\r\n\r\n")
            try:
                wire.send(b"x" * (4 * KIB * KIB))
            except (BrokenPipeError, ConnectionResetError):
                self.fail("the connection was reset while the refused body was under way")
            self.assertProblem(wire.answer(), "content-too-large")

    def test_a_keyspace_has_a_limit_of_its_own(self):
        self.put("/v1/small/fits", b"x" * 100, "text/plain")
        answer = self.client.put("/v1/small/not", b"x" * 101, "text/plain")
        self.assertProblem(answer, "content-too-large", detail="100")
        self.assertAbsent("/v1/small/not")
        self.assertValue("/v1/small/fits", b"x" * 100)

    def test_the_connection_is_kept_after_a_short_body_was_refused(self):
        wire = self.wire()
        self.assertProblem(wire.request("PUT", "/v1/small/kept", body=b"x" * 101).answer(), "content-too-large")
        self.assertProblem(wire.request("PUT", "/v1/nothing/kept", body=b"x" * 1000).answer(), "no-route")
        self.assertProblem(wire.request("GET", "/v1/small/kept").answer(), "not-found")

    def test_a_target_that_is_too_long_is_414(self):
        fits = "/v1/notes/" + "x" * 500 + "?" + "a" * (8 * KIB - 511)
        self.assertProblem(self.client.get(fits), "bad-request", detail="parameter")
        answer = self.client.get(fits + "a")
        self.assertProblem(answer, "uri-too-long", detail=str(8 * KIB))

    def test_a_head_that_is_too_large_is_431(self):
        self.put("/v1/notes/head", b"1")
        frame = len("GET /v1/notes/head HTTP/1.1\r\nHost: x\r\nX: \r\n\r\n")
        fits = self.wire().request("GET", "/v1/notes/head", "X: " + "y" * (16 * KIB - frame))
        self.assertStatus(fits.answer(), 200)
        large = self.wire().request("GET", "/v1/notes/head", "X: " + "y" * (16 * KIB - frame + 1))
        self.assertProblem(large.answer(), "headers-too-large", detail=str(16 * KIB))

    def test_a_head_far_too_large_is_431_or_ends(self):
        for size in (20 * KIB, 40 * KIB, 70 * KIB, 300 * KIB):
            with self.subTest(size=size):
                wire = self.wire()
                wire.send("GET /v1/notes/head HTTP/1.1\r\nHost: x\r\nX: ", b"y" * size, "\r\n\r\n")
                self.assertEqual(wire.answer().status, 431)

    def test_too_many_fields_are_431(self):
        self.put("/v1/notes/fields", b"1")
        fits = self.wire().request("GET", "/v1/notes/fields", *(f"X-{i}: y" for i in range(99)))
        self.assertStatus(fits.answer(), 200)
        many = self.wire().request("GET", "/v1/notes/fields", *(f"X-{i}: y" for i in range(100)))
        self.assertProblem(many.answer(), "headers-too-large", detail="100")

    def test_what_is_no_media_type_is_415(self):
        with self.nothing_written():
            for content_type in ("", "json", "/", "a/b c", "text/", "a/b; charset", 'a/b;c="', "x/" + "y" * 254):
                with self.subTest(content_type=content_type[:30]):
                    self.assertProblem(self.client.put("/v1/notes/type", b"{}", content_type), "unsupported-media-type")

    def test_a_coded_body_is_415(self):
        answer = self.client.put("/v1/notes/coded", b"\x1f\x8b", "text/plain", Content_Encoding="gzip")
        self.assertProblem(answer, "unsupported-media-type", detail="Content-Encoding")
        self.put("/v1/notes/coded", b"x", "text/plain", Content_Encoding="identity")

    def test_what_is_kept_can_be_sent_back(self):
        """Whatever Content-Type a PUT accepts, a GET answers with."""
        for content_type in ("text/plain;\ta=b", 'text/plain; a="\t"', 'text/plain; a="\xe9"', "text/plain ;a=b"):
            with self.subTest(content_type=content_type):
                wire = self.wire().request("PUT", "/v1/notes/odd", f"Content-Type: {content_type}", body=b"x")
                if wire.answer().status != 415:
                    answer = self.wire().request("GET", "/v1/notes/odd").answer()
                    self.assertEqual(answer.headers.get("content-type"), content_type, answer)

    def test_a_field_that_may_come_once_came_twice(self):
        for name, value in (("Content-Type", "text/plain"), ("Affinity-TTL", "1h"), ("Idempotency-Key", "a")):
            with self.subTest(name=name):
                wire = self.wire().request("PUT", "/v1/notes/twice", f"{name}: {value}", f"{name}: {value}", body=b"1")
                self.assertProblem(wire.answer(), "bad-request", detail=f"{name} came twice")

    def test_fields_that_cannot_be_read_are_400(self):
        with self.nothing_written():
            for name, value in [
                ("Affinity-TTL", "soon"),
                ("Affinity-Event-Time", "today"),
                ("Affinity-Consistency", "eventual; max-lag=500ms"),
                ("Affinity-Consistency", "whatever"),
                ("If-Match", "x"),
                ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ]:
                with self.subTest(name=name, value=value):
                    answer = self.client.request("PUT", "/v1/notes/field", b"1", {name: value})
                    self.assertProblem(answer, "bad-request", detail=name)

    def test_a_detail_is_json_whatever_was_sent(self):
        for path in ('/v1/%22%5C%0A%00%FF/k', "/v1/notes/k/%22%5C%FF%7F"):
            answer = self.client.get(path)
            self.assertProblem(answer, "no-route", detail='"')

    def test_a_problem_of_a_head_has_no_body(self):
        wire = self.wire()
        answer = wire.request("HEAD", "/v1/notes/absent").answer("HEAD")
        self.assertEqual((answer.status, answer.headers["content-type"]), (404, "application/problem+json"), answer)
        self.assertEqual(wire.request("GET", "/v1/notes/absent").answer().status, 404)

    def test_a_read_sees_at_least_what_was_written(self):
        place = self.put("/v1/notes/place", b"1").headers["affinity-position"]
        partition, offset = place.split(":")
        answer = self.client.get("/v1/notes/place", Affinity_Consistency=f"at-least={place}")
        self.assertStatus(answer, 200)
        self.assertEqual(answer.headers["affinity-position"], place)
        other = f"at-least={int(partition) + 1}:{offset}"
        self.assertProblem(self.client.get("/v1/notes/place", Affinity_Consistency=other), "bad-request",
                           detail=f"the key is in partition {partition}")
        for bound in (f"at-least={place}", "eventual; max-lag=1s"):
            self.assertProblem(self.client.get("/v1/notes", Affinity_Consistency=bound), "bad-request", detail="a scan")

    def test_reads_are_strict_or_eventual(self):
        self.put("/v1/notes/strict", b"1", Affinity_Consistency="strict")
        for value in ("Strict", "eventual", "eventual; max-lag=1s"):
            self.assertStatus(self.client.get("/v1/notes/strict", Affinity_Consistency=value), 200)
        for value in ("eventual; max-lag=1", "at-least=5", "none"):
            self.assertProblem(self.client.get("/v1/notes/strict", Affinity_Consistency=value), "bad-request")
        answer = self.client.put("/v1/notes/strict", b"2", Affinity_Consistency="eventual")
        self.assertProblem(answer, "bad-request")


class Continue(Conversation):
    """Expect: 100-continue: a client asks before it sends its body."""

    HEAD = "PUT /v1/notes/{} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n{}\r\n\r\n"

    def test_a_body_that_is_taken_is_asked_for(self):
        wire = self.wire()
        wire.send(self.HEAD.format("a", "Content-Length: 5"))
        self.assertEqual(wire.answer(interim=True).status, 100)
        self.assertStatus(wire.send("hello").answer(), 201)
        wire = self.wire()
        wire.send(self.HEAD.format("a", "Transfer-Encoding: chunked"))
        self.assertEqual(wire.answer(interim=True).status, 100)
        self.assertStatus(wire.send("2\r\nhi\r\n0\r\n\r\n").answer(), 200, 204)
        self.assertValue("/v1/notes/a", b"hi")

    def test_a_body_that_is_not_taken_is_refused_at_once(self):
        for target, fields, kind in [
            ("a", "Content-Length: 2000000", "content-too-large"),
            ("a", "Content-Length: 5\r\nIf-Match: x", "bad-request"),
            ("a/b", "Content-Length: 5", "no-route"),
            ("a", "Content-Length: 5\r\nContent-Encoding: gzip", "unsupported-media-type"),
        ]:
            with self.subTest(fields=fields):
                wire = self.wire()
                wire.send(self.HEAD.format(target, fields))
                self.assertProblem(wire.answer(interim=True), kind)

    def test_a_client_need_not_wait(self):
        wire = self.wire()
        wire.send(self.HEAD.format("b", "Content-Length: 5"), "hello")
        self.assertStatus(wire.answer(), 201)
        self.assertValue("/v1/notes/b", b"hello")

    def test_a_request_without_a_body_is_answered_all_the_same(self):
        self.put("/v1/notes/c", b"1")
        wire = self.wire()
        self.assertEqual(wire.request("GET", "/v1/notes/c", "Expect: 100-continue").answer().body, b"1")
        self.assertEqual(wire.request("GET", "/v1/notes/c").answer().body, b"1")


class FullDisk(Conversation):
    """The changelog gets no more space than it has; see changelog.nospace in doc/faults.md."""

    keyspaces = {"notes": {"partitions": 1}}

    def test_what_does_not_fit_is_507_and_not_applied(self):
        sets = ["embedded.segment=1GiB"]
        with self.serving(faults="changelog.nospace=error@1+", sets=sets) as server:
            client, written, body = server.client(), 0, b"x" * 1000 * KIB
            while (answer := client.put(f"/v1/notes/{written}", body, "text/plain", Idempotency_Key="k")).status == 201:
                written += 1
                self.assertLess(written, 1000, "the fault point is not passed")
            self.assertProblem(answer, "no-space")
            self.assertAbsent(f"/v1/notes/{written}", client=client)
            self.assertEqual(self.assertStatus(client.get("/v1/notes/0"), 200).body, b"x" * 1000 * KIB)
            self.assertStatus(client.get("/readyz"), 200)
            server.faults = None
            server.kill()
            server.start()
            client = server.client()
            self.assertStatus(client.get(f"/v1/notes/{written - 1}"), 200)
            self.assertAbsent(f"/v1/notes/{written}", client=client)
            again = client.put(f"/v1/notes/{written}", b"x" * 1000 * KIB, "text/plain", Idempotency_Key="k")
            self.assertStatus(again, 201)
            self.assertNotIn("affinity-replayed", again.headers, "what was not applied was remembered")


if __name__ == "__main__":
    main()
