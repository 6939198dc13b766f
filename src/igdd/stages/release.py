"""Release in vitro from a table: which law it follows, how fast, and how alike two products are.

Models are fitted to each formulation's mean profile and ranked by AICc among those that were fitted
to the same samples; formulations are compared with a reference by f1, f2 and its bootstrap limits
over vessels. A wrong table is an error; what a profile cannot say is NaN and a flag
(docs/release.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, units
from igdd.declare import Model, Parameter
from igdd.errors import FitError, InputError, UnitsError
from igdd.io.release_table import Samples, read
from igdd.kernels import judge
from igdd.kernels import release_profiles as kernel
from igdd.kinetics import Fit, Protocol
from igdd.stages.protocol import si_factor
from igdd.stages.release_comparison import compare
from igdd.stages.release_profiles import Profile, profiles
from igdd.types import Curves, Frames, Zero

# Models see the table's unit of time as their hour, so that no number is converted twice.
HOUR = 3600.0
WEIGHTS = ("equal", "sd")
# Units whose power of time depends on an exponent, by (model, parameter).
POWERS = {
    ("higuchi", "kH"): "%/{}^0.5",
    ("korsmeyer_peppas", "kKP"): "%/{}^n",
    ("peppas_sahlin", "k1"): "%/{}^m",
    ("peppas_sahlin", "k2"): "%/{}^2m",
}
# Sum of squares below which a fit is exact: twelve digits of the largest value.
EXACT = 1e-12


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How a call fits: models, what is free or held, weights, the options of the models."""

    models: tuple[Model, ...]
    free: tuple[str, ...]
    hold: Mapping[str, str | float]
    weights: str
    up_to: float


def release(
    table: Path | str,
    *,
    models: Sequence[str] | None = None,
    reference: str | None = None,
    time_unit: str | None = None,
    released_unit: str | None = None,
    free: Sequence[str] = (),
    hold: Mapping[str, str | float] | None = None,
    weights: str = "equal",
    up_to: float = 60.0,
    rule: str = "either",
    seed: int = 0,
) -> dict[str, Any]:
    """Fitted release laws of every formulation of a table, best first, and f1, f2 against one.

    table      columns formulation, time, released, optional vessel and sd
    models     names of release models; None: all of them
    reference  the formulation that the others are compared with; None: no comparison
    free       parameters that the models hold: Tlag (at 0), Fmax (at 100 %), n, m
    hold       parameter -> text with a unit, or a number in the table's unit of time; it holds in
               the models that have such a parameter
    weights    "equal", or "sd": each time by its standard deviation
    up_to      % to which Korsmeyer-Peppas is fitted
    rule       times that count in f2: "either" (ICH M9), "both" (FDA 1997) or "all"
    """
    _check_choice("weights", weights, WEIGHTS)
    _check_choice("rule", rule, kernel.RULES)
    if not 0 < up_to <= 200:
        raise InputError(f"up_to is {up_to:g} %; expected a release above 0 %, such as 60")
    plan = _Plan(
        models=chosen(models, free, hold or {}),
        free=tuple(free),
        hold=hold or {},
        weights=weights,
        up_to=up_to,
    )
    samples = read(Path(table), time_unit, released_unit)
    found = profiles(samples)
    if reference is not None and reference not in (one.name for one in found):
        raise InputError(
            f"{samples.source}: has no formulation {reference!r}; expected one of "
            f"{', '.join(one.name for one in found)}"
        )
    ranked = _ranked(found, samples.time_unit, plan)
    return {
        "time_unit": samples.time_unit,
        "unit": "%",
        "formulations": [
            _formulation(one, samples, rows) for one, rows in zip(found, ranked, strict=True)
        ],
        "comparisons": compare(found, reference, rule=rule, seed=seed),
    }


def _check_choice(name: str, found: str, known: Sequence[str]) -> None:
    if found not in known:
        raise InputError(f"{name} is {found!r}; expected one of {', '.join(known)}")


def chosen(
    names: Sequence[str] | None, free: Sequence[str], hold: Mapping[str, Any]
) -> tuple[Model, ...]:
    """The release models of a call; a name that none of them has as a parameter is refused."""
    known = {
        name: one for name, one in catalog.declarations("models").items() if one.family == "release"
    }
    for name in names or ():
        if name not in known:
            raise InputError(f"{name!r} is no release model; expected one of {', '.join(known)}")
    chosen = tuple(known[name] for name in names) if names else tuple(known.values())
    parameters = {one.name for model in chosen for one in model.parameters}
    for name in (*free, *hold):
        if name not in parameters:
            raise InputError(
                f"no model has a parameter {name!r}; expected {', '.join(sorted(parameters))}"
            )
    return chosen


def _formulation(
    profile: Profile, samples: Samples, ranked: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a profile says by itself, and the models fitted to it."""
    unit, time, mean = samples.time_unit, profile.time, profile.mean
    numbers = {
        "T50": (kernel.time_to(time, mean, 50.0), unit),
        "T80": (kernel.time_to(time, mean, 80.0), unit),
        "MDT": (kernel.mean_dissolution_time(time, mean), unit),
        "dissolution_efficiency": (kernel.dissolution_efficiency(time, mean), "%"),
        "released_last": (float(mean[-1]), "%"),
    }
    return {
        "formulation": profile.name,
        "vessels": len(profile.vessels),
        "profile": [
            {"time": float(at), "released": float(value), "sd": float(spread)}
            for at, value, spread in zip(time, mean, profile.sd, strict=True)
        ],
        **{name: {"value": value, "unit": of} for name, (value, of) in numbers.items()},
        "flags": list(profile.flags),
        "best": next((one["model"] for one in ranked if one["weight"] is not None), None),
        "models": ranked,
    }


def _ranked(found: Sequence[Profile], unit: str, plan: _Plan) -> list[list[dict[str, Any]]]:
    """The fitted models of every profile, best AICc first, those without one last.

    Profiles of the same times are fitted together.
    """
    rows: list[list[dict[str, Any]]] = [[] for _ in found]
    alike: dict[tuple[float, ...], list[int]] = {}
    for place, profile in enumerate(found):
        if (profile.mean[profile.time > 0] > 0).any():
            alike.setdefault(tuple(profile.time[profile.time > 0]), []).append(place)
    for places in alike.values():
        some = [found[place] for place in places]
        for model in plan.models:
            fit = _fitted(model, some, plan, unit)
            if fit is None:
                continue
            for row, place in enumerate(places):
                rows[place].append(_row(model, fit, row, found[place], unit))
    return [_in_order(mine) for mine in rows]


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Models of one profile with their weights among those of the same samples."""
    most = max((row["samples"] for row in rows), default=0)
    for row in rows:
        if row["samples"] < most:
            row["flags"] = sorted({*row["flags"], "other_samples"})
    _weigh([row for row in rows if row["samples"] == most and np.isfinite(row["aicc"])])
    return sorted(rows, key=lambda row: (row["difference"] is None, row["difference"] or 0.0))


def _weigh(rows: list[dict[str, Any]]) -> None:
    """Akaike weights of models of the same samples: the probability of being the nearest."""
    if not rows:
        return
    best = min(row["aicc"] for row in rows)
    shares = np.array([np.exp(-(row["aicc"] - best) / 2) for row in rows])
    for row, share in zip(rows, shares / shares.sum(), strict=True):
        row["difference"], row["weight"] = row["aicc"] - best, float(share)


def _fitted(model: Model, found: Sequence[Profile], plan: _Plan, unit: str) -> Fit | None:
    """A model fitted to mean profiles of the same times; None where they have too few samples."""
    from igdd.stages.fit import fit

    time = found[0].time[found[0].time > 0] * HOUR
    # A sample is an instant: the width of its frame does not enter, but must be above zero.
    width = 1e-6 * float(time[0])
    count = len(found)
    curves = Curves(
        values=np.stack([one.mean[one.time > 0] for one in found]),
        covariance=np.full((time.size, count, count), np.nan),
        volume=np.ones(count),
        volume_sd=np.zeros(count),
        names=tuple(one.name for one in found),
        kinds=("reference",) * count,
        frames=Frames(
            start=time - width / 2,
            duration=np.full(time.size, width),
            zero=Zero(kind="administration"),
        ),
        quantity="released",
        unit="%",
        analyte="drug",
    )
    own = {one.name: one for one in model.parameters}
    loose = {one.name for one in model.parameters if one.held is not None}
    options: dict[str, Any] = (
        {"up_to": plan.up_to} if any(one.name == "up_to" for one in model.options) else {}
    )
    try:
        return fit(
            model,
            curves,
            hold={
                name: _held(own[name], value, unit)
                for name, value in plan.hold.items()
                if name in own
            },
            free=[name for name in plan.free if name in loose],
            sd=_deviations(found, plan.weights),
            integration="instant",
            **options,
        )
    except FitError:
        return None


def _held(parameter: Parameter, value: str | float, unit: str) -> float:
    """A value to hold, as a number with the table's unit of time in place of the model's hour."""
    if not isinstance(value, str):
        return value
    try:
        return units.read(value, parameter.unit.replace("h", unit))
    except UnitsError as error:
        raise UnitsError(f"hold {parameter.name}: {error}") from error


def _deviations(found: Sequence[Profile], weights: str) -> np.ndarray | None:
    if weights == "equal":
        return None
    for one in found:
        lost = (one.time > 0) & ~(one.sd > 0)
        if lost.any():
            raise InputError(
                f"formulation {one.name!r} has no standard deviation above 0 at time "
                f"{one.time[lost][0]:g}; weights 'sd' ask for one at every time; expected a column "
                "sd, more vessels, or weights 'equal'"
            )
    return np.stack([one.sd[one.time > 0] for one in found])


def _row(model: Model, fit: Fit, place: int, profile: Profile, unit: str) -> dict[str, Any]:
    """One fitted model with its parameters in the table's unit of time, and how well it fits."""
    predicted = fit.predicted[place]
    seen = np.isfinite(predicted)
    count, size = int(seen.sum()), _free(model, fit, place)
    sd = np.ones(seen.sum()) if fit.sd is None else fit.sd[place][seen]
    values = profile.mean[profile.time > 0][seen]
    squares = float(np.sum(((values - predicted[seen]) / sd) ** 2))
    centre = np.sum(values / sd**2) / np.sum(1 / sd**2) if count else 0.0
    whole = float(np.sum(((values - centre) / sd) ** 2))
    least = float(np.sum((EXACT * values / sd) ** 2))
    squares = max(squares, least)
    told = whole > 0 and squares > 0
    r2 = 1 - squares / whole if told else np.nan
    aicc = float(judge.aicc(np.array([squares]), count, size)[0]) if squares > 0 else np.nan
    return {
        "model": fit.model,
        "samples": count,
        "free": size,
        "parameters": _parameters(fit, place, unit),
        "aicc": aicc,
        "difference": None,
        "weight": None,
        "r2_adjusted": 1 - (1 - r2) * (count - 1) / (count - size) if count > size else np.nan,
        "msc": float(np.log(whole / squares) - 2 * size / count) if told else np.nan,
        "flags": list(fit.flags[place]),
        "predicted": [float(one) for one in predicted],
    }


def _free(model: Model, fit: Fit, place: int) -> int:
    """Number of fitted parameters: what is held has the variance 0."""
    variance = np.einsum("jj->j", fit.covariance[place])[: len(model.parameters)]
    return int((variance != 0).sum())


def _parameters(fit: Fit, place: int, unit: str) -> dict[str, dict[str, Any]]:
    found = {}
    for column, (name, of) in enumerate(zip(fit.parameters, fit.display, strict=True)):
        factor = si_factor(of)
        variance = float(fit.covariance[place, column, column])
        spelled = POWERS.get((fit.model, name), of.replace("h", "{}"))
        found[name] = {
            "value": float(fit.values[place, column] / factor),
            # below 0 by rounding, where a derived one hangs on what is all but unknown
            "sd": float(np.sqrt(variance)) / factor if variance >= 0 else np.nan,
            "unit": spelled.format(unit),
        }
    return found


def curve(row: Mapping[str, Any], times: np.ndarray) -> np.ndarray:
    """Released % (t,) of a fitted model at any times in the table's unit, ascending."""
    model = catalog.find("models", row["model"])
    shown = np.array([row["parameters"][one.name]["value"] for one in model.parameters])
    factors = np.array([si_factor(one.unit) for one in model.parameters])
    width = 1e-6 * HOUR * float(times[times > 0][0])
    frames = Frames(
        start=np.asarray(times * HOUR - width / 2),
        duration=np.full(times.size, width),
        zero=Zero(kind="administration"),
    )
    found = model.predict((shown * factors)[None], Protocol(frames=frames))
    return np.asarray(found[0])
