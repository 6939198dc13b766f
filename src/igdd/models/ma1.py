"""MA1, multilinear analysis: the distribution volume without dividing by the noisy tissue.

With C the tissue and Cp the parent agent in arterial plasma, from t* on,

    C(t) = -(VT / b) int_0^t Cp(s) ds + (1 / b) int_0^t C(s) ds

which is Logan's line solved for C, so that the noise of a frame stands on one side only. VT is
minus the first coefficient over the second [mL/cm3], b [s] is below zero. The regression is
unweighted, or weighted by the curves' standard deviations. The tissue is integrated over its own
frames, which must follow each other without a gap.

Ichise et al., J Cereb Blood Flow Metab 2002;22:1271, doi:10.1097/01.WCB.0000038000.34930.4E.
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
    """Solver for (VT, b, Vb); t* as the options say, or by the rule for Logan's plot."""
    from igdd.kernels.graphical import MULTILINEAR

    return _graphical.prepare(MULTILINEAR, _natural, protocol)


def _natural(coefficients: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(VT, b) = (-c1 / c2, 1 / c2) and their covariance, by the delta method."""
    first, second = coefficients.T
    one, other = -1 / second, first / second**2  # dVT/dc1, dVT/dc2
    last = -1 / second**2  # db/dc2
    (c11, c12), (_, c22) = np.moveaxis(covariance, 0, -1)
    carried = np.empty_like(covariance)
    carried[:, 0, 0] = one**2 * c11 + 2 * one * other * c12 + other**2 * c22
    carried[:, 0, 1] = carried[:, 1, 0] = last * (one * c12 + other * c22)
    carried[:, 1, 1] = last**2 * c22
    return np.stack([-first / second, 1 / second], axis=1), carried


MODELS = (
    Model(
        "ma1",
        predict=predict,
        parameters=(
            Parameter("VT", "mL/cm3", UNBOUNDED, help="distribution volume"),
            Parameter("b", "min", UNBOUNDED, help="intercept of Logan's plot"),
            _graphical.VASCULAR,
        ),
        needs=("plasma",),
        help="MA1: distribution volume VT by multilinear regression, less biased than Logan's plot",
        reference="doi:10.1097/01.WCB.0000038000.34930.4E",
        prepare=prepare,
        closed=True,
        voxelwise=True,
        options=_graphical.OPTIONS,
    ),
)
