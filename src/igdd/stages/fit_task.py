"""What a fit solves: curves, frames and weights of a model, and what all of its curves share.

A shared parameter, such as the delay of a scan's blood, is sought in the largest curves and then
held for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from igdd import catalog
from igdd.declare import Model, Parameter
from igdd.errors import FitError, StudyError
from igdd.kernels import judge
from igdd.kinetics import InputCurve, Protocol, Solution
from igdd.stages import protocol as doors
from igdd.types import Frames

# Kinds of curves that say what all of them share.
KINDS = 16
TINY = np.finfo(float).tiny
# An input has risen, and a tissue is enhanced, at this share of its peak; the level of so few
# samples is told from noise by so many of its standard errors.
RISEN, FEWEST_EARLY, CERTAINTY = 0.25, 3, 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is solved: curves (n, t) in all frames, and which frames (t,) the fit may use.

    sd  (t,) for all curves, (n, t), or None: all frames alike
    """

    model: Model
    protocol: Protocol
    values: np.ndarray
    used: np.ndarray
    sd: np.ndarray | None

    @property
    def free(self) -> np.ndarray:
        """Which parameters (p,) are fitted, not held."""
        return np.array([one.name not in self.protocol.held for one in self.model.parameters])

    @property
    def bounds(self) -> np.ndarray:
        """Bounds (p, 2) of the parameters in SI."""
        return np.array([_si_bounds(one) for one in self.model.parameters])

    @property
    def frames_used(self) -> np.ndarray:
        """Which frames of each curve (n, t) the fit uses."""
        return np.asarray(np.isfinite(judge.deviations(self.deviations(), self.values.shape)))

    def deviations(self) -> np.ndarray | None:
        """`sd`, infinite in frames that are not used; None where nothing is said."""
        if self.used.all():
            return self.sd
        sd = np.ones(self.used.size) if self.sd is None else self.sd
        return np.where(self.used, sd, np.inf)


def _si_bounds(parameter: Parameter) -> np.ndarray:
    return np.asarray(np.multiply(parameter.bounds, doors.si_factor(parameter.unit)))


def chosen_frames(
    model: Model, frames: Frames, window: Mapping[str, float | None], integration: str | None
) -> tuple[Frames, np.ndarray, np.ndarray]:
    """Frames that the model sees; which of them the fit uses; which of all frames they are.

    window  "start" and "end" in s, or None; a model that has them as options sees all frames, but
            none that begins after the end

    The trapezoidal recursion needs the early frames also where the fit begins later.
    """
    start, end = (
        None if doors.has_option(model, name) else window[name] for name in ("start", "end")
    )
    wanted = doors.within(frames, start, end)
    early = integration == "trapezium" and not model.describes
    kept = doors.within(frames, None, end) if early else wanted
    begun = True if window["end"] is None else frames.start < window["end"]
    kept = kept & begun if np.any(begun) else kept
    seen = replace(frames, start=frames.start[kept], duration=frames.duration[kept])
    return seen, wanted[kept], kept


def check_size(model: Model, held: Collection[str], used: np.ndarray) -> None:
    """Refuse fewer frames than parameters, which no curve can mend.

    used  (t,) or (n, t) which frames are used
    """
    free = sum(one.name not in held for one in model.parameters)
    most = int(used.sum(axis=-1).max(initial=0))
    if used.size and most < free and not model.describes:
        raise FitError(
            f"model {model.name} has {free} free parameters, but {most} of {used.shape[-1]} frames "
            "are used; expected at least as many; use more frames, or hold a parameter"
        )


def solve(task: Task) -> Solution:
    """Parameters in SI: closed form, or a start refined on the model itself."""
    from igdd.kernels.levenberg import fit_curves

    model, protocol, sd = task.model, task.protocol, task.deviations()
    values = np.where(task.used, task.values, 0.0)
    found: Solution | None = None
    if model.prepare is not None:
        found = model.prepare(protocol)(values, sd)
        if model.closed and found is not None:
            return found
    factors = np.array([doors.si_factor(one.unit) for one in model.parameters])
    held = np.array([protocol.held.get(one.name, np.nan) for one in model.parameters])
    free = task.free
    if found is None:
        # What is held starts from one place only, so that the best few starts differ.
        starts = np.unique(np.where(free, _starts(model) * factors, held), axis=0)
    else:
        starts = found.parameters[:, None]
    slopes = model.jacobian
    fitted = fit_curves(
        lambda parameters: model.predict(parameters, protocol),
        values,
        sd,
        np.where(free, starts, held),
        np.where(free[:, None], task.bounds, [-np.inf, np.inf]),
        free=free,
        jacobian=None if slopes is None else lambda parameters: slopes(parameters, protocol),
        known=np.array([one.known for one in model.parameters]) * factors,
        rivals=found is None,
    )
    return Solution(**fitted._asdict())


def _starts(model: Model) -> np.ndarray:
    """All combinations (s, p) of the parameters' starts, in display units."""
    for one in model.parameters:
        if not one.start and one.held is None:
            raise FitError(f"model {model.name} declares no start for {one.name}; expected one")
    return np.array(
        list(product(*(one.start or (one.held,) for one in model.parameters))), dtype=float
    )


def shared_names(
    model: Model,
    shared: Iterable[str] | None,
    said: Collection[str],
    inputs: Mapping[str, InputCurve],
) -> tuple[str, ...]:
    """Parameters that all curves share: those asked for, else the delay of an input whose clock is
    its own, unless the user has `said` that it is held or free.
    """
    known = {one.name: one for one in model.parameters}
    if shared is not None:
        shared = tuple(shared)
        wrong = [name for name in shared if name not in known]
        if wrong:
            raise StudyError(
                f"model {model.name} has no parameter {wrong[0]!r}; expected {', '.join(known)}"
            )
        return shared
    fitted = model.family == "tissue" and "delay" in known
    lags = any(one.own_clock for role, one in inputs.items() if role in model.needs)
    return ("delay",) if fitted and lags and "delay" not in said else ()


def with_shared(task: Task, names: tuple[str, ...]) -> tuple[Task, dict[str, float]]:
    """The task with shared parameters held at their common value, and that value, in SI."""
    if "delay" in names and _begins_late(task):
        names = tuple(name for name in names if name != "delay")
        task = _without_delay(task)
    if not names:
        return task, {}
    seeker = _seeker(task, names)
    sought = {name: value for name, value in seeker.protocol.held.items() if name not in names}
    if "blood" in task.protocol.inputs:
        # A share of blood that is held wrong moves the delay: while that is sought, it is free.
        sought.pop("Vb", None)
    sd = task.sd
    # A curve that cannot be fitted takes no seat.
    used = task.frames_used
    whole = np.flatnonzero(np.all(np.isfinite(task.values) | ~used, axis=1))
    if not whole.size:
        return task, {}
    kinds = [whole[kind] for kind in _kinds(np.where(used, task.values, 0.0)[whole], KINDS)]
    if sd is not None and sd.ndim == 2:
        sd = np.stack([np.sqrt(np.square(sd[kind]).mean(axis=0)) for kind in kinds])
    few = replace(
        seeker,
        protocol=replace(seeker.protocol, held=sought),
        values=np.stack([task.values[kind].mean(axis=0) for kind in kinds]),
        sd=sd,
    )
    found = solve(few)
    numbers = [one.name for one in seeker.model.parameters]
    held, notes = dict(task.protocol.held), {}
    for name in names:
        column = numbers.index(name)
        variance, said = found.covariance[:, column, column], found.parameters[:, column]
        usable = np.isfinite(variance) & (variance > 0)
        known = said[np.isfinite(said)]
        # Where all curves have it at its bound, and so without a variance, it is there.
        value = float(np.median(known)) if known.size else task.protocol.held.get(name, 0.0)
        if usable.any():
            weight = 1 / variance[usable]
            value = float(np.sum(weight * said[usable]) / weight.sum())
        held[name] = notes[f"{name}_shared"] = value
    return replace(task, protocol=replace(task.protocol, held=held)), notes


def _seeker(task: Task, names: tuple[str, ...]) -> Task:
    """The task by which shared parameters are sought: that of two tissues where the model does not
    fit them itself."""
    if all(one.fitted for one in task.model.parameters if one.name in names):
        return task
    model = catalog.find("models", "two_tissue")
    known = {one.name for one in model.parameters}
    held = {name: value for name, value in task.protocol.held.items() if name in known}
    inputs = dict(task.protocol.inputs)
    if "blood" not in inputs:
        nothing = np.zeros(inputs["plasma"].values.size)
        inputs["blood"] = replace(inputs["plasma"], values=nothing, compartment="blood")
        held["Vb"] = 0.0
    return replace(
        task, model=model, protocol=replace(task.protocol, inputs=inputs, held=held, options={})
    )


def _kinds(curves: np.ndarray, count: int) -> list[np.ndarray]:
    """Rows of curves (n, t), sorted by their shape into up to so many kinds.

    The mean of like curves is less noisy than any, and its delay is theirs; the mean of unlike ones
    is the curve of none.
    """
    shapes = curves / np.maximum(np.linalg.norm(curves, axis=1), TINY)[:, None]
    shapes -= shapes.mean(axis=0)
    _, directions = np.linalg.eigh(shapes.T @ shapes)
    order = np.argsort(shapes @ directions[:, -1], kind="stable")
    return np.array_split(order, min(count, order.size))


def _begins_late(task: Task) -> bool:
    """Whether no delay within its bounds brings an input's peak into the frames in use.

    A delay shows in the steep part of the inputs alone. Behind it another K1 or Vb does the same to
    the tissue, and what is found runs to a bound.
    """
    begun = task.protocol.frames.start[task.frames_used.any(axis=0)]
    peaks = [one.time[np.argmax(one.values)] for one in task.protocol.inputs.values()]
    longest = next(
        (one.bounds[1] for one in task.model.parameters if one.name == "delay"), np.inf
    )  # s
    return bool(begun.size and peaks and begun.min() >= max(peaks) + longest)


def _without_delay(task: Task) -> Task:
    """The task with the delay held, at 0 s unless it was held elsewhere, which its inputs say."""
    protocol = task.protocol
    inputs = {
        role: replace(one, flags=(*one.flags, "delay_not_seen"))
        for role, one in protocol.inputs.items()
    }
    held = {"delay": 0.0, **protocol.held}
    return replace(task, protocol=replace(protocol, inputs=inputs, held=held))


def shared_at_bound(model: Model, notes: Mapping[str, float]) -> bool:
    """Whether a parameter that all curves share lies at the end of what it may be."""
    for one in model.parameters:
        low, high = _si_bounds(one)
        value = notes.get(f"{one.name}_shared")
        if value is not None and not low < value < high:
            return True
    return False


def enhanced_early(model: Model, protocol: Protocol, values: np.ndarray) -> np.ndarray:
    """Curves (n, t) of contrast that are well above zero in the frames before any input has risen.

    Stored values less no baseline are so, or an input on another clock.
    """
    none = np.zeros(len(values), dtype=bool)
    if model.family != "contrast" or not protocol.inputs:
        return none
    rises = min(_rise(curve) for curve in protocol.inputs.values())
    early = np.asarray(values[:, protocol.frames.middle <= rises], dtype=float)
    if early.shape[1] < FEWEST_EARLY:
        return none
    with np.errstate(invalid="ignore"):
        level, error = early.mean(axis=1), early.std(axis=1, ddof=1) / early.shape[1] ** 0.5
        return np.asarray((level > RISEN * values.max(axis=1)) & (level > CERTAINTY * error))


def _rise(curve: InputCurve) -> float:
    """When an input has risen from its first samples, in s."""
    before = float(np.median(curve.values[:FEWEST_EARLY]))
    risen = curve.values >= before + RISEN * (curve.values.max() - before)
    return float(curve.time[np.argmax(risen)])
