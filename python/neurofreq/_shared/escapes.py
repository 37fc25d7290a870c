"""Escape names that users gave, before a terminal, a figure or a table shows them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Spreadsheets read a cell that begins with one of these characters as a formula.
_FORMULA = ("=", "+", "-", "@", *"\uff1d\uff0b\uff0d\uff20")
# Unicode categories: control, format (such as changes of direction), lone
# surrogates, and line separators.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # words of some scripts and emoji need these


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with its control characters escaped, except those in `keep`."""
    return "".join(
        one
        if one in keep or one in _JOINERS or unicodedata.category(one) not in _HIDDEN
        else one.encode("unicode_escape").decode()
        for one in text
    )


def literal(name: str) -> str:
    """Return a name that matplotlib prints as it is.

    Matplotlib reads ``$`` as the start of a formula, and omits legend entries that
    begin with an underscore.
    """
    return " " * name.startswith("_") + printable(name, keep="\n").replace("$", r"\$")


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which a spreadsheet reads no text as a formula.

    A text that would be read as a formula gets a leading apostrophe, as OWASP advises.
    Control characters are escaped. Column names are treated in the same way. NaN is an
    empty cell.
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
