"""Coverage: the share of a lesion that a concentration reaches, and the part that it does not.

An under-dosed part is where the disease comes back, and its largest connected piece matters more
than its sum. Image noise alone makes part of an even lesion fall below a threshold: coverage is of
the histogram without noise, and its interval is what noise makes of that again.

The threshold is a concentration with its unit, in that of the image or as %ID/mL or SUV where dose
and weight are known; or a plain multiple of the mean of a region (`relative_to`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from igdd import units
from igdd.declare import Metric, Option
from igdd.errors import StudyError, UnitsError
from igdd.kernels import heterogeneity as kernel
from igdd.metrics._lesion_voxels import (
    INTERIOR,
    TWIN,
    Found,
    Lesion,
    as_imaged,
    lesions,
    other_region,
    sorts_of,
    with_interior,
    without_noise,
)
from igdd.metrics._resolution import RESOLUTION, mean_of
from igdd.metrics.heterogeneity import KIND
from igdd.metrics.uptake import administered, normalisers
from igdd.results import Value
from igdd.types import Session
from igdd.uncertainty import Estimate

# The coverage curve: percentages of the threshold.
CURVE = (25, 50, 75, 100, 125, 150, 200)
NAMES = (
    ("coverage", "1"),
    ("under_dosed_share", "1"),
    ("under_dosed_volume", "mL"),
    ("under_dosed_largest_part", "mL"),
    *((f"coverage_at_{percent}_percent", "1") for percent in CURVE),
)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A concentration in the image's unit, in words, and whether the calibration moves it too."""

    value: float
    words: str
    relative: bool = False


def coverage(
    session: Session,
    threshold: str | float,
    kind: str = "lesion",
    relative_to: str | None = None,
    resolution: str | float | None = None,
) -> Iterator[Value]:
    """Share of every lesion at or above a concentration, its curve, and the under-dosed volume.

    The curve is at multiples of the threshold. Each also of the interior (`_interior`), and as
    imaged (`_uncorrected`).
    """
    for whole in lesions(session, "coverage", kind, resolution):
        level = _level(whole, threshold, relative_to)
        for lesion in with_interior(whole):
            yield from _of_lesion(lesion, level)


def _level(lesion: Lesion, threshold: str | float, relative_to: str | None) -> Threshold:
    """The threshold in the image's unit."""
    session, unit = lesion.session, lesion.image.unit
    if session.regions is None:
        raise StudyError("metric 'coverage' needs regions; expected those of the session")
    if relative_to is not None:
        times = units.read(threshold, "1") if isinstance(threshold, str) else float(threshold)
        other_region(session, session.regions, relative_to, "relative_to")
        mean = mean_of(session, session.regions, relative_to, lesion.time, lesion.blur)
        words = f"{times:g} times the mean of {relative_to}"
        return Threshold(value=times * mean, words=words, relative=True)
    if not isinstance(threshold, str):
        return Threshold(value=float(threshold), words=f"{threshold:g} {unit}")
    for wished, factor in (("", 1.0), *_scales(session)):
        try:
            return Threshold(value=units.read(threshold, wished or unit) * factor, words=threshold)
        except UnitsError as error:
            last = error
    raise UnitsError(
        f"measure.threshold: {last}; expected a concentration in the unit of the image ({unit}), "
        "or %/mL or an SUV in g/mL where dose and weight are known"
    )


def _scales(session: Session) -> Iterator[tuple[str, float]]:
    """Other units in which a threshold can be said, and what makes them the image's."""
    given = administered(session, session.curves)
    if given is None:
        return
    yield "%/mL", given.value / 100
    size = normalisers(session.subject).get("suvbw")
    if size is not None:
        yield "g/mL", given.value / size


def _of_lesion(lesion: Lesion, level: Threshold) -> Iterator[Value]:
    if not lesion.values.size or not np.isfinite(level.value):
        for metric, unit in NAMES:
            yield lesion.row(metric + lesion.suffix, Estimate(value=float("nan")), unit)
        return

    def measures(values: np.ndarray) -> np.ndarray:
        return measured(lesion, values, level.value)

    found = without_noise(lesion, measures, "coverage")
    method = f"at {level.words}; {sorts_of(lesion)}"
    yield from _rows(lesion, found, lesion.suffix, method)
    if lesion.noise is not None and not lesion.suffix:
        around = as_imaged(lesion, measures, "coverage")
        yield from _rows(lesion, around, TWIN, f"at {level.words}; as imaged")


def measured(lesion: Lesion, values: np.ndarray, threshold: float) -> np.ndarray:
    """The measures of `NAMES` of values (n,) at a threshold in their unit."""
    curve = kernel.coverage_curve(values, lesion.weights, threshold * np.array(CURVE) / 100)
    covered = float(curve[CURVE.index(100)])
    volume = float(lesion.weights.sum()) * lesion.voxel_volume
    below = np.where(values < threshold, lesion.weights, 0.0)
    box = lesion.box(below)
    part = kernel.largest_part(box > 0, box) * lesion.voxel_volume
    return np.array([covered, 1 - covered, (1 - covered) * volume, part, *curve])


def _rows(lesion: Lesion, found: Found, suffix: str, method: str) -> Iterator[Value]:
    volume = float(lesion.weights.sum()) * lesion.voxel_volume
    for number, (metric, unit) in enumerate(NAMES):
        low, high = found.interval(number)
        most = volume if unit == "mL" else 1.0
        yield lesion.row(
            metric + suffix,
            found.estimate(number),
            unit,
            # What no share or volume can be is not in its interval.
            interval=(max(low, 0.0), min(high, most)) if np.isfinite(low) else None,
            method=method,
        )


METRICS = (
    Metric(
        "coverage",
        coverage,
        level="session",
        options=(
            Option(
                "threshold",
                "of image",
                help="concentration to be reached, with its unit; a plain number with relative_to",
            ),
            KIND,
            Option(
                "relative_to",
                "text",
                default=None,
                help="region of whose mean the threshold is a multiple",
            ),
            RESOLUTION,
        ),
        gives=tuple(
            (name + ending, unit) for name, unit in NAMES for ending in ("", INTERIOR, TWIN)
        ),
        question="Q3",
        reference="noise deconvolution: Laird, J Am Stat Assoc 1978;73:805",
    ),
)
