"""Chart: a Vega-Lite specification made by Altair, once for the page and for print.

A chart carries only the rows it shows, rounded to six digits, under fixed field names: text from
the study is always a value, never a name or an expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import theme

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 560
FACETS_ACROSS = 3
AXIS_HEIGHT = 34
DASHES = ([1, 0], [5, 3], [1.5, 2.5], [8, 3, 1.5, 3])


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A Vega-Lite specification with its heading and its caption."""

    name: str
    title: str
    caption: str
    spec: dict[str, Any]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values: six digits, and None where a number is not finite."""
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return str(value)


def group_colour(groups: Sequence[str]) -> Any:
    """Colour by arm, with a legend where there is more than one."""
    import altair as alt

    legend = alt.Legend(title=None) if len(groups) > 1 else None
    scale = alt.Scale(domain=list(groups), range=theme.colours(groups))
    return alt.Color("group:N", scale=scale, legend=legend)


def course_dash(courses: Sequence[str]) -> Any:
    """Dashes by course of time, with a legend where there is more than one."""
    import altair as alt

    patterns = [DASHES[place % len(DASHES)] for place in range(len(courses))]
    # A long line as symbol: a short one would hide what the dashes are.
    legend = alt.Legend(title=None, symbolType="stroke", symbolSize=900, symbolStrokeWidth=1.6)
    return alt.StrokeDash(
        "course:N",
        scale=alt.Scale(domain=list(courses), range=patterns),
        legend=legend if len(courses) > 1 else None,
    )


def scaled(table: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Value and interval in the printed unit."""
    return table.assign(**{name: table[name] * factor for name in ("value", "low", "high")})


def stacked(upper: pd.DataFrame, lower: pd.DataFrame) -> pd.DataFrame:
    """Both tables below each other, with the columns they share."""
    import pandas as pd

    columns = [name for name in upper.columns if name in lower.columns]
    return pd.concat([upper[columns], lower[columns]], ignore_index=True)


def value_axis(extent: int) -> Any:
    """Axis of a small plot: few labels, each short, whatever the size of its numbers."""
    import altair as alt

    plain = "datum.value == 0 || (abs(datum.value) >= 0.001 && abs(datum.value) < 100000)"
    return alt.Axis(
        minExtent=extent,
        tickCount=4,
        labelExpr=f"{plain} ? format(datum.value, '~g') : format(datum.value, '.2~e')",
    )


def facets(layered: Any, field: str, names: Sequence[str], spacing: tuple[int, int]) -> Any:
    """One small plot for each name of a field, three in a row; spacing of columns and of rows."""
    import altair as alt

    columns = min(FACETS_ACROSS, len(names))
    # Flush bounds keep the plots of a row level, whatever their tick labels. Where the last row is
    # not full, an axis shared by a column would stand where no plot is.
    full = len(names) % columns == 0
    chart = layered.facet(
        facet=alt.Facet(f"{field}:N", title=None, sort=list(names)),
        columns=columns,
        bounds="flush",
        spacing={"column": spacing[0], "row": spacing[1] + (0 if full else AXIS_HEIGHT)},
    )
    return chart if full else chart.resolve_axis(x="independent")


def inline(table: pd.DataFrame) -> Any:
    """A table as the data of a chart."""
    return inline_values(records(table))


def inline_values(values: list[dict[str, Any]]) -> Any:
    """JSON rows as the data of a chart."""
    import altair as alt

    return alt.Data(values=values)


def finished(chart: Any) -> dict[str, Any]:
    """The specification, checked by Altair, with the report's look."""
    spec: dict[str, Any] = chart.to_dict()
    return spec | {"config": theme.CONFIG}
