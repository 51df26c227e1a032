"""load_test - ten thousand requests over 64 connections, each answer compared with a model; seeded.

A connection has keys of its own, so that the model of each is exact, and asks for those of others now and then. What is
compared: status, bytes, type and version of every answer; in the end every key, and the counters.
"""
import asyncio
import random

import http1
from conversation import Conversation, main, metrics_of, total, wait_until

CONNECTIONS, REQUESTS, KEYS = 64, 160, 6
TYPES = ("application/json", "text/plain; charset=utf-8", "application/octet-stream")


class Value:
    """What is under a key. offset: of its version; None: nothing is there."""

    def __init__(self):
        self.body = self.content_type = self.etag = None
        self.old_etags = ['"00000000-0-0"']


class Asker:
    def __init__(self, test, number):
        self.test, self.number = test, number
        self.random = random.Random(f"load-{number}")
        self.connection = http1.Connection(test.server.host, test.server.port)
        self.values = {f"/v1/notes/{number}%2F{i}": Value() for i in range(KEYS)}
        self.count = 0
        self.repeats = []  # (path, body, type, id, answer) of writes that can be sent again

    async def ask(self, method, path, body=b"", *fields):
        self.count += 1
        answer = await self.connection.request(method, path, body, fields)
        self.said = f"{self.number}/{self.count}: {method} {path} {fields} {body[:60]!r} -> {answer}"
        return answer

    def expect(self, found, expected):
        self.test.assertEqual(found, expected, self.said)

    def body(self):
        content_type = self.random.choice(TYPES)
        size = self.random.choice((0, 10, 100, 3000, 70000)) if self.random.random() < 0.3 else 20
        if content_type == TYPES[0]:
            return b'{"by": %d, "n": %d, "pad": "%s"}' % (self.number, self.count, b"x" * size), content_type
        return self.random.randbytes(size), content_type

    async def run(self):
        steps = [self.put, self.put, self.get, self.get, self.head, self.delete, self.create, self.refused_put]
        steps += [self.conditional_put, self.conditional_get, self.look_elsewhere, self.idempotent_put, self.repeat]
        while self.count < REQUESTS:
            path = self.random.choice(list(self.values))
            await self.random.choice(steps)(path, self.values[path])
        self.connection.close()

    # ---- steps ----

    async def write(self, path, value, *fields):
        body, content_type = self.body()
        answer = await self.ask("PUT", path, body, ("Content-Type", content_type), *fields)
        self.expect(answer.status, 201 if value.body is None else 200)
        self.took(value, answer, body, content_type)
        return body, content_type, answer

    def took(self, value, answer, body, content_type):
        if value.etag:
            self.test.assertNotEqual(answer.etag, value.etag, self.said)
            value.old_etags.append(value.etag)
        value.body, value.content_type, value.etag = body, content_type, answer.etag
        self.test.assertRegex(answer.etag, r'^"[0-9a-f]{8}-[0-9]+-[0-9]+"$', self.said)

    async def put(self, path, value):
        await self.write(path, value)

    async def get(self, path, value):
        answer = await self.ask("GET", path)
        if value.body is None:
            self.expect(answer.status, 404)
            return
        self.expect((answer.status, answer.body), (200, value.body))
        self.expect((answer.headers["content-type"], answer.etag), (value.content_type, value.etag))

    async def head(self, path, value):
        answer = await self.ask("HEAD", path)
        self.expect(answer.status, 404 if value.body is None else 200)
        if value.body is not None:
            self.expect((answer.headers["content-length"], answer.etag), (str(len(value.body)), value.etag))

    async def delete(self, path, value):
        answer = await self.ask("DELETE", path)
        self.expect(answer.status, 404 if value.body is None else 204)
        if value.body is not None:
            value.old_etags.append(value.etag)
            value.body = value.content_type = value.etag = None

    async def conditional_put(self, path, value):
        if value.etag and self.random.random() < 0.5:
            await self.write(path, value, ("If-Match", f"{value.old_etags[-1]}, {value.etag}"))
            return
        body, content_type = self.body()
        answer = await self.ask("PUT", path, body, ("Content-Type", content_type), ("If-Match", value.old_etags[-1]))
        self.expect(answer.status, 412)

    async def conditional_get(self, path, value):
        answer = await self.ask("GET", path, b"", ("If-None-Match", value.etag or "*"))
        self.expect(answer.status, 304 if value.etag else 404)
        answer = await self.ask("GET", path, b"", ("If-None-Match", value.old_etags[-1]))
        self.expect((answer.status, answer.etag), (200, value.etag) if value.etag else (404, None))

    async def create(self, path, value):
        if value.body is None:
            await self.write(path, value, ("If-None-Match", "*"))
            return
        answer = await self.ask("PUT", path, b"{}", ("If-None-Match", "*"))
        self.expect(answer.status, 412)

    async def refused_put(self, path, value):
        answer = await self.ask("PUT", path, b'{"a":', ("Content-Type", "application/json"))
        self.expect((answer.status, answer.headers["content-type"]), (400, "application/problem+json"))

    async def look_elsewhere(self, path, value):
        other = self.random.randrange(CONNECTIONS)
        answer = await self.ask("GET", f"/v1/notes/{other}%2F{self.random.randrange(KEYS)}")
        self.test.assertIn(answer.status, (200, 404), self.said)
        if answer.status == 200 and answer.headers["content-type"] == TYPES[0]:
            self.expect(answer.json()["by"], other)

    async def idempotent_put(self, path, value):
        key = f"{self.number}-{self.count}"
        body, content_type, answer = await self.write(path, value, ("Idempotency-Key", key))
        self.repeats.append((path, body, content_type, key, answer))

    async def repeat(self, path, value):
        if not self.repeats:
            return
        path, body, content_type, key, first = self.random.choice(self.repeats)
        answer = await self.ask("PUT", path, body, ("Content-Type", content_type), ("Idempotency-Key", key))
        self.expect((answer.status, answer.etag), (first.status, first.etag))
        self.expect(answer.headers.get("affinity-replayed"), "true")


class Load(Conversation):
    def test_every_answer_is_the_one_of_the_model(self):
        askers = [Asker(self, i) for i in range(CONNECTIONS)]

        async def all_together():
            await asyncio.gather(*(asker.run() for asker in askers))

        asyncio.run(all_together())
        self.assertGreaterEqual(sum(asker.count for asker in askers), 10000)
        for asker in askers:
            for path, value in asker.values.items():
                answer = self.client.get(path)
                self.assertEqual(answer.body if answer.status == 200 else None, value.body, path)
        sent = sum(asker.count for asker in askers) + CONNECTIONS * KEYS
        metrics = metrics_of(self.client)
        counters = 'aff_http_requests_total{route="/v1/{keyspace}/{key}",'
        answered = sum(value for series, value in metrics.items() if series.startswith(counters))
        self.assertEqual(answered, sent, "requests were lost or answered twice")
        for name in ("http_bodies_bytes", "partition_in_flight", "partition_queued", "partition_dirty"):
            wait_until(f"aff_{name} is at rest", lambda: total(metrics_of(self.client), f"aff_{name}") == 0)
        self.assertEqual(total(metrics, "aff_partition_unknown_total"), 0)


if __name__ == "__main__":
    main()
