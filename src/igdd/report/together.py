"""Together: the page of two maps of one region: where both are, where one is, and where neither.

One table of the four quadrants, one figure: the joint histogram and a slice of the quadrants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import theme
from igdd.report.chart import Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table

if TYPE_CHECKING:
    from igdd.stages.together import Together

# Blue: both; orange: A alone; vermilion: B alone, what is missed; grey: neither.
HUES = {"both": theme.COLOURS[0], "a_only": theme.COLOURS[5], "b_only": theme.COLOURS[1],
        "neither": theme.FAINT}  # fmt: skip
HISTOGRAM = 300
SLICE = 300
# Cells along a side of the slice that are drawn; a larger one is thinned.
MOST_CELLS = 120


def content(found: Together) -> Content:
    """The page's content."""
    from igdd import __version__

    facts = found.facts
    a, b = facts["a"]["name"], facts["b"]["name"]
    quadrants = Section(
        name="quadrants",
        title="Where, and where not",
        blocks=(_figure(found), _quadrants(facts)),
    )
    measures = Section(name="measures", title="How far they agree", blocks=(_measures(facts),))
    cautions = Section(name="cautions", title="Be careful about", blocks=_cautions(facts))
    return Content(
        title=f"{a} and {b} in {facts['region']}",
        summary=facts["answer"],
        answers=(),
        sections=tuple(one for one in (quadrants, measures, cautions) if one.blocks),
        version=__version__,
    )


def _names(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the quadrants are called."""
    a, b = facts["a"]["name"], facts["b"]["name"]
    return {"both": "both", "a_only": f"{a} alone", "b_only": f"{b} alone", "neither": "neither"}


def _axis(of: Mapping[str, Any]) -> str:
    return f"{of['name']} ({of['unit']})" if of["unit"] else str(of["name"])


def _figure(found: Together) -> Chart:
    import altair as alt

    facts = found.facts
    sides = alt.hconcat(_histogram(found), _slice(found), spacing=30).resolve_scale(
        color="independent", fill="independent"
    )
    return Chart(
        name="together",
        title=f"{facts['a']['name']} and {facts['b']['name']}",
        caption="Left: voxels by value of both maps; dashed lines: from where each is hot. Right: "
        "a transverse slice (seen from the feet, front up), the one in which most is missed.",
        spec=finished(sides),
    )


def _histogram(found: Together) -> Any:
    import altair as alt

    facts = found.facts
    first, second = np.nonzero(found.counts)
    cells = [
        {
            "x": float(f"{found.edges[0][i]:.6g}"), "x2": float(f"{found.edges[0][i + 1]:.6g}"),
            "y": float(f"{found.edges[1][j]:.6g}"), "y2": float(f"{found.edges[1][j + 1]:.6g}"),
            "voxels": int(found.counts[i, j]),
        }
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]  # fmt: skip
    layers = [
        alt.Chart(inline_values(cells))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title=_axis(facts["a"]), scale=alt.Scale(zero=False)),
            x2="x2:Q",
            y=alt.Y("y:Q", title=_axis(facts["b"]), scale=alt.Scale(zero=False)),
            y2="y2:Q",
            color=alt.Color(
                "voxels:Q", scale=alt.Scale(type="log", scheme="greys"),
                legend=alt.Legend(title="voxels"),
            ),
            tooltip=[alt.Tooltip("voxels:Q")],
        )
    ]  # fmt: skip
    for key, axis in (("a", "x"), ("b", "y")):
        level = float(facts[key]["hot_from"])
        if np.isfinite(level):
            line = alt.Chart(inline_values([{"level": float(f"{level:.6g}")}]))
            encoded = {axis: getattr(alt, axis.upper())("level:Q")}
            layers.append(line.mark_rule(strokeDash=[4, 3], color=theme.INK).encode(**encoded))
    return alt.layer(*layers).properties(width=HISTOGRAM, height=HISTOGRAM)


def _slice(found: Together) -> Any:
    import altair as alt

    names = _names(found.facts)
    step = max(int(np.ceil(max(found.quadrant.shape) / MOST_CELLS)), 1)
    shown = found.quadrant[::step, ::step]
    height, width = (side * step for side in found.spacing)
    rows, columns = np.nonzero(shown)
    order = list(names)
    cells = [
        {
            "x": round(column * width, 3), "x2": round((column + 1) * width, 3),
            "y": round(row * height, 3), "y2": round((row + 1) * height, 3),
            "where": names[order[int(shown[row, column]) - 1]],
        }
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]  # fmt: skip
    tall, wide = shown.shape[0] * height, shown.shape[1] * width
    scale = SLICE / max(tall, wide)
    return (
        alt.Chart(inline_values(cells))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title="mm", scale=alt.Scale(domain=[0, wide], nice=False)),
            x2="x2:Q",
            y=alt.Y("y:Q", title="mm", scale=alt.Scale(domain=[tall, 0], nice=False)),
            y2="y2:Q",
            color=alt.Color(
                "where:N",
                scale=alt.Scale(domain=list(names.values()), range=[HUES[key] for key in names]),
                legend=alt.Legend(title=None, columns=2),
            ),
            tooltip=[alt.Tooltip("where:N")],
        )
        .properties(width=max(wide * scale, 20), height=max(tall * scale, 20))
    )


def _quadrants(facts: Mapping[str, Any]) -> Table:
    names = _names(facts)
    rows = tuple(
        (
            names[row["quadrant"]],
            _number(row["volume_ml"]),
            _share(row["share_of_volume"]),
            _percent(row["share_by_chance"]),
            _share(row["share_of_amount_a"]),
            _share(row["share_of_amount_b"]),
            _number(row["mean_a"]),
            _number(row["mean_b"]),
        )
        for row in facts["quadrants"]
    )
    a, b = facts["a"], facts["b"]
    return Table(
        title="Shares of the region's volume and of both amounts",
        columns=("where hot", "mL", "% of volume", "by chance", f"% of {a['name']}",
                 f"% of {b['name']}", f"mean {_axis(a)}", f"mean {_axis(b)}"),
        rows=rows,
        right=(False, *(True,) * 7),
        note=f"{a['name']} is hot from {_number(a['hot_from'])} ({a['rule']}; {a['brought']}), "
        f"{b['name']} from {_number(b['hot_from'])} ({b['rule']}; {b['brought']}). In brackets: "
        "95 %, with the region as a sample of its tissue. By chance: if neither knew of the other.",
    )  # fmt: skip


def _measures(facts: Mapping[str, Any]) -> Table:
    rows = [
        (
            str(row["meaning"]),
            _number(row["value"]),
            _range(row),
            _number(row["by_chance"]),
            _number(row["p"]),
            _number(row["effective_size"]),
        )
        for row in facts["measures"]
    ]
    lag = facts["lag"]
    if lag["lag_mm"] is not None:
        place = ", ".join(f"{part:.3g}" for part in lag["lag_mm"])
        meaning = f"correlation at the best lag of B: {lag['distance_mm']:.3g} mm ({place})"
        rows.append((meaning, _number(lag["correlation"]), _range(lag), "–", "–",
                     _number(lag["effective_size"])))  # fmt: skip
    return Table(
        title="Measures of agreement",
        columns=("measure", "value", "95 %", "by chance", "p", "independent samples"),
        rows=tuple(rows),
        right=(False, *(True,) * 5),
        note=f"The region's {facts['voxels']} voxels are worth "
        f"{_number(facts['effective_size'])} independent samples. A is {facts['a']['name']}, B is "
        f"{facts['b']['name']}. The interval at the best lag does not count that many were tried.",
    )


def _cautions(facts: Mapping[str, Any]) -> tuple[Text, ...]:
    from igdd.flags import FLAGS

    return tuple(Text(text=f"{flag}: {FLAGS[flag]}") for flag in facts["flags"])


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"


def _percent(value: float) -> str:
    return f"{100 * value:.3g}" if np.isfinite(value) else "–"


def _share(share: Mapping[str, float]) -> str:
    if not np.isfinite(share["low"]):
        return _percent(share["value"])
    return f"{_percent(share['value'])} ({_percent(share['low'])}–{_percent(share['high'])})"


def _range(row: Mapping[str, float]) -> str:
    return f"{row['low']:.3g} to {row['high']:.3g}" if np.isfinite(row["low"]) else "–"
