"""Units of non-compartmental parameters, from those of time, concentration and dose.

A concentration is an amount over a volume or a mass ("mg/L", "%/g", "Bq/mL"). The dose is brought
to that amount; what is left, the volume or mass, is the unit of a volume of distribution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.stages.amounts import quotient

NUMBER = re.compile(r"\s*[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*(?P<unit>.+?)\s*")


@dataclass(frozen=True, kw_only=True)
class Dose:
    """A dose in the amount of the concentration; NaN where none was given.

    space  unit of volume or mass below that amount
    per    what the dose is per ("kg" of "5 mg/kg"); empty for a plain amount
    """

    value: float = float("nan")
    space: str = ""
    per: str = ""


def read_dose(text: str | None, concentration: str) -> Dose:
    """The dose of a text such as "320 mg" or "5 mg/kg", for concentrations in a unit.

    >>> read_dose("25 mg", "ng/mL").value, read_dose("5 mg/kg", "mg/L").per
    (25000000.0, 'kg')
    """
    if text is None:
        return Dose()
    amount, space = quotient(concentration)
    if not space:
        raise UnitsError(
            f"concentration in {concentration!r} has no volume or mass below it, so that a dose "
            "gives no clearance; expected a unit such as mg/L or %ID/g; leave the dose out"
        )
    match = NUMBER.fullmatch(text)
    per = quotient(match["unit"])[1] if match else ""
    value = units.read(text, f"{amount}/{_grouped(per)}" if per else amount)
    if value < 0:
        raise InputError(f"dose {text!r} is negative; expected an amount of at least 0")
    return Dose(value=value, space=space, per=per)


def _grouped(unit: str) -> str:
    return f"({unit})" if re.search(r"[./]", unit) else unit


def _over(above: str, *below: str) -> str:
    """A quotient in UCUM: at most one "/", its divisor in parentheses where it has parts."""
    parts = ".".join(part for part in below if part)
    return f"{above}/{_grouped(parts)}" if parts else above


def unit_of(code: str, time: str, concentration: str, dose: Dose) -> str:
    """UCUM unit of a parameter.

    >>> dose = read_dose("320 mg", "mg/L")
    >>> [unit_of(code, "h", "mg/L", dose) for code in ("AUCLST", "AUMCLST", "CLO", "VZO", "LAMZ")]
    ['h.mg/L', 'h2.mg/L', 'L/h', 'L', '1/h']
    """
    amount, space = quotient(concentration)
    squared = f"{time}2" if time.isalpha() else f"{time}.{time}"
    special = {
        "CMAXD": _over(dose.per or "1", space),
        "AUCIFOD": _over(f"{time}.{dose.per}" if dose.per else time, space),
        "LAMZ": f"1/{_grouped(time)}",
        "CLO": _over(dose.space or space, time, dose.per),
        "VZO": _over(dose.space or space, dose.per),
        "LAMZNPT": "1", "R2": "1", "R2ADJ": "1", "CORRXY": "1",
    }  # fmt: skip
    twins = {"AUCIFPD": "AUCIFOD", "CLP": "CLO", "VZP": "VZO", "VSSO": "VZO", "VSSP": "VZO"}
    code = twins.get(code, code)
    if code in special:
        return special[code]
    if "PE" in code or "PBE" in code:
        return "%"
    if code.startswith("AU"):
        moment = squared if code.startswith("AUMC") else time
        return _over(f"{moment}.{amount}", space)
    if code in ("C0", "CMAX", "CLST", "CLSTP"):
        return concentration
    return time
