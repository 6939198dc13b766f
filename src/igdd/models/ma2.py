"""Multilinear analysis 2 (MA2): rate constants of two tissue compartments without iteration.

The equation of two reversible compartments, integrated twice, is linear in four coefficients:

    C = g1 int int Cp + g2 int int C + g3 int C + g4 int Cp
    g1 = K1 (k3 + k4),  g2 = -k2 k4,  g3 = -(k2 + k3 + k4),  g4 = K1

so that VT = -g1 / g2 and VS = VT - K1 / k2. All frames are used unless `start` or `end` say
otherwise; the blood in the vessels is taken out beforehand where Vb is held above 0.
Ichise et al., J Cereb Blood Flow Metab 2002;22:1271, doi:10.1097/01.WCB.0000038000.34930.4E.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kernels.exchange import exponentials
from igdd.kinetics import Protocol, Solution, Solver
from igdd.models import _graphical
from igdd.models._parameters import KNOWN_DELAY, UNBOUNDED
from igdd.models.two_tissue import DERIVED, derive


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (K1, k2, k3, k4, Vb, delay): two reversible compartments.

    NaN where the rates oscillate, (k2 + k3 + k4)^2 < 4 k2 k4: no compartments do, a noisy fit can.
    """
    K1, k2, k3, k4, Vb, delay = parameters.T
    with np.errstate(invalid="ignore"):
        lasting, slow, passing, fast = exponentials(K1, k2, k3, k4)
    known = np.isfinite(slow) & np.isfinite(fast)
    slow, fast = np.where(known, slow, 0.0), np.where(known, fast, 0.0)
    tissue = lasting[:, None] * protocol.convolve("plasma", slow, delay)
    tissue += passing[:, None] * protocol.convolve("plasma", fast, delay)
    if Vb.any():
        tissue = (1 - Vb)[:, None] * tissue + Vb[:, None] * protocol.mean("blood", delay)
    return np.where(known[:, None], tissue, np.nan)


def prepare(protocol: Protocol) -> Solver:
    """Solver for (K1, k2, k3, k4), Vb and delay being held."""
    from igdd.kernels import multilinear

    window = protocol.frames.start, protocol.frames.end
    _graphical.check_whole(protocol)
    used = _graphical.used_frames(protocol)
    Vb, delay = _graphical.held_share(protocol), float(protocol.held.get("delay", 0.0))
    area, double = _integrals(protocol, delay)
    single, twofold = multilinear.operators(*window, protocol.integration)
    columns = multilinear.Columns(given=(double, area), own=(twofold, single))
    vessels = Vb * protocol.mean("blood", delay)[0] if Vb else np.zeros(window[0].size)

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        tissue = (curves - vessels) / (1 - Vb)
        found = multilinear.fit(columns, tissue, sd, used, _natural)
        impossible = derive(found.parameters)[:, 0] < 0
        return Solution(
            parameters=_with_held(found.parameters, Vb, delay),
            covariance=np.pad(found.covariance, ((0, 0), (0, 2), (0, 2))),
            status=np.where(impossible, found.status | _graphical.POOR, found.status),
            predicted=(1 - Vb) * found.predicted + vessels,
        )

    return solve


def _integrals(protocol: Protocol, delay: float) -> tuple[np.ndarray, np.ndarray]:
    """The plasma's running integral and its integral, over the frames, both (t,).

    The integral of the running integral is int (t - s) Cp(s) ds, minus the derivative of the
    convolution with exp(-rate t) by the rate, at rate 0.
    """
    from igdd.kernels.convolve import convolve_with_derivative

    curve = protocol.input("plasma")
    window = protocol.frames.start, protocol.frames.end, protocol.integration
    area, slope = convolve_with_derivative(curve.time, curve.values, window, np.zeros(1), delay)
    return area[0], -slope[0]


def _natural(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K1, k2, k3, k4) and their derivatives (n, 4, 4), from (g1, g4, g2, g3)."""
    g1, g4, g2, g3 = coefficients.T
    onward = g1 / g4  # k3 + k4
    k2 = -g3 - onward
    k4 = -g2 / k2
    derivative = np.zeros((len(coefficients), 4, 4))
    derivative[:, 0, 1] = 1.0
    onward_by = np.stack([1 / g4, -g1 / g4**2, 0 * g1, 0 * g1], axis=1)
    k2_by = -onward_by
    k2_by[:, 3] -= 1.0
    k4_by = g2[:, None] / k2[:, None] ** 2 * k2_by
    k4_by[:, 2] -= 1 / k2
    derivative[:, 1], derivative[:, 2], derivative[:, 3] = k2_by, onward_by - k4_by, k4_by
    return np.stack([g4, k2, onward - k4, k4], axis=1), derivative


def _with_held(parameters: np.ndarray, *held: float) -> np.ndarray:
    """Parameters (n, p) and the held ones behind them."""
    return np.column_stack([parameters, *(np.full(len(parameters), value) for value in held)])


MODELS = (
    Model(
        "ma2",
        predict,
        parameters=(
            Parameter("K1", "mL/cm3/min", UNBOUNDED, help="delivery", start=(0.1,)),
            Parameter("k2", "1/min", UNBOUNDED, help="rate back to plasma", start=(0.1,)),
            Parameter("k3", "1/min", UNBOUNDED, help="rate of binding", start=(0.1,)),
            Parameter("k4", "1/min", UNBOUNDED, help="rate of release", start=(0.05,)),
            _graphical.VASCULAR,
            KNOWN_DELAY,
        ),
        needs=("plasma",),
        help="two-tissue volumes by multilinear analysis, all frames",
        reference="doi:10.1097/01.WCB.0000038000.34930.4E",
        derived=DERIVED,
        derive=derive,
        prepare=prepare,
        closed=True,
        voxelwise=True,
        options=tuple(option for option in _graphical.OPTIONS if option.name != "replicates"),
    ),
)
