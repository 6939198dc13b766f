"""Heterogeneity in the report: how much of each lesion is reached, and how deep."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import wording
from igdd.report.chart import WIDTH, Chart, finished, group_colour, inline
from igdd.report.lesions import lesion_pictures
from igdd.report.listings import Table
from igdd.report.overview import Overview, natural
from igdd.report.pictures import Picture

if TYPE_CHECKING:
    import pandas as pd

MOST_LESIONS = 40
_STEP = re.compile(r"coverage_at_(\d+)_percent")
_REACHED = re.compile(r"(.+)_volume_reached$")
_SHELL = re.compile(r"(rim|vessel)_shell_(\d+)")
FROM = {"rim": "from the rim to the core", "vessel": "away from the vessels"}


def blocks(view: Overview) -> tuple[Chart | Picture | Table, ...]:
    """Coverage over the threshold, and profiles over depth, of the headline session's lesions.

    Then lesion by lesion: map, histogram and both of these; and where another image lies.
    """
    found = [_coverage(view), *(_profile(view, start) for start in FROM)]
    charts = tuple(chart for chart in found if chart is not None)
    names = {at[1] for name in view.rows["metric"].unique() if (at := _REACHED.match(name))}
    tables = tuple(table for name in sorted(names) if (table := _against(view, name)) is not None)
    return (*charts, *lesion_pictures(view), *tables)


def _against(view: Overview, other: str) -> Table | None:
    """Each lesion's image against another one: how much of that is reached, and what is missed."""
    columns = {
        f"{other}_volume_reached": (f"% of {other} reached", 100.0),
        f"pearson_with_{other}": ("correlation", 1.0),
        f"{other}_missed_volume": ("missed mL", 1.0),
        f"{other}_missed_largest_part": ("largest part mL", 1.0),
    }
    rows = view.rows[view.rows["metric"].isin(list(columns)) & np.isfinite(view.rows["value"])]
    rows = rows.sort_values("time", kind="stable", na_position="first")
    keys = ["subject", "session", "region"]
    order = {name: place for place, name in enumerate(view.sessions)}
    held = {
        key: {str(row["metric"]): row for row in part.to_dict("records")}
        for key, part in rows.groupby(keys, sort=False)
    }
    every = sorted(held, key=lambda one: (natural(one[0]), natural(one[2]), order.get(one[1], 0)))
    if not every:
        return None
    lines = tuple(
        (
            f"{subject} · {region}",
            wording.session_name(session),
            *(
                _cell(held[subject, session, region].get(name), columns[name][1])
                for name in columns
            ),
        )
        for subject, session, region in every[:MOST_LESIONS]
    )
    left = len(every) - MOST_LESIONS
    more = f" {left} rows more are in measurements.csv." if left > 0 else ""
    methods = {str(row["method"]) for one in held.values() for row in one.values()}
    said = methods.pop() if len(methods) == 1 else "hot: as the study has it"
    return Table(
        title=f"Is it where {other} is?",
        columns=("lesion", "session", *(title for title, _ in columns.values())),
        rows=lines,
        right=(False, False, *(True,) * len(columns)),
        note=f"{wording.capitalised(said)}. In brackets: 95 %, with the lesion as a sample of its "
        "tissue." + more,
    )


def _cell(row: dict[Hashable, Any] | None, factor: float) -> str:
    if row is None:
        return "–"
    value, low, high = (factor * float(row[name]) for name in ("value", "low", "high"))
    known = bool(np.isfinite([low, high]).all())
    return f"{value:.3g} ({low:.3g} to {high:.3g})" if known else f"{value:.3g}"


def _coverage(view: Overview) -> Chart | None:
    """Share of each lesion's volume above a threshold, as the threshold rises."""
    table, count = _series(view, _STEP)
    if not count:
        return None
    table = table.assign(value=100 * table["value"], low=100 * table["low"])
    return Chart(
        name="coverage",
        title=f"Share of each lesion that is reached {wording.at_session(view.focus)}".strip(),
        caption="Volume at or above a multiple of the threshold; 100 % on the abscissa is the "
        "threshold itself. One line for each lesion; image noise is taken out where it is known."
        + _cut(count),
        spec=_lines(
            table, ("threshold (% of the declared one)", "volume reached (%)"), view.groups
        ),
    )


def _profile(view: Overview, start: str) -> Chart | None:
    """Mean of each lesion in shells of equal volume, over the lesion's own mean."""
    table, count = _series(view, _SHELL, start)
    if not count:
        return None
    mean = table.groupby("lesion")["value"].transform("mean")
    table = table.assign(value=table["value"] / mean.where(mean > 0))
    return Chart(
        name=f"profile-{start}",
        title=f"Depth profile of each lesion, {FROM[start]}",
        caption="Mean of each of five shells of equal volume over the mean of all; a flat line is "
        "an even lesion. Partial volume lowers the outermost shell." + _cut(count),
        spec=_lines(
            table[np.isfinite(table["value"])], ("shell", "uptake ÷ lesion mean"), view.groups
        ),
    )


def _series(view: Overview, pattern: re.Pattern[str], start: str = "") -> tuple[pd.DataFrame, int]:
    """Rows lesion, group, across, value, low of metrics whose name ends in a number.

    Of `MOST_LESIONS` at most; and how many lesions there are.
    """
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
    every = sorted(set(rows["lesion"]), key=natural)
    rows = rows[rows["lesion"].isin(every[:MOST_LESIONS])]
    rows = rows.drop_duplicates(["lesion", "across"], keep="last")
    series: pd.DataFrame = rows[["lesion", "group", "across", "value", "low"]]
    return series, len(every)


def _cut(count: int) -> str:
    return f" The first {MOST_LESIONS} of {count} lesions." if count > MOST_LESIONS else ""


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
