"""Starts ``sem-serve`` as a process of its own."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Started:
    """A service that answers.

    Attributes:
        process: Its process.
        port: Where it listens.
        log: The file of both its outputs.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ask(self, body: bytes, content_type: str, key: str = "") -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/predict", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def memory(self) -> float:
        """Resident memory, MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found
        return int(found[1]) / 1024


@contextmanager
def service(folder: Path, *arguments: str, **variables: str) -> Iterator[Started]:
    """A service of a free port, ended at the end."""
    command = [sys.executable, "-m", "sem_lightning.commands.serve", "port=0", *arguments]
    log = folder / "service.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | variables, stdout=stream, stderr=stream)
    try:
        while (found := re.search(r"http://\S+:(\d+);", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        started = Started(process, int(found[1]), log)
        while True:
            with suppress(urllib.error.URLError):
                if started.get("/ready")[0] == 200:
                    break
            time.sleep(0.02)
        yield started
    finally:
        process.kill()
        process.wait()
