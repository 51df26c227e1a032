"""The fault points of the code are those of doc/faults.md."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
code = {name for path in (root / "core").rglob("*.c") for name in re.findall(r'aff_fault\("([^"]+)"', path.read_text())}
told = set(re.findall(r"^\| `([a-z.-]+)` \|", (root / "doc" / "faults.md").read_text(), re.M))
for name in sorted(code - told):
    print(f"doc/faults.md does not tell of {name}")
for name in sorted(told - code):
    print(f"doc/faults.md tells of {name}, which is in no file of core/")
sys.exit(code != told or not code)
