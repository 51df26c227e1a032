"""http1 - HTTP/1.1 for load: many keep-alive connections in one asyncio loop, and exact about what was sent.

A request ends in one of three ways: an Answer; NotSent, when no byte of it can have reached the server; Lost, when the
connection ended after that, so that what became of it is unknown.
"""
import asyncio

from harness import Answer


class NotSent(Exception):
    pass


class Lost(Exception):
    pass


class Connection:
    def __init__(self, host, port):
        self.host, self.port = host, port
        self.reader = self.writer = None

    async def request(self, method, target, body=b"", headers=()):
        if not self.writer:
            await self._open()
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method in ("PUT", "POST"):
            lines.append(f"Content-Length: {len(body)}")
        try:
            self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            return await self._answer(method)
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Lost(str(error)) from error

    async def _open(self):
        try:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise NotSent(str(error)) from error

    async def _answer(self, method):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        elif method != "HEAD" and status not in (204, 304):
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)

    async def _chunks(self):
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            if size == 0:
                return body

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None
