"""Release: the page of a release table: profiles with their best models, and how alike they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from igdd.flags import FLAGS
from igdd.report import theme
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table

POINTS = 120
HEIGHT = 300


def content(found: Mapping[str, Any], title: str) -> Content:
    """The page's content."""
    from igdd import __version__

    sections = [
        Section(
            name="profiles", title="Released over time", blocks=(_figure(found), _times(found))
        ),
        Section(name="models", title="Models, best first", blocks=(_models(found),)),
    ]
    if found["comparisons"]:
        alike = Section(name="alike", title="How alike", blocks=(_comparisons(found),))
        sections.insert(1, alike)
    flags = sorted(_raised(found))
    if flags:
        cautions = tuple(Text(text=FLAGS[name]) for name in flags)
        sections.append(Section(name="cautions", title="Be careful about", blocks=cautions))
    return Content(
        title=title, summary=_summary(found), answers=(), sections=tuple(sections),
        version=__version__,
    )  # fmt: skip


def _raised(found: Mapping[str, Any]) -> set[str]:
    flags = {flag for one in found["formulations"] for flag in one["flags"]}
    flags |= {flag for one in found["comparisons"] for flag in one["flags"]}
    for one in found["formulations"]:
        flags |= {flag for row in one["models"][:1] for flag in row["flags"]}
    return flags


def _summary(found: Mapping[str, Any]) -> str:
    parts = [
        f"{one['formulation']}: {_figure_of(one['released_last'])} released by the last sample, "
        f"half of the load after {_figure_of(one['T50'])}"
        + (f", nearest to the model {one['best']}." if one["best"] else ".")
        for one in found["formulations"]
    ]
    parts += [
        f"{one['test']} against {one['reference']}: f2 {_number(one['f2'])}, {one['verdict']}."
        for one in found["comparisons"]
    ]
    return " ".join(parts)


def _figure(found: Mapping[str, Any]) -> Chart:
    import altair as alt

    names = [one["formulation"] for one in found["formulations"]]
    colour = alt.Color(
        "formulation:N",
        scale=alt.Scale(domain=names, range=theme.colours(names)),
        legend=alt.Legend(title=None) if len(names) > 1 else None,
    )
    unit = found["time_unit"]
    time = alt.X("time:Q", title=f"time ({unit})")
    spread = alt.Y("low:Q", title="released (% of the load)")
    base = alt.Chart(inline_values(_points(found)))
    layers = [
        base.transform_filter("isValid(datum.low)")
        .mark_rule()
        .encode(x=time, y=spread, y2="high:Q", color=colour),
        base.mark_point(filled=True, size=45).encode(
            x=time, y=alt.Y("released:Q", title="released (% of the load)"), color=colour,
            tooltip=["formulation:N", "time:Q", "released:Q"],
        ),
        alt.Chart(inline_values(_lines(found))).mark_line().encode(
            x=time, y=alt.Y("released:Q"), color=colour
        ),
    ]  # fmt: skip
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    return Chart(
        name="release",
        title="Release profiles",
        caption="Points: means of the vessels, with one standard deviation where it is known; "
        "lines: the model of each formulation with the lowest AICc.",
        spec=finished(chart),
    )


def _points(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for one in found["formulations"]:
        for point in one["profile"]:
            value, sd = point["released"], point["sd"]
            known = np.isfinite(sd)
            rows.append(
                {
                    "formulation": one["formulation"],
                    "time": _short(point["time"]),
                    "released": _short(value),
                    "low": _short(value - sd) if known else None,
                    "high": _short(value + sd) if known else None,
                }
            )
    return rows


def _lines(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    from igdd.stages.release import curve

    rows = []
    for one in found["formulations"]:
        if one["best"] is None:
            continue
        times = np.linspace(0.0, max(point["time"] for point in one["profile"]), POINTS)
        for at, value in zip(times, curve(one["models"][0], times), strict=True):
            rows.append(
                {"formulation": one["formulation"], "time": _short(at), "released": _short(value)}
            )
    return rows


def _times(found: Mapping[str, Any]) -> Table:
    names = ("T50", "T80", "MDT", "dissolution_efficiency", "released_last")
    return Table(
        title="Without a model",
        columns=("formulation", "vessels", "T50", "T80", "MDT", "efficiency", "at the last sample"),
        rows=tuple(
            (one["formulation"], str(one["vessels"]), *(_figure_of(one[name]) for name in names))
            for one in found["formulations"]
        ),
        right=(False, True, True, True, True, True, True),
    )


def _models(found: Mapping[str, Any]) -> Table:
    rows = []
    for one in found["formulations"]:
        for row in one["models"]:
            weight = "–" if row["weight"] is None else f"{row['weight']:.3f}"
            parameters = ", ".join(
                f"{name} {_figure_of(entry)}" for name, entry in row["parameters"].items()
            )
            numbers = (_number(row[name]) for name in ("aicc", "r2_adjusted", "msc"))
            rows.append((one["formulation"], row["model"], weight, *numbers, parameters))
    return Table(
        title="Fitted to the mean profiles",
        columns=("formulation", "model", "weight", "AICc", "R2 adj.", "MSC", "parameters"),
        rows=tuple(rows),
        right=(False, False, True, True, True, True, False),
        note="Weight: the probability, among the models of the same samples, of being the nearest.",
    )


def _comparisons(found: Mapping[str, Any]) -> Table:
    rows = []
    for one in found["comparisons"]:
        limits = one["bootstrap"]["f2"]
        between = f"{_number(limits['low'])} to {_number(limits['high'])}"
        rows.append(
            (f"{one['test']} against {one['reference']}", _number(one["f1"]), _number(one["f2"]),
             between, str(one["points"]), one["verdict"])
        )  # fmt: skip
    return Table(
        title="Difference factor f1 and similarity factor f2",
        columns=("formulations", "f1", "f2", "90 % limits over vessels", "times", "verdict"),
        rows=tuple(rows),
        right=(False, True, True, True, True, False),
    )


def _figure_of(entry: Mapping[str, Any]) -> str:
    if not np.isfinite(entry["value"]):
        return "not reached"
    unit = "" if entry["unit"] == "1" else f" {entry['unit']}"
    return f"{entry['value']:.4g}{unit}"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
