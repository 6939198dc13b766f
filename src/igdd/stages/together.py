"""Two maps together, without a study: what `igdd together` prints.

Is the drug where the target is, and where is it not? A and B are any two maps of one region: drug,
carrier, label, target, perfusion, environment of the tumour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, units
from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.kernels import colocalisation
from igdd.metrics import _pair_measures as measured
from igdd.metrics._matched import Matched, Stored, cropped, match
from igdd.stages.features import chosen_frame, chosen_region, only_series
from igdd.stages.panels import flat, spacing_of, upright
from igdd.stages.tacs import stated_unit
from igdd.types import Grid

GRIDS = ("coarser", "a", "b")
# Bins along each axis of the joint histogram that is shown.
SHOWN_BINS = 32


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the caller says of the maps A and B.

    names   what they are called in the answer; the files' names where nothing is said
    frames  their numbers from 0 where an image holds several
    above   from where a map is hot: a value with or without its unit, "median", "mean", "costes",
            or a percentile ("p75")
    fwhm    of the point spreads, such as "6 mm"
    grid    whose voxels are compared: "a", "b", or the "coarser"
    reach   the longest lag that is tried, such as "20 mm"; None: while half of the region meets
    """

    region: str | None = None
    names: tuple[str, str] | None = None
    frames: tuple[int | None, int | None] = (None, None)
    above: tuple[str, str] = ("median", "median")
    fwhm: tuple[str | None, str | None] = (None, None)
    grid: str = "coarser"
    reach: str | None = None

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise InputError(f"grid is {self.grid!r}; expected one of {', '.join(GRIDS)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Together:
    """The answer as plain values, and what its figure shows.

    facts      what is printed
    counts     (bin, bin) voxels by value of A and of B; `edges` (2, bin + 1) in the maps' units
    quadrant   (row, column) 0 outside, else 1 + the number of the quadrant, of a transverse slice
    spacing    mm between its rows and between its columns
    """

    facts: Mapping[str, Any]
    counts: np.ndarray
    edges: np.ndarray
    quadrant: np.ndarray
    spacing: tuple[float, float]


def together(image_a: Path, image_b: Path, mask: Path, asked: Asked | None = None) -> Together:
    """Compare two images in one region of a mask."""
    asked = Asked() if asked is None else asked
    series = (only_series(image_a), only_series(image_b))
    found = [
        Stored(
            values=one.values[..., chosen_frame(one, frame)],
            grid=one.grid,
            fwhm=_width(width, which),
        )
        for one, frame, width, which in zip(series, asked.frames, asked.fwhm, "ab", strict=True)
    ]
    whole = _grid(found[0].grid, found[1].grid, asked.grid)
    drawn = catalog.read_regions(mask, whole)
    region = chosen_region(mask, drawn, asked.region)
    inside = drawn.mask(region) >= 0.5
    if not inside.any():
        raise InputError(
            f"{mask}: region {region!r} holds no voxel of {image_a.name} or {image_b.name}; "
            "expected one at least; is the mask of another image?"
        )
    grid, box = cropped(whole, inside)
    matched = match(found[0], found[1], grid)
    made = compare(matched, inside[box], asked, (stated_unit(series[0]), stated_unit(series[1])))
    names = asked.names or (image_a.name.split(".")[0], image_b.name.split(".")[0])
    flags = {*made.facts["flags"], *drawn.flags[drawn.names.index(region)]}
    flags |= {*series[0].flags, *series[1].flags}
    about = {
        "region": region,
        "a": {"name": names[0], "source": str(image_a), **made.facts["a"]},
        "b": {"name": names[1], "source": str(image_b), **made.facts["b"]},
    }
    facts = {**made.facts, **about, "flags": sorted(flags)}
    return Together(
        facts={**facts, "answer": answer(facts)},
        counts=made.counts, edges=made.edges, quadrant=made.quadrant, spacing=made.spacing,
    )  # fmt: skip


def compare(
    matched: Matched, inside: np.ndarray, asked: Asked, unit: tuple[str | None, str | None]
) -> Together:
    """Compare two maps on one grid in a region (i, j, k) of it."""
    known = inside & np.isfinite(matched.values[0]) & np.isfinite(matched.values[1])
    if not known.any():
        raise InputError(
            f"none of the region's {int(inside.sum())} voxels has a value in both images; "
            "expected one at least; do both images show the region?"
        )
    grid = matched.grid
    one, other = (values[known] for values in matched.values)
    rules = [measured.rule_of(text, of) for text, of in zip(asked.above, unit, strict=True)]
    costes = colocalisation.costes_thresholds(one, other)
    above = (
        measured.threshold(one, rules[0], costes[0]),
        measured.threshold(other, rules[1], costes[1]),
    )
    pair = measured.Pair(
        one=one, other=other, region=known, spacing=grid.spacing, fwhm=matched.fwhm, above=above
    )
    reach = np.inf if asked.reach is None else units.read(asked.reach, "mm")
    if not reach >= 0:
        raise InputError(f"--reach is {asked.reach}; expected 0 mm or more")
    with np.errstate(all="ignore"):
        rows = list(measured.measures(pair, costes))
        quarters = measured.quadrants(pair, grid.voxel_volume)
        lag = measured.by_lag(pair, grid.affine, reach)
        missed = measured.missed(pair, grid.affine, grid.voxel_volume)
    counts, first, second = colocalisation.joint_histogram(one, other, SHOWN_BINS)
    facts = {
        "a": {"unit": unit[0], "hot_from": above[0], "rule": asked.above[0],
              "brought": matched.rules[0]},
        "b": {"unit": unit[1], "hot_from": above[1], "rule": asked.above[1],
              "brought": matched.rules[1]},
        "voxels": int(known.sum()),
        "volume_ml": float(known.sum() * grid.voxel_volume),
        "voxel_mm": [float(side) for side in grid.spacing],
        "fwhm_mm": matched.fwhm,
        "effective_size": pair.size,
        "quadrants": quarters,
        "measures": rows,
        "lag": lag,
        "missed": missed,
        "flags": sorted(measured.flags_of(pair, inside, rows)),
    }  # fmt: skip
    shown, spacing = _slice(pair, grid)
    return Together(
        facts=facts, counts=counts, edges=np.array([first, second]), quadrant=shown, spacing=spacing
    )


def answer(facts: Mapping[str, Any]) -> str:
    """Where B is hot, in how much of it A is hot too, and where it is not: two sentences."""
    a, b = facts["a"]["name"], facts["b"]["name"]
    row = next(one for one in facts["measures"] if one["measure"] == "b_reached")
    if not np.isfinite(row["value"]):
        return f"Nothing can be said of {a} where {b} is: a map is flat or nowhere above."
    quarter = {one["quadrant"]: one for one in facts["quadrants"]}
    interval = _interval(row)
    share = quarter["b_only"]["share_of_amount_b"]
    first = (
        f"{a} is hot in {_percent(row['value'])}{interval} of the volume where {b} is hot "
        f"(by chance {_percent(row['by_chance'])})."
    )
    if not facts["missed"]["parts"]:
        return f"{first} No part of it is missed."
    parts = facts["missed"]["parts"]
    second = (
        f"{_percent(share['value'])}{_interval(share)} of all {b} lies where {a} is not hot, in "
        f"{parts} part{'s' if parts > 1 else ''}, the largest {facts['missed']['largest_ml']:.3g} "
        "mL."
    )
    return f"{first} {second}"


def text(found: Together) -> str:
    """The answer, the four quadrants, the measures and the flags as lines."""
    facts = found.facts
    a, b = facts["a"], facts["b"]
    lines = [
        facts["answer"],
        "",
        f"A {a['name']}: hot from {_level(a)} ({a['rule']}); {a['brought']}",
        f"B {b['name']}: hot from {_level(b)} ({b['rule']}); {b['brought']}",
        f"region {facts['region']}: {facts['voxels']} voxels, {facts['volume_ml']:.4g} mL, worth "
        f"{_number(facts['effective_size'])} independent samples",
        "",
        f"{'':8} {'mL':>9}  {'of volume':>21} {'chance':>7}  {'of A':>21}  {'of B':>21}",
    ]
    for row in facts["quadrants"]:
        shares = [
            f"{_percent(row[key]['value'])}{_interval(row[key])}"
            for key in ("share_of_volume", "share_of_amount_a", "share_of_amount_b")
        ]
        lines.append(
            f"{row['quadrant']:8} {row['volume_ml']:9.4g}  {shares[0]:>21} "
            f"{_percent(row['share_by_chance']):>7}  {shares[1]:>21}  {shares[2]:>21}"
        )
    lines += ["", *(_line(row) for row in facts["measures"]), _lag_line(facts["lag"])]
    return "\n".join([*lines, *(f"{flag}: {FLAGS[flag]}" for flag in facts["flags"])])


def _line(row: Mapping[str, Any]) -> str:
    interval = f" ({row['low']:.3g} to {row['high']:.3g})" if np.isfinite(row["low"]) else ""
    extra = [f"by chance {row['by_chance']:.3g}"] if np.isfinite(row["by_chance"]) else []
    extra += [f"p {row['p']:.2g}"] if np.isfinite(row["p"]) else []
    extra += [f"n {row['effective_size']:.3g}"] if np.isfinite(row["effective_size"]) else []
    told = f"; {', '.join(extra)}" if extra else ""
    return f"{row['meaning']}: {_number(row['value'])}{interval}{told}"


def _lag_line(lag: Mapping[str, Any]) -> str:
    if lag["lag_mm"] is None:
        return "best lag: -"
    place = ", ".join(f"{part:.3g}" for part in lag["lag_mm"])
    return (
        f"best lag of B: {lag['distance_mm']:.3g} mm ({place}), correlation "
        f"{lag['correlation']:.3g} ({lag['low']:.3g} to {lag['high']:.3g})"
    )


def _level(of: Mapping[str, Any]) -> str:
    unit = f" {of['unit']}" if of["unit"] else ""
    return f"{_number(of['hot_from'])}{unit}"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "-"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if np.isfinite(value) else "-"


def _interval(share: Mapping[str, Any]) -> str:
    if not np.isfinite(share["low"]):
        return ""
    return f" ({100 * share['low']:.3g}-{100 * share['high']:.3g})"


def _width(text: str | None, which: str) -> float | None:
    if text is None:
        return None
    width = units.read(text, "mm")
    if not width > 0:
        raise InputError(f"--fwhm-{which} is {text}; expected above 0 mm, or leave it out")
    return width


def _grid(one: Grid, other: Grid, wanted: str) -> Grid:
    if wanted == "coarser":
        return other if other.voxel_volume > one.voxel_volume * (1 + 1e-6) else one
    return one if wanted == "a" else other


def _slice(pair: measured.Pair, grid: Grid) -> tuple[np.ndarray, tuple[float, float]]:
    """The transverse slice with most of what is missed, else of the region, front up."""
    a, b = pair.hot
    number = np.select([a & b, a & ~b, ~a & b], [1.0, 2.0, 3.0], 4.0)
    whole = upright(pair.lags.field(number), grid.affine)
    missed = (whole == 3).sum(axis=(0, 1))
    level = int(np.argmax(missed if missed.any() else (whole > 0).sum(axis=(0, 1))))
    spacing = spacing_of(grid.affine)
    return flat(whole[:, :, level], 2).astype(np.int64), (spacing[1], spacing[0])
