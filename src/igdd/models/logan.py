"""Logan graphical analysis: the distribution volume of an agent that comes back, as a line.

With C the tissue and Cp the parent agent in arterial plasma, once the tissue moves in step with
its plasma (from t* on),

    int_0^t C(s) ds / C(t) = VT int_0^t Cp(s) ds / C(t) + b

VT is the distribution volume [mL/cm3] and b [s] is below zero; with one tissue compartment b is
-1 / k2 and the line holds from the start. The regression is unweighted on these axes, or weighted
by the curves' standard deviations. The tissue is on both axes, so that its noise lowers VT. It is
integrated over its own frames, which must follow each other without a gap.

Logan et al., J Cereb Blood Flow Metab 1990;10:740, doi:10.1038/jcbfm.1990.127.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solver
from igdd.models import _graphical
from igdd.models._parameters import UNBOUNDED


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Concentration (n, t) of one tissue with (VT, b, Vb) in SI; NaN in frames before t*."""
    return _graphical.one_tissue(parameters, protocol)


def prepare(protocol: Protocol) -> Solver:
    """Solver for (VT, b, Vb); t* as the options say, or by rule."""
    from igdd.kernels.graphical import LOGAN

    return _graphical.prepare(LOGAN, _graphical.unchanged, protocol)


MODELS = (
    Model(
        "logan",
        predict=predict,
        parameters=(
            Parameter("VT", "mL/cm3", UNBOUNDED, help="distribution volume"),
            Parameter("b", "min", UNBOUNDED, help="intercept of the plot"),
            _graphical.VASCULAR,
        ),
        needs=("plasma",),
        help="Logan plot: distribution volume VT of an agent that comes back, from the late frames",
        reference="doi:10.1038/jcbfm.1990.127",
        prepare=prepare,
        closed=True,
        voxelwise=True,
        options=_graphical.OPTIONS,
    ),
)
