"""Two-compartment exchange model of a contrast agent, with arterial delay.

Plasma, volume vp, is flushed by the flow Fp and exchanges by PS with the interstitium, volume ve:

    vp dcp/dt = Fp (ca(t - Ta) - cp) - PS (cp - ce)
    ve dce/dt = PS (cp - ce),        Ct = vp cp + ve ce                       (CAPLEX M.IC1.009)

Fp, PS [mL/cm3/s inside], vp, ve [1]. It is the reversible two-tissue model with K1 = Fp,
k2 = Fp / vp, k3 = PS / vp and k4 = PS / ve. E = PS / (Fp + PS) [1], Ktrans = E Fp [1/s],
MTT = (vp + ve) / Fp [s]. Brix et al., Magn Reson Med 2004;52:420; Sourbron and Buckley, Phys Med
Biol 2012;57:R1.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kernels.exchange import exponentials, rate_constants
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import ARTERIAL_DELAY, FP, PS, VE, VP

# Volumes below this are taken as this: the limit of no volume is reached to rounding.
SMALLEST = 1e-9


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t), of (Fp, PS, ve, vp, delay) in SI."""
    protocol = protocol.of_older_software()
    slow, theta1, fast, theta2, delay = canonical(list(parameters.T))
    tissue = slow[:, None] * protocol.convolve("plasma", theta1, delay)
    return np.asarray(tissue + fast[:, None] * protocol.convolve("plasma", theta2, delay))


def derive(parameters: np.ndarray) -> np.ndarray:
    """Extraction E [1], Ktrans [1/s] and mean transit time MTT [s], (n, 3)."""
    Fp, PS, ve, vp = parameters.T[:4]
    with np.errstate(divide="ignore", invalid="ignore"):
        E = PS / (Fp + PS)
        return np.stack([E, E * Fp, (vp + ve) / Fp], axis=1)


PARAMETERS = (FP, PS, VE, VP, ARTERIAL_DELAY)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    a1, theta1, a2, theta2, delay = canonical
    Fp, k2, k3, k4 = rate_constants(a1, theta1, a2, theta2)
    vp = Fp / k2
    PS = k3 * vp
    return Fp, PS, PS / k4, vp, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    Fp, PS, ve, vp, delay = parameters
    plasma, interstitium = np.maximum(vp, SMALLEST), np.maximum(ve, SMALLEST)
    return *exponentials(Fp, Fp / plasma, PS / plasma, PS / interstitium), delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            exponentials=2,
            fastest=5.0,
            natural=natural,
            canonical=canonical,
        ),
        protocol.of_older_software(),
    )


MODELS = (
    Model(
        "two_compartment_exchange",
        predict,
        parameters=PARAMETERS,
        needs=("plasma",),
        derived=(
            Parameter("E", "1", code="Q.PH1.005", help="extraction fraction, PS / (Fp + PS)"),
            Parameter("Ktrans", "1/min", code="Q.PH1.008", help="volume transfer constant, E Fp"),
            Parameter("MTT", "s", code="Q.PH1.006", help="mean transit time, (vp + ve) / Fp"),
        ),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="two-compartment exchange model: flow, permeability and both volumes",
        reference="doi:10.1088/0031-9155/57/2/R1; CAPLEX M.IC1.009, doi:10.1002/mrm.29840",
        family="contrast",
        also=("2CXM", "2CX"),
    ),
)
