"""Uptake table: %ID and %ID/g of regions, as others have worked them out, with their own sd.

Planar or tomographic readings, excised organs, blood and urine of a publication or of another
program enter the line here. Values stand as given, corrected for decay to administration; a weighed
mass m gives the one scale from the other, %ID = m %ID/g.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Modality
from igdd.errors import InputError
from igdd.facts import Agent, Subject
from igdd.results import Value
from igdd.uncertainty import Estimate

if TYPE_CHECKING:
    import pandas as pd

METHOD = "Uptake as stated in a table, corrected for decay to administration"


def of_subject(table: pd.DataFrame, subject: Subject, agent: Agent) -> tuple[Value, ...]:
    """Values of one subject's regions at their times; its id is the table's subject."""
    mine = table[table["subject"] == subject.id]
    if not len(mine):
        known = ", ".join(sorted(set(table["subject"]))[:20])
        raise InputError(
            f"the uptake table holds no subject {subject.id!r}; expected the subject's id among "
            f"{known}"
        )
    return tuple(value for _, row in mine.iterrows() for value in _values(row))


def _values(row: pd.Series) -> Iterator[Value]:
    mass = float(row["mass"])
    stated = {
        name: Estimate(value=float(row[name]), sd=float(row[f"{name}_sd"]))
        for name in ("percent_id", "percent_id_per_g")
        if np.isfinite(row[name])
    }
    found = dict(stated)
    flags: dict[str, tuple[str, ...]] = {}
    if np.isfinite(mass) and len(stated) == 1:
        ((name, one),) = stated.items()
        other = "percent_id" if name == "percent_id_per_g" else "percent_id_per_g"
        found[other] = one.times(mass if other == "percent_id" else 1 / mass)
        flags[other] = ("mass_sd_unknown",)
    if np.isfinite(row["volume"]):
        found["volume"] = Estimate(value=float(row["volume"]))
    units = {"percent_id": "%", "percent_id_per_g": "%/g", "volume": "mL"}
    for name, estimate in found.items():
        yield Value(
            region=str(row["region"]),
            metric=name,
            estimate=estimate,
            unit=units[name],
            time=float(row["time"]),
            analyte=str(row["analyte"]),
            flags=flags.get(name, ()),
            method=METHOD,
        )


MODALITIES = (
    Modality(
        name="uptake_table",
        calibrate=of_subject,
        gives="values",
        help="%ID and %ID/g of regions over time, as others have worked them out",
    ),
)
