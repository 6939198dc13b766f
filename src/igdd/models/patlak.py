"""Patlak graphical analysis: uptake that is trapped, as a line through the late frames.

With C the tissue and Cp the parent agent in arterial plasma, once all that can exchange has come
to a steady ratio (from t* on),

    C(t) / Cp(t) = Ki int_0^t Cp(s) ds / Cp(t) + V

Ki is the rate at which tissue takes up and keeps the agent [mL/cm3/s inside], V the volume in which
the rest of it seems to be spread [mL/cm3]. Both axes are means over the frames. The regression is
unweighted on these axes, or weighted by the curves' standard deviations; only the input is
integrated, so frames may lie days apart.

Patlak, Blasberg and Fenstermacher, J Cereb Blood Flow Metab 1983;3:1, doi:10.1038/jcbfm.1983.1.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _graphical
from igdd.models._parameters import UNBOUNDED


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration (n, t) in the input's unit, of (Ki, V, Vb) in SI; NaN in frames before t*."""
    Ki, V, Vb = parameters.T
    trapped = Ki[:, None] * protocol.convolve("plasma", np.zeros(1))
    return _graphical.shown(trapped + V[:, None] * protocol.mean("plasma"), Vb, protocol)


def prepare(protocol: Protocol) -> Solver:
    """Solver for (Ki, V, Vb); t* as the options say, or by rule."""
    from igdd.kernels.graphical import PATLAK

    return _graphical.prepare(PATLAK, _graphical.unchanged, protocol)


MODELS = (
    Model(
        "patlak",
        predict=predict,
        parameters=(
            Parameter("Ki", "mL/cm3/min", UNBOUNDED, help="net rate of uptake"),
            Parameter("V", "mL/cm3", UNBOUNDED, help="apparent volume of what exchanges"),
            _graphical.VASCULAR,
        ),
        needs=("plasma",),
        help="Patlak plot: net uptake rate Ki of an agent that is trapped, from the late frames",
        reference="doi:10.1038/jcbfm.1983.1",
        prepare=prepare,
        closed=True,
        voxelwise=True,
        options=_graphical.OPTIONS,
    ),
)
