"""Patlak model of a contrast agent: plasma in the vessels and a leak with no way back.

With cp the concentration in arterial plasma, delayed by Ta,

    Ct(t) = vp cp(t - Ta) + Ktrans int_0^{t - Ta} cp(s) ds                   (CAPLEX M.IC1.006)

It holds while nothing has come back from the interstitium: kep t << 1. Where the vessels' plasma
is exchanged slowly against it, Ktrans is PS. The model is linear in vp and Ktrans, so that no bound
is put on them: a curve without leakage gives values on both sides of zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.declare import Model
from igdd.kinetics import Protocol, Solution, Solver, Status
from igdd.models._parameters import ARTERIAL_DELAY, KTRANS, UNBOUNDED, VP

NAMES = ("Ktrans", "vp", "delay")
DELAY_STEP = 1.0  # s between the arterial delays that a search tries


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t) in the input's unit, of (Ktrans, vp, delay) in SI."""
    Ktrans, vp, delay = parameters.T
    leaked = protocol.convolve("plasma", np.zeros(delay.size), delay)
    return np.asarray(vp[:, None] * protocol.mean("plasma", delay) + Ktrans[:, None] * leaked)


def prepare(protocol: Protocol) -> Solver:
    """Solver by linear least squares; a delay that is free is searched, then refined with it."""

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        if "delay" in protocol.held:
            return _at_delay(protocol, float(protocol.held["delay"]), curves, sd)
        return _with_delay(protocol, curves, sd)

    return solve


def _at_delay(
    protocol: Protocol, delay: float, curves: np.ndarray, sd: np.ndarray | None
) -> Solution:
    """Ktrans and vp, where they are free, at one delay [s]."""
    from igdd.kernels.linear import solve_linear

    columns = np.vstack(
        [protocol.convolve("plasma", np.zeros(1), delay), protocol.mean("plasma", delay)]
    )
    known = np.array([protocol.held.get(name, 0.0) for name in NAMES[:2]])
    free = np.array([name not in protocol.held for name in NAMES[:2]])
    fitted = solve_linear(columns[free].T, curves - known @ columns, sd)
    count = len(curves)
    parameters = np.tile([*known, delay], (count, 1))
    place = np.flatnonzero(free)
    parameters[:, place] = fitted.coefficients
    # No signal is no answer: a curve of zeros, as of a region outside the image.
    empty = ~np.any(curves, axis=1, where=np.broadcast_to(_used(sd), curves.shape))
    lost = empty | ~np.isfinite(fitted.coefficients).all(axis=1)
    covariance = np.zeros((count, 3, 3))
    covariance[:, place[:, None], place] = fitted.covariance
    predicted = fitted.predicted + known @ columns
    parameters[lost] = covariance[lost] = predicted[lost] = np.nan
    return Solution(
        parameters=parameters,
        covariance=covariance,
        status=np.where(lost, Status.NOT_FITTED, fitted.status),
        predicted=predicted,
    )


def _used(sd: np.ndarray | None) -> np.ndarray:
    """Which frames the fit uses: those whose standard deviation is not infinite."""
    return np.array(True) if sd is None else np.isfinite(sd)


def _with_delay(protocol: Protocol, curves: np.ndarray, sd: np.ndarray | None) -> Solution:
    """All three: the best of many delays for each curve, then Levenberg-Marquardt."""
    from igdd.kernels.levenberg import fit_curves

    spread = 1.0 if sd is None else np.asarray(sd)
    starts = np.tile([0.0, 0.0, 0.0], (len(curves), 1))
    least = np.full(len(curves), np.inf)
    first, last = ARTERIAL_DELAY.bounds
    for delay in np.arange(first, last + DELAY_STEP / 2, DELAY_STEP):
        tried = _at_delay(protocol, float(delay), curves, sd)
        squares = np.nansum(((curves - tried.predicted) / spread) ** 2, axis=1)
        better = np.isfinite(tried.parameters).all(axis=1) & (squares < least)
        starts[better], least[better] = tried.parameters[better], squares[better]
    found = fit_curves(
        lambda parameters: predict(parameters, protocol),
        curves,
        sd,
        starts[:, None],
        np.array([UNBOUNDED, UNBOUNDED, ARTERIAL_DELAY.bounds]),
        free=np.array([name not in protocol.held for name in NAMES]),
    )
    return Solution(**found._asdict())


MODELS = (
    Model(
        "patlak_dce",
        predict,
        parameters=(
            replace(KTRANS, bounds=UNBOUNDED),
            replace(VP, bounds=UNBOUNDED),
            ARTERIAL_DELAY,
        ),
        needs=("plasma",),
        help="plasma volume and one-way leakage of a contrast agent",
        prepare=prepare,
        closed=True,
        voxelwise=True,
        reference="doi:10.1038/jcbfm.1983.1; CAPLEX M.IC1.006, doi:10.1002/mrm.29840",
        family="contrast",
    ),
)
