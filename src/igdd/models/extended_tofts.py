"""Extended Tofts model of a contrast agent: interstitium and vessels, with arterial delay.

With cp the concentration in arterial plasma, delayed by Ta, and kep = Ktrans / ve,

    Ct(t) = vp cp(t - Ta) + Ktrans int_0^t cp(s - Ta) exp(-kep (t - s)) ds      (CAPLEX M.IC1.005)

Ktrans [1/s inside], interstitial volume ve [1], plasma volume vp [1]. Tissue is not scaled by
1 - vp. Tofts, J Magn Reson Imaging 1997;7:91; names after Tofts et al. 1999.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import ARTERIAL_DELAY, KTRANS, VE, VP


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t) in the input's unit, of (Ktrans, ve, vp, delay) in SI."""
    Ktrans, ve, vp, delay = parameters.T
    kep = np.divide(Ktrans, ve, out=np.zeros_like(ve), where=ve > 0)
    # Without an interstitium nothing stays: the limit of a small one.
    entering = np.where(ve > 0, Ktrans, 0.0)
    leaked = entering[:, None] * protocol.convolve("plasma", kep, delay)
    return np.asarray(vp[:, None] * protocol.mean("plasma", delay) + leaked)


def derive(parameters: np.ndarray) -> np.ndarray:
    """Rate constant back to plasma, kep = Ktrans / ve [1/s], (n, 1)."""
    Ktrans, ve = parameters.T[:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(Ktrans / ve)[:, None]


PARAMETERS = (KTRANS, VE, VP, ARTERIAL_DELAY)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    vp, Ktrans, kep, delay = canonical
    return Ktrans, Ktrans / kep, vp, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    Ktrans, ve, vp, delay = parameters
    kep = np.divide(Ktrans, ve, out=np.zeros_like(ve), where=ve > 0)
    return vp, np.where(ve > 0, Ktrans, 0.0), kep, delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            columns=("plasma",),
            held=("vp",),
            fastest=5.0,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "extended_tofts",
        predict,
        parameters=PARAMETERS,
        needs=("plasma",),
        derived=(
            Parameter(
                "kep",
                "1/min",
                code="Q.PH1.009.ep",
                help="rate constant back to plasma, Ktrans / ve",
            ),
        ),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="extended Tofts model: interstitium and vessels",
        reference="doi:10.1002/jmri.1880070113; CAPLEX M.IC1.005, doi:10.1002/mrm.29840",
        family="contrast",
        also=("ETM", "eTofts", "extended Tofts-Kety"),
    ),
)
