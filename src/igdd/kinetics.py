"""What passes between inputs, fit and map: input curves, the protocol of a fit, what a fit gives.

Times are in s, rates in 1/s. A model's `predict` sees nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Any, Literal

import numpy as np

from igdd.decay import activity
from igdd.errors import InputError
from igdd.types import Decay, Frames, freeze

COMPARTMENTS = ("plasma", "blood", "tissue")
SUBSTANCES = ("parent", "total", "carrier", "contrast")
# What a model's tissue can see, by role: exchanging plasma, blood in the vessels, portal venous
# plasma, a reference tissue.
ROLES = ("plasma", "blood", "portal", "reference")
INTEGRATIONS = ("exact", "instant", "trapezium")

Integration = Literal["exact", "instant", "trapezium"]


class Status(IntFlag):
    """What is to be said of one fitted curve; each bit is the flag of the same name."""

    NOT_FITTED = 1
    NOT_CONVERGED = 2
    AT_BOUND = 4
    POORLY_IDENTIFIED = 8
    RESIDUAL_RUNS = 16
    INCOMPLETE = 32
    ENHANCED_BEFORE_INPUT = 64

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the flags in `igdd.flags.FLAGS`.

        >>> (Status.AT_BOUND | Status.RESIDUAL_RUNS).flags
        ('at_bound', 'residual_runs')
        """
        return tuple(str(bit.name).lower() for bit in Status if bit in self)


@dataclass(frozen=True, kw_only=True, eq=False)
class InputCurve:
    """A concentration that a tissue sees: straight between its knots, zero before the first.

    What a region of the image shows has knots within the frames, so that it has their means; a fit
    that goes by instants takes it `joined`.

    time         (n,) s after the frames' zero, ascending
    values       (n,) in `unit`
    compartment  plasma, blood (whole blood) or tissue (a reference region)
    substance    parent (the unchanged agent), total, carrier or contrast
    own_clock    whether the times are those of a blood sampler, which nobody set by the tissue's:
                 a tissue model then seeks the delay between them
    seen_in      frames of the image that showed it, whose means stand at their middles; None: it
                 was sampled
    corrected_to instant in s to which its activity is corrected for decay; None: that of the tissue
    """

    time: np.ndarray
    values: np.ndarray
    compartment: str
    substance: str
    unit: str
    source: str = ""
    flags: tuple[str, ...] = ()
    own_clock: bool = False
    seen_in: Frames | None = None
    corrected_to: float | None = None

    def __post_init__(self) -> None:
        where = self.source or "input"
        for name in ("time", "values"):
            object.__setattr__(self, name, np.array(getattr(self, name), dtype=float))
        if self.time.ndim != 1 or self.time.shape != self.values.shape or self.time.size < 2:
            raise InputError(
                f"{where}: {self.time.size} times and {self.values.size} values; "
                "expected two or more of each"
            )
        if not (np.isfinite(self.time).all() and np.isfinite(self.values).all()):
            raise InputError(f"{where}: a time or a value is not finite; expected numbers")
        if not (np.diff(self.time) > 0).all():
            first = int(np.argmin(np.diff(self.time) > 0))
            raise InputError(
                f"{where}: sample {first + 2} at {self.time[first + 1]:g} s is not after the one "
                f"at {self.time[first]:g} s; expected ascending times"
            )
        for name, known in (("compartment", COMPARTMENTS), ("substance", SUBSTANCES)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{where}: {name} {getattr(self, name)!r}; expected one of {', '.join(known)}"
                )
        freeze(self)

    def later(self, shift: float) -> InputCurve:
        """The curve that comes `shift` s later."""
        seen = self.seen_in
        if seen is not None:
            seen = replace(seen, start=seen.start + shift)
        return replace(self, time=self.time + shift, seen_in=seen)

    def on_clock(self, zero: float) -> InputCurve:
        """The same curve on a clock on which its own began at `zero` s."""
        to = self.corrected_to
        return replace(self.later(zero), corrected_to=None if to is None else to + zero)

    def corrected_as(self, tissue: Decay | None) -> InputCurve:
        """The curve corrected for decay to the instant that the tissue is."""
        if tissue is None or tissue.corrected_to is None or self.corrected_to is None:
            return self
        passed = tissue.corrected_to - self.corrected_to
        values = activity(self.values, tissue.half_life, passed)
        return replace(self, values=values, corrected_to=tissue.corrected_to)

    def joined(self) -> InputCurve:
        """The curve straight from middle to middle of the frames that showed it."""
        if self.seen_in is None:
            return self
        start, end = float(self.seen_in.start.min()), float(self.seen_in.end.max())
        inside = (self.time > start) & (self.time < end)
        when = np.union1d(self.time[~inside], self.seen_in.middle)
        return replace(self, time=when, values=np.interp(when, self.time, self.values))


@dataclass(frozen=True, kw_only=True, eq=False)
class Protocol:
    """What a fit knows beside the curves: frames, inputs, what is held, how frames are integrated.

    inputs       role (`ROLES`) -> curve in the unit of the tissue's curves
    integration  "exact": each frame is the mean over its length; "instant": the exact convolution
                 at the frame's middle; "trapezium": the sum of older software, to compare with it:
                 a trapezoidal recursion over the samples at the frames' middles, or what
                 `of_older_software` says
    held         parameter -> value in SI units at which it is held, not fitted
    options      the model's own options in SI units
    """

    frames: Frames
    inputs: Mapping[str, InputCurve] = field(default_factory=dict)
    integration: Integration = "exact"
    held: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.integration not in INTEGRATIONS:
            raise InputError(
                f"integration is {self.integration!r}; expected one of {', '.join(INTEGRATIONS)}"
            )
        for role in self.inputs:
            if role not in ROLES:
                raise InputError(f"input {role!r}; expected one of {', '.join(ROLES)}")

    def of_older_software(self) -> Protocol:
        """This protocol for a model whose exponentials older software convolves without trapezia.

        Madym (doi:10.21105/joss.03523) sums its exchange, uptake and two-exponential models
        exactly between samples: their `trapezium` is the value at the frames' middles.
        """
        return replace(self, integration="instant") if self.integration == "trapezium" else self

    def input(self, role: str) -> InputCurve:
        """The input of a role; a missing one raises InputError."""
        if role not in self.inputs:
            raise InputError(
                f"the model needs the input {role!r}; there is {', '.join(self.inputs) or 'none'}"
            )
        return self.inputs[role]

    def convolve(self, role: str, rate: np.ndarray, delay: np.ndarray | float = 0.0) -> np.ndarray:
        """Input convolved with exp(-rate t) over the frames, (n, t), for rates (n,) in 1/s.

        `delay` (n,) in s: how much later than the input's own clock the tissue sees it.
        A rate of 0 gives the running integral of the input.
        """
        from igdd.kernels.convolve import convolve

        curve = self.input(role)
        return convolve(curve.time, curve.values, self._window, np.atleast_1d(rate), delay)

    def mean(self, role: str, delay: np.ndarray | float = 0.0) -> np.ndarray:
        """The input itself over the frames, (n, t) for delays (n,) in s."""
        from igdd.kernels.convolve import sample

        curve = self.input(role)
        return sample(curve.time, curve.values, self._window, delay)

    @property
    def _window(self) -> tuple[np.ndarray, np.ndarray, str]:
        return self.frames.start, self.frames.end, self.integration


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Fitted parameters of n curves, in SI units.

    parameters  (n, p), NaN where a curve could not be fitted
    covariance  (n, p, p) of the estimates, NaN where it is not known, 0 for a held parameter
    predicted   (n, t), NaN in frames that the fit did not use, or None where nobody asked
    status      (n,) bits of `Status`
    notes       what was chosen for all curves alike: t*, delay
    """

    parameters: np.ndarray
    covariance: np.ndarray
    status: np.ndarray
    predicted: np.ndarray | None = None
    notes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, size = self.parameters.shape
        if self.covariance.shape != (count, size, size) or self.status.shape != (count,):
            raise InputError(
                f"a solution of {count} curves and {size} parameters has covariance "
                f"{self.covariance.shape} and status {self.status.shape}"
            )
        freeze(self)


# Solves curves (n, t) with standard deviations (t,), (n, t) or None (equal and unknown).
Solver = Callable[[np.ndarray, np.ndarray | None], Solution]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A model fitted to the curves of named regions, its fitted and derived parameters together.

    names       of the n regions
    parameters  names of the p parameters, fitted, held and derived; `display`: their display units
    values      (n, p); covariance (n, p, p); both in SI units
    predicted   (n, t), NaN in frames that were not used
    sd          (n, t) standard deviations that weighted the fit, or None: all frames alike
    aicc        (n,) NaN where n - k - 1 < 1
    freedom     (n,) degrees of freedom of the standard errors, frames less fitted parameters
    flags       one tuple for each region
    notes       one mapping for each region, in SI units: what was chosen for all alike, such as t*
    limits      (n, p, 2) of 95 % by profile likelihood, infinite where the data set none; NaN for
                derived and held parameters; None: not asked for
    """

    model: str
    names: tuple[str, ...]
    parameters: tuple[str, ...]
    display: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    predicted: np.ndarray
    aicc: np.ndarray
    freedom: np.ndarray
    flags: tuple[tuple[str, ...], ...]
    sd: np.ndarray | None = None
    notes: tuple[Mapping[str, float], ...] = ()
    limits: np.ndarray | None = None

    def __post_init__(self) -> None:
        freeze(self)
