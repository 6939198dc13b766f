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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
MENDS = {
    "time": "--time-unit, or a header such as 'time [h]'",
    "released": "--released-unit percent or fraction, or a header such as 'released [%]'",
}


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
        name: columns.stated_unit(
            table,
            spelled,
            name,
            (given, columns.described(facts, name)),
            expected=MENDS[name],
            path=path,
        )
        for name, given in zip(QUANTITIES, (time_unit, released_unit), strict=True)
    }
    _factor(stated, "time", "s", path)
    scale = _factor(stated, "released", "%", path)
    for name in QUANTITIES:
        columns.refuse_units(table, spelled[name][0], stated[name], path)
    time = tables.numbers(table, spelled["time"][0], str(path))
    released = tables.numbers(table, spelled["released"][0], str(path), scale)
    _check(table, time, released, stated["released"], path)
    return Samples(
        formulation=columns.every_text(table, spelled, "formulation", path),
        vessel=columns.texts(table, spelled, "vessel"),
        time=time,
        released=released,
        sd=columns.deviations(table, spelled, "released", path, scale),
        line=table.index.to_numpy(),
        time_unit=units.from_ucum(stated["time"]),
        source=path.name,
    )


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and the unit in it."""
    accepted = {*ACCEPTED, *ALIASES, "subject"}
    written = {one: columns.name_and_unit(one, accepted) for one in header}
    plain = {ALIASES.get(name, name) for name, _ in written.values()}
    # A subject beside a formulation is one of its vessels.
    aliases = ALIASES | {"subject": "vessel" if "formulation" in plain else "formulation"}
    parts = {
        one: (aliases.get(name, name), unit or columns.WORDS.get(name))
        for one, (name, unit) in written.items()
    }
    return columns.spelled(parts, ACCEPTED, ("formulation", *QUANTITIES), path)


def _factor(stated: Mapping[str, str], name: str, wished: str, path: Path) -> float:
    try:
        return units.factor(stated[name], wished)
    except UnitsError as error:
        raise UnitsError(f"{path}: {name}: {error}") from error


def _check(
    table: pd.DataFrame, time: np.ndarray, released: np.ndarray, unit: str, path: Path
) -> None:
    """Refuse a time that is missing or negative, and more than twice the load."""
    columns.refuse_missing(table, ~np.isfinite(time), "time", path)
    early = "time {:g} is before release could begin; expected times of at least 0; remove the row"
    columns.refuse(table, time < 0, early, path, time)
    beyond = (
        f"{{:g}} % of the load is released, by its unit {unit!r}; expected at most {MOST:g} %; is "
        "the unit another one?"
    )
    columns.refuse(table, np.abs(released) > MOST, beyond, path, released)
