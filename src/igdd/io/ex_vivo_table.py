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

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io import columns, sidecar, tables

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


def sniff(path: Path) -> bool:
    """Whether the first line names organ, kind, and counts or a count rate."""
    path = Path(path)
    if not tables.is_table(path):
        return False
    names = {columns.name_and_unit(cell, ACCEPTED)[0] for cell in tables.header_cells(path)}
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
    found: dict[str, Any] = {name: columns.texts(table, spelled, name) for name in TEXTS}
    found["kind"] = _kinds(table, spelled, path)
    for name, wished in QUANTITIES.items():
        found[name] = np.full(len(table), np.nan)
        if name in spelled:
            asked = columns.Asked(name, *spelled[name], wished)
            read_column = columns.moments if name == "counted_at" else columns.quantity
            found[name] = read_column(table, asked, facts, path)
    found["counts"] = _counts(table, spelled, found["count_time"], path)
    ordered = pd.DataFrame({name: found[name] for name in COLUMNS}, index=table.index)
    ordered["counted_at"] -= ordered["counted_at"].min()
    return ordered


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and its unit, with one of the columns of counts."""
    parts = {one: columns.name_and_unit(one, ACCEPTED) for one in header}
    mend = "with units such as mass_mg, time_h, fraction_percent"
    found = columns.spelled(parts, ACCEPTED, ("kind", "count_time"), path, mend)
    if len(named := [name for name in COUNTS if name in found]) != 1:
        raise InputError(
            f"{path}: has {' and '.join(named) or 'no counts'}; expected one of {', '.join(COUNTS)}"
        )
    return found


def _kinds(table: pd.DataFrame, spelled: columns.Spelled, path: Path) -> list[str]:
    kinds = [cell.lower() for cell in columns.texts(table, spelled, "kind")]
    for line, kind in zip(table.index, kinds, strict=True):
        if kind not in ("sample", "standard", "background"):
            raise InputError(
                f"{path}: line {line}: kind is {kind[:40]!r}; "
                "expected sample, standard or background"
            )
    return kinds


def _counts(
    table: pd.DataFrame,
    spelled: columns.Spelled,
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
