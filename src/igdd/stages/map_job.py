"""One piece of a map: what every voxel is solved with, and from samples to values with flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from igdd import catalog
from igdd.declare import Model, Parameter
from igdd.errors import FitError, InputError
from igdd.io.streamed import Pieces
from igdd.kernels.curve_slopes import central_width
from igdd.kinetics import InputCurve, Integration, Protocol, Solver, Status
from igdd.stages import amounts
from igdd.stages import protocol as doors
from igdd.stages.fit_task import (
    Task,
    check_size,
    chosen_frames,
    enhanced_early,
    shared_at_bound,
    with_shared,
)
from igdd.stages.frame_noise import Spread, of_counts
from igdd.types import Decay, Frames

# A voxel counts where at least this share of it lies in the mask.
INSIDE = 0.5
# Places of the image, and voxels at each, whose mean curve decides t* where the user does not.
PLACES, AT_PLACE = 64, 1024
FAINT = 0.1  # of the mean: fainter voxels are air, and do not say what all share
PIECE = 1 << 14
FLAG_KIND = np.dtype("<u2")
MAP_KIND = np.dtype("<f4")


@dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """What a voxel is fitted with. `kept` (t,): which frames of the image the model sees; `sd` of
    these, infinite where the fit uses none."""

    model: Model
    protocol: Protocol
    kept: np.ndarray
    sd: np.ndarray | None

    @property
    def solver(self) -> Solver:
        """The model's solver, made ready for all voxels at once."""
        solver: Solver = _voxelwise(self.model)(self.protocol)
        return solver

    @property
    def shown(self) -> tuple[Parameter, ...]:
        """Parameters that get a map: those that are not held, and the derived ones."""
        free = (one for one in self.model.parameters if one.name not in self.protocol.held)
        return (*free, *self.model.derived)

    @property
    def skips(self) -> bool:
        """Whether the solver itself says which frames it needs: a line's begin at its start, and a
        tissue that is not integrated may lack those before."""
        return self.model.closed and doors.has_option(self.model, "start")

    @property
    def factors(self) -> tuple[float, ...]:
        """What each shown parameter is divided by for its display unit; figures of a curve itself
        are in the image's own unit."""
        if self.model.describes:
            return (1.0,) * len(self.shown)
        return tuple(doors.si_factor(one.unit) for one in self.shown)


def _voxelwise(model: Model) -> Callable[[Protocol], Solver]:
    """What makes a model's solver ready for voxels; a model that has none is refused."""
    if not model.voxelwise or model.prepare is None:
        known = [one.name for one in catalog.declarations("models").values() if one.voxelwise]
        raise InputError(f"model {model.name!r} makes no maps; expected one of {', '.join(known)}")
    return model.prepare


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """A setup with its solver, the image and the mask; and a flag of every voxel."""

    setup: Setup
    solver: Solver
    pieces: Pieces
    mask: Pieces | None
    flag: Status = Status(0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """What the user says beside model, image and inputs; see `igdd.stages.map.map_image`."""

    start: str | float | None = None
    end: str | float | None = None
    hold: Mapping[str, str | float] | None = None
    free: Iterable[str] = ()
    shared: tuple[str, ...] = ()
    sd: Spread | None = None
    integration: Integration | None = None
    options: Mapping[str, Any]


def ready(
    model: Model,
    frames: Frames,
    unit: str,
    inputs: Mapping[str, InputCurve],
    settings: Settings,
) -> Setup:
    """Setup of a model over the frames that are used, in the image's unit."""
    _voxelwise(model)
    model = amounts.in_unit_of(model, unit)
    window = {
        "start": doors.seconds(settings.start, "start"),
        "end": doors.seconds(settings.end, "end"),
    }
    held = doors.held_values(model, {} if settings.hold is None else settings.hold, settings.free)
    own = {name: one for name, one in window.items() if doors.has_option(model, name)}
    options = doors.option_values(model, own | dict(settings.options))
    seen, used, kept = chosen_frames(model, frames, window, settings.integration)
    check_size(model, held, used)
    protocol = doors.build(
        model,
        seen,
        inputs,
        unit,
        held=held,
        options=options,
        integration=settings.integration,
    )
    sd = _deviations(settings.sd, used, kept)
    return Setup(model=model, protocol=protocol, kept=kept, sd=sd)


def _deviations(sd: Spread | None, used: np.ndarray, kept: np.ndarray) -> np.ndarray | None:
    """Standard deviations of the frames that the model sees, infinite where they are not used."""
    if isinstance(sd, str) and sd not in ("counts", "equal"):
        raise InputError(
            f"sd is {sd!r}; expected 'counts', 'equal' or numbers: what all voxels of a map share"
        )
    if sd is None or isinstance(sd, str):
        return None if used.all() else np.where(used, 1.0, np.inf)
    sd = np.asarray(sd, dtype=float)
    if sd.shape != kept.shape:
        raise InputError(f"sd has shape {sd.shape}; expected one for each of {kept.size} frames")
    if not (sd > 0).all():
        raise InputError(f"sd holds {np.min(sd):g}; expected numbers above 0")
    return np.where(used, sd[kept], np.inf)


def by_counts(setup: Setup, decay: Decay | None, pieces: Pieces, mask: Pieces | None) -> Setup:
    """The setup with frames as uncertain as counting leaves them in the image's mean curve."""
    mean = _some_curves(setup, pieces, mask).mean(axis=1)
    sd = of_counts(mean, setup.protocol.frames, decay)
    used = True if setup.sd is None else np.isfinite(setup.sd)
    return replace(setup, sd=np.where(used, sd, np.inf))


def settled(
    setup: Setup, shared: tuple[str, ...], pieces: Pieces, mask: Pieces | None
) -> tuple[Job, dict[str, float]]:
    """The job, with shared parameters held at what curves all over the image say, and with t* fixed
    once for all voxels where the model has one; and what they became."""
    if not shared:
        return _with_start(Job(setup=setup, solver=setup.solver, pieces=pieces, mask=mask))
    curves = _some_curves(setup, pieces, mask)
    amount = curves.sum(axis=0)
    curves = curves[:, amount >= FAINT * amount.mean()]
    every = np.ones(len(curves), dtype=bool)
    task = Task(
        model=setup.model, protocol=setup.protocol, values=curves.T, used=every, sd=setup.sd
    )
    task, notes = with_shared(task, shared)
    setup = replace(setup, protocol=task.protocol)
    flag = Status.AT_BOUND if shared_at_bound(setup.model, notes) else Status(0)
    return Job(setup=setup, solver=setup.solver, pieces=pieces, mask=mask, flag=flag), notes


def _with_start(job: Job) -> tuple[Job, dict[str, float]]:
    """The job with t* fixed by the image's mean curve, and what t* became."""
    setup, pieces = job.setup, job.pieces
    if not setup.skips:
        return job, {}
    mean = _some_curves(setup, pieces, job.mask).mean(axis=1)
    notes = dict(job.solver(mean[None], setup.sd).notes)
    if "t_star" not in notes:  # the start is where frames in use begin, and no rule seeks it
        return job, notes
    if np.isnan(notes["t_star"]):
        raise FitError(
            f"{pieces.source}: the {setup.model.name} plot of the image's mean curve is nowhere "
            "straight; expected five late frames on a line; give start"
        )
    options = {**setup.protocol.options, "start": notes["t_star"]}
    setup = replace(setup, protocol=replace(setup.protocol, options=options))
    return replace(job, setup=setup, solver=setup.solver), notes


def _some_curves(setup: Setup, pieces: Pieces, mask: Pieces | None) -> np.ndarray:
    """Samples (t, n) of voxels that can be fitted at places all over the image, else anywhere."""
    size = pieces.grid.size
    begins = np.linspace(0, max(size - AT_PLACE, 0), PLACES).astype(int)
    spread = [(int(begin), min(int(begin) + AT_PLACE, size)) for begin in np.unique(begins)]
    whole = [(first, min(first + AT_PLACE, size)) for first in range(0, size, AT_PLACE)]
    for places in (spread, whole):
        found: list[np.ndarray] = []
        for first, last in places:
            block, usable = _read(setup, pieces, mask, first, last)[:2]
            if usable.any():
                found.append(np.asarray(block[:, usable], dtype=float))
            if len(found) == PLACES:
                break
        if found:
            return np.concatenate(found, axis=1)
    raise InputError(
        f"{pieces.source}: no voxel in the mask has a value other than zero in all frames; "
        "expected some; is the mask of another scan?"
    )


def _read(
    setup: Setup,
    pieces: Pieces,
    mask: Pieces | None,
    first: int,
    last: int,
    *,
    whole: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples (t, n) of a piece in the frames that are used; which voxels can be fitted; which of
    them lie in the mask.

    whole  whether a voxel needs a value in every frame; else what it needs is left to the solver
    """
    inside = np.ones(last - first, dtype=bool)
    if mask is not None:
        inside = mask.read(first, last)[0] >= INSIDE
        if not inside.any():
            return np.empty((int(setup.kept.sum()), inside.size)), inside, inside
    block = pieces.read(first, last)
    if not setup.kept.all():
        block = block[setup.kept]
    low, high = block.min(axis=0), block.max(axis=0)
    usable = ((low != 0) | (high != 0)) & inside
    finite = np.isfinite(low) & np.isfinite(high)
    if whole:
        usable &= finite
    elif not finite.all():
        block = np.where(np.isfinite(block), block, np.nan)
    return block, usable, inside


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """Values and standard errors (p, n) of a piece in display units, flag bits (n,), and how many
    voxels lie in the mask.
    """

    values: np.ndarray
    sd: np.ndarray
    status: np.ndarray
    inside: int


def solve(job: Job, first: int, last: int) -> Answer:
    """One piece, read and solved; NaN outside the mask and where nothing could be fitted."""
    block, usable, inside = _read(
        job.setup, job.pieces, job.mask, first, last, whole=not job.setup.skips
    )
    shown = job.setup.shown
    maps = np.full((2, len(shown), last - first), np.nan, MAP_KIND)
    status = np.where(inside, int(Status.NOT_FITTED), 0).astype(FLAG_KIND)
    if usable.any():
        every = bool(usable.all())
        curves = block if every else np.compress(usable, block, axis=1)
        found = job.solver(curves.T, job.setup.sd)
        if found.notes.get("start_only"):
            raise InputError(
                f"model {job.setup.model.name} holds {', '.join(job.setup.protocol.held)}, which "
                "its search cannot all hold; expected maps with rates free; fit regions instead"
            )
        values, variance = _with_derived(job.setup, found.parameters, found.covariance)
        place = slice(None) if every else usable
        with np.errstate(invalid="ignore", over="ignore"):
            factors = job.setup.factors
            for row, (value, square, factor) in enumerate(
                zip(values, variance, factors, strict=True)
            ):
                # What has no end, such as VT where k4 is 0, is no value of a voxel.
                maps[0, row, place] = np.where(np.isfinite(value), value / factor, np.nan)
                # Variance 0 is that of a bound, where there is no standard error.
                maps[1, row, place] = np.sqrt(np.where(square == 0, np.nan, square)) / factor
        early = enhanced_early(job.setup.model, job.setup.protocol, curves.T)
        flags = job.flag | np.where(early, int(Status.ENHANCED_BEFORE_INPUT), 0)
        status[place] = found.status | flags | _unsure(job.setup, values, variance, found.status)
    return Answer(values=maps[0], sd=maps[1], status=status, inside=int(inside.sum()))


def _unsure(
    setup: Setup, values: list[np.ndarray], variance: list[np.ndarray], status: np.ndarray
) -> np.ndarray:
    """Bit of voxels whose macro-parameters have a standard error above their value, as regions."""
    derived = len(setup.model.derived)
    if setup.model.closed or not derived:
        return np.zeros(status.size, dtype=FLAG_KIND)
    with np.errstate(invalid="ignore", over="ignore"):
        unsure = [
            ~(square <= value**2)
            for value, square in zip(values[-derived:], variance[-derived:], strict=True)
        ]
    fitted = (status & Status.NOT_FITTED) == 0
    flagged = np.any(unsure, axis=0) & fitted
    return np.where(flagged, int(Status.POORLY_IDENTIFIED), 0).astype(FLAG_KIND)


def _with_derived(
    setup: Setup, fitted: np.ndarray, covariance: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Columns of the parameters that are shown, and of their variances by the delta method."""
    names = [one.name for one in setup.model.parameters]
    free = [row for row, name in enumerate(names) if name not in setup.protocol.held]
    values = [fitted[:, row] for row in free]
    variance = [covariance[:, row, row] for row in free]
    if setup.model.derive is None:
        return values, variance
    derive, fitted = setup.model.derive, np.asfortranarray(fitted)
    with np.errstate(all="ignore"):
        derived = derive(fitted)
        slopes = np.empty((len(free), *derived.shape))
        for number, row in enumerate(free):
            width = central_width(fitted[:, row])
            ends = []
            for sign in (1.0, -1.0):
                moved = fitted.copy(order="F")
                moved[:, row] += sign * width
                ends.append(derive(moved))
            slopes[number] = (ends[0] - ends[1]) / (2 * width)[:, None]
            slopes[number, covariance[:, row, row] == 0] = 0.0
        known = covariance[:, free][:, :, free]
        squares = np.einsum("and,nab,bnd->nd", slopes, known, slopes, optimize=True)
    return [*values, *derived.T], [*variance, *squares.T]
