"""Jobs (`hostile_jobs`) in their own processes, which tests kill or interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent


class Child:
    """A job in its own process."""

    def __init__(self, number: int, result: Path) -> None:
        self.number = number
        self.result = result

    @property
    def is_alive(self) -> bool:
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def spent(self) -> float:
        """Seconds of processor time that the job has used."""
        try:
            text = Path(f"/proc/{self.number}/stat").read_text()
        except FileNotFoundError:
            return 0.0
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def send(self, what: signal.Signals) -> None:
        if self.is_alive:
            os.kill(self.number, what)

    def end(self, seconds: float = 100.0) -> dict[str, Any]:
        """Wait for the end, and return the job's record; empty for a killed job."""
        wait(lambda: not self.is_alive, seconds)
        return json.loads(self.result.read_text()) if self.result.exists() else {}


def wait(holds: Callable[[], bool], seconds: float = 100.0) -> None:
    """Wait until `holds()` is true."""
    last = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > last:
            raise TimeoutError(f"nothing came in {seconds:g} s")
        time.sleep(0.002)


class Server:
    """Start jobs (`hostile_jobs.serve`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_started = 0
        found = os.pathsep.join([str(HERE), *sys.path])
        serve = "import hostile_jobs; hostile_jobs.serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", serve],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env=os.environ | {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(
        self, job: str, folder: Path, *, pause: float = 0.0, limit: int = 0,
        is_long: bool = False,
    ) -> Child:  # fmt: skip
        """Start a job and return when its work begins."""
        self.n_started += 1
        result = self.folder / f"{self.n_started}.json"
        order = {
            "job": job, "folder": str(folder), "result": str(result), "pause": pause,
            "limit": limit, "long": is_long,
        }  # fmt: skip
        print(json.dumps(order), file=self.process.stdin, flush=True)
        child = Child(int(self.process.stdout.readline()), result)
        wait(Path(f"{result}.started").exists)
        return child

    def close(self) -> None:
        """End the process that forks jobs; jobs end by themselves."""
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
