"""Ledger: where all that was given is, and what nobody can account for.

Every row is a percentage of the net activity given, corrected for decay to administration: each
region, the remainder of the field of view, each place that was collected (up to the frame's
middle), their total, and what is unaccounted for, 100 minus the total.

* One set of values: those corrected for partial volume, or as imaged where nothing is corrected;
  never mixed. Both add up to all the activity in the image.
* What two regions both claim is counted once, in the smaller one.
* Uncertainty: what borders take from one region they give to the next and noise has its covariance,
  so both add up over regions with their signs; the calibration scales all of the image together;
  the dose scales everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.facts import Collected, Subject
from igdd.kernels.partition import cut
from igdd.metrics.uptake import administered, cv_of, dose_flags
from igdd.results import Value
from igdd.types import Curves, Session
from igdd.uncertainty import NORMAL_95, Estimate

METRIC = "ledger_percent_id"


def ledger(
    session: Session, blood: str | None = None, blood_elsewhere: float | None = None
) -> Iterator[Value]:
    """Share (%) of the activity given in each region, remainder and collected place; the balance.

    `unaccounted` is flagged where it is more than its uncertainty (95 %) can explain; where no part
    of the uncertainty is known, nothing is said. The options are those of counted samples: in an
    image, a region of blood holds only blood that is in no other region.
    """
    curves = session.curves if session.recovered is None else session.recovered
    given = administered(session, curves)
    if given is None:
        raise StudyError(
            f"subject {session.subject.id}: the ledger needs one administration of known net "
            "activity; give subject.given.activity, or leave the metric out"
        )
    once = _counted_once(session, curves)
    for time in range(curves.frames.start.size):
        held = _held(session, curves, once, time)
        yield from _balance(session, curves, given, once, held=held, time=time)


def _counted_once(session: Session, curves: Curves) -> np.ndarray:
    """Matrix (region, region) from amounts of regions as drawn to amounts counted once."""
    count = len(curves.names)
    drawn = np.eye(count)
    if session.regions is not None and session.regions.names == curves.names[:-1]:
        _, shares = cut(session.regions.weights)
        drawn[:-1, :-1] = shares
    return np.asarray(np.linalg.inv(drawn))


def _held(session: Session, curves: Curves, once: np.ndarray, time: int) -> np.ndarray:
    """Amount (region,) counted once.

    As imaged, what regions share in part is summed over its own voxels, so that all adds up to the
    image; recovered means are uniform in each part, and `once` is exact.
    """
    drawn = np.where(curves.volume > 0, curves.values[:, time] * curves.volume, 0.0)
    # A region that is not a number must not reach those it shares nothing with (0 * NaN).
    held = np.asarray(np.where(once == 0, 0.0, once * drawn).sum(axis=1))
    image, regions = session.image, session.regions
    if curves is not session.curves or image is None or regions is None or not _overlap(once).any():
        return held
    cells, _ = cut(regions.weights)
    frame = np.nan_to_num(image.values[..., time].ravel().astype(float), nan=0.0)
    touched = _overlap(once)[:-1]
    held[:-1][touched] = (cells @ frame)[touched] * image.grid.voxel_volume
    return held


def _overlap(once: np.ndarray) -> np.ndarray:
    """Regions that hold something which is counted in another, beyond rounding."""
    return np.asarray(np.abs(once - np.eye(len(once))).max(axis=1) > 1e-6)


def _balance(
    session: Session,
    curves: Curves,
    given: Estimate,
    once: np.ndarray,
    *,
    held: np.ndarray,
    time: int,
) -> Iterator[Value]:
    percent = 100 / given.value
    moment = float(curves.frames.middle[time])

    def value(place: str, estimate: Estimate, method: str, own: tuple[str, ...] = ()) -> Value:
        return Value(
            region=place,
            metric=METRIC,
            estimate=estimate,
            unit="%",
            time=moment,
            analyte=curves.analyte,
            flags=(*own, *dose_flags(given)),
            method=method,
        )

    amounts = percent * held
    covariance = percent**2 * once @ curves.amount_covariance(time) @ once.T
    cv_image = float(np.hypot(curves.scale_cv, cv_of(given)))
    for n, name in enumerate(curves.names):
        shown = float(amounts[n]) if curves.volume[n] > 0 else float("nan")
        estimate = _estimate(shown, float(covariance[n, n]), abs(shown) * cv_image)
        overlaps = bool(_overlap(once)[n])
        own = (*curves.flags[n], *(("overlap_counted_once",) if overlaps else ()))
        yield value(name, estimate, curves.source.rstrip(".") or "as imaged", own)
    collected = _collected(session.collected, percent, moment)
    for place, part in collected.items():
        scaled = abs(part.value) * cv_of(given)
        yield value(place, _estimate(part.value, part.sd**2, scaled), "collected")

    imaged = float(amounts.sum())
    total = imaged + sum(part.value for part in collected.values())
    random = float(covariance.sum()) + sum(part.sd**2 for part in collected.values())
    scaled = float(np.hypot(imaged * curves.scale_cv, total * cv_of(given)))
    unknown = tuple({flag for flags in curves.flags for flag in flags if flag == "noise_unknown"})
    unknown += ("calibration_sd_unknown",) if curves.scale_cv == 0 else ()
    yield value("total", _estimate(total, random, scaled), "sum of all places", unknown)
    missing = _estimate(100 - total, random, scaled)
    opens = missing.sd > 0 and abs(missing.value) > NORMAL_95 * missing.sd
    own = (*unknown, "unaccounted") if opens else unknown
    yield value("unaccounted", missing, "100 % minus the total", own)


def _estimate(value: float, variance: float, shared: float) -> Estimate:
    """An estimate from its random variance; rounding may leave a sum of amounts below zero."""
    if not np.isfinite(value):
        return Estimate(value=float("nan"))
    sd = float(np.sqrt(max(variance, 0.0) + shared**2))
    return Estimate(value=value, sd=sd, sd_shared=shared)


def _collected(items: Sequence[Collected], percent: float, moment: float) -> dict[str, Estimate]:
    """Share (%) of each collected place, portions complete by `moment` (s) added up.

    A place of which nothing is complete yet is not known to be empty: absent.
    """
    found: dict[str, list[Estimate]] = {}
    for item in items:
        if item.time <= moment:
            found.setdefault(item.place, []).append(item.activity)
    return {
        place: Estimate(
            value=percent * sum(part.value for part in parts),
            sd=percent * float(np.sqrt(sum(part.sd**2 for part in parts))),
        )
        for place, parts in sorted(found.items())
    }


def ledger_of_samples(
    values: Sequence[Value],
    subject: Subject,
    collected: Sequence[Collected],
    blood: str | None = None,
    blood_elsewhere: float | None = None,
) -> Iterator[Value]:
    """The same balance of counted samples, whose %ID is known: organs, carcass, urine, faeces.

    An organ includes its blood. The row `blood`, where that is all of the body's blood, then counts
    only the share [0..1] of it that lies in no other region, `blood_elsewhere`.
    """
    if blood_elsewhere is not None and not 0 <= blood_elsewhere <= 1:
        raise StudyError(
            f"measure.blood_elsewhere is {blood_elsewhere:g}; expected a share from 0 to 1"
        )
    if blood_elsewhere is not None and blood is None:
        raise StudyError("measure.blood_elsewhere without measure.blood; expected both")
    given = subject.given[0].activity if len(subject.given) == 1 else None
    amounts = [value for value in values if value.metric == "percent_id"]
    for moment, analyte in sorted({(value.time, value.analyte) for value in amounts}):
        parts = []
        for value in amounts:
            if (value.time, value.analyte) != (moment, analyte):
                continue
            share, own = 1.0, value.flags
            if value.region == blood:
                share = 1.0 if blood_elsewhere is None else blood_elsewhere
                own += ("blood_counted_twice",) if blood_elsewhere is None else ()
            estimate = value.estimate.times(share)
            parts.append(replace(value, metric=METRIC, estimate=estimate, flags=own))
        if given is not None:
            for place, part in _collected(collected, 100 / given.value, moment).items():
                shared = abs(part.value) * cv_of(given)
                parts.append(
                    replace(
                        parts[0],
                        region=place,
                        estimate=_estimate(part.value, part.sd**2, shared),
                        method="collected",
                        flags=dose_flags(given),
                    )
                )
        yield from parts
        yield from _closed(parts)


def _closed(parts: Sequence[Value]) -> Iterator[Value]:
    """The total of some places, whose shared parts add linearly, and what is unaccounted for."""
    known = [part for part in parts if np.isfinite(part.estimate.value)]
    sds = [part.estimate for part in known if np.isfinite(part.estimate.sd)]
    random = sum(one.sd_random**2 for one in sds)
    shared = abs(sum(one.sd_shared for one in sds))
    total = sum(part.estimate.value for part in known)
    own = ("noise_unknown",) if len(sds) < len(parts) else ()
    whole = _estimate(total, random, shared)
    yield replace(parts[0], region="total", estimate=whole, method="sum of all places", flags=own)
    missing = _estimate(100 - total, random, shared)
    opens = missing.sd > 0 and abs(missing.value) > NORMAL_95 * missing.sd
    yield replace(
        parts[0],
        region="unaccounted",
        estimate=missing,
        method="100 % minus the total",
        flags=(*own, "unaccounted") if opens else own,
    )


METRICS = (
    Metric(
        "ledger",
        ledger,
        level="session",
        counted=ledger_of_samples,
        options=(
            Option("blood", "region", default=None, help="of samples: the row of all blood"),
            Option(
                "blood_elsewhere",
                "1",
                default=None,
                help="of samples: share of that blood in no other region",
            ),
        ),
        gives=((METRIC, "%"),),
        question="Q1",
        reference="JCGM 100:2008, 5.2 (correlated input quantities)",
    ),
)
