"""Plain tables of an input: time, and concentrations in plasma, blood or the portal vein.

One header row; columns are found by the names that people give them ("Cp[mM]", "whole_blood"). The
units of time and of concentration come from the caller, from brackets in the header, or from the
JSON beside the table, in this order; without them the table is an error. A single column of another
name ("concentration") needs the caller to say what it is of. In an `_inputfunction.tsv` of
bloodstream the column AIF, plasma without metabolites, is the plasma.
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
from igdd.io import bounded, sidecar, tables
from igdd.io.blood_table import NO_UNIT, check_percent, check_share
from igdd.io.columns import check_times, described, unit_mended
from igdd.types import freeze

if TYPE_CHECKING:
    import pandas as pd

# What a column holds, by the names it goes by (lower case, blanks and hyphens as underscores).
COLUMNS = {
    "time": ("time", "t", "times", "sample_time"),
    "plasma": ("plasma", "plasma_radioactivity", "cp", "plasma_concentration", "arterial_plasma"),
    "blood": (
        "blood", "whole_blood", "wholeblood", "whole_blood_radioactivity", "cb",
        "blood_concentration", "arterial_blood",
    ),
    "portal": ("portal", "portal_vein", "portal_plasma", "portal_blood"),
    "parent_fraction": ("parent_fraction", "metabolite_parent_fraction"),
}  # fmt: skip
# The unit inside for each kind of concentration, in the order in which they are tried.
INTERNAL = ("Bq/mL", "mol/mL", "g/mL", "1/s", "HU", "1")

_BRACKET = re.compile(r"(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]+)[\])]")


@dataclass(frozen=True, kw_only=True, eq=False)
class InputTable:
    """Samples of a table: `time` (n,) in s, and columns by what they hold, NaN where missing.

    columns  "plasma", "blood", "portal" in `unit`, "parent_fraction" as a share
    parent   whether metabolites are out of the plasma already
    unread   other columns of the table
    """

    time: np.ndarray
    columns: Mapping[str, np.ndarray]
    unit: str
    parent: bool = False
    unread: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        check_times(self.time, self.source)
        freeze(self)


def internal_unit(unit: str) -> str:
    """The unit in which a concentration of a unit is kept.

    >>> internal_unit("kBq/cc"), internal_unit("mM"), internal_unit("mg/L")
    ('Bq/mL', 'mol/mL', 'g/mL')
    """
    for wished in INTERNAL:
        if units.parse(unit).dimensions == units.parse(wished).dimensions:
            return wished
    raise UnitsError(
        f"unit {unit!r} is none of an input; expected one such as {', '.join(INTERNAL)}"
    )


def read(
    path: Path,
    *,
    unit: str | None = None,
    time_unit: str | None = None,
    compartment: str | None = None,
    facts: Path | None = None,
) -> InputTable:
    """Samples of a plain table, in s and in the internal unit of their kind.

    unit, time_unit  of the stored numbers, where the file does not say or says wrongly
    compartment      what a single column of another name holds: plasma, blood or portal
    facts            JSON with {"column": {"Units": ...}}, if it is not the one beside the table
    """
    path = Path(path)
    table = tables.read_table(path)
    stands = bounded.read_json(facts) if facts else sidecar.read_sidecar(path)[0]
    found, rest = _find(table, compartment, path)
    parent = _take_parent(found, rest)
    seconds = _unit(found["time"], "s", stands, time_unit, path)
    stated = {
        what: _unit(name, "Bq/mL", stands, unit, path)
        for what, name in found.items()
        if what in ("plasma", "blood", "portal")
    }
    kept = {internal_unit(one) for one in stated.values()}
    if len(kept) > 1:
        raise UnitsError(
            f"{path}: its columns are in {' and '.join(sorted(set(stated.values())))}; "
            "expected units of one kind"
        )
    inside = kept.pop() if kept else "Bq/mL"
    columns = {
        what: tables.numbers(table, found[what], str(path), units.factor(one, inside))
        for what, one in stated.items()
    }
    if "parent_fraction" in found:
        columns["parent_fraction"] = _fraction(table, found["parent_fraction"], stands, path)
    return InputTable(
        time=tables.numbers(table, found["time"], str(path), units.factor(seconds, "s")),
        columns=columns,
        unit=inside,
        parent=parent,
        unread=tuple(str(name) for name in table.columns if name not in found.values()),
        source=str(path),
    )


def _plain(header: str) -> str:
    match = _BRACKET.fullmatch(header.strip())
    name = match["name"] if match else header.strip()
    return re.sub(r"[\s-]+", "_", name.strip()).lower()


def _find(
    table: pd.DataFrame, compartment: str | None, path: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Header of each thing that the table holds, and the headers of the rest."""
    headers = [str(name) for name in table.columns]
    found: dict[str, str] = {}
    for header in headers:
        for what, names in COLUMNS.items():
            if _plain(header) not in names:
                continue
            if what in found:
                raise InputError(
                    f"{path}: columns {found[what]!r} and {header!r} both hold {what}; "
                    "expected one; remove or rename the other"
                )
            found[what] = header
    if "time" not in found:
        raise InputError(
            f"{path}: has the columns {', '.join(headers)[:200]}; expected one named 'time'"
        )
    rest = tuple(header for header in headers if header not in found.values())
    if len(found) > 1:
        return found, rest
    if compartment is not None and len(rest) == 1:
        return {**found, compartment: rest[0]}, ()
    raise InputError(
        f"{path}: has the columns {', '.join(headers)[:200]}; expected 'plasma', 'blood' (whole "
        "blood) or 'portal' beside the time, or one column and compartment = 'plasma' or 'blood'"
    )


def _take_parent(found: dict[str, str], rest: tuple[str, ...]) -> bool:
    """Put the metabolite-corrected plasma of bloodstream, if there is one, in the place of plasma.

    A column AIF is that only beside columns of PET-BIDS: alone it may be of blood, or of contrast.
    """
    corrected = [header for header in rest if _plain(header) == "aif"]
    if not corrected or not any("_radioactivity" in header for header in found.values()):
        return False
    found.pop("parent_fraction", None)
    found["plasma"] = corrected[0]
    return True


def _unit(header: str, wished: str, facts: Mapping[str, Any], given: str | None, path: Path) -> str:
    bracket = _BRACKET.fullmatch(header.strip())
    unit = given or (bracket["unit"] if bracket else None) or described(facts, header)
    keyword = "time_unit" if wished == "s" else "unit"
    if unit is None or not unit.strip():
        raise UnitsError(
            f"{path}: nothing says in which unit {header!r} is; expected a header such as "
            f'\'{_plain(header)}[{wished}]\', a JSON with "{header}": {{"Units": "{wished}"}}, '
            f"or {keyword}='{wished}'"
        )
    try:
        if wished == "s":
            units.factor(unit, "s")
        else:
            internal_unit(unit)
    except UnitsError as error:
        mend = unit_mended(unit, keyword)
        raise UnitsError(f"{path}: column {header!r}: {error}; {mend}") from error
    return unit


def _fraction(table: pd.DataFrame, header: str, facts: Mapping[str, Any], path: Path) -> np.ndarray:
    bracket = _BRACKET.fullmatch(header.strip())
    unit = (bracket["unit"] if bracket else None) or described(facts, header) or "1"
    factor = 1.0 if unit.strip().lower() in NO_UNIT else units.factor(unit, "1")
    values = tables.numbers(table, header, str(path), factor)
    if factor != 1:
        check_percent(values, f"{path}: column {header!r}")
    mend = f"if it is in per cent, name it '{_plain(header)}[%]'"
    check_share(values, f"{path}: column {header!r}", mend)
    return values
