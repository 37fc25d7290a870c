"""Install and test the project with each given torch, as a user would.

``python backend/matrix.py 2.11 2.13`` does the following for each torch minor: make a
new environment with this torch, build a wheel with pip without isolation, install the
wheel, run ``neurofreq doctor`` and the tests, and check that the version of torch has
not changed. The script prints a table, and writes the numbers into ``.build/matrix``.
The exit status is 1 if anything fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from torches import TORCHES

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".build" / "matrix"
COLUMNS = {
    "torch": "torch", "python": "Python", "build_s": "build, s",
    "wheel_mb": "wheel, MB", "doctor": "doctor", "passed": "passed",
    "failed": "failed", "skipped": "skipped", "tests_s": "tests, s",
}  # fmt: skip


def run(*command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in the root folder, and capture its output."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done


class Environment:
    """A new virtual environment with one torch and the packages for the tests."""

    def __init__(self, minor: str) -> None:
        self.folder = RESULTS / f"torch-{minor}"
        shutil.rmtree(self.folder, ignore_errors=True)
        run(sys.executable, "-m", "venv", self.folder)
        self.python = self.folder / "bin" / "python"
        uv = shutil.which("uv") or self._own_uv()
        run(
            uv, "pip", "install", "--python", self.python, "-r", "pyproject.toml",
            "--group", "test", "--group", "build", f"torch=={minor}.*",
        )  # fmt: skip

    def _own_uv(self) -> Path:
        run(self.python, "-m", "pip", "install", "--quiet", "uv")
        return self.folder / "bin" / "uv"

    def torch(self) -> str:
        """Return the version of torch that Python imports."""
        print_it = "import torch; print(torch.__version__)"
        return run(self.python, "-c", print_it).stdout.strip()

    def build(self) -> tuple[Path, float]:
        """Build a wheel; return its path and the build time in seconds."""
        dist, started = self.folder / "dist", time.monotonic()
        words = ("--no-build-isolation", "--no-deps", "--wheel-dir", dist, ROOT)
        run(self.python, "-m", "pip", "wheel", *words)
        return next(dist.glob("*.whl")), time.monotonic() - started

    def install(self, wheel: Path) -> None:
        """Install a wheel and its requirements with pip."""
        run(self.python, "-m", "pip", "install", wheel)

    def test(self, options: list[str]) -> dict[str, int]:
        """Run the tests on the installed package, and count their outcomes."""
        log = RESULTS / f"{self.folder.name}.log"
        words = ["-q", "-p", "no:cacheprovider", "-n", "auto", "--dist", "worksteal"]
        started = time.monotonic()
        with log.open("w") as file:
            subprocess.run(
                [self.python, "-m", "pytest", *words, *options],
                cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},  # threads per process
            )  # fmt: skip
        found = dict.fromkeys(("passed", "failed", "skipped", "error"), 0)
        lines = log.read_text(errors="replace").splitlines() or [""]
        for count, name in re.findall(r"(\d+) (\w+)", lines[-1]):
            if name.removesuffix("s") in ("error",):
                found["error"] = int(count)
            elif name in found:
                found[name] = int(count)
        found["tests_s"] = round(time.monotonic() - started)
        return found


def row(minor: str, options: list[str]) -> dict[str, Any]:
    """Build, install and test with one torch; return the row of the table."""
    environment = Environment(minor)
    before = environment.torch()
    shutil.rmtree(ROOT / "target" / f"torch-{minor}", ignore_errors=True)
    wheel, seconds = environment.build()
    environment.install(wheel)
    doctor = run(
        environment.folder / "bin" / "neurofreq", "doctor", "--json", check=False
    )
    found: dict[str, Any] = {
        "torch": before,
        "python": platform.python_version(),
        "build_s": round(seconds),
        "wheel_mb": round(wheel.stat().st_size / 1e6, 1),
        "doctor": "works" if doctor.returncode == 0 else "fails",
        **environment.test(options),
    }
    if environment.torch() != before:
        raise RuntimeError(f"torch was {before} and is {environment.torch()}")
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    lines += [[str(one[name]) for name in COLUMNS] for one in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Test each minor, and write the file after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [torch.minor for torch in TORCHES]
    parser.add_argument("minors", nargs="*", metavar="MINOR", help="default: all")
    parser.add_argument("--pytest", default="", help="further options of pytest")
    given = parser.parse_args()
    if unknown := sorted(set(given.minors) - set(known)):
        parser.error(f"got {', '.join(unknown)}, expected any of {', '.join(known)}")
    os.environ["PYTHONNOUSERSITE"] = "1"
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = []
    for minor in given.minors or known:
        rows.append(row(minor, given.pytest.split()))
        print(table(rows[-1:]), flush=True)
        about = {"machine": platform.processor(), "cores": os.cpu_count(),
                 "date": date.today().isoformat(), "rows": rows}  # fmt: skip
        (RESULTS / "matrix.json").write_text(json.dumps(about, indent=1))
    print(table(rows))
    is_fine = all(
        one["doctor"] == "works" and one["passed"] and not one["failed"] + one["error"]
        for one in rows
    )
    sys.exit(0 if is_fine else 1)


if __name__ == "__main__":
    main()
