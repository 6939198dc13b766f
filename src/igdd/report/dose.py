"""Dose: the page of `igdd dose`: activity over time with its models, decays, masses, doses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.report import theme
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table

HEIGHT = 320
MOST_CURVES = 12
# Pixels per point of a PNG.
SCALE = 2.0
SUFFIXES = (".html", ".png")

Results = Sequence[Mapping[str, Any]]


def check_plot(path: Path) -> None:
    """Refuse a plot that cannot be, before anything is computed."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a plot named {' or '.join(SUFFIXES)}")


def write_plot(found: Results, path: Path, title: str) -> None:
    """Write the page, or its figure alone where the name ends in .png."""
    check_plot(path)
    if path.suffix.lower() == ".html":
        from igdd.report.html import page

        path.write_text(page(content(found, title)), encoding="utf-8", newline="\n")
        return
    import vl_convert

    vl_convert.register_font_directory(str(theme.font_folder()))
    spec = _figure(found).spec
    path.write_bytes(
        vl_convert.vegalite_to_png(spec, vl_version="6.4", scale=SCALE, allowed_base_urls=[])
    )


def content(found: Results, title: str) -> Content:
    """The page's content."""
    from igdd import __version__

    sections = [
        Section(name="doses", title="Absorbed dose", blocks=(_doses(found),)),
        Section(name="activity", title="Activity over time", blocks=(_figure(found),)),
        Section(name="decays", title="Decays and how they were found", blocks=(_decays(found),)),
    ]
    flags = sorted({flag for one in found for flag in one["flags"]})
    if flags:
        cautions = tuple(Text(text=FLAGS[name]) for name in flags)
        sections.append(Section(name="cautions", title="Be careful about", blocks=cautions))
    return Content(
        title=title, summary=_summary(found), answers=(), sections=tuple(sections),
        version=__version__,
    )  # fmt: skip


def _name(one: Mapping[str, Any]) -> str:
    return " ".join(str(one[key]) for key in ("subject", "region") if key in one)


def _summary(found: Results) -> str:
    known = [one for one in found if "dose" in one and np.isfinite(one["dose"]["total"])]
    if not known:
        return "No mass was given: decays are known, doses are not."
    most = max(known, key=lambda one: float(one["dose"]["total"]))
    return f"{_name(most)} has the highest dose: {_between(most['dose'])} Gy."


def _between(entry: Mapping[str, Any]) -> str:
    """A dose with its limits where they are known."""
    ends = [entry.get("low", np.nan), entry.get("high", np.nan)]
    if not np.isfinite(ends).all():
        return _number(entry["total"])
    return f"{_number(entry['total'])} ({_number(ends[0])} to {_number(ends[1])})"


def _figure(found: Results) -> Chart:
    import altair as alt

    shown = [one for one in found if "measurements" in one][:MOST_CURVES]
    names = [_name(one) for one in shown]
    colour = alt.Color(
        "region:N",
        scale=alt.Scale(domain=names, range=theme.colours(names)),
        legend=alt.Legend(title=None) if len(names) > 1 else None,
    )
    time = alt.X("time:Q", title="time after administration (h)")
    height = alt.Y("activity:Q", title="activity (MBq)")
    points = [
        {"region": _name(one), "time": _short(each["time"]), "activity": _short(each["activity"])}
        for one in shown
        for each in one["measurements"]
    ]
    lines = [
        {"region": _name(one), "time": _short(at), "activity": _short(value)}
        for one in shown
        for at, value in one["curve"]
    ]
    layers = [
        alt.Chart(inline_values(points)).mark_point(filled=True, size=45).encode(
            x=time, y=height, color=colour, tooltip=["region:N", "time:Q", "activity:Q"]
        ),
        alt.Chart(inline_values(lines)).mark_line().encode(x=time, y=height, color=colour),
    ]  # fmt: skip
    left = len([one for one in found if "measurements" in one]) - len(shown)
    return Chart(
        name="activity",
        title="Activity over time",
        caption="Points: measurements, not corrected for decay; lines: the model that stands, "
        "carried on to twice the last time. A rule without a model has no line."
        + (f" {left} regions more are in the tables." if left > 0 else ""),
        spec=finished(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)),
    )


def _doses(found: Results) -> Table:
    rows: list[tuple[str, ...]] = []
    for one in found:
        entry = one.get("dose")
        if entry is None:
            rows.append((_name(one), *("–",) * 6))
            continue
        mass = f"{_number(one['mass']['value'])} g" if "mass" in one else "–"
        effect = one.get("biologically_effective_dose", {}).get("value", np.nan)
        parts = (entry.get("electrons", np.nan), entry.get("photons", np.nan))
        rows.append(
            (_name(one), mass, _between(entry), *(_number(part) for part in parts),
             _number(effect), str(entry["from"]))
        )  # fmt: skip
    return Table(
        title="Dose in Gy, 95 % limits",
        columns=("region", "mass", "dose", "by charged particles", "by photons", "BED", "from"),
        rows=tuple(rows),
        right=(False, True, True, True, True, True, False),
        note="By charged particles: as if all of their energy stayed in the region; the dose holds "
        "the share of it that does.",
    )


def _decays(found: Results) -> Table:
    rows = []
    for one in found:
        if "time_integrated_activity" not in one:
            continue
        entry = one["time_integrated_activity"]
        spread = f" ± {entry['sd']:.2g}" if np.isfinite(entry["sd"]) else ""
        residence = one["residence_time"]
        others = ", ".join(
            f"{name} {_number(value)}"
            for name, value in one["candidates"].items()
            if name != one["model"] and np.isfinite(value)
        )
        rows.append(
            (_name(one), f"{entry['value']:.5g}{spread}",
             "–" if residence is None else _number(residence["value"]),
             _number(one["effective_half_life"]["value"]), f"{100 * one['tail_share']:.0f} %",
             f"{one['model']}{' by AICc' if one['by_aicc'] else ''}", others or "–")
        )  # fmt: skip
    return Table(
        title="Time-integrated activity",
        columns=("region", "MBq h", "per activity given (h)", "effective half-life (h)",
                 "after the last", "model", "other models give"),
        rows=tuple(rows),
        right=(False, True, True, True, True, False, False),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
