"""Tables of S values: dose to a target per decay in a source, from a reference person or animal.

    column              needed    meaning
    target, source      yes       regions, as the activity's table names them
    s                   yes       in a unit of dose per decay, such as "s [mGy/(MBq.s)]"
    target_mass         optional  mass of the target in the reference, such as "target_mass [g]"
    note                optional  not read

A pair stands once. Masses let the self-dose be scaled to the patient's own organ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import columns, tables

NAMES = ("target", "source", "s", "target_mass", "note")
UNIT = "Gy/(Bq.s)"

# The unit of an S value has parentheses of its own.
_BRACKET = re.compile(r"(?P<name>\w+)\s*\[(?P<unit>[^\[\]]+)\]")


@dataclass(frozen=True, kw_only=True, eq=False)
class SValues:
    """S values in Gy/(Bq s) by (target, source), and reference masses in g by target."""

    values: Mapping[tuple[str, str], float]
    masses: Mapping[str, float]
    source: str

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets in the order in which the table names them first."""
        return tuple(dict.fromkeys(target for target, _ in self.values))


def read(path: Path) -> SValues:
    """The S values of a CSV, TSV or xlsx table."""
    path = Path(path)
    header = [str(name) for name in tables.read_table(path).columns]
    parts = {one: _name_and_unit(one) for one in header}
    spelled = columns.spelled(parts, NAMES, ("target", "source", "s"), path)
    table = tables.read_table(path, text=[spelled["target"][0], spelled["source"][0]])
    numbers = {
        name: tables.numbers(table, spelled[name][0], str(path), _factor(spelled[name], name, path))
        for name in ("s", "target_mass")
        if name in spelled
    }
    masses = numbers.get("target_mass", np.full(len(table), np.nan))
    values: dict[tuple[str, str], float] = {}
    known: dict[str, float] = {}
    pairs = zip(table[spelled["target"][0]], table[spelled["source"][0]], strict=True)
    for row, (line, (target, source)) in enumerate(zip(table.index, pairs, strict=True)):
        where = f"{path}: line {line}"
        value, mass = float(numbers["s"][row]), float(masses[row])
        if not (isinstance(target, str) and isinstance(source, str)):
            raise InputError(f"{where}: has no target or no source; expected both")
        if (target, source) in values:
            raise InputError(f"{where}: {target} from {source} stands there twice; expected once")
        if not value >= 0:
            raise InputError(f"{where}: S is {value:g}; expected a number of at least 0")
        values[target, source] = value
        if np.isfinite(mass):
            if not mass > 0 or known.get(target, mass) != mass:
                raise InputError(f"{where}: {target} of {mass:g} g; expected one mass above 0")
            known[target] = mass
    if not values:
        raise InputError(f"{path}: holds no S value; expected one row per target and source")
    return SValues(values=values, masses=known, source=path.name)


def _name_and_unit(header: str) -> tuple[str, str | None]:
    """Column name and unit of "s [mGy/(MBq.s)]"."""
    match = _BRACKET.fullmatch(header.strip())
    if match:
        return match["name"].lower(), match["unit"]
    return columns.name_and_unit(header, NAMES)


def _factor(column: tuple[str, str | None], name: str, path: Path) -> float:
    header, unit = column
    wished = UNIT if name == "s" else "g"
    if unit is None:
        example = "s [mGy/(MBq.s)]" if name == "s" else "target_mass [g]"
        raise UnitsError(f"{path}: column {header!r} has no unit; expected one such as {example!r}")
    try:
        return units.factor(unit, wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: column {header!r}: {error}") from error
