"""A headless Chromium to measure pages with, over the pipe of its developer tools.

Source: Chrome DevTools Protocol; with --remote-debugging-pipe it reads file descriptor 3 and
writes 4, each message ending with a NUL.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

HAS_CHROMIUM = shutil.which("chromium") is not None

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip
#: The two descriptors must be free for the browser's ends.
_SHELL = 'exec "$@" 3<&{read} 4>&{write}'


class Browser:
    """One tab. What it says unasked (requests, console) is kept in `heard`."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._session: str | None = None
        self.heard: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._receive()).get("id") != self._number:
            self.heard.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path, *, width: int, scheme: str) -> None:
        """Show a file in a window of this width, in the colours of a scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.heard.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not self.said("Page.loadEventFired"):
            self.heard.append(self._receive())

    def said(self, method: str) -> list[dict[str, Any]]:
        """Return what it said unasked under a name."""
        return [one["params"] for one in self.heard if one.get("method") == method]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a script; the page's own content policy has no say in it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _receive(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser has ended"
            message += byte
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Run a browser with a profile of its own until the block ends."""
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()
    script = _SHELL.format(read=read_end, write=write_end)
    process = subprocess.Popen(
        ["bash", "-c", script, "chromium", "chromium", *_FLAGS, f"--user-data-dir={home}"],
        pass_fds=(read_end, write_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read_end)
    os.close(write_end)
    with os.fdopen(to_browser, "wb") as to, os.fdopen(from_browser, "rb") as back:
        try:
            yield Browser(to, back)
        finally:
            process.terminate()
            process.wait(timeout=20)
