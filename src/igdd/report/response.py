"""Response in the report: waterfall of the best change, swimmer plot of the course, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.comparisons.criteria import CRITERIA, RESPONSES, criterion
from igdd.comparisons.response import read_contrast
from igdd.errors import UnitsError
from igdd.report import theme, wording
from igdd.report.chart import WIDTH, Chart, finished, inline, inline_values
from igdd.report.listings import Table
from igdd.report.overview import ALL, Overview, each, natural

if TYPE_CHECKING:
    import pandas as pd

DAY = 86400.0
MOST_NAMED = 40
MOST_SWIMMERS = 60
MOST_ROWS = 100
# The better the response, the cooler its colour; what cannot be judged is grey.
COLOURS: Mapping[str, str] = {
    "CR": "#0072B2", "PR": "#56B4E9", "SD": "#F0E442", "PD": "#D55E00", "NE": "#999999",
    "non-CR/non-PD": "#E69F00", "iCR": "#0072B2", "iPR": "#56B4E9", "iSD": "#F0E442",
    "iUPD": "#E69F00", "iCPD": "#D55E00", "non-iCR/non-iUPD": "#CC79A7", "CMR": "#0072B2",
    "PMR": "#56B4E9", "SMD": "#F0E442", "PMD": "#D55E00",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """The response findings of one criterion: scans and best responses, with subject and arm."""

    name: str
    scans: pd.DataFrame
    best: pd.DataFrame


def blocks(view: Overview) -> tuple[Chart | Table, ...]:
    """For each criterion: waterfall, swimmer plot and the table of decisions."""
    found: list[Chart | Table | None] = []
    for judged in _criteria(view):
        found += [waterfall(judged, view.groups), swimmer(view, judged), decisions(judged)]
    return tuple(block for block in found if block is not None)


def _criteria(view: Overview) -> list[_Judged]:
    """Response findings by criterion, in the order of the study."""
    import pandas as pd

    table = view.results.findings
    table = table[table["comparison"] == "response"]
    arms = view.rows.drop_duplicates("subject").set_index("subject")["group"].to_dict()
    rows = []
    for one in table.to_dict("records"):
        contrast = read_contrast(str(one["contrast"]))
        if contrast is None:
            continue
        said = {"criterion": contrast.criterion, "subject": contrast.subject,
                "response": contrast.response, "best": contrast.best,
                "group": arms.get(contrast.subject, ALL)}  # fmt: skip
        rows.append({str(key): value for key, value in one.items()} | said)
    if not rows:
        return []
    whole = pd.DataFrame(rows)
    return [
        _Judged(name=str(name), scans=part[~part["best"]], best=part[part["best"]])
        for name, part in whole.groupby("criterion", sort=False)
    ]


def _colour(responses: list[str]) -> Any:
    import altair as alt

    domain = [name for name in COLOURS if name in responses]
    scale = alt.Scale(domain=domain, range=[COLOURS[name] for name in domain])
    return alt.Color("response:N", title=None, scale=scale)


def waterfall(judged: _Judged, groups: tuple[str, ...]) -> Chart | None:
    """One bar per subject: the lowest change up to progression, sorted, by best response."""
    rows = judged.best[np.isfinite(judged.best["estimate"].astype(float))]
    if not len(rows):
        return None
    table = rows.assign(value=rows["estimate"].astype(float))
    table = table[["subject", "group", "response", "value"]].sort_values(
        ["value", "subject"], ascending=[False, True], kind="stable"
    )
    lines = limits(judged.name)
    missing = len(judged.best) - len(rows)
    left = f" {wording.count(missing, 'subject')} without a number." if missing else ""
    dashed = " Dashed: the limits of response and progression." if lines else ""
    return Chart(
        name=f"response-waterfall-{_slug(judged.name)}",
        title=f"Best change of every subject, {judged.name}",
        caption=f"{wording.count(len(rows), 'subject')}; lowest change from baseline up to the "
        f"first progression, coloured by the best response.{dashed}{left}",
        spec=_bars(table, lines, groups),
    )


def limits(name: str) -> tuple[float, ...]:
    """Changes in percent at which a criterion, by its printed name, sees response or progression.

    >>> limits("RECIST 1.1")
    (-30.0, 20.0)
    """
    for key in CRITERIA:
        known = criterion(key)
        said = known.tables.get("response", {})
        if known.name == name and "decrease_percent" in said:
            return -float(said["decrease_percent"]), float(said["increase_percent"])
    return ()


def _bars(table: pd.DataFrame, lines: tuple[float, ...], groups: tuple[str, ...]) -> Any:
    import altair as alt

    named = len(table) <= MOST_NAMED
    base = alt.Chart(inline(table)).mark_bar(stroke="#555555", strokeWidth=0.4)
    tips = [
        alt.Tooltip("subject:N"),
        alt.Tooltip("response:N", title="best response"),
        alt.Tooltip("value:Q", title="change (%)", format=".4~g"),
        *([alt.Tooltip("group:N", title="arm")] if len(groups) > 1 else []),
    ]
    bars = base.encode(
        x=alt.X(
            "subject:N",
            sort=list(table["subject"]),
            title=None if named else "subjects",
            axis=alt.Axis(labels=named, ticks=named, labelAngle=-60, labelFontSize=9),
        ),
        y=alt.Y("value:Q", title="best change from baseline (%)"),
        color=_colour(list(table["response"])),
        tooltip=tips,
    )
    zero = alt.Chart(inline_values([{"at": 0.0}])).mark_rule(color=theme.INK).encode(y="at:Q")
    layers = [bars, zero]
    if lines:
        data = inline_values([{"at": line} for line in lines])
        layers.append(
            alt.Chart(data).mark_rule(strokeDash=[4, 3], color=theme.QUIET).encode(y="at:Q")
        )
    width = min(WIDTH + 60, 30 * len(table) + 20)
    return finished(alt.layer(*layers).properties(width=width, height=240))


def swimmer(view: Overview, judged: _Judged) -> Chart | None:
    """One lane per subject, from the baseline to the last scan, with the response at each."""
    scans, in_days = _times(view, judged)
    if not len(scans):
        return None
    scans = scans.assign(value=scans["estimate"].astype(float))
    columns = ["subject", "group", "session", "response", "time", "value"]
    table = scans[columns].sort_values(["time", "subject"], kind="stable")
    lanes = table.groupby("subject", sort=True).agg(end=("time", "max")).reset_index()
    lanes = lanes.assign(start=0.0)
    order = sorted(lanes["subject"], key=natural)
    order = sorted(order, key=lambda one: -float(lanes.set_index("subject")["end"][one]))
    shown = order[:MOST_SWIMMERS]
    cut = f" {len(shown)} of {len(order)} subjects." if len(order) > len(shown) else ""
    clock = (
        "Days after the baseline."
        if in_days
        else "Scans after the baseline: the study states no days."
    )
    return Chart(
        name=f"response-swimmer-{_slug(judged.name)}",
        title=f"Course of every subject, {judged.name}",
        caption=f"{clock} Each point is a scan with its response; a lane ends at the last.{cut}",
        spec=_lanes(
            table[table["subject"].isin(shown)], lanes[lanes["subject"].isin(shown)],
            shown, "days after the baseline" if in_days else "scan",
        ),
    )  # fmt: skip


def _times(view: Overview, judged: _Judged) -> tuple[pd.DataFrame, bool]:
    """The scans with their time after the baseline: days where all are known, else their order."""
    stated = _stated_days(view, judged.name)
    times = [
        stated.get(one.session, _measured_day(view, one.subject, one.session, stated))
        for one in each(judged.scans)
    ]
    if times and all(np.isfinite(time) and time > 0 for time in times):
        return judged.scans.assign(time=times), True
    order = judged.scans.groupby("subject").cumcount() + 1
    return judged.scans.assign(time=order.astype(float)), False


def _stated_days(view: Overview, name: str) -> dict[str, float]:
    """Days of the sessions after the first, as the study's comparison states them."""
    for entry in view.study.get("compare") or ():
        if not isinstance(entry, Mapping) or entry.get("method") != "response":
            continue
        key = str(entry.get("criterion"))
        sessions, days = entry.get("sessions"), entry.get("days")
        if key not in CRITERIA or criterion(key).name != name or not sessions or not days:
            continue
        try:
            read = [units.read(str(text), "s") / DAY for text in days]
        except UnitsError:
            return {}
        return {str(session): day - read[0] for session, day in zip(sessions, read, strict=False)}
    return {}


def _measured_day(view: Overview, subject: str, session: str, stated: Mapping[str, float]) -> float:
    """Days between a session and the subject's first one, by the table's times."""
    rows = view.rows[view.rows["subject"] == subject]
    if stated or session not in set(rows["session"]):
        return float("nan")
    times = rows.groupby("session")["time"].median()
    apart = np.diff(np.sort(times.to_numpy(float)))
    if not np.isfinite(times).all() or (apart < DAY).any():
        return float("nan")  # each session counts from an administration of its own
    return float(times[session] - times.min()) / DAY


def _lanes(table: pd.DataFrame, lanes: pd.DataFrame, order: list[str], title: str) -> Any:
    import altair as alt

    y = alt.Y("subject:N", sort=order, title=None)
    bars = (
        alt.Chart(inline(lanes))
        .mark_bar(height=9, color=theme.FAINT)
        .encode(y=y, x=alt.X("start:Q", title=title), x2="end:Q")
    )
    points = (
        alt.Chart(inline(table))
        .mark_point(size=70, filled=True, opacity=1, stroke="#555555", strokeWidth=0.5)
        .encode(
            y=y,
            x="time:Q",
            color=_colour(list(table["response"])),
            tooltip=[
                alt.Tooltip("subject:N"),
                alt.Tooltip("session:N"),
                alt.Tooltip("response:N"),
                alt.Tooltip("time:Q", title=title, format=".4~g"),
                alt.Tooltip("value:Q", title="change (%)", format=".4~g"),
            ],
        )
    )
    return finished(alt.layer(bars, points).properties(width=WIDTH, height=alt.Step(18)))


def decisions(judged: _Judged) -> Table | None:
    """Every verdict with its trace: what was found, what it was held against, what followed."""
    both = [*judged.scans.to_dict("records"), *judged.best.to_dict("records")]
    if not both:
        return None
    both.sort(key=lambda row: natural(str(row["subject"])))
    lines = [
        (
            str(row["subject"]),
            "best response" if row["best"] else wording.session_name(str(row["session"])),
            f"{RESPONSES.get(str(row['response']), '')} ({row['response']})",
            wording.with_interval(
                float(row["estimate"]), float(row["low"]), float(row["high"]), "%"
            ),
            str(row["method"]).partition("): ")[2],
        )
        for row in both
    ]
    source = str(both[0]["method"]).partition("): ")[0] + ")"
    left = (
        f" {len(lines) - MOST_ROWS} rows more are in findings.csv."
        if len(lines) > MOST_ROWS
        else ""
    )
    return Table(
        title=f"Decisions by {judged.name}",
        columns=("subject", "scan", "response", "change (95 %)", "how it was decided"),
        rows=tuple(lines[:MOST_ROWS]),
        right=(False, False, False, True, False),
        note=f"Thresholds: {source}. A boundary belongs to the side that the criterion says, in "
        f"exact arithmetic.{left}",
    )


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
