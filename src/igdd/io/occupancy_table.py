"""Tables of occupancies under doses of a drug: one row per subject (and region), in any order.

    column          needed    meaning
    dose            yes       of the drug, above 0 ("dose [mg]", "dose [mg/kg]"); or, instead of it,
    concentration   yes       in plasma, in the time of the scan ("concentration [ng/mL]")
    occupancy       yes       of the target, in % or as a fraction; not clipped to 0 and 1
    subject         optional  who
    region          optional  where; each region is a relation of its own
    sd              optional  standard error of the occupancy, in its unit
    dose_unit, concentration_unit, occupancy_unit   optional  one unit in all rows
    note            optional  not read

Something must say the units of the dose and of the occupancy: the call, the header, a column, or
the JSON beside the table ("occupancy": {"Units": "%"}). All that state one must state the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import columns, sidecar, tables

if TYPE_CHECKING:
    import pandas as pd

DRIVERS = ("dose", "concentration")
TEXTS = ("subject", "region")
UNITS = ("dose_unit", "concentration_unit", "occupancy_unit")
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *DRIVERS, "occupancy", "sd", *UNITS, *IGNORED)
MENDS = {
    "dose": "--unit, or a header such as 'dose [mg]'",
    "concentration": "--unit, or a header such as 'concentration [ng/mL]'",
    "occupancy": "--occupancy-unit percent or fraction, or a header such as 'occupancy [%]'",
}
# An occupancy further off is of another unit, or of a fit that failed.
MOST = 200.0


@dataclass(frozen=True, kw_only=True)
class Occupancies:
    """Occupancies of a table, one entry per row.

    driver     "dose" or "concentration", in `unit`
    level      doses or concentrations
    occupancy  in 1, and its standard error `sd`, NaN where the table has none
    """

    driver: str
    subject: tuple[str, ...]
    region: tuple[str, ...]
    level: np.ndarray
    occupancy: np.ndarray
    sd: np.ndarray
    unit: str
    source: str


def read(path: Path, unit: str | None = None, occupancy_unit: str | None = None) -> Occupancies:
    """Occupancies of a CSV, TSV or xlsx table; units where it does not say them."""
    path = Path(path)
    found = _columns([str(name) for name in tables.read_table(path).columns], path)
    texts = [found[name][0] for name in (*TEXTS, *UNITS) if name in found]
    table = tables.read_table(path, text=texts)
    facts, _ = sidecar.read_sidecar(path)
    return _occupancies(table, found, facts, path, (unit, occupancy_unit))


def of_columns(
    values: Mapping[str, Sequence[Any] | np.ndarray],
    unit: str | None = None,
    occupancy_unit: str | None = None,
) -> Occupancies:
    """Occupancies of columns in memory, under the names of a table's header."""
    import pandas as pd

    path = Path("the columns")
    found = _columns([str(name) for name in values], path)
    sizes = {name: len(column) for name, column in values.items()}
    if len(set(sizes.values())) != 1:
        said = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"{path} have different lengths ({said}); expected one entry per row")
    texts = {found[name][0] for name in (*TEXTS, *UNITS) if name in found}
    table = pd.DataFrame(
        {
            name: [str(cell) for cell in column] if name in texts else _numbers(name, column)
            for name, column in values.items()
        }
    )
    table.index += 1
    return _occupancies(table, found, {}, path, (unit, occupancy_unit))


def _numbers(name: str, column: Sequence[Any] | np.ndarray) -> np.ndarray:
    try:
        return np.asarray(column, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name!r}: {error}; expected numbers") from error


def _columns(header: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and the unit in it."""
    parts = {one: columns.name_and_unit(one, ACCEPTED) for one in header}
    drivers = [name for name, _ in parts.values() if name in DRIVERS]
    if len(set(drivers)) != 1:
        raise InputError(
            f"{path}: has {' and '.join(drivers) or 'no dose'}; expected one column dose, or one "
            "column concentration"
        )
    return columns.spelled(parts, ACCEPTED, (drivers[0], "occupancy"), path)


def _occupancies(
    table: pd.DataFrame,
    found: columns.Spelled,
    facts: Mapping[str, Any],
    path: Path,
    given: tuple[str | None, str | None],
) -> Occupancies:
    if not len(table):
        raise InputError(f"{path}: holds no occupancy; expected one row per subject")
    driver = next(name for name in DRIVERS if name in found)
    unit, own = (
        columns.stated_unit(
            table,
            found,
            name,
            (said, columns.described(facts, name)),
            expected=MENDS[name],
            path=path,
        )
        for name, said in ((driver, given[0]), ("occupancy", given[1]))
    )
    if not units.converts(own, "1"):
        raise UnitsError(f"{path}: occupancy is in {own!r}; expected '%' or '1'")
    scale = units.factor(own, "1")
    for name, stated in ((driver, unit), ("occupancy", own)):
        columns.refuse_units(table, found[name][0], stated, path)
    level = tables.numbers(table, found[driver][0], str(path))
    occupancy = tables.numbers(table, found["occupancy"][0], str(path), scale)
    sd = columns.deviations(table, found, "occupancy", path, scale)
    _check(table, (driver, level), occupancy, own, path)
    if "sd" in found:
        columns.refuse(table, ~(sd > 0), "sd is not above 0; expected one in every row", path)
    return Occupancies(
        driver=driver,
        subject=columns.texts(table, found, "subject"),
        region=columns.texts(table, found, "region"),
        level=level,
        occupancy=occupancy,
        sd=sd,
        unit=units.parse(unit).ucum,
        source=path.name,
    )


def _check(
    table: pd.DataFrame,
    driver: tuple[str, np.ndarray],
    occupancy: np.ndarray,
    unit: str,
    path: Path,
) -> None:
    """Refuse what is missing, a negative dose, and an occupancy that none can be."""
    name, level = driver
    columns.refuse_missing(table, ~np.isfinite(level), name, path)
    columns.refuse_missing(table, ~np.isfinite(occupancy), "occupancy", path, _WITHOUT)
    columns.refuse(table, level < 0, f"{name} {{:g}} is below 0; expected above", path, level)
    beyond = (
        f"an occupancy of {{:g}} %, by its unit {unit!r}; expected at most {MOST:g} %; is the unit "
        "another one? Leave out an occupancy whose fit failed"
    )
    columns.refuse(table, np.abs(occupancy) * 100 > MOST, beyond, path, 100 * occupancy)


_WITHOUT = "a number; remove the row of a subject without one"
