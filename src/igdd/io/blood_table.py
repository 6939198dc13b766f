"""PET-BIDS blood: samples of a manual or automatic recording, in s and Bq/mL.

The TSV holds the columns, the JSON beside it (or inherited) their units: an activity without a unit
is an error. Time counts since the TimeZero of `_pet.json`, by PET-BIDS in s, and fractions are
shares, where the JSON says nothing else. PET-BIDS wants blood corrected for decay to its time zero,
but no field of it says whether it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.declare import Reader
from igdd.errors import InputError, UnitsError
from igdd.io import bounded, sidecar, tables
from igdd.io.columns import check_times, described, single, unit_mended
from igdd.types import freeze

if TYPE_CHECKING:
    import pandas as pd

ACTIVITIES = {"plasma_radioactivity": "PlasmaAvail", "whole_blood_radioactivity": "WholeBloodAvail"}
PARENT = "metabolite_parent_fraction"
FRACTIONS = (
    PARENT, "metabolite_polar_fraction", "metabolite_lipophilic_fraction",
    "hplc_recovery_fractions",
)  # fmt: skip
# Words by which sidecars say that a fraction has no unit.
NO_UNIT = (
    "arbitrary", "arbitrary units", "a.u.", "unitless", "dimensionless", "fraction", "ratio", "1",
    "n/a", "none", "",
)  # fmt: skip
# Counting noise carries a fraction a little past its ends; a percentage goes much farther.
FRACTION_RANGE = (-0.1, 1.1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Blood:
    """Blood samples: `time` (n,) in s since the recording's time zero, ascending.

    plasma, whole_blood   (n,) Bq/mL, NaN where a sample was not measured, or None: no such column
    fractions             column name -> (n,) share of the plasma activity, 0..1, NaN as above
    decay_corrected       as the sidecar says (a draft of PET-BIDS had DecayCorrected), or None
    dispersion_corrected  as the sidecar says, or None
    dispersion   time constant in s of the tubing, as the sidecar says, or None
    method                how metabolites were measured, in the sidecar's words
    unread                columns of the file that PET-BIDS does not name
    """

    time: np.ndarray
    plasma: np.ndarray | None = None
    whole_blood: np.ndarray | None = None
    fractions: Mapping[str, np.ndarray]
    sampling: str = ""
    decay_corrected: bool | None = None
    dispersion_corrected: bool | None = None
    dispersion: float | None = None
    method: str = ""
    unread: tuple[str, ...] = ()
    source: str = ""
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_times(self.time, self.source)
        for name, values in (("plasma", self.plasma), ("whole blood", self.whole_blood)):
            if values is not None and values.shape != self.time.shape:
                raise InputError(
                    f"{self.source}: {name} has {values.size} values for {self.time.size} times"
                )
        freeze(self)

    @property
    def parent_fraction(self) -> np.ndarray | None:
        """Share of plasma activity that is the unchanged tracer (n,), or None."""
        return self.fractions.get(PARENT)


def sniff(path: Path) -> bool:
    """Whether a path is named as PET-BIDS names blood recordings."""
    return Path(path).name.lower().endswith("_blood.tsv")


def read(
    path: Path,
    facts: Path | None = None,
    *,
    unit: str | None = None,
    time_unit: str | None = None,
) -> Blood:
    """Blood of a `_blood.tsv` with its JSON, which may also be named by `facts`.

    unit, time_unit  of the activities and times, where the JSON does not say or says wrongly
    """
    path = Path(path)
    if facts is None:
        merged, files = sidecar.read_sidecar(path)
    else:
        merged, files = bounded.read_json(facts), (Path(facts),)
    if not files and unit is None:
        raise InputError(
            f"{path}: has no JSON beside it; expected {path.stem}.json with each column's Units, "
            "or unit = 'kBq/mL'"
        )
    said = dict.fromkeys(ACTIVITIES, unit) | {"time": time_unit}
    merged |= {name: {"Units": one} for name, one in said.items() if one is not None}
    table = _without_padding(tables.read_table(path))
    if "time" not in table:
        raise InputError(
            f"{path}: has the columns {', '.join(map(str, table.columns))[:200]}; expected 'time'"
        )
    where = str(path)
    activity = {
        name: _column(table, name, "Bq/mL", merged, where) for name in ACTIVITIES if name in table
    }
    # a JSON of its own that promises a column speaks of this file; a shared one of its siblings
    own = any(file.stem == path.stem for file in files)
    for name, key in ACTIVITIES.items():
        if _flag(merged, key, where) and name not in activity and own:
            raise InputError(f"{path}: its JSON says {key}, but there is no column {name}")
    known = ("time", *ACTIVITIES, *FRACTIONS)
    return Blood(
        time=_column(table, "time", "s", merged, where),
        plasma=activity.get("plasma_radioactivity"),
        whole_blood=activity.get("whole_blood_radioactivity"),
        fractions={n: _fraction(table, n, merged, where) for n in FRACTIONS if n in table},
        sampling=_sampling(path),
        decay_corrected=_flag(merged, "DecayCorrected", where),
        dispersion_corrected=_flag(merged, "DispersionCorrected", where),
        dispersion=_seconds(merged, "DispersionConstant", where),
        method=str(merged.get("MetaboliteMethod", ""))[:200],
        unread=tuple(str(name) for name in table.columns if name not in known),
        source=where,
        files=(where, *map(str, files)),
    )


def _sampling(path: Path) -> str:
    named = sidecar.entities(path.stem)
    return named[0].get("recording", "") if named else ""


def _without_padding(table: pd.DataFrame) -> pd.DataFrame:
    """The table without rows of zeros, time included, that a program left below the samples."""
    empty = (table.isna() | (table == 0)).all(axis=1).to_numpy()
    return table.iloc[: max(1, np.flatnonzero(~empty).max(initial=0) + 1)]


def _column(
    table: pd.DataFrame, name: str, wished: str, facts: Mapping[str, Any], where: str
) -> np.ndarray:
    unit = described(facts, name) or {"time": "s"}.get(name)
    if unit is None:
        raise UnitsError(
            f"{where}: column {name} has no unit in the JSON; expected "
            f'"{name}": {{"Units": "kBq/mL"}} there, or unit = \'kBq/mL\''
        )
    try:
        factor = units.factor(unit, wished)
    except UnitsError as error:
        keyword = {"s": "time_unit", "Bq/mL": "unit"}.get(wished)
        mend = f"; {unit_mended(unit, keyword)}" if keyword else ""
        raise UnitsError(f"{where}: column {name}: {error}{mend}") from error
    return tables.numbers(table, name, where, factor)


def _fraction(table: pd.DataFrame, name: str, facts: Mapping[str, Any], where: str) -> np.ndarray:
    if (described(facts, name) or "").strip().lower() in NO_UNIT:
        values = tables.numbers(table, name, where)
    else:
        values = _column(table, name, "1", facts, where)
        if name == PARENT:
            check_percent(values, f"{where}: column {name}")
    mend = 'if it is in per cent, its JSON must say "Units": "%"'
    check_share(values, f"{where}: column {name}", mend)
    return values


def check_percent(values: np.ndarray, what: str) -> None:
    """Refuse parent fractions said to be in per cent that are shares: none is above 1 %."""
    known = values[np.isfinite(values)]
    if known.size and known.max() <= 1 / 100:
        raise InputError(
            f"{what} is in per cent and holds at most {100 * known.max():g}; expected parent "
            'fractions near 100 early on; if they are shares from 0 to 1, say "Units": "1"'
        )


def check_share(values: np.ndarray, what: str, mend: str) -> None:
    """Refuse shares far from 0 to 1, which are in per cent, and say how to mend that."""
    low, high = FRACTION_RANGE
    if (outside := (values < low) | (values > high)).any():
        raise InputError(
            f"{what} holds {values[outside][0]:g}; expected shares from 0 to 1; {mend}"
        )


def _flag(facts: Mapping[str, Any], key: str, where: str) -> bool | None:
    """A yes or no; some converters write it as text."""
    value = single(facts.get(key))
    if value is None or isinstance(value, bool):
        return value
    words = {"true": True, "false": False, "n/a": None, "": None}
    if not isinstance(value, str) or value.lower() not in words:
        raise InputError(f"{where}: {key} is {str(value)[:40]!r}; expected true or false")
    return words[value.lower()]


def _seconds(facts: Mapping[str, Any], key: str, where: str) -> float | None:
    """A time in s, the standard's unit for it; None where there is none."""
    value = single(facts.get(key))
    if value is None or value in ("", "n/a"):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
        raise InputError(f"{where}: {key} is {str(value)[:40]!r}; expected seconds")
    return float(value)


READERS = (
    Reader(
        name="pet_bids_blood",
        gives="table",
        sniff=sniff,
        read=read,
        help="PET-BIDS blood recording: TSV of samples and its JSON",
        reference="https://bids-specification.readthedocs.io, PET, blood recording data",
    ),
)
