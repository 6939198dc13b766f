"""The next dose of an individual: the one with the least expected loss over its posterior.

    AUC      of one dose to infinity, which is that of an interval at steady state: F / CL per dose
    Cmax     highest concentration, Ctrough: the one just before the next dose (needs the interval)

after a single dose, or with an interval at steady state; kinetics are linear, so that an exposure
is in proportion to the dose, and what earlier doses left is not in it. With the exposure E and a
window from low to high, the loss is

    outside        1 where E lies outside the window: its mean is the probability to miss it
    squared_log    (ln E - ln middle)^2, middle = sqrt(low high)
    absolute_log   |ln E - ln middle|

No dose is given where the posterior standard deviation of ln E is above 0.8 of the prior one: the
samples have then said too little of what is decided on. Sheiner and Beal, J Pharm Sci 1982;71:1344.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.kernels import individual as kernel
from igdd.kernels.disposition import disposition
from igdd.kernels.dose_response import Absorption, Schedule, central
from igdd.kernels.heterogeneity import quantiles
from igdd.stages.amounts import quotient
from igdd.stages.map_estimate import Known
from igdd.stages.population import Population

EXPOSURES = ("AUC", "Cmax", "Ctrough")
LOSSES = ("outside", "squared_log", "absolute_log")
NEAR_PRIOR = 0.8
DRAWS = 4096
# Draws that must count in the end for quantiles of 2.5 and 97.5 % to mean anything.
LEAST = 200
# Times at which a highest concentration is looked for after first-order input, and widest range.
MOMENTS = 240
BLOCK = 250

_TARGET = re.compile(
    r"(?P<what>[A-Za-z]+)\s+(?P<low>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"(?:\s*\.\.\s*(?P<high>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))?\s*(?P<unit>[^\s0-9.].*)"
)


class Wish(NamedTuple):
    """What the next dose shall give, in the table's units.

    interval  between doses at steady state, 0: a single dose; infusion: its duration, 0: at once
    doses     least and largest dose, in the table's unit of dose
    """

    what: str
    low: float
    high: float
    unit: str
    loss: str
    interval: float
    infusion: float
    doses: tuple[float, float]


def read_wish(
    prior: Population,
    target: str,
    loss: str,
    *,
    interval: str | None = None,
    infusion: str | None = None,
    doses: tuple[str, str] | None = None,
) -> Wish:
    """A wish from the words of a call: "AUC 400..600 mg.h/L", "Cmax 20..30 mg/L", "AUC 500 ..."."""
    match = _TARGET.fullmatch(target.strip())
    if match is None or match["what"] not in EXPOSURES:
        raise InputError(
            f"target {target[:60]!r}; expected {', '.join(EXPOSURES)} with a window and a unit, "
            "such as 'AUC 400..600 mg.h/L'"
        )
    if loss not in LOSSES:
        raise InputError(f"loss {loss[:40]!r}; expected one of {', '.join(LOSSES)}")
    unit = _unit(prior, match["what"])
    low, high = (
        units.read(f"{match[side] or match['low']} {match['unit']}", unit)
        for side in ("low", "high")
    )
    if not 0 < low <= high:
        raise InputError(f"target {target!r}; expected a window above zero, the lower end first")
    if loss == "outside" and low == high:
        raise InputError(f"target {target!r} is a point, which every dose misses; expected a "
                         "window, or the loss squared_log or absolute_log")  # fmt: skip
    tau = 0.0 if interval is None else units.read(interval, prior.time)
    length = 0.0 if infusion is None else units.read(infusion, prior.time)
    if (interval is not None and not tau > 0) or (infusion is not None and not length > 0):
        raise InputError("interval and infusion; expected times above zero")
    if match["what"] == "Ctrough" and interval is None:
        raise InputError("target Ctrough needs the interval between doses, such as '12 h'")
    if prior.depot and length:
        raise InputError("infusion: the population takes the drug by first-order input")
    most = (0.0, np.inf) if doses is None else _range(prior, doses)
    return Wish(match["what"], low, high, units.parse(match["unit"]).ucum, loss, tau, length, most)


def _range(prior: Population, doses: tuple[str, str]) -> tuple[float, float]:
    try:
        low, high = (units.read(one, prior.dose) for one in doses)
    except UnitsError as error:
        raise UnitsError(f"doses: {error}") from error
    if not 0 < low < high:
        raise InputError(f"doses {doses[0]!r} to {doses[1]!r}; expected two above zero, ascending")
    return low, high


def choose(prior: Population, known: Known, wish: Wish, seed: int = 0) -> dict[str, Any]:
    """The dose of an individual with its exposure's interval, or why there is none."""
    drawn = kernel.draws(known.subject, prior.omega, known.posterior, DRAWS, seed)
    population = kernel.population_draws(prior.omega, DRAWS, seed)
    # An omega beyond measure, or a normal parameter below 0, has no exposure: no dose either.
    with np.errstate(all="ignore"):
        posterior = np.log(per_dose(prior, known.typical, drawn.eta, wish))
        before = np.log(per_dose(prior, known.typical, population, wish))
        spread, width = _deviation(posterior, drawn.weights), float(before.std())
    ratio = spread / width if width > 0 else float("nan")
    found: dict[str, Any] = {
        "target": f"{wish.what} {wish.low:g}..{wish.high:g}",
        "loss": wish.loss,
        "posterior_over_prior": ratio,
    }
    if not np.isfinite(ratio):
        reason = f"{wish.what} has no value for all that the population may be"
    elif not ratio <= NEAR_PRIOR:
        reason = (
            f"the samples leave {wish.what} as open as the population does: posterior over prior "
            f"standard deviation {ratio:.2f}, above {NEAR_PRIOR}"
        )
    elif drawn.effective < LEAST:
        reason = f"only {drawn.effective:.0f} of {DRAWS} draws count: the posterior is not known"
    else:
        return found | _advised(prior, wish, posterior, drawn.weights)
    return found | {"value": None, "refused": reason, "sentence": f"no dose: {reason}"}


def per_dose(prior: Population, typical: np.ndarray, eta: np.ndarray, wish: Wish) -> np.ndarray:
    """Exposure (m,) of etas (m, q) per unit of the table's dose."""
    parameters = prior.individual(typical, eta)
    size = parameters.shape[1] - (3 if prior.depot else 0)
    absorption = parameters[:, size:]
    if wish.what == "AUC":
        fraction = absorption[:, 2] if prior.depot else 1.0
        return np.asarray(prior.amount_factor * fraction / parameters[:, 0])
    found = []
    for first in range(0, len(eta), BLOCK):
        rows = slice(first, first + BLOCK)
        found.append(_concentration(prior, parameters[rows, :size], absorption[rows], wish))
    return prior.amount_factor * np.concatenate(found)


def _concentration(
    prior: Population, parameters: np.ndarray, absorption: np.ndarray, wish: Wish
) -> np.ndarray:
    """Cmax or Ctrough (m,) of a unit amount."""
    uptake = Absorption(*absorption.T) if prior.depot else None
    own = disposition(parameters)
    if wish.what == "Ctrough":
        times = np.array([wish.interval])
    elif not prior.depot:
        times = np.array([wish.infusion])
    else:
        # The peak lies before the last of the rates has worn off, or within the interval.
        slowest = 5.0 / min(float(own.rates.min()), float(absorption[:, 0].min()))
        last = wish.interval if wish.interval > 0 else slowest + float(absorption[:, 1].max())
        times = np.concatenate([np.geomspace(1e-3 * last, last, MOMENTS), absorption[:1, 1]])
    schedule = Schedule(
        elapsed=np.sort(times)[None],
        amount=np.ones(1),
        duration=np.full(1, wish.infusion),
        depot=np.full(1, prior.depot),
        interval=np.full(1, wish.interval),
        rate=np.zeros(1),
    )
    return np.asarray(central(own, schedule, uptake).max(axis=1))


def _deviation(values: np.ndarray, weights: np.ndarray) -> float:
    middle = float(weights @ values)
    return float(np.sqrt(weights @ (values - middle) ** 2))


def _advised(
    prior: Population, wish: Wish, logarithm: np.ndarray, weights: np.ndarray
) -> dict[str, Any]:
    """The dose, what it is expected to give, and how likely that is inside the window."""
    free = _best(wish, logarithm, weights)
    dose = float(np.clip(free, *wish.doses))
    ends = quantiles(dose * np.exp(logarithm), weights, np.array([0.025, 0.5, 0.975]))
    exposure = dose * np.exp(logarithm)
    inside = float(weights @ ((exposure >= wish.low) & (exposure <= wish.high)))
    scale = units.factor(_unit(prior, wish.what), wish.unit)
    low, middle, high = (float(one) * scale for one in ends)
    sentence = (
        f"dose {dose:.4g} {prior.dose}: {wish.what} {middle:.4g} [{low:.4g}, {high:.4g}] "
        f"{wish.unit}, inside the window with probability {inside:.2f}"
    )
    return {
        "value": dose,
        "unit": prior.dose,
        "at_bound": dose != free,
        "expected_loss": _expected(wish, np.log(dose), logarithm, weights),
        "probability_inside": inside,
        "exposure": {"median": middle, "low": low, "high": high, "unit": wish.unit},
        "sentence": sentence,
    }


def _unit(prior: Population, what: str) -> str:
    """Unit of an exposure as the table's units make it."""
    if what != "AUC":
        return prior.concentration
    amount, space = quotient(prior.concentration)
    return (
        f"{amount}.{prior.time}/{space}"
        if space.isalpha()
        else (f"{amount}.{prior.time}/({space})")
    )


def _expected(wish: Wish, dose: float, logarithm: np.ndarray, weights: np.ndarray) -> float:
    """Expected loss of a dose (its logarithm) over the draws."""
    exposure = dose + logarithm
    if wish.loss == "outside":
        missed = (exposure < np.log(wish.low)) | (exposure > np.log(wish.high))
        return float(weights @ missed)
    away = exposure - (np.log(wish.low) + np.log(wish.high)) / 2
    return float(weights @ (away**2 if wish.loss == "squared_log" else np.abs(away)))


def _best(wish: Wish, logarithm: np.ndarray, weights: np.ndarray) -> float:
    """The dose with the least expected loss, before any bounds.

    The probability of a window is a staircase over the draws, whose highest step is chance: it is
    smoothed by Scott's kernel, which widens the posterior by 2 % at most.
    """
    middle = (np.log(wish.low) + np.log(wish.high)) / 2
    if wish.loss == "squared_log":
        return float(np.exp(middle - weights @ logarithm))
    if wish.loss == "absolute_log":
        return float(np.exp(middle - quantiles(logarithm, weights, np.array([0.5]))[0]))
    effective = 1 / float(np.sum(weights**2))
    width = max(_deviation(logarithm, weights) * effective**-0.2, 1e-9)

    def missed(dose: float) -> float:
        low, high = ((np.log(end) - dose - logarithm) / width for end in (wish.low, wish.high))
        return 1 - float(weights @ (special.ndtr(high) - special.ndtr(low)))

    reach = 3 * _deviation(logarithm, weights) + np.log(wish.high / wish.low) + 3 * width
    centre = middle - float(weights @ logarithm)
    grid = np.linspace(centre - reach, centre + reach, 121)
    best = int(np.argmin([missed(float(one)) for one in grid]))
    span = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    found = optimize.minimize_scalar(missed, bounds=span, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
