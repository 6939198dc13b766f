"""Headers of regions in a table of curves: "liver [kBq/mL]" has a unit, "Putamen (L)" but a name.

A bracket at the end of a header is a unit where it reads as one in which curves may be, or looks
like one that is misspelled, for an error to say so. A lone letter or number, such as (M) or (1), is
a unit only where every region has the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from igdd import units
from igdd.errors import UnitsError

# Unit inside -> the quantity of curves whose stated unit converts to it.
QUANTITIES = {
    "Bq/mL": "activity_concentration",
    "mol/mL": "amount_concentration",
    "g/mL": "mass_concentration",
    "1/s": "relaxation_rate",
    "HU": "attenuation",
    "1": "relative",
}

_BRACKET = re.compile(r"(?P<name>.+?)\s*[\[(](?P<text>[^\[\]()]+)[\])]")
# A share such as 41%, a number such as 1001 or 1/2; and grey matter rather than 10^9 mol/L.
_NEVER_UNIT = re.compile(r"(?!1/[A-Za-z]|10[*^])[0-9].+|[^A-Za-zµμ%]{2,}|[TGkdc]M")


def split(header: str) -> tuple[str, str]:
    """A header without the bracket at its end, and the text of that; "" where there is none.

    >>> split("Putamen (L) [kBq/mL]"), split("liver")
    (('Putamen (L)', 'kBq/mL'), ('liver', ''))
    """
    plain = header.strip().strip('"')
    match = _BRACKET.fullmatch(plain)
    return (match["name"].strip(), match["text"].strip()) if match else (plain, "")


def names_and_units(headers: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Name of each region, and the unit that its header states or seems to.

    >>> names_and_units(["Putamen (L) [KBq/mL]", "Putamen (R)"])
    {'Putamen (L) [KBq/mL]': ('Putamen (L)', 'KBq/mL'), 'Putamen (R)': ('Putamen (R)', None)}
    """
    parts = [split(header) for header in headers]
    shared = len({text for _, text in parts}) == 1
    return {
        header: (name, text)
        if _looks_like_unit(text, shared)
        else (header.strip().strip('"'), None)
        for header, (name, text) in zip(headers, parts, strict=True)
    }


def is_unit(text: str) -> bool:
    """Whether curves may be in a unit."""
    return any(units.converts(text, wished) for wished in QUANTITIES)


def why_no_unit(text: str) -> str:
    """What is wrong with a text that is no unit of curves."""
    try:
        units.parse(text)
    except UnitsError as error:
        return str(error)
    said = ", ".join(name.replace("_", " ") for name in QUANTITIES.values())
    return f"unit {text!r} is of something else; expected a unit of {said}"


def _looks_like_unit(text: str, shared: bool) -> bool:
    if not text or _NEVER_UNIT.fullmatch(text):
        return False
    if len(text) == 1 and text.isalnum():
        return shared and is_unit(text)
    meant = units.respelled(text)
    if is_unit(text) or "/" in text or (meant is not None and is_unit(meant)):
        return True
    # One of another quantity, such as kBq for kBq/mL; of a single region (pm) may be a name.
    return shared and len(text) > 1 and _is_known(text)


def _is_known(text: str) -> bool:
    try:
        units.parse(text)
    except UnitsError:
        return False
    return True
