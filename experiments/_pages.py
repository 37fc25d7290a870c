"""Find the one writer of pages, which is in benches/."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benches"))

from pages import fill as fill
