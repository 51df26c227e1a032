"""browser - a headless Chromium, driven by its DevTools protocol over two pipes: no port, no other program between.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:8080/docs")
        page.wait("document.querySelector('main').childElementCount > 0")
        assert page.problems == []
"""
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE_S = 60


class Browser:
    def __enter__(self):
        program = shutil.which("chromium")
        if not program:
            raise RuntimeError("there is no chromium: scripts/setup all installs it")
        self.folder = tempfile.mkdtemp(prefix="affinity-browser.")
        their_in, our_out = os.pipe()
        our_in, their_out = os.pipe()
        line = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        line += ["--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"]
        line += ["--user-data-dir=" + self.folder, "about:blank"]
        # It reads from descriptor 3 and writes to 4.
        shell = ["bash", "-c", f'exec 8<&{their_in} 9>&{their_out}; exec 3<&8 4>&9 8<&- 9>&-; exec "$@"', "bash", *line]
        self.process = subprocess.Popen(
            shell, pass_fds=(their_in, their_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.folder})  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self.out, self.source = our_out, our_in
        self.numbers, self.rest, self.answers, self.pages = itertools.count(1), b"", {}, {}
        return self

    def __exit__(self, *exception):
        os.close(self.out)  # the end of its commands is the end of it
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.source)
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        """Sends a command and waits for its answer."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while number not in self.answers:
            self.read(until - time.monotonic())
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def read(self, seconds):
        """Takes what it says next; events go to their page."""
        if seconds <= 0 or not select.select([self.source], [], [], seconds)[0]:
            raise TimeoutError(f"the browser said nothing for {PATIENCE_S} s")
        part = os.read(self.source, 1 << 20)
        if not part:
            raise RuntimeError(f"the browser ended with status {self.process.wait()}")
        *messages, self.rest = (self.rest + part).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].take(message["method"], message["params"])

    def open(self, url):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Runtime", "Log", "Network", "Page"):
            page.call(domain + ".enable")
        page.call("Page.navigate", url=url)
        return page


class Page:
    """A page that is open: .problems is all that it complained about, .requests are the URLs that it asked for."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.problems, self.requests = [], []

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def take(self, event, parameters):
        if event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"])
        elif event == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"])
        elif event == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.problems.append(parameters["args"])

    def value(self, expression):
        """What the JavaScript is, as JSON would have it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression):
        """Until it is true; what it is then."""
        until = time.monotonic() + PATIENCE_S
        while not (value := self.value(expression)):
            if time.monotonic() > until:
                raise TimeoutError(f"{expression}: not within {PATIENCE_S} s; the page says: {self.problems}")
            time.sleep(0.01)
        return value
