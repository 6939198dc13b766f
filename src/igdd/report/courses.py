"""What follows a subject over all sessions: a table of each such metric, its first as a chart.

Rows come from metrics of level "subject": exposure, washout, absorbed dose, delivery percentile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from igdd import catalog
from igdd.report import wording
from igdd.report.chart import Chart
from igdd.report.figures import bars
from igdd.report.listings import Table
from igdd.report.over_time import time_activity
from igdd.report.overview import (
    Overview,
    each,
    group_means,
    natural,
    subject_means,
    with_lesions_pooled,
)

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 60
MOST_BARS = 30


# Short words for what a metric writes, where its own name needs them.
_WORDS = {
    "auc_last": "AUC to the last session",
    "auc_inf": "AUC to infinity",
    "auc_beyond": "extrapolated part",
    "half_life": "terminal half-life",
    "residence_time": "mean residence time",
    "washout_at_zero": "its line at time zero",
}


class _Asked(NamedTuple):
    """A metric of level "subject" that the study asks for, and whose uptake or other course it is
    taken of; what it writes, with its words."""

    name: str
    of: str
    gives: dict[str, str]


def blocks(view: Overview, question: str) -> tuple[Chart | Table, ...]:
    """Charts and tables of one question; nothing where no such metric was asked for."""
    found: list[Chart | Table | None] = []
    for asked in _asked(view, question):
        rows = _rows(view, asked)
        if not len(rows):
            continue
        if asked.name == "exposure":
            found.append(time_activity(view, log=True))
        found += [chart(view, asked, rows), table(view, asked, rows)]
    return tuple(block for block in found if block is not None)


def _asked(view: Overview, question: str) -> list[_Asked]:
    found = []
    for entry in view.study.get("measure") or ():
        known = catalog.declarations("metrics")
        if not isinstance(entry, Mapping) or entry.get("metric") not in known:
            continue
        metric = known[entry["metric"]]
        if metric.level == "subject" and metric.question == question:
            options = {**metric.defaults, **entry}
            gives = {name.format(**options): _words(name, options) for name, _ in metric.gives}
            found.append(_Asked(metric.name, str(options.get("of") or ""), gives))
    return found


def _words(template: str, options: Mapping[str, Any]) -> str:
    """What a metric writes in words; of the options in its name only the reference is said."""
    stem = re.sub(r"_?\{[a-z_]+\}", "", template).removesuffix("_to")
    words = _WORDS.get(stem, stem.replace("_", " ").replace("half life", "half-life"))
    return f"{words} over {options['reference']}" if "{reference}" in template else words


def _rows(view: Overview, asked: _Asked) -> pd.DataFrame:
    """Rows of a metric; lesions of several subjects as one, since theirs have nothing in common."""
    rows = view.followed[view.followed["metric"].isin(asked.gives)]
    lesions = rows.loc[rows["kind"] == "lesion", "region"].nunique()
    return with_lesions_pooled(rows) if lesions > 1 and rows["subject"].nunique() > 1 else rows


def table(view: Overview, asked: _Asked, rows: pd.DataFrame) -> Table | None:
    """One line per region and arm, one column per metric: mean over subjects with its interval."""
    finite = rows[np.isfinite(rows["value"])]
    present = [metric for metric in asked.gives if (finite["metric"] == metric).any()]
    if not present:
        return None
    means = group_means(finite, ["region", "group", "metric"])
    cells = {(row.region, row.group, row.metric): row for row in each(means)}
    units = {metric: rows.loc[rows["metric"] == metric, "unit"].iloc[0] for metric in present}
    arms = len(view.groups) > 1
    lines = []
    for region in sorted(rows["region"].unique(), key=natural):
        for group in view.groups:
            found = [cells.get((region, group, metric)) for metric in present]
            if not any(row is not None for row in found):
                continue
            count = max(int(row.subjects) for row in found if row is not None)
            texts = [_cell(row, count) for row in found]
            lines.append((str(region), *((str(group),) if arms else ()), str(count), *texts))
    headings = [_with_unit(asked.gives[metric], metric, units[metric]) for metric in present]
    cut = (
        f" {len(lines) - MOST_ROWS} more are in measurements.csv." if len(lines) > MOST_ROWS else ""
    )
    return Table(
        title=_titled(asked, asked.name.replace("_", " ")) + ", over all sessions",
        columns=("region", *(("arm",) if arms else ()), "n", *headings),
        rows=tuple(lines[:MOST_ROWS]),
        right=(False, *((False,) if arms else ()), True, *(True for _ in headings)),
        note="Mean over subjects with its 95 % interval (one subject: of the measurement); a dash "
        "where it cannot be had, for the reason that its flag in the table gives."
        + _absent(asked, present)
        + cut,
    )


def _cell(row: Any, count: int) -> str:
    """A mean with its interval, and of how many subjects where the line's others are of more."""
    if row is None:
        return "–"
    shown = wording.with_interval(row.value, row.low, row.high)
    shown = shown.replace(f" ({wording.INTERVAL_UNKNOWN})", "")
    return shown if int(row.subjects) == count else f"{shown}, n = {int(row.subjects)}"


def _titled(asked: _Asked, words: str) -> str:
    of = f" of {wording.metric_name(asked.of)}" if asked.of else ""
    return wording.capitalised(words) + of


def _with_unit(words: str, metric: str, unit: str) -> str:
    printed = _printed(metric, unit)
    return f"{words} ({printed})" if printed else words


def _printed(metric: str, unit: str) -> str:
    """A unit as printed; that of an area is a quotient times hours."""
    quotient, dot, hours = unit.rpartition(".")
    return (
        f"{wording.metric_unit('', quotient)}·{hours}" if dot else wording.metric_unit(metric, unit)
    )


def _absent(asked: _Asked, present: list[str]) -> str:
    """What no region has a value of."""
    words = [words for metric, words in asked.gives.items() if metric not in present]
    return f" No region has a value of: {', '.join(words)}." if words else ""


def chart(view: Overview, asked: _Asked, rows: pd.DataFrame) -> Chart | None:
    """One dot per subject and a bar for the arm's mean with its interval, region by region."""
    rows = rows[np.isfinite(rows["value"])]
    metric = next((name for name in asked.gives if (rows["metric"] == name).any()), "")
    if not metric:
        return None
    words, rows = asked.gives[metric], rows[rows["metric"] == metric]
    axis = _with_unit(words, metric, str(rows["unit"].iloc[0]))
    means = group_means(rows, ["group", "region"])
    points = subject_means(rows, ["group", "region"])
    ranked = means.groupby("region", sort=True)["value"].mean().sort_values(
        ascending=False, kind="stable"
    )  # fmt: skip
    shown = [str(name) for name in ranked.index[:MOST_BARS]]
    cut = f" {MOST_BARS} of {len(ranked)} regions." if len(ranked) > MOST_BARS else ""
    return Chart(
        name=f"course-{metric.replace('_', '-')}",
        title=_titled(asked, words),
        caption="Bars: mean over subjects with its 95 % interval (of one subject: that of the "
        f"measurement); dots: subjects.{cut}",
        spec=bars(
            means[means["region"].isin(shown)],
            points[points["region"].isin(shown)],
            (axis, shown, view.groups),
        ),
    )
