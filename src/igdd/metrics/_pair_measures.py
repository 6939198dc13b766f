"""What two maps of one region say together: measures with intervals, and the four quadrants.

Intervals are those of the region as a sample of its tissue, by the effective sample size that the
maps' grain leaves; image noise is not in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError
from igdd.kernels import colocalisation as pairs
from igdd.kernels import effective_size as sizes
from igdd.kernels.effective_size import Lags, Share

QUADRANTS = ("both", "a_only", "b_only", "neither")
# Independent samples below which a region hardly tells anything.
FEW_SAMPLES = 10.0
# Voxels below which a region says little.
FEW = 64
MOST_DISTANCES = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Values (n,) of both maps in the voxels of `region` (i, j, k); `spacing` (3,) in mm.

    fwhm   of the point spread that both have, in mm, or None where it is not known
    above  threshold of each map, in its unit; at or above it the map is hot
    """

    one: np.ndarray
    other: np.ndarray
    region: np.ndarray
    spacing: np.ndarray
    fwhm: float | None
    above: tuple[float, float]

    @cached_property
    def lags(self) -> Lags:
        """Every lag between two voxels of the region."""
        return Lags(self.region, self.spacing)

    @cached_property
    def hot(self) -> tuple[np.ndarray, np.ndarray]:
        """Voxels (n,) in which each map reaches its threshold; none where there is no threshold."""
        return self.one >= self.above[0], self.other >= self.above[1]

    @cached_property
    def size(self) -> float:
        """Independent samples that the correlation of the maps is worth."""
        return self.size_of(self.one, self.other)

    def size_of(self, one: np.ndarray, other: np.ndarray) -> float:
        """Independent samples behind a correlation of two maps of the region.

        By what they show themselves; and by the point spread, where it is known: the fewer.
        """
        return sample_size(one, other, self.lags, self.fwhm)


def sample_size(one: np.ndarray, other: np.ndarray, lags: Lags, fwhm: float | None) -> float:
    """Effective sample size by the maps' own correlations and by the point spread: the fewer."""
    if not lags.usable:
        return float("nan")
    measured = [sizes.measured_correlation(values, lags) for values in (one, other)]
    found = sizes.effective_size(measured[0], measured[1], lags)
    if fwhm is None or not np.isfinite(found):
        return found
    spread = sizes.point_spread_correlation(fwhm, lags)
    return min(found, sizes.effective_size(spread, spread, lags))


def threshold(values: np.ndarray, rule: str | float, costes: float) -> float:
    """The value from which a map is hot.

    rule  a number in the map's unit; or "median", "mean", "pNN" (a percentile): the least value
          above it; or "costes". NaN where nothing lies above, or Costes finds no threshold.
    """
    if isinstance(rule, float):
        return rule
    if rule == "costes":
        return costes
    level = float(values.mean()) if rule == "mean" else float(np.percentile(values, _share(rule)))
    # What exceeds the level by rounding alone does not lie above it.
    above = values[values > level + 16 * np.finfo(float).eps * np.abs(values).max()]
    return float(above.min()) if above.size else float("nan")


def _share(rule: str) -> float:
    """Percentile that a rule names."""
    if rule == "median":
        return 50.0
    try:
        share = float(rule.removeprefix("p")) if rule.startswith("p") else float("nan")
    except ValueError:
        share = float("nan")
    if not 0 < share < 100:
        raise InputError(
            f"threshold {rule!r}; expected a value such as '2.5', or median, mean, costes, or a "
            "percentile such as p75"
        )
    return share


def rule_of(text: str, unit: str | None) -> str | float:
    """A threshold as a number in the map's unit, or the name of a rule."""
    plain = text.strip()
    try:
        rule: str | float = float(plain)
    except ValueError:
        rule = plain.lower()
        if plain[:1].isdigit() or plain[:1] in "+-.":
            if unit is None:
                raise InputError(
                    f"threshold {text!r} has a unit, but the image states none; "
                    "expected a plain number, in the image's own unit"
                ) from None
            rule = units.read(plain, unit)
    check_rule(rule)
    return rule


def flags_of(pair: Pair, inside: np.ndarray, rows: list[dict[str, Any]]) -> set[str]:
    """What to be careful about, of a pair and of its `measures`."""
    flags = {"noise_unknown"}
    if int(pair.region.sum()) < int(inside.sum()):
        flags.add("nan_voxels")
    if pair.one.size < FEW:
        flags.add("few_voxels")
    if pair.fwhm is None:
        flags.add("resolution_unmatched")
    if not pair.size >= FEW_SAMPLES:
        flags.add("few_independent_samples")
    if not all(np.isfinite(row["value"]) for row in rows):
        flags.add("feature_undefined")
    if (pair.one < 0).any() or (pair.other < 0).any():
        flags.add("negative_voxels")
    return flags


def check_rule(rule: str | float) -> None:
    """Refuse a threshold that no rule knows."""
    if isinstance(rule, str) and rule not in ("mean", "costes"):
        _share(rule)
    if isinstance(rule, float) and not np.isfinite(rule):
        raise InputError(f"threshold {rule}; expected a finite value")


def measures(pair: Pair, costes: tuple[float, float]) -> Iterator[dict[str, Any]]:
    """Rows: measure, value, 95 % interval, p of chance, effective size, what chance gives, unit."""
    yield from _correlations(pair)
    a, b = pair.hot
    volume = np.ones(a.size)
    known = bool(np.isfinite(pair.above).all())
    p_a, p_b = float(a.mean()), float(b.mean())
    either = p_a + p_b - p_a * p_b
    shares = (
        ("manders_a", pair.one * b, pair.one, p_b,
         "share of A's amount where B is hot (Manders M1)"),
        ("manders_b", pair.other * a, pair.other, p_a,
         "share of B's amount where A is hot (Manders M2)"),
        ("b_reached", volume * (a & b), volume * b, p_a, "share of B's hot volume where A is hot"),
        ("a_on_b", volume * (a & b), volume * a, p_b, "share of A's hot volume where B is hot"),
        ("dice", 2.0 * (a & b), volume * a + volume * b,
         2 * p_a * p_b / (p_a + p_b) if p_a + p_b > 0 else np.nan, "Dice overlap of the hot sets"),
        ("jaccard", volume * (a & b), volume * (a | b), p_a * p_b / either if either > 0 else
         np.nan, "Jaccard overlap of the hot sets"),
    )  # fmt: skip
    for name, part, whole, chance, meaning in shares:
        found = sizes.share(part, whole, pair.lags, pair.size) if known else _UNKNOWN
        yield _row(name, found.value, (found.low, found.high), found.size, meaning) | {
            "by_chance": chance if known else float("nan")
        }
    for name, value in zip(("costes_a", "costes_b"), costes, strict=True):
        which = name[-1]
        meaning = f"Costes threshold of {which.upper()}"
        yield _row(name, value, None, float("nan"), meaning) | {"unit": which}


_UNKNOWN = Share(value=float("nan"), low=float("nan"), high=float("nan"), size=float("nan"))


def _correlations(pair: Pair) -> Iterator[dict[str, Any]]:
    value = pairs.pearson(pair.one, pair.other)
    yield _row(
        "pearson", value, sizes.correlation_interval(value, pair.size), pair.size,
        "Pearson correlation",
    ) | {"p": sizes.correlation_p(value, pair.size), "by_chance": 0.0}  # fmt: skip
    value = pairs.spearman(pair.one, pair.other)
    size = pair.size_of(pairs.ranks(pair.one), pairs.ranks(pair.other))
    yield _row(
        "spearman", value, sizes.correlation_interval(value, size, ranks=True), size,
        "Spearman rank correlation",
    ) | {"p": sizes.correlation_p(value, size), "by_chance": 0.0}  # fmt: skip
    found = pairs.mutual_information(pair.one, pair.other, pair.lags)
    yield _row(
        "mutual_information", found.plain, None, found.size, "mutual information of the maps",
    ) | {"p": found.p, "by_chance": found.independent, "unit": "bit"}  # fmt: skip


def _row(
    name: str, value: float, interval: tuple[float, float] | None, size: float, meaning: str
) -> dict[str, Any]:
    low, high = (float("nan"), float("nan")) if interval is None else interval
    return {
        "measure": name, "value": value, "low": low, "high": high, "p": float("nan"),
        "by_chance": float("nan"), "effective_size": size, "unit": "1", "meaning": meaning,
    }  # fmt: skip


def quadrants(pair: Pair, voxel_volume: float) -> list[dict[str, Any]]:
    """Volume in mL, and shares of volume and of both amounts, where both, one or no map is hot."""
    a, b = pair.hot
    rows: list[dict[str, Any]] = []
    known = bool(np.isfinite(pair.above).all())
    parts = (a & b, a & ~b, ~a & b, ~a & ~b)
    p_a, p_b = float(a.mean()), float(b.mean())
    chances = (p_a * p_b, p_a * (1 - p_b), (1 - p_a) * p_b, (1 - p_a) * (1 - p_b))
    for name, inside, chance in zip(QUADRANTS, parts, chances, strict=True):
        row: dict[str, Any] = {"quadrant": name}
        row["volume_ml"] = float(inside.sum()) * voxel_volume if known else float("nan")
        wholes = {"volume": np.ones(inside.size), "amount_a": pair.one, "amount_b": pair.other}
        for what, whole in wholes.items():
            found = sizes.share(whole * inside, whole, pair.lags, pair.size) if known else _UNKNOWN
            row[f"share_of_{what}"] = {"value": found.value, "low": found.low, "high": found.high}
        row["share_by_chance"] = chance if known else float("nan")
        some = known and bool(inside.any())
        row["mean_a"] = float(pair.one[inside].mean()) if some else float("nan")
        row["mean_b"] = float(pair.other[inside].mean()) if some else float("nan")
        rows.append(row)
    return rows


def by_lag(pair: Pair, affine: np.ndarray, reach: float) -> dict[str, Any]:
    """The shift in mm (right, front, head) at which B is most like A, and correlation by distance.

    The interval at the best lag is that of one lag: it does not count that many were tried.
    """
    fields = [pair.lags.field(values) for values in (pair.one, pair.other)]
    found = pairs.lag_correlation(fields[0], fields[1], pair.lags, reach)
    if found is None:
        return {"lag_mm": None, "distance_mm": float("nan"), "correlation": float("nan"),
                "low": float("nan"), "high": float("nan"), "effective_size": float("nan"),
                "by_distance": []}  # fmt: skip
    moved = np.roll(fields[1], tuple(-found.lag), axis=(0, 1, 2))
    there = Lags(found.meeting, pair.spacing)
    size = sample_size(fields[0][found.meeting], moved[found.meeting], there, pair.fwhm)
    low, high = sizes.correlation_interval(found.correlation, size)
    step = affine[:3, :3] @ found.lag
    width = float(pair.spacing.min())
    known = np.flatnonzero(np.isfinite(found.by_distance))[:MOST_DISTANCES]
    return {
        "lag_mm": [float(part) + 0.0 for part in step],
        "distance_mm": float(np.linalg.norm(step)),
        "correlation": found.correlation,
        "low": low,
        "high": high,
        "effective_size": size,
        "by_distance": [
            {"distance_mm": float(n * width), "correlation": float(found.by_distance[n])}
            for n in known
        ],
    }


def missed(pair: Pair, affine: np.ndarray, voxel_volume: float) -> Mapping[str, Any]:
    """Where B is hot and A is not: number of parts, and volume and centre (RAS mm) of the largest.

    Voxels that share a face, an edge or a corner are one part.
    """
    from scipy import ndimage

    a, b = pair.hot
    inside = pair.lags.field((b & ~a).astype(float)) > 0
    labels, count = ndimage.label(inside, structure=np.ones((3, 3, 3), bool))
    if not count or not np.isfinite(pair.above).all():
        return {"parts": int(count), "largest_ml": 0.0, "centre_mm": None}
    largest = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
    places = np.argwhere(labels == largest)
    centre = affine[:3, :3] @ places.mean(axis=0) + affine[:3, 3]
    return {
        "parts": int(count),
        "largest_ml": float(places.shape[0] * voxel_volume),
        "centre_mm": [float(part) for part in centre],
    }
