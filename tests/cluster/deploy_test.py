"""deploy_test - the configurations of example/deploy are accepted: deploy_test.py AFFINITY"""
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

AFFINITY = sys.argv[1]
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "example", "deploy")


def complaints(path, *sets):
    line = [AFFINITY, "check", "-c", path]
    for one in sets:
        line += ["--set", one]
    return subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False).stderr


def inside(path, name):
    """The text of the block scalar `name: |` of a YAML file."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split(f"{name}: |\n", 1)[1].splitlines(keepends=True)
    end = next(i for i, line in enumerate(lines) if not line.startswith("    "))
    return textwrap.dedent("".join(lines[:end]))


class DeployTest(unittest.TestCase):
    def test_the_nodes_of_compose(self):
        for name in ("n1", "n2", "n3"):
            path = os.path.join(FOLDER, "affinity.yaml")
            self.assertEqual(complaints(path, f"node.name={name}", f"peer.advertise={name}:8081"), "")

    def test_the_pods_of_kubernetes(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(inside(os.path.join(FOLDER, "kubernetes.yaml"), "affinity.yaml"))
            f.flush()
            self.assertEqual(complaints(f.name, "node.name=affinity-0", "peer.advertise=affinity-0.affinity-peers:8081"), "")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
