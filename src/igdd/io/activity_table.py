"""Tables of activity in regions over time: one row per region and time, in any order.

    column      needed    meaning
    region      yes       where the activity is
    time        yes       after administration; a negative one is before it
    activity    yes       in the region, or % of the activity given; empty where missing
    sd          optional  its standard deviation, in the unit of the activity
    volume      or mass   of the region, at each time or once
    volume_sd, mass_sd    standard deviation of it
    density     optional  g/mL of the region
    human_mass  optional  of the same organ in a human, to scale from mice
    subject     optional  whom the region belongs to
    note        optional  not read

A unit stands in the header ("activity [MBq]", "time_h"), in the JSON beside the table ("time":
{"Units": "h"}), or in the call. Columns that state a unit of their own twice, and differ, are
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import bounded, columns, tables

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("region", "subject")
# Column -> unit that it is brought to; "" where two kinds of quantity are possible.
QUANTITIES = {
    "time": "h", "activity": "", "sd": "", "volume": "mL", "volume_sd": "mL", "mass": "g",
    "mass_sd": "g", "density": "g/mL", "human_mass": "g",
}  # fmt: skip
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *QUANTITIES, *IGNORED)
ALIASES = {"organ": "region", "lesion": "region", "activity_sd": "sd", "tumour": "region"}
EXAMPLES = {"time": "h", "activity": "MBq", "volume": "mL", "mass": "g"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Rows of a table: h, MBq or % of the activity given, mL, g; NaN where there is none."""

    subject: tuple[str, ...]
    region: tuple[str, ...]
    time: np.ndarray
    activity: np.ndarray
    sd: np.ndarray
    volume: np.ndarray
    volume_sd: np.ndarray
    mass: np.ndarray
    mass_sd: np.ndarray
    density: np.ndarray
    human_mass: np.ndarray
    line: np.ndarray
    percent: bool
    source: str


def read(path: Path, stated: Mapping[str, str | None]) -> Measured:
    """The rows of a CSV, TSV or xlsx table; `stated` are units of the call, by column."""
    path = Path(path)
    spelled = _columns([str(name) for name in tables.read_table(path).columns], path)
    texts = [header for name, (header, _) in spelled.items() if name in (*TEXTS, *IGNORED)]
    table = tables.read_table(path, text=texts)
    if not len(table):
        raise InputError(f"{path}: holds no measurement; expected one row per region and time")
    beside = path.with_suffix(".json")
    facts = bounded.read_json(beside) if beside.exists() else {}
    unit = _unit("activity", table, spelled, (stated, facts), path)
    wished, percent = _kind(unit, path)
    found = {
        name: _numbers(table, name, spelled, (stated, facts), (path, wished)) for name in QUANTITIES
    }
    region = columns.every_text(table, spelled, "region", path)
    columns.refuse_missing(table, ~np.isfinite(found["time"]), "time", path)
    for name in set(found) - {"time", "activity"}:
        wrong = found[name] < 0 if name.endswith("sd") else found[name] <= 0
        least = "at least 0" if name.endswith("sd") else "above 0"
        columns.refuse(table, wrong, f"{name} is {{:g}}; expected {least}", path, found[name])
    return Measured(
        subject=columns.every_text(table, spelled, "subject", path), region=region,
        line=table.index.to_numpy(), percent=percent, source=path.name, **found,
    )  # fmt: skip


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and the unit in it."""
    parts = {one: _name_and_unit(one) for one in header}
    mend = (
        "the nuclide and the activity given are said with the call; remove the column or name it "
        "note"
    )
    return columns.spelled(parts, ACCEPTED, ("region", "time", "activity"), path, mend)


def _name_and_unit(spelled: str) -> tuple[str, str | None]:
    """Column name and the unit that the header gives, also as "activity_MBq"."""
    names = {*ACCEPTED, *ALIASES}
    name, unit = columns.name_and_unit(spelled, names)
    if name not in names:
        head, _, tail = spelled.strip().rpartition("_")
        if head.lower() in names and tail:
            name, unit = head.lower(), tail
    return ALIASES.get(name, name), unit


def _unit(
    name: str,
    table: pd.DataFrame,
    spelled: columns.Spelled,
    given: tuple[Mapping[str, str | None], Mapping[str, Any]],
    path: Path,
) -> str:
    """The one unit of a column, from the header, the JSON or the call, which must agree."""
    stated, facts = given
    outside = stated.get(name), columns.described(facts, name)
    example = EXAMPLES.get(name, QUANTITIES[name] or "MBq")
    expected = f"a header such as '{name} [{example}]'"
    if name in EXAMPLES:
        expected += f", or --{name}-unit {example}"
    return columns.stated_unit(table, spelled, name, outside, expected=expected, path=path)


def _kind(unit: str, path: Path) -> tuple[str, bool]:
    """Unit that activities are brought to, and whether it is % of the activity given."""
    dimensions = units.parse(unit).dimensions
    if dimensions == units.parse("Bq").dimensions:
        return "MBq", False
    if dimensions == () and units.parse(unit).factor == units.parse("%").factor:
        return "%", True
    raise UnitsError(
        f"{path}: activity is in {unit!r}; expected the activity of the region, such as MBq, or % "
        "of the activity given; multiply a concentration by the volume"
    )


def _numbers(
    table: pd.DataFrame,
    name: str,
    spelled: columns.Spelled,
    outside: tuple[Mapping[str, str | None], Mapping[str, Any]],
    where: tuple[Path, str],
) -> np.ndarray:
    """A column in its unit; NaN where it has no cell or the table no such column."""
    if name not in spelled:
        return np.full(len(table), np.nan)
    path, activity = where
    header = spelled[name][0]
    partner = {"sd": "activity", "volume_sd": "volume", "mass_sd": "mass"}.get(name)
    wished = QUANTITIES[name] or activity
    if partner is not None and spelled[name][1] is None:
        if partner not in spelled:
            raise InputError(f"{path}: column {header!r} without a column {partner}")
        unit = _unit(partner, table, spelled, outside, path)
    else:
        unit = _unit(name, table, spelled, outside, path)
    try:
        factor = units.factor(unit, wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: column {header!r}: {error}") from error
    return tables.numbers(table, header, str(path), factor)
