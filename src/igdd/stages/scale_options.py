"""Options of a scaling: weights, exponent, scatter of tumours; those without effect are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.kernels.allometry import EXPONENTS, Exponent
from igdd.kernels.scaled_uptake import GAIN_SD
from igdd.stages.bounded_quantity import named

WEIGHTS = (0.1, 1e7)  # g: of a body
OF_TABLE = ("to-weight", "exponent", "exponent-sd")
OF_PARAMETER = (*OF_TABLE, "weight", "sd")
OF_UPTAKE = ("sd", "weight", "mass", "dose", "label-on", "density", "time")
LABELS = ("drug", "carrier", "label")


def refuse_idle(
    stated: Mapping[str, Any], *, table: bool, parameter: bool, elsewhere: bool
) -> None:
    """Refuse options that what is asked for has no use of.

    >>> refuse_idle({"gain": 2.0}, table=False, parameter=False, elsewhere=False)
    Traceback (most recent call last):
    igdd.errors.InputError: gain without to-weight; expected the other body's weight too
    """
    given = {name for name, value in stated.items() if value is not None}
    kind = "a table of species" if table else "a parameter"
    used = OF_TABLE if table else OF_PARAMETER if parameter else OF_UPTAKE
    idle = sorted(given - set(used))
    if (table or parameter) and idle:
        raise InputError(f"{kind} has no use of {', '.join(idle)}; expected {', '.join(used)} only")
    if not (table or parameter or elsewhere) and idle:
        raise InputError(
            f"{', '.join(idle)} without to-weight; expected the other body's weight too"
        )
    label = stated.get("label-on")
    if label is not None and label.strip().lower() not in LABELS:
        raise InputError(f"label-on is {label[:40]!r}; expected {', '.join(LABELS)}")


def exponent_of(parameter: str, value: float | None, sd: float | None) -> Exponent:
    """Exponent of body weight for a parameter: as stated, else the published one."""
    if parameter not in EXPONENTS:
        raise InputError(
            f"parameter {parameter[:40]!r} is not known; expected {', '.join(EXPONENTS)}"
        )
    known = EXPONENTS[parameter]
    if value is None and sd is None:
        return known
    if value is None:
        raise InputError(f"exponent-sd {sd:g} without its exponent; expected an exponent too")
    if not -2 <= value <= 2 or not 0 <= (0.0 if sd is None else sd) <= 2:
        raise InputError(
            f"exponent {value:g}, exponent-sd {sd}; expected an exponent of -2 to 2, its sd of 0 "
            "to 2"
        )
    return Exponent(value, 0.0 if sd is None else sd, "as stated")


def gain_sd_of(gain: float, fold: float | None) -> float:
    """Scatter of tumours, sd of the logarithm, of its fold; checks the gain beside it."""
    if not 1e-6 <= gain <= 1e6:
        raise InputError(f"gain is {gain:g}; expected 1e-6 to 1e6")
    if fold is None:
        return GAIN_SD
    if not 1 <= fold <= 1e6:
        raise InputError(f"gain-fold is {fold:g}; expected 1 (no scatter) to 1e6")
    return float(np.log(fold))


def weight_of(name: str, text: str | None) -> float | None:
    """A body's weight in g, within what a mammal weighs."""
    if text is None:
        return None
    found = named(name, text, "g")
    if not WEIGHTS[0] <= found <= WEIGHTS[1]:
        raise InputError(f"{name} is {text!r}; expected 0.1 g to 10 t")
    return found
