"""Two-compartment uptake model of a contrast agent, with arterial delay: nothing comes back.

Plasma, volume vp, is flushed by the flow Fp and loses PS to an interstitium that keeps what it has:

    vp dcp/dt = Fp (ca(t - Ta) - cp) - PS cp
       dCe/dt = PS cp,        Ct = vp cp + Ce                                  (CAPLEX M.IC1.007)

so that, with E = PS / (Fp + PS) and the plasma's transit time Tp = vp / (Fp + PS),

    Ct(t) = Fp (1 - E) (ca (x) exp(-t / Tp))(t - Ta) + Fp E int_0^t ca(s - Ta) ds

Fp, PS [mL/cm3/s inside], vp [1]; Ktrans = E Fp [1/s]. It holds while the interstitium is far from
full. Pradel et al., Med Phys 2003;30:2518; Sourbron and Buckley, Phys Med Biol 2012;57:R1.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _exponentials
from igdd.models._exponentials import Arrays, Form
from igdd.models._parameters import ARTERIAL_DELAY, FP, PS, VP

# A volume below this is taken as this: the limit of no volume is reached to rounding.
SMALLEST = 1e-9


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration in the tissue (n, t), of (Fp, PS, vp, delay) in SI."""
    trapped, passing, leaving, delay = canonical(list(parameters.T))
    plasma = passing[:, None] * protocol.convolve("plasma", leaving, delay)
    interstitium = trapped[:, None] * protocol.convolve("plasma", np.zeros(delay.size), delay)
    return np.asarray(plasma + interstitium)


def derive(parameters: np.ndarray) -> np.ndarray:
    """Extraction E [1], Ktrans [1/s] and the plasma's transit time vp / (Fp + PS) [s], (n, 3)."""
    Fp, PS, vp = parameters.T[:3]
    with np.errstate(divide="ignore", invalid="ignore"):
        E = PS / (Fp + PS)
        return np.stack([E, E * Fp, vp / (Fp + PS)], axis=1)


PARAMETERS = (FP, PS, VP, ARTERIAL_DELAY)


def natural(canonical: Arrays) -> Arrays:
    """The model's parameters of coefficients and rates."""
    trapped, passing, leaving, delay = canonical
    Fp = trapped + passing
    PS = Fp * trapped / passing
    return Fp, PS, (Fp + PS) / leaving, delay


def canonical(parameters: Arrays) -> Arrays:
    """Coefficients and rates of the model's parameters."""
    Fp, PS, vp, delay = parameters
    E = np.divide(PS, Fp + PS, out=np.zeros_like(PS), where=Fp + PS > 0)
    return Fp * E, Fp * (1 - E), (Fp + PS) / np.maximum(vp, SMALLEST), delay


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once, by basis functions."""
    return _exponentials.prepare(
        Form(
            parameters=PARAMETERS,
            predict=predict,
            source="plasma",
            columns=("integral",),
            held=("",),
            fastest=5.0,
            natural=natural,
            canonical=canonical,
        ),
        protocol,
    )


MODELS = (
    Model(
        "two_compartment_uptake",
        predict,
        parameters=PARAMETERS,
        needs=("plasma",),
        derived=(
            Parameter("E", "1", code="Q.PH1.005", help="extraction fraction, PS / (Fp + PS)"),
            Parameter("Ktrans", "1/min", code="Q.PH1.008", help="volume transfer constant, E Fp"),
            Parameter("Tp", "s", help="transit time of the plasma, vp / (Fp + PS)"),
        ),
        derive=derive,
        prepare=prepare,
        voxelwise=True,
        help="two-compartment uptake model: flow and permeability, nothing comes back",
        reference="doi:10.1088/0031-9155/57/2/R1; CAPLEX M.IC1.007, doi:10.1002/mrm.29840",
        family="contrast",
        also=("2CUM", "2CU"),
    ),
)
