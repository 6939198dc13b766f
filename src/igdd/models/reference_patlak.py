"""Patlak graphical analysis with a reference tissue: relative rate of trapping, as a line.

With C the tissue and Cr a reference tissue that keeps nothing, from t* on,

    C / Cr = Kiref int Cr / Cr + V

Kiref [1/s] is the rate of uptake per volume of reference tissue, k2 k3 / (k2 + k3) where both share
K1 / k2; V [1] what stays exchangeable, relative to the reference. The regression is unweighted on
these axes, or weighted by the curves' standard deviations.
Patlak and Blasberg, J Cereb Blood Flow Metab 1985;5:584, doi:10.1038/jcbfm.1985.87.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _graphical, _reference
from igdd.models._parameters import UNBOUNDED


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (Kiref, V) in SI; NaN in frames before t*."""
    Kiref, V = parameters.T
    trapped = Kiref[:, None] * protocol.convolve("reference", np.zeros(1))
    tissue = trapped + V[:, None] * protocol.mean("reference")
    return np.where(_graphical.used_frames(protocol), tissue, np.nan)


def prepare(protocol: Protocol) -> Solver:
    """Solver for (Kiref, V); t* as the options say, or by rule."""
    from igdd.kernels.graphical import PATLAK

    return _reference.line(PATLAK, *_reference.level_and_area(protocol), protocol)


MODELS = (
    Model(
        "reference_patlak",
        predict,
        parameters=(
            Parameter("Kiref", "1/min", UNBOUNDED, help="rate of trapping", start=(0.01,)),
            Parameter("V", "1", UNBOUNDED, help="share that exchanges", start=(1.0,)),
        ),
        needs=("reference",),
        help="Patlak plot against a reference tissue that keeps nothing, from the late frames",
        reference="doi:10.1038/jcbfm.1985.87",
        prepare=prepare,
        closed=True,
        voxelwise=True,
        family="reference",
        also=("refPatlak", "Patlak reference"),
        options=_graphical.OPTIONS,
    ),
)
