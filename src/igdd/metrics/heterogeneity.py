"""Heterogeneity: how unevenly a lesion takes up what was given, by measures the field uses.

    D10, D50, D90  concentration that at least 10, 50, 90 % of the volume reach, as in radiotherapy
    CV             standard deviation over mean; robust: 1.4826 MAD / median
    QCD            quartile dispersion (P75 - P25) / (P75 + P25)
    Gini           half the mean difference of two voxels over their mean
    entropy        of bins of a stated physical width, in bit
    hot tail       mean of the hottest tenth of the volume, also over a reference region's mean
    EUE            equivalent uniform exposure -ln(mean exp(-a C)) / a

Image noise alone makes an even lesion uneven. From the CV its variance is subtracted; all else is
of the histogram without noise. All depend on resolution: `resolution` brings lesions to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from igdd import units
from igdd.declare import Metric, Option
from igdd.errors import StudyError, UnitsError
from igdd.kernels import heterogeneity as kernel
from igdd.kernels.noise_deconvolution import true_variance
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
from igdd.results import Value
from igdd.types import Session
from igdd.uncertainty import NORMAL_95, Estimate

KIND = Option(
    "kind",
    "text",
    default="lesion",
    choices=("lesion", "organ", "blood", "reference", "every"),
    help="kind of the regions that are measured",
)
SHARES = np.array([0.9, 0.5, 0.1])


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Options in the image's unit; None where they were not given."""

    bin_width: float | None
    steepness: float | None


def heterogeneity(
    session: Session,
    kind: str = "lesion",
    bin_width: str | float | None = None,
    steepness: str | float | None = None,
    reference: str | None = None,
    resolution: str | float | None = None,
) -> Iterator[Value]:
    """D10, D50, D90, CV, Gini, entropy, hot tail and equivalent uniform exposure of every lesion.

    Entropy needs `bin_width`, the exposure its `steepness`; without them both are absent. Each also
    of the interior (`_interior`), a point spread below the rim, and as imaged (`_uncorrected`).
    """
    asked: Asked | None = None
    for whole in lesions(session, "heterogeneity", kind, resolution):
        unit = whole.image.unit
        if asked is None:
            asked = Asked(
                bin_width=in_unit(bin_width, unit, "measure.bin_width"),
                steepness=in_unit(steepness, f"1/({unit})", "measure.steepness"),
            )
        for lesion in with_interior(whole):
            yield from _of_lesion(lesion, asked, reference)


def in_unit(text: str | float | None, unit: str, option: str) -> float | None:
    """An option in the image's unit: a text with a unit, or a number that is in it already."""
    if text is None:
        return None
    if not isinstance(text, str):
        return float(text)
    try:
        return units.read(text, unit)
    except UnitsError as error:
        raise UnitsError(f"{option}: {error}") from error


def _names(asked: Asked) -> list[tuple[str, str]]:
    """Metrics of the histogram and their units; "C" is the image's."""
    names = [("d10", "C"), ("d50", "C"), ("d90", "C"), ("robust_cv", "1")]
    names += [("quartile_dispersion", "1"), ("gini", "1"), ("hot_tail_mean", "C")]
    names += [("negative_share", "1")]
    names += [("entropy", "bit")] if asked.bin_width is not None else []
    names += [("equivalent_uniform_exposure", "C")] if asked.steepness is not None else []
    return names


def _of_lesion(lesion: Lesion, asked: Asked, reference: str | None) -> Iterator[Value]:
    names = _names(asked)
    if not lesion.values.size:
        for metric, unit in (("cv", "1"), *names):
            yield lesion.row(
                metric + lesion.suffix,
                Estimate(value=float("nan")),
                lesion.image.unit if unit == "C" else unit,
            )
        return

    def measures(values: np.ndarray) -> np.ndarray:
        return _histogram(values, lesion.weights, asked)

    method = sorts_of(lesion)
    yield from _variation(lesion)
    found = without_noise(lesion, measures, "heterogeneity")
    yield from _rows(lesion, found, names, lesion.suffix, method)
    if reference is not None:
        number = [name for name, _ in names].index("hot_tail_mean")
        yield _hot_ratio(lesion, found, number, reference)
    if lesion.noise is not None and not lesion.suffix:
        yield from _rows(
            lesion, as_imaged(lesion, measures, "heterogeneity"), names, TWIN, "as imaged"
        )


def _histogram(values: np.ndarray, weights: np.ndarray, asked: Asked) -> np.ndarray:
    order = np.argsort(values, kind="stable")  # once: what is sorted sorts fast
    values, weights = values[order], weights[order]
    found = [
        *kernel.quantiles(values, weights, SHARES),
        kernel.robust_coefficient_of_variation(values, weights),
        kernel.quartile_dispersion(values, weights),
        kernel.gini(values, weights),
        kernel.hot_tail_mean(values, weights),
        kernel.mean((values < 0).astype(float), weights),
    ]
    if asked.bin_width is not None:
        found.append(kernel.entropy(values, weights, asked.bin_width))
    if asked.steepness is not None:
        found.append(kernel.equivalent_uniform(values, weights, asked.steepness))
    return np.array(found)


def _rows(
    lesion: Lesion, found: Found, names: list[tuple[str, str]], suffix: str, method: str
) -> Iterator[Value]:
    for number, (metric, unit) in enumerate(names):
        low, high = found.interval(number)
        yield lesion.row(
            metric + suffix,
            found.estimate(number),
            lesion.image.unit if unit == "C" else unit,
            # No measure of spread lies below 0, and neither does its interval.
            interval=(low if unit == "C" else max(low, 0.0), high),
            method=f"{method}, above percentile 90" if metric == "hot_tail_mean" else method,
        )


def _variation(lesion: Lesion) -> Iterator[Value]:
    """The coefficient of variation with the noise's variance subtracted, and as imaged."""
    middle = kernel.mean(lesion.values, lesion.weights)
    plain = kernel.coefficient_of_variation(lesion.values, lesion.weights)
    if lesion.noise is None:
        yield lesion.row("cv" + lesion.suffix, Estimate(value=plain), "1", method=sorts_of(lesion))
        return
    variance, sd = true_variance(lesion.values, lesion.noise)
    low, high = variance - NORMAL_95 * sd, variance + NORMAL_95 * sd
    value, below, above = (
        float(np.sqrt(max(one, 0.0))) / middle if middle > 0 else float("nan")
        for one in (variance, low, high)
    )
    # At zero the square root has no slope: the spread of the interval stands for it.
    spread = max(sd / (2 * np.sqrt(variance) * middle) if low > 0 else 0.0, 0.0)
    spread = spread if low > 0 else (above - below) / (2 * NORMAL_95)
    yield lesion.row(
        "cv" + lesion.suffix,
        Estimate(value=value, sd=spread),
        "1",
        interval=(below, above),
        flags=() if variance > 0 else ("noise_exceeds_spread",),
        method="noise variance subtracted",
    )
    if not lesion.suffix:
        around = as_imaged(
            lesion,
            lambda values: np.array([kernel.coefficient_of_variation(values, lesion.weights)]),
            "cv",
        )
        yield lesion.row("cv" + TWIN, around.estimate(0), "1", method="as imaged")


def _hot_ratio(lesion: Lesion, found: Found, number: int, reference: str) -> Value:
    """Hot-tail mean over the mean of a reference region in the same scan: calibration drops out."""
    session = lesion.session
    if session.regions is None:
        raise StudyError("measure.reference: no regions are drawn; expected the reference region")
    other_region(session, session.regions, reference, "reference")
    curves = session.curves
    place = curves.names.index(reference)
    below = mean_of(session, session.regions, reference, lesion.time, lesion.blur)
    noise = float(curves.mean_covariance(lesion.time)[place, place])
    hot = found.estimate(number)
    value, sd = float("nan"), float("nan")
    if below > 0:
        value = hot.value / below
        sd = float(np.hypot(hot.sd_random / below, value * np.sqrt(max(noise, 0.0)) / below))
    return lesion.row(
        f"hot_tail_ratio{lesion.suffix}",
        Estimate(value=value, sd=sd),
        "1",
        method=f"{sorts_of(lesion)}, above percentile 90, over the mean of {reference}",
    )


def _gives() -> tuple[tuple[str, str], ...]:
    every = [("cv", "1"), *_names(Asked(bin_width=1.0, steepness=1.0))]
    made = [
        (name + ending, "of image" if unit == "C" else unit)
        for name, unit in every
        for ending in ("", INTERIOR, TWIN)
    ]
    return (
        *made,
        ("hot_tail_ratio", "1"),
        ("hot_tail_ratio" + INTERIOR, "1"),
    )


METRICS = (
    Metric(
        "heterogeneity",
        heterogeneity,
        level="session",
        options=(
            KIND,
            Option(
                "bin_width",
                "of image",
                default=None,
                help="width of the entropy's bins, with a unit of the image's kind",
            ),
            Option(
                "steepness",
                "of image",
                default=None,
                help="a of the equivalent uniform exposure, in 1 / unit of the image",
            ),
            Option(
                "reference",
                "text",
                default=None,
                help="region whose mean the hot tail is divided by",
            ),
            RESOLUTION,
        ),
        gives=_gives(),
        question="Q3",
        reference="hot tail: Radiol Imaging Cancer 2023;5:e220022; equivalent uniform: Niemierko, "
        "Med Phys 1997;24:103",
    ),
)
