"""What `igdd pbpk` reads: parameters as TOML, studies and observed tumour curves as tables.

Parameters are those of `igdd.kernels.nanoparticle_pbpk.UNITS`. One with a unit is text with a
unit ("12 h"), or a column with a unit in its header ("tumour.uptake_half_time [h]"); the columns of
the published data set (KTRESmax, BW ...) carry their published units.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import bounded, tables
from igdd.kernels.nanoparticle_pbpk import UNITS

LARGEST = 16_384  # bytes of a parameter file; the one that ships has 3,000
MOST_STUDIES = 20_000
MOST_TIMES = 2_000
LONGEST = 24 * 365.25 * 3  # h, a mouse's life
ALLOMETRIC = "/kg^0.75"

# Columns of the published data set -> parameter, in its unit; and those that are not read.
PUBLISHED = {
    "BW": "body_weight", "QTC": "tumour.flow_fraction", "VTC": "tumour.volume_fraction",
    "BVT": "tumour.blood_fraction", "PT": "tumour.partition", "PATC": "tumour.permeability",
    "KTRESrelease": "tumour.release", "KTRESmax": "tumour.uptake_maximum",
    "KTRES50": "tumour.uptake_half_time", "KTRESn": "tumour.uptake_exponent",
}  # fmt: skip
NOT_READ = frozenset(
    [
        "Type",
        "TS",
        "HD",
        "Zeta",
        "Charge",
        "Shape",
        "TM",
        "CT",
        "TSz",
        "TW",
        "Dose",
        "DE24",
        "DE168",
        "Demax",
        "Tumor_g",
        "note",
        "notes",
    ]
)
STUDY, TIME, PERCENT, SD = ("study", "ID"), ("time", "Time"), ("percent_id", "Tumor"), ("sd",)
_HEADER = re.compile(r"(?P<name>[^\s\[\]()]+)\s*[\[(](?P<unit>[^\[\]()]+)[\])]")


@dataclass(frozen=True, kw_only=True)
class Studies:
    """Parameters of s studies, each (s,) or (1,)."""

    names: tuple[str, ...]
    parameters: Mapping[str, np.ndarray]
    source: str


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Tumour uptake (%ID) of one study over time (h), ascending; sd NaN where not stated.

    left_out  rows at or below zero, or at no time after the dose: they have no logarithm
    """

    time: np.ndarray
    value: np.ndarray
    sd: np.ndarray
    left_out: int


@cache
def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads(files("igdd").joinpath("stages", name).read_text("utf-8"))


def mouse() -> dict[str, float]:
    """The mouse that ships: every parameter of the model, in the units of `UNITS`."""
    return _values(_shipped("pbpk_mouse.toml"), "pbpk_mouse.toml")


def prior_table() -> dict[str, Any]:
    """The prior of the tumour's parameters that ships."""
    return _shipped("pbpk_prior.toml")


def read_parameters(path: Path) -> dict[str, float]:
    """Every parameter: those of a TOML file, the others as in the mouse that ships."""
    text = bounded.read_text(path, LARGEST)
    if any(line.count(".") > 64 for line in text.splitlines() if not line.startswith("#")):
        raise InputError(f"{path}: a key has more than 64 parts; expected names such as tumour")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not TOML ({str(error)[:120]})") from error
    return mouse() | _values(table, str(path))


def _values(table: Mapping[str, Any], source: str) -> dict[str, float]:
    """Parameters of a TOML table, one level of tissues deep."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": one for part, one in value.items()}
        else:
            flat[name] = value
    found = {}
    for name, value in flat.items():
        if name not in UNITS:
            raise InputError(
                f"{source}: {name[:80]} is no parameter of the model; expected such as "
                "body_weight, or in [tumour] permeability; docs/delivery_models.md lists them"
            )
        found[name] = _value(value, UNITS[name], f"{source}: {name}")
    return found


def _value(value: Any, unit: str, where: str) -> float:
    """A number of a parameter's unit; text with a unit where it has one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"{where} is a {type(value).__name__}; expected a number in {unit}")
    try:
        if unit == "1":
            found = units.read(value, "1")  # type: ignore[arg-type]
        elif unit.endswith(ALLOMETRIC):
            if not isinstance(value, str) or not value.rstrip().endswith(ALLOMETRIC):
                raise UnitsError(f"{value!r} does not end in {ALLOMETRIC}; expected '1 {unit}'")
            plain = value.rstrip().removesuffix(ALLOMETRIC)
            found = units.read(plain, unit.removesuffix(ALLOMETRIC))
        else:
            found = units.read(value, unit)  # type: ignore[arg-type]
    except UnitsError as error:
        raise UnitsError(f"{where}: {error}") from error
    if not np.isfinite(found):
        raise InputError(f"{where} is {found}; expected a finite number in {unit}")
    return found


def read_studies(path: Path, base: Mapping[str, float]) -> Studies:
    """Studies of a table, one per row; what it does not say is as in `base`."""
    path = Path(path)
    names = _first(path, STUDY)
    table = tables.read_table(path, text=[names])
    if not 0 < len(table) <= MOST_STUDIES:
        raise InputError(f"{path}: holds {len(table)} studies; expected 1 to {MOST_STUDIES}")
    parameters = {name: np.array([value]) for name, value in base.items()}
    set_by: dict[str, str] = {}
    for header in map(str, table.columns):
        if header == names or header in NOT_READ:
            continue
        name, factor = _column(header, path)
        if name in set_by:
            raise InputError(f"{path}: columns {set_by[name]!r} and {header!r} are both {name}")
        set_by[name] = header
        values = tables.numbers(table, header, str(path)) * factor
        if np.isnan(values).any():
            line = table.index[np.isnan(values)][0]
            raise InputError(f"{path}: line {line} has no {header}; expected one in every row")
        parameters[name] = values
    if not set_by:
        raise InputError(f"{path}: no column is a parameter of the model; expected such as "
                         "tumour.permeability; docs/delivery_models.md lists them")  # fmt: skip
    return Studies(
        names=_named(table[names], path, unique=True), parameters=parameters, source=path.name
    )


def _first(path: Path, spelled: tuple[str, ...]) -> str:
    """The column that names the study, as the table spells it."""
    header = [str(name) for name in tables.read_table(path).columns]
    found = [name for name in spelled if name in header]
    if len(found) != 1:
        raise InputError(
            f"{path}: has {len(found)} of the columns {' and '.join(spelled)}; expected one"
        )
    return found[0]


def _named(cells: Any, path: Path, *, unique: bool) -> tuple[str, ...]:
    """Names of studies; "1.0" is study 1, as spreadsheets write it."""
    names = tuple(re.sub(r"\.0+$", "", str(cell)) for cell in cells)
    if cells.isna().any():
        raise InputError(f"{path}: line {cells.index[cells.isna()][0]} names no study")
    if unique and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: study {twice[:60]!r} stands in two rows; expected one each")
    return names


def _column(header: str, path: Path) -> tuple[str, float]:
    """A column's parameter, and the factor that brings it to the model's unit."""
    if header in PUBLISHED:
        return PUBLISHED[header], 1.0
    match = _HEADER.fullmatch(header.strip())
    name, unit = (match["name"], match["unit"]) if match else (header.strip(), None)
    if name not in UNITS:
        raise InputError(
            f"{path}: column {header[:60]!r} is no parameter of the model; expected such as "
            "tumour.permeability, or study; name it note if it is not to be read"
        )
    wished = UNITS[name]
    if wished == "1" and unit is None:
        return name, 1.0
    if unit is None:
        raise UnitsError(
            f"{path}: column {header[:60]!r} has no unit; expected '{name} [{wished}]'"
        )
    if unit == wished:
        return name, 1.0
    if wished.endswith(ALLOMETRIC):
        raise UnitsError(f"{path}: column {header[:60]!r}; expected '{name} [{wished}]'")
    return name, units.factor(unit, wished)


def read_observed(path: Path) -> dict[str, Observed]:
    """Observed tumour curves by study: columns study, time [h], percent_id [%], optional sd [%]."""
    path = Path(path)
    study = _first(path, STUDY)
    table = tables.read_table(path, text=[study])
    header = [str(name) for name in table.columns]
    columns = {
        what: _observed_column(header, spelled, path)
        for what, spelled in (("time", TIME), ("value", PERCENT), ("sd", SD))
    }
    for what in ("time", "value"):
        if columns[what] is None:
            lacking = "time" if what == "time" else "percent_id"
            raise InputError(
                f"{path}: column {lacking} is missing; expected study, time [h], percent_id [%]"
            )
    values = {
        what: np.full(len(table), np.nan) if found is None
        else tables.numbers(table, found[0], str(path)) * found[1]
        for what, found in columns.items()
    }  # fmt: skip
    names = np.array(_named(table[study], path, unique=False))
    return {name: _one(values, names == name, (name, path)) for name in dict.fromkeys(names)}


def _observed_column(
    header: list[str], spelled: tuple[str, ...], path: Path
) -> tuple[str, float] | None:
    """A column as spelled, and the factor to h or %; the published spelling has its own unit."""
    if spelled[-1] in header and len(spelled) > 1:
        return spelled[-1], 1.0
    wished = "h" if spelled is TIME else "%"
    for one in header:
        match = _HEADER.fullmatch(one.strip())
        if (match["name"] if match else one.strip()) == spelled[0]:
            if match is None:
                raise UnitsError(f"{path}: column {one!r} has no unit; expected '{one} [{wished}]'")
            return one, units.factor(match["unit"], wished)
    return None


def _one(values: Mapping[str, np.ndarray], rows: np.ndarray, where: tuple[str, Path]) -> Observed:
    """One study's curve in order of time."""
    time, value, sd = (values[what][rows] for what in ("time", "value", "sd"))
    if not np.isfinite(time).all() or (time < 0).any() or (time > LONGEST).any():
        raise InputError(
            f"{where[1]}: study {where[0][:60]!r} has a time that is missing, negative or beyond "
            f"{LONGEST:.0f} h; expected a time after the dose"
        )
    if (sd <= 0).any():
        raise InputError(
            f"{where[1]}: study {where[0][:60]!r} has an sd of 0 or below; expected > 0"
        )
    used = (value > 0) & (time > 0)
    order = np.argsort(time[used], kind="stable")
    if order.size > MOST_TIMES:
        raise InputError(f"{where[1]}: study {where[0][:60]!r} has more than {MOST_TIMES} points")
    return Observed(
        time=time[used][order],
        value=value[used][order],
        sd=sd[used][order],
        left_out=int((~used).sum()),
    )


def read_times(text: str) -> np.ndarray:
    """Times (h) of a text such as "1 h, 24 h, 7 d", ascending.

    >>> read_times("30 min, 1 h, 7 d")
    array([  0.5,   1. , 168. ])
    """
    parts = [part for part in text.split(",") if part.strip()]
    if not 0 < len(parts) <= MOST_TIMES:
        raise InputError(f"{len(parts)} times; expected 1 to {MOST_TIMES}, such as '1 h, 24 h'")
    found = np.array([units.read(part, "h") for part in parts])
    if (found < 0).any() or (found > LONGEST).any() or (np.diff(found) <= 0).any():
        raise InputError(
            f"times {text[:80]!r}; expected each later than the one before, from 0 h to "
            f"{LONGEST:.0f} h"
        )
    return found
