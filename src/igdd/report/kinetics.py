"""Kinetics in the report: curves with their fits and residuals, the parameters, what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import theme, wording
from igdd.report.chart import WIDTH, Chart, finished, inline, inline_values
from igdd.report.listings import Table
from igdd.report.overview import Overview, each, natural
from igdd.results import FittedCurves

if TYPE_CHECKING:
    import pandas as pd

MOST_FACETS = 12
MOST_MODELS = 6
MOST_ROWS = 60


def blocks(view: Overview) -> tuple[Chart | Table, ...]:
    """For each model: curves with fits, residuals, and the table of parameters."""
    models = list(dict.fromkeys(fit.model for fit in view.results.fits))
    found: list[Chart | Table | None] = []
    for model in models[:MOST_MODELS]:
        fits = [fit for fit in view.results.fits if fit.model == model]
        found += [curves(view, model, fits), residuals(view, model, fits)]
        found.append(parameters(view, model, fits))
    return tuple(block for block in found if block is not None)


def curves(view: Overview, model: str, fits: list[FittedCurves]) -> Chart | None:
    """Measured curves as points and what the model makes of them as lines."""
    table, cut = _points(view, fits)
    if not len(table):
        return None
    step, time_name = wording.time_unit(float(table["time"].max()))
    largest = float(np.nanmedian(np.abs(table["measured"])))
    factor, unit = wording.scaled("concentration", fits[0].unit, largest)
    table = table.assign(
        time=table["time"] / step,
        measured=table["measured"] * factor,
        fitted=table["fitted"] * factor,
        input=table["input"] * factor,
    )
    title = f"{fits[0].quantity.replace('_', ' ')} ({unit})"
    return Chart(
        name=f"fit-{model}",
        title=f"{wording.capitalised(_model_name(model))}: curves and fits, {title}",
        caption="Points: measured frames; line: the model, over the frames it was fitted to; grey: "
        f"the input, in its own height. Each region has a scale of its own.{cut}",
        spec=_curve_spec(table, (title, time_name)),
    )


def _curve_spec(table: pd.DataFrame, titles: tuple[str, str]) -> Any:
    import altair as alt

    title, time_name = titles
    order = list(dict.fromkeys(table["place"]))
    columns = min(3, len(order))
    base = alt.Chart().encode(
        x=alt.X("time:Q", title=f"time ({time_name})"),
        tooltip=[
            alt.Tooltip("place:N", title="region"),
            alt.Tooltip("time:Q", title=f"time ({time_name})", format=".4~g"),
            alt.Tooltip("measured:Q", title=title, format=".4~g"),
            alt.Tooltip("fitted:Q", title="model", format=".4~g"),
        ],
    )
    y = alt.Axis(minExtent=30, tickCount=4)
    layered = alt.layer(
        base.transform_filter(alt.FieldValidPredicate(field="input", valid=True))
        .mark_line(strokeWidth=1.0, color="#b0b0b0")
        .encode(y=alt.Y("input:Q", title=None, axis=y)),
        base.transform_filter(alt.FieldValidPredicate(field="fitted", valid=True))
        .mark_line(strokeWidth=1.8, color=theme.COLOURS[1])
        .encode(y=alt.Y("fitted:Q", title=None, axis=y)),
        base.mark_circle(size=22, opacity=0.8, color=theme.COLOURS[0]).encode(
            y=alt.Y("measured:Q", title=None, axis=y)
        ),
    ).properties(width=(WIDTH + 60) // columns - 34, height=110, data=inline(table))
    chart = layered.facet(
        facet=alt.Facet("place:N", title=None, sort=order),
        columns=columns,
        bounds="flush",
        spacing={"column": 48, "row": 34},
    ).resolve_scale(y="independent")
    return finished(chart)


def residuals(view: Overview, model: str, fits: list[FittedCurves]) -> Chart | None:
    """Measured minus model over the residuals' own scatter: what the model does not follow."""
    import altair as alt

    table, _ = _points(view, fits)
    table = table[np.isfinite(table["fitted"]) & np.isfinite(table["measured"])]
    if not len(table):
        return None
    left = table["measured"] - table["fitted"]
    scatter = left.groupby(table["place"]).transform("std")
    table = table.assign(residual=left / scatter.where(scatter > 0))
    step, time_name = wording.time_unit(float(table["time"].max()))
    table = table.assign(time=table["time"] / step)[["place", "time", "residual"]]
    order = list(dict.fromkeys(table["place"]))
    columns = min(3, len(order))
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
    chart = layered.facet(
        facet=alt.Facet("place:N", title=None, sort=order),
        columns=columns,
        bounds="flush",
        spacing={"column": 48, "row": 30},
    )
    return Chart(
        name=f"residuals-{model}",
        title=f"{wording.capitalised(_model_name(model))}: residuals",
        caption="Measured minus model, over its standard deviation. Long runs on one side say that "
        "the model does not follow.",
        spec=finished(chart),
    )


def _points(view: Overview, fits: list[FittedCurves]) -> tuple[pd.DataFrame, str]:
    """Rows place, time, measured, fitted, input of the curves to show, and what was left out."""
    import pandas as pd

    many = len({(fit.subject, fit.session) for fit in fits}) > 1
    every = [(fit, number) for fit in _ordered(view, fits) for number in range(len(fit.regions))]
    rows = []
    for fit, number in every[:MOST_FACETS]:
        place = wording.region_name(fit.regions[number])
        if many:
            place = f"{fit.subject} {wording.session_name(fit.session)} · {place}"
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
    key = ["subject", "region"]
    both = view.of(metric, session=first)[[*key, "value"]].merge(
        view.of(metric, session=second)[[*key, "value"]], on=key, suffixes=("_first", "_second")
    )
    lines = []
    for subject, rows in both.groupby("subject", sort=True):
        slope = findings.loc[findings["contrast"] == f"occupancy of subject {subject}", "estimate"]
        VND = findings.loc[findings["contrast"] == f"VND of subject {subject}", "estimate"]
        if not (len(slope) and len(VND) and np.isfinite(slope.iloc[0])):
            continue
        for across in (float(VND.iloc[0]), float(rows["value_first"].max())):
            height = float(slope.iloc[0]) * (across - float(VND.iloc[0]))
            lines.append({"subject": str(subject), "across": across, "up": height})
    if not len(both) or not lines:
        return None
    points = both.assign(across=both["value_first"], up=both["value_first"] - both["value_second"])[
        ["subject", "region", "across", "up"]
    ]
    return Chart(
        name="lassen",
        title=f"Lassen plot: {wording.session_name(second)} against {wording.session_name(first)}",
        caption="Points: regions; lines: each subject's regression. The slope is the occupancy, "
        "the crossing of the abscissa VND.",
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


def parameters(view: Overview, model: str, fits: list[FittedCurves]) -> Table | None:
    """One line for each region: every parameter with its interval, AICc, what was chosen, flags."""
    names = list(dict.fromkeys(name for fit in fits for name in fit.parameters))
    wanted = {f"{model}_{name}": name for name in names}
    rows = view.rows[view.rows["metric"].isin(list(wanted))]
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    flags: dict[tuple[str, str, str], set[str]] = {}
    units: dict[str, str] = {}
    for row in each(rows):
        key = (str(row.subject), str(row.session), str(row.region))
        name = wanted[str(row.metric)]
        units[name] = "" if row.unit == "1" else str(row.unit)
        shown = wording.with_interval(row.value, row.low, row.high)
        cells.setdefault(key, {})[name] = shown.replace(f" ({wording.INTERVAL_UNKNOWN})", "")
        flags.setdefault(key, set()).update(filter(None, str(row.flags).split(";")))
    lines = []
    for fit in _ordered(view, fits):
        for number, region in enumerate(fit.regions):
            key = (fit.subject, fit.session, region)
            if key not in cells:
                continue
            chosen = fit.notes[number] if fit.notes else {}
            aicc = float(fit.aicc[number])
            lines.append(
                (
                    fit.subject, wording.session_name(fit.session), wording.region_name(region),
                    *(cells[key].get(name, "–") for name in names),
                    wording.number(aicc) if np.isfinite(aicc) else "–",
                    "; ".join(_note(name, value) for name, value in chosen.items()) or "–",
                    ", ".join(sorted(flags[key])) or "–",
                )
            )  # fmt: skip
    if not lines:
        return None
    left = len(lines) - MOST_ROWS
    return Table(
        title=f"{wording.capitalised(_model_name(model))}: parameters",
        columns=(
            "subject", "session", "region",
            *(f"{name} ({units[name]})" if units.get(name) else name for name in names),
            "AICc", "chosen", "flags",
        ),
        rows=tuple(lines[:MOST_ROWS]),
        right=(False,) * 3 + (True,) * (len(names) + 1) + (False, False),
        note="Value with its 95 % interval."
        + (f" {left} rows more are in measurements.csv." if left > 0 else ""),
    )  # fmt: skip


def _note(name: str, value: float) -> str:
    if name.startswith("t_star"):
        rule = " by rule" if name.endswith("rule") else ""
        return f"t*{rule} {wording.duration(value)}"
    return f"{name.replace('_', ' ')} {wording.number(value)}"


def _ordered(view: Overview, fits: list[FittedCurves]) -> list[FittedCurves]:
    """The headline session first, then by subject."""
    order = {name: place for place, name in enumerate(view.sessions)}
    return sorted(
        fits,
        key=lambda fit: (
            fit.session != view.focus, natural(fit.subject), order.get(fit.session, 0),
        ),
    )  # fmt: skip


def _model_name(model: str) -> str:
    return model.replace("_", " ")
