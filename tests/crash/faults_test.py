"""faults_test - every fault point of the source stands in doc/faults.md, and nothing else does; the crash suite kills at real
ones."""
import pathlib
import re
import sys
import unittest

from crash import KILL_POINTS, NO_SPACE, SLOW_POINTS, SYNC_ERROR


class FaultsTest(unittest.TestCase):
    def test_the_source_and_its_documentation_name_the_same(self):
        found = set()
        for path in (ROOT / "core").rglob("*.c"):
            found |= set(re.findall(r'aff_fault\("([^"]+)"\)', path.read_text(encoding="utf-8")))
        text = (ROOT / "doc" / "faults.md").read_text(encoding="utf-8")
        told = set(re.findall(r"^\| `([a-z]+\.[a-z-]+)`", text, re.M))
        self.assertEqual(found, told)

    def test_the_crash_suite_kills_at_points_that_there_are(self):
        text = (ROOT / "doc" / "faults.md").read_text(encoding="utf-8")
        for point in [*KILL_POINTS, *SLOW_POINTS, SYNC_ERROR, NO_SPACE]:
            self.assertIn(f"| `{point}`", text)


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv.pop(1))
    unittest.main()
