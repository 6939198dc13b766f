"""Clearance of a curve by one, two or three exponentials, without an input.

    C(t) = A1 exp(-rate1 t) [+ A2 exp(-rate2 t) [+ A3 exp(-rate3 t)]],    rate1 > rate2 > rate3

with t from the frames' time zero. A frame holds the mean over its length, so that long frames do
not flatten the curve; with integration at an instant it holds the value at its middle. Half-lives
are ln 2 / rate; the mean residence time of what is there at time zero is
sum(A / rate^2) / sum(A / rate). The frames before the peak are to be left out.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solution, Solver

# Rates among which a fit begins: from this share of the reciprocal of the whole time, to this
# multiple of the reciprocal of the shortest frame.
SLOWEST, FASTEST = 0.05, 3.0
GRID = {1: 60, 2: 40, 3: 24}
# Starts that are followed to the end.
BEST = 3


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Curve (n, t) of (A1, rate1, A2, rate2, ...), A in the curve's unit, rate in 1/s."""
    curves = np.zeros((len(parameters), protocol.frames.start.size))
    for amplitude, rate in zip(parameters.T[::2], parameters.T[1::2], strict=True):
        curves += amplitude[:, None] * _decays(rate, protocol)
    return curves


def derive(parameters: np.ndarray) -> np.ndarray:
    """Half-lives in the order of the rates, and the mean residence time, all in s, (n, k + 1)."""
    amplitude, rate = parameters[:, ::2], parameters[:, 1::2]
    with np.errstate(divide="ignore", invalid="ignore"):
        half_lives = np.log(2) / rate
        residence = (amplitude / rate**2).sum(axis=1) / (amplitude / rate).sum(axis=1)
    return np.column_stack([half_lives, residence])


def _prepare(terms: int) -> Callable[[Protocol], Solver]:
    """The `prepare` of a model with so many exponentials."""

    def prepare(protocol: Protocol) -> Solver:
        from igdd.kernels import judge, levenberg

        bounds = np.array([(0.0, np.inf)] * (2 * terms))

        def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
            fitted = levenberg.fit_curves(
                lambda parameters: predict(parameters, protocol),
                curves,
                sd,
                _starts(curves, sd, terms, protocol),
                bounds,
            )
            order = _fastest_first(fitted.parameters)
            rows = np.arange(len(curves))[:, None]
            runs = judge.residual_runs(curves, fitted.predicted, sd)
            fit = (fitted.status & judge.NOT_FITTED) == 0
            return Solution(
                parameters=fitted.parameters[rows, order],
                covariance=fitted.covariance[rows[:, :, None], order[:, :, None], order[:, None]],
                status=fitted.status | np.where(runs & fit, judge.RESIDUAL_RUNS, 0),
                predicted=fitted.predicted,
            )

        return solve

    return prepare


def _decays(rate: np.ndarray, protocol: Protocol) -> np.ndarray:
    """exp(-rate t) over the frames, (n, t)."""
    frames = protocol.frames
    if protocol.integration != "exact":
        return np.asarray(np.exp(-rate[:, None] * frames.middle))
    lost = rate[:, None] * frames.duration
    mean = np.divide(-np.expm1(-lost), lost, out=np.ones_like(lost), where=lost > 0)
    return np.asarray(np.exp(-rate[:, None] * frames.start) * mean)


def _starts(
    curves: np.ndarray, sd: np.ndarray | None, terms: int, protocol: Protocol
) -> np.ndarray:
    """The best sets of rates of a grid for curves (n, t), as starts (n, s, 2 k)."""
    from igdd.kernels.linear import weights

    weight = weights(sd, curves.shape)
    values = np.where(np.isfinite(curves) & (weight > 0), curves, 0.0)
    frames = protocol.frames
    whole = float(frames.end[-1] - min(frames.start[0], 0.0))
    rates = np.geomspace(SLOWEST / whole, FASTEST / float(frames.duration.min()), GRID[terms])
    decays = _decays(rates, protocol)
    sets = np.array(list(combinations(range(rates.size), terms)))
    starts = np.empty((len(curves), min(BEST, len(sets)), 2 * terms))
    for row, (value, own) in enumerate(zip(values, weight, strict=True)):
        columns, target = decays * own, value * own
        products, sides = columns @ columns.T, columns @ target
        some = products[sets[:, :, None], sets[:, None, :]]
        # A ridge of 1e-9 keeps neighbours on the grid apart; these are only starts.
        some += 1e-9 * np.einsum("sii->si", some)[:, :, None] * np.eye(terms)
        amplitudes = np.linalg.solve(some, sides[sets][:, :, None])[:, :, 0]
        explained = np.einsum("sk,sk->s", amplitudes, sides[sets])
        explained[(amplitudes <= 0).any(axis=1)] -= abs(explained).max() + 1.0
        best = np.argsort(-explained)[: starts.shape[1]]
        starts[row, :, ::2] = np.maximum(amplitudes[best], 1e-6 * np.abs(value).max())
        starts[row, :, 1::2] = rates[sets[best]]
    return starts


def _fastest_first(parameters: np.ndarray) -> np.ndarray:
    """Order (n, p) that puts the pairs (A, rate) by falling rate."""
    order = np.argsort(-parameters[:, 1::2], axis=1, kind="stable")
    return np.stack([2 * order, 2 * order + 1], axis=2).reshape(parameters.shape)


def _model(name: str, terms: int, title: str) -> Model:
    numbers = range(1, terms + 1)
    parameters = [
        parameter
        for number in numbers
        for parameter in (
            Parameter(f"A{number}", "1", help="amplitude at time zero, in the curve's unit"),
            Parameter(f"rate{number}", "1/min", help="rate of clearance"),
        )
    ]
    half_lives = tuple(Parameter(f"half_life{number}", "min") for number in numbers)
    return Model(
        name,
        predict,
        parameters=tuple(parameters),
        help=f"clearance of a curve by {title}",
        derived=(*half_lives, Parameter("MRT", "min", help="mean residence time")),
        derive=derive,
        prepare=_prepare(terms),
        closed=True,
        family="clearance",
    )


MODELS = (
    _model("mono_exponential", 1, "one exponential"),
    _model("bi_exponential", 2, "two exponentials, the fast one first"),
    _model("tri_exponential", 3, "three exponentials, the fastest first"),
)
