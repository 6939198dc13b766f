"""Course: metrics that follow each subject over all its sessions, from the rows of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from igdd import catalog
from igdd.document import Document
from igdd.results import COURSE, Course, FittedCurves
from igdd.stages.measure import table_of
from igdd.stages.plan import agent_of, subject_of

if TYPE_CHECKING:
    import pandas as pd


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
