"""A headless chromium driven through its DevTools protocol, for tests of pages.

Messages are JSON with a final zero byte, on file descriptors 3 and 4 of the
browser. This needs no port, no driver and no other package.
"""

import contextlib
import json
import os
import select
import shutil
import subprocess
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")  # Debian's name first
SECONDS = 60.0  # for one answer, enough for a slow machine


def find():
    """Return the browser's path; without a browser, skip, or fail if it is required."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"none of {', '.join(NAMES)} is on PATH ('make browser' installs it)"
        if os.environ.get("NEUROFREQ_BROWSER") == "required":
            pytest.fail(f"NEUROFREQ_BROWSER is required, and {reason}")
        pytest.skip(f"opens pages in a browser, and {reason}")
    return path


@contextlib.contextmanager
def opened(profile):
    """Yield a `Tab` of a browser, and end the browser after the block.

    `profile` is an empty folder for the browser's files.
    """
    here, there = os.pipe(), os.pipe()
    # `there[1]` is never 3, so the first redirection does not overwrite it.
    redirect = f'exec "$@" 3</dev/fd/{here[0]} 4>/dev/fd/{there[1]}'
    flags = [
        "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}",
        "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-extensions", "--disable-background-networking",
    ]  # fmt: skip
    if os.geteuid() == 0:  # the sandbox does not start as root
        flags.append("--no-sandbox")
    process = subprocess.Popen(
        ["sh", "-c", redirect, "sh", find(), *flags, "about:blank"],
        pass_fds=(here[0], there[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(here[0])
    os.close(there[1])
    try:
        yield Tab(here[1], there[0])
    finally:
        os.close(here[1])  # the browser ends when its input closes
        os.close(there[0])
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Tab:
    """One page: `open` an address, `evaluate` JavaScript, send a `command`.

    `events` holds all events since the last `open`.
    """

    def __init__(self, write, read):
        self._write, self._read = write, read
        self._buffer, self._count, self._session = b"", 0, None
        self.events = []
        target = self.command("Target.createTarget", url="about:blank")
        found = self.command("Target.attachToTarget", **target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method, **parameters):
        """Return the browser's answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        """Load a page, and wait until it is complete."""
        self.events = []
        found = self.command("Page.navigate", url=url)
        assert "errorText" not in found, f"{url}: {found['errorText']}"
        while not self.told("Page.loadEventFired"):
            self.events.append(self._receive())
        # Events shortly after loading arrive before the answer to this call.
        self.evaluate("new Promise(done => setTimeout(done, 100))")

    def evaluate(self, expression):
        """Return the value of JavaScript; promises are awaited."""
        found = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True,
            awaitPromise=True,
        )  # fmt: skip
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def told(self, method):
        """Return the parameters of all events of this name."""
        return [e["params"] for e in self.events if e.get("method") == method]

    def errors(self):
        """Return the errors and warnings of the console, and uncaught exceptions."""
        kinds = ("error", "assert", "warning")
        said = [e for e in self.told("Runtime.consoleAPICalled") if e["type"] in kinds]
        logged = [e["entry"] for e in self.told("Log.entryAdded")]
        wrong = [e for e in logged if e["level"] in ("error", "warning")]
        return [*said, *wrong, *self.told("Runtime.exceptionThrown")]

    def requests(self):
        """Return the URLs of all requests."""
        return [e["request"]["url"] for e in self.told("Network.requestWillBeSent")]

    def _receive(self):
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            ready = select.select([self._read], [], [], max(left, 0.0))[0]
            assert ready, f"the browser said nothing for {SECONDS:.0f} s"
            data = os.read(self._read, 1 << 16)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
