"""Together: is what the session measures where another image of the visit is, and where is it not?

The measured image (drug, carrier, label) is held against another one (target, perfusion, a second
label) in each lesion, on the measured image's grid and at the coarser of both resolutions:
correlation, Manders' shares, overlap of what is hot, the volume that is missed, the best shift.
Intervals are of the region as a sample of its tissue, by its effective sample size
(`igdd.metrics._pair_measures`); image noise is not in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import InputError, StudyError
from igdd.kernels import colocalisation
from igdd.metrics import _pair_measures as pairs
from igdd.metrics._matched import Stored, cropped, match
from igdd.metrics.heterogeneity import KIND
from igdd.results import Value
from igdd.types import Beside, Grid, Image, Regions, Session
from igdd.uncertainty import Estimate

# Voxels belong to a region from this weight on.
HALF = 0.5
# Measure -> metric; in braces the other image's name.
NAMES = {
    "pearson": "pearson_with_{other}",
    "spearman": "spearman_with_{other}",
    "mutual_information": "mutual_information_with_{other}",
    "manders_a": "amount_where_{other}",
    "manders_b": "{other}_amount_reached",
    "b_reached": "{other}_volume_reached",
    "a_on_b": "hot_volume_where_{other}",
    "dice": "dice_with_{other}",
    "jaccard": "jaccard_with_{other}",
}
MORE = (
    ("{other}_missed_volume", "mL"),
    ("{other}_missed_largest_part", "mL"),
    ("{other}_shift", "mm"),
    ("{other}_effective_samples", "1"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The other image's name, and from where each of both is hot."""

    other: str
    above: str
    other_above: str


def together(
    session: Session,
    other: str,
    above: str = "median",
    other_above: str = "median",
    kind: str = "lesion",
) -> Iterator[Value]:
    """Agreement of the measured image with another of the visit, in every lesion and frame.

    `above`, `other_above`: from where each is hot: a value with its unit, "median", "mean",
    "costes", or a percentile ("p75").
    """
    image, regions = _needed(session, other)
    beside = session.others.get(other)
    asked = Asked(other=other, above=above, other_above=other_above)
    for number, name in enumerate(regions.names):
        if kind not in (regions.kinds[number], "every"):
            continue
        inside = regions.mask(name) >= HALF
        for time in range(image.frames.start.size):
            found = _compared(session, beside, inside, time, asked)
            for metric, estimate, interval, unit, flags in found:
                yield Value(
                    region=name,
                    metric=metric.format(other=other),
                    estimate=estimate,
                    unit=unit,
                    time=float(image.frames.middle[time]),
                    analyte=image.analyte,
                    flags=(*regions.flags[number], *flags),
                    method=f"hot: {above} of the measured image, {other_above} of {other}",
                    interval=interval,
                )


def _needed(session: Session, other: str) -> tuple[Image, Regions]:
    """The measured image and the regions, or what lacks; a visit may have no other image at all."""
    where = f"metric 'together', subject {session.subject.id}, session {session.name}"
    if session.image is None or session.regions is None:
        raise StudyError(
            f"{where}: needs an image and regions; expected both; leave the metric out for a "
            "session of curves alone"
        )
    if session.others and other not in session.others:
        known = ", ".join(sorted(session.others))
        raise StudyError(
            f"{where}: measure.other = {other!r} is no image of the visit; expected one of: "
            f"{known}; give the visit a [[scan]] of that name"
        )
    measured = session.image.frames.start.size
    frames = session.others[other].image.frames.start.size if session.others else 1
    if frames not in (1, measured):
        raise StudyError(
            f"{where}: {other} has {frames} frames and the measured image {measured}; "
            "expected one, or as many"
        )
    return session.image, session.regions


Row = tuple[str, Estimate, tuple[float, float] | None, str, tuple[str, ...]]


def _compared(
    session: Session, beside: Beside | None, inside: np.ndarray, time: int, asked: Asked
) -> Iterator[Row]:
    """Rows of one region in one frame; not a number where the images do not meet in it."""
    image = session.image
    if image is None:
        return
    pair, grid = None, image.grid
    if inside.any() and beside is not None:
        grid, box = cropped(image.grid, inside)
        last = min(time, beside.image.frames.start.size - 1)
        stored = (
            Stored(values=image.values[..., time], grid=image.grid, fwhm=session.psf),
            Stored(values=beside.image.values[..., last], grid=beside.image.grid, fwhm=beside.psf),
        )
        units = (image.unit, beside.image.unit)
        pair = _pair(stored, grid, inside[box], asked, units)
    if pair is None:
        lacks = "other_image_missing" if beside is None else "empty_region"
        # Of an image that is not there one row tells it all.
        every = [(NAMES["b_reached"], "1")] if beside is None else _gives()
        for metric, unit in every:
            yield metric, Estimate(value=float("nan")), None, unit, (lacks,)
        return
    with np.errstate(all="ignore"):
        rows = list(pairs.measures(pair, (np.nan, np.nan)))
        # The thresholds that were left unknown are no rows of this metric.
        rows = [row for row in rows if row["measure"] in NAMES]
        missed = pairs.missed(pair, grid.affine, grid.voxel_volume)
        lag = pairs.by_lag(pair, grid.affine, np.inf)
    flags = tuple(sorted(pairs.flags_of(pair, inside, rows) - {"feature_undefined"}))
    for row in rows:
        yield _row(NAMES[row["measure"]], row, row["unit"], flags)
    a, b = pair.hot
    known = bool(np.isfinite(pair.above).all())
    volume = float((b & ~a).sum()) * grid.voxel_volume if known else float("nan")
    largest = float(missed["largest_ml"]) if known else float("nan")
    numbers = (volume, largest, float(lag["distance_mm"]), pair.size)
    for (metric, unit), number in zip(MORE, numbers, strict=True):
        yield _row(metric, {"value": number}, unit, flags)


def _pair(
    stored: tuple[Stored, Stored],
    grid: Grid,
    inside: np.ndarray,
    asked: Asked,
    unit: tuple[str, str],
) -> pairs.Pair | None:
    """Both maps on a grid, where both have a value in the region; None where there is none."""
    try:
        matched = match(stored[0], stored[1], grid)
    except InputError:
        return None  # the other image does not reach the region
    known = inside & np.isfinite(matched.values[0]) & np.isfinite(matched.values[1])
    if not known.any():
        return None
    one, other = (values[known] for values in matched.values)
    costes = colocalisation.costes_thresholds(one, other)
    texts = (asked.above, asked.other_above)
    rules = [pairs.rule_of(text, of) for text, of in zip(texts, unit, strict=True)]
    return pairs.Pair(
        one=one,
        other=other,
        region=known,
        spacing=grid.spacing,
        fwhm=matched.fwhm,
        above=(
            pairs.threshold(one, rules[0], costes[0]),
            pairs.threshold(other, rules[1], costes[1]),
        ),
    )


def _row(metric: str, row: dict[str, Any], unit: str, flags: tuple[str, ...]) -> Row:
    """A row with its interval, where there is one; a value that is none is flagged."""
    value = float(row["value"])
    limits = (float(row.get("low", np.nan)), float(row.get("high", np.nan)))
    known = bool(np.isfinite(value))
    interval = limits if known and np.isfinite(limits).all() else None
    also = flags if known else (*flags, "feature_undefined")
    return metric, Estimate(value=value if known else float("nan")), interval, unit, also


def _gives() -> tuple[tuple[str, str], ...]:
    """Every metric and its unit."""
    units = {"mutual_information": "bit"}
    return (*((name, units.get(key, "1")) for key, name in NAMES.items()), *MORE)


METRICS = (
    Metric(
        "together",
        together,
        level="session",
        options=(
            Option("other", "text", help="name of the visit's other image, as its [[scan]] has it"),
            Option("above", "text", default="median", help="from where the measured image is hot"),
            Option("other_above", "text", default="median", help="from where the other is hot"),
            KIND,
        ),
        gives=_gives(),
        question="Q3",
        reference="Manders et al., J Microsc 1993;169:375; effective sample size: Dutilleul, "
        "Biometrics 1993;49:305",
    ),
)
