"""What stands between a blood sample and the input: metabolites, plasma to blood, dispersion.

Times are in s since the injection.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, special

from igdd.errors import InputError

MOST_STEPS = 300
# Of more samples than these, the best of the starting points is found on evenly taken ones.
MOST_SEARCHED = 500
Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShareFit:
    """A share or ratio as a function of time in s, with the parameters that were fitted."""

    model: str
    function: Function
    parameters: Mapping[str, float] = field(default_factory=dict)
    residual: float = float("nan")


@dataclass(frozen=True)
class _Shape:
    """function(time, parameters); starts, bounds and whether a parameter is searched as its log."""

    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    starts: tuple[tuple[float, ...], ...]
    logs: tuple[bool, ...]


def hill(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Parent fraction 1 - loss t^power / (half^power + t^power); half in s.

    >>> hill(np.array([0.0, 600.0]), np.array([0.8, 2.0, 600.0]))
    array([1. , 0.6])
    """
    loss, power, half = shape
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1 - loss / (1 + (half / np.maximum(time, 0.0)) ** power))


def power(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Parent fraction (1 + (rate t)^inner)^-outer; rate in 1/s."""
    rate, inner, outer = shape
    return np.asarray((1 + (rate * np.maximum(time, 0.0)) ** inner) ** -outer)


def exponential(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Parent fraction share exp(-rate1 t) + (1 - share) exp(-rate2 t); rates in 1/s."""
    share, first, second = shape
    since = np.maximum(time, 0.0)
    return np.asarray(share * np.exp(-first * since) + (1 - share) * np.exp(-second * since))


def inverse_gamma(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Parent fraction 1 - loss F(t), F the inverse gamma distribution; its scale in s."""
    loss, order, scale = shape
    with np.errstate(divide="ignore"):
        return np.asarray(1 - loss * special.gammaincc(order, scale / np.maximum(time, 0.0)))


# Half-lives and rates are searched from seconds to days.
_SLOW, _FAST = 1e-7, 1.0
_PARENT = {
    "hill": _Shape(
        hill, ("loss", "power", "half"), (0, 0.3, 1), (1, 10, 1e7),
        tuple(itertools.product((0.9,), (1.0, 2.5), (300, 1200, 5000))), (False, True, True),
    ),
    "power": _Shape(
        power, ("rate", "inner", "outer"), (_SLOW, 0.3, 0.01), (_FAST, 10, 20),
        tuple(itertools.product((3e-4, 3e-3), (1.0, 2.0), (0.3, 1.5))), (True, True, True),
    ),
    "exponential": _Shape(
        exponential, ("share", "rate1", "rate2"), (0, _SLOW, 0), (1, _FAST, _FAST),
        tuple(itertools.product((0.3, 0.8), (1e-2, 1e-3), (3e-4, 1e-5))), (False, True, False),
    ),
    "inverse_gamma": _Shape(
        inverse_gamma, ("loss", "order", "scale"), (0, 0.05, 1), (1, 20, 1e6),
        tuple(itertools.product((0.9,), (0.5, 2.0), (300, 1200, 5000))), (False, True, True),
    ),
}  # fmt: skip
PARENT_MODELS = ("interpolate", *_PARENT)
RATIO_MODELS = ("interpolate", "constant", "linear", "exponential")


def parent_fraction(model: str, time: np.ndarray, values: np.ndarray) -> ShareFit:
    """Share of plasma activity that is the unchanged tracer, from samples since the injection.

    At the injection it is 1, whatever a table holds there: nothing has been metabolised yet.
    "interpolate" joins the samples by straight lines and keeps the last one's share after it.
    """
    if model not in PARENT_MODELS:
        raise InputError(
            f"parent fraction {model!r} is unknown; expected one of {', '.join(PARENT_MODELS)}"
        )
    later = time > 0
    if not later.any():
        raise InputError("the parent fraction has no sample after the injection; expected one")
    time, values = time[later], values[later]
    if model in _PARENT:
        return _fit(model, _PARENT[model], time, values)
    places, shares = np.append(0.0, time), np.append(1.0, values)
    return ShareFit(model=model, function=lambda at: np.interp(at, places, shares))


def plasma_to_blood(model: str, time: np.ndarray, ratio: np.ndarray) -> ShareFit:
    """Ratio of plasma to whole blood over time in s, from samples in which both were measured.

    interpolate  straight lines, the first and last ratio kept beyond them
    constant     their mean; "linear": a straight line; "exponential": final + change exp(-rate t)
    """
    if model not in RATIO_MODELS:
        raise InputError(
            f"plasma to blood {model!r} is unknown; expected a number or one of "
            f"{', '.join(RATIO_MODELS)}"
        )
    if not time.size:
        raise InputError("no sample holds both plasma and whole blood; give their ratio")
    if model == "interpolate":
        return ShareFit(model=model, function=lambda at: np.interp(at, time, ratio))
    if model == "exponential":
        spread = float(np.ptp(ratio)) + float(np.abs(ratio).max())
        shape = _Shape(
            lambda at, p: np.asarray(p[0] + p[1] * np.exp(-p[2] * np.maximum(at, 0.0))),
            ("final", "change", "rate"),
            (0, -10 * spread, _SLOW), (10 * spread, 10 * spread, _FAST),
            tuple((ratio[-1], ratio[0] - ratio[-1], rate) for rate in (1e-2, 1e-3, 1e-4)),
            (False, False, True),
        )  # fmt: skip
        return _fit(model, shape, time, ratio)
    order = 0 if model == "constant" else 1
    if time.size <= order:
        raise InputError(f"a linear ratio needs 2 samples; found {time.size}")
    line = np.polynomial.Polynomial.fit(time, ratio, order)
    names = ("mean",) if order == 0 else ("intercept", "slope")
    return ShareFit(
        model=model,
        function=lambda at: np.asarray(line(np.asarray(at, float))),
        parameters=dict(zip(names, map(float, line.convert().coef), strict=False)),
        residual=float(np.sqrt(np.mean((line(time) - ratio) ** 2))),
    )


def _fit(model: str, shape: _Shape, time: np.ndarray, values: np.ndarray) -> ShareFit:
    if time.size < len(shape.names):
        raise InputError(
            f"{model} has {len(shape.names)} parameters but there are {time.size} samples; "
            "expected at least as many, or 'interpolate'"
        )
    logs = np.array(shape.logs)

    def natural(point: np.ndarray) -> np.ndarray:
        return np.where(logs, np.exp(np.where(logs, point, 0.0)), point)

    def inner(point: tuple[float, ...]) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(logs, np.log(point), point)

    bounds = inner(shape.low), inner(shape.high)

    def descended(point: np.ndarray, every: int) -> optimize.OptimizeResult:
        known, wanted = time[::every], values[::every]

        def misfit(at: np.ndarray) -> np.ndarray:
            return np.asarray(shape.function(known, natural(at)) - wanted)

        return optimize.least_squares(
            misfit,
            np.clip(point, *bounds),
            bounds=bounds,
            x_scale="jac",
            max_nfev=MOST_STEPS,
        )

    every = -(-time.size // MOST_SEARCHED)
    found = [descended(inner(start), every) for start in shape.starts]
    best = min(found, key=lambda one: float(one.cost))
    if every > 1:
        best = descended(best.x, 1)
    parameters = natural(best.x)
    return ShareFit(
        model=model,
        function=lambda at: shape.function(np.asarray(at, float), parameters),
        parameters=dict(zip(shape.names, map(float, parameters), strict=True)),
        residual=float(np.sqrt(2 * best.cost / time.size)),
    )


def disperse(time: np.ndarray, values: np.ndarray, constant: float) -> np.ndarray:
    """A curve at its knots after a tube that smears it by exp(-t / constant) / constant [s].

    Exact for straight lines between the knots; zero before the first.
    """
    _check_constant(constant)
    steps = np.diff(time) / constant
    kept = np.exp(-steps)
    mean = -np.expm1(-steps) / steps
    result = np.zeros(time.size)
    for i in range(1, time.size):
        old, new = mean[i - 1] - kept[i - 1], 1 - mean[i - 1]
        result[i] = kept[i - 1] * result[i - 1] + old * values[i - 1] + new * values[i]
    return result


def correct_dispersion(time: np.ndarray, values: np.ndarray, constant: float) -> np.ndarray:
    """What entered the tube whose other end was measured: C + constant dC/dt [s].

    The inverse of `disperse`, with central differences for the slope: it amplifies the noise of
    single samples by about sqrt(1 + constant^2 / (2 step^2)), not that of the area.
    """
    _check_constant(constant)
    if time.size < 3:
        raise InputError(f"dispersion needs 3 samples or more; found {time.size}")
    return np.asarray(values + constant * np.gradient(values, time))


def _check_constant(constant: float) -> None:
    if not 0 < constant < np.inf:
        raise InputError(f"dispersion constant is {constant:g} s; expected more than 0")
