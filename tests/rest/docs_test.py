"""docs_test - /docs in a real browser: it shows every operation, its forms work, and it asks nobody but this server."""
import json
import unittest

from browser import Browser
from conversation import Conversation, Programs, main

OPERATIONS = "[...document.querySelectorAll('details.operation')]"


class Docs(Conversation):
    @classmethod
    def command(cls):
        return Programs.others[:1]  # the bank: commands besides values

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = cls.enterClassContext(Browser())

    def show(self, place=""):
        page = self.browser.open(f"http://127.0.0.1:{self.server.port}/docs{place}")
        page.wait("document.getElementById('operations')?.getAttribute('aria-busy') === 'false'")
        return page

    def assertQuiet(self, page):
        """No complaint, and no request to anybody else."""
        self.assertEqual(page.problems, [])
        here = f"http://127.0.0.1:{self.server.port}/"
        self.assertTrue(page.requests)
        self.assertEqual([url for url in page.requests if not url.startswith((here, "data:"))], [])

    def fill(self, page, operation, **fields):
        """Opens an operation, fills its form by the labels, sends it; (status, headers, body) as the page shows them."""
        at = f"document.getElementById({json.dumps(operation)})"
        page.value(f"{at}.open = true")
        page.wait(f"{at}.querySelector('form') !== null")
        for label, text in fields.items():
            label = label.replace("_", "-")
            found = page.value(f"""(() => {{
                const label = [...{at}.querySelectorAll("label")].find((l) => l.textContent.split(" ")[0] === {json.dumps(label)});
                if (!label) return false;
                document.getElementById(label.htmlFor).value = {json.dumps(text)};
                return true; }})()""")
            self.assertTrue(found, f"{operation} has no field {label}")
        page.value(f"{at}.querySelector('[role=status]').replaceChildren()")
        page.value(f"{at}.querySelector('form button').click()")
        page.wait(f"{at}.querySelector('[role=status] .answer') !== null")
        return [page.value(f"{at}.querySelector('[role=status] .{part}').textContent") for part in ("status", "headers", "answer")]

    def test_it_lists_every_operation_and_asks_nobody_else(self):
        page = self.show()
        described = self.client.get("/openapi.json").json()
        expected = {(path, method) for path, item in described["paths"].items() for method in item}
        shown = page.value(f"{OPERATIONS}.map((o) => [o.dataset.path, o.dataset.method])")
        self.assertEqual(sorted(map(tuple, shown)), sorted(expected))
        self.assertEqual(page.value("document.title"), described["info"]["title"])
        self.assertEqual(page.value("document.querySelectorAll('#schemas h3').length"), len(described["components"]["schemas"]))
        page.value(f"{OPERATIONS}.forEach((o) => {{ o.open = true; }})")
        page.wait(f"{OPERATIONS}.every((o) => o.querySelector('form') !== null)")
        self.assertQuiet(page)

    def test_what_is_shown_can_be_chosen(self):
        page = self.show()
        visible = f"{OPERATIONS}.filter((o) => !o.hidden).map((o) => o.dataset.method + ' ' + o.dataset.path)"
        self.assertFalse([o for o in page.value(visible) if o.startswith(("head", "options"))])
        page.value("document.getElementById('rest').click()")
        self.assertIn("options /livez", page.value(visible))
        page.value("""{ const f = document.getElementById("filter"); f.value = "DEPOSIT"; f.dispatchEvent(new Event("input")); }""")
        self.assertEqual(page.value(visible), ["post /v1/accounts/{key}/deposit", "options /v1/accounts/{key}/deposit"])
        self.assertQuiet(page)

    def test_a_value_is_put_and_shown(self):
        page = self.show()
        text = '{"text": "<b>Füße</b> & \\"more\\""}'
        status, headers, _ = self.fill(page, "notes.value.put", key="a/b %?#", Body=text, Idempotency_Key="k1")
        self.assertEqual(status, "Status 201", headers)
        self.assertValue("/v1/notes/a%2Fb%20%25%3F%23", text.encode(), "application/json")
        status, headers, body = self.fill(page, "notes.value.get", key="a/b %?#")
        self.assertEqual((status, body), ("Status 200", text))
        etag = next(line for line in headers.splitlines() if line.startswith("etag: "))[6:]
        self.assertEqual(self.fill(page, "notes.value.get", If_None_Match=etag)[0], "Status 304")
        self.assertQuiet(page)

    def test_a_command_is_run_and_its_refusal_shown(self):
        page = self.show("#accounts.command.deposit.post")
        self.assertTrue(page.value("document.getElementById('accounts.command.deposit.post').open"))
        status, _, body = self.fill(page, "accounts.command.deposit.post", key="ann", Body='{"amount": 5}')
        self.assertEqual((status, json.loads(body)), ("Status 200", {"balance": 5}))
        status, _, body = self.fill(page, "accounts.command.withdraw.post", key="ann", Body='{"amount": 9}')
        self.assertEqual((status, json.loads(body)["detail"]), ("Status 409", "balance 5 is below 9"))
        self.assertEqual(self.client.get("/v1/accounts/ann/balance").json(), 5)
        complaints = [p for p in page.problems if "409" not in str(p)]  # a browser logs each answer of 4xx
        self.assertEqual(complaints, [])

    def test_its_policy_forbids_everything_else(self):
        page = self.show()
        self.assertEqual(page.value("fetch('http://127.0.0.1:9/').then(() => 'sent', (e) => 'refused')"), "refused")
        page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hurt = 1\">')")
        page.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hurt = 2'}))")
        self.assertIsNone(page.value("window.hurt"))
        self.assertTrue(all("Content Security Policy" in str(p) for p in page.problems), page.problems)
        self.assertGreaterEqual(len(page.problems), 3)


if __name__ == "__main__":
    main()
