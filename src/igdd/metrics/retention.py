"""Retention: does the drug's label stay with the carrier's, region by region and over time?

Where a study has both analytes in the same regions and sessions, `drug` and `carrier`, each on a
label of its own, the index

    RI(t) = (drug(t) / carrier(t)) / q,     q as given, or at the first session that has both

is 1 while they travel together. Index over sessions and index of the areas decide for each region:
carrier = drug, released, label artefact, or undecided (`kernels.retention_verdict`); the decision
and its steps stand in `method`. Areas are those between the first and the last session, linear.

A label that has left what it was on says nothing of the drug. Where free label is known to gather
is a cited table (`free_label_sinks.csv`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import InputError, StudyError
from igdd.kernels.retention_index import Index, Signal, area_index, retention_index
from igdd.kernels.retention_verdict import Sinks, Verdict, check_margin, verdict
from igdd.metrics._free_label import sink_of
from igdd.results import Course, Track, Value
from igdd.uncertainty import Estimate

HOUR = 3600.0
CLOSE = 1e-9  # relative: times of the two labels in one session


def retention(
    course: Course,
    of: str,
    *,
    given: float | None = None,
    given_sd: float = 0.0,
    shared: float = 0.0,
    margin: float = 0.8,
    drug_nuclide: str = "",
    carrier_nuclide: str = "",
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value]:
    """Retention index of each region over the sessions, of the areas, and what they decide.

    given    drug over carrier in what was given, in the units of `of`; else the first session
    shared   correlation of what the rows of each label have in common (1: one calibration)
    margin   lower end of the range that counts as 1; the upper end is its inverse
    """
    check_margin((margin, 1 / margin if margin > 0 else np.inf))
    ratio = None if given is None else (given, given_sd)
    for drug, carrier in _pairs(course, of, regions):
        if drug is None or carrier is None:
            yield _without(drug or carrier, "one_label_only", "carrier and drug not both measured")
            continue
        whose = sinks(drug.region, drug_nuclide, carrier_nuclide)
        yield from _of_region(drug, carrier, ratio, shared, (margin, whose))


def sinks(region: str, drug_nuclide: str, carrier_nuclide: str) -> Sinks:
    """Whose free label is known to gather in a region.

    >>> sinks("bone", "Zr-89", "In-111"), sinks("tumour", "Zr-89", "I-124")
    ('drug', '')
    """
    drug = bool(drug_nuclide) and sink_of(drug_nuclide, region) is not None
    carrier = bool(carrier_nuclide) and sink_of(carrier_nuclide, region) is not None
    if drug and carrier:
        return "both"
    return "drug" if drug else "carrier" if carrier else ""


def _pairs(
    course: Course, of: str, regions: Mapping[str, Any] | None
) -> Iterator[tuple[Track | None, Track | None]]:
    """Tracks of drug and carrier of each region; None where it has only one of them.

    A region that was measured with a label of neither stands with that one in the drug's place.
    """
    tracks = {(one.region, one.analyte): one for one in course.tracks(of, regions)}
    for region in dict.fromkeys(region for region, _ in tracks):
        drug, carrier = tracks.get((region, "drug")), tracks.get((region, "carrier"))
        if drug is None and carrier is None:
            drug = next(one for (name, _), one in tracks.items() if name == region)
        yield drug, carrier


def _without(track: Track | None, flag: str, why: str) -> Value:
    """The row of a region that has no index."""
    if track is None:
        raise InputError("a region without any track; expected one")
    return Value(
        region=track.region, metric="retention_index", estimate=Estimate(value=np.nan), unit="1",
        time=float(track.time[-1]), analyte="drug", flags=(flag,), method=why,
    )  # fmt: skip


def _of_region(
    drug: Track,
    carrier: Track,
    given: tuple[float, float] | None,
    shared: float,
    how: tuple[float, Sinks],
) -> Iterator[Value]:
    margin, whose = how
    times, mine, other = _together(drug, carrier)
    flags = {flag for track, rows in ((drug, mine), (carrier, other))
             for n in rows for flag in track.flags[n]}  # fmt: skip
    if whose:
        flags.add("free_label_sink")
    if given is None and times.size < 2:
        # A ratio of labels with nothing to be compared with.
        yield _without(drug, "one_label_only", "fewer than two sessions with both labels")
        return
    if not times.size:
        yield _without(drug, "one_label_only", "no session with both labels")
        return
    upper, lower = _signal(drug, mine), _signal(carrier, other)
    index = retention_index(upper, lower, given, shared)
    area = area_index(times, upper, lower, given, shared) if times.size > 1 else None
    found = verdict(index, area, (margin, 1 / margin), whose)
    method = _method(found, given)
    for k, time in enumerate(times):
        own = flags | ({"interval_unbounded"} if not np.isfinite(index.high[k]) else set())
        yield _value(drug, "retention_index", _numbers(index, k), float(time),
                     (tuple(sorted(own)), method))  # fmt: skip
    if area is not None:
        own = flags | ({"interval_unbounded"} if not np.isfinite(area.high[0]) else set())
        yield _value(drug, "retention_index_auc", _numbers(area, 0), float(times[-1]),
                     (tuple(sorted(own)), method))  # fmt: skip


def _together(drug: Track, carrier: Track) -> tuple[np.ndarray, list[int], list[int]]:
    """Times at which both labels are known, and their places in the two tracks.

    Two labels of one session may be imaged one after the other: sessions pair, not clocks, and the
    later time stands for both.
    """
    places = {name: n for n, name in enumerate(carrier.sessions)}
    mine = [
        n
        for n, name in enumerate(drug.sessions)
        if name in places
        and np.isfinite(drug.value[n])
        and np.isfinite(carrier.value[places[name]])
    ]
    other = [places[drug.sessions[n]] for n in mine]
    times = np.maximum(drug.time[mine], carrier.time[other])
    if times.size > 1 and not (np.diff(times) > CLOSE * times[-1]).all():
        raise StudyError(
            f"{drug.region}: sessions {', '.join(drug.sessions[n] for n in mine)} do not follow "
            "each other in time for both labels; expected one after the other"
        )
    return times, mine, other


def _signal(track: Track, rows: list[int]) -> Signal:
    return Signal(track.value[rows], track.sd[rows], track.sd_shared[rows])


def _numbers(index: Index, k: int) -> tuple[float, float, float, float]:
    return (
        float(index.value[k]), float(index.sd[k]), float(index.low[k]), float(index.high[k])
    )  # fmt: skip


def _method(found: Verdict, given: tuple[float, float] | None) -> str:
    against = "the first session" if given is None else f"{given[0]:g} as given"
    return f"{found.decision}; drug over carrier against {against}; " + "; ".join(found.trace)


def _value(
    track: Track,
    metric: str,
    numbers: tuple[float, ...],
    time: float,
    said: tuple[tuple[str, ...], str],
) -> Value:
    value, sd, low, high = numbers
    return Value(
        region=track.region, metric=metric, estimate=Estimate(value=value, sd=sd), unit="1",
        time=time, analyte="drug", flags=said[0], method=said[1], interval=(low, high),
    )  # fmt: skip


METRICS = (
    Metric(
        "retention",
        retention,
        level="subject",
        options=(
            Option("of", "metric", default="percent_id", help="the metric whose course is taken"),
            Option("given", "1", default=None, help="drug over carrier in what was given"),
            Option("given_sd", "1", default=0.0, help="its standard deviation"),
            Option("shared", "1", default=0.0, help="correlation of the labels' calibrations"),
            Option("margin", "1", default=0.8, help="lower end of what counts as 1"),
            Option("drug_nuclide", "text", default="", help="label of the drug, for its sinks"),
            Option("carrier_nuclide", "text", default="", help="label of the carrier, likewise"),
            Option("regions", "regions", default=None, help="by kind or name; otherwise all"),
        ),
        gives=(("retention_index", "1"), ("retention_index_auc", "1")),
        question="Q4",
        reference="J R Stat Soc B 1954;16:175 (Fieller); EMA CPMP/EWP/QWP/1401/98 (0.80 to 1.25)",
    ),
)
