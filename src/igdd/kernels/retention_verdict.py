"""Carrier = drug, released, or label artefact: what retention indices of a region decide.

Rules, in this order; each step that was taken stands in the trace:

1. A region where free label of either kind is known to gather (a sink) decides nothing by itself:
   an index above 1 there, where the drug's label gathers, is an artefact; else undecided.
2. Equivalence: every index lies inside the margin, and so do the 90 % limits of the last one and of
   the areas' (two one-sided tests at 5 %): carrier = drug.
3. An index above 1 at any time (Bonferroni over times) cannot come from a drug that leaves: label
   artefact.
4. An index below 1 at the last time or of the areas (97.5 % limits): released.
5. Else undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels.retention_index import Index

INTACT, RELEASED, ARTEFACT, UNDECIDED = "carrier = drug", "released", "label artefact", "undecided"
MARGIN = (0.80, 1.25)
SIDE = 0.025  # one-sided error of "above" and of "below"

Sinks = Literal["", "drug", "carrier", "both"]


class Verdict(NamedTuple):
    """A decision, and the steps that led to it."""

    decision: str
    trace: tuple[str, ...]


def check_margin(margin: tuple[float, float]) -> None:
    """Refuse a margin that does not hold 1 strictly inside."""
    low, high = margin
    if not 0 < low < 1 < high < np.inf:
        raise InputError(
            f"margin {low:g} to {high:g}; expected a range with 1 inside, such as 0.8 to 1.25"
        )


def verdict(
    index: Index, area: Index | None, margin: tuple[float, float] = MARGIN, sink: Sinks = ""
) -> Verdict:
    """The decision of one region from its indices over time and, where there is one, of areas.

    `sink`: whose free label is known to gather in this region. An index of exactly 1 with no
    uncertainty (the reference time itself) is not counted.
    """
    check_margin(margin)
    used = np.isfinite(index.value) & (np.isnan(index.sd) | (index.sd > 0) | (index.value != 1))
    if not used.any():
        return Verdict(UNDECIDED, ("no index beside that of the reference time: undecided",))
    summaries = [_at(index, int(np.flatnonzero(used)[-1]))]
    names = ["the last index"]
    if area is not None and np.isfinite(area.value[0]):
        summaries.append(_at(area, 0))
        names.append("the index of areas")
    trace = [
        f"{name} is {one[0]:.3g} (95 % {_limits(one[1], one[2])})"
        for name, one in zip(names, summaries, strict=True)
    ]
    highest = _highest(index, used)
    if sink in ("drug", "both") and highest > 1:
        trace.append(f"index above 1 (lower limit {highest:.3g}) where free drug label gathers")
        return Verdict(ARTEFACT, tuple(trace))
    if sink:
        trace.append(f"free label of the {sink} gathers here: the region decides nothing by itself")
        return Verdict(UNDECIDED, tuple(trace))
    inside = bool(((index.value[used] >= margin[0]) & (index.value[used] <= margin[1])).all())
    if inside and all(margin[0] <= one[3] and one[4] <= margin[1] for one in summaries):
        trace.append(f"all within {margin[0]:g} to {margin[1]:g}, 90 % limits too: {INTACT}")
        return Verdict(INTACT, tuple(trace))
    if highest > 1:
        trace.append(
            f"index above 1 (lower limit {highest:.3g}): a drug that leaves cannot do that"
        )
        return Verdict(ARTEFACT, tuple(trace))
    for name, one in zip(names, summaries, strict=True):
        if one[2] < 1:
            trace.append(f"{name} is below 1: {RELEASED}")
            return Verdict(RELEASED, tuple(trace))
    trace.append("neither inside the margin nor apart from 1: undecided")
    return Verdict(UNDECIDED, tuple(trace))


def overall(verdicts: Sequence[tuple[str, str]]) -> Verdict:
    """The decision of a subject from (region, decision) of all its regions.

    An artefact anywhere outweighs release: what left as label may not have left as drug.
    """
    named = {
        decision: [region for region, one in verdicts if one == decision]
        for decision in (ARTEFACT, RELEASED, INTACT, UNDECIDED)
    }
    trace = tuple(
        f"{decision}: {', '.join(regions)}" for decision, regions in named.items() if regions
    )
    for decision in (ARTEFACT, RELEASED, INTACT):
        if named[decision]:
            return Verdict(decision, trace)
    return Verdict(UNDECIDED, trace or ("no region: undecided",))


def _at(index: Index, place: int) -> tuple[float, float, float, float, float]:
    return (
        float(index.value[place]), float(index.low[place]), float(index.high[place]),
        float(index.low_90[place]), float(index.high_90[place]),
    )  # fmt: skip


def _limits(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}" if np.isfinite(low) and np.isfinite(high) else "unbounded"


def _highest(index: Index, used: np.ndarray) -> float:
    """Highest lower limit over the times used, one-sided and shared out over them.

    Fieller's limit, where that is the one to take, is not re-derived: the 95 % one stands in.
    """
    z = -special.ndtri(SIDE / int(used.sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = index.value * np.exp(-z * index.sd / index.value)
    lower = np.where(index.by_fieller, index.low, logs)[used]
    return float(np.max(np.where(np.isfinite(lower), lower, -np.inf)))
