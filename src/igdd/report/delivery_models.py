"""Delivery models: pages of a simulated or fitted course, and of what each parameter does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.flags import FLAGS
from igdd.report import theme
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table

if TYPE_CHECKING:
    from igdd.stages.pbpk import Found

MOST_CURVES = 8
MOST_BARS = 15
HEIGHT = 280


def pbpk_content(found: Found) -> Content:
    """Page of the nanoparticle PBPK model: curves, observations, elasticities, fit."""
    facts = found.facts
    shown = [study["study"] for study in facts["studies"]][:MOST_CURVES]
    lines = [
        {"time": _plain(time), "value": _plain(value), "what": name}
        for name, curve in zip(shown, found.curves, strict=False)
        for time, value in zip(found.curve_times, curve, strict=True)
    ]
    seen = [
        {"time": _plain(time), "value": _plain(value), "what": name}
        for name in shown if name in found.observed
        for time, value in zip(
            found.observed[name].time, found.observed[name].value, strict=True
        )
    ]  # fmt: skip
    fits = [
        {"time": _plain(time), "value": _plain(value), "what": name}
        for name in shown if name in found.fitted
        for time, value in zip(found.curve_times, found.fitted[name], strict=True)
    ]  # fmt: skip
    left = len(facts["studies"]) - len(shown)
    caption = "Lines: simulated; points: observed. " if seen else ""
    caption += "Broken lines: with the fitted parameters. " if fits else ""
    caption += f"{left} studies more are in the JSON." if left else ""
    blocks: list[Any] = [
        Text(text=f"Variant {facts['variant']['name']}: {facts['variant']['means']}. "
                  f"{facts['convention'].capitalize()}. Of the dose, {facts['mass_error']:.1e} is "
                  "unaccounted for at most."),
        Chart(name="uptake", title="Tumour uptake (%ID)", caption=caption,
              spec=_lines(lines, seen, ("time after the dose (h)", "%ID"), shown,
                          broken=fits)),
        _uptake_table(facts),
    ]  # fmt: skip
    sections = [Section(name="uptake", title="What reaches the tumour", blocks=tuple(blocks))]
    if "fit" in facts:
        sections.append(Section(name="fit", title="The tumour's parameters, fitted",
                                blocks=tuple(_fit_table(one) for one in facts["fit"])))  # fmt: skip
    if "elasticities" in facts:
        sections.append(_limiting(facts["elasticities"], "parameter"))
    return _page("Nanoparticle delivery to a tumour in mice", facts["model"], sections, facts)


def five_state_content(facts: Mapping[str, Any]) -> Content:
    """Page of the five-state model: amounts and fit, rates with their limits, elasticities."""
    lines, seen = [], []
    for place, values in facts["predicted"].items():
        times = facts["times"]["values"]
        lines += [{"time": time, "value": _plain(value), "what": place}
                  for time, value in zip(times, values, strict=True)]  # fmt: skip
        seen += [{"time": time, "value": _plain(value), "what": place}
                 for time, value in zip(times, facts["observed"][place], strict=True)
                 if np.isfinite(value)]  # fmt: skip
    rows = tuple(
        (row["rate"], f"{row['value']:.3g}",
         "held" if row["held"] else f"{row['low']:.3g} to {row['high']:.3g}",
         ", ".join(row["flags"]))
        for row in facts["rates"]
    )  # fmt: skip
    fit = facts["fit"]
    section = Section(
        name="fit",
        title="Where the carriers are",
        blocks=(
            Chart(name="amounts", title="Amounts (%ID)",
                  caption="Points: found; lines: fitted. Both axes are logarithmic.",
                  spec=_lines(lines, seen, ("time after the dose (h)", "%ID"),
                              list(facts["predicted"]), logarithmic=True)),
            Table(title="Rates (1/h)", columns=("rate", "value", "95 % by profile", "flags"),
                  rows=rows, right=(False, True, True, False),
                  note=f"{fit['amounts']} amounts and {fit['rates']} rates; average absolute fold "
                       f"error {fit['aafe']:.2f}."),
        ),
    )  # fmt: skip
    return _page("What enters the target cells", facts["model"],
                 [section, _limiting(facts["elasticities"], "rate")], facts)  # fmt: skip


def interstitium_content(facts: Mapping[str, Any]) -> Content:
    """Page of interstitial transport: pressure and concentration over the radius, penetration."""
    places = facts["profile"]["place"]["values"]
    named = [f"{time:g} h" for time in facts["times"]["values"]][:MOST_CURVES]
    lines = [
        {"time": _plain(place), "value": _plain(value), "what": name}
        for name, row in zip(named, facts["profile"]["concentration"], strict=False)
        for place, value in zip(places, row, strict=True)
    ]
    pressure = [
        {"time": _plain(place), "value": _plain(value), "what": "pressure"}
        for place, value in zip(places, facts["profile"]["pressure"]["values"], strict=True)
    ]
    rows = tuple(
        (f"{row['time']:g}", *(f"{row[key]:.3g}" for key in ("mean", "centre", "rim", "cv")),
         f"{row['coverage']:.3f}" if "coverage" in row else "–")
        for row in facts["penetration"]
    )  # fmt: skip
    axis = "distance from the centre (mm)"
    section = Section(
        name="penetration",
        title="How deep, and how evenly",
        blocks=(
            Chart(name="concentration", title="Concentration over that in plasma at time zero",
                  caption="Free and taken up, per volume of tissue.",
                  spec=_lines(lines, [], (axis, "relative concentration"), named)),
            Chart(name="pressure", title="Interstitial pressure (mmHg)", caption="",
                  spec=_lines(pressure, [], (axis, "mmHg"), ["pressure"])),
            Table(title="Penetration",
                  columns=("time (h)", "mean", "centre", "rim", "cv", "coverage"), rows=rows,
                  right=(True,) * 6, note="The rim lies beyond 0.9 of the radius."),
        ),
    )  # fmt: skip
    return _page("Interstitial transport in a tumour", facts["model"],
                 [section, _limiting(facts["elasticities"], "parameter")], facts)  # fmt: skip


def _lines(
    lines: list[dict[str, Any]],
    points: list[dict[str, Any]],
    axes: tuple[str, str],
    order: Sequence[str],
    *,
    logarithmic: bool = False,
    broken: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Lines, broken lines and points, of one colour for each name."""
    import altair as alt

    kind = "log" if logarithmic else "linear"
    x = alt.X("time:Q", title=axes[0], scale=alt.Scale(type=kind))
    y = alt.Y("value:Q", title=axes[1], scale=alt.Scale(type=kind))
    scale = alt.Scale(domain=list(order), range=theme.colours(order))
    legend = alt.Legend(title=None, columns=4) if len(order) > 1 else None
    colour = alt.Color("what:N", scale=scale, legend=legend)
    positive = [row for row in lines if not logarithmic or (row["value"] or 0) > 0]
    layers = [
        alt.Chart(inline_values(positive)).mark_line(strokeWidth=1.6).encode(x=x, y=y, color=colour)
    ]
    if broken:
        dashed = alt.Chart(inline_values(list(broken))).mark_line(strokeDash=[6, 4])
        layers.append(dashed.encode(x=x, y=y, color=colour))
    if points:
        layers.append(
            alt.Chart(inline_values(points)).mark_circle(size=40).encode(x=x, y=y, color=colour)
        )
    return finished(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT))


def _limiting(rows: Sequence[Mapping[str, Any]], key: str) -> Section:
    """Bars of the largest elasticities, one chart for each outcome."""
    import altair as alt

    charts: list[Chart] = []
    for outcome in dict.fromkeys(row["outcome"] for row in rows):
        bars = [
            {"what": row[key], "value": _plain(row["elasticity"])}
            for row in rows if row["outcome"] == outcome
        ][:MOST_BARS]  # fmt: skip
        names = [bar["what"] for bar in bars]
        drawn = (
            alt.Chart(inline_values(bars))
            .mark_bar(color=theme.COLOURS[0])
            .encode(
                x=alt.X("value:Q", title="% change for 1 % more of the parameter"),
                y=alt.Y("what:N", title=None, sort=names),
            )
            .properties(width=WIDTH - 120, height=16 * max(len(bars), 1))
        )
        charts.append(Chart(
            name=f"elasticity-{len(charts)}", title=f"Elasticity: {outcome}",
            caption="The largest, sorted. A parameter with a long bar limits delivery.",
            spec=finished(drawn),
        ))  # fmt: skip
    return Section(name="limits", title="Which step limits delivery", blocks=tuple(charts))


def _uptake_table(facts: Mapping[str, Any]) -> Table:
    times = facts["times"]["values"]
    rows = tuple(
        (study["study"], *(f"{value:.3g}" for value in study["tumour"]["values"]),
         f"{study['peak']['value']:.3g}", f"{study['peak']['time']:.3g}")
        for study in facts["studies"][:60]
    )  # fmt: skip
    return Table(
        title="Tumour uptake (%ID)",
        columns=("study", *(f"{time:g} h" for time in times), "peak", "at (h)"),
        rows=rows,
        right=(False, *(True,) * (len(times) + 2)),
    )


def _fit_table(one: Mapping[str, Any]) -> Table:
    return Table(
        title=f"Study {one['study']}: fold error {one['aafe']:.2f}",
        columns=("parameter", "value", "unit", "95 %", "flags"),
        rows=tuple(
            (row["parameter"], f"{row['value']:.3g}", row["unit"],
             f"{row['low']:.3g} to {row['high']:.3g}", ", ".join(row["flags"]))
            for row in one["parameters"]
        ),
        right=(False, True, False, True, False),
        note=f"The prior is of 378 studies in mice. Intervals: {one['interval']}.",
    )  # fmt: skip


def _page(
    title: str, summary: str, sections: Sequence[Section], facts: Mapping[str, Any]
) -> Content:
    from igdd import __version__

    flags = sorted(_flags(facts))
    cautions = Section(
        name="cautions",
        title="Be careful about",
        blocks=tuple(Text(text=f"{flag}: {FLAGS[flag]}") for flag in flags),
    )
    return Content(
        title=title,
        summary=summary,
        answers=(),
        sections=tuple(one for one in (*sections, cautions) if one.blocks),
        version=__version__,
    )


def _flags(facts: Any) -> set[str]:
    """Every flag anywhere in the facts."""
    if isinstance(facts, Mapping):
        own = set(facts.get("flags", ()))
        return own.union(*(_flags(value) for value in facts.values()), set())
    if isinstance(facts, list):
        return set().union(*(_flags(one) for one in facts), set())
    return set()


def _plain(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None
