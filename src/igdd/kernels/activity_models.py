"""Models of physical activity over time, written in the number of decays that they stand for.

Each is D g(t), with D the time-integrated activity and the integral of g from 0 to infinity 1, so
that a fit gives D with its own standard error, and a boundary of the shape leaves D defined:

    mono_exponential            g = L exp(-L t)
    bi_exponential              g = w L1 exp(-L1 t) + (1 - w) L2 exp(-L2 t)
    tri_exponential             likewise with three
    uptake_clearance            g = L U (exp(-L t) - exp(-U t)) / (U - L)
    uptake_two_phase_clearance  g = w g(L1, U) + (1 - w) g(L2, U)

L = l + b with l the decay constant and b >= 0 the biological rate: no effective rate falls below
the physical one. The rate of uptake is written 1/U, from 0 (at once: the mono-exponential) to 1/l;
as the model is the same with L and U exchanged, uptake may be the slower of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

# Starts that are followed from the grid of each model.
BEST = 4
# Share below which a term of a sum is not there.
ABSENT = 1e-9


@dataclass(frozen=True, kw_only=True)
class ActivityModel:
    """A model of activity.

    names    kinds of its parameters after D: rate (b, or what a further rate is faster by), share,
             time (1/U)
    shape    (parameters after D (n, p - 1), times (t,), decay constant) -> g (n, t)
    tail     (parameters after D, a time, decay constant) -> share (n,) of the decays after it
    slowest  (parameters after D, decay constant) -> rate (n,) at which activity falls in the end
    """

    name: str
    names: tuple[str, ...]
    shape: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    tail: Callable[[np.ndarray, float, float], np.ndarray]
    slowest: Callable[[np.ndarray, float], np.ndarray]

    @property
    def size(self) -> int:
        """Number of parameters, D among them."""
        return len(self.names) + 1

    def predict(self, parameters: np.ndarray, time: np.ndarray, rate: float) -> np.ndarray:
        """Activity (n, t) of parameters (n, p)."""
        return np.asarray(parameters[:, :1] * self.shape(parameters[:, 1:], time, rate))

    def bounds(self, rate: float) -> np.ndarray:
        """Bounds (p, 2)."""
        kinds = {"rate": (0.0, np.inf), "time": (0.0, 1 / rate), "share": (0.0, 1.0)}
        return np.array([(-np.inf, np.inf), *(kinds[name] for name in self.names)])


def _falling(rate: np.ndarray, time: np.ndarray) -> np.ndarray:
    """L exp(-L t), (n, t)."""
    return np.asarray(rate[:, None] * np.exp(-rate[:, None] * time))


def _risen(rate: np.ndarray, delay: np.ndarray, time: np.ndarray) -> np.ndarray:
    """L U (exp(-L t) - exp(-U t)) / (U - L) with U = 1 / delay, also at U = L and U infinite."""
    slow = np.where(delay > 0, np.minimum(rate, 1 / np.where(delay > 0, delay, 1.0)), rate)
    quick = np.where(delay * rate > 1, rate, 1 / np.where(delay > 0, delay, np.inf))
    instant = (delay <= 0)[:, None]
    quick = np.where(delay > 0, quick, 0.0)[:, None]
    slow = slow[:, None]
    apart = np.maximum(quick - slow, 0.0) * time
    filled = np.where(apart > 0, -np.expm1(-apart) / np.where(apart > 0, apart, 1.0), 1.0)
    gentle = slow * quick * time * np.exp(-slow * time) * filled
    return np.asarray(np.where(instant, slow * np.exp(-slow * time), gentle))


def _tail_falling(rate: np.ndarray, time: float) -> np.ndarray:
    return np.asarray(np.exp(-rate * time))


def _tail_risen(rate: np.ndarray, delay: np.ndarray, time: float) -> np.ndarray:
    """Share of the decays after a time: (U exp(-L t) - L exp(-U t)) / (U - L)."""
    slow = np.where(delay > 0, np.minimum(rate, 1 / np.where(delay > 0, delay, 1.0)), rate)
    quick = np.where(delay * rate > 1, rate, 1 / np.where(delay > 0, delay, np.inf))
    quick = np.where(delay > 0, quick, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (quick - slow) * time
        filled = np.where(apart > 0, -np.expm1(-apart) / apart, 1.0)
        later = np.exp(-slow * time) * (1 + slow * time * filled)
    return np.asarray(np.where(np.isfinite(quick), later, np.exp(-slow * time)))


def _shares(values: np.ndarray) -> list[np.ndarray]:
    """Shares of the terms, each of what those before it left."""
    left, found = np.ones(len(values)), []
    for column in values.T:
        found.append(left * column)
        left = left - found[-1]
    return [*found, left]


def _sum(terms: int) -> ActivityModel:
    """Sum of exponentials with shares in 0 to 1; the first rate is the slowest."""
    names = ("rate",) * terms + ("share",) * (terms - 1)

    def rates(values: np.ndarray, rate: float) -> np.ndarray:
        return np.asarray(rate + np.cumsum(values[:, :terms], axis=1))

    def shape(values: np.ndarray, time: np.ndarray, rate: float) -> np.ndarray:
        parts = zip(_shares(values[:, terms:]), rates(values, rate).T, strict=True)
        return np.asarray(sum(share[:, None] * _falling(each, time) for share, each in parts))

    def tail(values: np.ndarray, time: float, rate: float) -> np.ndarray:
        parts = zip(_shares(values[:, terms:]), rates(values, rate).T, strict=True)
        return np.asarray(sum(share * _tail_falling(each, time) for share, each in parts))

    title = {1: "mono", 2: "bi", 3: "tri"}[terms]
    return ActivityModel(
        name=f"{title}_exponential", names=names, shape=shape, tail=tail,
        slowest=lambda values, rate: _last_to_go(_shares(values[:, terms:]), rates(values, rate)),
    )  # fmt: skip


def _last_to_go(shares: list[np.ndarray], rates: np.ndarray) -> np.ndarray:
    """The slowest rate (n,) among terms that hold anything; rates (n, k) ascend."""
    holds = np.stack(shares, axis=1) > ABSENT
    return np.asarray(np.take_along_axis(rates, np.argmax(holds, axis=1)[:, None], axis=1)[:, 0])


def _uptake(terms: int) -> ActivityModel:
    """Uptake at one rate and clearance by one or two; the first clearance is the slower."""
    names = ("rate",) * terms + ("share",) * (terms - 1) + ("time",)

    def parts(values: np.ndarray, rate: float) -> list[tuple[np.ndarray, np.ndarray]]:
        rates = rate + np.cumsum(values[:, :terms], axis=1)
        return list(zip(_shares(values[:, terms:-1]), rates.T, strict=True))

    def shape(values: np.ndarray, time: np.ndarray, rate: float) -> np.ndarray:
        delay = values[:, -1]
        each = (share[:, None] * _risen(one, delay, time) for share, one in parts(values, rate))
        return np.asarray(sum(each))

    def tail(values: np.ndarray, time: float, rate: float) -> np.ndarray:
        delay = values[:, -1]
        each = (share * _tail_risen(one, delay, time) for share, one in parts(values, rate))
        return np.asarray(sum(each))

    def slowest(values: np.ndarray, rate: float) -> np.ndarray:
        shares, rates = zip(*parts(values, rate), strict=True)
        clearance, delay = _last_to_go(list(shares), np.stack(rates, axis=1)), values[:, -1]
        slow = 1 / np.where(delay > 0, delay, 1.0)
        return np.asarray(np.where(delay > 0, np.minimum(clearance, slow), clearance))

    name = "uptake_clearance" if terms == 1 else "uptake_two_phase_clearance"
    return ActivityModel(name=name, names=names, shape=shape, tail=tail, slowest=slowest)


MODELS: dict[str, ActivityModel] = {
    model.name: model for model in (_sum(1), _sum(2), _sum(3), _uptake(1), _uptake(2))
}


def starts(
    model: ActivityModel, time: np.ndarray, values: np.ndarray, weight: np.ndarray, rate: float
) -> np.ndarray:
    """Best points (n, s, p) of a grid of shapes, with the D that fits each, for curves (n, t)."""
    shapes = _grid(model, time, rate)
    curves = model.shape(shapes, time, rate)
    filled = np.where(weight > 0, values, 0.0) * weight
    # D by linear regression on each shape, and what it explains of the curve
    cross = (filled * weight) @ curves.T
    square = weight**2 @ (curves**2).T
    decays = np.divide(cross, square, out=np.zeros_like(cross), where=square > 0)
    explained = np.where(decays > 0, decays * cross, -np.inf)
    best = np.argsort(-explained, axis=1, kind="stable")[:, :BEST]
    picked = np.take_along_axis(decays, best, axis=1)
    scale = np.abs(filled).max(axis=1, keepdims=True) + np.finfo(float).tiny
    picked = np.where(picked > 0, picked, scale / rate)
    return np.concatenate([picked[..., None], shapes[best]], axis=2)


def _grid(model: ActivityModel, time: np.ndarray, rate: float) -> np.ndarray:
    """Shapes (g, p - 1) among which a fit begins."""
    last = float(time[-1])
    first = float(time[time > 0][0]) if (time > 0).any() else 1 / rate
    rates = np.unique([0.0, *np.geomspace(0.03 / max(last, 0.1 / rate), 3.0 / first, 12)])
    delays = np.geomspace(min(first, 1 / rate) / 10, 1 / rate, 8)
    terms = model.names.count("rate")
    found = []
    for chosen in combinations(rates, terms):
        steps = (chosen[0], *np.diff(chosen))
        for shares in product((0.2, 0.5, 0.8), repeat=terms - 1):
            ends = delays if "time" in model.names else (None,)
            found += [(*steps, *shares, *(() if end is None else (end,))) for end in ends]
    return np.array(found)
