"""How the demo talks: numbered steps, commands as one would type them, and what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.org",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.org",
}


class Console:
    """Says what it does, runs commands in a folder, and shows what they print."""

    def __init__(self, folder: Path, *, n_steps: int) -> None:
        self.folder, self.n_steps, self.count = folder, n_steps, 0
        self.start = time.monotonic()
        # the commands and the pipeline's Python are those beside the interpreter of this script
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.env = {**os.environ, **IDENTITY, "PATH": path}

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.start

    def step(self, title: str) -> None:
        """Say what comes next."""
        self.count += 1
        print(f"\n[{self.count}/{self.n_steps}] {title}  ({self.seconds:.0f} s)", flush=True)

    def run(
        self, command: str, *, folder: Path | None = None, show: bool = True, code: int = 0
    ) -> str:
        """Run a command line; one with another exit status than `code` ends the demo."""
        if show:
            print(f"  $ {command}", flush=True)
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder or self.folder,
            env=self.env,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != code:
            sys.exit(
                f"'{command}' ended with exit status {done.returncode}, not {code}:\n"
                f"{done.stdout}{done.stderr}"
            )
        if show:
            said = done.stdout if code == 0 else f"{done.stdout}{done.stderr}exit status {code}"
            print("".join(f"    {line}\n" for line in said.splitlines()), end="", flush=True)
        return done.stdout

    def expect(self, output: str, words: str) -> None:
        """End the demo unless a command said what it promises to say."""
        if words not in output:
            sys.exit(f"expected {words!r}, but saw:\n{output}")

    @contextmanager
    def server(self, command: str) -> Iterator[str]:
        """Let a server answer meanwhile; yield the URL that it prints first, when it is ready."""
        print(f"  $ {command} &", flush=True)
        log = self.folder.parent / "server.log"
        with (
            log.open("w") as messages,
            subprocess.Popen(
                command.split(),
                cwd=self.folder,
                env=self.env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=messages,
            ) as process,
        ):
            try:
                url = process.stdout.readline().strip() if process.stdout else ""
                if not self._ready(url):
                    sys.exit(f"'{command}' did not become ready:\n{log.read_text()}")
                print(f"    {url}", flush=True)
                yield url
            finally:
                process.terminate()

    @contextmanager
    def events(self, command: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Let a program work meanwhile; yield what it prints, each line of it as JSON."""
        print(f"  $ {command} &", flush=True)
        log = self.folder.parent / f"{command.split()[1]}.log"
        with (
            log.open("w") as messages,
            subprocess.Popen(
                command.split(),
                cwd=self.folder,
                env=self.env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=messages,
            ) as process,
        ):
            try:
                yield (json.loads(line) for line in process.stdout or ())
            finally:
                process.terminate()

    def _ready(self, url: str) -> bool:
        """Wait until the server has proved its model, for a minute at most."""
        end = time.monotonic() + 60
        while url and time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5):
                    return True
            except urllib.error.URLError:  # a refusal, too: not ready yet
                time.sleep(0.1)
        return False
