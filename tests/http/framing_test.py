"""framing_test - requests that two servers could read in two ways: one 400, a closed connection, nothing carried out.

Each form is sent as it stands, and right behind it, in the same bytes, a whole request that must be neither answered
nor executed: had the first one been read in another way, it would be the smuggled one.
"""
import re

from conversation import Conversation, main


def head(*lines, method="GET", target="/v1/notes/a", version="HTTP/1.1"):
    return b"\r\n".join([f"{method} {target} {version}".encode("latin-1"), *lines]) + b"\r\n\r\n"


HOST = b"Host: x"
LAST = b"X-Last: z"  # a good field behind a bad one

# What another server may take for a request, or for two, and is none for us.
BODIES = {
    "Content-Length and Transfer-Encoding": [b"Content-Length: 6", b"Transfer-Encoding: chunked"],
    "Transfer-Encoding and Content-Length": [b"Transfer-Encoding: chunked", b"Content-Length: 6"],
    "Content-Length of nothing and Transfer-Encoding": [b"Content-Length: 0", b"Transfer-Encoding: chunked"],
    "two different Content-Length": [b"Content-Length: 5", b"Content-Length: 0"],
    "two equal Content-Length": [b"Content-Length: 5", b"Content-Length: 5"],
    "two Content-Length of nothing": [b"Content-Length: 0", b"Content-Length: 0"],
    "a list of lengths": [b"Content-Length: 5, 5"],
    "a list of lengths without a space": [b"Content-Length: 5,5"],
    "a length with a sign": [b"Content-Length: +5"],
    "a negative length": [b"Content-Length: -5"],
    "a length of minus nothing": [b"Content-Length: -0"],
    "a hexadecimal length": [b"Content-Length: 0x5"],
    "an empty length": [b"Content-Length: "],
    "an empty length without a space": [b"Content-Length:"],
    "a length with a letter behind": [b"Content-Length: 5a"],
    "a length with a point": [b"Content-Length: 5.0"],
    "a length with a space inside": [b"Content-Length: 5 5"],
    "a quoted length": [b'Content-Length: "5"'],
    "a length in other digits": ["Content-Length: ٥".encode()],
    "an unknown transfer coding": [b"Transfer-Encoding: gzip"],
    "identity": [b"Transfer-Encoding: identity"],
    "a list of transfer codings": [b"Transfer-Encoding: gzip, chunked"],
    "chunked twice in a list": [b"Transfer-Encoding: chunked, chunked"],
    "chunked not last": [b"Transfer-Encoding: chunked, identity"],
    "two Transfer-Encoding": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    "two different Transfer-Encoding": [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"],
    "chunked with a parameter": [b"Transfer-Encoding: chunked;q=1"],
    "chunked in quotes": [b'Transfer-Encoding: "chunked"'],
    "chunked with a vertical tab before": [b"Transfer-Encoding: \x0bchunked"],
    "chunked with a comma behind": [b"Transfer-Encoding: chunked,"],
    "an empty Transfer-Encoding": [b"Transfer-Encoding: "],
    "a longer word than chunked": [b"Transfer-Encoding: xchunked"],
    "a space before the colon of Content-Length": [b"Content-Length : 5"],
    "a space before the colon of Transfer-Encoding": [b"Transfer-Encoding : chunked"],
    "a tab before the colon of Transfer-Encoding": [b"Transfer-Encoding\t: chunked"],
    "a folded Transfer-Encoding": [b"Transfer-Encoding:", b" chunked"],
    "a Transfer-Encoding folded by a tab": [b"Transfer-Encoding:", b"\tchunked"],
    "a folded Content-Length": [b"Content-Length:", b" 5"],
    "a Content-Length hidden in a fold": [b"X: y", b" Content-Length: 5"],
    "a Transfer-Encoding hidden in a fold": [b"X: y", b"\tTransfer-Encoding: chunked"],
    "a NUL in a Content-Length": [b"Content-Length: 5\x005"],
    "a NUL behind a Content-Length": [b"Content-Length: 5\x00"],
    "a NUL before a Transfer-Encoding": [b"\x00Transfer-Encoding: chunked"],
    "a Transfer-Encoding behind a bare CR": [b"X: y\rTransfer-Encoding: chunked"],
    "a Content-Length behind a bare CR": [b"X: y\rContent-Length: 5"],
    "a Transfer-Encoding behind a bare LF": [b"X: y\nTransfer-Encoding: chunked"],
    "a Content-Length behind a bare LF": [b"X: y\nContent-Length: 5"],
}

# Heads that are no heads.
HEADS = {
    "no Host": head(),
    "two Hosts": head(HOST, HOST),
    "two different Hosts": head(HOST, b"Host: y"),
    "a Host with a space": head(b"Host: x y"),
    "a Host with a slash": head(b"Host: x/y"),
    "a Host with an at": head(b"Host: a@x"),
    "a Host with a comma": head(b"Host: x, y"),
    "a space before the colon": head(HOST, b"Accept : */*"),
    "a tab before the colon": head(HOST, b"Accept\t: */*"),
    "a folded field": head(HOST, b"Accept: a/b,", b" */*"),
    "a field folded by a tab": head(HOST, b"Accept: a/b,", b"\t*/*"),
    "a fold before the first field": head(b" X: y", HOST),
    "an empty fold": head(HOST, b"X: y", b" "),
    "a NUL in a value": head(HOST, b"Accept: a\x00b"),
    "a NUL at the start of a value": head(HOST, b"Accept: \x00"),
    "a NUL behind a value": head(HOST, b"Accept: a\x00"),
    "a NUL in a name": head(HOST, b"Acc\x00ept: a"),
    "a NUL alone in a line": head(HOST, b"\x00"),
    "a NUL in the target": head(HOST, target="/v1/notes/a\x00b"),
    "a NUL behind the target": head(HOST, target="/v1/notes/a\x00"),
    "a NUL in the query": head(HOST, target="/v1/notes/a?\x00"),
    "a NUL in the method": head(HOST, method="G\x00ET"),
    "a NUL in the version": head(HOST, version="HTTP/1.1\x00"),
    "a CR in a value": head(HOST, b"Accept: a\rb"),
    "a CR behind a value": head(HOST, b"Accept: a\r"),
    "a CR in the target": head(HOST, target="/v1/notes/a\rb"),
    "a CR before the version": head(HOST, target="/v1/notes/a\r"),
    "lines that end in LF": b"GET /v1/notes/a HTTP/1.1\nHost: x\n\n",
    "one line that ends in LF": b"GET /v1/notes/a HTTP/1.1\r\nHost: x\nAccept: */*\r\n\r\n",
    "an empty line that is LF": b"GET /v1/notes/a HTTP/1.1\r\nHost: x\r\n\n",
    "a request line that ends in LF": b"GET /v1/notes/a HTTP/1.1\nHost: x\r\n\r\n",
    "lines that end in CR": b"GET /v1/notes/a HTTP/1.1\rHost: x\r\r",
    "a line that ends in CR CR LF": b"GET /v1/notes/a HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "a control character in a value": head(HOST, b"Accept: a\x01b"),
    "a bell in a value": head(HOST, b"Accept: \x07"),
    "an escape in a value": head(HOST, b"Accept: \x1b[0m"),
    "a DEL in a value": head(HOST, b"Accept: a\x7fb"),
    "a vertical tab before a colon": head(HOST, b"Accept\x0b: a"),
    "a control character in a name": head(HOST, b"Acc\x01ept: a"),
    "a space in a name": head(HOST, b"Acc ept: a"),
    "a quote in a name": head(HOST, b'"Accept": a'),
    "a high byte in a name": head(HOST, b"Acc\xe9pt: a"),
    "a name of nothing": head(HOST, b": a"),
    "a line without a colon": head(HOST, b"Accept"),
    "a high byte in the target": head(HOST, target="/v1/notes/\xe9"),
    "a DEL in the target": head(HOST, target="/v1/notes/\x7f"),
    "a control character in the target": head(HOST, target="/v1/notes/\x01"),
    "a tab in the target": head(HOST, target="/v1/notes/a\tb"),
    "a space in the target": head(HOST, target="/v1/notes/a b"),
    "a fragment in the target": head(HOST, target="/v1/notes/a#b"),
    "two spaces before the target": head(HOST, method="GET "),
    "two spaces before the version": head(HOST, target="/v1/notes/a "),
    "a tab for a space": b"GET\t/v1/notes/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab before the version": b"GET /v1/notes/a\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "a space behind the version": head(HOST, version="HTTP/1.1 "),
    "no version": b"GET /v1/notes/a\r\nHost: x\r\n\r\n",
    "version 0.9": head(HOST, version="HTTP/0.9"),
    "version 1.10": head(HOST, version="HTTP/1.10"),
    "version 1.": head(HOST, version="HTTP/1."),
    "version 2.0": head(HOST, version="HTTP/2.0"),
    "version 11": head(HOST, version="HTTP/11"),
    "a version in small letters": head(HOST, version="http/1.1"),
    "another protocol": head(HOST, version="ICAP/1.1"),
    "a method that is no token": head(HOST, method="G(T"),
    "a method of many letters": head(HOST, method="G" * 40),
    "Transfer-Encoding with HTTP/1.0": head(HOST, b"Transfer-Encoding: chunked", version="HTTP/1.0") + b"0\r\n\r\n",
}

# Bodies whose chunks are none: the head is good, and what follows cannot be told apart from a request.
CHUNKS = {
    "a size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size that is no number": b"g\r\nhello\r\n0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64": b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64 + 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a size of many digits": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "a size with a space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size with a space inside": b"5 0\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "a chunk that ends in CR": b"5\r\nhello\r0\r\n\r\n",
    "a size that ends in CR": b"5\rhello\r\n0\r\n\r\n",
    "a NUL in a size": b"5\x00\r\nhello\r\n0\r\n\r\n",
}


# Chunks that libmicrohttpd takes, and another server may not.
DOUBTFUL_CHUNKS = {
    "a chunk that ends in LF": b"5\r\nhello\n0\r\n\r\n",
    "a size that ends in LF": b"5\nhello\r\n0\r\n\r\n",
    "a last chunk that ends in LF": b"5\r\nhello\r\n0\n\n",
    "an extension that ends in LF": b"5;x\nhello\r\n0\r\n\r\n",
    "a trailer that ends in LF": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    "a trailer that is folded": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
    "a length in a trailer": b"5\r\nhello\r\n0\r\nContent-Length: 10\r\n\r\n",
}

# What libmicrohttpd answers itself, before there is a request: a 400 or 505 without a problem.
BARE = {
    "a NUL in a name",
    "a NUL in the version",
    "a line without a colon",
    "a tab for a space",
    "a tab before the version",
    "a space behind the version",
    "no version",
    "version 0.9",
    "version 1.10",
    "version 1.",
    "version 2.0",
    "version 11",
    "a version in small letters",
    "another protocol",
}


class Framing(Conversation):
    sets = ["limits.head_timeout=1s"]

    def setUp(self):
        super().setUp()
        self.client.put("/v1/notes/a", b"1")
        self.turn = 0

    def next_turn(self):
        """Other keys for each form, so that each stands for itself."""
        self.turn += 1
        name = f"{self._testMethodName}-{self.turn}"
        self.first, self.second = f"/v1/notes/first-{name}", f"/v1/notes/second-{name}"
        return f'PUT {self.second} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"s"'.encode()

    def assertNothingDone(self):
        self.assertEqual(self.client.get(self.first).status, 404, "the first request was carried out")
        self.assertEqual(self.client.get(self.second).status, 404, "the second request was carried out")

    def assertRefused(self, data, bare=False):
        """One problem, the end of the connection, and no trace of the request behind it."""
        wire = self.wire().send(data)
        answer = wire.answer()
        self.assertEqual(answer.headers.get("connection", "").lower(), "close", answer)
        if not bare:
            self.assertProblem(answer, "bad-framing")
        self.assertIn(answer.status, (400, 505), answer)
        wire.ended()
        self.assertNothingDone()

    def test_a_body_whose_length_is_in_doubt(self):
        for name, lines in BODIES.items():
            for method, more in (("PUT", []), ("PUT", [LAST]), ("GET", [])):
                with self.subTest(name, method=method, more=more):
                    smuggled = self.next_turn()
                    first = head(HOST, *lines, *more, method=method, target=self.first)
                    self.assertRefused(first + b"0\r\n\r\n" + smuggled)

    def test_a_length_that_no_number_holds_is_too_large(self):
        for length in (2**64, 2**64 + 5, 2**63, 10**60):
            with self.subTest(length=length):
                smuggled = self.next_turn()
                first = head(HOST, b"Content-Length: %d" % length, method="PUT", target=self.first)
                wire = self.wire().send(first, b"hello", smuggled)
                self.assertIn(wire.answer().status, (400, 413))
                wire.ended()
                self.assertNothingDone()

    def test_the_fields_that_say_where_a_body_ends_are_known_in_any_case(self):
        for lines in (
            [b"content-length: 5", b"CONTENT-LENGTH: 5"],
            [b"cOnTeNt-LeNgTh: 5", b"tRaNsFeR-eNcOdInG: chunked"],
        ):
            smuggled = self.next_turn()
            self.assertRefused(head(HOST, *lines, method="PUT", target=self.first) + b"0\r\n\r\n" + smuggled)

    def test_a_head_that_is_none(self):
        for name, first in HEADS.items():
            with self.subTest(name):
                self.assertRefused(first + self.next_turn(), bare=name in BARE)
            if first.endswith(b"\r\n\r\n"):
                with self.subTest(name, more=LAST):
                    self.assertRefused(first[:-2] + LAST + b"\r\n\r\n" + self.next_turn(), bare=name in BARE)

    def test_a_head_that_is_none_behind_a_good_request(self):
        for name in ("a folded field", "a NUL in a value", "two Hosts", "a space before the colon"):
            with self.subTest(name):
                wire = self.wire().send(head(HOST), HEADS[name], self.next_turn())
                self.assertEqual(wire.answer().body, b"1")
                self.assertProblem(wire.answer(), "bad-framing")
                wire.ended()
                self.assertNothingDone()

    def test_a_chunk_that_is_none(self):
        for name, chunks in CHUNKS.items():
            with self.subTest(name):
                smuggled = self.next_turn()
                first = head(HOST, b"Transfer-Encoding: chunked", method="PUT", target=self.first)
                wire = self.wire().send(first, chunks, smuggled).finish()
                rest = wire.rest()
                self.assertLessEqual(rest.count(b"HTTP/1.1 "), 1, f"more than one answer: {rest[:400]!r}")
                self.assertRegex(rest, rb"^$|^HTTP/1.1 4(00|13) ")
                self.assertNothingDone()

    def test_nothing_is_taken_behind_a_chunked_body(self):
        """Where it ends cannot be judged by us, so a second request behind it is never carried out."""
        for name, chunks in {"all in order": b"5\r\nhello\r\n0\r\n\r\n", **DOUBTFUL_CHUNKS}.items():
            for method in ("PUT", "GET"):
                with self.subTest(name, method=method):
                    smuggled = self.next_turn()
                    first = head(HOST, b"Transfer-Encoding: chunked", method=method, target=self.first)
                    wire = self.wire().send(first, chunks, smuggled)
                    answer = wire.answer()
                    self.assertStatus(answer, 201, 400, 404, 413)
                    self.assertEqual(answer.headers.get("connection", "").lower(), "close", answer)
                    wire.ended()
                    self.assertEqual(self.client.get(self.second).status, 404, "the second request was carried out")

    def test_a_head_that_arrives_byte_by_byte_is_judged_the_same(self):
        for name in ("a folded field", "a NUL in a value", "a NUL in the target", "lines that end in LF"):
            with self.subTest(name):
                wire = self.wire()
                for byte in HEADS[name]:
                    wire.send(bytes([byte]))
                self.assertProblem(wire.answer(), "bad-framing")
                wire.ended()
        wire = self.wire()
        for byte in head(HOST, b"Accept: */*"):
            wire.send(bytes([byte]))
        self.assertEqual(wire.answer().body, b"1")

    def test_garbage_is_no_request(self):
        """What nobody could take for one may be answered or not."""
        for data in (
            b" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),  # TLS
            b"\x00" * 300,
            b"hello\r\n\r\n",
            b"\r\r\r\r",
            b"\xff" * 70000,
        ):
            with self.subTest(data=data[:12]):
                wire = self.wire().send(data).finish()
                rest = wire.rest()
                self.assertTrue(not rest or re.match(rb"HTTP/1\.1 (400|408|414|431) ", rest), rest[:200])

    def test_what_comes_behind_garbage_does_not_destroy_the_answer(self):
        """On a kept connection, and in bytes that arrive when the server has closed already."""
        for _ in range(5):
            wire = self.wire().send(head(HOST))
            self.assertEqual(wire.answer().body, b"1")
            answer = wire.send(b"GEs/a HTTP/1.1\r\n\r\n").answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"), answer)
            wire.send(b"x" * 1000000)
            wire.finish().ended()

    def test_every_byte_in_a_value_is_taken_or_refused(self):
        """Any byte but the ones that RFC 9110, 5.5 has in a value ends the connection with a 400."""
        for byte in range(256):
            good = byte == 9 or 32 <= byte != 127
            with self.subTest(byte=byte):
                wire = self.wire().send(head(HOST, b"X: a" + bytes([byte]) + b"b"))
                answer = wire.answer()
                self.assertEqual(answer.status, 200 if good else 400, answer)
                if not good:
                    wire.ended()

    def test_every_byte_in_a_target_is_taken_or_refused(self):
        for byte in range(256):
            good = 33 <= byte < 127 and chr(byte) not in '#'
            with self.subTest(byte=byte):
                wire = self.wire().send(b"GET /v1/notes/none?a" + bytes([byte]) + b"b HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = wire.answer()
                if good:
                    self.assertProblem(answer, "bad-request")
                else:
                    self.assertEqual(answer.status, 400, answer)
                    wire.ended()


class Lawful(Conversation):
    """What looks odd and is allowed."""

    def setUp(self):
        super().setUp()
        self.put("/v1/notes/a", b"1")

    def test_odd_heads_that_mean_one_thing(self):
        for name, data in {
            "no space behind the colon": head(b"Host:x"),
            "spaces and tabs around a value": head(b"Host: \t x \t "),
            "an empty value": head(HOST, b"X:", b"Y: "),
            "an empty Host": head(b"Host:"),
            "a Host with a port": head(b"Host: example.org:8080"),
            "a Host that is an address": head(b"Host: [::1]:8080"),
            "high bytes in a value": head(HOST, b"X: \xe9\xff"),
            "names in any case": head(b"hOST: x"),
            "a Content-Length of nothing": head(HOST, b"Content-Length: 0"),
            "a Content-Length with zeros before": head(HOST, b"Content-Length: 000"),
            "HTTP/1.0 with a Host": head(HOST, version="HTTP/1.0"),
            "HTTP/1.0 without": head(version="HTTP/1.0"),
            "HTTP/1.2": head(HOST, version="HTTP/1.2"),
            "the absolute form": head(HOST, target="http://y/v1/notes/a"),
            "an empty line before": b"\r\n" + head(HOST),
            "odd characters of a token": head(HOST, b"!#$%&'*+-.^_`|~09Az: x"),
        }.items():
            with self.subTest(name):
                self.assertEqual(self.wire().send(data).answer().body, b"1")

    def test_a_length_with_zeros_before_is_a_length(self):
        first = head(HOST, b"Content-Length: 003", method="PUT", target="/v1/notes/zeros")
        wire = self.wire().send(first, b'"z"', head(HOST))
        self.assertStatus(wire.answer(), 201)
        self.assertEqual(wire.answer().body, b"1")

    def test_odd_chunks_that_mean_one_thing(self):
        for name, chunks in {
            "capitals and zeros before": b"00A\r\n0123456789\r\n0000\r\n\r\n",
            "an extension": b"a;x=y\r\n0123456789\r\n0;z\r\n\r\n",
            "a trailer": b"A\r\n0123456789\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
        }.items():
            with self.subTest(name):
                first = head(HOST, b"Transfer-Encoding: CHUNKED", method="PUT", target="/v1/notes/chunks")
                self.assertStatus(self.wire().send(first, chunks).answer(), 200, 201, 204)
                self.assertValue("/v1/notes/chunks", b"0123456789")

    def test_a_body_of_a_get_is_read_and_thrown_away(self):
        wire = self.wire().send(head(HOST, b"Content-Length: 5"), b"hello", head(HOST))
        self.assertEqual(wire.answer().body, b"1")
        self.assertEqual(wire.answer().body, b"1")

    def test_a_trailer_changes_nothing(self):
        first = head(HOST, b"Transfer-Encoding: chunked", method="PUT", target="/v1/notes/trailer")
        trailer = b"1\r\n1\r\n0\r\nIf-None-Match: *\r\nAffinity-TTL: nonsense\r\n\r\n"
        self.assertStatus(self.wire().send(first, trailer).answer(), 201)
        self.assertStatus(self.wire().send(first, trailer).answer(), 200, 204)


if __name__ == "__main__":
    main()
