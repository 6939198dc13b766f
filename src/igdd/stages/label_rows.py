"""Rows of label tables sorted into what the estimators see: sums of a place's curve, per animal.

Bladder rows and voids become one place, "urine": what a bladder holds, and what each void brings,
are sums of the urine formed since the dose. All times in s, amounts as fractions of the dose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from igdd.errors import InputError
from igdd.io.label_table import VOID, LabelRows
from igdd.kernels.label_response import Seen, bladder_rows

URINE, BLADDER = "urine", "bladder"


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """Observations (n,) of a place in one subject: rows (n, u) over times (u,), values and sd."""

    times: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    sd: np.ndarray
    animal: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What was seen of a subject (or, sparse, of a group): place -> observations."""

    subject: str
    group: str
    rows: Mapping[str, Observed]


def subjects_of(
    table: LabelRows, *, emptied: bool = True, residual: float = 0.0, sparse: bool = False
) -> list[Subject]:
    """Subjects in the table's order, or its groups where another animal was taken at each time.

    `emptied` is false where it is stated that no bladder was.
    """
    order: dict[tuple[str, str], list[int]] = {}
    for row, (group, subject) in enumerate(zip(table.group, table.subject, strict=True)):
        order.setdefault((group, "" if sparse else subject), []).append(row)
    return [
        Subject(
            subject=subject or f"all of {group or table.source}",
            group=group,
            rows=_places(table, np.array(rows), (emptied, residual, sparse)),
        )
        for (group, subject), rows in order.items()
    ]


def _places(
    table: LabelRows, rows: np.ndarray, how: tuple[bool, float, bool]
) -> dict[str, Observed]:
    """The places of some rows; bladder and voids as urine."""
    emptied, residual, sparse = how
    names = np.array([table.place[row] for row in rows])
    bladder, void = rows[names == BLADDER], rows[names == VOID]
    where = f"{table.source}: subject {table.subject[rows[0]]}"
    if sparse and (bladder.size or void.size):
        raise InputError(
            f"{where}: bladder or void rows in a sparse table, where every time is another animal; "
            "expected urine rows: all that was formed since the dose"
        )
    if bladder.size and not void.size and emptied:
        raise InputError(
            f"{where}: bladder rows without voids; expected when it was emptied and what came, as "
            "rows of place void or a table of voids (subject, time, activity, sd; activity empty "
            "where not collected), or 'none' where it was not emptied"
        )
    if URINE in names and (bladder.size or void.size):
        raise InputError(
            f"{where}: urine rows are all that was formed since the dose, so that bladder and void "
            "rows would count twice; expected one or the other"
        )
    found = {
        str(place): _plain(table, rows[names == place], str(place))
        for place in dict.fromkeys(names)
        if place not in (BLADDER, VOID)
    }
    if bladder.size or np.isfinite(table.activity[void]).any():
        found[URINE] = _emptied(table, bladder, void, residual)
    return found


def _plain(table: LabelRows, rows: np.ndarray, place: str) -> Observed:
    """A place whose own activity was measured."""
    times, where = np.unique(table.time[rows], return_inverse=True)
    animal = np.unique([table.subject[row] for row in rows], return_inverse=True)[1]
    twice = np.stack([where, animal])
    if np.unique(twice, axis=1).shape[1] < rows.size:
        raise InputError(
            f"{table.source}: subject {table.subject[rows[0]]}: {place} was measured twice at one "
            f"time (line {table.line[rows[-1]]} or before); expected one row each"
        )
    if times[0] <= 0 and place == URINE:
        raise InputError(
            f"{table.source}: line {table.line[rows[0]]}: urine at time 0; expected times after it"
        )
    return Observed(
        times=times, rows=np.eye(times.size)[where], values=table.activity[rows] / 100,
        sd=table.sd[rows] / 100, animal=animal,
    )  # fmt: skip


def _emptied(table: LabelRows, scans: np.ndarray, voids: np.ndarray, residual: float) -> Observed:
    """Urine formed, from what the bladder held (rows) and what its voids brought."""
    voids = voids[np.argsort(table.time[voids], kind="stable")]
    for rows, what in ((scans, "the bladder was measured"), (voids, "the bladder was emptied")):
        times = table.time[rows]
        if np.unique(times).size < times.size or (times <= 0).any():
            raise InputError(
                f"{table.source}: subject {table.subject[rows[0]]}: {what} twice at one time, or "
                "at time 0; expected one row for each time after administration"
            )
    times, held, brought = bladder_rows(table.time[scans], table.time[voids], residual)
    collected = np.isfinite(table.activity[voids])
    rows = np.concatenate([scans, voids[collected]])
    return Observed(
        times=times,
        rows=np.vstack([held, brought[collected]]),
        values=table.activity[rows] / 100,
        sd=table.sd[rows] / 100,
        animal=np.zeros(rows.size, dtype=int),
    )


def seen_of(subjects: Sequence[Subject], place: str) -> Seen | None:
    """Observations of a place over all subjects on one set of times, or None: there are none."""
    found = [one.rows[place] for one in subjects if place in one.rows]
    if not found:
        return None
    times = np.unique(np.concatenate([one.times for one in found]))
    rows, animals, count = [], [], 0
    for one in found:
        wide = np.zeros((one.values.size, times.size))
        wide[:, np.searchsorted(times, one.times)] = one.rows
        rows.append(wide)
        animals.append(one.animal + count)
        count += int(one.animal.max()) + 1
    return Seen(
        times, np.vstack(rows), np.concatenate([one.values for one in found]),
        np.concatenate([one.sd for one in found]), np.concatenate(animals),
    )  # fmt: skip
