"""Tables of release in vitro: one row per sample of a vessel, or of the mean of several, any order.

    column          needed    meaning
    formulation     yes       what is tested; "product", "group", "arm" or, where there is no such
                              column, "subject" are read as it
    vessel          optional  which vessel, dialysis bag or replicate; also "replicate", "bag",
                              "tablet", "subject"
    time            yes       since release could begin
    released        yes       of the load, cumulative; empty where missing
    sd              optional  standard deviation of `released`, in its unit
    time_unit, released_unit  optional  one unit in all rows
    note            optional  not read

Released is in percent or a fraction, and something must say which: the call, the header ("released
[%]", "released [1]"), a column of its own, or the JSON beside the table ("released": {"Units":
"%"}). All that state a unit must state the same one.
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
from igdd.io import columns, sidecar, tables

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("formulation", "vessel")
QUANTITIES = ("time", "released")
UNITS = ("time_unit", "released_unit")
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *QUANTITIES, "sd", *UNITS, *IGNORED)
ALIASES = {
    "product": "formulation",
    "group": "formulation",
    "arm": "formulation",
    "replicate": "vessel",
    "bag": "vessel",
    "tablet": "vessel",
    "fraction": "released",
    "percent": "released",
}
# More than twice the load is another unit, not an error of the assay.
MOST = 200.0
EXAMPLES = {"time": "h", "released": "%"}
FRACTIONS = ("1", "fraction")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples of a table, one entry per row.

    time      in `time_unit`
    released  in % of the load, NaN where missing
    sd        in %, NaN where the table does not say
    line      of the file, for messages
    """

    formulation: tuple[str, ...]
    vessel: tuple[str, ...]
    time: np.ndarray
    released: np.ndarray
    sd: np.ndarray
    line: np.ndarray
    time_unit: str
    source: str


def read(path: Path, time_unit: str | None = None, released_unit: str | None = None) -> Samples:
    """The samples of a CSV, TSV or xlsx table, with the units that it or the caller states."""
    path = Path(path)
    spelled = _columns([str(name) for name in tables.read_table(path).columns], path)
    texts = [spelled[name][0] for name in (*TEXTS, *UNITS) if name in spelled]
    table = tables.read_table(path, text=texts)
    if not len(table):
        raise InputError(f"{path}: holds no sample; expected one row per sample")
    facts, _ = sidecar.read_sidecar(path)
    stated = {
        name: _stated(table, spelled, name, (given, facts.get(name)), path)
        for name, given in zip(QUANTITIES, (time_unit, released_unit), strict=True)
    }
    _factor(stated, "time", "s", path)
    scale = _factor(stated, "released", "%", path)
    for name in QUANTITIES:
        _refuse_units(table, spelled[name][0], stated[name], path)
    time = tables.numbers(table, spelled["time"][0], str(path))
    released = tables.numbers(table, spelled["released"][0], str(path), scale)
    _check(table, time, released, stated["released"], path)
    return Samples(
        formulation=_named(table, spelled, path),
        vessel=_text(table, spelled, "vessel"),
        time=time,
        released=released,
        sd=_deviations(table, spelled, scale, path),
        line=table.index.to_numpy(),
        time_unit=units.from_ucum(stated["time"]),
        source=path.name,
    )


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and the unit in it. Unknown, doubled or missing: an error."""
    accepted = {*ACCEPTED, *ALIASES, "subject"}
    parts = [columns.name_and_unit(one, accepted) for one in header]
    plain = {ALIASES.get(name, name) for name, _ in parts}
    # A subject beside a formulation is one of its vessels.
    subject = "vessel" if "formulation" in plain else "formulation"
    found: dict[str, tuple[str, str | None]] = {}
    for cell, (written, unit) in zip(header, parts, strict=True):
        name = subject if written == "subject" else ALIASES.get(written, written)
        if name not in ACCEPTED:
            raise InputError(
                f"{path}: column {cell[:60]!r} is unknown; expected {', '.join(ACCEPTED)}; remove "
                "the column or name it note"
            )
        if name in found:
            raise InputError(
                f"{path}: columns {found[name][0]!r} and {cell!r} are both {name}; remove one"
            )
        if unit is None and written in ("percent", "fraction"):
            unit = "%" if written == "percent" else "1"
        found[name] = (cell, unit)
    for name in ("formulation", *QUANTITIES):
        if name not in found:
            raise InputError(
                f"{path}: column {name} is missing; expected formulation, time, released and, "
                "where there are any, vessel and sd"
            )
    return found


def _stated(
    table: pd.DataFrame,
    spelled: Mapping[str, tuple[str, str | None]],
    name: str,
    outside: tuple[str | None, Any],
    path: Path,
) -> str:
    """The one unit of a quantity, from whoever states it: outside, the call and the JSON."""
    given, described = outside
    beside = described.get("Units") if isinstance(described, Mapping) else None
    said = [
        ("the call", given),
        (f"the header of {name}", spelled[name][1]),
        ("the JSON beside it", beside if isinstance(beside, str) else None),
    ]
    if f"{name}_unit" in spelled:
        cells = table[spelled[f"{name}_unit"][0]]
        said += [(f"line {line}", cell) for line, cell in cells.items() if isinstance(cell, str)]
    found: dict[str, str] = {}
    for who, unit in said:
        if unit:
            found.setdefault(_plain(unit), who)
    if not found:
        raise UnitsError(
            f"{path}: nothing says in which unit {name} is; expected --{name}-unit"
            f"{' percent or fraction' if name == 'released' else ''}, or a header such as "
            f"'{name} [{EXAMPLES[name]}]'"
        )
    first, *others = found
    for other in others:
        one, two = units.parse(first), units.parse(other)
        if (one.dimensions, one.factor) != (two.dimensions, two.factor):
            raise UnitsError(
                f"{path}: mixed units: {name} is in {first!r} by {found[first]} but in {other!r} "
                f"by {found[other]}; expected one unit; convert the rows, or split the table"
            )
    return first


def _factor(stated: Mapping[str, str], name: str, wished: str, path: Path) -> float:
    try:
        return units.factor(stated[name], wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: {name}: {error}") from error


def _plain(unit: str) -> str:
    return {"percent": "%", "fraction": "1"}.get(unit.strip().lower(), unit)


def _refuse_units(table: pd.DataFrame, column: str, unit: str, path: Path) -> None:
    """Refuse a cell with a unit of its own: the others have none, and theirs may differ."""
    for line, cell in table[column].items():
        if isinstance(cell, str) and re.fullmatch(r"[+-]?[0-9.]+\s*[%A-Za-z].*", cell):
            raise UnitsError(
                f"{path}: line {line}: mixed units: column {column!r} holds {cell[:40]!r} with a "
                f"unit of its own; expected a plain number in {unit}"
            )


def _check(
    table: pd.DataFrame, time: np.ndarray, released: np.ndarray, unit: str, path: Path
) -> None:
    """Refuse a time that is missing or negative, and more than twice the load."""
    lines = table.index
    if not np.isfinite(time).all():
        raise InputError(
            f"{path}: line {lines[~np.isfinite(time)][0]} has no time; expected one in every row"
        )
    if (time < 0).any():
        raise InputError(
            f"{path}: line {lines[time < 0][0]}: time {time[time < 0][0]:g} is before release "
            "could begin; expected times of at least 0; remove the row"
        )
    beyond = np.abs(released) > MOST
    if beyond.any():
        raise InputError(
            f"{path}: line {lines[beyond][0]}: {released[beyond][0]:g} % of the load is released, "
            f"by its unit {unit!r}; expected at most {MOST:g} %; is the unit another one?"
        )


def _deviations(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], scale: float, path: Path
) -> np.ndarray:
    if "sd" not in spelled:
        return np.full(len(table), np.nan)
    header, unit = spelled["sd"]
    if unit is not None:
        raise InputError(
            f"{path}: column {header!r} states a unit of its own; expected sd, in the unit of "
            "released"
        )
    found = tables.numbers(table, header, str(path), scale)
    if (found < 0).any():
        raise InputError(
            f"{path}: line {table.index[found < 0][0]}: sd is negative; expected at least 0"
        )
    return found


def _named(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], path: Path
) -> tuple[str, ...]:
    """The formulation of every row."""
    found = _text(table, spelled, "formulation")
    unnamed = [line for line, name in zip(table.index, found, strict=True) if not name]
    if unnamed:
        raise InputError(f"{path}: line {unnamed[0]} has no formulation; expected one in every row")
    return found


def _text(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], name: str
) -> tuple[str, ...]:
    if name not in spelled:
        return ("",) * len(table)
    return tuple(cell if isinstance(cell, str) else "" for cell in table[spelled[name][0]])
