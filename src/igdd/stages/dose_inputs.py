"""What a dose map is made of: images of activity or of its time integral, plane by plane.

Several images of activity are integrated over time voxel by voxel; an image of time-integrated
activity is taken as it is. Both in any unit that their sidecar or the call states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.decay import nuclide
from igdd.errors import InputError, UnitsError
from igdd.io import sidecar, streamed
from igdd.types import Grid

INTEGRALS = ("Bq.s/mL", "Bq.s")
ACTIVITIES = ("Bq/mL", "Bq")
RULES = ("trapezoid", "mono-exponential", "haenscheid")
TAILS = ("physical", "last_two", "last_three", "none")
STARTS = ("triangle", "extrapolate")
# Voxels that are integrated over time at once.
VOXELS = 1 << 18
# Bits of a voxel, as `igdd.kernels.voxel_integral` has them.
HELD, FALLBACK = 1, 2


@dataclass(frozen=True, kw_only=True)
class Integration:
    """How activity at several times becomes a number of decays.

    times         of the images after administration, such as "4 h", in their order
    corrected_to  state of decay: "none", or the time to which the images are corrected
                  ("administration", or such as "24 h")
    rule          trapezoid, mono-exponential (log-linear) or haenscheid (one image)
    start, tail   of the trapezoid; a tail may be an effective half-life for all voxels ("50 h")
    fallback      effective half-life of voxels that have none of their own (tail last_two or
                  last_three; images weighted by squared activity): those that are not above zero,
                  or that noise makes rise; None leaves the first without a value
    """

    times: tuple[str, ...]
    corrected_to: str | None = None
    rule: str = "trapezoid"
    start: str = "triangle"
    tail: str | None = None
    fallback: str | None = None

    def __post_init__(self) -> None:
        for name, found, known in (("rule", self.rule, RULES), ("start", self.start, STARTS)):
            if found not in known:
                raise InputError(f"{name} is {found!r}; expected one of {', '.join(known)}")
        if self.rule == "trapezoid" and self.tail is None:
            raise InputError(
                "nothing says how activity goes on after the last image; expected a tail: "
                f"{', '.join(TAILS)}, or an effective half-life such as '50 h'"
            )
        if self.rule != "trapezoid" and self.tail is not None:
            raise InputError(f"a tail goes with the trapezoid, not with {self.rule}; leave it out")
        own = self.tail in ("last_two", "last_three") and self.start == "triangle"
        if self.fallback is not None and (not own or len(self.times) < 2):
            raise InputError(
                "a fallback is for voxels without a tail of their own; expected it with two images "
                "or more, tail last_two or last_three, and start triangle"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Decays:
    """Time-integrated activity of an image that is read in planes.

    read   (first, last) -> decays in Bq s/mL (i, j, last - first) in double precision, NaN where a
           voxel has none; the part of them after the last image; and bits: HELD where the rate of
           the tail stands at the decay constant, FALLBACK where it is not the voxel's own
    files  that were read, with their sidecars
    """

    grid: Grid
    read: Any
    files: tuple[Path, ...]
    facts: dict[str, Any]


@contextmanager
def opened(
    images: Sequence[Path],
    name: str,
    scratch: Path,
    *,
    unit: str | None = None,
    integration: Integration | None = None,
) -> Iterator[Decays]:
    """The images of one dose, all on one grid."""
    if not images:
        raise InputError("no image; expected one of time-integrated activity, or of activity")
    with ExitStack() as stack:
        pieces = [stack.enter_context(streamed.opened(Path(one), scratch)) for one in images]
        _check_grids(pieces)
        factors, units_found = zip(
            *(_factor(Path(one), unit, integration, pieces[0].grid) for one in images), strict=True
        )
        files = tuple(file for one in images for file in (Path(one), *_sidecars(Path(one))))
        read = _reader(pieces, factors, _rule(name, integration, len(images)))
        facts: dict[str, Any] = {"images": [Path(one).name for one in images],
                                 "units": list(units_found)}  # fmt: skip
        if integration is not None:
            facts |= {"times": list(integration.times), "corrected_to": integration.corrected_to,
                      "rule": integration.rule, "start": integration.start,
                      "tail": integration.tail, "fallback": integration.fallback}  # fmt: skip
        yield Decays(grid=pieces[0].grid, read=read, files=files, facts=facts)


def planes(pieces: streamed.Pieces, first: int, last: int) -> np.ndarray:
    """Planes (i, j, n) of one volume in double precision."""
    rows, columns, _ = pieces.grid.shape
    size = rows * columns
    found = pieces.read(first * size, last * size)[0]
    shape = (rows, columns, last - first)
    return np.asarray(found.astype(float).reshape(shape, order="F"))


def same_grid(pieces: streamed.Pieces, grid: Grid, what: str) -> None:
    """Refuse an image of several volumes, or one that lies elsewhere."""
    if pieces.frames != 1:
        raise InputError(
            f"{pieces.source}: holds {pieces.frames} volumes; expected one; give the volumes as "
            "files of their own, each with its time"
        )
    if not pieces.grid.equals(grid):
        raise InputError(
            f"{pieces.source}: its grid {pieces.grid.shape} is not that of {what}, "
            f"{grid.shape}, or lies elsewhere; expected the same; register and resample it"
        )


def _check_grids(pieces: Sequence[streamed.Pieces]) -> None:
    grid = pieces[0].grid
    for one in pieces:
        same_grid(one, grid, "the first image")
    axes = grid.affine[:3, :3] / grid.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3:
        raise InputError(
            f"{pieces[0].source}: the axes of its voxels are not at right angles; expected boxes; "
            "resample it"
        )


def _sidecars(path: Path) -> tuple[Path, ...]:
    return sidecar.read_sidecar(path)[1]


def _factor(
    path: Path, unit: str | None, integration: Integration | None, grid: Grid
) -> tuple[float, str]:
    """What an image's values must be multiplied by to be in Bq s/mL or Bq/mL; its unit."""
    said = sidecar.read_sidecar(path)[0].get("Units")
    if said is not None and unit is not None and units.parse(said) != units.parse(unit):
        raise UnitsError(
            f"{path}: its unit is {said!r} by its sidecar and {unit!r} by the call; expected the "
            "same; mend the sidecar"
        )
    stated = unit if said is None else str(said)
    wanted = INTEGRALS if integration is None else ACTIVITIES
    if stated is None:
        raise UnitsError(
            f"{path}: nothing says its unit; expected {' or '.join(wanted)} (per voxel) in the "
            "sidecar's Units or in the call"
        )
    for one, per in zip(wanted, (1.0, grid.voxel_volume), strict=True):
        if units.parse(stated).dimensions == units.parse(one).dimensions:
            return units.factor(stated, one) / per, stated
    other = ACTIVITIES if integration is None else INTEGRALS
    if any(units.parse(stated).dimensions == units.parse(one).dimensions for one in other):
        remedy = (
            "say at which times it was, so that it can be integrated"
            if integration is None
            else "it is integrated already: give it without times"
        )
        raise UnitsError(f"{path}: its unit is {stated!r}; expected such as {wanted[0]}; {remedy}")
    raise UnitsError(f"{path}: its unit is {stated!r}; expected such as {' or '.join(wanted)}")


def _reader(pieces: Sequence[streamed.Pieces], factors: Sequence[float], rule: Any) -> Any:
    def read(first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = [
            planes(one, first, last) * factor for one, factor in zip(pieces, factors, strict=True)
        ]
        for one in values:
            one[~np.isfinite(one)] = np.nan
        if rule is None:
            return values[0], np.zeros(values[0].shape), np.zeros(values[0].shape)
        found: tuple[np.ndarray, np.ndarray, np.ndarray] = rule(values)
        return found

    return read


def _rule(name: str, integration: Integration | None, count: int) -> Any:
    """From activity at all times to decays, to the part of them in the tail, and to bits."""
    if integration is None:
        if count != 1:
            raise InputError(
                f"{count} images without times; expected one of time-integrated activity, or the "
                "time of each after administration"
            )
        return None
    if len(integration.times) != count:
        raise InputError(f"{len(integration.times)} times for {count} images; expected one each")
    hours = np.array([units.read(text, "s") for text in integration.times]) / 3600
    order = np.argsort(hours, kind="stable")
    state = _state(integration)
    rate = nuclide(name).rate * 3600

    def integrated(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from igdd.kernels.time_activity import physical

        flat = [values[place].ravel() for place in order]
        found = np.empty((3, flat[0].size))
        for first in range(0, flat[0].size, VOXELS):
            part = slice(first, first + VOXELS)
            activity = np.stack([one[part] for one in flat], axis=1)
            known = physical(hours[order], activity, None, rate=rate, corrected_to=state)
            found[:, part] = _decays(known, integration)
        decays, tail, bits = found.reshape(3, *values[0].shape)
        return decays * 3600, tail * 3600, bits

    return integrated


def _state(integration: Integration) -> float | str | None:
    said = integration.corrected_to
    if said is None or said == "none":
        return said
    return 0.0 if said == "administration" else units.read(said, "s") / 3600


def _decays(activity: Any, integration: Integration) -> tuple[np.ndarray, ...]:
    """Decays (n,), those after the last image, in units of activity times hours, and bits."""
    from igdd.kernels import time_integral

    none = np.zeros(len(activity.value))
    if integration.rule == "haenscheid":
        if activity.time.size != 1:
            raise InputError(f"{activity.time.size} images; the rule haenscheid is for one")
        found = time_integral.haenscheid(activity, 0)
        return found.decays, found.decays * np.nan, none  # the rule knows no half-life
    if integration.rule == "mono-exponential":
        found = time_integral.log_linear(activity)
        return found.decays, found.decays * found.tail_share, HELD * found.held
    tail = str(integration.tail)
    if integration.fallback is not None:
        return _with_fallback(activity, tail, integration.fallback)
    if tail in TAILS:
        found = time_integral.trapezoid(activity, integration.start, tail)
        with np.errstate(invalid="ignore"):
            after = np.where(found.decays == 0, 0.0, found.decays * found.tail_share)
        return found.decays, after, HELD * found.held
    rate = _effective_rate(tail, activity.rate)
    found = time_integral.trapezoid(activity, integration.start, "none")
    after = activity.value[:, -1] / rate
    return found.decays + after, after, none


def _with_fallback(activity: Any, tail: str, fallback: str) -> tuple[np.ndarray, ...]:
    from igdd.kernels import voxel_integral

    found = voxel_integral.integrate(
        activity.time,
        np.ascontiguousarray(activity.value.T),
        activity.rate,
        fallback=_effective_rate(fallback, activity.rate),
        last=2 if tail == "last_two" else 3,
    )
    return found.decays, found.tail, (found.bits & (HELD | FALLBACK)).astype(float)


def _effective_rate(half_life: str, decay: float) -> float:
    """Rate in 1/h of an effective half-life, which is no longer than the physical one."""
    hours = units.read(half_life, "s") / 3600
    if not 0 < hours <= np.log(2) / decay * (1 + 1e-9):
        raise InputError(
            f"{half_life!r}: an effective half-life lies above 0 and at most at the physical one, "
            f"{np.log(2) / decay:.4g} h"
        )
    return float(np.log(2) / hours)
