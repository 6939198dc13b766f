"""Lesion readings: diameters, attenuation and status that a reader wrote down at one visit.

They become rows of the table as they are: what the comparison `response` judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Modality
from igdd.errors import InputError
from igdd.facts import Agent, Subject
from igdd.results import Value
from igdd.uncertainty import Estimate

if TYPE_CHECKING:
    import pandas as pd

UNITS = {"longest_diameter": "mm", "short_axis": "mm", "attenuation": "HU", "status": "1"}


def of_subject(table: pd.DataFrame, subject: Subject, agent: Agent) -> tuple[Value, ...]:
    """The rows of one subject; a lesion that was not evaluated stands there without a number.

    The visit's time is that of its session, not of the table: NaN.
    """
    rows = table[table["subject"] == subject.id]
    if not len(rows):
        known = ", ".join(sorted(set(table["subject"]))) or "(none)"
        raise InputError(
            f"the lesion table holds no subject {subject.id!r}; expected the subject's id among "
            f"{known}"
        )
    analyte = agent.label_on or "label"
    given = [name for name in UNITS if np.isfinite(table[name]).any()]
    return tuple(
        Value(
            region=str(row["lesion"]),
            metric=name,
            estimate=Estimate(value=float(row[name])),
            unit=UNITS[name],
            time=float("nan"),
            analyte=analyte,
            method="as read",
        )
        for _, row in rows.iterrows()
        for name in given
    )


MODALITIES = (
    Modality(
        name="lesion_readings",
        calibrate=of_subject,
        gives="values",
        help="lesion diameters, attenuation and status as read, for response criteria",
    ),
)
