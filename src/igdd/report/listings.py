"""Listings: the report's tables of numbers, as texts: means by region, and the comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from igdd.report import balance, wording
from igdd.report.answers import finding_sentence
from igdd.report.overview import Overview, each, group_means, with_lesions_pooled

MOST_ROWS = 60
MOST_FINDINGS = 200
MOST_GAPS = 5
# Columns, and letters of their longest lines, that a table of full size holds.
MOST_COLUMNS, MOST_LETTERS = 7, 95


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts; `right` says which columns hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    note: str = ""

    @property
    def wide(self) -> bool:
        """Whether its lines are too long for letters of full size; words may be broken off, numbers
        not.

        >>> rows = (("liver", "5.21 (5.01 to 5.41)"),)
        >>> Table(title="", columns=("region", "Ki"), rows=rows, right=(False, True)).wide
        False
        >>> Table(title="", columns=("Ki",) * 6, rows=(rows[0][1:] * 6,), right=(True,) * 6).wide
        True
        """
        letters, columns = 0, zip(self.columns, *self.rows, strict=True)
        for number, cells in zip(self.right, columns, strict=True):
            parts = cells if number else " ".join(cells).split(" ")
            letters += max(map(len, parts), default=0)
        return len(self.columns) > MOST_COLUMNS or letters > MOST_LETTERS


def numbers(view: Overview) -> Table | None:
    """Mean per region, session and arm of the headline metric."""
    if not view.level:
        return None
    rows = view.of(view.level, last=True)
    if rows.loc[rows["kind"] == "lesion", "region"].nunique() > 1 and rows["subject"].nunique() > 1:
        rows = with_lesions_pooled(rows)
    means = group_means(rows, ["region", "group", "session"])
    factor, unit = view.scale(view.level)
    order = means.groupby("region", sort=True)["value"].mean().sort_values(
        ascending=False, kind="stable"
    )  # fmt: skip
    cells = {(row.region, row.group, row.session): (row, int(row.subjects)) for row in each(means)}
    lines = []
    for region in order.index:
        for group in view.groups:
            found = [cells.get((region, group, session)) for session in view.sessions]
            if any(found):
                subjects = max(amount for _, amount in filter(None, found))
                texts = [_cell(cell[0], factor) if cell else "–" for cell in found]
                arm = (str(group),) if len(view.groups) > 1 else ()
                lines.append((str(region), *arm, str(subjects), *texts))
    sessions = [wording.session_name(name) for name in view.sessions]
    arms = ("arm",) if len(view.groups) > 1 else ()
    left = f" {len(lines) - MOST_ROWS} rows more are in measurements.csv." \
        if len(lines) > MOST_ROWS else ""  # fmt: skip
    return Table(
        title=wording.capitalised(wording.axis_title(view.level, unit)),
        columns=("region", *arms, "n", *sessions),
        rows=tuple(lines[:MOST_ROWS]),
        right=(False, *(False for _ in arms), True, *(True for _ in sessions)),
        note="Mean over subjects with its 95 % interval (Student's t from three subjects on; one "
        f"subject: of the measurement; two: none).{left}",
    )


def _cell(row: Any, factor: float) -> str:
    low, high = row.low * factor, row.high * factor
    shown = wording.with_interval(row.value * factor, low, high)
    return shown.replace(f" ({wording.INTERVAL_UNKNOWN})", "")


def findings(view: Overview, question: str) -> Table | None:
    """The comparisons that serve a question, one line each."""
    table = balance.findings_of(view, question)
    if not len(table):
        return None
    shown = table.head(MOST_FINDINGS)
    metrics = ("metric",) if table["metric"].nunique() > 1 else ()
    notes = [wording.sentence(text) for text in dict.fromkeys(table["method"]) if text]
    gaps = table[~np.isfinite(table["estimate"])].to_dict("records")
    notes += [finding_sentence(row) for row in gaps[:MOST_GAPS]]
    if len(table) > len(shown):
        notes.append(f"{len(table) - len(shown)} rows more are in findings.csv.")
    name = "" if metrics else f" of {wording.metric_name(str(table['metric'].iloc[0]))}"
    return Table(
        title=f"Comparisons{name}",
        columns=(
            "region", "session", *metrics, "contrast", "estimate (95 %)", "p", "p adjusted", "n",
            "flags",
        ),
        rows=tuple(_finding(row, metrics) for row in shown.to_dict("records")),
        right=(False, False, *(False for _ in metrics), False, True, True, True, True, False),
        note=" ".join(notes),
    )  # fmt: skip


def _finding(row: Mapping[Any, Any], metrics: tuple[str, ...]) -> tuple[str, ...]:
    unit = "" if row["unit"] == "1" else str(row["unit"])
    return (
        wording.region_name(str(row["region"])),
        wording.session_name(str(row["session"])),
        *(wording.metric_name(str(row[name])) for name in metrics),
        str(row["contrast"]),
        wording.with_interval(row["estimate"], row["low"], row["high"], unit),
        wording.p_value(row["p"]),
        wording.p_value(row["p_adjusted"]),
        f"{row['n']:.0f}" if np.isfinite(row["n"]) else "–",
        str(row["flags"]).replace(";", ", "),
    )
