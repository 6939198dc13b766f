"""Tofts model of a contrast agent, with arterial delay.

With cp the concentration in arterial plasma, delayed by Ta,

    Ct(t) = Ktrans int_0^t cp(s - Ta) exp(-kep (t - s)) ds,    kep = Ktrans / ve    (M.IC1.004)

Ktrans [1/s inside] is the transfer constant, ve [1] the interstitial volume. Vessels are left out.
Tofts and Kermode, Magn Reson Med 1991;17:357; names after Tofts et al. 1999.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import ARTERIAL_DELAY, KEP, KTRANS, VE


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t) in the input's unit, of (Ktrans, ve, delay) in SI."""
    entering, kep, delay = canonical(list(parameters.T))
    return np.asarray(entering[:, None] * protocol.convolve("plasma", kep, delay))


def derive(parameters: np.ndarray) -> np.ndarray:
    """Rate constant back to plasma, kep = Ktrans / ve [1/s], (n, 1)."""
    Ktrans, ve = parameters.T[:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(Ktrans / ve)[:, None]


PARAMETERS = (KTRANS, VE, ARTERIAL_DELAY)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    Ktrans, kep, delay = canonical
    return Ktrans, Ktrans / kep, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters.

    Without an interstitium nothing stays: the limit of a small one.
    """
    Ktrans, ve, delay = parameters
    kep = np.divide(Ktrans, ve, out=np.zeros_like(ve), where=ve > 0)
    return np.where(ve > 0, Ktrans, 0.0), kep, delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            fastest=5.0,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "tofts",
        predict,
        parameters=PARAMETERS,
        needs=("plasma",),
        derived=(KEP,),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="Tofts model: interstitium without vessels",
        reference="doi:10.1002/mrm.1910170208; CAPLEX M.IC1.004, doi:10.1002/mrm.29840",
        family="contrast",
        also=("TM", "Tofts-Kety", "Kety"),
    ),
)
