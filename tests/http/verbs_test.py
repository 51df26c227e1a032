"""verbs_test - PUT, GET, HEAD and DELETE of values: what is answered, what is kept, what a key can be."""
import email.utils
import time
import urllib.parse

from conversation import Conversation, main, partition_of, wait_until

EVERY_BYTE = bytes(range(256))


def path_of(key, keyspace="notes"):
    """Every byte escaped but letters, digits and -._~"""
    return f"/v1/{keyspace}/" + urllib.parse.quote_from_bytes(key, safe="")


class WriteAndRead(Conversation):
    def test_the_first_put_creates(self):
        answer = self.client.put("/v1/notes/milk", b'{"litres": 2}')
        self.assertWritten(answer, 201)
        self.assertEqual(answer.headers.get("location"), "/v1/notes/milk", answer)
        self.assertEqual(answer.body, b"", answer)
        got = self.assertValue("/v1/notes/milk", b'{"litres": 2}', "application/json")
        self.assertEqual(got.etag, answer.etag, "GET and PUT name different versions")

    def test_the_next_put_replaces(self):
        first = self.put("/v1/notes/bread", b'"white"')
        second = self.client.put("/v1/notes/bread", b'"brown"')
        self.assertWritten(second, 200, 204)
        self.assertNotIn("location", second.headers, second)
        self.assertGreater(self.tag_of(second)[2], self.tag_of(first)[2], "the version did not grow")
        self.assertEqual(self.tag_of(second)[:2], self.tag_of(first)[:2], "the key changed its log or partition")
        self.assertEqual(self.assertValue("/v1/notes/bread", b'"brown"').etag, second.etag)

    def test_a_put_answers_with_the_value_when_that_is_preferred(self):
        body = b' {"a" :1}\n'
        created = self.client.put("/v1/notes/pref", body, Prefer="return=representation")
        self.assertWritten(created, 201)
        self.assertEqual((created.body, created.headers.get("content-type")), (body, "application/json"), created)
        replaced = self.client.put("/v1/notes/pref", body, Prefer="respond-async, return=representation")
        self.assertWritten(replaced, 200)
        self.assertEqual(replaced.body, body, replaced)
        self.assertEqual(replaced.headers.get("preference-applied"), "return=representation", replaced)

    def test_a_put_answers_without_a_body_when_that_is_preferred(self):
        self.put("/v1/notes/pref2")
        answer = self.client.put("/v1/notes/pref2", b"{}", Prefer="return=minimal")
        self.assertWritten(answer, 200, 204)
        self.assertEqual(answer.body, b"", answer)

    def test_head_is_get_without_the_value(self):
        self.put("/v1/notes/head", b"[1, 2, 3]")
        wire = self.wire()
        head = wire.request("HEAD", "/v1/notes/head").answer("HEAD")
        get = wire.request("GET", "/v1/notes/head").answer()
        self.assertEqual((head.status, get.status), (200, 200))
        head.headers.pop("date"), get.headers.pop("date")
        self.assertEqual(head.headers, get.headers)
        self.assertEqual(get.headers["content-length"], "9")
        missing = wire.request("HEAD", "/v1/notes/nothing-here").answer("HEAD")
        self.assertEqual(missing.status, 404)
        self.assertTrue(wire.silent(), "the answer to a HEAD had a body")
        self.assertEqual(wire.request("GET", "/v1/notes/head").answer().body, b"[1, 2, 3]")

    def test_a_get_with_a_chunked_body_closes_its_own_connection_only(self):
        self.put("/v1/notes/chunked-get", b"[1]")
        for _ in range(2):
            wire = self.wire()
            wire.request("GET", "/v1/notes/chunked-get", "Transfer-Encoding: chunked").send(b"0\r\n\r\n")
            self.assertEqual(wire.answer().headers.get("connection", "").lower(), "close")
        other = self.wire()
        answer = other.request("GET", "/v1/notes/chunked-get").answer()
        self.assertNotIn("connection", answer.headers, "the answer was kept together with its end of connection")

    def test_last_modified_is_when_it_was_written(self):
        before = int(time.time())
        self.put("/v1/notes/when")
        after = int(time.time())
        text = self.client.get("/v1/notes/when").headers.get("last-modified", "")
        self.assertRegex(text, r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertTrue(before <= email.utils.parsedate_to_datetime(text).timestamp() <= after, text)

    def test_delete_removes(self):
        put = self.put("/v1/notes/gone")
        answer = self.client.delete("/v1/notes/gone")
        partition, offset = self.assertWritten(answer, 204)
        self.assertEqual(partition, self.tag_of(put)[1])
        self.assertGreater(offset, self.tag_of(put)[2], "the tombstone stands before the value")
        self.assertEqual(answer.body, b"")
        self.assertAbsent("/v1/notes/gone")
        self.assertEqual(self.client.request("HEAD", "/v1/notes/gone").status, 404)
        again = self.client.put("/v1/notes/gone", b"1")
        self.assertWritten(again, 201)
        self.assertGreater(self.tag_of(again)[2], offset)

    def test_deleting_what_is_not_there_is_404_and_writes_nothing(self):
        with self.nothing_written():
            self.assertProblem(self.client.delete("/v1/notes/never"), "not-found")

    def test_keys_of_two_keyspaces_are_two_keys(self):
        with self.serving(keyspaces={"one": {}, "two": {"partitions": 3}}) as server:
            client = server.client()
            client.put("/v1/one/k", b"1")
            client.put("/v1/two/k", b"2")
            client.delete("/v1/one/k")
            self.assertAbsent("/v1/one/k", client=client)
            self.assertValue("/v1/two/k", b"2", client=client)

    def test_a_read_sees_the_present_version_however_often_it_changes(self):
        """With many partitions the server has only a few places to keep what it sent for the versions of one."""
        with self.serving(keyspaces={"many": {"partitions": 64}}) as server:
            client = server.client()
            for i in range(200):
                etag = client.put("/v1/many/k", b"%d" % i).etag
                self.assertEqual(self.assertValue("/v1/many/k", b"%d" % i, client=client).etag, etag)

    def test_a_read_after_a_write_sees_it_from_any_connection(self):
        clients = [self.server.client() for _ in range(8)]
        for i in range(200):
            body = str(i).encode()
            self.assertStatus(clients[i % 8].put("/v1/notes/seen", body), 200, 201, 204)
            self.assertValue("/v1/notes/seen", body, client=clients[i * 5 % 8])


class Values(Conversation):
    JSON = [
        b"{}",
        b"null",
        b' \t\r\n{ "a" :\n[ 1 ,2,  3 ] }\r\n ',
        b'{"b":1,"a":2,"b":3}',  # the order and every one of them
        b"0.1",
        b"1.0",
        b"-0",
        b"1E400",
        b"123456789012345678901234567890.000000000000000000000000000000012345678901234567890e-12345",
        b"[9223372036854775808,-9223372036854775809]",
        rb'"\u0041\ud83d\ude00\/ \ud800"',
        '"Blåbær \U0001f600 \u2028"'.encode(),
        b"[" * 128 + b"]" * 128,
        b'"' + b"x" * 200000 + b'"',
    ]

    def test_json_is_kept_byte_for_byte(self):
        for body in self.JSON:
            with self.subTest(body=body[:60]):
                self.put("/v1/notes/json", body)
                self.assertValue("/v1/notes/json", body, "application/json")

    def test_anything_else_is_bytes(self):
        for content_type, body in [
            ("text/plain", "naïve\r\n".encode()),
            ("text/plain; charset=iso-8859-1", "naïve".encode("latin-1")),
            ("application/octet-stream", EVERY_BYTE * 40),
            ("text/html", b"{ this is no JSON"),
            ('multipart/mixed; boundary="a; b"', b"--a; b--"),
            ("application/octet-stream", b""),
        ]:
            with self.subTest(content_type=content_type):
                self.put("/v1/notes/bytes", body, content_type)
                self.assertValue("/v1/notes/bytes", body, content_type)

    def test_the_content_type_is_kept_as_it_came(self):
        for content_type in ("application/JSON", "application/json; charset=utf-8", "application/geo+json"):
            self.put("/v1/notes/type", b"[]", content_type)
            self.assertValue("/v1/notes/type", b"[]", content_type)

    def test_a_new_value_may_have_another_type(self):
        self.put("/v1/notes/both", b"{}")
        self.put("/v1/notes/both", b"plain", "text/plain")
        self.assertValue("/v1/notes/both", b"plain", "text/plain")

    def test_without_a_content_type_it_is_bytes(self):
        wire = self.wire()
        self.assertStatus(wire.request("PUT", "/v1/notes/untyped", body=b"{ no JSON").answer(), 201)
        self.assertValue("/v1/notes/untyped", b"{ no JSON", "application/octet-stream")

    def test_json_that_is_none_is_refused_with_its_place_and_writes_nothing(self):
        self.put("/v1/notes/bad", b'"kept"')
        with self.nothing_written():
            for body, place in [
                (b'{"a":1,}', "line 1, column 8"),
                (b'{"a":1}\n}', "line 2, column 1"),
                (b'["\xc3\xa9", x]', "line 1, column 7"),
                (b"", "line 1, column 1"),
                (b"01", "line 1, column 2"),
                (b'"\xff"', "line 1, column 2"),
                (b"\xef\xbb\xbf{}", "line 1, column 1"),
                (b"[" * 129 + b"]" * 129, "line 1, column 129"),
                (b"NaN", "line 1, column 1"),
            ]:
                for content_type in ("application/json", "application/hal+json; charset=utf-8"):
                    with self.subTest(body=body[:20], content_type=content_type):
                        answer = self.client.put("/v1/notes/bad", body, content_type)
                        self.assertProblem(answer, "bad-json", detail=place)
        self.assertValue("/v1/notes/bad", b'"kept"')

    def test_a_chunked_body_is_put_together(self):
        wire = self.wire()
        wire.send("PUT /v1/notes/chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send("3\r\nabc\r\n").send("A;name=value\r\n0123456789\r\n").send("0\r\nTrailer: x\r\n\r\n")
        self.assertStatus(wire.answer(), 201)
        self.assertValue("/v1/notes/chunks", b"abc0123456789")

    def test_the_largest_value_fits_and_one_byte_more_does_not(self):
        body = b"x" * (1020 * 1024)
        self.put("/v1/notes/large", body, "text/plain")
        self.assertValue("/v1/notes/large", body)
        self.assertProblem(self.client.put("/v1/notes/large", body + b"x", "text/plain"), "content-too-large")
        self.assertValue("/v1/notes/large", body)


class Keys(Conversation):
    KEYS = [
        b"plain",
        b"a/b",
        b"/",
        b"//",
        b"a\x00b",
        b"end\x00",
        b"\xff\xfe\x80",
        "schlüssel".encode(),
        b" ",
        b"+",
        b"%",
        b"%2F",
        b"?a=b&c#d",
        b".",
        b"..",
        b"../notes/plain",
        b"\r\n",
        b"\x01aff",
        b"x" * 511,
        b"\x01" + b"\x00" * 510,
        bytes(range(1, 256)),
    ]

    def test_a_key_is_any_bytes(self):
        for i, key in enumerate(self.KEYS):
            with self.subTest(key=key[:20]):
                answer = self.client.put(path_of(key), str(i).encode())
                self.assertWritten(answer, 201)
                self.assertEqual(answer.headers.get("location"), path_of(key), answer)
        for i, key in enumerate(self.KEYS):
            with self.subTest(key=key[:20]):
                self.assertValue(path_of(key), str(i).encode())

    def test_a_key_is_in_the_partition_that_kafka_clients_compute(self):
        for i in range(100):
            key = f"kafka-{i}".encode()
            partition, _ = self.assertWritten(self.client.put(path_of(key), b"{}"), 201)
            self.assertEqual(partition, partition_of(key, 8), key)

    def test_an_escaped_byte_is_the_byte(self):
        self.put("/v1/notes/a%2fb~c", b"1")
        for path in ("/v1/notes/a%2Fb~c", "/v1/notes/%61%2fb%7ec", "/v1/notes/a%2Fb%7Ec"):
            self.assertValue(path, b"1")

    def test_a_plus_is_a_plus(self):
        self.put("/v1/notes/1+1", b"2")
        self.assertValue("/v1/notes/1%2B1", b"2")
        self.assertAbsent("/v1/notes/1%201")

    def test_dots_are_no_way_up(self):
        self.put("/v1/notes/..", b'"dots"')
        self.assertValue("/v1/notes/%2e%2E", b'"dots"')
        self.assertProblem(self.client.get("/v1/notes/../notes/plain"), "no-route")

    def test_a_slash_that_is_not_escaped_is_no_part_of_a_key(self):
        with self.nothing_written():
            self.assertProblem(self.client.put("/v1/notes/a/b", b"{}"), "no-route")
            self.assertProblem(self.client.put("/v1/notes/a/", b"{}"), "no-route")

    def test_what_is_no_key_is_refused(self):
        with self.nothing_written():
            for path, detail in [
                (path_of(b"x" * 512), "511"),
                (path_of(b"\x00" * 512), "511"),
                ("/v1/notes/", "at least one byte"),
                ("/v1/notes/%00", "NUL"),
                ("/v1/notes/%00aff", "NUL"),
                ("/v1/notes/a%", "hexadecimal"),
                ("/v1/notes/a%2", "hexadecimal"),
                ("/v1/notes/a%zz", "hexadecimal"),
                ("/v1/notes/a%-1", "hexadecimal"),
            ]:
                for method in ("GET", "PUT", "DELETE"):
                    with self.subTest(path=path[:30], method=method):
                        answer = self.client.request(method, path, b"{}" if method == "PUT" else None)
                        self.assertProblem(answer, "bad-request", detail=detail)

    def test_the_absolute_form_is_the_same_resource(self):
        self.put("/v1/notes/absolute", b"1")
        wire = self.wire()
        answer = wire.request("GET", "http://elsewhere.example:81/v1/notes/absolute").answer()
        self.assertEqual((answer.status, answer.body), (200, b"1"), answer)

    def test_an_unknown_keyspace_or_path_is_404(self):
        with self.nothing_written():
            paths = ("/v1/nothing/k", "/v1/Notes/k", "/v1/notes%2Fk", "/v2/notes/k", "/notes/k", "//v1/notes/k", "/v1")
            for path in paths:
                for method in ("GET", "PUT", "DELETE"):
                    with self.subTest(path=path, method=method):
                        answer = self.client.request(method, path, b"{}" if method == "PUT" else None)
                        self.assertProblem(answer, "no-route")

    def test_the_path_may_be_escaped_anywhere(self):
        self.put("/v1/notes/k", b"1")
        self.assertValue("/%76%31/no%74es/%6b", b"1")

    def test_an_unknown_parameter_is_refused(self):
        self.put("/v1/notes/query", b"1")
        with self.nothing_written():
            self.assertProblem(self.client.get("/v1/notes/query?ttl=5s"), "bad-request", detail="ttl")
            self.assertProblem(self.client.put("/v1/notes/query?if_match=x", b"2"), "bad-request", detail="if_match")
        self.assertValue("/v1/notes/query?", b"1")


class Lifetimes(Conversation):
    keyspaces = {"notes": {}, "sessions": {"ttl": "1s"}}

    def wait_absent(self, path, client=None):
        wait_until(f"{path} expires", lambda: (client or self.client).get(path).status == 404)

    def test_a_value_lives_as_long_as_its_write_says(self):
        self.put("/v1/notes/short", b"1", Affinity_TTL="150ms")
        self.put("/v1/notes/long", b"1", Affinity_TTL="1h")
        self.put("/v1/notes/ever", b"1")
        self.wait_absent("/v1/notes/short")
        self.assertValue("/v1/notes/long", b"1")
        self.assertValue("/v1/notes/ever", b"1")
        self.assertEqual(self.client.put("/v1/notes/short", b"2").status, 201, "an expired key is no key")

    def test_the_lifetime_of_the_last_write_counts(self):
        self.put("/v1/notes/again", b"1", Affinity_TTL="100ms")
        self.put("/v1/notes/again", b"2", Affinity_TTL="1h")
        self.put("/v1/notes/forever", b"1", Affinity_TTL="100ms")
        self.put("/v1/notes/forever", b"2")
        for partition_mate in range(64):  # expires later than both would have, in every partition
            self.put(f"/v1/notes/clock-{partition_mate}", b"1", Affinity_TTL="200ms")
        for partition_mate in range(64):
            self.wait_absent(f"/v1/notes/clock-{partition_mate}")
        self.assertValue("/v1/notes/again", b"2")
        self.assertValue("/v1/notes/forever", b"2")

    def test_a_keyspace_has_a_lifetime_of_its_own(self):
        self.put("/v1/sessions/default", b"1")
        self.put("/v1/sessions/longer", b"1", Affinity_TTL="1h")
        self.wait_absent("/v1/sessions/default")
        self.assertValue("/v1/sessions/longer", b"1")

    def test_an_expired_value_stays_away_after_a_restart(self):
        with self.serving() as server:
            client = server.client()
            client.put("/v1/notes/before", b"1", Affinity_TTL="50ms")
            self.wait_absent("/v1/notes/before", client)
            client.put("/v1/notes/while", b"1", Affinity_TTL="50ms")
            client.put("/v1/notes/not", b"1", Affinity_TTL="1h")
            server.kill()
            server.start()
            client = server.client()
            self.assertAbsent("/v1/notes/before", client=client)
            self.wait_absent("/v1/notes/while", client)
            self.assertValue("/v1/notes/not", b"1", client=client)

    def test_what_is_no_lifetime_is_refused(self):
        with self.nothing_written():
            for text in ("", "0s", "-1s", "5", "1.5s", "1 s", "5y", "99999999999999999999s", "36501d", "1s,1s"):
                with self.subTest(ttl=text):
                    answer = self.client.put("/v1/notes/ttl", b"1", Affinity_TTL=text)
                    self.assertProblem(answer, "bad-request", detail="Affinity-TTL")


if __name__ == "__main__":
    main()
