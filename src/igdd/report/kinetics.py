"""Kinetics in the report: curves with their fits and residuals, the parameters, what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.comparisons.occupancy import pairs
from igdd.report import parameters, theme, wording
from igdd.report.chart import (
    FACETS_ACROSS,
    WIDTH,
    Chart,
    facets,
    finished,
    inline,
    inline_values,
    value_axis,
)
from igdd.report.listings import Table
from igdd.report.overview import Overview, natural
from igdd.report.parameters import ordered, several_visits, visit_of
from igdd.results import FittedCurves

if TYPE_CHECKING:
    import pandas as pd

MOST_FACETS = 12
FEW_FRAMES = 40
MOST_MODELS = 6


def blocks(view: Overview) -> tuple[Chart | Table, ...]:
    """For each model: curves with fits, residuals, and the table of parameters."""
    models = list(dict.fromkeys(fit.model for fit in view.results.fits))
    found: list[Chart | Table | None] = []
    for model in models[:MOST_MODELS]:
        fits = [fit for fit in view.results.fits if fit.model == model]
        found += [curves(view, model, fits), residuals(view, model, fits)]
        found += parameters.tables(view, model, fits)
    return tuple(block for block in found if block is not None)


def curves(view: Overview, model: str, fits: list[FittedCurves]) -> Chart | None:
    """Measured curves as points and what the model makes of them as lines."""
    table, cut = _points(view, fits)
    if not len(table):
        return None
    step, time_name = wording.time_unit(float(table["time"].max()))
    usual = float(np.nanmedian(np.abs(table["measured"])))
    factor, unit = wording.scaled(fits[0].quantity, fits[0].unit, usual)
    table = table.assign(
        time=table["time"] / step,
        measured=table["measured"] * factor,
        fitted=table["fitted"] * factor,
        input=table["input"] * factor,
    )
    title = f"{fits[0].quantity.replace('_', ' ')} ({unit})"
    return Chart(
        name=f"fit-{model}",
        title=f"{wording.capitalised(wording.model_name(model))}: curves and fits, {title}",
        caption="Points: measured frames; line: the model, over the frames it was fitted to; grey: "
        f"the input, in its own height. Each region has a scale of its own.{cut}",
        spec=_curve_spec(table, (title, time_name)),
    )


def _curve_spec(table: pd.DataFrame, titles: tuple[str, str]) -> Any:
    import altair as alt

    title, time_name = titles
    order = list(dict.fromkeys(table["place"]))
    columns = min(FACETS_ACROSS, len(order))
    few = table.groupby("place")["measured"].count().max() <= FEW_FRAMES
    base = alt.Chart().encode(
        x=alt.X("time:Q", title=f"time ({time_name})"),
        tooltip=[
            alt.Tooltip("place:N", title="region"),
            alt.Tooltip("time:Q", title=f"time ({time_name})", format=".4~g"),
            alt.Tooltip("measured:Q", title=title, format=".4~g"),
            alt.Tooltip("fitted:Q", title="model", format=".4~g"),
        ],
    )
    y = value_axis(30)
    layered = alt.layer(
        base.transform_filter(alt.FieldValidPredicate(field="input", valid=True))
        .mark_line(strokeWidth=1.0, color="#b0b0b0")
        .encode(y=alt.Y("input:Q", title=None, axis=y)),
        # Below the model's line, which many frames would hide.
        base.mark_circle(size=22 if few else 14, color=theme.COLOURS[0]).encode(
            y=alt.Y("measured:Q", title=None, axis=y), opacity=alt.value(0.8)
        ),
        base.transform_filter(alt.FieldValidPredicate(field="fitted", valid=True))
        .mark_line(strokeWidth=1.8 if few else 1.1, color=theme.COLOURS[1])
        .encode(y=alt.Y("fitted:Q", title=None, axis=y)),
    ).properties(width=(WIDTH + 60) // columns - 34, height=110, data=inline(table))
    chart = facets(layered, "place", order, (48, 34)).resolve_scale(y="independent")
    return finished(chart)


def residuals(view: Overview, model: str, fits: list[FittedCurves]) -> Chart | None:
    """Measured minus model over the residuals' own scatter: what the model does not follow."""
    import altair as alt

    table, _ = _points(view, fits)
    table = table[np.isfinite(table["fitted"]) & np.isfinite(table["measured"])]
    if not len(table):
        return None
    left = table["measured"] - table["fitted"]
    if not left.any():
        return None  # figures of the curves themselves leave nothing over
    scatter = left.groupby(table["place"]).transform("std")
    table = table.assign(residual=left / scatter.where(scatter > 0))
    step, time_name = wording.time_unit(float(table["time"].max()))
    table = table.assign(time=table["time"] / step)[["place", "time", "residual"]]
    order = list(dict.fromkeys(table["place"]))
    columns = min(FACETS_ACROSS, len(order))
    base = alt.Chart().encode(
        x=alt.X("time:Q", title=f"time ({time_name})"),
        y=alt.Y("residual:Q", title=None, axis=alt.Axis(minExtent=30, tickCount=3)),
    )
    layered = alt.layer(
        base.mark_rule(color=theme.QUIET).encode(y=alt.datum(0), x=alt.value(0), x2=alt.value(
            (WIDTH + 60) // columns - 34)),
        base.mark_line(color=theme.COLOURS[0], strokeWidth=0.7),
        base.mark_circle(size=14, color=theme.COLOURS[0]),
    ).properties(width=(WIDTH + 60) // columns - 34, height=60, data=inline(table))  # fmt: skip
    chart = facets(layered, "place", order, (48, 30))
    return Chart(
        name=f"residuals-{model}",
        title=f"{wording.capitalised(wording.model_name(model))}: residuals",
        caption="Measured minus model, over its standard deviation. Long runs on one side say that "
        "the model does not follow.",
        spec=finished(chart),
    )


def _points(view: Overview, fits: list[FittedCurves]) -> tuple[pd.DataFrame, str]:
    """Rows place, time, measured, fitted, input of the curves to show, and what was left out."""
    import pandas as pd

    many = several_visits(view)
    every = [(fit, number) for fit in ordered(view, fits) for number in range(len(fit.regions))]
    rows = []
    for fit, number in every[:MOST_FACETS]:
        place = wording.region_name(fit.regions[number])
        if many:
            place = f"{' '.join(visit_of(fit, many))} · {place}"
        seen = fit.values[number]
        height = np.nanmax(np.abs(fit.input_values)) if fit.input_values.size else np.nan
        top = np.nanmax(np.abs(seen)) if np.isfinite(seen).any() else np.nan
        scaled = fit.input_values * (top / height if height > 0 else np.nan)
        blank = np.full(fit.input_time.size, np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "place": place,
                    "time": np.concatenate([fit.time, fit.input_time]),
                    "measured": np.concatenate([seen, blank]),
                    "fitted": np.concatenate([fit.predicted[number], blank]),
                    "input": np.concatenate([np.full(fit.time.size, np.nan), scaled]),
                }
            )
        )
    left = len(every) - MOST_FACETS
    cut = f" {MOST_FACETS} of {len(every)} curves." if left > 0 else ""
    if not rows:
        return pd.DataFrame({"place": [], "time": [], "measured": [], "fitted": []}), cut
    return pd.concat(rows, ignore_index=True), cut


def lassen(view: Overview) -> Chart | None:
    """VT of the baseline less VT under the drug, over VT of the baseline."""
    findings = view.results.findings
    findings = findings[findings["comparison"] == "occupancy"]
    volumes = [one for one in dict.fromkeys(findings["metric"]) if str(one).endswith("VT")]
    asked = next(
        (
            one
            for one in view.study.get("compare") or ()
            if one.get("method") == "occupancy" and one.get("on") in volumes
        ),
        None,
    )
    if asked is None:
        return None
    metric, (first, second) = str(asked["on"]), asked["sessions"]
    both = pairs(
        view.rows, on=metric, sessions=(first, second), kinds=view.kinds,
        regions=asked.get("regions"),
    )  # fmt: skip
    both = both[~both["doubtful"]]
    findings = findings[findings["metric"] == metric]
    lines = []
    for subject, rows in both.groupby("subject", sort=True):
        slope = findings.loc[findings["contrast"] == f"occupancy of subject {subject}", "estimate"]
        VND = findings.loc[findings["contrast"] == f"VND of subject {subject}", "estimate"]
        if not (len(slope) and len(VND) and np.isfinite([slope.iloc[0], VND.iloc[0]]).all()):
            continue
        crossing, largest = float(VND.iloc[0]), float(rows["value_baseline"].max())
        # A crossing far off the regions would set the scale of the picture.
        least = crossing if 0 <= crossing < largest else float(rows["value_baseline"].min())
        for across in (least, largest):
            height = float(slope.iloc[0]) * (across - crossing)
            lines.append({"subject": str(subject), "across": across, "up": height})
    if not lines:
        return None
    points = both.assign(
        across=both["value_baseline"], up=both["value_baseline"] - both["value_blocked"]
    )[["subject", "region", "across", "up"]]
    return Chart(
        name="lassen",
        title=f"Lassen plot: {wording.session_name(second)} against {wording.session_name(first)}",
        caption="Points: regions; lines: each subject's regression. The slope is the occupancy, "
        "the crossing of the abscissa VND. Regions without the target, or whose fit is in doubt, "
        "are left out.",
        spec=_lassen_spec(points, lines, (first, second)),
    )


def _lassen_spec(points: pd.DataFrame, lines: list[Any], sessions: tuple[str, str]) -> Any:
    import altair as alt

    subjects = sorted(set(points["subject"]), key=natural)
    colour = alt.Color(
        "subject:N", title="subject", scale=alt.Scale(domain=subjects,
        range=theme.colours(subjects)),
    )  # fmt: skip
    x = alt.X("across:Q", title=f"VT {wording.session_name(sessions[0])} (mL/cm3)")
    y = alt.Y(
        "up:Q",
        title=f"VT {wording.session_name(sessions[0])} − {wording.session_name(sessions[1])}",
    )
    dots = (
        alt.Chart(inline(points))
        .mark_circle(size=40)
        .encode(x=x, y=y, color=colour, tooltip=[alt.Tooltip("region:N"), alt.Tooltip("subject:N")])
    )
    drawn = (
        alt.Chart(inline_values(lines)).mark_line(strokeWidth=1.4).encode(x=x, y=y, color=colour)
    )
    return finished(alt.layer(drawn, dots).properties(width=WIDTH, height=260))
