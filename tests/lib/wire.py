"""wire - HTTP to the byte: sends exactly the bytes of a test, and reads what comes back without forgiving anything.

    wire = Wire(server)
    wire.send(b"GET /v1/notes/a HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = wire.answer()      # one response, to its last byte
    wire.ended()                # the server has closed, and nothing came behind it

A response that is not framed as RFC 9112 says, or that names a field twice, fails the test here. A connection that is
reset is not one that was closed: a reset can destroy an answer that is still on its way.
"""
import re
import socket

from harness import Answer

PATIENCE_S = 60  # for what must come; nothing is ever waited for this long when all is well

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e]*")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t\x20-\x7e\x80-\xff]*)")


class Broken(AssertionError):
    """What came is no response, or did not come; the text has what was sent and received last."""


class Wire:
    def __init__(self, server, source=None):
        """`source` is an address of this machine to connect from."""
        self.socket = socket.create_connection((server.host, server.port), PATIENCE_S, source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent, self.pending = b"", b""

    # ---- out ----

    def send(self, *parts):
        data = b"".join(p if isinstance(p, bytes) else p.encode("latin-1") for p in parts)
        self.sent = (self.sent + data)[-400:]
        self.socket.sendall(data)
        return self

    def request(self, method, target, *fields, body=None, host="x"):
        """A well-formed request; the body's length is added. `fields` are whole lines: "If-Match: *"."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(lines), "\r\n\r\n", body or b"")

    def finish(self):
        """Sends the end of the stream; what comes back can still be read."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes as a client that crashed: with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    # ---- in ----

    def answer(self, method="GET", interim=False):
        """One response; `method` says whether it may have a body. With `interim` a 1xx counts, else it does not."""
        while True:
            status, headers = self._head()
            if status >= 200:
                return Answer(status, headers, self._body(method, status, headers))
            if interim:
                return Answer(status, headers, b"")

    def ended(self):
        """Nothing more comes, and the server closes its side in order."""
        rest = self.rest()
        if rest:
            raise Broken(f"bytes came where the connection should have been closed: {rest[:400]!r}\n{self._story()}")

    def rest(self):
        """All bytes up to the end of the stream."""
        while self._more():
            pass
        rest, self.pending = self.pending, b""
        return rest

    def silent(self):
        """No byte has come that was not read, as far as can be seen now."""
        self.socket.setblocking(False)
        try:
            return not self.pending and not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return not self.pending
        finally:
            self.socket.settimeout(PATIENCE_S)

    # ---- parts ----

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError as error:
            raise Broken(f"the connection was reset\n{self._story()}") from error
        except TimeoutError as error:
            raise Broken(f"nothing came for {PATIENCE_S} s\n{self._story()}") from error
        self.pending += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.pending:
            if not self._more():
                raise Broken(f"the connection ended before {mark!r}\n{self._story()}")
        taken, _, self.pending = self.pending.partition(mark)
        return taken

    def _exactly(self, length):
        while len(self.pending) < length:
            if not self._more():
                raise Broken(f"the connection ended {length - len(self.pending)} bytes early\n{self._story()}")
        taken, self.pending = self.pending[:length], self.pending[length:]
        return taken

    def _head(self):
        first, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        status = STATUS_LINE.fullmatch(first)
        if not status:
            raise Broken(f"this is no status line: {first[:400]!r}\n{self._story()}")
        headers = {}
        for line in lines:
            field = FIELD.fullmatch(line)
            if not field:
                raise Broken(f"this is no header field: {line!r}\n{self._story()}")
            name = field[1].decode().lower()
            if name in headers:
                raise Broken(f"{name} came twice in one response\n{self._story()}")
            headers[name] = field[2].decode("latin-1").strip(" \t")
        return int(status[1]), headers

    def _body(self, method, status, headers):
        if method == "HEAD" or status in (204, 304):
            return b""
        if "transfer-encoding" in headers:
            return self._chunks()
        length = headers.get("content-length")
        if length is None or not length.isdigit():
            raise Broken(f"a {status} with a body and Content-Length {length}\n{self._story()}")
        return self._exactly(int(length))

    def _chunks(self):
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise Broken(f"a chunk is longer than it says\n{self._story()}")
        self._until(b"\r\n")
        return body

    def _story(self):
        return f"sent last: {self.sent!r}\nunread: {self.pending[:400]!r}"
