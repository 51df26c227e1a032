"""bank_test - what the README of example/bank says, against the real program; its queries against a reference made of the input."""
import concurrent.futures
import datetime
import json
import random
import signal
import sys
import unittest
import urllib.parse

from harness import Server

DAY_MS = 24 * 60 * 60 * 1000
FIRST_DAY = datetime.date(2026, 6, 1)
DAYS = 92
ACCOUNTS = ["ann", "anna", "ann 2", "bob", "bö", "c%d", "7", "70"]
BRANCHES = ["north", "north sea", "north/1", "south", "", "ä", "12", "x" * 100, "x" * 101]


class BankTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server([BINARY]))

    def setUp(self):
        self.client = self.server.client()

    def post(self, target, amount, **headers):
        return self.client.post(f"/v1/accounts/{target}", json.dumps({"amount": amount}), **headers)

    def balance(self, account):
        answer = self.client.get(f"/v1/accounts/{account}/balance")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_deposit_opens_the_account_and_answers_with_what_is_stored(self):
        answer = self.post("ann/deposit", 5)
        self.assertEqual((answer.status, answer.json()), (200, {"balance": 5}), answer)
        self.assertEqual(self.client.get("/v1/accounts/ann").json(), {"balance": 5})
        self.assertEqual(self.balance("ann"), 5)

    def test_withdraw_refuses_more_than_there_is_and_changes_nothing(self):
        self.post("bob/deposit", 10)
        etag = self.client.get("/v1/accounts/bob").etag
        answer = self.post("bob/withdraw", 11)
        self.assertEqual(answer.status, 409, answer)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        self.assertTrue(answer.json()["type"].endswith("/insufficient-funds"), answer)
        self.assertEqual(self.client.get("/v1/accounts/bob").etag, etag)
        self.assertEqual(self.post("bob/withdraw", 10).json(), {"balance": 0})

    def test_there_is_no_account_before_its_first_deposit(self):
        self.assertEqual(self.post("nobody/withdraw", 1).status, 404)
        self.assertEqual(self.client.get("/v1/accounts/nobody/balance").status, 404)
        self.assertEqual(self.client.get("/v1/accounts/nobody").status, 404)

    def test_amounts_are_whole_numbers_above_zero(self):
        for amount in (0, -1, 1.5, "5", None, 10**9 + 1):
            answer = self.post("cid/deposit", amount)
            self.assertEqual(answer.status, 422, f"{amount}: {answer}")
        self.assertEqual(self.client.get("/v1/accounts/cid").status, 404)

    def test_an_integer_is_one_however_it_is_written(self):
        for text in ('{"amount": 5}', '{"amount": 5.0}', '{"amount": 0.5e1}'):
            answer = self.client.post("/v1/accounts/hal/deposit", text)
            self.assertEqual(answer.status, 200, f"{text}: {answer}")
        self.assertEqual(self.balance("hal"), 15)
        for text in ('{"amount": 5.5}', '{"amount": 1e300}', '{"amount": -5.0}'):
            self.assertEqual(self.client.post("/v1/accounts/hal/deposit", text).status, 422, text)

    def test_a_repeated_key_deposits_once(self):
        first = self.post("dora/deposit", 7, Idempotency_Key="a1")
        again = self.post("dora/deposit", 7, Idempotency_Key="a1")
        self.assertEqual(again.headers.get("affinity-replayed"), "true", again)
        self.assertEqual((again.status, again.body, again.etag), (first.status, first.body, first.etag))
        self.assertEqual(self.post("dora/deposit", 8, Idempotency_Key="a1").status, 422)
        self.assertEqual(self.balance("dora"), 7)

    def test_accounts_are_changed_by_commands_alone(self):
        answer = self.client.put("/v1/accounts/eve", b'{"balance": 1000000}')
        self.assertEqual(answer.status, 405, answer)
        self.assertEqual(self.client.delete("/v1/accounts/eve").status, 405)

    def test_many_deposits_at_once_are_all_counted(self):
        def deposit(amount):
            client = self.server.client()
            return client.post("/v1/accounts/fay/deposit", json.dumps({"amount": amount})).status

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(deposit, range(1, 201)))
        self.assertEqual(set(statuses), {200})
        self.assertEqual(self.balance("fay"), sum(range(1, 201)))

    def test_balances_survive_a_kill(self):
        with Server([BINARY]) as server:
            for amount in (3, 4):
                answer = server.client().post("/v1/accounts/gil/deposit", json.dumps({"amount": amount}))
                self.assertEqual(answer.status, 200, answer)
            server.kill()
            server.start()
            self.assertEqual(server.client().get("/v1/accounts/gil").etag, answer.etag)
            self.assertEqual(server.client().get("/v1/accounts/gil/balance").json(), 7)


class Transaction:
    """What the input says of a key; the reference asks nothing but this."""

    def __init__(self, rng, key):
        self.key = key
        self.account, day, _ = key.split("/")
        self.branch = rng.choice(BRANCHES)
        self.amount = rng.randint(-1000, 1000)
        self.branch_day = f"{self.branch}/{day}" if len(self.branch.encode()) <= 100 else None
        self.ms = None
        if rng.random() < 0.95:  # the others have no event time
            midnight = datetime.datetime.fromisoformat(day + "T00:00:00+00:00")
            self.ms = int(midnight.timestamp()) * 1000 + rng.randrange(DAY_MS)

    @property
    def value(self):
        return {"branch": self.branch, "amount": self.amount}

    @property
    def line(self):
        return {"key": self.key, "value": self.value, **({} if self.ms is None else {"event_time": self.ms})}


class Ledger:
    """The input, and what each query must tell of it: keys in their order."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.all = {}

    def changes(self, count):
        """Lines of a bulk write: new ones, others in the place of old ones, deletes."""
        for _ in range(count):
            if self.all and self.rng.random() < 0.2:
                key = self.rng.choice(list(self.all))
                del self.all[key]
                yield {"key": key, "delete": True}
                continue
            day = FIRST_DAY + datetime.timedelta(self.rng.randrange(DAYS))
            key = f"{self.rng.choice(ACCOUNTS)}/{day}/{self.rng.randrange(12)}"
            self.all[key] = Transaction(self.rng, key)
            yield self.all[key].line

    def keys(self, chosen, term=None):
        """In the order of keys, or of (term, key)."""
        found = [t for t in self.all.values() if chosen(t)]
        found.sort(key=lambda t: (b"" if term is None else term(t), t.key.encode()))
        return [t.key for t in found]

    def some_days(self):
        """Two days, of which the first comes first."""
        low, high = sorted(self.rng.sample(range(DAYS + 1), 2))
        return [str(FIRST_DAY + datetime.timedelta(day)) for day in (low, high)]


class TransactionsTest(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server([BINARY]))
        self.client = self.server.client()

    def restart(self, end):
        self.assertIn(end(), (0, -signal.SIGKILL))
        self.client = self.server.start().client()

    def write(self, lines):
        body = "\n".join(map(json.dumps, lines)).encode()
        answer = self.client.post("/v1/transactions", body, "application/jsonl", Prefer="return=minimal")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["failed"], 0, answer)

    def pages(self, **query):
        """The entries of all pages."""
        target, items = "/v1/transactions?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote), []
        while target:
            answer = self.client.get(target)
            self.assertEqual(answer.status, 200, f"{target}: {answer}")
            page = answer.json()
            items += page["items"]
            target = page.get("next")
        return items

    def check(self, ledger, expected, **query):
        """In both orders, by pages of any size, and as lines: the keys, each with what was put."""
        self.assertEqual([item["key"] for item in self.pages(**query, keys="only", order="desc", limit=1000)], expected[::-1], query)
        items = self.pages(**query, limit=ledger.rng.choice([30, 100, 10000]))
        self.assertEqual([item["key"] for item in items], expected, query)
        for item in items:
            transaction = ledger.all[item["key"]]
            self.assertEqual((item["value"], item.get("event_time")), (transaction.value, transaction.ms))
        target = "/v1/transactions?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        lines = self.client.get(target, Accept="application/jsonl").body.splitlines()
        self.assertEqual([json.loads(line) for line in lines], items, query)

    def check_accounts(self, ledger):
        for account in (*ACCOUNTS, "an", "nobody"):
            prefix = account + "/"
            self.check(ledger, ledger.keys(lambda t: t.account == account), prefix=prefix)
            july = ledger.keys(lambda t: t.account == account and t.key.startswith(prefix + "2026-07-"))
            self.check(ledger, july, prefix=prefix + "2026-07-")
            low, high = (prefix + day for day in ledger.some_days())
            between = ledger.keys(lambda t: t.account == account and low.encode() <= t.key.encode() < high.encode())
            self.check(ledger, between, prefix=prefix, start=low, end=high)

    def check_branches(self, ledger):
        for branch in (*BRANCHES, "nort"):
            self.check(ledger, ledger.keys(lambda t: t.branch == branch), index="by_branch", value=json.dumps(branch))
            low, high = (f"{branch}/{day}" for day in ledger.some_days())
            chosen = ledger.keys(
                lambda t: t.branch_day is not None and low.encode() <= t.branch_day.encode() < high.encode(),
                lambda t: t.branch_day.encode(),
            )
            self.check(ledger, chosen, **{"index": "by_branch_day", "from": low, "to": high})

    def check_dates(self, ledger):
        for _ in range(8):
            days = ledger.some_days()
            low, high = (int(datetime.datetime.fromisoformat(day + "T06:30:00+00:00").timestamp()) * 1000 for day in days)
            chosen = ledger.keys(lambda t: t.ms is not None and low <= t.ms < high, lambda t: t.ms)
            self.check(ledger, chosen, **{"index": "when", "from": days[0] + "T06:30:00Z", "to": days[1] + "T08:30:00+02:00"})
            self.check(ledger, chosen, **{"index": "when", "from": low, "to": high})
        self.check(ledger, ledger.keys(lambda t: t.ms is not None, lambda t: t.ms), index="when")

    def check_all(self, ledger):
        self.check_accounts(ledger)
        self.check_branches(ledger)
        self.check_dates(ledger)
        self.check(ledger, ledger.keys(lambda t: True))

    def test_queries_tell_what_the_input_says(self):
        ledger = Ledger(20260714)
        self.write(ledger.changes(2500))
        self.check_all(ledger)
        for end in (self.server.stop, self.server.kill):
            self.restart(end)
            self.check_all(ledger)
            self.write(ledger.changes(500))
        self.write([{"key": key, "delete": True} for key in ledger.all])
        ledger.all.clear()
        self.check_all(ledger)

    def test_a_key_that_names_no_day_is_in_no_index_of_days(self):
        keys = ["ann", "ann/2026-07-14", "ann/2026-07-141/1", "ann/2026-7-14/1", "ann/x026-07-14/1", "/2026-07-14/1", "ann/2026-07-14/"]
        self.write([{"key": key, "value": {"branch": "north", "amount": 1}} for key in keys])
        self.write([{"key": f"bob/2026-07-14/{i}", "value": value} for i, value in enumerate((7, {}, {"branch": 7}, ["north"]))])
        self.write([{"key": "cid/2026-07-14/1", "value64": "AAECAw=="}])
        self.assertEqual([item["key"] for item in self.pages(index="by_branch", value="north")], sorted(keys))
        self.assertEqual([item["key"] for item in self.pages(index="by_branch_day")], ["/2026-07-14/1", "ann/2026-07-14/"])

    def test_an_account_and_its_transactions_share_a_partition(self):
        for account in ("ann", "bob", "cid", "dora"):
            tags = [self.client.post(f"/v1/accounts/{account}/deposit", b'{"amount": 1}').etag]
            for key in ("2026-07-14%2F1", "2026-08-01%2F7"):
                tags.append(self.client.put(f"/v1/transactions/{account}%2F{key}", b'{"branch": "north", "amount": 1}').etag)
            self.assertEqual(len({tag.split("-")[1] for tag in tags}), 1, tags)

    def test_a_deposit_and_its_transaction_that_are_repeated_happen_once(self):
        rng, total = random.Random(5), 0
        for number in range(1, 21):
            amount, key = rng.randint(1, 100), f"ann/2026-07-14/{number}"
            total += amount
            for _ in range(rng.randint(1, 3)):
                body = json.dumps({"branch": "north", "amount": amount})
                paid = self.client.post("/v1/accounts/ann/deposit", json.dumps({"amount": amount}), Idempotency_Key=key)
                self.assertEqual(paid.status, 200, paid)
                target = "/v1/transactions/" + urllib.parse.quote(key, safe="")
                self.assertIn(self.client.put(target, body, If_None_Match="*").status, (201, 412))
        self.assertEqual(self.client.get("/v1/accounts/ann/balance").json(), total)
        self.assertEqual(sum(item["value"]["amount"] for item in self.pages(prefix="ann/")), total)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
