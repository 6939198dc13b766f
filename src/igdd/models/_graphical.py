"""What graphical analyses share: which frames make the line, and answers from solved lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Option, Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver, Status

if TYPE_CHECKING:
    from igdd.kernels.graphical import Plot

# From the coefficients (n, 2) of the line, and their covariance, to the model's two parameters.
Natural = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

LEAST_FRAMES = 3  # two coefficients, and one residual to judge them by
# More curves than this are the voxels of a map: no predicted curve is kept, and no rule for t*
# is tried beside a given one.
MOST_REGIONS = 4096
# Share of the input that may have passed before the first frame, while the tissue is taken to rise
# from nothing on a line: scans often start some seconds late, with the bolus under way.
UNSEEN = 0.1
POOR = int(Status.POORLY_IDENTIFIED)
# Share of its length by which a frame may begin before t*: clocks are rounded.
LEEWAY = 0.01

VASCULAR = Parameter(
    "Vb",
    "1",
    bounds=(0.0, 1.0),
    held=0.0,
    fitted=False,
    help="share of blood, known beforehand: the tissue is (C - Vb Cwb) / (1 - Vb)",
)
OPTIONS = (
    Option("start", "s", default=None, help="t*: the line runs through frames from here on"),
    Option("end", "s", default=None, help="the line runs through frames that end by here"),
    Option(
        "gap", "s", default=None, help="longest gap between frames that a straight line may bridge"
    ),
    Option("replicates", "1", default=0, help="bootstrap replicates for the standard errors"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """One analysis made ready: its plot over all frames that t* may choose, and how to read it.

    fixed  t* in s, or None: by rule
    """

    plot: Plot
    natural: Natural
    protocol: Protocol
    fixed: float | None


def prepare(kind: int, natural: Natural, protocol: Protocol) -> Solver:
    """Solver of the kernel's `kind`; t* is `start` of the options, else the plot's own by rule.

    By rule the line begins at the first frame from which no point lies further from it than 10 %,
    with five points or more; for several curves at once, in the plot of their mean. Where no frame
    qualifies nothing is fitted and t* is NaN.
    """
    from igdd.kernels import graphical

    start, end = protocol.frames.start, protocol.frames.end
    vascular = held_share(protocol)
    if kind != graphical.PATLAK:
        check_whole(protocol)
    plot = graphical.Plot(
        kind=kind,
        plasma=protocol.mean("plasma")[0],
        area=protocol.convolve("plasma", np.zeros(1))[0],
        running=graphical.running_weights(start, end, protocol.integration),
        used=np.flatnonzero(used_frames(protocol)),
        scale=1 / (1 - vascular),
        offset=vascular * protocol.mean("blood")[0] if vascular else np.zeros(start.size),
    )
    return solver(plot, natural, protocol)


def solver(plot: Plot, natural: Natural, protocol: Protocol) -> Solver:
    """Solver for a plot's two parameters and Vb; t* and bootstrap as the options say."""
    _check_used(plot, protocol)
    fixed = protocol.options.get("start")
    analysis = Analysis(plot=plot, natural=natural, protocol=protocol, fixed=fixed)
    replicates = int(protocol.options.get("replicates") or 0)

    def solve(curves: np.ndarray, sd: np.ndarray | None = None) -> Solution:
        found = _solve(analysis, curves, sd)
        if not replicates or found.predicted is None:
            return found
        return _bootstrapped(analysis, found, curves, sd, replicates)

    return solve


def held_share(protocol: Protocol) -> float:
    """The share of blood Vb that is held; 0 where nothing is said."""
    share = float(protocol.held.get("Vb", 0.0))
    if not 0 <= share < 1:
        raise InputError(f"Vb is held at {share:g}; expected a share from 0 to below 1")
    return share


def used_frames(protocol: Protocol) -> np.ndarray:
    """Which frames (t,) begin at or after t* and end by `end`; all where neither is given."""
    frames = protocol.frames
    leeway = LEEWAY * frames.duration
    start, end = protocol.options.get("start"), protocol.options.get("end")
    used = np.ones(frames.start.size, dtype=bool)
    if start is not None:
        used &= frames.start >= float(start) - leeway
    if end is not None:
        used &= frames.end <= float(end) + leeway
    return used


def shown(tissue: np.ndarray, vascular: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Curves (n, t) of a tissue with the blood in its vessels, NaN in frames outside the line."""
    whole = tissue
    # A curve that was not fitted has no share of blood, and needs none measured.
    if (vascular > 0).any():
        whole = (1 - vascular[:, None]) * tissue + vascular[:, None] * protocol.mean("blood")
    return np.where(used_frames(protocol), whole, np.nan)


def one_tissue(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Curves (n, t) of one tissue with (VT, b, Vb): K1 = -VT / b, k2 = -1 / b; NaN before t*."""
    VT, b, Vb = parameters.T
    k2 = -1 / b
    return shown((VT * k2)[:, None] * protocol.convolve("plasma", k2), Vb, protocol)


def _solve(analysis: Analysis, curves: np.ndarray, sd: np.ndarray | None) -> Solution:
    from igdd.kernels import graphical

    plot, start = analysis.plot, analysis.protocol.frames.start
    few = len(curves) <= MOST_REGIONS
    notes: dict[str, float] = {}
    if few or analysis.fixed is None:
        free = replace(analysis.protocol, options={**analysis.protocol.options, "start": None})
        first = _straight_from(curves, replace(plot, used=np.flatnonzero(used_frames(free))))
        notes["t_star_by_rule"] = float(start[first]) if first >= 0 else float("nan")
        if analysis.fixed is None:
            plot = replace(plot, used=plot.used[plot.used >= first])
    given = analysis.fixed
    notes["t_star"] = notes["t_star_by_rule"] if given is None else float(given)
    if np.isnan(notes["t_star"]):
        return _nothing(len(curves), notes)
    lines = graphical.fit(curves, plot, sd)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values, covariance = analysis.natural(lines.coefficients, lines.covariance)
    lost = ~np.isfinite(values[:, 0] + values[:, 1])
    status = np.where(_is_open(values, covariance, plot.kind), POOR, 0) | lines.status
    status[lost] = Status.NOT_FITTED
    parameters = np.empty((len(curves), 3))
    parameters[:, :2] = values
    parameters[:, 2] = analysis.protocol.held.get("Vb", 0.0)
    whole = np.zeros((len(curves), 3, 3))
    whole[:, :2, :2] = covariance
    parameters[lost] = whole[lost] = np.nan
    return Solution(
        parameters=parameters,
        covariance=whole,
        status=status,
        predicted=graphical.predicted(curves, lines.coefficients, plot) if few else None,
        notes=notes,
    )


def unchanged(coefficients: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients are the parameters."""
    return coefficients, covariance


def _is_open(values: np.ndarray, covariance: np.ndarray, kind: int) -> np.ndarray:
    """Which lines (n,) leave Ki or VT open: a standard error above it, a VT below zero, or a tissue
    that, by the sign or the error of its b, never comes to a steady ratio."""
    from igdd.kernels.graphical import MULTILINEAR, PATLAK

    with np.errstate(invalid="ignore"):
        unsure = [covariance[:, row, row] > values[:, row] ** 2 for row in range(2)]
    poor = unsure[0]
    if kind != PATLAK:
        poor = poor | (values[:, 0] < 0) | (values[:, 1] >= 0)
    if kind == MULTILINEAR:
        poor = poor | unsure[1]
    return np.asarray(poor)


def _straight_from(curves: np.ndarray, plot: Plot) -> int:
    """Number of the frame at which the plot of the mean curve becomes straight, or -1."""
    from igdd.kernels import graphical, judge

    whole = np.isfinite(curves).all(axis=1)
    if not whole.any():
        return -1
    abscissa, ordinate = graphical.axes(curves[whole].mean(axis=0, dtype=float)[None], plot)
    found = judge.earliest_straight(abscissa[:, plot.used], ordinate[:, plot.used])[0]
    return int(plot.used[found]) if found >= 0 else -1


def _nothing(count: int, notes: dict[str, float]) -> Solution:
    return Solution(
        parameters=np.full((count, 3), np.nan),
        covariance=np.full((count, 3, 3), np.nan),
        status=np.full(count, int(Status.NOT_FITTED)),
        notes=notes,
    )


def _bootstrapped(
    analysis: Analysis,
    found: Solution,
    curves: np.ndarray,
    sd: np.ndarray | None,
    replicates: int,
) -> Solution:
    """The solution with standard errors from residuals drawn anew, t* as it was."""
    from igdd.kernels.judge import bootstrap_sd

    predicted = np.asarray(found.predicted)
    used = np.flatnonzero(np.isfinite(predicted).any(axis=0))
    again = replace(analysis, plot=replace(analysis.plot, used=used), fixed=found.notes["t_star"])
    spread = bootstrap_sd(
        lambda values: _solve(again, values, sd).parameters,
        np.asarray(curves, dtype=float),
        predicted,
        sd,
        fitted=2,
        replicates=replicates,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = spread / np.sqrt(np.einsum("njj->nj", found.covariance))
    ratio[:, 2] = 0.0
    return replace(found, covariance=found.covariance * ratio[:, :, None] * ratio[:, None, :])


def _check_used(plot: Plot, protocol: Protocol) -> None:
    """Refuse a line of too few frames, or through a frame without input."""
    count = protocol.frames.start.size
    if plot.used.size < LEAST_FRAMES:
        raise InputError(
            f"{plot.used.size} of {count} frames lie between start and end; expected at least "
            f"{LEAST_FRAMES} for a line; give another start, or more frames"
        )
    empty = plot.used[~(np.abs(plot.plasma[plot.used]) > 0)]
    if protocol.options.get("start") is not None and empty.size:
        raise InputError(
            f"the input is zero in frame {empty[0] + 1}, which the line needs; "
            "expected a later start, or an input that covers the frames"
        )


def check_whole(protocol: Protocol) -> None:
    """Refuse tissue data that cannot be integrated: frames with a gap, or a late first one."""
    from igdd.kernels import convolve, graphical

    start, end = protocol.frames.start, protocol.frames.end
    allowed = float(protocol.options.get("gap") or 0.0)
    late = graphical.find_gap(start, end, allowed)
    if late >= 0:
        raise InputError(
            f"frame {late + 1} starts at {start[late]:g} s but frame {late} ends at "
            f"{end[late - 1]:g} s; expected frames in a row, since the tissue is integrated; "
            "give the option gap to bridge a short one by a straight line, or use Patlak or a "
            "compartment model, which need no tissue between the frames"
        )
    plasma = protocol.input("plasma")
    passed = convolve.integral(plasma.time, plasma.values, np.array([start[0], end[-1]]))
    if start[0] > 0 and abs(passed[0]) > UNSEEN * abs(passed[1]):
        raise InputError(
            f"the first frame starts at {start[0]:g} s, after {passed[0] / passed[1]:.1%} of the "
            f"input has passed; expected at most {UNSEEN:.0%}, since the tissue is integrated from "
            "time zero; use Patlak or a compartment model"
        )
