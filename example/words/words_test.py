"""words_test - what the README of example/words says, against the real program."""
import sys
import unittest

from harness import Server

FOX = "The quick brown fox jumps over the lazy dog. The dog didn't mind.\n"


class WordsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server([BINARY]))

    def setUp(self):
        self.client = self.server.client()

    def count(self, name, text, content_type="text/plain"):
        return self.client.post(f"/v1/texts/{name}/count", text, content_type=content_type)

    def test_counts_words_and_keeps_the_result(self):
        answer = self.count("fox", FOX.encode())
        self.assertEqual(answer.status, 200, answer)
        result = answer.json()
        self.assertEqual((result["total"], result["different"]), (13, 10))
        self.assertEqual((result["words"]["the"], result["words"]["dog"], result["words"]["didn't"]), (3, 2, 1))
        kept = self.client.get("/v1/texts/fox")
        self.assertEqual((kept.status, kept.body), (200, answer.body))
        self.assertEqual(kept.headers["content-type"], "application/json")

    def test_counting_again_replaces_the_result(self):
        self.count("note", b"one two")
        self.count("note", b"three")
        self.assertEqual(self.client.get("/v1/texts/note").json(), {"total": 1, "different": 1, "words": {"three": 1}})

    def test_words_of_any_script(self):
        answer = self.count("blue", "Blåbær – синий 青い, blåbær".encode(), "text/plain; charset=utf-8")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["words"]["blåbær"], 2, answer)
        self.assertEqual(answer.json()["words"]["синий"], 1, answer)

    def test_an_empty_document_has_no_words(self):
        self.assertEqual(self.count("empty", b"").json(), {"total": 0, "different": 0, "words": {}})

    def test_only_text_is_counted(self):
        answer = self.count("json", b"{}", "application/json")
        self.assertEqual(answer.status, 415, answer)
        answer = self.count("latin", "blåbær".encode("latin-1"))
        self.assertEqual(answer.status, 422, answer)
        self.assertTrue(answer.json()["type"].endswith("/not-utf8"), answer)
        self.assertEqual(self.client.get("/v1/texts/latin").status, 404)

    def test_results_are_made_by_counting_alone(self):
        self.assertEqual(self.client.put("/v1/texts/fox", b"{}").status, 405)
        self.count("gone", b"a b c")
        self.assertEqual(self.client.delete("/v1/texts/gone").status, 204)
        self.assertEqual(self.client.get("/v1/texts/gone").status, 404)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
