"""Extravascular: what a region holds outside its own blood, which matters most at early times.

With C the region's mean, Cb that of whole blood, and v the share of the region's volume that is
blood:

    per mL of tissue               C - v Cb
    per mL of extravascular space  (C - v Cb) / (1 - v)

The two differ by 1 / (1 - v) and each has its own name. The blood's covariance with the region,
and what the share's own standard deviation does, are part of the uncertainty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.metrics.uptake import TWIN, administered, cv_of, dose_flags, twins
from igdd.results import Value
from igdd.types import Curves, Session
from igdd.uncertainty import Estimate

GIVES = {
    "concentration_without_blood": "Bq/mL",
    "concentration_extravascular": "Bq/mL",
    "percent_id_without_blood": "%",
    "percent_id_per_ml_extravascular": "%/mL",
    "blood_share": "%",
}


def extravascular(
    session: Session,
    blood: str,
    fraction: float,
    fraction_sd: float = 0.0,
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value]:
    """Concentration and %ID of each region without its blood, and the blood's share of its signal.

    blood     the region of the blood pool (whole blood)
    fraction  blood volume of the region's volume [0..1), and its standard deviation
    """
    if not 0 <= fraction < 1:
        raise StudyError(f"measure.fraction is {fraction:g}; expected 0 or more and below 1")
    if not fraction_sd >= 0:
        raise StudyError(f"measure.fraction_sd is {fraction_sd:g}; expected 0 or more")
    for curves, suffix in twins(session):
        if blood not in curves.names:
            known = ", ".join(name for name in curves.names if name != "remainder")
            raise StudyError(
                f"measure.blood: region {blood!r} is not drawn in subject {session.subject.id}, "
                f"session {session.name}; expected one of: {known}"
            )
        given = administered(session, curves)
        source = curves.names.index(blood)
        for region in _chosen(curves, regions):
            if region == source:
                continue
            for time in range(curves.frames.start.size):
                how = (fraction, fraction_sd, suffix)
                yield from _of_region(curves, given, (region, source), time, how)


def _chosen(curves: Curves, regions: Mapping[str, Any] | None) -> list[int]:
    """Indices of the regions asked for by kind and pattern; never the remainder."""
    wanted = regions or {}
    kind, names = wanted.get("kind"), wanted.get("name")
    return [
        n
        for n, name in enumerate(curves.names)
        if curves.kinds[n] != "remainder"
        and kind in (None, curves.kinds[n])
        and (names is None or any(fnmatchcase(name, pattern) for pattern in names))
    ]


def _of_region(
    curves: Curves,
    given: Estimate | None,
    pair: tuple[int, int],
    time: int,
    how: tuple[float, float, str],
) -> Iterator[Value]:
    region, _ = pair
    fraction, fraction_sd, suffix = how
    tissue, in_blood = curves.values[list(pair), time]
    direction = np.array([1.0, -fraction])
    covariance = curves.mean_covariance(time)[np.ix_(pair, pair)]
    net = float(tissue - fraction * in_blood)
    random = float(direction @ covariance @ direction)
    by_fraction = fraction_sd * float(abs(in_blood))
    spread = float(np.sqrt(max(random, 0.0) + by_fraction**2))
    # (C - v Cb) / (1 - v) changes with v by (C - Cb) / (1 - v)^2
    space = 1 - fraction
    outside = fraction_sd * float(abs(tissue - in_blood)) / space**2
    spread_outside = float(np.hypot(np.sqrt(max(random, 0.0)) / space, outside))
    flags = tuple(sorted({*curves.flags[region], *curves.flags[pair[1]]}))
    flags += ("blood_exceeds_region",) if net < 0 else ()

    def value(metric: str, number: float, sd: float, cv: float, own: tuple[str, ...] = ()) -> Value:
        shared = abs(number) * cv
        return Value(
            region=curves.names[region],
            metric=metric + suffix,
            estimate=Estimate(value=number, sd=float(np.hypot(sd, shared)), sd_shared=shared),
            unit=curves.unit if metric.startswith("concentration") else GIVES[metric],
            time=float(curves.frames.middle[time]),
            analyte=curves.analyte,
            flags=(*flags, *own),
            method=f"less {fraction:g} of the volume as {curves.names[pair[1]]}",
        )

    yield value("concentration_without_blood", net, spread, curves.scale_cv)
    yield value("concentration_extravascular", net / space, spread_outside, curves.scale_cv)
    if tissue > 0:
        share, slope = in_blood / tissue, np.array([-in_blood / tissue, 1.0]) / tissue
        own_sd = np.hypot(
            fraction * np.sqrt(max(slope @ covariance @ slope, 0)), fraction_sd * share
        )
        yield value("blood_share", 100 * fraction * share, 100 * float(own_sd), 0.0)
    if given is None:
        return
    cv = float(np.hypot(curves.scale_cv, cv_of(given)))
    dose, percent, volume = dose_flags(given), 100 / given.value, float(curves.volume[region])
    # A border drawn too wide lowers the mean and raises the volume: amounts vary on their own.
    held = curves.amount_covariance(time)[region, region]
    held += volume**2 * (random - covariance[0, 0])
    amount = float(np.hypot(np.sqrt(max(held, 0.0)), volume * by_fraction))
    yield value("percent_id_without_blood", percent * volume * net, percent * amount, cv, dose)
    per_ml = percent / space * net
    yield value("percent_id_per_ml_extravascular", per_ml, percent * spread_outside, cv, dose)


METRICS = (
    Metric(
        "extravascular",
        extravascular,
        level="session",
        options=(
            Option("blood", "region", help="the region of the blood pool"),
            Option("fraction", "1", help="blood volume of the region's volume"),
            Option("fraction_sd", "1", default=0.0, help="its standard deviation"),
            Option("regions", "regions", default=None, help="by kind or name; otherwise all"),
        ),
        gives=(
            *GIVES.items(),
            *((name + TWIN, unit) for name, unit in GIVES.items()),
        ),
        question="Q1",
        reference="Kety, Pharmacol. Rev. 3 (1951) 1: tissue less its blood",
    ),
)
