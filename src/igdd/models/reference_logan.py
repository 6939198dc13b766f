"""Logan graphical analysis with a reference tissue: the distribution volume ratio, as a line.

With C the tissue and Cr the reference tissue, from t* on,

    int C / C = DVR (int Cr + Cr / k2') / C + b,      BPND = DVR - 1

k2' [1/s] is the reference's rate back to plasma; without it its term is left out, which holds where
the two tissues have come to a steady ratio. The regression is unweighted on these axes, or weighted
by the curves' standard deviations. The tissue is on both axes, so that its noise lowers DVR.
Logan et al., J Cereb Blood Flow Metab 1996;16:834, doi:10.1097/00004647-199609000-00008.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Option, Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solver
from igdd.models import _graphical, _reference
from igdd.models._parameters import UNBOUNDED

# 1/s: no reference tissue empties faster, and a number in 1/min would.
FASTEST = 2 / 60


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (DVR, b) in SI, on whose plot the line holds from the start; NaN before t*.

    C = DVR k (Cr / k2' + (1 - k / k2') Cr (x) exp(-k t)) with k = -1 / b.
    """
    DVR, b = parameters.T
    k = -1 / b
    inverse = _inverse_k2prime(protocol)
    retained = (1 - k * inverse)[:, None] * protocol.convolve("reference", k)
    tissue = (DVR * k)[:, None] * (inverse * protocol.mean("reference") + retained)
    return np.where(_graphical.used_frames(protocol), tissue, np.nan)


def derive(parameters: np.ndarray) -> np.ndarray:
    """Binding potential BPND [1], (n, 1)."""
    return parameters[:, :1] - 1


def prepare(protocol: Protocol) -> Solver:
    """Solver for (DVR, b); t* as the options say, or by rule."""
    from igdd.kernels.graphical import LOGAN

    level, area = _reference.level_and_area(protocol)
    area = area + _inverse_k2prime(protocol) * level
    return _reference.line(LOGAN, level, area, protocol)


def _inverse_k2prime(protocol: Protocol) -> float:
    """1 / k2' in s, 0 where it is not given."""
    k2prime = protocol.options.get("k2prime")
    if k2prime is None:
        return 0.0
    if not k2prime > 0:
        raise InputError(f"k2prime is {k2prime:g} 1/s; expected above 0")
    if k2prime > FASTEST:
        raise InputError(
            f"k2prime is {k2prime:g} 1/s, {60 * k2prime:g} 1/min; expected at most "
            f"{60 * FASTEST:g} 1/min; a number is in 1/s, text says its unit: '0.1 1/min'"
        )
    return 1 / float(k2prime)


MODELS = (
    Model(
        "reference_logan",
        predict,
        parameters=(
            Parameter("DVR", "1", UNBOUNDED, help="distribution volume ratio", start=(2.0,)),
            Parameter("b", "min", UNBOUNDED, help="intercept of the plot", start=(-20.0,)),
        ),
        needs=("reference",),
        help="Logan plot against a reference tissue: distribution volume ratio, from late frames",
        reference="doi:10.1097/00004647-199609000-00008",
        derived=(Parameter("BPND", "1", help="binding potential, DVR - 1"),),
        derive=derive,
        prepare=prepare,
        closed=True,
        voxelwise=True,
        family="reference",
        also=("refLogan", "Logan reference"),
        options=(
            *_graphical.OPTIONS,
            Option("k2prime", "1/s", default=None, help="rate of the reference back to plasma"),
        ),
    ),
)
