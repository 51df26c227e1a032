"""world_test - a node that is cut off from one cable hears and says nothing there, and everything on the others."""
import socket
import subprocess
import sys
import unittest

import world

ECHO = """
import socket, sys
with socket.create_server((sys.argv[1], 7777)) as server:
    print("there", flush=True)
    connection, _ = server.accept()
    while data := connection.recv(100):
        connection.sendall(data)
"""
SILENT_S = 1


def echoed(connection, word, wait_s):
    connection.settimeout(wait_s)
    connection.sendall(word)
    try:
        return connection.recv(100)
    except TimeoutError:
        return None


class WorldTest(unittest.TestCase):
    def test_one_cable_is_cut_and_mended(self):
        network = world.Network()
        node = network.node(1)
        servers = [subprocess.Popen([*node.command, sys.executable, "-c", ECHO, node.address(cable)], stdout=subprocess.PIPE)
                   for cable in (world.PEERS, world.KAFKA)]
        for server in servers:
            server.stdout.readline()
        peers, kafka = (socket.create_connection((node.address(cable), 7777)) for cable in (world.PEERS, world.KAFKA))
        network.cut(1, world.KAFKA)
        self.assertIsNone(echoed(kafka, b"lost", SILENT_S))
        self.assertEqual(echoed(peers, b"heard", 60), b"heard")
        network.mend(1, world.KAFKA)
        kafka.settimeout(60)
        self.assertEqual(kafka.recv(100), b"lost")  # by TCP's own repeats
        for one in (peers, kafka):
            one.close()
        for server in servers:
            server.wait()


if __name__ == "__main__":
    world.enter()
    unittest.main()
