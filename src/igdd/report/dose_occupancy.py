"""The page of occupancies over doses: what `igdd occupancy --plot` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from igdd.flags import FLAGS
from igdd.report import theme, wording
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table

STEPS = 120


def content(found: Mapping[str, Any]) -> Content:
    """The page's content."""
    from igdd import __version__

    fits = found["fits"]
    points = sum(one["points"] for one in fits)
    sections = [
        Section(name="curve", title="Occupancy over dose", blocks=(_chart(found), _table(found)))
    ]
    flags = sorted({flag for one in fits for flag in one["flags"]})
    if flags:
        said = tuple(Text(text=f"{flag}: {FLAGS[flag]}") for flag in flags)
        sections.append(Section(name="cautions", title="Be careful about", blocks=said))
    return Content(
        title=f"Occupancy: {found['source']}",
        summary=f"Occupancy over {found['driver']} by least squares, "
        f"{wording.count(points, 'point')}.",
        answers=(),
        sections=tuple(sections),
        version=__version__,
    )


def _chart(found: Mapping[str, Any]) -> Chart:
    import altair as alt

    driver = str(found["driver"])
    dots, curves = [], []
    for one in found["fits"]:
        seen = [point for point in one["observed"] if point[driver] > 0]
        dots += [
            {"place": one["region"], "subject": point["subject"], "x": point[driver],
             "occupancy": point["occupancy"]}
            for point in seen
        ]  # fmt: skip
        ends = [point[driver] for point in seen]
        most, half, hill = (one["parameters"][name]["value"] for name in one["parameters"])
        if half is None:
            continue
        for x in np.geomspace(min(*ends, half) / 2, max(ends) * 2, STEPS):
            y = most / (1 + (half / x) ** hill)
            curves.append({"place": one["region"], "x": float(x), "occupancy": float(y)})
    places = [str(one["region"]) for one in found["fits"]]
    colour = alt.Color(
        "place:N",
        scale=alt.Scale(domain=places, range=theme.colours(places)),
        legend=alt.Legend(title=None) if len(places) > 1 else None,
    )
    across = alt.X("x:Q", title=f"{driver} ({found['unit']})", scale=alt.Scale(type="log"))
    up = alt.Y("occupancy:Q", title="occupancy (%)")
    drawn = alt.layer(
        alt.Chart(inline_values(curves)).mark_line(strokeWidth=1.6),
        alt.Chart(inline_values(dots))
        .mark_circle(size=50)
        .encode(tooltip=[alt.Tooltip("subject:N"), alt.Tooltip("x:Q", title=driver),
                         alt.Tooltip("occupancy:Q", format=".3~g")]),
    )  # fmt: skip
    layers = [layer.encode(x=across, y=up, color=colour) for layer in drawn.layer]
    return Chart(
        name="dose-occupancy",
        title=f"Occupancy over {driver}",
        caption="Points: subjects; line: the fitted relation. The axis is logarithmic.",
        spec=finished(alt.layer(*layers).properties(width=WIDTH, height=280)),
    )


def _table(found: Mapping[str, Any]) -> Table:
    fits = found["fits"]
    names = list(fits[0]["parameters"])
    rows = []
    for one in fits:
        cells = [_cell(one["parameters"][name]) for name in names]
        flags = ", ".join(one["flags"]) or "–"
        rows.append((one["region"] or "–", *cells, str(one["points"]), flags))
    return Table(
        title="Parameters",
        columns=("region", *names, "points", "flags"),
        rows=tuple(rows),
        right=(False, *(True for _ in names), True, False),
        note="Value with its 95 % interval; what was held stands without one.",
    )


def _cell(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "–"
    unit = "" if entry["unit"] == "1" else str(entry["unit"])
    if entry["held"] or entry["low"] is None or entry["high"] is None:
        return f"{wording.number(entry['value'])} {unit}".strip()
    return wording.with_interval(entry["value"], entry["low"], entry["high"], unit)
