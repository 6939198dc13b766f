"""Lesion tables: what a reader measured of each lesion at one visit.

One row per lesion, in CSV, TSV or xlsx; headers in any order and case, lengths with their unit.

    column                needed    meaning
    subject               all rows  the subject's id in the study
    lesion                all rows  its name, the same at every visit
    longest_diameter_mm   (a)       also _cm; 0 where the lesion has disappeared
    short_axis_mm         (a)       also _cm; of lymph nodes
    attenuation_hu        optional  mean of the lesion in CT
    status                (a)       absent, present, progressed (unequivocally), grown (further)
    note                  optional  not read

(a) at least one of them in the header. An empty cell means that it was not evaluated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io import columns, tables

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("subject", "lesion", "status")
# Header -> column and the factor to its unit (mm, HU).
QUANTITIES = {
    "longest_diameter_mm": ("longest_diameter", 1.0),
    "longest_diameter_cm": ("longest_diameter", 10.0),
    "short_axis_mm": ("short_axis", 1.0),
    "short_axis_cm": ("short_axis", 10.0),
    "attenuation_hu": ("attenuation", 1.0),
}
STATUS = ("absent", "present", "progressed", "grown")
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *QUANTITIES, *IGNORED)
COLUMNS = ("subject", "lesion", "longest_diameter", "short_axis", "attenuation", "status")


def sniff(path: Path) -> bool:
    """Whether the first line names subject, lesion, and a diameter or a status."""
    path = Path(path)
    if not tables.is_table(path):
        return False
    names = {cell.lower() for cell in tables.header_cells(path)}
    return {"subject", "lesion"} <= names and bool(names & {"status", *QUANTITIES})


def read(path: Path, sheet: str | None = None) -> pd.DataFrame:
    """The table in mm and HU; columns `COLUMNS`, status as 0 to 3, missing cells NaN."""
    import pandas as pd

    path = Path(path)
    spelled = _spelled([str(name) for name in tables.read_table(path, sheet=sheet).columns], path)
    texts = [spelled[name] for name in TEXTS if name in spelled]
    table = tables.read_table(path, text=texts, sheet=sheet)
    named = {
        name: columns.every_text(table, {name: (spelled[name], None)}, name, path)
        for name in ("subject", "lesion")
    }
    values = {name: np.full(len(table), np.nan) for name in COLUMNS[2:]}
    for header, (name, factor) in QUANTITIES.items():
        if header in spelled:
            values[name] = tables.numbers(table, spelled[header], str(path), factor)
    if "status" in spelled:
        values["status"] = _status(table[spelled["status"]], path)
    found = pd.DataFrame(named | values, index=table.index)[list(COLUMNS)]
    _check(found, path)
    return found


def _spelled(header: list[str], path: Path) -> dict[str, str]:
    """Name -> header as spelled; an unknown, doubled or missing column is an error."""
    found: dict[str, str] = {}
    for spelled in header:
        name = spelled.strip().lower()
        if name not in ACCEPTED:
            raise InputError(
                f"{path}: column {spelled[:60]!r} is unknown; expected {', '.join(ACCEPTED)}"
            )
        of = QUANTITIES.get(name, (name, 1.0))[0]
        twice = [one for one in found if QUANTITIES.get(one, (one, 1.0))[0] == of]
        if twice:
            raise InputError(
                f"{path}: columns {found[twice[0]]!r} and {spelled!r} are both {of}; remove one"
            )
        found[name] = spelled
    missing = [name for name in ("subject", "lesion") if name not in found]
    if missing or not set(found) & {"status", *QUANTITIES}:
        lacks = ", ".join(missing) or "longest_diameter_mm, short_axis_mm or status"
        raise InputError(f"{path}: column {lacks} is missing; expected it in the header")
    return found


def _status(cells: pd.Series, path: Path) -> np.ndarray:
    found = np.full(len(cells), np.nan)
    for place, (line, cell) in enumerate(cells.items()):
        if not isinstance(cell, str):
            continue
        if cell.lower() not in STATUS:
            raise InputError(
                f"{path}: line {line}: status is {cell[:40]!r}; expected {', '.join(STATUS)}"
            )
        found[place] = STATUS.index(cell.lower())
    return found


def _check(table: pd.DataFrame, path: Path) -> None:
    for name in ("longest_diameter", "short_axis"):
        what = f"{name} is {{:g}} mm; expected 0 or more"
        columns.refuse(table, table[name] < 0, what, path, table[name])
    twice = table.index[table.duplicated(["subject", "lesion"])]
    if len(twice):
        row = table.loc[twice[0]]
        raise InputError(
            f"{path}: line {twice[0]}: lesion {row['lesion']} of subject {row['subject']} stands "
            "there twice; expected one row each: a table holds one visit"
        )


READERS = (
    Reader(
        name="lesion_readings",
        gives="table",
        sniff=sniff,
        read=read,
        help="lesion diameters, attenuation and status as read at one visit: CSV, TSV, xlsx",
    ),
)
