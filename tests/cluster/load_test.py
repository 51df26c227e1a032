"""load_test - the load client on one node that is stopped, started and killed under it: load_test.py AFFINITY LOAD"""
import sys
import tempfile
import unittest

from harness import Client, Server
from traffic import Load, Request, writer_keys

AFFINITY, LOAD = sys.argv[1:3]
PARTITIONS, ENOUGH = 4, 400


def at_least(load, number):
    while load.count()["requests"] < number:
        pass


def last_reads(server, keys):
    client, reads = Client(server.host, server.port), {}
    for key in keys:
        answer = client.get(f"/v1/accounts/{key}")
        value = answer.json()["by"] if answer.status == 200 else None
        reads[key] = Request(10**19, 10**19 + 1, "last", "get", key, value, answer.status, None, 1, 0, 0, 0, "")
    client.close()
    return reads


class LoadTest(unittest.TestCase):
    def test_nothing_is_lost_and_every_repeat_is_counted(self):
        with tempfile.TemporaryDirectory() as folder, Server([AFFINITY, "serve"], {"accounts": {"partitions": PARTITIONS}}) as server:
            server.config["http"] = [{"listen": server.addresses[0]}]
            with Load(LOAD, server.addresses, folder, writer_keys(PARTITIONS), keys=100) as load:
                at_least(load, ENOUGH)
                server.stop()
                server.start()
                at_least(load, 2 * ENOUGH)
                server.kill()
                server.start()
                at_least(load, 3 * ENOUGH)
                told = load.stop()
            history = load.history()
            self.assertEqual(told["requests"], len(history.requests))
            self.assertEqual(told["failed"], len(history.failed()))
            self.assertEqual(told["repeated"], sum(r.attempts - 1 for r in history.requests))
            self.assertTrue(any(r.refused + r.lost for r in history.requests), "the kill was not felt by any request")
            self.assertEqual({r.kind for r in history.requests}, {"put", "patch", "delete", "get", "scan"})
            self.assertEqual(list(history.unexplained(last_reads(server, history.by_key()))), [])
            self.assertEqual([r for r in history.requests if r.status == 0], [])
            for key, run in history.pauses(load.writers).items():
                self.assertTrue(run, f"the writer of {key} has written nothing")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
