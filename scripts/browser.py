"""A headless Chromium: opens pages, and looks at them as a person would, by the DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip
_READ_FD, _WRITE_FD = 3, 4  # where Chromium has its ends of the pipes


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """Responsible for a page in a browser; `events` are what it has reported: requests, messages, errors."""

    def __init__(self, commands: int, answers: int) -> None:
        """Open an empty page, by the pipes of a browser."""
        self._commands = commands
        self._answers = open(answers, "rb", closefd=False)  # noqa: SIM115
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, url: str, width: int, height: int = 900, scheme: str = "light") -> None:
        """Open a page in a window of `width` by `height` px, in a light or dark colour scheme."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.send("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression of JavaScript in the page."""
        return self.send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, into a PNG file."""
        picture = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(picture))

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has ended")
            text += byte
        answer: dict[str, Any] = json.loads(text)
        return answer


@contextlib.contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Run a Chromium for a while."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        read_commands, commands = os.pipe()
        answers, write_answers = os.pipe()
        # Chromium wants fixed descriptors, which the pipes may have here for other purposes: a shell moves them.
        moved = f'exec {_READ_FD}<&{read_commands} {_WRITE_FD}>&{write_answers}; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", moved, "bash", program, *_FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(read_commands, write_answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        try:
            yield Browser(commands, answers)
        finally:
            process.terminate()
            process.wait()
            os.close(commands)
            os.close(answers)
