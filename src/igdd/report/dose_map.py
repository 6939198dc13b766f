"""Dose map: the page of a dose-volume histogram: curves of regions, their numbers, cautions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.report import theme
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.content import Content, Section, Text
from igdd.report.listings import Table

if TYPE_CHECKING:
    from igdd.stages.dose_map import DoseMap

MOST_REGIONS = 20
# Pixels per point of a PNG.
SCALE = 2.0
SUFFIXES = (".html", ".png")


def check_plot(path: Path, mask: Path | None) -> None:
    """Refuse a plot that cannot be, before the dose is computed."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a plot named .html or .png")
    if mask is None:
        raise InputError("a dose-volume histogram is of regions; expected a mask with --plot")


def write_plot(found: DoseMap, path: Path) -> None:
    """Write the page, or its figure alone where the name ends in .png."""
    check_plot(path, path)
    said = content(found)
    if path.suffix.lower() == ".html":
        from igdd.report.html import page

        path.write_text(page(said), encoding="utf-8", newline="\n")
        return
    import vl_convert

    vl_convert.register_font_directory(str(theme.font_folder()))
    spec = histogram(found).spec
    path.write_bytes(
        vl_convert.vegalite_to_png(spec, vl_version="6.4", scale=SCALE, allowed_base_urls=[])
    )


def content(found: DoseMap) -> Content:
    """The page's content."""
    from igdd import __version__

    facts = found.facts
    method = facts["method"]
    flags = sorted({*facts["flags"], *(f for one in facts["regions"] for f in one["flags"])})
    sections = (
        Section(name="histogram", title="Dose and volume", blocks=(histogram(found),)),
        Section(name="numbers", title="Numbers", blocks=(_numbers(facts),)),
        Section(
            name="cautions",
            title="Be careful about",
            blocks=tuple(Text(text=FLAGS[flag]) for flag in flags),
        ),
    )
    return Content(
        title=f"Absorbed dose of {facts['nuclide']}",
        summary=f"Dose by {_named(method['chosen'])} ({method['reason']}).",
        answers=(),
        sections=tuple(one for one in sections if one.blocks),
        version=__version__,
    )


def histogram(found: DoseMap) -> Chart:
    """Share of each region's volume with a dose or more, by the method chosen and by the other."""
    import altair as alt

    chosen = found.facts["method"]["chosen"]
    names = {"chosen": _named(chosen), "other": _named(_other(chosen))}
    regions = list(found.histograms)[:MOST_REGIONS]
    points = [
        {
            "region": region,
            "method": names[which],
            "dose": float(f"{dose:.6g}"),
            "volume": float(f"{100 * share:.6g}"),
        }
        for region in regions
        for which, curve in found.histograms[region].items()
        for dose, share in curve
    ]
    colour = alt.Color(
        "region:N",
        scale=alt.Scale(domain=regions, range=theme.colours(regions)),
        legend=alt.Legend(title=None) if len(regions) > 1 else None,
    )
    dash = alt.StrokeDash(
        "method:N",
        scale=alt.Scale(domain=list(names.values()), range=[[1, 0], [4, 3]]),
        legend=alt.Legend(title=None),
    )
    lines = (
        alt.Chart(inline_values(points))
        .mark_line(interpolate="step-before", strokeWidth=1.6)
        .encode(
            x=alt.X("dose:Q", title="dose (Gy)"),
            y=alt.Y("volume:Q", title="volume with it or more (%)"),
            color=colour,
            strokeDash=dash,
            order="dose:Q",
        )
        .properties(width=WIDTH, height=300)
    )
    cut = f" The first {MOST_REGIONS} of {len(found.histograms)} regions." \
        if len(found.histograms) > MOST_REGIONS else ""  # fmt: skip
    return Chart(
        name="dvh",
        title="Cumulative dose-volume histogram",
        caption=f"Solid: {names['chosen']}, which the dose map holds; dashed: {names['other']}, "
        "for comparison." + cut,
        spec=finished(lines),
    )


def _numbers(facts: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            str(region["region"]),
            str(row["name"]),
            f"{_number(row['value'])} {row['unit']}",
            _number(row["sd"]),
            _number(row["other_method"]),
        )
        for region in facts["regions"]
        for row in region["numbers"]
    )
    other = _named(_other(facts["method"]["chosen"]))
    return Table(
        title="Numbers of each region",
        columns=("region", "number", "value", "sd", f"by {other}"),
        rows=rows,
        right=(False, False, True, True, True),
        note="sd: from what all voxels share (calibration, time integration, density); the "
        "voxels' own noise is not in it.",
    )


def _named(method: str) -> str:
    return "dose kernel" if method == "kernel" else "local deposition"


def _other(method: str) -> str:
    return "local" if method == "kernel" else "kernel"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"
