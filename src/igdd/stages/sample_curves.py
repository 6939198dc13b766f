"""Tables of samples at instants as curves: one region per subject, group and organ.

Two tables are read: concentrations (`igdd.io.profile_table`) and release in vitro
(`igdd.io.release_table`), told apart by their columns. Profiles that were sampled at the same times
are curves of one set; others get sets of their own, for a set of curves has one set of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import columns, tables
from igdd.io.profile_table import Samples, read
from igdd.io.tac_table import ENDS, STARTS
from igdd.stages.amounts import inside
from igdd.stages.nca_profiles import Profile, profiles
from igdd.types import Curves, Frames, Zero

RELEASED = ("released", "fraction", "percent")
# Columns of which a table with one sample in each row has one or more.
SAMPLED = ("subject", "id", "concentration", "conc", *RELEASED)
# Quantity of curves by their unit inside.
QUANTITIES = {
    "g/mL": "mass_concentration",
    "Bq/mL": "activity_concentration",
    "mol/mL": "amount_concentration",
}
RELEASE = "%"
LONGEST = 200
# Curves of one set: their covariance is square in them.
MOST = 100


def is_samples(path: Path) -> bool:
    """Whether a table holds one sample in each row and says whose: a time, no start or end.

    A file that cannot be read holds none; its reader says why.
    """
    cells = {columns.name_and_unit(cell, {"time", *SAMPLED})[0] for cell in _header(path)}
    return "time" in cells and bool({*SAMPLED} & cells) and not {*STARTS, *ENDS} & cells


def _header(path: Path) -> list[str]:
    return tables.header_cells(Path(path)) if tables.is_table(Path(path)) else []


def read_samples(
    path: Path, time_unit: str | None = None, unit: str | None = None, *, converted: bool = True
) -> tuple[tuple[Curves, ...], str]:
    """Curves of a table, and the unit in which the table has its values.

    converted  into the unit inside; else the curves keep the table's own

    The curves' flags say what was left out: samples before the dose, below the limit, or missing.
    """
    names = {columns.name_and_unit(cell, RELEASED)[0] for cell in _header(path)}
    if names & {*RELEASED}:
        return _released(path, time_unit, unit), RELEASE
    samples = read(Path(path), time_unit, unit)
    wished = inside(samples.unit) if converted else samples.unit
    scale = units.factor(samples.unit, wished)
    seconds = units.factor(samples.time_unit, "s")
    found = [_measured(one) for one in profiles(samples)]
    named = _names(found, samples)
    return tuple(
        _curves([found[row] for row in rows], [named[row] for row in rows], wished,
                (seconds, scale), samples.source)
        for rows in _alike(found)
    ), samples.unit  # fmt: skip


def _released(path: Path, time_unit: str | None, unit: str | None) -> tuple[Curves, ...]:
    """Curves of a table of release, in % of the load, as the release models have it."""
    from igdd.io import release_table

    found = release_table.read(Path(path), time_unit, unit)
    none = np.zeros(found.time.size, dtype=bool)
    samples = Samples(
        subject=found.formulation,
        group=("",) * found.time.size,
        organ=found.vessel,
        time=found.time,
        value=found.released,
        sd=found.sd,
        below=none,
        line=found.line,
        time_unit=found.time_unit,
        unit=RELEASE,
        source=found.source,
    )
    every = [_measured(one) for one in profiles(samples)]
    named = _names(every, samples)
    seconds = units.factor(found.time_unit, "s")
    return tuple(
        _curves([every[row] for row in rows], [named[row] for row in rows], RELEASE,
                (seconds, 1.0), found.source)
        for rows in _alike(every)
    )  # fmt: skip


def _measured(profile: Profile) -> Profile:
    """The profile without values of which only is known that they are below the limit."""
    if not profile.below.any():
        return profile
    kept = ~profile.below
    return Profile(
        subject=profile.subject,
        group=profile.group,
        organ=profile.organ,
        times=profile.times[kept],
        values=profile.values[kept],
        sd=profile.sd[kept],
        below=profile.below[kept],
        flags=(*profile.flags, "below_limit_left_out"),
    )


def _names(found: Sequence[Profile], samples: Samples) -> list[str]:
    """Subject, with group and organ where the table has them, as names of regions."""
    parts = [[one.subject, one.group, one.organ] for one in found]
    names = [" ".join(filter(None, part)) for part in parts]
    longest = max(names, key=len)
    if len(longest) > LONGEST:
        raise InputError(
            f"{samples.source}: the name {longest[:30]!r}... has {len(longest)} characters; "
            f"expected at most {LONGEST}"
        )
    twice = {name for name in names if names.count(name) > 1} if len({*names}) < len(names) else ()
    if twice:
        raise InputError(
            f"{samples.source}: two profiles would both be called {min(twice)!r}; expected names "
            "of subject, group and organ that stay apart when put together"
        )
    return names


def _alike(found: Sequence[Profile]) -> list[list[int]]:
    """Places of profiles with the same times, in the order of the table."""
    places: dict[bytes, list[int]] = {}
    for place, one in enumerate(found):
        places.setdefault(one.times.tobytes(), []).append(place)
    return [rows[at : at + MOST] for rows in places.values() for at in range(0, len(rows), MOST)]


def _curves(
    found: Sequence[Profile],
    names: Sequence[str],
    unit: str,
    factors: tuple[float, float],
    source: str,
) -> Curves:
    """Profiles with the same times as curves at instants, the middles of short frames."""
    seconds, scale = factors
    times = found[0].times * seconds
    if not times.size:
        raise InputError(
            f"{source}: {names[0]!r} has no sample that a fit can use; expected concentrations at "
            "times of at least 0"
        )
    gaps = np.diff(times)
    length = float(gaps.min()) if gaps.size else max(float(times[0]), 1.0)
    count = len(found)
    spread = np.stack([one.sd for one in found]) * scale
    known = np.isfinite(spread).all() and (spread > 0).all()
    covariance = np.full((times.size, count, count), np.nan)
    if known:
        covariance[:] = 0.0
        covariance[:, np.arange(count), np.arange(count)] = (spread**2).T
    elif np.isfinite(spread).any():
        raise InputError(
            f"{source}: {names[0]!r}: sd is missing or zero in some rows; expected one above zero "
            "in every row, or no column sd"
        )
    return Curves(
        values=np.stack([one.values for one in found]) * scale,
        covariance=covariance,
        volume=np.full(count, np.nan),
        volume_sd=np.full(count, np.nan),
        names=tuple(names),
        kinds=("organ",) * count,
        frames=Frames(
            start=times - length / 2,
            duration=np.full(times.size, length),
            zero=Zero(kind="administration"),
            sampled=True,
        ),
        quantity="released" if unit == RELEASE else QUANTITIES.get(unit, "relative"),
        unit=unit,
        analyte="drug",
        flags=tuple(one.flags for one in found),
        source=f"samples of {source}",
    )


def check_kind(unit: str, family: str) -> None:
    """Refuse a release model for concentrations, and the other way round."""
    if family == "release" and unit != RELEASE:
        raise UnitsError(
            f"the table holds samples in {unit}; a release model needs a column released, percent "
            "or fraction"
        )
    if family == "pharmacokinetic" and unit == RELEASE:
        raise UnitsError(
            "the table holds a release in % of the load; a pharmacokinetic model needs a column "
            "concentration"
        )
