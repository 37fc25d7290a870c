"""Show results: in one line, as a small table with a picture, and as a data frame."""

from __future__ import annotations

import base64
import html
import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from neurofreq._shared.escapes import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 6  # numbers in the one-line text
_SIZE = (4.2, 2.8)  # inches of the picture in a notebook
_DPI = 96


class Result(ABC):
    """A base of results: each shows itself in a notebook and in text.

    A subclass has `_numbers` (what the text and the table show), `to_frame` and `plot`.
    """

    __slots__ = ()

    @abstractmethod
    def _numbers(self) -> Mapping[str, Any]:
        """Return the main numbers by name, as text or plain values."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return the result as a table."""

    @abstractmethod
    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the result on one Axes."""

    def _has_picture(self) -> bool:
        """Return whether there is anything to draw."""
        return True

    def __repr__(self) -> str:
        """Return the main numbers in one line."""
        return line(self, self._numbers())

    def _repr_html_(self) -> str:
        """Return a table of the main numbers and a picture, for notebooks."""
        picture = ""
        if self._has_picture():
            figure = drawing(*_SIZE)
            self.plot(figure.subplots())
            picture = img(figure, type(self).__name__)
        return table(type(self).__name__, self._numbers()) + picture


def line(one: Any, numbers: Mapping[str, Any]) -> str:
    """Return ``Name(key: value, ...)`` with the first numbers."""
    parts = [f"{key}: {value}" for key, value in numbers.items()]
    more = ["..."] if len(parts) > _MOST else []
    text = ", ".join(parts[:_MOST] + more)
    return printable(f"{type(one).__name__}({text})")


def table(title: str, numbers: Mapping[str, Any]) -> str:
    """Return the numbers as an HTML table with two columns."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{_escaped(key)}</th>"
        f"<td style='text-align:left'>{_escaped(value)}</td></tr>"
        for key, value in numbers.items()
    )
    return f"<table><caption>{_escaped(title)}</caption><tbody>{rows}</tbody></table>"


def paragraph(text: str) -> str:
    """Return a text as an HTML paragraph."""
    return f"<p>{_escaped(text)}</p>"


def img(figure: Figure, alt: str) -> str:
    """Return a figure as an HTML image that holds its pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return f"<img alt='{_escaped(alt)}' src='{data_uri(buffer.getvalue())}'>"


def data_uri(png: bytes) -> str:
    """Return a PNG as a URL that holds its bytes."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def drawing(width: float, height: float, dpi: int = _DPI) -> Figure:
    """Return a figure of a size in inches, without pyplot, which would keep it open."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=dpi)


def frame(data: Any, **kw: Any) -> pd.DataFrame:
    """Return columns or rows as a data frame; pandas is imported only here.

    Raises ImportError if pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"to_frame: got no package pandas ({error}), expected it installed: "
            "pip install pandas"
        ) from error
    return pd.DataFrame(data, **kw)


def percent(value: float, low: float, high: float, width: int = 0) -> str:
    """Return a fraction with its interval, in percent."""
    return f"{100 * value:{width}.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def bounded(value: float, low: float, high: float, unit: str = "") -> str:
    """Return a number with its interval, to three decimals."""
    return f"{value:.3f} [{low:.3f}, {high:.3f}] {unit}".rstrip()


def size(shape: Any) -> str:
    """Return a shape as text, such as 3 x 32 x 32."""
    return " x ".join(map(str, shape))


def _escaped(text: Any) -> str:
    return html.escape(printable(str(text)))
