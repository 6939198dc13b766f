"""Tables of doses and samples in the form of NONMEM: one row per event, subject by subject.

    column          needed    meaning
    ID              yes       the individual; its rows stand together
    TIME            yes       since any zero, at least 0, not falling but after a reset
    DV              yes       the value, where MDV is 0
    AMT             yes       amount of a dose; 0 or missing in other rows
    RATE            optional  amount per time of an infusion; 0: at once
    ADDL, II        optional  further doses, and the interval between them
    SS              optional  1: at steady state, all before it wiped out; 2: added to it
    EVID            optional  0 sample, 1 dose, 2 other, 3 reset, 4 reset and dose
    MDV             optional  1: no value
    CMT             optional  compartment
    any other       optional  a covariate, or the known standard deviation of the values

Names are read in any case. "." and an empty cell are missing, which is 0 but for DV and a
covariate. Without EVID a row with an amount (or a rate) is a dose, another a sample. Separators are
commas, tabs or, in files of other extensions, blanks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from igdd.errors import InputError
from igdd.io import bounded, tables

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("TIME", "AMT", "RATE", "ADDL", "II", "SS", "EVID", "MDV", "CMT")
KNOWN = ("ID", "DV", *NUMBERS)
NEEDED = ("ID", "TIME", "AMT", "DV")
KINDS = (0, 1, 2, 3, 4)
LONGEST_ID = 64
MOST_DOSES = 10_000
MISSING = "."


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events of one individual in order, one entry per row.

    kind        EVID; value NaN where there is none (MDV)
    covariates  column -> (n,) numbers, or text where a column is no number; NaN or "" missing
    line        of the file, for messages
    """

    subject: str
    time: np.ndarray
    kind: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    further: np.ndarray
    interval: np.ndarray
    steady: np.ndarray
    compartment: np.ndarray
    value: np.ndarray
    line: np.ndarray
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)


def read_events(
    path: Path,
    renamed: Mapping[str, str] | None = None,
    ignored: Sequence[str] = (),
    only: Mapping[str, float] | None = None,
) -> tuple[list[Events], str]:
    """The individuals of a table, in its order, and the file's name.

    renamed  NONMEM's name -> the file's: {"DV": "conc"}
    ignored  columns that are not read
    only     column -> value: rows with another one are left out
    """
    path = Path(path)
    table = _read(path)
    names = _names(table, dict(renamed or {}), ignored, path)
    table = _chosen(table, names, only or {}, path)
    if not len(table):
        raise InputError(f"{path}: holds no event; expected one row per dose and sample")
    columns = {name: _column(table, names, name, path) for name in NUMBERS}
    columns["DV"] = _numbers(table, names["DV"], path)
    _check(columns, table.index.to_numpy(), path)
    covariates = {
        name: _covariate(table, spelled) for name, spelled in names.items() if name not in KNOWN
    }
    subjects = _subjects(table, names["ID"], path)
    starts = [0, *(i for i in range(1, len(subjects)) if subjects[i] != subjects[i - 1])]
    seen: set[str] = set()
    found = []
    for first, last in zip(starts, [*starts[1:], len(subjects)], strict=True):
        rows = slice(first, last)
        if subjects[first] in seen:
            raise InputError(
                f"{path}: line {table.index[first]}: ID {subjects[first]} appears again after "
                "another one; expected the rows of an individual together; sort the table"
            )
        seen.add(subjects[first])
        own = {name: values[rows] for name, values in columns.items()}
        several = {name: values[rows] for name, values in covariates.items()}
        found.append(_individual(subjects[first], own, several, table.index.to_numpy()[rows], path))
    return found, path.name


def _read(path: Path) -> pd.DataFrame:
    """The table as text and numbers; blanks separate where no comma and no tab does."""
    import pandas as pd

    if tables.is_table(path):
        header = tables.header_cells(path)
        return tables.read_table(path, text=[one for one in header if one.upper() == "ID"])
    rows = list(_lines_of_blanks(path))
    if not rows:
        raise InputError(f"{path}: is empty; expected a header row and rows below it")
    header = rows[0][1]
    if len(set(header)) < len(header) or any("," in one for one in header):
        raise InputError(
            f"{path}: the header {' '.join(header)[:60]!r} is not one of blanks and names that "
            "differ; expected that, or a .csv or .tsv file"
        )
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            raise InputError(
                f"{path}: line {number} has {len(cells)} cells; expected {len(header)} as in the "
                "header"
            )
    body = rows[1:]
    return pd.DataFrame(
        {name: pd.array([cells[i] for _, cells in body], dtype=object)
         for i, name in enumerate(header)},
        index=pd.Index([number for number, _ in body], name="line", dtype="int64"),
    )  # fmt: skip


def _lines_of_blanks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbered lines cut at their blanks, within the bounds of a table."""
    content = bounded.read_text(path, tables.LARGEST)
    if "\0" in content:
        raise InputError(f"{path}: holds NUL characters; expected text; save it as UTF-8")
    count = 0
    for number, line in enumerate(io.StringIO(content), start=1):
        cells = line.split(None, tables.MOST_COLUMNS)
        count += len(cells)
        if count > tables.MOST_CELLS or len(cells) > tables.MOST_COLUMNS:
            raise InputError(
                f"{path}: line {number}: more than {tables.MOST_CELLS} cells or "
                f"{tables.MOST_COLUMNS} columns; expected a smaller table; split it"
            )
        if cells:
            yield number, cells


def _names(
    table: pd.DataFrame, renamed: dict[str, str], ignored: Sequence[str], path: Path
) -> dict[str, str]:
    """NONMEM's name, or a covariate's as spelled -> the file's column."""
    spelled = [str(name) for name in table.columns]
    for wish, name in renamed.items():
        if wish not in KNOWN or name not in spelled:
            raise InputError(
                f"{path}: columns: {wish} = {name!r}; expected one of {', '.join(KNOWN)} and a "
                f"column of the table ({', '.join(spelled)[:200]})"
            )
    for name in ignored:
        if name not in spelled:
            raise InputError(f"{path}: columns: there is no {name!r} to ignore")
    found = dict(renamed)
    for name in spelled:
        if name in ignored or name in renamed.values():
            continue
        plain = name.strip().upper()
        key = plain if plain in KNOWN and plain not in renamed else name
        if key in found:
            raise InputError(f"{path}: columns {found[key]!r} and {name!r} are both {key}")
        found[key] = name
    for name in NEEDED:
        if name not in found:
            raise InputError(
                f"{path}: column {name} is missing; expected {', '.join(NEEDED)} and, where there "
                f"are any, {', '.join(one for one in KNOWN if one not in NEEDED)} and covariates"
            )
    return found


def _chosen(
    table: pd.DataFrame, names: Mapping[str, str], only: Mapping[str, float], path: Path
) -> pd.DataFrame:
    for name, value in only.items():
        spelled = names.get(name.upper(), names.get(name))
        if spelled is None:
            raise InputError(f"{path}: columns: there is no {name!r} to choose rows by")
        table = table.loc[_numbers(table, spelled, path) == value]
    return table


def _numbers(table: pd.DataFrame, spelled: str, path: Path) -> np.ndarray:
    """A column as numbers, NaN where it is missing."""
    cells = table[spelled]
    if cells.dtype.kind == "f":
        return np.array(cells, dtype=float)
    plain = table[[spelled]].copy()
    plain[spelled] = [None if cell == MISSING else cell for cell in cells]
    return tables.numbers(plain, spelled, str(path))


def _column(table: pd.DataFrame, names: Mapping[str, str], name: str, path: Path) -> np.ndarray:
    """A column of NONMEM's; 0 where it is missing, and NaN throughout where there is none."""
    if name not in names:
        return np.full(len(table), np.nan)
    found = _numbers(table, names[name], path)
    if name == "TIME" and np.isnan(found).any():
        raise InputError(
            f"{path}: line {table.index[np.isnan(found)][0]} has no TIME; expected one in every row"
        )
    return np.asarray(np.nan_to_num(found, nan=0.0))


def _covariate(table: pd.DataFrame, spelled: str) -> np.ndarray:
    """Numbers where every cell is one, else text."""
    cells = [None if cell == MISSING else cell for cell in table[spelled]]
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        return np.array(["" if cell is None else str(cell) for cell in cells], dtype=object)


def _subjects(table: pd.DataFrame, spelled: str, path: Path) -> list[str]:
    found = []
    for line, cell in table[spelled].items():
        text = f"{cell:.0f}" if isinstance(cell, float) and cell.is_integer() else str(cell)
        if cell is None or text in ("", MISSING, "nan", "None"):
            raise InputError(f"{path}: line {line} has no ID; expected one in every row")
        if len(text) > LONGEST_ID:
            raise InputError(
                f"{path}: line {line}: ID {text[:20]!r}... has {len(text)} characters; expected at "
                f"most {LONGEST_ID}"
            )
        found.append(text)
    return found


def _check(columns: dict[str, np.ndarray], lines: np.ndarray, path: Path) -> None:
    """Fill in EVID and MDV where there are none, and refuse what no event can be."""

    def refuse(wrong: np.ndarray, what: str) -> None:
        if wrong.any():
            raise InputError(f"{path}: line {lines[wrong][0]}: {what}")

    for name in NUMBERS:
        if name not in ("EVID", "MDV", "CMT"):
            columns[name] = np.nan_to_num(columns[name], nan=0.0)
    dosed = (columns["AMT"] != 0) | (columns["RATE"] > 0)
    if np.isnan(columns["EVID"]).all():
        columns["EVID"] = dosed.astype(float)
    kind = columns["EVID"]
    if np.isnan(columns["MDV"]).all():
        columns["MDV"] = (kind != 0).astype(float)
    refuse(~np.isin(kind, KINDS), "EVID is none of 0, 1, 2, 3 and 4; expected one of them")
    refuse(columns["TIME"] < 0, "TIME is negative; expected at least 0; shift the individual's")
    gives = np.isin(kind, (1, 4))
    refuse(gives & (columns["AMT"] < 0), "AMT is negative; expected a dose above zero")
    refuse(columns["RATE"] < 0, "RATE is negative, which asks for a duration that is estimated; "
           "expected the rate of the infusion, or 0")  # fmt: skip
    lasting = (columns["SS"] == 1) & (columns["RATE"] > 0) & (columns["II"] == 0)
    refuse(gives & (columns["AMT"] == 0) & ~lasting, "a dose of 0 (AMT); expected one above zero, "
           "or EVID 2 for a row without dose")  # fmt: skip
    refuse(~gives & (columns["AMT"] != 0), "AMT stands in a row that is no dose (EVID); expected "
           "EVID 1, or no amount")  # fmt: skip
    refuse((columns["ADDL"] < 0) | (columns["ADDL"] % 1 != 0) | (columns["ADDL"] > MOST_DOSES),
           f"ADDL is no number of doses from 0 to {MOST_DOSES}")  # fmt: skip
    refuse(columns["II"] < 0, "II is negative; expected the interval between doses")
    refuse((columns["ADDL"] > 0) & ~(columns["II"] > 0), "ADDL without II; expected the interval")
    refuse(gives & ~np.isin(columns["SS"], (0, 1, 2)), "SS is none of 0, 1 and 2; expected one of "
           "them; where the column says something else, ignore it (columns.ignore)")  # fmt: skip
    refuse(gives & (columns["SS"] > 0) & ~(columns["II"] > 0) & ~lasting,
           "SS without II; expected the interval between the steady state's doses")  # fmt: skip
    columns["SS"] = np.where(gives, columns["SS"], 0.0)
    missing = (kind == 0) & (columns["MDV"] == 0) & np.isnan(columns["DV"])
    refuse(missing, "a sample without DV; expected a number, or MDV 1")
    columns["DV"] = np.where((kind == 0) & (columns["MDV"] == 0), columns["DV"], np.nan)


def _individual(
    subject: str,
    own: Mapping[str, np.ndarray],
    covariates: Mapping[str, np.ndarray],
    line: np.ndarray,
    path: Path,
) -> Events:
    """One individual's events; refuses times out of order."""
    back = (np.diff(own["TIME"]) < 0) & ~np.isin(own["EVID"][1:], (3, 4))
    if back.any():
        place = int(np.argmax(back)) + 1
        raise InputError(
            f"{path}: line {line[place]}: ID {subject} is at TIME {own['TIME'][place]:g} after "
            f"{own['TIME'][place - 1]:g}; expected events in order of time; sort the table"
        )
    return Events(
        subject=subject,
        time=own["TIME"],
        kind=own["EVID"].astype(int),
        amount=own["AMT"],
        rate=own["RATE"],
        further=own["ADDL"].astype(int),
        interval=own["II"],
        steady=own["SS"].astype(int),
        compartment=own["CMT"],
        value=own["DV"],
        line=line,
        covariates=covariates,
    )
