"""The amount and the space of a concentration, and a model's units as they follow from them.

A concentration is an amount over a volume or a mass ("mg/L", "%/g", "Bq/mL"). A dose is in that
amount; a volume of distribution in that volume, or in that mass.
"""

from __future__ import annotations

import re
from dataclasses import replace

from igdd import units
from igdd.declare import Model, Option, Parameter
from igdd.errors import UnitsError

AMOUNT, VOLUME = "{amount}", "{volume}"
# What an amount and a space are counted in inside, in order: per cent are a number.
AMOUNTS = ("g", "Bq", "mol", "1", "{counts}")
SPACES = ("mL", "g")


def quotient(unit: str) -> tuple[str, str]:
    """Numerator and denominator of a unit; the latter empty where there is none.

    >>> quotient("mg/L"), quotient("%ID/g"), quotient("kBq")
    (('mg', 'L'), ('%', 'g'), ('kBq', ''))
    """
    plain = units.parse(unit).ucum
    depth = 0
    for place, sign in enumerate(plain):
        depth += (sign == "(") - (sign == ")")
        if sign == "/" and not depth:
            below = plain[place + 1 :]
            whole = re.fullmatch(r"\(([^()]*)\)", below)
            return plain[:place] or "1", whole[1] if whole else below
    return plain, ""


def inside(unit: str) -> str:
    """The unit inside of a concentration or an amount.

    >>> inside("mg/L"), inside("%ID/g"), inside("nmol/L"), inside("kBq"), inside("ug/g")
    ('g/mL', '1/g', 'mol/mL', 'Bq', 'g/g')
    """
    above, below = quotient(unit)
    amount = next((one for one in AMOUNTS if units.converts(above, one)), None)
    space = next((one for one in SPACES if below and units.converts(below, one)), "")
    if amount is None or bool(space) != bool(below):
        raise UnitsError(
            f"samples are in {unit!r}; expected an amount (mg, MBq, nmol, %) or one over a volume "
            "or a mass, such as mg/L or %ID/g"
        )
    return f"{amount}/{space}" if space else amount


def concrete(model: Model, unit: str) -> Model:
    """The model with the units of its parameters and options as those of a concentration have it.

    A model that asks for an amount of dose is refused where the curves are no concentration.
    """
    texts = [one.unit for one in (*model.parameters, *model.derived)]
    texts += [one.unit for one in model.options]
    if not any(mark in text for mark in (AMOUNT, VOLUME) for text in texts):
        return model
    amount, space = quotient(unit)
    if not space:
        raise UnitsError(
            f"model {model.name}: the curves are in {unit!r}, which has no volume or mass below "
            "it, so that a dose gives no clearance; expected a unit such as mg/L, kBq/mL or %ID/g"
        )
    return replace(
        model,
        parameters=tuple(_parameter(one, amount, space) for one in model.parameters),
        derived=tuple(_parameter(one, amount, space) for one in model.derived),
        options=tuple(_option(one, amount, space) for one in model.options),
    )


def in_unit_of(model: Model, unit: str) -> Model:
    """The model with the curves' own unit where its parameters are in that, whatever it is."""
    if not any(units.CURVE in one.unit for one in (*model.parameters, *model.derived)):
        return model
    parameters, derived = (
        tuple(replace(one, unit=units.of_curve(one.unit, unit)) for one in some)
        for some in (model.parameters, model.derived)
    )
    return replace(model, parameters=parameters, derived=derived)


def _parameter(one: Parameter, amount: str, space: str) -> Parameter:
    return replace(one, unit=_put(one.unit, amount, space))


def _option(one: Option, amount: str, space: str) -> Option:
    return replace(one, unit=_put(one.unit, amount, space))


def _put(text: str, amount: str, space: str) -> str:
    """A unit with its marks replaced; compound ones in parentheses."""
    for mark, own in ((AMOUNT, amount), (VOLUME, space)):
        whole = f"({own})" if re.search(r"[./]", own) and text != mark else own
        text = text.replace(f"1{mark}", whole).replace(mark, whole)
    return text
