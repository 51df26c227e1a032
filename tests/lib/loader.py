"""loader - many keys at once, as fast as a server takes them: requests in a row on many connections.

    fill(server, "bench", range(300_000), b'{"n": 1}')     # key-0000000, key-0000001, ...
"""
import selectors
import socket

CONNECTIONS = 256
IN_A_ROW = 16


def key_of(i):
    return f"key-{i:07d}"


class Lane:
    """A connection, the keys that it is to put, and how many answers are owed."""

    def __init__(self, server, keyspace, numbers, value):
        self.socket = socket.create_connection((server.host, server.port), timeout=60)
        self.path, self.numbers, self.value = f"/v1/{keyspace}/", numbers, value
        self.owed = 0
        self.rest = b""

    def send(self):
        """The next requests; False when there are none."""
        requests = []
        for i in self.numbers:
            head = f"PUT {self.path}{key_of(i)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            requests.append(f"{head}Content-Length: {len(self.value)}\r\n\r\n".encode() + self.value)
            if len(requests) == IN_A_ROW:
                break
        self.owed = len(requests)
        if requests:
            self.socket.sendall(b"".join(requests))
        return bool(requests)

    def receive(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise AssertionError("the server closed a connection while it was filled")
        self.rest += data
        whole = self.rest.rfind(b"\r\n\r\n") + 4  # PUTs are answered without a body
        if whole < 4:
            return
        answers, self.rest = self.rest[:whole], self.rest[whole:]
        count = answers.count(b"HTTP/1.1 ")
        if count != answers.count(b"HTTP/1.1 20"):
            raise AssertionError(f"a PUT was refused: {answers[-2000:]!r}")
        self.owed -= count


def fill(server, keyspace, numbers, value, connections=CONNECTIONS):
    """Puts a key for each number, all with the same value; returns how many."""
    put = 0

    def counted():
        nonlocal put
        for i in numbers:
            put += 1
            yield i

    queue = counted()  # of all lanes: each takes what is next
    with selectors.DefaultSelector() as ready:
        lanes = [Lane(server, keyspace, queue, value) for _ in range(connections)]
        for lane in lanes:
            if lane.send():
                ready.register(lane.socket, selectors.EVENT_READ, lane)
        while ready.get_map():
            for event, _ in ready.select(60):
                lane = event.data
                lane.receive()
                if lane.owed == 0 and not lane.send():
                    ready.unregister(lane.socket)
    for lane in lanes:
        lane.socket.close()
    return put
