"""Irreversible two-tissue compartment model with blood volume and delay: what is bound stays.

    C(t) = (1 - Vb) K1 / (k2 + k3) [k3 int_0^t Cp(s - d) ds + k2 (Cp (x) exp(-(k2 + k3) t))(t - d)]
           + Vb Cb(t - d)

K1 [mL/cm3/s inside], k2, k3 [1/s], Vb [1]. Ki = K1 k3 / (k2 + k3) [mL/cm3/s] is the net influx, the
slope of a Patlak plot. Sokoloff et al., J Neurochem 1977;28:897; Phelps et al., Ann Neurol
1979;6:371.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import DELAY, K1, VB


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t), of (K1, k2, k3, Vb, delay) in SI."""
    K1, k2, k3, Vb, delay = parameters.T
    leaving = k2 + k3
    share = np.divide(k3, leaving, out=np.zeros_like(k3), where=leaving > 0)
    trapped = (share * K1)[:, None] * protocol.convolve("plasma", np.zeros(K1.size), delay)
    passing = ((1 - share) * K1)[:, None] * protocol.convolve("plasma", leaving, delay)
    blood = Vb[:, None] * protocol.mean("blood", delay)
    return np.asarray((1 - Vb)[:, None] * (trapped + passing) + blood)


def derive(parameters: np.ndarray) -> np.ndarray:
    """Net influx Ki [mL/cm3/s] and non-displaceable volume VND = K1 / (k2 + k3) [mL/cm3]."""
    K1, k2, k3 = parameters.T[:3]
    with np.errstate(divide="ignore", invalid="ignore"):
        volume = K1 / (k2 + k3)
        return np.stack([volume * k3, volume], axis=1)


PARAMETERS = (
    K1,
    Parameter(
        "k2", "1/min", bounds=(0.0, 30.0), help="rate from tissue to plasma", start=(0.1, 1.0)
    ),
    Parameter("k3", "1/min", bounds=(0.0, 30.0), help="rate of trapping", start=(0.02, 0.2)),
    VB,
    DELAY,
)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    Vb, trapped, passing, leaving, delay = canonical
    K1 = trapped + passing
    return K1 / (1 - Vb), leaving * passing / K1, leaving * trapped / K1, Vb, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    K1, k2, k3, Vb, delay = parameters
    leaving = k2 + k3
    share = np.divide(k3, leaving, out=np.zeros_like(k3), where=leaving > 0)
    tissue = (1 - Vb) * K1
    return Vb, share * tissue, (1 - share) * tissue, leaving, delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            columns=("blood", "integral"),
            held=("Vb", ""),
            fastest=0.5,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "two_tissue_irreversible",
        predict,
        parameters=PARAMETERS,
        needs=("plasma", "blood"),
        derived=(
            Parameter("Ki", "mL/cm3/min", help="net influx, K1 k3 / (k2 + k3)"),
            Parameter("VND", "mL/cm3", help="volume of the free agent, K1 / (k2 + k3)"),
        ),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="irreversible two-tissue compartment model with blood volume",
        reference="doi:10.1111/j.1471-4159.1977.tb10649.x; doi:10.1002/ana.410060502",
        family="tissue",
        also=("2TCMi", "2TCM irreversible", "2T3k", "2TCM3k"),
    ),
)
