"""Ratio: the mean concentration of every region over that of a reference region, in one scan.

Calibration and dose are the same above and below and drop out; noise and border errors that the
two share (neighbours, one point spread) are taken from their covariance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.metrics.uptake import twins
from igdd.results import Value
from igdd.types import Curves, Session
from igdd.uncertainty import Estimate


def ratio_to(session: Session, reference: str) -> Iterator[Value]:
    """Target-to-reference ratio of mean concentrations (1), per region and frame.

    Not a number where the reference holds nothing (0 or not a number).
    """
    for curves, suffix in twins(session):
        if reference not in curves.names:
            known = ", ".join(name for name in curves.names if name != "remainder")
            raise StudyError(
                f"measure.reference: region {reference!r} is not drawn in subject "
                f"{session.subject.id}, session {session.name}; expected one of: {known}"
            )
        below = curves.names.index(reference)
        for above, kind in enumerate(curves.kinds):
            if kind == "remainder" or above == below:
                continue
            for time in range(curves.frames.start.size):
                yield Value(
                    region=curves.names[above],
                    metric=f"ratio_to_{reference}{suffix}",
                    estimate=_quotient(curves, above, below, time),
                    unit="1",
                    time=float(curves.frames.middle[time]),
                    analyte=curves.analyte,
                    flags=tuple({*curves.flags[above], *curves.flags[below]}),
                    method="mean over mean, delta method with their covariance",
                )


def _quotient(curves: Curves, above: int, below: int, time: int) -> Estimate:
    upper, lower = curves.values[[above, below], time]
    if not np.isfinite(upper) or not abs(lower) > 0:
        return Estimate(value=float("nan"))
    value = float(upper / lower)
    direction = np.array([1.0, -value]) / lower
    pair = [above, below]
    variance = float(direction @ curves.mean_covariance(time)[np.ix_(pair, pair)] @ direction)
    return Estimate(value=value, sd=float(np.sqrt(max(variance, 0.0))))


METRICS = (
    Metric(
        "ratio",
        ratio_to,
        level="session",
        options=(Option("reference", "region", help="region that all others are divided by"),),
        gives=(("ratio_to_{reference}", "1"), ("ratio_to_{reference}_uncorrected", "1")),
        question="Q1",
        reference="JCGM 100:2008, 5.2 (correlated input quantities)",
    ),
)
