"""Cautions: what a reader of the results would miss, one sentence each.

They stand in the provenance, the report and the last lines of a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from igdd import catalog
from igdd.document import Document
from igdd.facts import Agent
from igdd.metrics.ledger import METRIC as LEDGER
from igdd.results import COURSE
from igdd.stages.plan import agent_of

if TYPE_CHECKING:
    import pandas as pd

# Bounds (%) of a ledger that closes: a dose cannot multiply, nor leave within the first hour.
MOST_FOUND, LEAST_FOUND, EARLY = 105.0, 90.0, 3600.0
MOST_NAMED = 3
LEAST_LEFT = 0.01  # of the activity: below it, counting statistics and background rule


def cautions(table: pd.DataFrame, kinds: Mapping[str, str], document: Document) -> list[str]:
    """Every caution on the rows of a study."""
    return [
        *_absent(kinds, document),
        *misnamed(kinds, document),
        *silent(table, document),
        *unbalanced(table),
        *faded(table, agent_of(document)),
    ]


def _absent(kinds: Mapping[str, str], document: Document) -> list[str]:
    """Regions that no session has, and subjects without SUV."""
    names = {*kinds, *(out.region for out in document.exclude if out.region)}
    patterns = dict.fromkeys(one.name for one in document.region if one.source is None)
    return [
        f"[[region]] name = {pattern!r} fits no region of any session; "
        f"there are: {', '.join(sorted(set(kinds) - {'remainder'}))}"
        for pattern in patterns
        if not any(fnmatchcase(name, pattern) for name in names)
    ] + [
        f"subject {one.id} has no weight: no SUV is given; state subject.weight"
        for one in document.subject
        if one.weight is None and any(given.activity is not None for given in one.given)
    ]


def misnamed(kinds: Mapping[str, str], document: Document) -> list[str]:
    """A sentence for each region that an option of a metric names and no session has."""
    return [
        f"[[measure]] metric = {asked.metric!r}, {option.name} = {named!r} fits no region of any "
        f"session; there are: {', '.join(sorted(set(kinds) - {'remainder'}))}"
        for asked in document.measure
        for option in catalog.find("metrics", asked.metric).options
        if option.unit == "region"
        and (named := getattr(asked, option.name)) is not None
        and named not in kinds
    ]


def silent(table: pd.DataFrame, document: Document) -> list[str]:
    """A sentence for each metric that was asked for and gave no row in any session."""
    written = set(table["metric"])
    found = []
    for asked in document.measure:
        metric = catalog.find("metrics", asked.metric)
        gives = {re.sub(r"\{.*?\}", "*", name) for name, _ in metric.gives} or {metric.name}
        if not any(fnmatchcase(name, pattern) for name in written for pattern in gives):
            found.append(
                f"[[measure]] metric = {metric.name!r} gave no row: no session has what it "
                "measures, such as an image and regions, or a dose"
            )
    return found


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
