"""Uptake tables: what each region held at each time, as others have worked it out.

One row per subject, region and time, in CSV, TSV or xlsx; headers in any order and case, with units
in them ("time_h", "mass [mg]") or in the JSON beside the table.

    column              unit    needed    meaning
    subject                     all rows  the subject's id in the study (also: animal)
    region                      all rows  organ, lesion, tissue or fluid (also: organ)
    time                time    all rows  after administration
    percent_id          %       (a)       share of the dose, corrected for decay to administration
    percent_id_per_g    %/g     (a)       the same per gram
    percent_id_sd, percent_id_per_g_sd    optional  standard deviations
    mass                mass    optional  of the region, weighed: gives the one scale from the other
    volume              volume  optional  of the region
    analyte                     optional  carrier, drug, label ...: whose amount this is; else label
    note                        optional  not read

(a) at least one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io import columns, sidecar, tables
from igdd.types import ANALYTES

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("subject", "region", "analyte")
ALIASES = {"animal": "subject", "organ": "region", "tissue": "region"}
SCALES = {"percent_id": "%", "percent_id_per_g": "%/g"}
# Column -> the unit that it is brought to.
QUANTITIES = {
    "time": "s",
    **{name: unit for scale, unit in SCALES.items() for name in (scale, f"{scale}_sd")},
    "mass": "g",
    "volume": "mL",
}
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *ALIASES, *QUANTITIES, *IGNORED)
COLUMNS = (*TEXTS, *QUANTITIES)
# A dose cannot multiply: a place with ten times of it, or all of it in 0.1 mg, has other units.
MOST = {"percent_id": 1e3, "percent_id_per_g": 1e6}


def sniff(path: Path) -> bool:
    """Whether the first line names a region, a time, and a share of the dose."""
    path = Path(path)
    if not tables.is_table(path):
        return False
    names = {_name(cell)[0] for cell in tables.header_cells(path)}
    return {"region", "time"} <= names and bool(names & SCALES.keys())


def read(path: Path, sheet: str | None = None) -> pd.DataFrame:
    """The table in s, %, %/g, g and mL; columns `COLUMNS`, missing cells NaN or empty."""
    import pandas as pd

    path = Path(path)
    spelled = _columns([str(name) for name in tables.read_table(path, sheet=sheet).columns], path)
    texts = [spelled[name][0] for name in TEXTS if name in spelled]
    table = tables.read_table(path, text=texts, sheet=sheet)
    if not len(table):
        raise InputError(f"{path}: holds no row; expected one per subject, region and time")
    facts, _ = sidecar.read_sidecar(path)
    found: dict[str, Any] = {}
    for name in TEXTS:
        found[name] = columns.every_text(table, spelled, name, path, absent="label")
    for name, wished in QUANTITIES.items():
        found[name] = np.full(len(table), np.nan)
        if name in spelled:
            header, unit = spelled[name]
            said = wished if unit is None and wished in SCALES.values() else unit
            found[name] = columns.quantity(
                table, columns.Asked(name, header, said, wished), facts, path
            )
    ordered = pd.DataFrame({name: found[name] for name in COLUMNS}, index=table.index)
    _check(ordered, path)
    return ordered


def _name(header: str) -> tuple[str, str | None]:
    name, unit = columns.name_and_unit(header, ACCEPTED)
    return ALIASES.get(name, name), unit


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and its unit, with at least one scale."""
    parts = {one: _name(one) for one in header}
    mend = "with units such as time_h, mass_mg"
    found = columns.spelled(parts, COLUMNS + IGNORED, ("subject", "region", "time"), path, mend)
    if not found.keys() & SCALES.keys():
        raise InputError(
            f"{path}: column {' or '.join(SCALES)} is missing; expected it in the header"
        )
    return found


def _check(table: pd.DataFrame, path: Path) -> None:
    def refuse(wrong: pd.Series, column: str, expected: str) -> None:
        what = f"{column} is {{}}; expected {expected}"
        columns.refuse(table, wrong, what, path, table[column])

    refuse(~np.isfinite(table["time"]), "time", "a number with its unit in the header")
    refuse(table["time"] < 0, "time", "0 or more, after administration")
    refuse(~table["analyte"].isin(ANALYTES), "analyte", f"one of {', '.join(ANALYTES)}")
    for name in ("mass", "volume"):
        refuse(table[name] <= 0, name, "more than 0")
    for name, most in MOST.items():
        refuse(table[name].abs() > most, name, f"at most {most:g} {SCALES[name]} of the dose")
    if not table[[*SCALES]].notna().any(axis=None):
        raise InputError(f"{path}: holds no {' or '.join(SCALES)}; expected one in some row")
    for name in SCALES:
        refuse(table[f"{name}_sd"] < 0, f"{name}_sd", "0 or more")
    twice = table.index[table.duplicated(["subject", "region", "time", "analyte"])]
    if len(twice):
        row = table.loc[twice[0]]
        raise InputError(
            f"{path}: line {twice[0]}: {row['region']} of subject {row['subject']} at "
            f"{row['time']:g} s stands there twice; expected one row each"
        )


READERS = (
    Reader(
        name="uptake_table",
        gives="table",
        sniff=sniff,
        read=read,
        help="%ID or %ID/g of regions over time, as others have worked them out: CSV, TSV, xlsx",
    ),
)
