"""Tables of temperature over time, and of rates of release by temperature.

history: column   needed    meaning
time              yes       with its unit in the header ("time [min]") or the JSON beside it
temperature       yes       likewise, in degrees Celsius ("temperature [Cel]", "[°C]", "[C]")
region            optional  which probe, voxel or region; one history each

rates: column     needed    meaning
temperature       yes       as above, ascending, each once
rate              yes       of release, per time: "rate [1/min]", "rate [%/min]"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError, UnitsError
from igdd.io import columns, sidecar, tables

if TYPE_CHECKING:
    import pandas as pd

IGNORED = ("note", "notes", "comment")
EXAMPLES = {"time": "min", "temperature": "Cel", "rate": "1/min"}
# Beyond them no living tissue and no liposome was measured: another unit, Fahrenheit or kelvin.
COLDEST, HOTTEST = -10.0, 100.0


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Temperatures (t,) in degrees Celsius of a region at times (t,) in s, ascending."""

    region: str
    time: np.ndarray
    temperature: np.ndarray


def read_histories(path: Path) -> list[History]:
    """The histories of a CSV, TSV or xlsx table, by region in the order of the file."""
    path = Path(path)
    wished = {"time": "s", "temperature": "Cel"}
    table, found = _columns(path, wished, ("region",))
    time, temperature = found["time"], found["temperature"]
    names = [""] * len(table)
    if "region" in table:
        names = [cell if isinstance(cell, str) else "" for cell in table["region"]]
    made = []
    for name in dict.fromkeys(names):
        rows = np.flatnonzero([one == name for one in names])
        rows = rows[np.argsort(time[rows], kind="stable")]
        again = np.diff(time[rows]) <= 0
        if again.any():
            line = table.index[rows[1:][again][0]]
            raise InputError(
                f"{path}: line {line}: time {time[rows[1:][again][0]]:g} s stands there twice"
                f"{f' for region {name!r}' if name else ''}; expected each time once"
            )
        if rows.size < 2:
            raise InputError(
                f"{path}: {f'region {name!r}' if name else 'the history'} has one sample; "
                "expected two or more"
            )
        made.append(History(region=name, time=time[rows], temperature=temperature[rows]))
    return made


def read_rates(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Temperatures in degrees Celsius and rates of release in 1/s, as the table has them."""
    _, found = _columns(Path(path), {"temperature": "Cel", "rate": "1/s"}, ())
    return found["temperature"], found["rate"]


def _columns(
    path: Path, wished: Mapping[str, str], texts: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The table with plain headers, and its quantities in the units wished."""
    accepted = (*wished, *texts, *IGNORED)
    header = [str(name) for name in tables.read_table(path).columns]
    parts = {cell: columns.name_and_unit(cell, accepted) for cell in header}
    spelled = columns.spelled(parts, accepted, tuple(wished), path)
    table = tables.read_table(path, text=[spelled[name][0] for name in texts if name in spelled])
    if not len(table):
        raise InputError(f"{path}: holds no sample; expected one row per sample")
    facts, _ = sidecar.read_sidecar(path)
    found = {
        name: _quantity(table, columns.Asked(name, *spelled[name], unit), facts, path)
        for name, unit in wished.items()
    }
    return table.rename(columns={cell: name for name, (cell, _) in spelled.items()}), found


def _quantity(
    table: pd.DataFrame, asked: columns.Asked, facts: Mapping[str, Any], path: Path
) -> np.ndarray:
    unit = asked.unit or columns.described(facts, asked.name)
    if unit is None:
        raise UnitsError(
            f"{path}: nothing says in which unit {asked.name} is; expected a header such as "
            f"'{asked.name} [{EXAMPLES[asked.name]}]'"
        )
    unit = "Cel" if unit == "C" and asked.wished == "Cel" else unit
    found = columns.quantity(table, asked._replace(unit=unit), facts, path)
    columns.refuse_missing(table, ~np.isfinite(found), asked.name, path)
    if asked.wished == "Cel":
        what = (
            f"{{:g}} degrees Celsius; expected {COLDEST:g} to {HOTTEST:g}; is the unit another one?"
        )
        columns.refuse(table, ~((found > COLDEST) & (found < HOTTEST)), what, path, found)
    return found
