"""verdict_test - what the histories of the load client say: a lost write, a stale read, a write that was refused and yet is there,
and a value whose ETag changes are found; what a fault may do is not held against it."""
import os
import tempfile
import unittest

from traffic import History, percentile, partition_of, writer_keys

LINE = "{start}\t{end}\tw1\t{kind}\t{key}\t{value}\t{status}\t{etag}\t1\t0\t0\t{bad}\t{what}\t8080\n"


def line(start, end, kind, value="-", status=200, key="k", etag="-", bad=0, what=""):
    return LINE.format(start=start, end=end, kind=kind, key=key, value=value, status=status, etag=etag, bad=bad, what=what)


def history(*lines):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "history")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(lines)
        return History(path)


def complaints(*lines, last=None):
    """`last`: what the last read sees."""
    read = history(line(1000, 1001, "get", last or "-", 200 if last else 404)).requests[0]
    return list(history(*lines).unexplained({"k": read}))


class VerdictTest(unittest.TestCase):
    def test_writes_in_order_are_explained(self):
        lines = [line(1, 2, "put", "a", 201), line(3, 4, "patch", "b"), line(5, 6, "get", "b"), line(7, 8, "delete", status=204)]
        self.assertEqual(complaints(*lines), [])

    def test_a_lost_write_is_found(self):
        self.assertIn("no order explains", complaints(line(1, 2, "put", "a", 201))[0])
        self.assertTrue(complaints(line(1, 2, "put", "a", 201), line(3, 4, "put", "b"), last="a"))

    def test_a_stale_read_is_found(self):
        self.assertTrue(complaints(line(1, 2, "put", "a", 201), line(3, 4, "put", "b"), line(5, 6, "get", "a"), last="b"))

    def test_a_read_beside_a_write_may_see_either(self):
        for seen in ("a", "b"):
            lines = [line(1, 2, "put", "a", 201), line(3, 9, "put", "b"), line(5, 6, "get", seen)]
            self.assertEqual(complaints(*lines, last="b"), [])

    def test_an_unknown_outcome_may_be_either(self):
        for seen in ("a", "b"):
            lines = [line(1, 2, "put", "a", 201), line(3, 4, "put", "b", 0, bad=1)]
            self.assertEqual(complaints(*lines, last=seen), [])

    def test_what_was_not_applied_never_shows(self):
        lines = [line(1, 2, "put", "a", 201), line(3, 4, "put", "b", 503, bad=1)]
        self.assertEqual(complaints(*lines, last="a"), [])
        self.assertTrue(complaints(*lines, last="b"))

    def test_created_and_changed_are_told_apart(self):
        self.assertTrue(complaints(line(1, 2, "put", "a", 201), line(3, 4, "put", "b", 201), last="b"))

    def test_a_value_keeps_its_etag(self):
        wrong = complaints(line(1, 2, "put", "a", 201, etag="x-0-1"), line(3, 4, "get", "a", etag="x-0-9"), last="a")
        self.assertIn("ETag", wrong[0])

    def test_failed_requests_are_those_with_a_bad_attempt_or_no_outcome(self):
        requests = history(line(1, 2, "get", status=404), line(1, 2, "get", bad=1), line(1, 2, "put", "a", 0)).failed()
        self.assertEqual(len(requests), 2)

    def test_a_writer_of_every_partition(self):
        self.assertEqual(sorted(writer_keys(7).values()), list(range(7)))
        self.assertEqual([partition_of(key, 12) for key in ("writer0", "writer1", "writer33", "writer14")], [1, 7, 9, 10])

    def test_percentiles_are_nearest_ranks(self):
        self.assertEqual([percentile(range(1, 101), p) for p in (50, 99, 100)], [50, 99, 100])
        self.assertEqual(percentile([3], 50), 3)


if __name__ == "__main__":
    unittest.main()
