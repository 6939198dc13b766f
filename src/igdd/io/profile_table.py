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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.errors import InputError
from igdd.io import bounded, columns, tables

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
    subject = columns.every_text(table, spelled, "subject", path)
    for name in QUANTITIES:
        columns.refuse_units(table, spelled[name][0], stated[name], path)
    time = tables.numbers(table, spelled["time"][0], str(path))
    columns.refuse_missing(table, ~np.isfinite(time), "time", path)
    value, below = _concentrations(table, spelled["concentration"][0], path)
    return Samples(
        subject=subject,
        group=columns.texts(table, spelled, "group"),
        organ=columns.texts(table, spelled, "organ"),
        time=time,
        value=value,
        sd=columns.deviations(table, spelled, "concentration", path),
        below=below,
        line=table.index.to_numpy(),
        time_unit=stated["time"],
        unit=stated["concentration"],
        source=path.name,
    )


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and the unit in its bracket."""
    parts = {}
    for one in header:
        match = _BRACKET.fullmatch(one.strip())
        plain = (match["name"] if match else one).strip().lower()
        parts[one] = (ALIASES.get(plain, plain), match["unit"] if match else None)
    mend = "a dose is given with the call; remove the column or name it note"
    return columns.spelled(parts, ACCEPTED, ("subject", *QUANTITIES), path, mend)


def _described(path: Path) -> dict[str, str | None]:
    """Units of the JSON beside the table, by column."""
    beside = path.with_suffix(".json")
    facts = bounded.read_json(beside) if beside.exists() else {}
    return {name.lower(): columns.described(facts, name) for name in facts}


def _stated(
    table: pd.DataFrame,
    spelled: columns.Spelled,
    name: str,
    outside: tuple[str | None, str | None],
    path: Path,
) -> str:
    """The one unit of a quantity, from whoever states it: outside, the call and the JSON."""
    example = "h" if name == "time" else "mg/L"
    expected = f"--{name}-unit, or a header such as '{name} [{example}]'"
    found = columns.stated_unit(table, spelled, name, outside, expected=expected, path=path)
    if name == "time":
        units.factor(found, "s")
    return units.parse(found).ucum


def _concentrations(table: pd.DataFrame, column: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, and which cells say that the concentration is below the limit."""
    cells: Any = table[column]
    below = np.array([isinstance(one, str) and bool(_BELOW.fullmatch(one)) for one in cells])
    plain = table[[column]].copy()
    plain[column] = [None if mark else one for one, mark in zip(cells, below, strict=True)]
    return tables.numbers(plain, column, str(path)), below
