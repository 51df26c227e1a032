"""bank_test - what the README of example/bank says, against the real program."""
import concurrent.futures
import json
import sys
import unittest

from harness import Server


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


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
