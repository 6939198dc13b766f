"""What a dose is computed from: regions of a table, their masses, and their physical activity.

Rows from before administration and without an activity are left out and flagged; two activities of
one region at one time stop the job. A mass is that of a balance, or a volume times a density that
somebody stated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.emissions import Emissions
from igdd.errors import InputError
from igdd.io.activity_table import Measured
from igdd.kernels.organ_dose import human_time, to_human
from igdd.kernels.time_activity import PhysicalActivity, physical
from igdd.metrics._decays import Rules
from igdd.metrics._region_dose import Biology, Doubt


@dataclass(frozen=True, kw_only=True)
class Mouse:
    """How activity in mice is brought to a human: body weights in g, and whether times scale."""

    body_mouse: float
    body_human: float
    scale_time: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """What every region is solved with."""

    rate: float
    state: float | str | None
    given: float | None
    density: float | None
    rules: Rules
    source: Emissions
    doubt: Doubt
    biology: Biology | None
    mouse: Mouse | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Measurements of one region: h, MBq (or %), its mass in g with its relative sd."""

    subject: str
    name: str
    time: np.ndarray
    activity: np.ndarray
    sd: np.ndarray
    mass: tuple[float, float] | None
    density: float
    human_mass: float
    flags: tuple[str, ...]


def regions(measured: Measured, job: Job) -> list[Region]:
    """Regions in the order in which the table names them first."""
    if (measured.percent or job.mouse is not None) and job.given is None:
        raise InputError(
            f"{measured.source}: activity in % of what was given, or of another species, needs the "
            "activity given; expected administered, such as '7.4 GBq'"
        )
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(measured.subject, measured.region, strict=True)):
        rows.setdefault(key, []).append(row)
    return [_region(measured, key, np.array(mine), job) for key, mine in rows.items()]


def _region(measured: Measured, key: tuple[str, str], rows: np.ndarray, job: Job) -> Region:
    where = f"{measured.source}: {key[1]}"
    rows = rows[np.argsort(measured.time[rows], kind="stable")]
    flags: set[str] = set()
    early = measured.time[rows] < 0
    missing = ~np.isfinite(measured.activity[rows])
    flags |= {"predose_left_out"} if early.any() else set()
    flags |= {"activity_missing"} if missing.any() else set()
    used = rows[~early & ~missing]
    if not used.size:
        raise InputError(
            f"{where}: no activity after administration; expected one measurement or more"
        )
    keep = np.ones(used.size, dtype=bool)
    for place in range(1, used.size):
        if measured.time[used[place]] != measured.time[used[place - 1]]:
            continue
        if measured.activity[used[place]] != measured.activity[used[place - 1]]:
            lines = measured.line[used[place - 1]], measured.line[used[place]]
            raise InputError(
                f"{where}: lines {lines[0]} and {lines[1]} hold two activities at one time; "
                "expected one; which one counts nobody knows"
            )
        keep[place] = False
        flags.add("duplicate_sample")
    used = used[keep]
    scale = (job.given or 0.0) / 100 if measured.percent else 1.0
    mass, own, density = _mass(measured, rows, job, where)
    human = measured.human_mass[rows]
    return Region(
        subject=key[0], name=key[1], time=measured.time[used],
        activity=measured.activity[used] * scale, sd=measured.sd[used] * scale,
        mass=mass, density=density, human_mass=_one(human, f"{where}: human_mass"),
        flags=tuple(sorted(flags | own)),
    )  # fmt: skip


def _one(values: np.ndarray, what: str) -> float:
    """The one number that a column says of a region; NaN where it says none."""
    known = np.unique(values[np.isfinite(values)])
    if known.size > 1:
        raise InputError(f"{what} is {known[0]:g} and {known[1]:g}; expected one for a region")
    return float(known[0]) if known.size else float("nan")


def _mass(
    measured: Measured, rows: np.ndarray, job: Job, where: str
) -> tuple[tuple[float, float] | None, set[str], float]:
    """Mass in g with its relative sd (NaN: unknown), flags, and the density in g/mL.

    Means over the measurements: of weighed masses, else of volumes times the density stated.
    """
    stated = _one(measured.density[rows], f"{where}: density")
    density = stated if np.isfinite(stated) else (job.density or float("nan"))
    weighed = np.isfinite(measured.mass[rows])
    size, spread = measured.mass[rows], measured.mass_sd[rows]
    flags: set[str] = set()
    if not weighed.any():
        size, spread = measured.volume[rows], measured.volume_sd[rows]
        if not np.isfinite(size).any():
            return None, flags, density
        if not np.isfinite(density):
            raise InputError(
                f"{where}: its volume is known but not its density; expected one, such as "
                "density '1.04 g/mL': a mass is never made of a volume without it"
            )
        flags.add("mass_assumed_density")
        size, spread = size * density, spread * density
    mean = float(np.nanmean(size))
    known = spread[np.isfinite(spread)]
    cv = float(known.mean() / mean) if known.size else float("nan")
    flags |= set() if known.size else {"volume_sd_unknown"}
    return (mean, cv), flags, density if np.isfinite(density) else 1.0


def activity_of(region: Region, job: Job) -> PhysicalActivity:
    """Physical activity in MBq, in the human where it was measured in mice."""
    if job.mouse is None:
        return physical(
            region.time, region.activity, region.sd, rate=job.rate, corrected_to=job.state
        )
    if region.mass is None or not np.isfinite(region.human_mass):
        raise InputError(
            "scaling from mice needs the mass of the organ in the mouse and in the human; "
            "expected columns mass (or volume) and human_mass"
        )
    at_zero = np.exp(job.rate * region.time) if job.state == "none" else 1.0
    weights = job.mouse.body_mouse, region.human_mass, job.mouse.body_human
    factor = float(to_human(np.array([1.0]), *weights)[0]) / region.mass[0]
    time = region.time
    if job.mouse.scale_time:
        time = human_time(time, job.mouse.body_mouse, job.mouse.body_human)
    return physical(
        time, region.activity * at_zero * factor, region.sd * at_zero * factor,
        rate=job.rate, corrected_to=0.0,
    )  # fmt: skip
