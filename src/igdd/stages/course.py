"""Course: metrics that follow each subject over all its sessions, from the rows of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from igdd import catalog
from igdd.document import Document
from igdd.facts import Agent
from igdd.metrics.ledger import METRIC as LEDGER
from igdd.results import COURSE, Course, FittedCurves
from igdd.stages.measure import table_of
from igdd.stages.plan import agent_of, subject_of

if TYPE_CHECKING:
    import pandas as pd

# Bounds (%) of a ledger that closes: a dose cannot multiply, nor leave within the first hour.
MOST_FOUND, LEAST_FOUND, EARLY = 105.0, 90.0, 3600.0
MOST_NAMED = 3
LEAST_LEFT = 0.01  # of the activity: below it, counting statistics and background rule


def follow(
    table: pd.DataFrame, kinds: Mapping[str, str], document: Document
) -> tuple[pd.DataFrame, tuple[FittedCurves, ...]]:
    """Rows of all metrics of level "subject" that a study asks for, and curves to show of them."""
    requests = [
        (catalog.find("metrics", asked.metric), asked.model_dump(exclude={"metric", "version"}))
        for asked in document.measure
    ]
    requests = [(metric, options) for metric, options in requests if metric.level == "subject"]
    agent = agent_of(document)
    rows, curves = [], []
    for entry in document.subject:
        mine = table[table["subject"] == entry.id]
        if not len(mine):
            continue  # every session of this subject is excluded
        course = Course(
            subject=subject_of(entry, agent.nuclide), agent=agent, kinds=kinds, measurements=mine
        )
        for metric, options in requests:
            for found in metric.function(course, **options):
                if isinstance(found, FittedCurves):
                    curves.append(found)
                else:
                    rows.append(found.row(entry.id, COURSE, entry.arm))
    return table_of(rows), tuple(curves)


def faded(table: pd.DataFrame, agent: Agent) -> list[str]:
    """A sentence for each session by which less than 1 % of the label's activity is left."""
    half_life = agent.label_half_life
    if not np.isfinite(half_life):
        return []
    name = agent.nuclide or "label's"
    times = table[table["session"] != COURSE].groupby("session")["time"].max()
    return [
        f"session {session}: {100 * left:.3g} % of the {name} activity is left at "
        f"{time / 3600:g} h; choose a longer-lived label, or earlier sessions"
        for session, time in times.sort_values().items()
        if (left := 0.5 ** (time / half_life)) < LEAST_LEFT
    ]


def unbalanced(table: pd.DataFrame) -> list[str]:
    """A sentence on ledgers that hold more than was given, and one on those too low early on."""
    totals = table[(table["metric"] == LEDGER) & (table["region"] == "total")]
    totals = totals.sort_values(["subject", "time"], kind="stable")
    early = totals["time"] <= EARLY
    return [
        f"{len(wrong)} of {len(totals)} ledgers hold {bound} of the activity given "
        f"({_named(wrong)}); check the dose, the calibration and what was collected"
        for wrong, bound in (
            (totals[totals["value"] > MOST_FOUND], f"more than {MOST_FOUND:g} %"),
            (
                totals[(totals["value"] < LEAST_FOUND) & early],
                f"less than {LEAST_FOUND:g} % within {EARLY / 3600:g} h",
            ),
        )
        if len(wrong)
    ]


def _named(rows: pd.DataFrame) -> str:
    """The first visits of some rows with their values, and how many more there are."""
    shown = [
        f"subject {row['subject']}, session {row['session']}: {row['value']:.4g} %"
        for row in rows.head(MOST_NAMED).to_dict("records")
    ]
    more = [f"{len(rows) - MOST_NAMED} more"] if len(rows) > MOST_NAMED else []
    return "; ".join([*shown, *more])
