"""Samples of a table sorted into profiles: one per subject, group and organ, times ascending.

Samples from before the dose are left out, and so are rows that say the same twice; a time at which
a subject has two different concentrations stops the analysis, for which one counts nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.io.profile_table import Samples

MOST_CELLS = 1_000_000


class Grid(NamedTuple):
    """Profiles as arrays (profile, point); NaN and False where a profile has no such point."""

    times: np.ndarray
    values: np.ndarray
    sd: np.ndarray
    below: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Samples of one subject in one organ after the dose, and what was noted on the way.

    sd     standard deviation of each value, NaN where the table does not say
    below  the table says that it is below the limit, without a number
    """

    subject: str
    group: str
    organ: str
    times: np.ndarray
    values: np.ndarray
    sd: np.ndarray
    below: np.ndarray
    flags: tuple[str, ...]


def profiles(samples: Samples) -> list[Profile]:
    """Profiles in the order in which the table names them first."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    keys = zip(samples.subject, samples.group, samples.organ, strict=True)
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return [_profile(samples, key, np.array(mine)) for key, mine in rows.items()]


def batches(found: list[Profile]) -> Iterator[np.ndarray]:
    """Places of profiles of like length, together few enough cells for one array."""
    order = np.argsort([one.times.size for one in found], kind="stable")[::-1]
    while order.size:
        most = max(1, MOST_CELLS // max(1, found[order[0]].times.size))
        yield order[:most]
        order = order[most:]


def grid(found: Sequence[Profile]) -> Grid:
    """Profiles as arrays (profile, point), filled up with NaN."""
    width = max(1, max(one.times.size for one in found))
    times, values, sd = (np.full((len(found), width), np.nan) for _ in range(3))
    below = np.zeros((len(found), width), dtype=bool)
    for row, one in enumerate(found):
        inside = slice(one.times.size)
        times[row, inside], values[row, inside] = one.times, one.values
        sd[row, inside], below[row, inside] = one.sd, one.below
    return Grid(times, values, sd, below)


def _profile(samples: Samples, key: tuple[str, str, str], rows: np.ndarray) -> Profile:
    flags = []
    after = samples.time[rows] >= 0
    if not after.all():
        flags.append("predose_left_out")
    rows = rows[after]
    rows = rows[np.argsort(samples.time[rows], kind="stable")]
    missing = np.isnan(samples.value[rows]) & ~samples.below[rows]
    if missing.any():
        flags.append("concentration_missing")
    rows = rows[~missing]
    kept = _without_repeats(samples, key, rows)
    if kept.size < rows.size:
        flags.append("duplicate_sample")
    subject, group, organ = key
    return Profile(
        subject=subject,
        group=group,
        organ=organ,
        times=samples.time[kept],
        values=samples.value[kept],
        sd=samples.sd[kept],
        below=samples.below[kept],
        flags=tuple(flags),
    )


def _without_repeats(samples: Samples, key: tuple[str, str, str], rows: np.ndarray) -> np.ndarray:
    """Rows in time order without those that repeat the one before."""
    if rows.size < 2:
        return rows
    again = np.diff(samples.time[rows]) == 0
    value, below = samples.value[rows], samples.below[rows]
    same = ((value[1:] == value[:-1]) & ~below[1:] & ~below[:-1]) | (below[1:] & below[:-1])
    clash = again & ~same
    if clash.any():
        place = int(np.argmax(clash))
        lines = samples.line[rows[place : place + 2]]
        raise InputError(
            f"{samples.source}: lines {lines[0]} and {lines[1]}: {' '.join(filter(None, key))!r} "
            f"has two concentrations at time {samples.time[rows[place]]:g}; expected one; remove "
            "one of them, or name the subjects apart if they are two animals"
        )
    return np.asarray(rows[np.concatenate([[True], ~again])])
