"""What the release models share: lag time, complete release, starts from the samples, the fit.

A release model has no input and no frames: a sample is an instant, the middle of its frame, and the
integration of a protocol changes nothing. Curves are in % of the load. A coefficient whose unit
depends on an exponent (kH, kKP) is what is released after one hour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from igdd.declare import Model, Option, Parameter
from igdd.kinetics import Protocol, Solution, Solver

HOUR = 3600.0
FMAX = Parameter("Fmax", "%", (0.0, 200.0), help="released in the end", start=(100.0,), held=100.0)
TLAG = Parameter(
    "Tlag", "h", (0.0, float("inf")), help="time before release begins", start=(0.0,), held=0.0
)
# Display unit -> SI; the curves stay in %.
SI = {"%": 0.01, "%/h": 0.01 / HOUR, "1/h": 1 / HOUR, "h": HOUR, "1": 1.0}
# Final releases and lags among which a fit begins, where these are free: %, shares of the first
# third of the samples' times.
FMAX_STARTS = (25.0, 50.0, 75.0, 100.0, 120.0)
# Starts that are followed.
BEST = 6

Law = Callable[..., np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A release law as a model.

    own       parameters of the law but Fmax and Tlag, in its order
    released  released(time, *own[, Fmax]) in h and %
    reached   reached(level, *own[, Fmax]) in h
    guesses   times (t,) in h -> own parameters (g, k) from which a fit may begin
    ends      whether the law has an Fmax
    options   the model's own; "up_to" leaves later samples out once a curve has passed it
    two_phases  whether the own parameters are the share of a phase and the rates of two
    """

    name: str
    help: str
    own: tuple[Parameter, ...]
    released: Law
    reached: Law
    guesses: Callable[[np.ndarray], np.ndarray]
    ends: bool = True
    reference: str = ""
    options: tuple[Option, ...] = ()
    two_phases: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Own ones, Fmax where the law has it, the lag."""
        return (*self.own, *((FMAX,) if self.ends else ()), TLAG)

    @property
    def factors(self) -> np.ndarray:
        """Display unit -> SI, (p,)."""
        return np.array([SI[one.unit] for one in self.parameters])


def model(form: Form) -> Model:
    """The declaration of a release law."""
    return Model(
        form.name,
        lambda parameters, protocol: _predict(form, parameters / form.factors, protocol),
        parameters=form.parameters,
        help=form.help,
        reference=form.reference,
        derived=(
            Parameter("T50", "h", help="time to 50 % of the load"),
            Parameter("T80", "h", help="time to 80 % of the load"),
        ),
        derive=lambda parameters: _derive(form, parameters / form.factors),
        prepare=lambda protocol: _prepare(form, protocol),
        closed=True,
        family="release",
        options=form.options,
    )


def _predict(form: Form, shown: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Released % (n, t) of parameters (n, p) in display units."""
    *law, lag = shown.T[:, :, None]
    since = np.maximum(protocol.frames.middle / HOUR - lag, 0.0)
    return np.broadcast_to(form.released(since, *law), (len(shown), since.shape[1]))


def _derive(form: Form, shown: np.ndarray) -> np.ndarray:
    """T50 and T80 in s, (n, 2); infinite where they are never reached."""
    *law, lag = shown.T
    return np.column_stack([(lag + form.reached(level, *law)) * HOUR for level in (50.0, 80.0)])


def _prepare(form: Form, protocol: Protocol) -> Solver:
    """The solver of curves (n, t): several starts, bounds, parameters held as the protocol says."""
    from igdd.kernels import judge, levenberg

    factors = form.factors
    names = [one.name for one in form.parameters]
    held = np.array([protocol.held.get(name, np.nan) for name in names]) / factors
    free = np.isnan(held)
    bounds = np.array([one.bounds for one in form.parameters], dtype=float)
    bounds[~free] = -np.inf, np.inf
    starts = _starts(form, protocol.frames.middle / HOUR, held)
    guessed = _predict(form, starts, protocol)

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        curves = np.atleast_2d(curves)
        sd = _within(curves, sd, protocol)
        fitted = levenberg.fit_curves(
            lambda shown: _predict(form, shown, protocol),
            curves,
            sd,
            _nearest(curves, sd, starts, guessed),
            bounds,
            free=free,
        )
        shown, covariance = fitted.parameters, fitted.covariance
        if form.two_phases and free[: len(form.own)].all():
            shown, covariance = _fast_first(shown, covariance)
        runs = judge.residual_runs(curves, fitted.predicted, sd)
        fit = (fitted.status & judge.NOT_FITTED) == 0
        return Solution(
            parameters=shown * factors,
            covariance=covariance * factors[:, None] * factors,
            status=fitted.status | np.where(runs & fit, judge.RESIDUAL_RUNS, 0),
            predicted=fitted.predicted,
        )

    return solve


def _within(curves: np.ndarray, sd: np.ndarray | None, protocol: Protocol) -> np.ndarray | None:
    """Standard deviations, infinite from the first sample above the option `up_to` on."""
    limit = protocol.options.get("up_to")
    if limit is None:
        return sd
    order = np.argsort(protocol.frames.middle, kind="stable")
    spread = np.broadcast_to(np.ones(1) if sd is None else sd, curves.shape)
    past = np.isfinite(spread) & (curves > limit)
    beyond = np.empty_like(past)
    beyond[:, order] = np.maximum.accumulate(past[:, order], axis=1)
    return np.where(beyond, np.inf, spread)


def _starts(form: Form, hours: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Parameters (g, p) in display units from which a fit may begin, held ones at their value."""
    after = np.unique(hours[hours > 0])
    after = after if after.size else np.ones(1)
    found = form.guesses(after)
    common = [np.array(FMAX_STARTS)] if form.ends else []
    # A lag lies between the samples: a little before each of the early ones.
    common.append(np.append(0.0, 0.9 * after[: max(2, after.size // 3)][:6]))
    for column, axis in enumerate(common, start=len(form.own)):
        values = axis if np.isnan(held[column]) else held[column : column + 1]
        found = np.column_stack(
            [np.repeat(found, values.size, axis=0), np.tile(values, len(found))]
        )
    found = np.where(np.isnan(held), found, held)
    return np.unique(found, axis=0)


def _nearest(
    curves: np.ndarray, sd: np.ndarray | None, starts: np.ndarray, guessed: np.ndarray
) -> np.ndarray:
    """The starts (n, s, p) whose curves lie nearest to each curve."""
    from igdd.kernels.linear import weights

    weight = weights(sd, curves.shape)
    values = np.where(np.isfinite(curves) & (weight > 0), curves, 0.0)
    best = np.empty((len(curves), min(BEST, len(starts)), starts.shape[1]))
    for row, (value, own) in enumerate(zip(values, weight, strict=True)):
        squares = np.sum(((guessed - value) * own) ** 2, axis=1)
        best[row] = starts[np.argsort(squares, kind="stable")[: best.shape[1]]]
    return best


def _fast_first(shown: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same curves with the faster of two phases first: (b, k, k') is (100 - b, k', k)."""
    late = shown[:, 2] > shown[:, 1]
    size = shown.shape[1]
    swap = np.eye(size)
    swap[0, 0] = -1.0
    swap[1:3, 1:3] = [[0.0, 1.0], [1.0, 0.0]]
    turned = shown @ swap.T
    turned[:, 0] += 100.0
    return (
        np.where(late[:, None], turned, shown),
        np.where(late[:, None, None], swap @ covariance @ swap.T, covariance),
    )
