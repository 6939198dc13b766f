"""Columns of a table whose headers carry their unit: "mass_mg", "time [h]", or the JSON beside it.

A number of unknown unit is an error that names the column and a way to spell it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import tables

if TYPE_CHECKING:
    import pandas as pd

_BRACKET = re.compile(r"(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]+)[\])]")
# At the end of a name; "_sd" and "_time" belong to the name.
_SUFFIX = re.compile(r"(?P<name>.+)_(?P<unit>s|min|h|d|kg|g|mg|ug|ng|mL|ml|percent)")
EXAMPLES = {"s": "h", "g": "mg", "mL": "mL"}


class Asked(NamedTuple):
    """A column to be read: its name, its header as spelled, the header's unit, the unit wished."""

    name: str
    spelled: str
    unit: str | None
    wished: str


def name_and_unit(header: str, accepted: Collection[str]) -> tuple[str, str | None]:
    """Column name in lower case, and the unit that the header gives.

    >>> name_and_unit("Mass_mg", {"mass"}), name_and_unit("time [h]", {"time"})
    (('mass', 'mg'), ('time', 'h'))
    """
    plain = header.strip()
    if plain.lower() in accepted:
        return plain.lower(), None
    for form in (_BRACKET, _SUFFIX):
        match = form.fullmatch(plain)
        if match and match["name"].lower() in accepted:
            unit = {"percent": "%", "ml": "mL"}.get(match["unit"], match["unit"])
            return match["name"].lower(), unit
    return plain.lower(), None


def quantity(table: pd.DataFrame, asked: Asked, facts: Mapping[str, Any], path: Path) -> np.ndarray:
    """The column's numbers in the unit wished; `facts` is the JSON beside the table."""
    unit, described = asked.unit, facts.get(asked.name)
    if unit is None and isinstance(described, Mapping) and isinstance(described.get("Units"), str):
        unit = described["Units"]
    if unit is None and asked.wished == "1":
        unit = "1"
    if unit is None:
        raise UnitsError(
            f"{path}: column {asked.spelled!r} has no unit; expected a header such as "
            f"'{asked.name}_{EXAMPLES.get(asked.wished, asked.wished)}' or {asked.name}: "
            "{Units: ...} in the JSON"
        )
    try:
        factor = units.factor(unit, asked.wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: column {asked.spelled!r}: {error}") from error
    return tables.numbers(table, asked.spelled, str(path), factor)


def moments(table: pd.DataFrame, asked: Asked, facts: Mapping[str, Any], path: Path) -> np.ndarray:
    """Seconds of a column that holds times with a unit, or dates with their clock time."""
    if table[asked.spelled].dtype.kind != "f":
        return _clock(table, asked.spelled, path)
    return quantity(table, asked, facts, path)


def _clock(table: pd.DataFrame, spelled: str, path: Path) -> np.ndarray:
    """Seconds since the earliest date and clock time of a column."""
    moments: list[datetime | None] = []
    for line, cell in table[spelled].items():
        if not isinstance(cell, str):
            moments.append(None)
            continue
        try:
            if len(cell) < 12:  # a date without its clock would pass for midnight
                raise ValueError("no clock time")
            moment = datetime.fromisoformat(cell)
        except ValueError as error:
            raise InputError(
                f"{path}: line {line}, column {spelled!r} holds {cell[:40]!r}; expected a date and "
                "a time such as 2026-05-01 12:30:00, or a header with a unit such as counted_at_min"
            ) from error
        moments.append(moment)
    known = [moment for moment in moments if moment is not None]
    if len({moment.tzinfo is None for moment in known}) > 1:
        raise InputError(
            f"{path}: column {spelled!r} has a time zone in some rows only; expected all or none"
        )
    first = min(known)
    return np.array([np.nan if m is None else (m - first).total_seconds() for m in moments])
