"""Columns of a table whose headers carry their unit: "mass_mg", "time [h]", or the JSON beside it.

A number of unknown unit is an error that names the column and a way to spell it; so is a column
that is unknown, doubled or missing. A row is refused by its line in the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
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
# A cell such as "5 mg": a number with a unit of its own.
_QUANTITY = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*[%A-Za-zµμ][^0-9]*")
EXAMPLES = {"s": "h", "g": "mg", "mL": "mL"}
# Units that people write as words.
WORDS = {"percent": "%", "fraction": "1"}

# Name of a column -> its header as spelled, and the unit in it.
Spelled = Mapping[str, tuple[str, str | None]]


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


def spelled(
    parts: Spelled,
    accepted: Collection[str],
    needed: Collection[str],
    path: Path,
    mend: str = "remove the column or name it note",
) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and its unit. Unknown, doubled or missing: an error.

    `parts` has the name and the unit of every header.

    >>> spelled({"Mass_mg": ("mass", "mg")}, ("mass", "note"), ("mass",), Path("masses.csv"))
    {'mass': ('Mass_mg', 'mg')}
    """
    found: dict[str, tuple[str, str | None]] = {}
    for header, (name, unit) in parts.items():
        if name not in accepted:
            raise InputError(
                f"{path}: column {header[:60]!r} is unknown; expected {', '.join(accepted)}; {mend}"
            )
        if name in found:
            raise InputError(
                f"{path}: columns {found[name][0]!r} and {header!r} are both {name}; remove one"
            )
        found[name] = (header, unit)
    missing = [name for name in needed if name not in found]
    if missing:
        others = ", ".join(name for name in accepted if name not in needed)
        raise InputError(
            f"{path}: column {', '.join(missing)} is missing; expected {', '.join(needed)} in the "
            f"header and, where there are any, {others}"
        )
    return found


def texts(table: pd.DataFrame, found: Spelled, name: str, absent: str = "") -> tuple[str, ...]:
    """Texts of a column, empty where a cell is; `absent` in every row where there is no column."""
    if name not in found:
        return (absent,) * len(table)
    return tuple(cell if isinstance(cell, str) else "" for cell in table[found[name][0]])


def every_text(
    table: pd.DataFrame, found: Spelled, name: str, path: Path, absent: str = ""
) -> tuple[str, ...]:
    """Texts of a column as `texts`; an empty cell is an error."""
    cells = texts(table, found, name, absent)
    if name in found:
        refuse_missing(table, np.array([not cell for cell in cells]), name, path)
    return cells


def refuse(
    table: pd.DataFrame,
    wrong: np.ndarray | pd.Series,
    what: str,
    path: Path,
    values: np.ndarray | pd.Series | None = None,
) -> None:
    """Refuse the first row that is wrong, by its line; {} in `what` stands for its value."""
    rows = np.flatnonzero(wrong)
    if rows.size:
        said = what if values is None else what.format(np.asarray(values)[rows[0]])
        raise InputError(f"{path}: line {table.index[rows[0]]}: {said}")


def refuse_missing(
    table: pd.DataFrame,
    missing: np.ndarray,
    name: str,
    path: Path,
    expected: str = "one in every row",
) -> None:
    """Refuse the first row that lacks a cell it needs, by its line."""
    if missing.any():
        raise InputError(
            f"{path}: line {table.index[missing][0]} has no {name}; expected {expected}"
        )


def refuse_units(table: pd.DataFrame, header: str, unit: str, path: Path) -> None:
    """Refuse a cell with a unit of its own: the others have none, and theirs may differ."""
    for line, cell in table[header].items():
        if isinstance(cell, str) and _QUANTITY.fullmatch(cell):
            raise UnitsError(
                f"{path}: line {line}: mixed units: column {header!r} holds {cell[:40]!r} with a "
                f"unit of its own; expected a plain number in {unit}"
            )


def check_times(time: np.ndarray, source: str) -> None:
    """Refuse samples without a time, out of order or at one time, and a table without samples."""
    if time.ndim != 1 or not time.size:
        raise InputError(f"{source}: holds no sample; expected one row for each")
    if not (known := np.isfinite(time)).all():
        raise InputError(
            f"{source}: sample {int(np.argmin(known)) + 1} has no time; expected a finite time for "
            "each of its rows; remove the row"
        )
    if not (later := np.diff(time) > 0).all():
        first = int(np.argmin(later))
        raise InputError(
            f"{source}: sample {first + 2} is at {time[first + 1]:g} s, not after sample "
            f"{first + 1} at {time[first]:g} s; expected ascending times; sort the rows, and keep "
            "one of those at the same time"
        )


def described(facts: Mapping[str, Any], name: str) -> str | None:
    """Unit of a column by the JSON beside the table.

    Letters of its keys may be small or capital: a unit that is passed over would let a time in
    minutes pass for seconds.

    >>> described({"Time": {"units": "min"}}, "time")
    'min'
    """
    entry = _under(facts, name)
    return stated_in(entry) if isinstance(entry, Mapping) else None


def stated_in(entry: Mapping[str, Any]) -> str | None:
    """The unit that an entry of a JSON, or the whole of it, states under "Units"."""
    unit = single(_under(entry, "Units"))
    return unit if isinstance(unit, str) else None


def _under(facts: Mapping[str, Any], key: str) -> Any:
    """What stands under a key, else under one that differs in capitals alone."""
    if key in facts:
        return facts[key]
    return next((facts[other] for other in facts if str(other).lower() == key.lower()), None)


def single(value: Any) -> Any:
    """A value of a JSON, taken out of the list of one that R writes around it."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def stated_unit(
    table: pd.DataFrame,
    found: Spelled,
    name: str,
    outside: tuple[str | None, str | None],
    *,
    expected: str,
    path: Path,
) -> str:
    """The one unit of a column, from whoever states it.

    outside   what the call and the JSON beside the table say; the others are the column's header
              and a column of units
    expected  how to mend it where nobody says it
    """
    given, beside = outside
    said = [
        ("the call", given),
        (f"the header of {name}", found[name][1]),
        ("the JSON beside it", beside),
    ]
    if f"{name}_unit" in found:
        cells = table[found[f"{name}_unit"][0]]
        said += [(f"line {line}", cell) for line, cell in cells.items() if isinstance(cell, str)]
    spoken = [(who, WORDS.get(unit.strip().lower(), unit)) for who, unit in said if unit]
    return agreed_unit(spoken, name, expected, path)


def unit_mended(unit: str, keyword: str) -> str:
    """How to mend a unit that does not serve; never by one of another magnitude.

    >>> unit_mended("kBq", "unit"), unit_mended("kBq", "time_unit")
    ("if it is per mL, say unit = 'kBq/mL'", 'correct the file, or say the right one by time_unit')
    """
    if keyword == "unit" and units.converts(unit, "Bq"):
        return f"if it is per mL, say unit = '{unit}/mL'"
    return f"correct the file, or say the right one by {keyword}"


def agreed_unit(said: Iterable[tuple[str, str]], name: str, expected: str, path: Path) -> str:
    """The one unit of a column, which all who state one state alike."""
    found: dict[str, str] = {}
    for who, unit in said:
        found.setdefault(unit, who)
    if not found:
        raise UnitsError(f"{path}: nothing says in which unit {name} is; expected {expected}")
    first, *others = found
    for other in others:
        one, two = units.parse(first), units.parse(other)
        if (one.dimensions, one.factor) != (two.dimensions, two.factor):
            raise UnitsError(
                f"{path}: mixed units: {name} is in {first!r} by {found[first]} but in {other!r} "
                f"by {found[other]}; expected one unit; convert the rows, or split the table"
            )
    return first


def deviations(
    table: pd.DataFrame, found: Spelled, of: str, path: Path, factor: float = 1.0
) -> np.ndarray:
    """Numbers of sd, which is in the unit of the column `of`, times `factor`; NaN without one."""
    if "sd" not in found:
        return np.full(len(table), np.nan)
    header, unit = found["sd"]
    if unit is not None:
        raise InputError(
            f"{path}: column {header!r} states a unit of its own; expected sd, in the unit of the "
            f"{of}"
        )
    values = tables.numbers(table, header, str(path), factor)
    refuse(table, values < 0, "sd is negative; expected at least 0", path)
    return values


def quantity(table: pd.DataFrame, asked: Asked, facts: Mapping[str, Any], path: Path) -> np.ndarray:
    """The column's numbers in the unit wished; `facts` is the JSON beside the table."""
    unit = described(facts, asked.name) if asked.unit is None else asked.unit
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
