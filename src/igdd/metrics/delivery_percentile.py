"""Delivery percentile: where a lesion of a mouse stands among 378 published courses in tumours.

The lesion's share of the dose, averaged over time from administration to its last session, is set
against the same figure of the studies that were followed as long (`igdd.metrics.delivery_prior`):
its percentile among all of them, and among those of its kind, adjusted for the tumour's weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import InputError, StudyError
from igdd.kernels.trapezoid import trapezoid_weights
from igdd.metrics.delivery_place import Figure, Placed, place
from igdd.metrics.delivery_prior import (
    GRAFTS,
    SITES,
    TARGETINGS,
    Formulation,
    carrier_type,
    check_species,
)
from igdd.results import Course, Track, Value
from igdd.uncertainty import Estimate

HOUR = 3600.0
BOUNDS = {
    "size": (0.1, 1e5, "nm"), "tumour_weight": (1e-6, 1e3, "g"), "density": (0.1, 25.0, "g/mL"),
}  # fmt: skip


def course_figure(
    metric: str, time: np.ndarray, value: np.ndarray, sd: np.ndarray, sd_shared: np.ndarray
) -> Figure:
    """A figure of one time course in its own window: times in h ascending, shares of the dose in %.

    time_averaged_percent_id and auc_percent_id from (0, 0) by trapezoids, max_percent_id. The own
    parts of the standard deviations add in quadrature, the shared parts as they are.
    """
    if not time.size or not time[0] > 0 or not (np.diff(time) > 0).all():
        raise InputError(
            "a time course needs times after administration, above zero and ascending, each once; "
            f"found {', '.join(f'{one:g}' for one in time[:6]) or 'none'} h"
        )
    end = float(time[-1])
    if metric == "max_percent_id":
        weights = np.zeros(time.size)
        weights[int(np.argmax(value))] = 1.0
    elif metric in ("time_averaged_percent_id", "auc_percent_id"):
        weights = trapezoid_weights(np.concatenate([[0.0], time]))[1:]
        weights = weights / end if metric == "time_averaged_percent_id" else weights
    else:
        raise InputError(
            f"metric {metric[:60]!r} is not one of a time course of %ID; expected "
            "time_averaged_percent_id, auc_percent_id or max_percent_id"
        )
    known = np.nan_to_num(sd, nan=0.0)
    shared = np.minimum(np.nan_to_num(sd_shared, nan=0.0), known)
    own = np.sqrt(known**2 - shared**2)
    spread = np.hypot(np.sqrt(np.sum((weights * own) ** 2)), weights @ shared)
    whole = bool(np.isfinite(sd[weights > 0]).all())
    return Figure(
        metric=metric,
        value=float(weights @ value),
        sd=float(spread) if whole else 0.0,
        until=end,
    )


def delivery_percentile(
    course: Course,
    *,
    carrier: str | None = None,
    size: float | None = None,
    targeting: str | None = None,
    site: str | None = None,
    graft: str | None = None,
    cancer: str | None = None,
    tumour_weight: float | None = None,
    density: float | None = None,
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value]:
    """Time-averaged %ID of a mouse's lesions, and its percentile among published courses in mice.

    The carrier is the agent's where the option is absent. The tumour's weight is the one stated,
    or the lesion's mean volume times the density stated; without either there is no adjustment.
    """
    subject = course.subject
    where = f"subject {subject.id}"
    if not subject.species:
        raise StudyError(
            f"{where}: its species is not stated, and the prior of delivery holds mice only; "
            "expected subject.species = 'mouse'"
        )
    check_species(subject.species, where)
    named = carrier or course.agent.carrier
    if not named:
        raise StudyError(f"{where}: no carrier is stated; give agent.carrier or measure.carrier")
    _check(subject.id, {"size": size, "tumour_weight": tumour_weight, "density": density}, cancer)
    stated = Formulation(
        carrier=carrier_type(named), size=size, targeting=targeting, site=site, graft=graft,
        cancer=cancer,
    )  # fmt: skip
    coarse = () if stated.carrier == named.lower() else ("carrier_type_only",)
    for track in course.tracks("percent_id", regions):
        if course.kinds.get(track.region) != "lesion":
            continue
        # The prior's courses begin at (0, 0).
        known = np.isfinite(track.value) & (track.time > 0)
        if not known.any():
            continue
        weight = tumour_weight or _weight(course, track, density)
        try:
            figure = course_figure(
                "time_averaged_percent_id", track.time[known] / HOUR, track.value[known],
                track.sd[known], track.sd_shared[known],
            )  # fmt: skip
            placed = place(figure, replace(stated, tumour_weight=weight))
        except InputError as error:
            raise StudyError(f"{where}, percent_id of {track.region}: {error}") from error
        own = {*coarse, *(flag for point in track.flags for flag in point)}
        own |= set() if weight else {"tumour_weight_unknown"}
        yield from _rows(track, placed, tuple(sorted({*placed.flags, *own})))


def _check(subject: str, numbers: Mapping[str, float | None], cancer: str | None) -> None:
    """Refuse what cannot be meant of a particle or a tumour of a mouse."""
    for name, number in numbers.items():
        low, high, unit = BOUNDS[name]
        if number is not None and not low <= number <= high:
            raise StudyError(
                f"measure.{name} is {number:g} {unit}; expected {low:g} to {high:g} {unit}"
            )
    if cancer is not None and not cancer.strip():
        raise StudyError(f"subject {subject}: measure.cancer is empty; expected a name, or none")


def _weight(course: Course, track: Track, density: float | None) -> float | None:
    """Weight in g of a lesion from its mean volume and a stated density; None where unknown."""
    if density is None:
        return None
    volumes = [one for one in course.tracks("volume") if one.region == track.region]
    known = [one.value[np.isfinite(one.value)] for one in volumes]
    mean = float(np.concatenate(known).mean()) if known and known[0].size else 0.0
    return density * mean if mean > 0 else None


def _rows(track: Track, placed: Placed, flags: tuple[str, ...]) -> Iterator[Value]:
    """The figure and both percentiles of a lesion."""
    figure = placed.figure
    window = f"0 to {figure.until:g} h"

    def row(metric: str, estimate: Estimate, method: str, interval: Any = None) -> Value:
        return Value(
            region=track.region, metric=metric, estimate=estimate, unit="%",
            time=float(track.time[np.isfinite(track.value)][-1]), analyte=track.analyte,
            flags=flags, method=method, interval=interval,
        )  # fmt: skip

    sd = figure.sd if figure.sd > 0 else float("nan")
    yield row(
        "time_averaged_percent_id",
        Estimate(value=figure.value, sd=sd),
        f"trapezoids from zero, {window}",
    )
    terms = ", ".join(placed.terms) or "nothing"
    for metric, rank, method in (
        ("delivery_percentile", placed.adjusted,
         f"among {placed.count} studies over {window}, adjusted for {terms}"),
        ("delivery_percentile_all", placed.all_studies,
         f"among all {placed.all_count} studies over {window}"),
    ):  # fmt: skip
        yield row(metric, Estimate(value=rank.percentile), method, (rank.low, rank.high))


METRICS = (
    Metric(
        "delivery_percentile",
        delivery_percentile,
        level="subject",
        options=(
            Option("carrier", "text", default=None, help="such as liposome; else the agent's"),
            Option("size", "nm", default=None, help="hydrodynamic diameter, such as '100 nm'"),
            Option("targeting", "text", default=None, choices=TARGETINGS),
            Option("site", "text", default=None, choices=SITES),
            Option("graft", "text", default=None, choices=GRAFTS),
            Option("cancer", "text", default=None, help="such as breast"),
            Option("tumour_weight", "g", default=None, help="of every lesion, such as '0.3 g'"),
            Option("density", "g/mL", default=None, help="else from the volume, such as '1 g/mL'"),
            Option("regions", "regions", default=None, help="by name; otherwise every lesion"),
        ),
        gives=(
            ("delivery_percentile", "%"),
            ("delivery_percentile_all", "%"),
            ("time_averaged_percent_id", "%"),
        ),
        question="Q1",
        reference="Chou et al. 2023, J Control Release 361:53 (data); Wilhelm et al. 2016, "
        "Nat Rev Mater 1:16014 (figure)",
    ),
)
