"""Names that become parts of paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# Characters that separate parts of a path or end it, on any system.
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
# Names that Windows gives to devices, with any suffix.
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST: Final = 255  # bytes of a name


def checked(argument: str, name: Any) -> str:
    """Return a name that is one part of a path, below the folder it is put in.

    Parameters
    ----------
    argument : str
        What the caller calls it.
    name : str

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If it is empty, hidden, too long or the name of a device, ends in a dot or a
        space, or holds a separator or a control character.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: got {type(name).__name__}, expected a string")
    is_plain = (
        bool(name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and not _FORBIDDEN.search(name)
        and not _DEVICES.fullmatch(name)
        and len(name.encode(errors="replace")) <= _LONGEST
    )
    if not is_plain:
        raise ValueError(
            f"{argument}: got {name!r}, expected the name of a folder or file, without "
            "separators, control characters, or a dot at its start or end"
        )
    return name


def without_links(argument: str, root: Path, parts: Iterable[Path]) -> None:
    """Require that no folder on the way from a root to paths below it is a link.

    Parameters
    ----------
    argument : str
        What the caller calls the root.
    root : Path
        May itself be a link.
    parts : iterable of Path
        Relative to the root.

    Raises
    ------
    ValueError
        If one is a link, which may lead out of the root.
    """
    ways = {way for part in parts for way in (part, *part.parents)} - {Path()}
    for way in sorted(ways):
        if (root / way).is_symlink():
            raise ValueError(
                f"{argument}: got {root / way}, a link, expected a folder of its own"
            )
