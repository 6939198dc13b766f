"""Simplified reference tissue model: binding without blood samples.

Target and reference share the non-displaceable volume, and each is one compartment. With Cr the
reference tissue's curve and k2a = k2 / (1 + BPND),

    C(t) = R1 Cr(t) + (k2 - R1 k2a) int_0^t Cr(s) exp(-k2a (t - s)) ds

R1 = K1 / K1' [1] is the relative delivery, k2 [1/s] the target's rate back to plasma and BPND [1]
the binding potential; k2' = k2 / R1 is the reference's own rate.
Lammertsma and Hume, NeuroImage 1996;4:153; by basis functions Gunn et al., NeuroImage 1997;6:279.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t), of (R1, k2, BPND) in SI."""
    R1, amount, apparent, _ = canonical(list(parameters.T))
    retained = amount[:, None] * protocol.convolve("reference", apparent)
    return np.asarray(R1[:, None] * protocol.mean("reference") + retained)


def derive(parameters: np.ndarray) -> np.ndarray:
    """Rate constants k2' of the reference and k2a = k2 / (1 + BPND), both [1/s], (n, 2)."""
    R1, k2, BPND = parameters.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([k2 / R1, k2 / (1 + BPND)], axis=1)


PARAMETERS = (
    Parameter(
        "R1",
        "1",
        bounds=(0.0, 10.0),
        help="delivery relative to the reference tissue",
        start=(0.8, 1.2),
    ),
    Parameter(
        "k2",
        "1/min",
        bounds=(0.0, 10.0),
        help="rate from tissue to plasma",
        start=(0.05, 0.3),
    ),
    Parameter(
        "BPND",
        "1",
        bounds=(-0.99, 100.0),
        help="binding potential",
        start=(0.2, 2.0),
    ),
)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    R1, amount, apparent, _ = canonical
    k2 = amount + R1 * apparent
    return R1, k2, k2 / apparent - 1


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    R1, k2, BPND = parameters
    apparent = np.divide(k2, 1 + BPND, out=np.zeros_like(k2), where=1 + BPND > 0)
    return R1, k2 - R1 * apparent, apparent, np.zeros_like(R1)


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="reference",
            columns=("reference",),
            held=("R1",),
            fastest=0.2,
            positive=False,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "srtm",
        predict,
        parameters=PARAMETERS,
        needs=("reference",),
        derived=(
            Parameter("k2prime", "1/min", help="the reference tissue's rate, k2 / R1"),
            Parameter("k2a", "1/min", help="apparent rate, k2 / (1 + BPND)"),
        ),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="simplified reference tissue model",
        reference="doi:10.1006/nimg.1996.0066; doi:10.1006/nimg.1997.0303",
        family="reference",
    ),
)
