"""Names that a user gave, safe where they are shown: terminals, pictures and tables."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Spreadsheets read a cell that begins with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", *"\uff1d\uff0b\uff0d\uff20")
# Control characters, changes of direction, halves of a pair, line separators.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # part of words and pictures


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with its control characters written out, as in ``\x1b``.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay, such as a line's end.
    """
    return "".join(
        one
        if one in keep or one in _JOINERS or unicodedata.category(one) not in _HIDDEN
        else one.encode("unicode_escape").decode()
        for one in text
    )


def literal(name: str) -> str:
    """Return a name that matplotlib prints as it is: no formula, none left out.

    Parameters
    ----------
    name : str
    """
    return " " * name.startswith("_") + printable(name, keep="\n").replace("$", r"\$")


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV whose texts no spreadsheet runs; NaN is an empty cell.

    Parameters
    ----------
    table : DataFrame
        A text that a spreadsheet would read as a formula gets an apostrophe in
        front, as OWASP advises; control characters are written out. So are the
        names of columns.
    """
    shown = table.copy()
    for column in shown.columns:
        if not all(isinstance(one, (int, float, bool)) for one in shown[column]):
            shown[column] = [_cell(one) for one in shown[column]]
    shown.columns = [_cell(one) for one in shown.columns]
    return shown.to_csv(index=False)


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
