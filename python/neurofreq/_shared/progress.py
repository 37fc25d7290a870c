"""Show progress bars where somebody can see them."""

from __future__ import annotations

import sys
from typing import Any


def bar(iterable: Any = None, *, progress: bool, **kw: Any) -> Any:
    """Return a tqdm bar; silent without `progress`, and if nobody can see it."""
    from tqdm.auto import tqdm

    return tqdm(iterable, disable=not (progress and is_seen()), **kw)


def is_seen() -> bool:
    """Return whether stderr is a terminal, or the process serves a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if "IPKernelApp" in getattr(shell, "config", {}):
        return True
    return sys.stderr is not None and sys.stderr.isatty()
