"""Which model's decays stand for a region, and what the choice of the model leaves open.

AICc decides only where n - k - 1 >= 1 for the declared model too; else the declared model stands,
and the spread over what else would follow the measurements goes into the uncertainty:

    AICc decides       var = sum_i w_i (var_i + (D_i - D)^2), w the Akaike weights, and the mean of
                       (D_j - D)^2 over models too large to be judged that follow the data
    declared           var = var + mean_i (D_i - D)^2 over the candidates that follow the data

Burnham and Anderson, Model Selection and Multimodel Inference, 2002, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.activity_fit import FittedActivity, fit_model, model_named
from igdd.kernels.activity_models import MODELS
from igdd.kernels.time_activity import PhysicalActivity
from igdd.kernels.time_integral import Integral, log_linear, trapezoid

# A candidate follows the data when its residuals are as likely as this, sd known, or when their
# root mean square is below this share of the data's, sd unknown.
LIKELY = 0.01
NEAR = 0.1


class Chosen(NamedTuple):
    """Decays of n regions by the model that stands for each, and how it came to stand.

    integral   sd holds what the choice of the model leaves open
    model      name (n,)
    by_aicc    whether AICc decided (n,)
    spread     (n,) the part of sd that is the choice of the model
    spare      (n,) degrees of freedom of the sd; infinite where the measurements' sd are known
    predicted  (n, t)
    parameters of the model that stands, D first: (p,) of each region
    others     name -> decays (n,) of every candidate; NaN where it could not be had
    aicc       name -> (n,); NaN where n - k - 1 < 1
    status     (n,) bits of `igdd.kinetics.Status` of the model that stands
    """

    integral: Integral
    model: np.ndarray
    by_aicc: np.ndarray
    spread: np.ndarray
    spare: np.ndarray
    predicted: np.ndarray
    parameters: list[np.ndarray]
    others: dict[str, np.ndarray]
    aicc: dict[str, np.ndarray]
    status: np.ndarray


def choose(
    activity: PhysicalActivity,
    declared: str,
    candidates: Sequence[str] = tuple(MODELS),
    weigh: bool = True,
) -> Chosen:
    """Decays by the model that AICc prefers, or by the declared one where AICc may not decide."""
    times = activity.time.size
    size = model_named(declared).size
    if size > times:
        raise InputError(
            f"{times} measurements; the declared model {declared} has {size} parameters and needs "
            "as many; declare a smaller one"
        )
    names = list(dict.fromkeys((declared, *candidates)))
    judged = [name for name in names if times - model_named(name).size - 1 >= 1]
    decides = declared in judged and len(judged) > 1
    # A model with a parameter for every measurement follows anything, and is no witness.
    most = max(size, times - 1)
    tried = [name for name in names if model_named(name).size <= most]
    fits = {name: fit_model(activity, name, weigh) for name in tried}
    criteria = {name: _criterion(activity, name, fit, weigh) for name, fit in fits.items()}
    if decides:
        return _by_aicc(activity, fits, criteria, judged)
    return _by_declaration(activity, fits, criteria, declared)


def _criterion(
    activity: PhysicalActivity, name: str, fit: FittedActivity, weigh: bool
) -> np.ndarray:
    """AICc (n,); where standard deviations are known, chi2 + 2 k.

    The correction for few measurements is the price of a variance that must be estimated as well;
    with known ones it would let a straight line win over measurements that rule it out.
    """
    times, size = activity.time.size, MODELS[name].size
    estimated = judge.aicc(fit.squares, times, size)
    known = (activity.sd > 0).all(axis=1) & weigh
    return np.where(known & (times - size - 1 >= 1), fit.squares + 2.0 * size, estimated)


def _by_aicc(
    activity: PhysicalActivity,
    fits: dict[str, FittedActivity],
    criteria: dict[str, np.ndarray],
    judged: list[str],
) -> Chosen:
    table = np.array([criteria[name] for name in judged])
    # A perfect fit has a criterion of minus infinity: all the weight.
    table = np.where(np.isnan(table), np.inf, np.maximum(table, -1e300))
    best = np.argmin(table, axis=0)
    rows = np.arange(table.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        weight = np.exp(-(table - table[best, rows]) / 2)
    weight = np.nan_to_num(weight) / np.maximum(np.nan_to_num(weight).sum(axis=0), 1e-300)
    decays = np.array([fits[name].integral.decays for name in judged])
    sd = np.array([fits[name].integral.sd for name in judged])
    here = decays[best, rows]
    away = np.where(weight > 0, np.nan_to_num(decays - here), 0.0)
    square = np.sum(weight * away**2, axis=0) + _unjudged(activity, fits, judged, here)
    spread = np.sqrt(square)
    # A rival that AICc all but excludes must not make the sd unknown.
    own = np.where(np.isfinite(sd), sd, sd[best, rows])
    total = np.sqrt(np.sum(weight * own**2, axis=0) + spread**2)
    chosen = _assembled(activity, fits, criteria, np.array(judged, dtype=object)[best])
    return chosen._replace(
        integral=chosen.integral._replace(sd=total),
        spread=spread,
        by_aicc=np.isfinite(table[best, rows]),
    )


def _unjudged(
    activity: PhysicalActivity, fits: dict[str, FittedActivity], judged: list[str], here: np.ndarray
) -> np.ndarray:
    """Mean squared difference (n,) to models too large for AICc to judge that follow the data."""
    away = [
        np.where(_speaks(activity, name, fit), fit.integral.decays - here, np.nan)
        for name, fit in fits.items()
        if name not in judged
    ]
    squares = np.array(away).reshape(-1, here.size) ** 2
    count = np.maximum(np.isfinite(squares).sum(axis=0), 1)
    return np.asarray(np.nansum(squares, axis=0) / count)


def _by_declaration(
    activity: PhysicalActivity,
    fits: dict[str, FittedActivity],
    criteria: dict[str, np.ndarray],
    declared: str,
) -> Chosen:
    names = np.full(len(activity.value), declared, dtype=object)
    chosen = _assembled(activity, fits, criteria, names)
    here = chosen.integral.decays
    rivals = {
        name: np.where(_speaks(activity, name, fit), fit.integral.decays, np.nan)
        for name, fit in fits.items()
        if name != declared
    }
    rivals |= _without_fit(activity)
    away = np.array([values - here for values in rivals.values()]).reshape(-1, len(here))
    count = np.maximum(np.isfinite(away).sum(axis=0), 1)
    spread = np.sqrt(np.nansum(away**2, axis=0) / count)
    sd = chosen.integral.sd
    # With no spare point the residuals say nothing; the spread over models is then all there is.
    total = np.where(np.isfinite(sd), np.hypot(np.nan_to_num(sd), spread), spread)
    total = np.where((total > 0) & np.isfinite(here), total, np.nan)
    return chosen._replace(
        integral=chosen.integral._replace(sd=total),
        spread=spread,
        others=chosen.others | rivals,
    )


def _without_fit(activity: PhysicalActivity) -> dict[str, np.ndarray]:
    """Decays by the rules that need no fit of a curve, as further candidates."""
    if activity.time.size < 2:
        return {}
    if activity.time.size == 2:  # the line through two points is their mono-exponential
        return {"trapezoid": trapezoid(activity, "triangle", "last_two").decays}
    line = log_linear(activity)
    height = (line.decays * line.rate)[:, None]
    straight = height * np.exp(-line.rate[:, None] * activity.time)
    follows = _near(activity, straight, activity.time.size - 2)
    return {
        "log_linear": np.where(follows, line.decays, np.nan),
        "trapezoid": trapezoid(activity, "triangle", "last_two").decays,
    }


def _speaks(activity: PhysicalActivity, name: str, fit: FittedActivity) -> np.ndarray:
    """Whether a fit may speak of what the measurements leave open (n,): it follows them, and is no
    smaller model in disguise, as with a share of 0."""
    whole = (fit.status & judge.AT_BOUND) == 0
    near = _near(activity, fit.predicted, fit.spare)
    return np.asarray(near & (whole | (MODELS[name].size == 2)))


def _near(activity: PhysicalActivity, predicted: np.ndarray, spare: int) -> np.ndarray:
    """Whether a curve (n, t) with so many degrees of freedom left follows the measurements."""
    known = (activity.sd > 0).all(axis=1)
    residuals = activity.value - predicted
    scaled = np.divide(residuals, activity.sd, out=np.zeros_like(residuals), where=activity.sd > 0)
    chance = special.chdtrc(max(spare, 1), np.sum(scaled**2, axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sqrt(np.sum(residuals**2, axis=1) / np.sum(activity.value**2, axis=1))
    return np.asarray(np.where(known, chance >= LIKELY, size <= NEAR) & np.isfinite(size))


def _assembled(
    activity: PhysicalActivity,
    fits: dict[str, FittedActivity],
    criteria: dict[str, np.ndarray],
    names: np.ndarray,
) -> Chosen:
    """The fits of the models named for each region."""
    rows = np.arange(len(names))
    order = list(fits)
    pick = np.array([order.index(str(name)) for name in names])

    def of(each: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(np.stack(list(each))[pick, rows])

    all_fits = list(fits.values())
    integral = Integral(
        *(of([getattr(fit.integral, name) for fit in all_fits]) for name in Integral._fields)
    )
    known = (activity.sd > 0).all(axis=1)
    spare = of([np.full(len(names), float(fit.spare)) for fit in all_fits])
    return Chosen(
        integral=integral,
        model=names,
        by_aicc=np.zeros(len(names), dtype=bool),
        spread=np.zeros(len(names)),
        spare=np.where(known, np.inf, spare),
        predicted=of([fit.predicted for fit in all_fits]),
        parameters=[all_fits[which].parameters[row] for row, which in enumerate(pick)],
        others={name: fit.integral.decays for name, fit in fits.items()},
        aicc=criteria,
        status=of([fit.status for fit in all_fits]),
    )
