"""Reversible two-tissue compartment model with blood volume and delay.

Free and non-specifically bound agent C1 exchanges with plasma and with the bound agent C2:

    dC1/dt = K1 Cp(t - d) - (k2 + k3) C1 + k4 C2
    dC2/dt = k3 C1 - k4 C2
    C(t)   = (1 - Vb) (C1 + C2) + Vb Cb(t - d)

K1 [mL/cm3/s inside], k2, k3, k4 [1/s], Vb [1]. The tissue's response is a sum of two exponentials.
VT = K1 / k2 (1 + k3 / k4), VND = K1 / k2 and VS = K1 k3 / (k2 k4) [mL/cm3], BPND = k3 / k4 [1].
Mintun et al., Ann Neurol 1984;15:217; names after Innis et al. 2007.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kernels.exchange import exponentials, rate_constants
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import DELAY, K1, VB


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t), of (K1, k2, k3, k4, Vb, delay) in SI."""
    K1, k2, k3, k4, Vb, delay = parameters.T
    slow, theta1, fast, theta2 = exponentials(K1, k2, k3, k4)
    tissue = slow[:, None] * protocol.convolve("plasma", theta1, delay)
    tissue += fast[:, None] * protocol.convolve("plasma", theta2, delay)
    return np.asarray((1 - Vb)[:, None] * tissue + Vb[:, None] * protocol.mean("blood", delay))


def derive(parameters: np.ndarray) -> np.ndarray:
    """Volumes VT, VND and VS [mL/cm3] and the binding potential BPND [1], (n, 4)."""
    K1, k2, k3, k4 = parameters.T[:4]
    with np.errstate(divide="ignore", invalid="ignore"):
        VND = K1 / k2
        BPND = k3 / k4
        return np.stack([VND * (1 + BPND), VND, VND * BPND, BPND], axis=1)


PARAMETERS = (
    K1,
    Parameter(
        "k2", "1/min", bounds=(0.0, 30.0), help="rate from tissue to plasma", start=(0.1, 1.0)
    ),
    Parameter("k3", "1/min", bounds=(0.0, 30.0), help="rate of binding", start=(0.02, 0.2)),
    Parameter("k4", "1/min", bounds=(0.0, 30.0), help="rate of release", start=(0.01, 0.1)),
    VB,
    DELAY,
)
DERIVED = (
    Parameter("VT", "mL/cm3", help="total distribution volume, K1 / k2 (1 + k3 / k4)"),
    Parameter("VND", "mL/cm3", help="non-displaceable volume, K1 / k2"),
    Parameter("VS", "mL/cm3", help="specific volume, K1 k3 / (k2 k4)"),
    Parameter("BPND", "1", help="binding potential, k3 / k4"),
)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    Vb, a1, theta1, a2, theta2, delay = canonical
    K1, k2, k3, k4 = rate_constants(a1, theta1, a2, theta2)
    return K1 / (1 - Vb), k2, k3, k4, Vb, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    K1, k2, k3, k4, Vb, delay = parameters
    return Vb, *exponentials((1 - Vb) * K1, k2, k3, k4), delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            columns=("blood",),
            held=("Vb",),
            exponentials=2,
            fastest=0.5,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "two_tissue",
        predict,
        parameters=PARAMETERS,
        needs=("plasma", "blood"),
        derived=DERIVED,
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="reversible two-tissue compartment model with blood volume",
        reference="doi:10.1002/ana.410150302; doi:10.1038/sj.jcbfm.9600493",
        family="tissue",
        also=("2TCM", "2TC", "2T4k", "2TCM4k"),
    ),
)
