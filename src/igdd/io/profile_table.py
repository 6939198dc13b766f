"""Tables of concentrations over time: one row per sample, of any number of subjects, in any order.

    column          needed    meaning
    subject         yes       whom the sample is from
    time            yes       after the dose; a negative one is before it
    concentration   yes       a number; empty where missing; "BLQ", "<LLOQ" or "<0.05" below limit
    group, organ    optional  arm or formulation; tissue or fluid
    sd              optional  standard deviation of the concentration, in its unit (image noise)
    time_unit, concentration_unit   optional  one unit in all rows
    note            optional  not read

A unit stands in the call, in the header ("time [h]"), in a column of its own, or in the JSON beside
the table ("time": {"Units": "h"}). All that state one must state the same: a table of mixed units
is refused, for a forgotten conversion looks like a result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import bounded, tables

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("subject", "group", "organ")
QUANTITIES = ("time", "concentration")
NOISE = "sd"
UNITS = ("time_unit", "concentration_unit")
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *QUANTITIES, NOISE, *UNITS, *IGNORED)
ALIASES = {"conc": "concentration", "id": "subject"}

_BRACKET = re.compile(r"(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]+)[\])]")
_QUANTITY = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*[%A-Za-zµμ][^0-9]*")
_BELOW = re.compile(
    r"blq|bloq|bql|<\s*(?:lloq|loq|[0-9]*\.?[0-9]+(?:e[+-]?[0-9]{1,3})?)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples of a table, one entry per row, in the units named.

    value      NaN where missing or only known to be below the limit
    sd         standard deviation of the value, NaN where the table does not say
    below      the table says that it is below the limit
    line       of the file, for messages
    """

    subject: tuple[str, ...]
    group: tuple[str, ...]
    organ: tuple[str, ...]
    time: np.ndarray
    value: np.ndarray
    sd: np.ndarray
    below: np.ndarray
    line: np.ndarray
    time_unit: str
    unit: str
    source: str


def read(path: Path, time_unit: str | None = None, unit: str | None = None) -> Samples:
    """The samples of a CSV, TSV or xlsx table, with the units that it or the caller states."""
    path = Path(path)
    spelled = _columns([str(name) for name in tables.read_table(path).columns], path)
    texts = [
        header for name, (header, _) in spelled.items() if name not in ("time", NOISE, *IGNORED)
    ]
    table = tables.read_table(path, text=texts)
    if not len(table):
        raise InputError(f"{path}: holds no sample; expected one row per sample")
    described = _described(path)
    stated = {
        name: _stated(table, spelled, name, (given, described.get(name)), path)
        for name, given in zip(QUANTITIES, (time_unit, unit), strict=True)
    }
    subject = _text(table, spelled, "subject")
    unnamed = [line for line, name in zip(table.index, subject, strict=True) if not name]
    if unnamed:
        raise InputError(f"{path}: line {unnamed[0]} has no subject; expected one in every row")
    for name in QUANTITIES:
        _refuse_units(table, spelled[name][0], stated[name], path)
    time = tables.numbers(table, spelled["time"][0], str(path))
    if not np.isfinite(time).all():
        line = table.index[~np.isfinite(time)][0]
        raise InputError(f"{path}: line {line} has no time; expected one in every row")
    value, below = _concentrations(table, spelled["concentration"][0], path)
    return Samples(
        subject=subject,
        group=_text(table, spelled, "group"),
        organ=_text(table, spelled, "organ"),
        time=time,
        value=value,
        sd=_noise(table, spelled, path),
        below=below,
        line=table.index.to_numpy(),
        time_unit=stated["time"],
        unit=stated["concentration"],
        source=path.name,
    )


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and the unit in its bracket. Unknown or doubled: an error."""
    found: dict[str, tuple[str, str | None]] = {}
    for spelled in header:
        match = _BRACKET.fullmatch(spelled.strip())
        plain = (match["name"] if match else spelled).strip().lower()
        name = ALIASES.get(plain, plain)
        if name not in ACCEPTED:
            raise InputError(
                f"{path}: column {spelled[:60]!r} is unknown; expected {', '.join(ACCEPTED)}; "
                "a dose is given with the call; remove the column or name it note"
            )
        if name in found:
            raise InputError(
                f"{path}: columns {found[name][0]!r} and {spelled!r} are both {name}; remove one"
            )
        found[name] = (spelled, match["unit"] if match else None)
    for name in ("subject", *QUANTITIES):
        if name not in found:
            raise InputError(f"{path}: column {name} is missing; expected subject, time, "
                             "concentration and, where there are any, group and organ")  # fmt: skip
    return found


def _text(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], name: str
) -> tuple[str, ...]:
    if name not in spelled:
        return ("",) * len(table)
    return tuple(cell if isinstance(cell, str) else "" for cell in table[spelled[name][0]])


def _described(path: Path) -> dict[str, str]:
    """Units of the JSON beside the table, by column."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return {}
    facts = bounded.read_json(beside)
    return {
        name.lower(): entry["Units"]
        for name, entry in facts.items()
        if isinstance(entry, Mapping) and isinstance(entry.get("Units"), str)
    }


def _stated(
    table: pd.DataFrame,
    spelled: Mapping[str, tuple[str, str | None]],
    name: str,
    outside: tuple[str | None, str | None],
    path: Path,
) -> str:
    """The one unit of a quantity, from whoever states it: outside, the call and the JSON."""
    given, described = outside
    found: dict[str, str] = {}
    for who, unit in (
        ("the call", given),
        (f"the header of {name}", spelled[name][1]),
        ("the JSON beside it", described),
        *_column_units(table, spelled, f"{name}_unit"),
    ):
        if unit:
            found.setdefault(unit, who)
    if not found:
        raise UnitsError(
            f"{path}: nothing says in which unit {name} is; expected --{name}-unit, or a header "
            f"such as '{name} [{'h' if name == 'time' else 'mg/L'}]'"
        )
    first, *others = found
    for other in others:
        if not _same(first, other):
            raise UnitsError(
                f"{path}: mixed units: {name} is in {first!r} by {found[first]} but in {other!r} "
                f"by {found[other]}; expected one unit; convert the rows, or split the table"
            )
    if name == "time":
        units.factor(first, "s")
    return units.parse(first).ucum


def _same(one: str, other: str) -> bool:
    first, second = units.parse(one), units.parse(other)
    return first.dimensions == second.dimensions and first.factor == second.factor


def _column_units(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], name: str
) -> list[tuple[str, str]]:
    """Who states which unit, for a column of units: the first line of each."""
    if name not in spelled:
        return []
    first: dict[str, str] = {}
    for line, cell in table[spelled[name][0]].items():
        if isinstance(cell, str):
            first.setdefault(cell, f"line {line}")
    return [(who, unit) for unit, who in first.items()]


def _refuse_units(table: pd.DataFrame, column: str, unit: str, path: Path) -> None:
    """Refuse a cell with a unit of its own: the others have none, and theirs may differ."""
    for line, cell in table[column].items():
        match = _QUANTITY.fullmatch(cell) if isinstance(cell, str) else None
        if match is not None:
            raise UnitsError(
                f"{path}: line {line}: mixed units: column {column!r} holds {cell[:40]!r} with a "
                f"unit of its own; expected a plain number in {unit}"
            )


def _concentrations(table: pd.DataFrame, column: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, and which cells say that the concentration is below the limit."""
    cells: Any = table[column]
    below = np.array([isinstance(one, str) and bool(_BELOW.fullmatch(one)) for one in cells])
    plain = table[[column]].copy()
    plain[column] = [None if mark else one for one, mark in zip(cells, below, strict=True)]
    return tables.numbers(plain, column, str(path)), below


def _noise(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], path: Path
) -> np.ndarray:
    """Standard deviations, in the unit of the concentration; NaN where there is none."""
    if NOISE not in spelled:
        return np.full(len(table), np.nan)
    header, unit = spelled[NOISE]
    if unit is not None:
        raise InputError(
            f"{path}: column {header!r} states a unit of its own; expected sd, in the unit of the "
            "concentration"
        )
    found = tables.numbers(table, header, str(path))
    if (found < 0).any():
        line = table.index[found < 0][0]
        raise InputError(f"{path}: line {line}: sd is negative; expected one of at least 0")
    return found
