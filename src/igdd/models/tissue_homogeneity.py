"""Tissue homogeneity in its adiabatic approximation: plug flow past a well-mixed interstitium.

Plasma passes the capillaries in Tc = vp / Fp as a plug; the share E of the agent leaves it on the
way, and comes back with the interstitium's slow rate. With cp in arterial plasma, delayed by Ta,

    Ct(t) = Fp int_0^Tc cp(t - Ta - u) du + E Fp int_Tc^t cp(t - Ta - u) exp(-(u - Tc) E Fp / ve) du
    E = 1 - exp(-PS / Fp)                                                    (CAPLEX M.IC1.012)

The first integral is the running integral of cp less the same Tc later, so that both have the
closed form of the exponential convolution. Frames longer than Tc tell little of Fp and vp apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol
from igdd.models._parameters import ARTERIAL_DELAY, FP, PS, VE, VP

# Flows (1/s) and volumes below this are taken as this: the limit is reached to rounding.
SMALLEST = 1e-12


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t) in the input's unit, of (Fp, PS, ve, vp, delay) in SI."""
    Fp, _, ve, _, delay = parameters.T
    _, Ktrans, transit = derive(parameters).T
    still = np.zeros(delay.size)
    entered = protocol.convolve("plasma", still, delay)
    left = protocol.convolve("plasma", still, delay + transit)
    rate = Ktrans / np.maximum(ve, SMALLEST)
    extravascular = protocol.convolve("plasma", rate, delay + transit)
    return np.asarray(Fp[:, None] * (entered - left) + Ktrans[:, None] * extravascular)


def derive(parameters: np.ndarray) -> np.ndarray:
    """Extraction fraction [1], Ktrans [1/s] and capillary transit time [s], (n, 3).

    >>> derive(np.array([[0.01, 0.01 * np.log(2), 0.2, 0.05, 0.0]])).round(4).tolist()
    [[0.5, 0.005, 5.0]]
    """
    Fp, PS, _, vp, _ = parameters.T
    flow = np.maximum(Fp, SMALLEST)
    extraction = -np.expm1(-PS / flow)
    return np.column_stack([extraction, extraction * Fp, vp / flow])


MODELS = (
    Model(
        "tissue_homogeneity",
        predict,
        parameters=(
            # Plugs of 2 s to 80 s: a start with too short a one ends in a minimum of its own.
            replace(FP, start=(0.15, 0.5, 1.5)),
            PS,
            replace(VE, start=(0.2,)),
            replace(VP, start=(0.05, 0.2)),
            replace(ARTERIAL_DELAY, start=(0.0, 5.0, 10.0)),
        ),
        needs=("plasma",),
        derived=(
            Parameter("E", "1", code="Q.PH1.005", help="extraction fraction"),
            Parameter("Ktrans", "1/min", code="Q.PH1.008", help="volume transfer constant, E Fp"),
            Parameter("Tc", "s", code="Q.PH1.006.p", help="transit time of plasma, vp / Fp"),
        ),
        derive=derive,
        help="plug flow along capillaries beside a well-mixed interstitium (adiabatic)",
        reference="doi:10.1097/00004647-199812000-00011; CAPLEX M.IC1.012, doi:10.1002/mrm.29840",
        family="contrast",
        also=("AATH", "ATH"),
    ),
)
