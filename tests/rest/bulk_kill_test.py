"""bulk_kill_test - a million lines, in bulk writes, by a client that is cut off five times: each is written once.

The server is killed in the middle of requests; the client sends the request that was not answered whole again, with the same ids.
"""
import hashlib
import http.client
import json
import random
import subprocess

from conversation import Conversation, Programs, main, metrics_of, partition_of, total

LINES, REQUEST, KILLS, PARTITIONS = 1_000_000, 5_000, 5, 8
TYPE = {"Content-Type": "application/jsonl"}


def key(number):
    return f"entry/{number}"


def value(number):
    return f'{{"n":{number},"square":{number * number}}}'


def body(first):
    return "".join(
        f'{{"key":"{key(n)}","value":{value(n)},"id":"load-1-{n}"}}\n' for n in range(first, first + REQUEST)
    ).encode()


def digests():
    """Of each partition when it has each entry once: [number of keys, digest], as doc/operations.md tells."""
    sums = [[0, 0] for _ in range(PARTITIONS)]
    for number in range(LINES):
        name = key(number).encode()
        parts = (name, b"application/json", value(number).encode())
        digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
        at = sums[partition_of(name, PARTITIONS)]
        at[0] += 1
        at[1] += int.from_bytes(digest[:16], "big")
    return [[count, f"{digest % 2**128:032x}"] for count, digest in sums]


class Killed(Conversation):
    keyspaces = {"entries": {"partitions": PARTITIONS}}

    def load(self, first, tags, kill_after):
        """One request; how many of its lines were answered, all of them if nobody was killed. Kills after so many lines."""
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=120)
        answered = 0
        try:
            connection.request("POST", "/v1/entries", body(first), TYPE)
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            while text := response.readline():
                if not text.endswith(b"\n"):
                    break
                self.assertLine(json.loads(text), first + answered, tags)
                answered += 1
                if answered == kill_after:
                    self.server.kill()
        except (OSError, http.client.HTTPException):
            self.assertTrue(kill_after, "the connection ended, and nobody was killed")
        finally:
            connection.close()
        return answered

    def assertLine(self, result, number, tags):
        """Created, now or before; and where it was acknowledged once it stays."""
        self.assertEqual((result.get("key"), result["status"]), (key(number), 201), result)
        before = tags.setdefault(number, result["etag"])
        self.assertEqual(result["etag"], before, "it was written again")

    def test_a_million_lines_are_written_once(self):
        chance, tags = random.Random(4), {}
        kills = {chance.randrange(LINES // REQUEST) * REQUEST: chance.randrange(1, REQUEST) for _ in range(KILLS)}
        self.assertEqual(len(kills), KILLS)
        replayed = 0
        for first in range(0, LINES, REQUEST):
            if first in kills:
                answered = self.load(first, tags, kills[first])
                self.assertFalse(self.server.runs())
                self.server.start()
                replayed += answered
            self.assertEqual(self.load(first, tags, None), REQUEST)
        self.assertGreater(replayed, 0)
        self.assertEqual(len(set(tags.values())), LINES)
        self.assertState(len(tags))

    def assertState(self, count):
        line = [Programs.affinity, "verify", "--json", "--url", f"http://127.0.0.1:{self.server.port}"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        parts = sorted(json.loads(done.stdout)["partitions"], key=lambda part: part["partition"])
        self.assertEqual(sum(part["keys"] for part in parts), count)
        self.assertEqual([[part["keys"], part["plain_digest"]] for part in parts], digests())
        records = total(metrics_of(self.server.client()), "aff_partition_applied")
        others = records - count  # claims, and barriers
        self.assertLess(others, (KILLS + 1) * PARTITIONS * 10, "there are more records than entries")


if __name__ == "__main__":
    main()
