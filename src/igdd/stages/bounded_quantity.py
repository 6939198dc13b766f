"""Quantities of a call, above zero and within what can be meant of an animal, a person or an agent.

Outside these bounds a number is a slip (a unit forgotten, a power of ten lost), and the models
would answer it with a number all the same.
"""

from __future__ import annotations

from pathlib import Path

from igdd import units
from igdd.errors import InputError, UnitsError

BOUNDS = {
    "h": (1e-3, 1e5),
    "mL": (1e-3, 1e6),
    "g": (1e-9, 1e7),
    "g/mL": (0.1, 25.0),
    "nm": (0.2, 400.0),
    "um": (0.5, 1e3),
    "cm/s": (1e-12, 1e-2),
    "kg/mol": (1e-2, 1e6),
    "1/h": (0.0, 1e4),
    "%/g": (0.0, 1e6),
}


def named(name: str, text: str, unit: str) -> float:
    """A quantity of a call in a unit; an error begins with the name of what was asked for.

    >>> named("size", "0.1 um", "nm")
    100.0
    """
    try:
        return units.read(text, unit)
    except UnitsError as error:
        raise UnitsError(f"{name}: {error}") from error


def header_factor(path: Path, header: str, found: str, wished: str) -> float:
    """What a table's column must be multiplied by; an error names the file and the column.

    >>> header_factor(Path("species.csv"), "weight [kg]", "kg", "g")
    1000.0
    """
    try:
        return units.factor(found, wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: column {header[:60]!r}: {error}") from error


def quantity(name: str, text: str, unit: str) -> float:
    """A quantity in a unit of `BOUNDS`, within its bounds; zero only where they begin there.

    >>> quantity("half-life", "76.1 h", "h")
    76.1
    """
    found = named(name, text, unit)
    low, high = BOUNDS[unit]
    if not low <= found <= high:
        raise InputError(
            f"{name} is {text[:40]!r}; expected {low:g} to {high:g} {unit}; is its unit right?"
        )
    return found
