"""Extended Tofts model of a contrast agent: interstitium and vessels, with arterial delay.

With cp the concentration in arterial plasma, delayed by Ta, and kep = Ktrans / ve,

    Ct(t) = vp cp(t - Ta) + Ktrans int_0^t cp(s - Ta) exp(-kep (t - s)) ds      (CAPLEX M.IC1.005)

Ktrans [1/s inside], interstitial volume ve [1], plasma volume vp [1]. Tissue is not scaled by
1 - vp. Tofts, J Magn Reson Imaging 1997;7:91; names after Tofts et al. 1999.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials, tofts
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import ARTERIAL_DELAY, KEP, KTRANS, VE, VP


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t) in the input's unit, of (Ktrans, ve, vp, delay) in SI."""
    vp, entering, kep, delay = canonical(list(parameters.T))
    leaked = entering[:, None] * protocol.convolve("plasma", kep, delay)
    return np.asarray(vp[:, None] * protocol.mean("plasma", delay) + leaked)


PARAMETERS = (KTRANS, VE, VP, ARTERIAL_DELAY)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    vp, *exchange = canonical
    Ktrans, ve, delay = tofts.natural(exchange)
    return Ktrans, ve, vp, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    Ktrans, ve, vp, delay = parameters
    return vp, *tofts.canonical((Ktrans, ve, delay))


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
        derived=(KEP,),
        derive=tofts.derive,
        prepare=prepare,
        voxelwise=True,
        help="extended Tofts model: interstitium and vessels",
        reference="doi:10.1002/jmri.1880070113; CAPLEX M.IC1.005, doi:10.1002/mrm.29840",
        family="contrast",
        also=("ETM", "eTofts", "extended Tofts-Kety"),
    ),
)
