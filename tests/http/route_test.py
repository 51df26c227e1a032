"""route_test - a keyspace whose keys share a partition by their beginning, and that it stays so for life.

Arguments: AFFINITY.
"""
import pathlib
import shutil
from urllib.parse import quote

from conversation import Conversation, end_in_order, main, partition_of, wait_until
from harness import Server, ServerFailed

PARTITIONS = 16


def path_of(key):
    return "/v1/accounts/" + quote(key, safe="")


class Routes(Conversation):
    keyspaces = {"accounts": {"partitions": PARTITIONS, "route": 'up-to "/" 2'}, "notes": {"partitions": PARTITIONS}}

    def test_keys_share_the_partition_of_what_stands_before_the_separator(self):
        for number in range(30):
            account = f"account/{number}"
            for key in (account, f"{account}/", f"{account}/tx/1", f"{account}/tx/2024/9", f"{account}//"):
                answer = self.assertStatus(self.client.put(path_of(key), b'{"of": "%s"}' % account.encode()), 201)
                partition, _ = self.assertWritten(answer, 201, keyspace="accounts")
                self.assertEqual(partition, partition_of(account.encode(), PARTITIONS), key)
                self.assertValue(path_of(key), b'{"of": "%s"}' % account.encode())

    def test_a_key_without_the_separator_goes_by_all_of_it(self):
        for key in ("one", "one/two", "/", "one::two", "\u00e4/b"):
            partition, _ = self.assertWritten(self.client.put(path_of(key), b"1"), 201, keyspace="accounts")
            self.assertEqual(partition, partition_of(key.encode(), PARTITIONS), key)

    def test_a_scan_tells_what_belongs_together(self):
        for account in ("scanned/7", "scanned/70", "scanned/8"):
            for number in range(9):
                self.assertStatus(self.client.put(path_of(f"{account}/tx/{number}"), b"1"), 201)
        for order, step in (("asc", 1), ("desc", -1)):
            answer = self.client.get(f"/v1/accounts?prefix={quote('scanned/7/', safe='')}&order={order}")
            told = [item["key"] for item in self.assertStatus(answer, 200).json()["items"]]
            self.assertEqual(told, [f"scanned/7/tx/{number}" for number in range(9)][::step])
        answer = self.assertStatus(self.client.get("/v1/accounts?prefix=scanned/7"), 200)
        self.assertEqual(len(answer.json()["items"]), 18)

    def test_another_keyspace_is_not_concerned(self):
        key = "account/1/tx/9"
        partition, _ = self.assertWritten(self.client.put("/v1/notes/" + quote(key, safe=""), b"1"), 201)
        self.assertEqual(partition, partition_of(key.encode(), PARTITIONS))


class RoutesForLife(Conversation):
    FIRST = {"accounts": {"partitions": 4, "route": 'up-to "/"'}}
    OTHERS = [{"accounts": {"partitions": 4}}, {"accounts": {"partitions": 4, "route": 'up-to ":"'}}]
    keyspaces = FIRST

    def written(self):
        """The folder of a server that was ended in order, with an account in it."""
        server = self.enterContext(Server(self.command(), keyspaces=self.FIRST))
        for number in range(20):
            self.assertStatus(server.client().put(path_of(f"{number}/tx"), b"1"), 201)
        end_in_order(server)
        return server

    def test_a_start_with_another_route_is_refused(self):
        first = self.written()
        for keyspaces in self.OTHERS:
            with self.assertRaises(ServerFailed) as failed:
                with Server(self.command(), keyspaces=keyspaces, folder=first.folder):
                    pass
            self.assertIn('its data was written with route: up-to "/" and the configuration says route: ', str(failed.exception))
        with Server(self.command(), keyspaces=self.FIRST, folder=first.folder) as again:
            for number in range(20):
                self.assertStatus(again.client().get(path_of(f"{number}/tx")), 200)
            end_in_order(again)

    def test_a_log_of_another_route_is_not_served(self):
        first = self.written()
        shutil.rmtree(pathlib.Path(first.config["node"]["data"]) / "state")
        server = Server(self.command(), keyspaces=self.OTHERS[0], folder=first.folder)
        self.addCleanup(server.__exit__, None, None, None)
        server.start(wait=False)
        said = r'the log was written with route: up-to \"/\" and this node has route: whole-key'
        wait_until("every partition to refuse", lambda: pathlib.Path(server.log_path).read_text().count(said) >= 4)


if __name__ == "__main__":
    main()
