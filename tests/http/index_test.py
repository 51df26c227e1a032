"""index_test - queries by an index are what a look at every value finds: after random writes, deletes, expiries and restarts, after
kill -9, and when indexes are declared later, changed and removed; pages, streams, ranges, both orders."""
import datetime
import json
import random
import urllib.parse
from decimal import Decimal

from conversation import Conversation, main, wait_until

PARTITIONS = 4
INDEXES = {"branch": "/branch", "tag": "/tags", "cents": "/money/cents", "when": "event-time"}
BRANCHES = ["north", "south", "", "12", "null", "ä", "x" * 700, "x" * 700 + "y"]
TAGS = ["a", "b", "ab", None, True, False, 1, 12, "12", 0.5, ["nested"], {}]
CENTS = ["0", "-0", "1", "1.0", "10e-1", "2.5", "-3", "-2.50", "9007199254740993", "9007199254740992", "1e30", "1e-30", '"1"']


def rank(value):
    """A scalar as the index orders it: its type, then itself; None: it is no scalar."""
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (1 + value,)
    if isinstance(value, (int, Decimal)):
        return (3, Decimal(value))
    return (4, value.encode()) if isinstance(value, str) else None


class Document:
    """What a key has, and which terms its indexes should find."""

    def __init__(self, rng):
        self.event = rng.choice([None, rng.randrange(-5000, 5000)])
        self.text = '{"branch":%s, "tags":%s,\n"money":{"cents":%s}}' % (
            json.dumps(rng.choice(BRANCHES)), json.dumps(rng.sample(TAGS, rng.randrange(5))), rng.choice(CENTS))
        self.type = "application/json"
        if rng.randrange(8) == 0:
            self.text, self.type = rng.choice([('{"branch":"north"}', "text/plain"), ("[]", "application/json"),
                                               ('{"tags":"a","money":[]}', "application/vnd.x+json")])

    def ranks(self, index):
        if index == "when":
            return [] if self.event is None else [(3, Decimal(self.event))]
        at = None if "json" not in self.type else json.loads(self.text, parse_float=Decimal)
        for name in INDEXES[index].split("/")[1:]:
            at = at.get(name, {}) if isinstance(at, dict) else {}
        found = [rank(one) for one in (at if isinstance(at, list) else [at])]
        return sorted({one for one in found if one}) if not isinstance(at, dict) else []


def text_of(term):
    """A term as a query has it."""
    if term[0] == 4:
        return json.dumps(term[1].decode(), ensure_ascii=False)
    return ["null", "false", "true"][term[0]] if term[0] < 3 else str(term[1])


class Queries(Conversation):
    keyspaces = {"notes": {"partitions": PARTITIONS, "indexes": INDEXES}, "plain": {}}

    def entries(self, client, query):
        """(key, value) of all pages."""
        url, found = "/v1/notes?" + query, []
        while url:
            page = self.assertStatus(client.get(url), 200).json()
            found += [(entry["key"], entry.get("value", entry.get("value64"))) for entry in page["items"]]
            url = page.get("next")
        return found

    def expected(self, documents, index, low=None, high=None, desc=False):
        """Keys in the order of (term, key), those of terms from `low` to before `high`."""
        pairs = [(term, key.encode()) for key, document in documents.items() for term in document.ranks(index)
                 if (low is None or term >= low) and (high is None or term < high)]
        return [key.decode() for _, key in sorted(pairs, reverse=desc)]

    def query(self, index, **more):
        return f"index={index}&" + "&".join(f"{name}={urllib.parse.quote(str(value))}" for name, value in more.items())

    def same(self, documents, index, got, want):
        """Long terms stand in the order of their beginnings: there only which keys there are is compared."""
        long = any(term[0] == 4 and len(term[1]) > 400 for key in set(want) for term in documents[key].ranks(index))
        self.assertEqual(sorted(got) if long else got, sorted(want) if long else want)

    def compare(self, client, documents, rng, indexes=INDEXES):
        for index in indexes:
            terms = sorted({term for document in documents.values() for term in document.ranks(index)})
            for desc in (False, True):
                order = {"order": "desc"} if desc else {}
                everything = [k for k, _ in self.entries(client, self.query(index, limit=rng.choice([3, 50, 1000]), **order))]
                self.same(documents, index, everything, self.expected(documents, index, desc=desc))
                for term in rng.sample(terms, min(4, len(terms))):
                    got = self.entries(client, self.query(index, value=text_of(term), limit=rng.choice([1, 2, 100]), **order))
                    want = sorted((key for key in documents if term in documents[key].ranks(index)), reverse=desc)
                    self.same(documents, index, [k for k, _ in got], want)
                    for key, value in got:
                        if documents[key].type == "application/json":
                            self.assertEqual(value, json.loads(documents[key].text))
                low, high = sorted(rng.choices([t for t in terms if t[0] == 3], k=2)) if index in ("when", "cents") else (None, None)
                if low and low != high:
                    got = self.entries(client, self.query(index, **{"from": text_of(low)}, to=text_of(high), limit=7, **order))
                    self.assertEqual([k for k, _ in got], self.expected(documents, index, low, high, desc))

    def change(self, client, documents, rng, count):
        for _ in range(count):
            key = f"k{rng.randrange(60)}" + "z" * rng.choice([0, 0, 300])
            if rng.randrange(4) == 0 and key in documents:
                del documents[key]
                self.assertStatus(client.delete("/v1/notes/" + key), 204)
                continue
            document = Document(rng)
            fields = {} if document.event is None else {"Affinity_Event_Time": str(document.event)}
            expires = rng.randrange(10) == 0
            if expires:
                fields["Affinity_TTL"] = "1ms"
            self.assertStatus(client.put("/v1/notes/" + key, document.text.encode(), document.type, **fields), 200, 201)
            documents[key] = document
            if expires:
                wait_until("it expires", lambda key=key: client.get("/v1/notes/" + key).status == 404)
                del documents[key]

    def wait_whole(self, client, indexes):
        for index in indexes:
            wait_until(f"{index} is whole", lambda index=index: client.get(f"/v1/notes?index={index}&limit=1").status == 200)

    def test_an_index_is_what_a_look_at_every_value_finds(self):
        for seed in (1, 2):
            rng, documents = random.Random(seed), {}
            with self.serving() as server:
                for end in (server.stop, server.kill, server.stop):
                    client = server.client()
                    self.change(client, documents, rng, 120)
                    self.compare(client, documents, rng)
                    end()
                    server.start()
                self.compare(server.client(), documents, rng)

    def test_what_is_declared_later_is_built_and_what_is_not_is_gone(self):
        rng, documents = random.Random(5), {}
        keyspaces = {"notes": {"partitions": PARTITIONS}}
        with self.serving(keyspaces=keyspaces) as server:
            self.change(server.client(), documents, rng, 150)
            self.assertProblem(server.client().get("/v1/notes?index=branch&value=north"), "bad-request", detail="and no other")
            for some, end in (["branch", "when"], server.stop), (["when", "tag", "cents"], server.kill), (["branch"], server.kill), \
                             (list(INDEXES), server.stop):
                end()
                server.config["keyspaces"] = {"notes": {"partitions": PARTITIONS, "indexes": {i: INDEXES[i] for i in some}}}
                client = server.start().client()
                self.change(client, documents, rng, 60)
                self.wait_whole(client, some)
                self.compare(client, documents, rng, some)
            server.stop()
            server.config["keyspaces"]["notes"]["indexes"] = {"branch": "/tags"}
            client = server.start().client()
            self.wait_whole(client, ["branch"])
            got = [key for key, _ in self.entries(client, self.query("branch"))]
            self.same(documents, "tag", got, self.expected(documents, "tag"))

    def test_streams_eventual_reads_and_heads_take_an_index(self):
        rng, documents = random.Random(9), {}
        with self.serving() as server:
            client = server.client()
            self.change(client, documents, rng, 80)
            want = self.expected(documents, "branch", (4, b"north"), (4, b"south\0"))
            query = "/v1/notes?index=branch&from=north&to=%22south%5cu0000%22"
            answer = self.assertStatus(client.get(query, Accept="application/jsonl"), 200)
            self.assertEqual([json.loads(line)["key"] for line in answer.body.splitlines()], want)
            answer = self.assertStatus(client.get(query + "&keys=only&limit=1000", Affinity_Consistency="eventual"), 200)
            self.assertEqual([entry["key"] for entry in answer.json()["items"]], want)
            self.assertStatus(client.request("HEAD", query), 200)

    def test_times_are_asked_for_in_both_forms(self):
        with self.serving() as server:
            client = server.client()
            noon = datetime.datetime(2026, 7, 14, 12, tzinfo=datetime.timezone.utc)
            for minute in range(5):
                at = noon + datetime.timedelta(minutes=minute, milliseconds=250)
                client.put(f"/v1/notes/m{minute}", b"1", Affinity_Event_Time=str(int(at.timestamp() * 1000)))
            for low, high in ("2026-07-14T12:01:00.250Z", "2026-07-14T14:03:00.25+02:00"), (
                    int(noon.timestamp() * 1000) + 60250, int(noon.timestamp() * 1000) + 180250):
                query = self.query("when", **{"from": low}, to=high)
                self.assertEqual([key for key, _ in self.entries(client, query)], ["m1", "m2"])
            self.assertEqual(len(self.entries(client, self.query("when", to="2026-07-14T12:01:00Z"))), 1)
            self.assertEqual(len(self.entries(client, self.query("when", **{"from": "2026-07-14T12:01:00Z"}))), 4)

    def test_what_is_wrong_is_told(self):
        for query, detail in (
            ("index=brunch&value=x", "no index `brunch`; it has branch, tag, cents, when"),
            ("value=x", "need an `index`"),
            ("index=branch&value=x&from=y", "does not go with"),
            ("index=branch&prefix=x", "do not go with an `index`"),
            ("index=branch&value=x&value=y", "came twice"),
            ("index=cents&from=1&to=x", "of one type"),
            ("index=cents&value=1e99999999999999999999", "no value that an index can have"),
            ("index=branch&value=%22%5cud800%22", "no value that an index can have"),
            ("index=when&value=yesterday", "milliseconds since 1970"),
            ("index=when&value=2026-02-30T00:00:00Z", "milliseconds since 1970"),
        ):
            self.assertProblem(self.client.get("/v1/notes?" + query), "bad-request", detail=detail)
        self.assertProblem(self.client.get("/v1/plain?index=branch"), "bad-request", detail="and no other")

    def test_a_cursor_is_of_its_query(self):
        for i in range(4):
            self.put(f"/v1/notes/cursor{i}", b'{"branch":"cursor"}')
        url = self.client.get("/v1/notes?index=branch&value=cursor&limit=2").json()["next"]
        self.assertEqual(len(self.client.get(url).json()["items"]), 2)
        self.assertProblem(self.client.get(url.replace("value=cursor", "value=other")), "bad-request", detail="another scan")
        self.assertProblem(self.client.get(url.replace("index=branch", "index=tag")), "bad-request", detail="another scan")


if __name__ == "__main__":
    main()
