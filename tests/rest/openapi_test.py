"""openapi_test - /openapi.json is valid OpenAPI 3.1 for every kind of keyspace, and says what the server does.

The validator is openapi-spec-validator in build/venv, which scripts/setup all makes.
"""
import gzip
import pathlib
import re
import subprocess
import tempfile

from conversation import Conversation, Programs, PROBLEMS, ROOT, main

PYTHON = ROOT / "build" / "venv" / "bin" / "python"
ODD = {
    "notes": {},
    "odd_0": {"require_match": True, "max_value": "100B", "ttl": "1h", "partitions": 1},
    "a" * 40: {"partitions": 3},
}
METHODS = ("get", "head", "put", "patch", "post", "delete", "options")


def validate(text):
    """The complaints of the validator; none is right."""
    if not PYTHON.exists():
        raise RuntimeError(f"there is no {PYTHON}: scripts/setup all makes it")
    with tempfile.TemporaryDirectory() as folder:
        document = pathlib.Path(folder) / "openapi.json"
        document.write_bytes(text)
        line = [PYTHON, "-m", "openapi_spec_validator", "--schema", "3.1", "--errors", "all", document]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr if done.returncode else ""


class Described(Conversation):
    def document(self, client=None):
        return self.assertStatus((client or self.client).get("/openapi.json"), 200).json()


class Valid(Described):
    def test_it_is_valid_for_every_application(self):
        for command in ([Programs.affinity, "serve"], Programs.others[:1], Programs.others[1:2], Programs.others[2:3]):
            with self.subTest(command=command), self.serving(command, keyspaces=ODD) as server:
                answer = server.client().get("/openapi.json")
                self.assertEqual(answer.headers["content-type"], "application/json")
                self.assertEqual(validate(answer.body), "")
                self.assertEqual(answer.json()["openapi"], "3.1.0")

    def test_the_validator_sees_what_is_wrong(self):
        text = self.client.get("/openapi.json").body
        self.assertNotEqual(validate(text.replace(b'"in":"path"', b'"in":"pith"')), "")

    def test_it_is_sent_coded_to_who_takes_it(self):
        for path in ("/openapi.json", "/docs"):
            for _ in range(3):
                plain, coded = self.client.get(path), self.client.get(path, Accept_Encoding="gzip")
                self.assertEqual(gzip.decompress(coded.body), plain.body)
                self.assertEqual((plain.headers.get("content-encoding"), coded.headers.get("content-encoding")), (None, "gzip"))
                self.assertEqual((plain.headers["vary"], coded.headers["vary"]), ("Accept-Encoding",) * 2)
                self.assertEqual(coded.etag, plain.etag[:-1] + '-gzip"')
            for tag in (plain.etag, coded.etag):
                for coding in ("gzip", "identity"):
                    answer = self.client.get(path, If_None_Match=tag, Accept_Encoding=coding)
                    self.assertEqual((answer.status, answer.etag, answer.body), (304, tag, b""))
            head = self.client.request("HEAD", path, None, {"Accept-Encoding": "gzip"})
            self.assertEqual((head.status, head.etag, int(head.headers["content-length"])), (200, coded.etag, len(coded.body)))

    def test_each_start_and_each_loop_says_the_same(self):
        with self.serving(Programs.others[:1]) as server:
            first = server.client().get("/openapi.json")
            for _ in range(8):
                again = server.client().get("/openapi.json")
                self.assertEqual((again.body, again.etag), (first.body, first.etag))
            server.stop()
            server.start()
            again = server.client().get("/openapi.json")
            self.assertEqual((again.body, again.etag), (first.body, first.etag))


class True_(Described):
    keyspaces = ODD

    @classmethod
    def command(cls):
        return Programs.others[:1]

    def test_every_path_takes_the_methods_that_are_told_and_no_others(self):
        for path, item in self.document()["paths"].items():
            with self.subTest(path=path):
                target = path.replace("{key}", "some").replace("{id}", "notes-0-1-1-1")
                allowed = self.client.request("OPTIONS", target).headers["allow"].lower().split(", ")
                self.assertEqual(sorted(item), sorted(allowed))

    def test_every_keyspace_and_command_is_told(self):
        paths = self.document()["paths"]
        for keyspace in (*ODD, "accounts"):
            self.assertIn(f"/v1/{keyspace}/{{key}}", paths)
        self.assertEqual(sorted(paths["/v1/accounts/{key}"]), ["get", "head", "options"])
        self.assertIn("get", paths["/v1/accounts/{key}/balance"])
        self.assertNotIn("get", paths["/v1/accounts/{key}/deposit"])
        self.assertIn("428", paths["/v1/odd_0/{key}"]["put"]["responses"])

    def test_every_route_that_the_metrics_name_is_told(self):
        told = {path.replace("accounts", "{keyspace}").replace("deposit", "{command}") for path in self.document()["paths"]}
        source = (ROOT / "core/http/stats.c").read_text(encoding="utf-8")
        routes = set(re.findall(r'\[AFF_ROUTE_\w+\] = "(/[^"]*)"', source))
        self.assertIn("/livez", routes)
        self.assertEqual(routes - told, set())

    def test_every_problem_of_the_table_is_told_with_its_status(self):
        answers = self.document()["components"]["responses"]
        for kind, (status, _) in PROBLEMS.items():
            own = answers[f"problem-{status}"]["content"]["application/problem+json"]["schema"]["allOf"][1]
            self.assertIn("https://affinity.dev/problems/" + kind, own["properties"]["type"]["enum"])

    def test_operations_have_names_of_their_own(self):
        names = [item[m]["operationId"] for item in self.document()["paths"].values() for m in METHODS if m in item]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    main()
