"""Check names that become parts of paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# Characters that separate or end parts of a path on some system.
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
# Device names of Windows, with any suffix.
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST: Final = 255  # bytes


def checked(argument: str, name: Any) -> str:
    """Return a name that is safe as one part of a path, on any system.

    Raises TypeError if the name is not a string, and ValueError if it is empty, hidden,
    too long, a device name, ends in a dot or a space, or holds a separator or control
    character.
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
    """Raise ValueError if a folder between the root and paths below it is a link.

    Such a link may lead out of the root. The root itself may be a link; `parts` are
    relative to it.
    """
    ways = {way for part in parts for way in (part, *part.parents)} - {Path()}
    for way in sorted(ways):
        if (root / way).is_symlink():
            raise ValueError(
                f"{argument}: got {root / way}, a link, expected a folder of its own"
            )
