"""Multilinear reference tissue models, with k2' of the reference fitted (1) or shared (2).

With C the tissue and C' the reference tissue, both with one compartment,

    MRTM1   C = k2 int C' - k2 / (1 + BPND) int C + R1 C'
    MRTM2   C = R1 k2' (int C' + C' / k2') - R1 k2' / (1 + BPND) int C,      k2' = k2 / R1

which are the integrals of the simplified reference tissue model (`igdd.models.srtm`).
Ichise et al., J Cereb Blood Flow Metab 2003;23:1096, doi:10.1097/01.WCB.0000085441.37552.CA.
The same equations hold for two tissue compartments from the time t* on at which the tissue moves in
step with its plasma (`start`); R1 then has no meaning of its own. k2' belongs to the reference
tissue and is the same for all regions: MRTM2 takes it as given, or as the median over the regions
that MRTM1 determines (standard error of k2' below half of it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Model, Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver
from igdd.models import _graphical, _reference, srtm
from igdd.models._parameters import UNBOUNDED

if TYPE_CHECKING:
    from igdd.kernels.multilinear import Natural

# Relative standard error of k2' above which a region has no vote in the median.
VOTE = 0.5


def predict_mrtm2(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (R1, BPND, k2prime) in SI: `srtm.predict` with k2 = R1 k2'."""
    R1, BPND, k2prime = parameters.T
    return srtm.predict(np.stack([R1, R1 * k2prime, BPND], axis=1), protocol)


def derive_mrtm2(parameters: np.ndarray) -> np.ndarray:
    """k2 and k2a = k2 / (1 + BPND), both [1/s], (n, 2)."""
    R1, BPND, k2prime = parameters.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([R1 * k2prime, R1 * k2prime / (1 + BPND)], axis=1)


def prepare_mrtm1(protocol: Protocol) -> Solver:
    """Solver for (R1, k2, BPND)."""
    from igdd.kernels import multilinear

    window = protocol.frames.start, protocol.frames.end
    used = _graphical.used_frames(protocol)
    reference, area = _reference.level_and_area(protocol)
    own = multilinear.operators(*window, protocol.integration)[:1]
    columns = multilinear.Columns(given=(area, reference), own=own)

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        found = multilinear.fit(columns, curves, sd, used, _natural_mrtm1)
        return Solution(
            parameters=found.parameters,
            covariance=found.covariance,
            status=_with_impossible(found.status, found.parameters[:, 2]),
            predicted=found.predicted,
            notes={"t_star": float(protocol.options.get("start") or 0.0)},
        )

    return solve


def prepare_mrtm2(protocol: Protocol) -> Solver:
    """Solver for (R1, BPND, k2prime), with one k2prime for all curves."""
    from igdd.kernels import multilinear

    window = protocol.frames.start, protocol.frames.end
    used = _graphical.used_frames(protocol)
    reference, area = _reference.level_and_area(protocol)
    first = prepare_mrtm1(protocol)
    own = multilinear.operators(*window, protocol.integration)[:1]
    given = protocol.held.get("k2prime")

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        k2prime = common_k2prime(first(curves, sd)) if given is None else float(given)
        columns = multilinear.Columns(given=(area + reference / k2prime,), own=own)
        found = multilinear.fit(columns, curves, sd, used, _natural_mrtm2(k2prime))
        return Solution(
            parameters=found.parameters,
            covariance=found.covariance,
            status=_with_impossible(found.status, found.parameters[:, 1]),
            predicted=found.predicted,
            notes={"t_star": float(protocol.options.get("start") or 0.0), "k2prime": k2prime},
        )

    return solve


def _with_impossible(status: np.ndarray, BPND: np.ndarray) -> np.ndarray:
    """The status, poorly identified besides where the distribution volume is below zero."""
    return np.where(BPND < -1, status | _graphical.POOR, status)


def common_k2prime(solution: Solution) -> float:
    """Median k2' = k2 / R1 in 1/s over the curves that determine it, from (R1, k2, ...).

    A curve that binds little follows the reference, whatever k2' is: its standard error tells.
    """
    R1, k2 = solution.parameters[:, 0], solution.parameters[:, 1]
    spread = solution.covariance
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = k2 / R1
        relative = (
            spread[:, 1, 1] / k2**2 + spread[:, 0, 0] / R1**2 - 2 * spread[:, 0, 1] / (k2 * R1)
        )
        votes = ratio[(ratio > 0) & (relative < VOTE**2)]
    if not votes.size:
        raise InputError(
            f"none of {len(ratio)} curves determines k2' (standard error below half of it); "
            "hold k2prime at a known value, e.g. '0.1/min'"
        )
    return float(np.median(votes))


def _natural_mrtm1(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R1, k2, BPND) and derivatives, from the coefficients of int C', C' and int C."""
    first, second, third = coefficients.T
    parameters = np.stack([second, first, -first / third - 1], axis=1)
    derivative = np.zeros((len(coefficients), 3, 3))
    derivative[:, 0, 1] = derivative[:, 1, 0] = 1.0
    derivative[:, 2, 0], derivative[:, 2, 2] = -1 / third, first / third**2
    return parameters, derivative


def _natural_mrtm2(k2prime: float) -> Natural:
    """The same for (R1, BPND, k2prime), from the coefficients of int C' + C' / k2' and int C."""

    def natural(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, second = coefficients.T
        held = np.full_like(first, k2prime)
        parameters = np.stack([first / k2prime, -first / second - 1, held], axis=1)
        derivative = np.zeros((len(coefficients), 3, 2))
        derivative[:, 0, 0] = 1 / k2prime
        derivative[:, 1, 0], derivative[:, 1, 1] = -1 / second, first / second**2
        return parameters, derivative

    return natural


_R1 = Parameter("R1", "1", UNBOUNDED, help="delivery relative to the reference", start=(1.0,))
_BPND = Parameter("BPND", "1", UNBOUNDED, help="binding potential", start=(1.0,))
_APPARENT = Parameter("k2a", "1/min", help="apparent rate back to plasma")
# No bootstrap: the covariance of these coefficients is known.
_OPTIONS = tuple(option for option in _graphical.OPTIONS if option.name != "replicates")
_REFERENCE = "doi:10.1097/01.WCB.0000085441.37552.CA"

MODELS = (
    Model(
        "mrtm1",
        srtm.predict,
        parameters=(
            _R1,
            Parameter("k2", "1/min", UNBOUNDED, help="rate back to plasma", start=(0.1,)),
            _BPND,
        ),
        needs=("reference",),
        help="binding by multilinear reference tissue analysis, three coefficients",
        reference=_REFERENCE,
        derived=(Parameter("k2prime", "1/min", help="rate of the reference"), _APPARENT),
        derive=srtm.derive,
        prepare=prepare_mrtm1,
        closed=True,
        voxelwise=True,
        family="reference",
        options=_OPTIONS,
    ),
    Model(
        "mrtm2",
        predict_mrtm2,
        parameters=(
            _R1,
            _BPND,
            Parameter("k2prime", "1/min", help="rate of the reference, shared", start=(0.1,)),
        ),
        needs=("reference",),
        help="binding by multilinear reference tissue analysis, k2' of the reference shared",
        reference=_REFERENCE,
        derived=(Parameter("k2", "1/min", help="rate back to plasma"), _APPARENT),
        derive=derive_mrtm2,
        prepare=prepare_mrtm2,
        closed=True,
        family="reference",
        options=_OPTIONS,
    ),
)
