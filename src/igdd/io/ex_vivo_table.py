"""Ex vivo tables: what a gamma counter measured of excised organs, standards and background.

One row per counted tube, in CSV, TSV or xlsx; headers in any order and case. A number's unit stands
in its header ("mass_mg", "time [h]") or in the JSON beside the table ("mass": {"Units": "mg"}).

    column       unit    needed    meaning
    kind                 all rows  sample, standard or background
    animal               samples   which animal the organ is from
    organ                samples   which organ, tissue or fluid
    time         time    samples   after administration, when the organ was taken
    counts               (a)       counts of the tube, background included
    cpm, cps             (a)       instead of counts: rate, background included
    count_time   time    all rows  how long the tube was counted (live time)
    counted_at   time    (b)       start of counting: date and clock, or seconds after any one zero
    mass         mass    optional  of the organ; without it there is no %ID/g
    mass_sd      mass    optional  standard deviation of the mass
    fraction     or %    standards share of the dose that the tube holds, dilution included
    fraction_sd  or %    optional  standard deviation of the fraction
    given        or %    optional  the animal's dose as a share of the dose of the standards; else 1
    note                 optional  not read

(a) counts or a rate, one of them.  (b) samples and standards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.declare import Reader
from igdd.errors import InputError, UnitsError
from igdd.io import sidecar, tables

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("kind", "animal", "organ")
# Column -> the unit that it is brought to.
QUANTITIES = {
    "time": "s",
    "count_time": "s",
    "counted_at": "s",
    "mass": "g",
    "mass_sd": "g",
    "fraction": "1",
    "fraction_sd": "1",
    "given": "1",
}
COUNTS = ("counts", "cpm", "cps")
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *COUNTS, *QUANTITIES, *IGNORED)
COLUMNS = (*TEXTS, "counts", *QUANTITIES)

_BRACKET = re.compile(r"(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]+)[\])]")
# At the end of a name; "_sd" and "_time" belong to the name.
_SUFFIX = re.compile(r"(?P<name>.+)_(?P<unit>s|min|h|d|kg|g|mg|ug|ng|percent)")


def sniff(path: Path) -> bool:
    """Whether the first line names organ, kind, and counts or a count rate."""
    path = Path(path)
    if not tables.is_table(path):
        return False
    names = {_name_and_unit(cell)[0] for cell in tables.header_cells(path)}
    return {"kind", "organ"} <= names and bool(names & {*COUNTS})


def read(path: Path, sheet: str | None = None) -> pd.DataFrame:
    """The table in s, g, counts and shares of the dose; columns `COLUMNS`, missing cells NaN.

    `counted_at` becomes seconds after the earliest start of counting.
    """
    import pandas as pd

    path = Path(path)
    header = tables.read_table(path, sheet=sheet).columns
    spelled = _columns([str(name) for name in header], path)
    texts = [spelled[name][0] for name in TEXTS if name in spelled]
    table = tables.read_table(path, text=texts, sheet=sheet)
    facts, _ = sidecar.read_sidecar(path)
    columns: dict[str, Any] = {}
    for name in TEXTS:
        columns[name] = _text(table, spelled, name, path)
    for name, wished in QUANTITIES.items():
        columns[name] = np.full(len(table), np.nan)
        if name in spelled:
            columns[name] = _quantity(table, *spelled[name], (name, wished), facts, path)
    columns["counts"] = _counts(table, spelled, columns["count_time"], path)
    ordered = pd.DataFrame({name: columns[name] for name in COLUMNS}, index=table.index)
    ordered["counted_at"] -= ordered["counted_at"].min()
    return ordered


def _name_and_unit(header: str) -> tuple[str, str | None]:
    """Column name in lower case, and the unit that the header gives."""
    plain = header.strip()
    if plain.lower() in ACCEPTED:
        return plain.lower(), None
    for form in (_BRACKET, _SUFFIX):
        match = form.fullmatch(plain)
        if match and match["name"].lower() in ACCEPTED:
            unit = "%" if match["unit"] == "percent" else match["unit"]
            return match["name"].lower(), unit
    return plain.lower(), None


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and its unit. An unknown or a doubled column is an error."""
    found: dict[str, tuple[str, str | None]] = {}
    for spelled in header:
        name, unit = _name_and_unit(spelled)
        if name not in ACCEPTED:
            raise InputError(
                f"{path}: column {spelled[:60]!r} is unknown; expected {', '.join(ACCEPTED)}, "
                "with units such as mass_mg, time_h, fraction_percent"
            )
        if name in found:
            raise InputError(
                f"{path}: columns {found[name][0]!r} and {spelled!r} are both {name}; remove one"
            )
        found[name] = (spelled, unit)
    for name in ("kind", "count_time"):
        if name not in found:
            raise InputError(f"{path}: column {name} is missing; expected it, as in the docs")
    if len(named := [name for name in COUNTS if name in found]) != 1:
        raise InputError(
            f"{path}: has {' and '.join(named) or 'no counts'}; expected one of {', '.join(COUNTS)}"
        )
    return found


def _text(
    table: pd.DataFrame, spelled: Mapping[str, tuple[str, str | None]], name: str, path: Path
) -> list[str]:
    if name not in spelled:
        return [""] * len(table)
    cells = [cell if isinstance(cell, str) else "" for cell in table[spelled[name][0]]]
    if name != "kind":
        return cells
    kinds = [cell.lower() for cell in cells]
    for line, kind in zip(table.index, kinds, strict=True):
        if kind not in ("sample", "standard", "background"):
            raise InputError(
                f"{path}: line {line}: kind is {kind[:40]!r}; "
                "expected sample, standard or background"
            )
    return kinds


def _quantity(
    table: pd.DataFrame,
    spelled: str,
    unit: str | None,
    wish: tuple[str, str],
    facts: Mapping[str, Any],
    path: Path,
) -> np.ndarray:
    name, wished = wish
    described = facts.get(name)
    if unit is None and isinstance(described, Mapping) and isinstance(described.get("Units"), str):
        unit = described["Units"]
    if name == "counted_at" and table[spelled].dtype.kind != "f":
        return _clock(table, spelled, path)
    if unit is None and wished == "1":
        unit = "1"
    if unit is None:
        raise UnitsError(
            f"{path}: column {spelled!r} has no unit; expected a header such as "
            f"'{name}_{'h' if wished == 's' else 'mg'}' or {name}: {{Units: ...}} in the JSON"
        )
    try:
        factor = units.factor(unit, wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: column {spelled!r}: {error}") from error
    return tables.numbers(table, spelled, str(path), factor)


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


def _counts(
    table: pd.DataFrame,
    spelled: Mapping[str, tuple[str, str | None]],
    count_time: np.ndarray,
    path: Path,
) -> np.ndarray:
    name = next(name for name in COUNTS if name in spelled)
    values = tables.numbers(table, spelled[name][0], str(path))
    per = {"counts": 1.0, "cpm": count_time / 60, "cps": count_time}[name]
    return np.asarray(values * per)


READERS = (
    Reader(
        name="ex_vivo",
        gives="table",
        sniff=sniff,
        read=read,
        help="gamma-counter table of excised organs, standards and background: CSV, TSV, xlsx",
    ),
)
