"""From release in vitro to concentrations in vivo: how they correlate, how well one predicts.

For every formulation of both tables: the share absorbed by each time (Wagner-Nelson, Loo-Riegelman,
or deconvolution by a unit impulse response), Levy's plot of the times of equal shares, the shares
at equal times (level A), and the concentrations that release in vitro predicts once its times are
brought to those in vivo by Levy's line, with the prediction errors of Cmax and AUC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import profile_table, release_table
from igdd.kernels import absorption
from igdd.kernels.levy import GOOD_EACH, GOOD_MEAN, Line, line, prediction_error, times_of
from igdd.stages.release_profiles import profiles

# Words of a disposition -> the method that they choose.
METHODS = {
    ("k",): "wagner-nelson",
    ("k10", "k12", "k21"): "loo-riegelman",
}
SHARES = np.arange(10.0, 100.0, 10.0)
# Rise of the share absorbed over the last interval, in %, above which absorption has not ended.
STILL_RISING = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pair:
    """A formulation in vitro and in vivo, times in the plasma table's unit.

    time, released        (s,) in %
    when, concentration   (t,) means over the subjects
    absorbed              (t,) in %
    amount                what the shares are of, over the dose: F / V of one compartment
    """

    name: str
    time: np.ndarray
    released: np.ndarray
    when: np.ndarray
    concentration: np.ndarray
    absorbed: np.ndarray
    amount: float
    dose: float


def ivivc(
    released: Path | str,
    plasma: Path | str,
    disposition: str,
    *,
    dose: Mapping[str, float] | None = None,
    time_unit: str | None = None,
    released_unit: str | None = None,
    concentration_unit: str | None = None,
) -> dict[str, Any]:
    """Correlation of a release table with a table of plasma concentrations.

    released     columns formulation, time, released, optional vessel
    plasma       columns subject, time, concentration, group; its groups are the formulations
    disposition  "k=0.12/h": Wagner-Nelson; "k10=0.3/h, k12=0.2/h, k21=0.1/h": Loo-Riegelman;
                 "A1=0.05, k1=0.3/h, A2=0.01, k2=0.05/h": deconvolution by the response to a bolus
                 of one unit of dose, amplitudes in the table's unit of concentration
    dose         of each formulation, in any one unit; None: all alike
    """
    inside = release_table.read(Path(released), time_unit, released_unit)
    outside = profile_table.read(Path(plasma), time_unit, concentration_unit)
    method, words = _disposition(disposition, outside.time_unit)
    factor = units.factor(inside.time_unit, outside.time_unit)
    groups = outside.group if any(outside.group) else outside.subject
    found = []
    for profile in profiles(inside):
        if profile.name in groups:
            when, values = _mean(outside, groups, profile.name)
            given = 1.0 if dose is None else _dose(dose, profile.name)
            curve = profile.time * factor, profile.mean
            found.append(_pair(profile.name, curve, (when, values), (method, words), given))
    if not found:
        raise InputError(
            f"{outside.source}: none of its groups is a formulation of {inside.source}; expected "
            f"one of {', '.join(dict.fromkeys(inside.formulation))}"
        )
    return _described(found, method, words, outside.time_unit, outside.unit)


def _disposition(text: str, time: str) -> tuple[str, dict[str, float]]:
    """The method and its numbers: rates per unit of plasma's time, amplitudes as given."""
    words: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = (one.strip() for one in part.partition("="))
        if not sign or name in words:
            raise InputError(
                f"disposition {part.strip()!r}; expected words such as k=0.12/h, each once"
            )
        try:
            words[name] = units.read(value, "1" if name.startswith("A") else f"1/{time}")
        except UnitsError as error:
            raise UnitsError(f"disposition, {name}: {error}") from error
    names = tuple(sorted(words))
    if names in METHODS:
        return METHODS[names], words
    terms = [name[1:] for name in names if name.startswith("A")]
    if terms and names == tuple(sorted([f"A{i}" for i in terms] + [f"k{i}" for i in terms])):
        return "deconvolution", words
    raise InputError(
        f"disposition {text!r}; expected k, or k10, k12 and k21, or A1 and k1 with, where there "
        "are more terms, A2 and k2 and so on"
    )


def _dose(dose: Mapping[str, float], name: str) -> float:
    if name not in dose or not dose[name] > 0:
        raise InputError(
            f"formulation {name!r} has no dose above 0; expected one for every formulation, or none"
        )
    return float(dose[name])


def _mean(
    samples: profile_table.Samples, groups: Sequence[str], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean concentration over a group's subjects at each time, from the dose on."""
    mine = np.array([one == name for one in groups]) & (samples.time >= 0)
    if samples.below[mine].any():
        line_ = samples.line[mine][samples.below[mine]][0]
        raise InputError(
            f"{samples.source}: line {line_} is below the limit without a number; expected "
            "numbers: a mean needs all its subjects"
        )
    mine &= np.isfinite(samples.value)
    when = np.unique(samples.time[mine])
    if when.size < 3:
        raise InputError(
            f"{samples.source}: group {name!r} has {when.size} times with a concentration; "
            "expected three or more"
        )
    return when, np.array([samples.value[mine & (samples.time == one)].mean() for one in when])


def _pair(
    name: str,
    curve: tuple[np.ndarray, np.ndarray],
    plasma: tuple[np.ndarray, np.ndarray],
    how: tuple[str, Mapping[str, float]],
    dose: float,
) -> _Pair:
    method, words = how
    when, values = plasma
    whole = dose
    if method == "deconvolution":
        shares = absorption.deconvolved(when, values, _response(words), dose)
    else:
        amounts = absorption.absorbed(when, values, _micro(words))
        whole = float(amounts[-1])
        if not whole > 0:
            raise InputError(f"group {name!r}: nothing is absorbed; expected concentrations")
        shares = amounts / whole
    return _Pair(
        name=name, time=curve[0], released=curve[1], when=when, concentration=values,
        absorbed=100 * shares, amount=whole / dose, dose=dose,
    )  # fmt: skip


def _area(when: np.ndarray, values: np.ndarray) -> float:
    """Linear area from time 0, where the concentration is 0 unless it was measured."""
    before = when[0] * values[0] / 2 if when[0] > 0 else 0.0
    return float(before + np.trapezoid(values, when))


def _response(words: Mapping[str, float]) -> absorption.Response:
    terms = sorted(name[1:] for name in words if name.startswith("A"))
    return absorption.Response(
        np.array([words[f"A{term}"] for term in terms]),
        np.array([words[f"k{term}"] for term in terms]),
    )


def _micro(words: Mapping[str, float]) -> tuple[float, float, float]:
    """k10, k12, k21; one compartment has no exchange."""
    if "k" in words:
        return words["k"], 0.0, 1.0
    return words["k10"], words["k12"], words["k21"]


def _bolus(method: str, words: Mapping[str, float], amount: float) -> absorption.Response:
    """The response to a bolus of one unit of dose: given, or F / V times the compartments'."""
    if method == "deconvolution":
        return _response(words)
    k10, k12, k21 = _micro(words)
    if k12 == 0:
        return absorption.Response(np.array([amount]), np.array([k10]))
    half = (k10 + k12 + k21) / 2
    fast = half + np.sqrt(half**2 - k10 * k21)
    slow = k10 * k21 / fast
    shares = np.array([fast - k21, k21 - slow]) / (fast - slow)
    return absorption.Response(amount * shares, np.array([fast, slow]))


def _described(
    pairs: Sequence[_Pair], method: str, words: Mapping[str, float], time: str, unit: str
) -> dict[str, Any]:
    """Lines over all formulations, and each formulation's shares, prediction and errors."""
    level_a = _level_a(pairs)
    times = [_levy_points(one) for one in pairs]
    levy = line(*(np.concatenate([one[axis] for one in times]) for axis in (0, 1)))
    amount = float(np.mean([one.amount for one in pairs]))
    bolus = _bolus(method, words, amount)
    rows = [_formulation(one, levy, bolus) for one in pairs]
    errors = np.array([[row["errors"]["Cmax"], row["errors"]["AUC"]] for row in rows])
    mean = np.abs(errors).mean(axis=0)
    good = bool((mean <= GOOD_MEAN).all() and (np.abs(errors) <= GOOD_EACH).all())
    return {
        "method": method,
        "time_unit": time,
        "concentration_unit": unit,
        "level_a": level_a._asdict(),
        "levy": levy._asdict(),
        "mean_absolute_error": {"Cmax": float(mean[0]), "AUC": float(mean[1])},
        "predictive": good,
        "formulations": rows,
    }


def _level_a(pairs: Sequence[_Pair]) -> Line:
    """Shares absorbed against shares released, at times in vivo that lie among those in vitro."""
    x, y = [], []
    for one in pairs:
        inside = (one.when > 0) & (one.when <= one.time[-1])
        time, curve = _from_zero(one.time, one.released)
        x.append(np.interp(one.when[inside], time, curve))
        y.append(one.absorbed[inside])
    return line(np.concatenate(x), np.concatenate(y))


def _levy_points(one: _Pair) -> tuple[np.ndarray, np.ndarray]:
    """Times in vitro and in vivo of equal shares."""
    return (
        times_of(SHARES, *_from_zero(one.time, one.released)),
        times_of(SHARES, *_from_zero(one.when, one.absorbed)),
    )


def _from_zero(time: np.ndarray, curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (time, curve) if time[0] <= 0 else (np.append(0.0, time), np.append(0.0, curve))


def _formulation(one: _Pair, levy: Line, bolus: absorption.Response) -> dict[str, Any]:
    """Shares, points of Levy's plot, and what release in vitro predicts at the observed times."""
    vitro, vivo = _levy_points(one)
    moved = levy.intercept + levy.slope * one.time
    later = moved > 0
    if later.sum() < 2 or not levy.slope > 0:
        raise InputError(
            f"formulation {one.name!r}: Levy's line (slope {levy.slope:g}, intercept "
            f"{levy.intercept:g}) brings no two samples in vitro to times after the dose; expected "
            "release in vitro and absorption in vivo in the same order"
        )
    shares = one.released[later] / 100
    predicted = absorption.predicted(moved[later], shares, one.dose, bolus, one.when)
    peaks = float(one.concentration.max()), float(predicted.max())
    areas = _area(one.when, one.concentration), _area(one.when, predicted)
    rising = one.absorbed[-1] - one.absorbed[-2] > STILL_RISING
    return {
        "formulation": one.name,
        "dose": one.dose,
        "absorbed": [
            {"time": float(at), "concentration": float(value), "absorbed": float(share),
             "predicted": float(guess)}
            for at, value, share, guess in zip(
                one.when, one.concentration, one.absorbed, predicted, strict=True)
        ],
        "equal_shares": [
            {"share": float(share), "in_vitro": float(first), "in_vivo": float(second)}
            for share, first, second in zip(SHARES, vitro, vivo, strict=True)
        ],
        "Cmax": {"observed": peaks[0], "predicted": peaks[1]},
        "AUC": {"observed": areas[0], "predicted": areas[1]},
        "errors": {"Cmax": prediction_error(*peaks), "AUC": prediction_error(*areas)},
        "flags": ["absorption_unfinished"] if rising else [],
    }  # fmt: skip


def text(found: Mapping[str, Any]) -> str:
    """The lines and the prediction errors, for the eye."""
    lines = [f"in vivo by {found['method']}"]
    for name, title in (
        ("level_a", "absorbed % on released %"),
        ("levy", "times in vivo on in vitro"),
    ):
        one = found[name]
        low, high = one["slope_limits"]
        lines.append(
            f"{title}: slope {one['slope']:.4g} ({low:.4g} to {high:.4g}), intercept "
            f"{one['intercept']:.4g}, R2 {one['r2']:.4g}, {one['points']} points"
        )
    for row in found["formulations"]:
        flags = f"  ({', '.join(row['flags'])})" if row["flags"] else ""
        lines.append(
            f"{row['formulation']}: prediction error Cmax {row['errors']['Cmax']:.1f} %, AUC "
            f"{row['errors']['AUC']:.1f} %{flags}"
        )
    mean = found["mean_absolute_error"]
    lines.append(
        f"mean absolute error Cmax {mean['Cmax']:.1f} %, AUC {mean['AUC']:.1f} %: "
        f"{'within' if found['predictive'] else 'beyond'} 10 % on average and 15 % each"
    )
    return "\n".join(lines)
