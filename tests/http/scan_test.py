"""scan_test - GET of a keyspace: pages and streams of a real node, over all kinds of keys and values, across restarts and beside writes."""
import base64
import itertools
import json
import random
import socket
import threading
import urllib.parse

from conversation import Conversation, main, metrics_of, partition_of, total, wait_until

PARTITIONS = 8
KINDS = ["application/json", "text/plain", "application/vnd.x+json"]


def quoted(key):
    return urllib.parse.quote_from_bytes(key, safe="")


def make_keys(seed):
    """Keys of all shapes, many with beginnings in common."""
    rng = random.Random(seed)
    keys = {b"a", b"a/", b"a//", b"\xff", b"\xff\xff", b"\xff" * 511, b"a" * 511, "ä".encode(), b'"\\', b"%2F", b"+", b" "}
    beginnings = [b"a/", b"b/1/", b"b/", b"\xfe\xff", b"\xff\xff", b"key-"]
    while len(keys) < 400:
        tail = bytes(rng.randrange(256) for _ in range(rng.choice([1, 2, 5, 40])))
        keys.add(rng.choice(beginnings) + tail)
    return sorted(keys)


def value_of(key):
    """(type, body) of a key: JSON with a line feed, text, JSON of another type."""
    kind = KINDS[sum(key) % 3]
    return kind, b'{"n":\n %d, "s": "\\n"}' % len(key) if "json" in kind else b"text of " + key[:10]


def expected(keys, prefix=b"", start=b"", end=None, desc=False):
    found = [k for k in keys if k.startswith(prefix) and k >= start and (end is None or k < end)]
    return found[::-1] if desc else found


def key_in(entry):
    return base64.b64decode(entry["key64"]) if "key64" in entry else entry["key"].encode()


def query_of(prefix=b"", start=b"", end=None, desc=False, **more):
    parts = [("prefix", prefix), ("start", start), ("end", end or b"")]
    pairs = [f"{name}={quoted(value)}" for name, value in parts if value]
    pairs += [f"{name}={value}" for name, value in more.items()]
    return "&".join(pairs + (["order=desc"] if desc else []))


class Scans(Conversation):
    keyspaces = {"notes": {"partitions": PARTITIONS}, "live": {"partitions": PARTITIONS}, "none": {}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = make_keys(1)
        client = cls.server.client()
        for key in cls.keys:
            kind, body = value_of(key)
            answer = client.put("/v1/notes/" + quoted(key), body, kind)
            assert answer.status == 201, answer
        client.close()

    def pages(self, url, client=None):
        """The entries of all pages from `url` on."""
        while url:
            answer = self.assertStatus((client or self.client).get(url), 200)
            page = answer.json()
            url = page.get("next")
            self.assertEqual(answer.headers.get("link"), f'<{url}>; rel="next"' if url else None, answer)
            yield page["items"]

    def walk(self, query):
        return [key_in(e) for items in self.pages("/v1/notes?" + query) for e in items]

    def stream(self, query, keyspace="notes"):
        answer = self.client.get(f"/v1/{keyspace}?{query}", Accept="application/jsonl")
        self.assertStatus(answer, 200)
        self.assertEqual(answer.headers.get("content-type"), "application/jsonl", answer)
        return [json.loads(line) for line in answer.body.splitlines()]

    def ranges(self):
        bounds = [(b"", None), (b"a/", None), (b"", b"b/1/"), (b"a", b"\xff"), (b"\xff", None), (b"b", b"a")]
        for prefix, (start, end), desc in itertools.product([b"", b"a", b"b/", b"\xff", b"nothing"], bounds, [False, True]):
            yield {"prefix": prefix, "start": start, "end": end, "desc": desc}

    def test_pages_to_the_end_are_the_sorted_keys(self):
        for i, spec in enumerate(self.ranges()):
            limit = [7, 100, 1, 10000][i % 4]
            if limit == 1 and not spec["prefix"]:
                limit = 41
            self.assertEqual(self.walk(query_of(limit=limit, **spec)), expected(self.keys, **spec), (spec, limit))

    def test_a_stream_is_the_sorted_keys(self):
        for spec in self.ranges():
            self.assertEqual([key_in(e) for e in self.stream(query_of(**spec))], expected(self.keys, **spec), spec)

    def test_a_limit_cuts_a_stream(self):
        for limit in (1, 2, 399, 400, 401, 10**15):
            self.assertEqual([key_in(e) for e in self.stream(f"limit={limit}&keys=only")], self.keys[:limit], limit)

    def test_entries_are_what_a_get_of_each_has(self):
        entries = self.stream("")
        self.assertEqual(len(entries), len(self.keys))
        for entry in entries:
            key = key_in(entry)
            kind, body = value_of(key)
            single = self.assertStatus(self.client.get("/v1/notes/" + quoted(key)), 200)
            self.assertEqual(entry["etag"], single.etag, entry)
            self.assertEqual(self.tag_of(single)[1], partition_of(key, PARTITIONS))
            if "json" in kind:
                self.assertEqual(entry["value"], json.loads(body), entry)
                self.assertEqual(entry.get("type", "application/json"), kind, entry)
            else:
                self.assertEqual((base64.b64decode(entry["value64"]), entry["type"]), (body, kind), entry)

    def test_json_is_told_byte_for_byte(self):
        text = b'{"big": 123456789012345678901234567890, "e": 1.0E+2,\n"u": "\\u00e4\\/"}'
        self.put("/v1/notes/zz-bytes", text)
        self.addCleanup(self.client.delete, "/v1/notes/zz-bytes")
        page = self.client.get("/v1/notes?prefix=zz-bytes").body
        self.assertIn(b'"value":' + text + b',"etag"', page)
        line = self.client.get("/v1/notes?prefix=zz-bytes", Accept="application/x-ndjson").body
        self.assertIn(b'"value":' + text.replace(b"\n", b" ") + b',"etag"', line)
        self.assertEqual(line.count(b"\n"), 1)

    def test_a_life_that_ends_is_told(self):
        answer = self.client.put("/v1/notes/zz-life", b"1", Affinity_TTL="1h")
        self.assertStatus(answer, 201)
        self.addCleanup(self.client.delete, "/v1/notes/zz-life")
        ends = self.client.get("/v1/notes/zz-life").headers["affinity-expires"]
        (entry,) = self.stream("prefix=zz-life&keys=only")
        self.assertEqual(str(entry["expires"]), ends)

    def test_an_empty_keyspace_has_an_empty_page(self):
        self.assertEqual(self.client.get("/v1/none").json(), {"items": []})
        self.assertEqual(self.stream("", "none"), [])

    def test_a_page_of_large_values_ends_early(self):
        for i in range(5):
            self.put(f"/v1/live/large-{i}", b"x" * 400_000, "text/plain")
            self.addCleanup(self.client.delete, f"/v1/live/large-{i}")
        counts = [len(items) for items in self.pages("/v1/live?prefix=large-&limit=10")]
        self.assertEqual(counts, [2, 2, 1])
        self.assertEqual(len(self.stream("prefix=large-", "live")), 5)

    def test_head_has_the_headers_of_the_page(self):
        wire = self.wire()
        head = wire.request("HEAD", "/v1/notes?limit=3").answer("HEAD")
        get = wire.request("GET", "/v1/notes?limit=3").answer()
        head.headers.pop("date"), get.headers.pop("date")
        self.assertEqual(head.headers, get.headers)
        self.assertIn("link", head.headers)

    def test_local_copies_can_be_scanned(self):
        answer = self.client.get("/v1/notes?limit=10000", Affinity_Consistency="eventual")
        self.assertEqual([key_in(e) for e in self.assertStatus(answer, 200).json()["items"]], self.keys)

    def test_cursors_of_other_scans_are_refused(self):
        cursor = urllib.parse.parse_qs(urllib.parse.urlsplit(self.client.get("/v1/notes?limit=1").json()["next"]).query)
        cursor = cursor["cursor"][0]
        self.assertStatus(self.client.get(f"/v1/notes?limit=5&keys=only&cursor={cursor}"), 200)
        for target, why in [
            (f"/v1/live?cursor={cursor}", "another scan"),
            (f"/v1/notes?prefix=a&cursor={cursor}", "another scan"),
            (f"/v1/notes?order=desc&cursor={cursor}", "the other `order`"),
            (f"/v1/notes?cursor={cursor}A", "none of ours"),
            ("/v1/notes?cursor=%00", "none of ours"),
        ]:
            self.assertProblem(self.client.get(target), "bad-request", detail=why)

    def test_scans_are_counted(self):
        name = 'aff_http_requests_total{route="/v1/{keyspace}",status="2xx"}'
        before = metrics_of(self.client)[name]
        self.client.get("/v1/notes")
        self.assertEqual(metrics_of(self.client)[name], before + 1)

    def test_a_key_that_stands_is_told_once_while_others_change(self):
        standing = [b"s-%03d" % i for i in range(300)]
        for key in standing:
            self.put("/v1/live/" + quoted(key), b"1")
        stop = threading.Event()
        writer = threading.Thread(target=self.change_others, args=(stop, self.server.client()))
        writer.start()
        try:
            for i in range(20):
                query = query_of(prefix=b"s-", desc=i % 2 == 1)
                if i % 4 < 2:
                    found = [key_in(e) for e in self.stream(query, "live")]
                else:
                    found = [key_in(e) for items in self.pages(f"/v1/live?{query}&limit=37") for e in items]
                self.assertEqual(len(found), len(set(found)), "a key was told twice")
                self.assertEqual(found, sorted(found, reverse=i % 2 == 1), "the order is not kept")
                self.assertEqual(sorted(k for k in found if len(k) == 5), standing, "a key that stood was not told")
        finally:
            stop.set()
            writer.join()

    @staticmethod
    def change_others(stop, client):
        """Puts and deletes keys between those that stand, and rewrites some of those."""
        rng = random.Random(2)
        while not stop.is_set():
            key = f"/v1/live/s-{rng.randrange(300):03d}"
            between = key + f"-{rng.randrange(5)}"
            client.put(key, b"%d" % rng.randrange(10**6))
            if rng.random() < 0.5:
                client.put(between, b"2")
            else:
                client.delete(between)

    # ---- clients that do not read ----

    def open_stream(self, server, target="/v1/big"):
        client = socket.create_connection((server.host, server.port), timeout=60)
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nAccept: application/jsonl\r\n\r\n".encode())
        return client

    def fill(self, server, mib=24):
        """More than the socket buffers of both sides hold."""
        client = server.client()
        for i in range(mib * 4):
            self.assertStatus(client.put(f"/v1/big/{i:04d}", b"x" * 262144, "text/plain"), 201)
        return client

    def test_clients_that_leave_or_do_not_read_are_given_up(self):
        with self.serving(keyspaces={"big": {}}, config={"limits": {"idle_timeout": "1s"}}) as server:
            admin = self.fill(server)
            left = self.open_stream(server)
            left.recv(1000)
            left.close()
            stuck = self.open_stream(server)
            wait_until("both connections are closed", lambda: total(metrics_of(admin), "aff_http_connections") == 1)
            self.assertNotIn(b"\r\n0\r\n\r\n", self.read_all(stuck))

    def test_a_client_that_reads_too_slowly_is_given_up(self):
        limits = {"idle_timeout": "1s", "body_min_rate": "1GiB"}
        with self.serving(keyspaces={"big": {}}, config={"limits": limits}) as server:
            admin = self.fill(server)
            slow = self.open_stream(server)

            def given_up():
                slow.recv(4096)
                return self.timeouts(admin) >= 1

            wait_until("the slow client is given up", given_up)

    @staticmethod
    def timeouts(client):
        return metrics_of(client)['aff_http_timeouts_total{what="send"}']

    @staticmethod
    def read_all(client):
        data = b""
        try:
            while more := client.recv(1 << 20):
                data += more
        except ConnectionResetError:
            pass
        return data

    def test_a_stop_ends_a_stream_with_a_problem(self):
        with self.serving(keyspaces={"big": {}}) as server:
            self.fill(server)
            client = self.open_stream(server)
            first = client.recv(1000)
            server.process.terminate()
            rest = self.read_all(client)
            self.assertEqual(server.process.wait(60), 0, "it was not drained")
            data = first + rest
            self.assertNotIn(b"\r\n0\r\n\r\n", data[-10:], "the stream claims to be whole")
            problem = data[data.rindex(b'{"problem":') :].split(b"\n")[0]
            self.assertIn(b"problems/draining", problem)
            self.assertIn(b'"next":"/v1/big?cursor=', problem)

    # ---- restarts ----

    def test_a_cursor_outlives_restarts(self):
        with self.serving(keyspaces={"notes": {"partitions": PARTITIONS}}) as server:
            client = server.client()
            keys = self.keys[::4]
            for key in keys:
                self.assertStatus(client.put("/v1/notes/" + quoted(key), b"1"), 201)
            page = client.get("/v1/notes?limit=30").json()
            found = [key_in(e) for e in page["items"]]
            for end in (server.stop, server.kill):
                end()
                server.start()
                page = server.client().get(page["next"]).json()
                found += [key_in(e) for e in page["items"]]
            for items in self.pages(page["next"], server.client()):
                found += [key_in(e) for e in items]
            self.assertEqual(found, keys)


if __name__ == "__main__":
    main()
