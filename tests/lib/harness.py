"""harness - runs a server on a folder of its own and talks to it; for every test that needs a whole node.

    with Server([binary, "serve"], keyspaces={"notes": {}}) as server:
        answer = server.client().put("/v1/notes/milk", b'{"litres": 2}')
        assert answer.status == 201, answer

Port 0 and a ready file: nothing is waited for by time. What the server logs is kept, and shown when it does not start.
"""
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

START_TIMEOUT_S = 60


class ServerFailed(Exception):
    """The server ended, or did not become ready; the text has its log."""


class Answer:
    """A response: .status, .headers (names in lower case), .body (bytes)."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def etag(self):
        return self.headers.get("etag")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class Client:
    """One keep-alive connection. Opens it again when the server has closed it between two requests."""

    def __init__(self, host, port, timeout=30):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.used = False

    def request(self, method, target, body=None, headers=None):
        try:
            return self._request(method, target, body, headers or {})
        except (http.client.RemoteDisconnected, BrokenPipeError):
            self.connection.close()
            if not self.used:
                raise
            self.used = False
            return self._request(method, target, body, headers or {})

    def _request(self, method, target, body, headers):
        self.connection.request(method, target, body=body, headers=headers)
        response = self.connection.getresponse()
        self.used = True
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def get(self, target, **headers):
        return self.request("GET", target, None, _fields(headers))

    def put(self, target, body, content_type="application/json", **headers):
        return self.request("PUT", target, body, {"Content-Type": content_type, **_fields(headers)})

    def post(self, target, body=b"", content_type="application/json", **headers):
        return self.request("POST", target, body, {"Content-Type": content_type, **_fields(headers)})

    def delete(self, target, **headers):
        return self.request("DELETE", target, None, _fields(headers))

    def close(self):
        self.connection.close()


def _fields(names):
    """if_match="x" is If-Match: x"""
    return {name.replace("_", "-"): value for name, value in names.items()}


class Server:
    """
    A process. `command` is what comes before `-c FILE`; `config` is laid over the defaults of a test. Without a supervisor, unless
    `supervised`: so the process is the one that serves, and is gone when it was killed. With one `worker` is the process that serves.
    """

    def __init__(self, command, keyspaces=None, config=None, folder=None, faults=None, env=None, sets=(), supervised=False):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="affinity-test.")
        self.command, self.sets = list(command), list(sets)
        self.faults, self.env, self.supervised = faults, dict(env or {}), supervised
        self.config = {
            "cluster": "test",
            "node": {"name": "n1", "data": os.path.join(self.folder, "data"), "loops": 2},
            "http": [{"listen": "127.0.0.1:0"}],
            "keyspaces": keyspaces or {},
            **(config or {}),
        }
        self.process, self.worker = None, None
        self.addresses = []
        self.clients = []
        self.log_path = os.path.join(self.folder, "log.txt")
        self.ready_path = os.path.join(self.folder, "ready.json")

    # ---- life ----

    def start(self, wait=True):
        """`faults` is AFFINITY_FAULTS; see doc/faults.md."""
        config_path = os.path.join(self.folder, "config.yaml")
        with open(config_path, "w", encoding="utf-8") as f:
            json.dump(self.config, f)  # which is YAML
        if os.path.exists(self.ready_path):
            os.unlink(self.ready_path)
        line = self.command + ["-c", config_path, "--ready-file", self.ready_path]
        if not self.supervised:
            line.append("--no-supervisor")
        for one in self.sets:
            line += ["--set", one]
        env = {**os.environ, **self.env}
        env.pop("AFFINITY_FAULTS", None)
        if self.faults:
            env["AFFINITY_FAULTS"] = self.faults
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=START_TIMEOUT_S):
        until = time.monotonic() + timeout
        while not os.path.exists(self.ready_path):
            status = self.process.poll()
            if status is not None:
                raise ServerFailed(f"{' '.join(self.command)} ended with status {status}:\n{self.log()[-2000:]}")
            if time.monotonic() > until:
                self.kill()
                raise ServerFailed(f"{' '.join(self.command)} was not ready in {timeout} s:\n{self.log()[-2000:]}")
            time.sleep(0.005)
        with open(self.ready_path, encoding="utf-8") as f:
            said = json.load(f)
        self.addresses, self.worker = said["http"], said["worker"]

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        if self.runs():
            self.process.kill()
        return self._ended()

    def stop(self, timeout=60):
        """SIGTERM; the exit status."""
        if self.runs():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self._ended(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"it did not end within {timeout} s of SIGTERM:\n{self.log()[-2000:]}") from None

    def _ended(self, timeout=None):
        status = self.process.wait(timeout) if self.process else None
        self._close_clients()
        return status

    def _close_clients(self):
        for client in self.clients:
            client.close()
        self.clients = []

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *exception):
        if self.runs():
            self.kill()
        if exception[0]:
            print(f"---- log of the server ----\n{self.log()[-8000:]}")
        self.remove()

    def remove(self):
        self._close_clients()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- talking ----

    @property
    def host(self):
        return self.addresses[0].rsplit(":", 1)[0].strip("[]")

    @property
    def port(self):
        return int(self.addresses[0].rsplit(":", 1)[1])

    def client(self):
        client = Client(self.host, self.port)
        self.clients.append(client)
        return client

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()
