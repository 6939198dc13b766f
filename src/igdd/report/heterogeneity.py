"""Heterogeneity in the report: how much of each lesion is reached, and how deep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import wording
from igdd.report.chart import WIDTH, Chart, finished, group_colour, inline
from igdd.report.overview import Overview, natural

if TYPE_CHECKING:
    import pandas as pd

MOST_LESIONS = 40
_STEP = re.compile(r"coverage_at_(\d+)_percent")
_SHELL = re.compile(r"(rim|vessel)_shell_(\d+)")
FROM = {"rim": "from the rim to the core", "vessel": "away from the vessels"}


def blocks(view: Overview) -> tuple[Chart, ...]:
    """Coverage over the threshold, and profiles over depth, of the headline session's lesions."""
    found = [_coverage(view), *(_profile(view, start) for start in FROM)]
    return tuple(chart for chart in found if chart is not None)


def _coverage(view: Overview) -> Chart | None:
    """Share of each lesion's volume above a threshold, as the threshold rises."""
    table = _series(view, _STEP)
    if not len(table):
        return None
    table = table.assign(value=100 * table["value"], low=100 * table["low"])
    return Chart(
        name="coverage",
        title=f"Share of each lesion that is reached {wording.at_session(view.focus)}".strip(),
        caption="Volume at or above a multiple of the threshold; 100 % on the abscissa is the "
        "threshold itself. One line for each lesion; image noise is taken out where it is known."
        + _cut(table),
        spec=_lines(
            table, ("threshold (% of the declared one)", "volume reached (%)"), view.groups
        ),
    )


def _profile(view: Overview, start: str) -> Chart | None:
    """Mean of each lesion in shells of equal volume, over the lesion's own mean."""
    table = _series(view, _SHELL, start)
    if not len(table):
        return None
    mean = table.groupby("lesion")["value"].transform("mean")
    table = table.assign(value=table["value"] / mean.where(mean > 0))
    return Chart(
        name=f"profile-{start}",
        title=f"Depth profile of each lesion, {FROM[start]}",
        caption="Mean of each of five shells of equal volume over the mean of all; a flat line is "
        "an even lesion. Partial volume lowers the outermost shell." + _cut(table),
        spec=_lines(
            table[np.isfinite(table["value"])], ("shell", "uptake ÷ lesion mean"), view.groups
        ),
    )


def _series(view: Overview, pattern: re.Pattern[str], start: str = "") -> pd.DataFrame:
    """Rows lesion, group, across, value, low of metrics whose name ends in a number."""
    rows = view.rows[(view.rows["session"] == view.focus) & np.isfinite(view.rows["value"])]
    names = rows["metric"].unique()
    wanted = {name: found for name in names if (found := pattern.fullmatch(name)) is not None}
    numbers = {
        name: float(found.groups()[-1])
        for name, found in wanted.items()
        if not start or found[1] == start
    }
    rows = rows[rows["metric"].isin(list(numbers))]
    across = rows["metric"].map(numbers)
    rows = rows.assign(across=across, lesion=rows["subject"] + " · " + rows["region"])
    shown = sorted(set(rows["lesion"]), key=natural)[:MOST_LESIONS]
    rows = rows[rows["lesion"].isin(shown)].drop_duplicates(["lesion", "across"], keep="last")
    series: pd.DataFrame = rows[["lesion", "group", "across", "value", "low"]]
    return series


def _cut(table: pd.DataFrame) -> str:
    many = table["lesion"].nunique() >= MOST_LESIONS
    return f" The first {MOST_LESIONS} lesions." if many else ""


def _lines(table: pd.DataFrame, titles: tuple[str, str], groups: tuple[str, ...]) -> Any:
    import altair as alt

    pick = alt.selection_point(name="arm", fields=["group"], bind="legend")
    lines = (
        alt.Chart(inline(table[["lesion", "group", "across", "value"]]))
        .mark_line(strokeWidth=1.4, point=alt.OverlayMarkDef(size=18))
        .encode(
            x=alt.X("across:Q", title=titles[0], axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("value:Q", title=titles[1]),
            detail="lesion:N",
            color=group_colour(groups),
            opacity=alt.condition(pick, alt.value(0.75), alt.value(0.08)),
            tooltip=[
                alt.Tooltip("lesion:N"),
                alt.Tooltip("group:N", title="arm"),
                alt.Tooltip("across:Q", title=titles[0]),
                alt.Tooltip("value:Q", title=titles[1], format=".3~g"),
            ],
        )
    )
    return finished(lines.add_params(pick).properties(width=WIDTH, height=240))
