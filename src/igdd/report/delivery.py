"""Delivery: the page and the picture of a formulation's place among the published courses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.report import theme
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table
from igdd.uncertainty import NORMAL_95

if TYPE_CHECKING:
    from igdd.stages.delivery import Delivery

HEIGHT = 260
BINS = 28
MARGIN = 1.0  # decades that the axis goes beyond the studies, at most, towards the formulation
CURVE = 160
ALL, ALIKE, OWN = "all studies", "like it in all that was stated", "expected of its kind"
HUES = {ALL: theme.FAINT, ALIKE: theme.COLOURS[4], OWN: theme.COLOURS[0]}


def write(found: Delivery, path: Path) -> None:
    """Write the page (.html) or the picture alone (.png)."""
    kind = path.suffix.lower()
    if kind == ".html":
        from igdd.report.html import page

        path.write_text(page(content(found)), encoding="utf-8")
    elif kind == ".png":
        import vl_convert

        vl_convert.register_font_directory(str(theme.font_folder()))
        spec = chart(found).spec
        path.write_bytes(
            vl_convert.vegalite_to_png(spec, vl_version="6.4", scale=2, allowed_base_urls=[])
        )
    else:
        raise InputError(f"{path}: ends in {kind!r}; expected .html or .png")


def content(found: Delivery) -> Content:
    """The page's content."""
    from igdd import __version__
    from igdd.flags import FLAGS

    facts = found.facts
    cautions = tuple(Text(text=f"{flag}: {FLAGS[flag]}") for flag in facts["flags"])
    sections = (
        Section(name="place", title="Its place", blocks=(chart(found), _table(facts))),
        Section(name="cautions", title="Be careful about", blocks=(*cautions, _clusters())),
    )
    return Content(
        title="Delivery against published courses in mouse tumours",
        summary=str(facts["answer"]),
        answers=(),
        sections=sections,
        version=__version__,
    )


def _clusters() -> Text:
    return Text(
        text="The studies are of mice, several from one paper each, found in the literature: a "
        "percentile says where a figure stands among what was published, not what is achievable. "
        "Source: UFPBPK/Nano-AI-PBPK-G1, CC0; Chou et al. 2023."
    )


def _table(facts: Mapping[str, Any]) -> Table:
    rows = []
    for key, name in (("adjusted", OWN), ("comparable", ALIKE), ("all_studies", ALL)):
        one = facts[key]
        rows.append(
            (
                name,
                str(one["studies"]),
                _number(one.get("median", one.get("expected"))),
                _number(one["percentile"]),
                f"{_number(one['low'])} to {_number(one['high'])}",
            )
        )
    stated = ", ".join(_stated(name, value) for name, value in facts["stated"].items())
    return Table(
        title=f"Percentile of {_number(facts['value'])} {facts['unit']}",
        columns=("among", "studies", f"median ({facts['unit']})", "percentile", "95 %"),
        rows=tuple(rows),
        right=(False, True, True, True, True),
        note=f"Stated: {stated or 'nothing'}. The median of its kind is that of the regression.",
    )


def _stated(name: str, value: Any) -> str:
    unit = {"size": " nm", "tumour_weight": " g"}.get(name, "")
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"{name.replace('_', ' ')} {shown}{unit}"


def chart(found: Delivery) -> Chart:
    """Histogram of the studies, what is expected of its kind, and the formulation."""
    import altair as alt

    facts, placed = found.facts, found.placed
    positive = placed.values[placed.values > 0]
    logs = np.log10(positive)
    reach = logs.min() - MARGIN, logs.max() + MARGIN
    own = [np.clip(np.log10(facts["value"]), *reach)] if facts["value"] > 0 else []
    edges = np.linspace(min([logs.min(), *own]), max([logs.max(), *own]), BINS + 1)
    shown = {ALL: logs, ALIKE: np.log10(placed.comparable[placed.comparable > 0])}
    bars = [
        {"low": _digits(10**low), "high": _digits(10**high), "studies": int(count), "among": name}
        for name, values in shown.items()
        for low, high, count in zip(
            edges[:-1], edges[1:], np.histogram(values, edges)[0], strict=True
        )
        if count
    ]
    axis = alt.X(
        "low:Q",
        title=f"{facts['metric']} ({facts['unit']})",
        scale=alt.Scale(type="log", nice=False),
    )
    colour = alt.Color(
        "among:N",
        scale=alt.Scale(domain=list(HUES), range=list(HUES.values())),
        legend=alt.Legend(title=None, columns=3),
    )
    layers = [
        alt.Chart(inline_values(bars))
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=axis, x2="high:Q", y=alt.Y("studies:Q", title="studies", stack=None),
            y2=alt.datum(0), color=colour, tooltip=["among:N", "studies:Q", "low:Q", "high:Q"],
        )
    ]  # fmt: skip
    curve = _curve(found, edges, len(positive))
    if curve:
        line = alt.Chart(inline_values(curve)).mark_line(strokeWidth=2.5)
        layers.append(line.encode(x=axis, y="studies:Q", color=colour))
    layers += _own(facts, (float(edges[0]), float(edges[-1])))
    return Chart(
        name="delivery",
        title="Where it stands",
        caption="Histogram: studies of the prior in this metric and window. Curve: what the "
        "regression expects of its kind, times the number of studies. Line: the formulation; "
        "band: its own 95 %; both end at the border where they lie beyond it.",
        spec=finished(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)),
    )


def _curve(found: Delivery, edges: np.ndarray, studies: int) -> list[dict[str, Any]]:
    """The regression's log-normal distribution as studies in a bin."""
    expected = found.placed.expected
    if expected is None:
        return []
    spread = float(np.sqrt(expected.variance + expected.variance_of_mean)) / np.log(10)
    middle = expected.mean / np.log(10)
    points = np.linspace(edges[0], edges[-1], CURVE)
    density = np.exp(-(((points - middle) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
    counts = studies * (edges[1] - edges[0]) * density
    return [
        {"low": _digits(10**at), "studies": _digits(count), "among": OWN}
        for at, count in zip(points, counts, strict=True)
    ]


def _own(facts: Mapping[str, Any], ends: tuple[float, float]) -> list[Any]:
    """The formulation's line and the band of its standard deviation, within the axis (log10)."""
    import altair as alt

    value, sd = facts["value"], facts["sd"]
    if not value > 0:
        return []
    layers = []
    at = float(np.log10(value))

    def shown(place: float) -> float:
        return _digits(10 ** min(max(place, ends[0]), ends[1]))

    if sd is not None:
        half = NORMAL_95 * sd / value / float(np.log(10))
        band = [{"low": shown(at - half), "high": shown(at + half)}]
        layers.append(
            alt.Chart(inline_values(band))
            .mark_rect(color=theme.LESION, opacity=0.15)
            .encode(x="low:Q", x2="high:Q")
        )
    rule = alt.Chart(inline_values([{"low": shown(at)}]))
    return [*layers, rule.mark_rule(color=theme.LESION, strokeWidth=2.5).encode(x="low:Q")]


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _number(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.3g}"
