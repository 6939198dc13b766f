"""One-tissue compartment model with blood volume and delay.

With Cp the agent that exchanges with tissue in arterial plasma and Cb the whole blood that fills
the vessels, both delayed by d,

    C(t) = (1 - Vb) K1 int_0^t Cp(s - d) exp(-k2 (t - s)) ds + Vb Cb(t - d)

K1 is flow times extraction [mL/cm3/s inside], k2 the rate back to plasma [1/s], Vb the volume of
blood per volume of tissue [1]. VT = K1 / k2 [mL/cm3] is the tissue's concentration over that in
plasma at equilibrium. Kety, Pharmacol Rev 1951;3:1; names after Innis et al. 2007.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import DELAY, K1, VB


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t) in the input's unit, of (K1, k2, Vb, delay) in SI."""
    K1, k2, Vb, delay = parameters.T[:, :, None]
    tissue = K1 * protocol.convolve("plasma", k2[:, 0], delay[:, 0])
    return np.asarray((1 - Vb) * tissue + Vb * protocol.mean("blood", delay[:, 0]))


def derive(parameters: np.ndarray) -> np.ndarray:
    """Distribution volume VT [mL/cm3], (n, 1)."""
    K1, k2 = parameters.T[:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(K1 / k2)[:, None]


PARAMETERS = (
    K1,
    Parameter(
        "k2", "1/min", bounds=(0.0, 30.0), help="rate from tissue to plasma", start=(0.05, 0.5)
    ),
    VB,
    DELAY,
)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    Vb, amount, k2, delay = canonical
    return amount / (1 - Vb), k2, Vb, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    K1, k2, Vb, delay = parameters
    return Vb, (1 - Vb) * K1, k2, delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            columns=("blood",),
            held=("Vb",),
            fastest=0.5,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "one_tissue",
        predict,
        parameters=PARAMETERS,
        needs=("plasma", "blood"),
        derived=(Parameter("VT", "mL/cm3", help="distribution volume, K1 / k2"),),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="one-tissue compartment model with blood volume",
        reference="doi:10.1038/sj.jcbfm.9600493",
        family="tissue",
        also=("1TCM", "1TC", "1T2k"),
    ),
)
