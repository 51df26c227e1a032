"""cors_test - what pages of other origins may do, as a browser asks for it."""
from conversation import Conversation, main

SHOP, OTHER = "https://shop.example", "https://other.example"


def cors_of(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def preflight(client, path, origin=SHOP, method="PUT", headers="content-type, if-match"):
    fields = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.request("OPTIONS", path, None, fields)


class Off(Conversation):
    def test_no_answer_has_a_field_of_it(self):
        self.put("/v1/notes/a")
        for answer in (
            preflight(self.client, "/v1/notes/a"),
            self.client.get("/v1/notes/a", Origin=SHOP),
            self.client.get("/v1/notes/none", Origin=SHOP),
        ):
            self.assertEqual((cors_of(answer), answer.headers.get("vary")), ({}, None), answer)
        self.assertEqual(preflight(self.client, "/v1/notes/a").headers["allow"].split(", ")[0], "GET")


class Named(Conversation):
    server_options = {
        "config": {"cors": {"origins": [SHOP, "http://localhost:3000"], "headers": ["X-Extra"], "max_age": "1h"}}
    }

    def test_a_page_of_a_named_origin_may_look(self):
        self.put("/v1/notes/a")
        for _ in range(3):
            for path, status in (("/v1/notes/a", 200), ("/v1/notes/none", 404), ("/livez", 200), ("/openapi.json", 200)):
                answer = self.assertStatus(self.client.get(path, Origin=SHOP), status)
                self.assertEqual(answer.headers.get("access-control-allow-origin"), SHOP, answer)
                exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
                for name in answer.headers.keys() - {"connection"}:
                    if not name.startswith(("access-control-", "content-", "x-content-type")):
                        self.assertIn(name, {*exposed, "cache-control", "last-modified"}, path)
                self.assertNotIn("access-control-allow-credentials", answer.headers, answer)
                self.assertIn("Origin", answer.headers["vary"].split(", "), answer)
            plain = self.client.get("/v1/notes/a")  # which may be a kept one
            self.assertEqual((cors_of(plain), plain.headers.get("vary")), ({}, "Origin"), plain)

    def test_a_foreign_page_is_served_and_gets_no_field(self):
        self.put("/v1/notes/b", b"[1]")
        for origin in (OTHER, "null", SHOP + "/", SHOP.upper(), "http://shop.example", SHOP + ":443", "", "x" * 300):
            with self.subTest(origin=origin[:30]):
                answer = self.assertStatus(self.client.get("/v1/notes/b", Origin=origin), 200)
                self.assertEqual((answer.body, cors_of(answer)), (b"[1]", {}), answer)
                self.assertEqual(answer.headers.get("vary"), "Origin", answer)
                self.assertEqual(cors_of(preflight(self.client, "/v1/notes/b", origin)), {})

    def test_a_question_beforehand_is_answered(self):
        answer = preflight(self.client, "/v1/notes/c", "http://localhost:3000")
        self.assertEqual((answer.status, answer.body), (204, b""), answer)
        self.assertEqual(answer.headers.get("access-control-allow-origin"), "http://localhost:3000", answer)
        self.assertEqual(answer.headers.get("access-control-max-age"), "3600", answer)
        self.assertIn("PUT", answer.headers["access-control-allow-methods"].split(", "), answer)
        fields = answer.headers["access-control-allow-headers"].lower().split(", ")
        for name in ("content-type", "if-match", "idempotency-key", "affinity-ttl", "traceparent", "x-extra"):
            self.assertIn(name, fields)
        self.assertIn("Origin", answer.headers["vary"], answer)
        self.assertNotIn("access-control-expose-headers", answer.headers, answer)

    def test_options_without_a_question_is_no_preflight(self):
        answer = self.client.request("OPTIONS", "/v1/notes/c", None, {"Origin": SHOP})
        self.assertEqual(answer.headers.get("access-control-allow-origin"), SHOP, answer)
        self.assertNotIn("access-control-allow-methods", answer.headers, answer)

    def test_a_write_and_what_is_refused_are_shown_too(self):
        written = self.client.put("/v1/notes/d", b"1", Origin=SHOP)
        self.assertWritten(written, 201)
        self.assertEqual(written.headers.get("access-control-allow-origin"), SHOP, written)
        refused = self.client.put("/v1/notes/d", b"{", Origin=SHOP)
        self.assertProblem(refused, "bad-json")
        self.assertEqual(refused.headers.get("access-control-allow-origin"), SHOP, refused)


class Credentials(Conversation):
    server_options = {
        "config": {"cors": {"origins": f"{SHOP}, {OTHER}", "credentials": True, "methods": ["GET"]}}
    }

    def test_the_page_may_send_what_the_browser_knows(self):
        for origin in (SHOP, OTHER):
            answer = preflight(self.client, "/v1/notes/a", origin)
            self.assertEqual(answer.headers.get("access-control-allow-origin"), origin, answer)
            self.assertEqual(answer.headers.get("access-control-allow-credentials"), "true", answer)
            self.assertEqual(answer.headers.get("access-control-allow-methods"), "GET", answer)


class Every(Conversation):
    sets = ("cors.origins=*",)

    def test_every_page_may_look(self):
        self.put("/v1/notes/a")
        for origin in (SHOP, "null"):
            answer = self.client.get("/v1/notes/a", Origin=origin)
            self.assertEqual(answer.headers.get("access-control-allow-origin"), "*", answer)
            self.assertEqual(answer.headers.get("vary"), None, answer)
        self.assertEqual(cors_of(self.client.get("/v1/notes/a")), {})


if __name__ == "__main__":
    main()
