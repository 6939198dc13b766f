"""Over time: the curve of each region, a line for each administration.

Sessions after one administration are one line, days long; a baseline and a blocked scan are two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import wording
from igdd.report.chart import (
    FACETS_ACROSS,
    WIDTH,
    Chart,
    course_dash,
    facets,
    finished,
    group_colour,
    inline,
    scaled,
    stacked,
    value_axis,
)
from igdd.report.overview import Overview, group_means, subject_means, with_lesions_pooled

if TYPE_CHECKING:
    import pandas as pd

MOST_CURVES = 12
MOST_DOTS = 30


def time_activity(view: Overview, *, log: bool = False) -> Chart | None:
    """Curves over time per region: thin lines are subjects, thick lines the means of the arms.

    Sessions that follow each other after one administration are one line; sessions with an
    administration each, such as baseline and blocked, are a line each (`administrations`).
    `log`: on a logarithmic scale, which a terminal phase is straight on; values above zero alone.
    """
    rows = with_lesions_pooled(view.of(view.level)) if view.level else view.rows.iloc[:0]
    rows = rows[np.isfinite(rows["time"])]
    rows = rows[rows["value"] > 0] if log else rows
    if not len(rows) or rows.groupby("subject")["time"].nunique().max() < 2:
        return None
    total = rows["region"].nunique()
    shown = _curve_regions(rows)
    rows = rows[rows["region"].isin(shown)]
    # Frames are matched between subjects by their number: clock times differ by seconds.
    frame = rows.groupby(["subject", "session"])["time"].rank(method="dense")
    by = ["group", "region", "course", "session", "frame"]
    course = administrations(view, rows)
    rows = rows.assign(frame=frame.astype(int), course=rows["session"].map(course))
    courses = list(dict.fromkeys(course.values()))
    lines = subject_means(rows, by).assign(what="subject", low=np.nan, high=np.nan)
    means = group_means(rows, by).assign(what="mean", subject="")
    step, time_name = wording.time_unit(float(rows["time"].max()))
    factor, unit = view.scale(view.level)
    both = scaled(stacked(lines, means), factor)
    # Dots side by side would hide which line is dashed.
    frames = both.groupby(["region", "course"])["frame"].transform("nunique")
    dots = (frames <= MOST_DOTS) | (len(courses) == 1)
    both = both.assign(time=both["time"] / step, dots=dots)
    if log:
        both = both.assign(low=both["low"].where(both["low"] > 0))
    cut = f" {len(shown)} of {total} regions." if total > len(shown) else ""
    several = " Dashes tell sessions apart that count from a time zero each."
    several = several if len(courses) > 1 else ""
    titles = (wording.axis_title(view.level, unit), time_name)
    return Chart(
        name="time-activity-log" if log else "time-activity",
        title=f"{wording.capitalised(wording.axis_title(view.level, unit))} over time"
        + (", logarithmic" if log else ""),
        caption="Thin lines: subjects; thick lines with dots: mean over subjects and its 95 % "
        f"interval. Each region has a scale of its own. Time counts from the administration where "
        f"that is known, else from the scan's start.{several}{cut}",
        spec=_curves(both, titles, (shown, view.groups, courses), log),
    )


def administrations(view: Overview, rows: pd.DataFrame) -> dict[str, str]:
    """Session -> name of the course that it belongs to: the sessions after one administration.

    A session has a course of its own where the study gives it an administration of its own, and
    where its frames and those of a course overlap in time in any subject: time cannot tell them
    apart then, and a line through both would be a saw.
    """
    own = {
        str(given["session"])
        for subject in view.study.get("subject") or ()
        for given in subject.get("given") or ()
        if given.get("session") is not None
    }
    spans = rows.groupby(["session", "subject"])["time"].agg(["min", "max"])
    courses: list[list[str]] = []
    for session in (name for name in view.sessions if name in spans.index):
        fitting = (
            course
            for course in courses
            if session not in own
            and not any(other in own or _overlap(spans, other, session) for other in course)
        )
        course = next(fitting, None)
        if course is None:
            courses.append([session])
        else:
            course.append(session)
    return {
        session: ", ".join(wording.session_name(name) for name in course)
        for course in courses
        for session in course
    }


def _overlap(spans: pd.DataFrame, first: str, second: str) -> bool:
    """Whether the times of two sessions meet in a subject that has both."""
    one, other = spans.loc[first], spans.loc[second]
    one, other = one.align(other, join="inner", axis=0)
    return bool(((one["min"] <= other["max"]) & (other["min"] <= one["max"])).any())


def _curve_regions(rows: pd.DataFrame) -> list[str]:
    """Blood, the lesions, then the regions with the highest means."""
    means = rows.groupby(["region", "kind"], sort=True)["value"].mean().reset_index()
    rank = means["kind"].map({"blood": 0, "lesion": 1, "remainder": 3}).fillna(2)
    ordered = means.assign(rank=rank).sort_values(
        ["rank", "value"], ascending=[True, False], kind="stable"
    )
    return [str(name) for name in ordered["region"].head(MOST_CURVES)]


def _curves(
    table: pd.DataFrame,
    titles: tuple[str, str],
    names: tuple[list[str], tuple[str, ...], list[str]],
    log: bool,
) -> Any:
    """One small plot for each region.

    names  regions in order, arms (colours), courses (dashes)
    """
    import altair as alt

    (title, time_name), (shown, groups, courses) = titles, names
    pick = alt.selection_point(name="arm", fields=["group"], bind="legend")
    columns = min(FACETS_ACROSS, len(shown))
    base = alt.Chart().encode(
        x=alt.X("time:Q", title=f"time ({time_name})"),
        color=group_colour(groups),
        tooltip=[
            alt.Tooltip("region:N"),
            alt.Tooltip("group:N", title="arm"),
            alt.Tooltip("subject:N"),
            alt.Tooltip("session:N"),
            alt.Tooltip("time:Q", title=f"time ({time_name})", format=".4~g"),
            alt.Tooltip("value:Q", title=title, format=".4~g"),
        ],
    )
    dash = course_dash(courses)
    scale = alt.Scale(type="log") if log else alt.Undefined
    y = alt.Y("value:Q", title=None, axis=value_axis(26), scale=scale)
    lines = (
        base.transform_filter(alt.datum.what == "subject")
        .mark_line(strokeWidth=0.8)
        .encode(
            y=y,
            detail=["subject:N", "course:N"],
            strokeDash=dash,
            opacity=alt.condition(pick, alt.value(0.45), alt.value(0.05)),
        )
    )
    means = base.transform_filter(alt.datum.what == "mean").encode(
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.1))
    )
    layered = alt.layer(
        lines.add_params(pick),
        means.mark_rule(strokeWidth=1.2).encode(
            y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q"
        ),
        means.mark_line(strokeWidth=1.6 if len(courses) > 1 else 2.4).encode(y=y, strokeDash=dash),
        means.transform_filter(alt.datum.dots)
        .mark_circle(size=28 if len(courses) == 1 else 14)
        .encode(y=y),
    ).properties(width=(WIDTH + 60) // columns - 30, height=100, data=inline(table))
    chart = facets(layered, "region", shown, (44, 34)).resolve_scale(y="independent")
    return finished(chart)
