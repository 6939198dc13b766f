"""Samples of a release table sorted into formulations: vessels by times, and their mean profile.

Two different values of one vessel at one time stop the analysis, for which one counts nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.errors import InputError
from igdd.io.release_table import Samples

# % above which release is more than complete, beyond what rounding gives.
COMPLETE = 100.0
# Largest value, in %, below which a profile looks like one of fractions.
FRACTION = 1.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """One formulation: its vessels' samples and their mean.

    time      (t,) ascending, in the table's unit
    vessels   (v, t) in %, NaN where a vessel has no sample
    mean      (t,) over the vessels that have one
    sd        (t,) of the vessels where there are two or more, else as the table says; NaN unknown
    given_sd  whether `sd` is the table's
    """

    name: str
    time: np.ndarray
    vessels: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    given_sd: bool
    flags: tuple[str, ...]

    @property
    def complete(self) -> np.ndarray:
        """Vessels (c, t) that have a sample at every time."""
        return np.asarray(self.vessels[np.isfinite(self.vessels).all(axis=1)])


def profiles(samples: Samples) -> list[Profile]:
    """Formulations in the order in which the table names them first."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(samples.formulation):
        rows.setdefault(name, []).append(row)
    return [_profile(samples, name, np.array(mine)) for name, mine in rows.items()]


def _profile(samples: Samples, name: str, rows: np.ndarray) -> Profile:
    flags = set()
    known = np.isfinite(samples.released[rows])
    if not known.all():
        flags.add("release_missing")
    rows = rows[known]
    if not rows.size:
        raise InputError(
            f"{samples.source}: formulation {name!r} has no value; expected one or more samples"
        )
    time = np.unique(samples.time[rows])
    names = list(dict.fromkeys(samples.vessel[row] for row in rows))
    vessels = np.full((len(names), time.size), np.nan)
    spread = np.full((len(names), time.size), np.nan)
    lines = np.zeros((len(names), time.size), dtype=int)
    for row in rows:
        place = names.index(samples.vessel[row]), int(np.searchsorted(time, samples.time[row]))
        if np.isfinite(vessels[place]):
            if vessels[place] != samples.released[row]:
                raise _twice(samples, row, lines[place])
            flags.add("duplicate_sample")
        vessels[place] = samples.released[row]
        spread[place], lines[place] = samples.sd[row], samples.line[row]
    count = np.isfinite(vessels).sum(axis=0)
    mean = np.nansum(vessels, axis=0) / count
    if len(names) > 1 and np.isfinite(spread).any():
        raise InputError(
            f"{samples.source}: formulation {name!r} has {len(names)} vessels and a column sd; "
            "expected single vessels without, or their mean with it"
        )
    given = bool(np.isfinite(spread).any())
    flags |= _cautions(time, vessels, mean, count)
    return Profile(
        name=name,
        time=time,
        vessels=vessels,
        mean=mean,
        sd=spread[0] if given else _scatter(vessels, mean, count),
        given_sd=given,
        flags=tuple(sorted(flags)),
    )


def _twice(samples: Samples, row: int, line: int) -> InputError:
    who = " vessel ".join(filter(None, (samples.formulation[row], samples.vessel[row])))
    return InputError(
        f"{samples.source}: lines {line} and {samples.line[row]}: {who!r} has two values at time "
        f"{samples.time[row]:g}; expected one; name the vessels apart in a column vessel, or "
        "remove one"
    )


def _scatter(vessels: np.ndarray, mean: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Standard deviation (t,) over vessels; NaN with fewer than two."""
    squares = np.nansum((vessels - mean) ** 2, axis=0)
    variance = np.full(mean.shape, np.nan)
    np.divide(squares, count - 1, out=variance, where=count > 1)
    return np.asarray(np.sqrt(variance))


def _cautions(
    time: np.ndarray, vessels: np.ndarray, mean: np.ndarray, count: np.ndarray
) -> set[str]:
    """What is to be said of the samples before anything is fitted."""
    noted = {
        "release_above_complete": (mean > COMPLETE).any(),
        "release_falls": (np.diff(mean) < 0).any(),
        "release_negative": bool(np.nanmin(vessels) < 0),
        "release_at_start": bool(((time == 0) & (mean != 0)).any()),
        "fractions_suspected": bool(mean.max() <= FRACTION and mean.max() > 0),
        "nothing_released": not mean.max() > 0,
        "vessels_unequal": bool((count != count[0]).any()),
        "release_points_few": (time > 0).sum() < 3,
    }
    return {name for name, found in noted.items() if found}
