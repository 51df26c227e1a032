"""trace_test - traceparent in and out, and what a failure can be found by."""
import re

from conversation import HeldConversation, main, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-00")


class Traces(HeldConversation):
    sets = ("limits.exchange_timeout=300ms",)

    def test_what_came_goes_out(self):
        for answer in (
            self.client.put("/v1/notes/a", b"1", traceparent=PARENT),
            self.client.get("/v1/notes/a", traceparent=PARENT),
            self.client.get("/livez", traceparent=PARENT),
            self.client.get("/openapi.json", traceparent=PARENT),
        ):
            self.assertLess(answer.status, 300, answer)
            self.assertEqual(answer.headers.get("traceparent"), PARENT, answer)

    def test_it_does_not_stay_with_an_answer_that_is_kept(self):
        self.put("/v1/notes/kept")
        for _ in range(3):
            self.assertNotIn("traceparent", self.client.get("/v1/notes/kept").headers)
            self.assertEqual(self.client.get("/v1/notes/kept", traceparent=PARENT).headers["traceparent"], PARENT)

    def test_what_is_invalid_is_replaced(self):
        for wrong in ("", "nonsense", PARENT.upper(), "00-" + "0" * 32 + PARENT[35:], PARENT + "-x"):
            first, again = (self.client.get("/livez", traceparent=wrong).headers["traceparent"] for _ in range(2))
            self.assertTrue(FORM.fullmatch(first) and FORM.fullmatch(again), first)
            self.assertNotEqual(FORM.fullmatch(first)[1], FORM.fullmatch(again)[1])

    def test_two_of_them_are_none(self):
        answer = self.wire().request("GET", "/livez", f"traceparent: {PARENT}", f"traceparent: {PARENT}").answer()
        self.assertEqual(answer.status, 200, answer)
        self.assertTrue(FORM.fullmatch(answer.headers["traceparent"]), answer)

    def test_a_problem_has_the_id_of_its_trace(self):
        answer = self.client.get("/v1/notes/none", traceparent=PARENT)
        self.assertEqual(self.assertProblem(answer, "not-found")["trace_id"], TRACE)
        answer = self.client.get("/v1/notes/none")
        made = FORM.fullmatch(answer.headers["traceparent"])
        self.assertEqual(self.assertProblem(answer, "not-found")["trace_id"], made[1])

    def test_a_failure_is_found_in_the_log(self):
        with self.hold:
            answer = self.client.put("/v1/notes/secret-name", b"1", traceparent=PARENT)
        self.assertProblem(answer, "outcome-unknown")
        wait_until("the failure is logged", lambda: "event=http.failed" in self.server.log())
        line = next(line for line in self.server.log().splitlines() if "event=http.failed" in line)
        for part in ("status=504", "problem=outcome-unknown", "keyspace=notes", f"trace_id={TRACE}"):
            self.assertIn(part, line)
        self.assertNotIn("secret-name", line)


if __name__ == "__main__":
    main()
