"""What the linear reference tissue methods share: the reference over the frames, its integral."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver
from igdd.models import _graphical

# Relative distance from straight lines between the frames' middles that is rounding.
STRAIGHT = 1e-9


def level_and_area(protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """The reference over the frames and its running integral over the frames, both (t,).

    A reference that was made of these very frames is summed as the tissue is
    (`kernels.graphical.running_weights`), so that the reference against itself gives a ratio of
    exactly 1. Any other reference is integrated as the curve it is.
    """
    from igdd.kernels import convolve, graphical

    frames = protocol.frames
    curve = protocol.input("reference")
    middle = convolve.at(curve.time, curve.values, frames.middle)
    if protocol.integration == "exact" and _is_of_frames(protocol, middle):
        weights = graphical.running_weights(frames.start, frames.end, protocol.integration)
        level, area = middle, graphical.running_integral(middle[None], weights)[0]
    else:
        level = protocol.mean("reference")[0]
        area = protocol.convolve("reference", np.zeros(1))[0]
    _check(protocol, middle, area)
    return level, area


def line(kind: int, level: np.ndarray, area: np.ndarray, protocol: Protocol) -> Solver:
    """Solver for the two coefficients of the line of the kernel's `kind` against a reference.

    level, area  (t,) the reference over the frames, and what the plot has for its running integral
    """
    from igdd.kernels import graphical

    frames = protocol.frames
    plot = graphical.Plot(
        kind=kind,
        plasma=level,
        area=area,
        running=graphical.running_weights(frames.start, frames.end, protocol.integration),
        used=np.flatnonzero(_graphical.used_frames(protocol)),
        scale=1.0,
        offset=np.zeros(frames.start.size),
    )
    whole = _graphical.solver(plot, _graphical.unchanged, protocol)

    def solve(curves: np.ndarray, sd: np.ndarray | None = None) -> Solution:
        found = whole(curves, sd)
        # The third parameter of a plasma analysis is the share of blood, which is none here.
        return replace(
            found, parameters=found.parameters[:, :2], covariance=found.covariance[:, :2, :2]
        )

    return solve


def _is_of_frames(protocol: Protocol, middle: np.ndarray) -> bool:
    """Whether these frames showed the reference, or it is straight between its values (t,) at their
    middles.
    """
    frames, curve = protocol.frames, protocol.input("reference")
    if curve.seen_in is not None:
        return bool(np.isin(frames.middle, curve.seen_in.middle).all())
    if not curve.time[0] <= frames.middle[0]:
        return False
    first = np.interp(frames.start[0], curve.time, curve.values, left=0.0)
    when = np.concatenate([[frames.start[0]], frames.middle])
    lines = np.interp(curve.time, when, np.concatenate([[first], middle]))
    inside = (curve.time >= frames.start[0]) & (curve.time <= frames.middle[-1])
    size = float(np.abs(curve.values).max())
    return bool((np.abs(lines - curve.values)[inside] <= STRAIGHT * size).all())


def _check(protocol: Protocol, middle: np.ndarray, area: np.ndarray) -> None:
    """Refuse frames with a gap, frames that begin when much has passed, a reference of nothing."""
    from igdd.kernels import multilinear

    start, end = protocol.frames.start, protocol.frames.end
    multilinear.check_in_a_row(start, end, float(protocol.options.get("gap") or 0.0))
    if not area[-1] > 0:
        raise InputError(
            f"the reference's integral over the frames is {area[-1]:g}; expected above 0"
        )
    # Rising from nothing on a line, as the tissue is taken to do.
    before = max(float(start[0]), 0.0) * float(middle[0]) / 2
    if before > _graphical.UNSEEN * float(area[-1]):
        raise InputError(
            f"the first frame starts at {start[0]:g} s, when about {before / area[-1]:.0%} of the "
            f"reference's integral has passed; expected at most {_graphical.UNSEEN:.0%}, since "
            "tissue and reference are integrated from time zero; give the frames since injection"
        )
