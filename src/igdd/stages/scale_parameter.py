"""A parameter of one body in another: by an exponent that is stated, or fitted over species."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import tables
from igdd.kernels import allometry
from igdd.kernels.allometry import Exponent, Scaled
from igdd.stages.bounded_quantity import header_factor, named

# What a parameter may be measured in: clearance of a volume, or of tissue where uptake is per gram.
DIMENSIONS = {
    "clearance": ("mL/h", "g/h"),
    "volume": ("mL", "g"),
    "half_life": ("h",),
}
# Weights closer than this fold say nothing of an exponent.
LEAST_FOLD = 1.1
_BRACKET = re.compile(r"(?P<name>[^\[\]()]*?)\s*[\[(](?P<unit>[^\[\]()]*)[\])]")


def parameter_elsewhere(
    value: str,
    sd: str | None,
    parameter: str,
    weights: tuple[float | None, float | None],
    exponent: Exponent,
) -> dict[str, Any]:
    """A parameter of one body in another, by an exponent that is not fitted."""
    own, target = weights
    if own is None or target is None:
        raise InputError("a parameter needs weight and to-weight; expected both")
    match = re.fullmatch(r"\s*[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*(?P<unit>.+?)\s*", value)
    if match is None:
        raise UnitsError(f"value {value[:60]!r} has no unit; expected one, such as '2 mL/h'")
    unit = match["unit"]
    _of_its_kind(parameter, unit, f"value {value[:60]!r}")
    found = named("value", value, unit)
    if not 1e-30 <= found <= 1e30:
        raise InputError(f"value {value!r}; expected one above zero that can be measured")
    spread = 0.0 if sd is None else named("sd", sd, unit)
    if not 0 <= spread <= 100 * found:
        raise InputError(f"sd {sd!r}; expected 0 to 100 times the value")
    noise = spread / found
    flags = [] if noise > 0 else ["value_sd_unknown"]
    elsewhere = allometry.scaled(found, target / own, exponent, noise)
    facts = {
        "parameter": parameter,
        "exponent": of_exponent(exponent),
        "prediction": band(elsewhere, unit),
        "flags": flags,
    }
    return facts | {
        "answer": f"{parameter} in {target / 1000:g} kg: {elsewhere.value:.3g} {unit} "
        f"({elsewhere.low:.3g} to {elsewhere.high:.3g}), by weight to the power {exponent.value:g}."
    }


def _of_its_kind(parameter: str, unit: str, where: str) -> None:
    """A unit that the parameter can have; per body weight it would scale by another exponent."""
    kinds = [units.parse(one).dimensions for one in DIMENSIONS[parameter]]
    try:
        found = units.parse(unit).dimensions
    except UnitsError as error:
        raise UnitsError(f"{where}: {error}") from error
    if found in kinds:
        return
    per_weight = found in [units.parse(f"{one}/g").dimensions for one in DIMENSIONS[parameter]]
    why = "; of the whole body, not per its weight: multiply by the weight" if per_weight else ""
    raise UnitsError(
        f"{where}: {unit[:40]!r} is no unit of {parameter}; expected one such as "
        f"{DIMENSIONS[parameter][0]}{why}"
    )


def fitted(path: Path, parameter: str, target: float | None, fixed: Exponent) -> dict[str, Any]:
    """An exponent fitted over the species of a table, and the other body's prediction."""
    species, weight, value, unit = _species(path, parameter)
    line = allometry.fit_line(weight, value)
    low, high = allometry.exponent_interval(line)
    facts: dict[str, Any] = {
        "parameter": parameter,
        "species": list(species),
        "exponent": {"value": line.exponent, "low": low, "high": high, "fixed": fixed.value,
                     "source": f"fitted to {len(species)} species of {path.name}"},
        "residual_sd_of_ln": float(np.sqrt(line.variance)),
        "flags": [],
    }  # fmt: skip
    text = f"{parameter}: exponent {line.exponent:.3g} ({low:.3g} to {high:.3g})"
    if target is not None:
        elsewhere = allometry.predicted(line, target)
        beyond = not weight.min() <= target <= weight.max()
        facts |= {"prediction": band(elsewhere, unit), "extrapolated": beyond}
        text += (
            f"; in {target / 1000:g} kg {elsewhere.value:.3g} {unit} ({elsewhere.low:.3g} to "
            f"{elsewhere.high:.3g}){', beyond the species of the table' if beyond else ''}"
        )
    return facts | {"answer": f"{text}."}


def _species(path: Path, parameter: str) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, str]:
    """Species, weights in g, values and their unit, of a table."""
    frame = tables.read_table(path, text=("species",))
    spelled: dict[str, tuple[str, str | None]] = {}
    for header in map(str, frame.columns):
        match = _BRACKET.fullmatch(header.strip())
        name = (match["name"] if match else header).strip().lower()
        if name not in ("species", "weight", "value") or name in spelled:
            raise InputError(
                f"{path}: column {header[:60]!r} is unknown or doubled; expected species, "
                "weight [kg], value [mL/h]"
            )
        spelled[name] = (header, match["unit"] if match else None)
    for name in ("species", "weight", "value"):
        if name not in spelled:
            raise InputError(f"{path}: column {name} is missing; expected species, weight, value")
        if name != "species" and spelled[name][1] is None:
            raise UnitsError(
                f"{path}: column {spelled[name][0]!r} states no unit; expected one in brackets, "
                "such as 'weight [kg]'"
            )
    weight = tables.numbers(frame, spelled["weight"][0], str(path))
    weight = weight * header_factor(path, spelled["weight"][0], str(spelled["weight"][1]), "g")
    value = tables.numbers(frame, spelled["value"][0], str(path))
    unit = str(spelled["value"][1])
    _of_its_kind(parameter, unit, f"{path}: column {spelled['value'][0][:60]!r}")
    unit = units.parse(unit).ucum
    wrong = ~((weight > 0) & (value > 0))
    if wrong.any():
        raise InputError(
            f"{path}: line {frame.index[wrong][0]} has a weight or value that is missing or not "
            "above zero; expected both above zero in every row"
        )
    if np.unique(weight).size < 3:
        raise InputError(
            f"{path}: {np.unique(weight).size} different weights; expected at least 3 for an "
            "exponent with an interval; else give --value and its exponent"
        )
    if weight.max() < LEAST_FOLD * weight.min():
        raise InputError(
            f"{path}: weights from {weight.min():g} to {weight.max():g} g; expected species whose "
            f"weights differ by more than {100 * (LEAST_FOLD - 1):.0f} %, for an exponent"
        )
    cells = frame[spelled["species"][0]]
    blank = [not isinstance(one, str) or not one.strip() for one in cells]
    if any(blank):
        raise InputError(f"{path}: line {frame.index[blank][0]} names no species; expected a name")
    names = tuple(cells)
    return names, weight, value, unit


def of_exponent(exponent: Exponent) -> dict[str, Any]:
    """An exponent as plain values, with where it is from."""
    return {"value": exponent.value, "sd": exponent.sd, "source": exponent.source}


def band(found: Scaled, unit: str) -> dict[str, Any]:
    """A prediction and its 95 % band as plain values."""
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "sd_of_ln": found.log_sd,
        "unit": unit,
    }
