"""The report's page: tables and pictures in one self-contained HTML file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from neurofreq import plot
from neurofreq._shared.escapes import printable
from neurofreq._shared.results import data_uri
from neurofreq.measured.summary import columns_of

if TYPE_CHECKING:
    import pandas as pd

    from neurofreq.measured.summary import Column
    from neurofreq.report._pictures import Picture
    from neurofreq.report._tables import Results

Cell = dict[str, str]
NO_NUMBER = ("undefined", "not measured")
_MINUS = "\N{MINUS SIGN}"


def render(
    results: Results,
    tables: dict[str, pd.DataFrame],
    pictures: list[Picture],
    settings: dict[str, Any],
) -> str:
    """Return the page as HTML; `settings` is the content of settings.json."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurofreq.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
    )
    columns = shown_columns(results, tables["summary"])
    return environment.get_template("page.html").render(
        columns=columns,
        rows=summary_rows(columns, tables["summary"]),
        differences=_difference_rows(columns, tables.get("differences")),
        pictures=[
            (picture, data_uri(picture.png), _shown_width(picture.png))
            for picture in pictures
        ],
        settings=settings,
        missing=settings["missing"],
        attack=bool(results.having("attack")),
        has_corruption=bool(results.corruptions),
        has_filters=bool(results.having("filters")),
        has_bands=bool(results.having("bands")),
    )


def shown_columns(results: Results, summary: pd.DataFrame) -> list[Column]:
    """Return the columns that have a number for at least one model."""
    return [
        column
        for column in columns_of(results.models, results.corruptions)
        if summary[f"{column.key}_n"].max() > 0
    ]


def summary_rows(columns: list[Column], summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row per model: its name, its color and its formatted cells."""
    rows = []
    for position, row in enumerate(summary.to_dict("records")):
        cells = [
            cell(
                column,
                row[column.key],
                row[f"{column.key}_low"],
                row[f"{column.key}_high"],
                is_measured=row[f"{column.key}_n"] > 0,
            )
            for column in columns
        ]
        rows.append(
            {
                "model": row["model"],
                "is_random": row["weights"] == "random",
                "color": plot.color(position),
                "cells": cells,
            }
        )
    return rows


def cell(
    column: Column,
    value: float,
    low: float,
    high: float,
    *,
    is_measured: bool = True,
    signed: bool = False,
) -> Cell:
    """Format a number and its interval in the column's unit.

    The arguments are in the unit of the CSV; NaN means undefined. With `signed`,
    positive numbers get a plus sign.
    """
    if not is_measured:
        return {"value": NO_NUMBER[1], "interval": ""}
    value, low, high = (column.factor * x for x in (value, low, high))
    if math.isnan(value):
        return {"value": NO_NUMBER[0], "interval": ""}
    sign = "+" if signed else ""
    form = f"{{:{sign}.{column.decimals}f}}"
    interval = "no interval"
    if not math.isnan(low):
        interval = f"[{form.format(low)}, {form.format(high)}]"
    return {
        "value": form.format(value).replace("-", _MINUS),
        "interval": interval.replace("-", _MINUS),
    }


def _difference_rows(
    columns: list[Column], differences: pd.DataFrame | None
) -> list[dict[str, Any]]:
    """Return one row per model except the first: its differences from the first."""
    if differences is None:
        return []
    rows = []
    for model, part in differences.groupby("model", sort=False):
        by_key = {row["quantity"]: row for row in part.to_dict("records")}
        cells = [
            cell(
                column,
                by_key[column.key]["difference"],
                by_key[column.key]["low"],
                by_key[column.key]["high"],
                signed=True,
            )
            if column.key in by_key
            else cell(column, 0.0, 0.0, 0.0, is_measured=False)
            for column in columns
        ]
        reference = next(iter(by_key.values()))["reference"]
        rows.append({"model": f"{model} {_MINUS} {reference}", "cells": cells})
    return rows


def _visible(value: Any) -> Any:
    """Replace control characters in plain text or HTML by visible characters."""
    return type(value)(printable(value, keep="\n")) if isinstance(value, str) else value


def _shown_width(png: bytes) -> int:
    """Return the maximum display width of a picture, in CSS pixels."""
    return int.from_bytes(png[16:20], "big") * 3 // 4
