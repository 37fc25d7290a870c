"""Write measured numbers into a page, between two marks, for benches and experiments.

A page holds ``<!-- NAME -->`` and ``<!-- end of NAME -->``. The text outside of these
marks is written by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fill(page: Path, name: str, text: str) -> None:
    """Replace the text between the marks of this name.

    Raises ValueError if the page lacks a mark.
    """
    first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found_first, rest = page.read_text().partition(first)
    _, found_last, after = rest.partition(last)
    if not (found_first and found_last):
        raise ValueError(f"{page.name}: got no {name!r} marks, expected both")
    page.write_text(f"{before}{first}\n{text.strip()}\n\n{last}{after}")
