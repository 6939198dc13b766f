"""Scale: one uptake in every scale, and what a mouse's says of a human's; allometry of parameters.

    igdd scale --value "5.5 %ID/g" --weight "25 g" --to-weight "70 kg"
    igdd scale clearances.csv --parameter clearance --to-weight "70 kg"

Nothing carries over unchanged: a prediction comes with a band that holds the exponent's scatter
between substances, that of tumours, and the value's own (docs/scaling.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.kernels import allometry
from igdd.kernels.allometry import EXPONENTS, Exponent, Scaled
from igdd.kernels.scaled_uptake import (
    Body,
    Model,
    by_equal_suv,
    by_exposure,
    by_permeability,
)
from igdd.kernels.side_by_side import scales
from igdd.stages.bounded_quantity import named, quantity
from igdd.stages.scale_options import exponent_of, gain_sd_of, refuse_idle, weight_of
from igdd.stages.scale_parameter import band, fitted, of_exponent, parameter_elsewhere

LEAST, MOST = 1e-12, 1e6  # %ID/g
MOST_CV = 100.0
SHOWN_UNITS = {
    "percent_id_per_g": "%/g", "percent_id_per_kg": "%/kg", "suvbw": "g/mL", "percent_id": "%",
    "drug_concentration": "ug/g",
}  # fmt: skip


def scale(
    table: Path | str | None = None,
    *,
    value: str | None = None,
    sd: str | None = None,
    parameter: str | None = None,
    weight: str | None = None,
    to_weight: str | None = None,
    time: str | None = None,
    mass: str | None = None,
    dose: str | None = None,
    label_on: str | None = None,
    density: str | None = None,
    exponent: float | None = None,
    exponent_sd: float | None = None,
    gain: float = 1.0,
    gain_fold: float | None = None,
    radius: str | None = None,
    half_life: str | None = None,
    to_half_life: str | None = None,
    plasma_volume: str | None = None,
    to_plasma_volume: str | None = None,
    to_time: str | None = None,
) -> dict[str, Any]:
    """An uptake in every scale and in another body, or a parameter by allometry.

    value       an uptake ("5.5 %ID/g", "33 %ID/kg", "1.4 SUV"), or of `parameter` (clearance,
                volume, half_life), such as "2 mL/h"; `table`: of species, to fit its exponent
    weight      of the body measured (to_weight: of the other), mass of the region, dose of the
                drug: for %ID and ug/g, which is flagged unless `label_on` is drug
    exponent    of body weight, with its sd; else the defaults of `igdd.kernels.allometry`
    gain        of the other tumour over this one; gain_fold: its scatter; radius, with half-lives,
                plasma volumes and times of both bodies: by permeability too
    """
    stated = {
        "sd": sd, "weight": weight, "to-weight": to_weight, "time": time, "mass": mass,
        "dose": dose, "label-on": label_on, "density": density, "exponent": exponent,
        "exponent-sd": exponent_sd, "gain": None if gain == 1 else gain, "gain-fold": gain_fold,
        "radius": radius, "half-life": half_life, "to-half-life": to_half_life,
        "plasma-volume": plasma_volume, "to-plasma-volume": to_plasma_volume, "to-time": to_time,
    }  # fmt: skip
    refuse_idle(
        stated, table=table is not None, parameter=parameter is not None,
        elsewhere=to_weight is not None,
    )  # fmt: skip
    target, own = weight_of("to-weight", to_weight), weight_of("weight", weight)
    chosen = exponent_of(parameter or "clearance", exponent, exponent_sd)
    if table is not None or parameter is not None:
        return _of_parameter(table, value, sd, parameter, bodies=(own, target), power=chosen)
    rho = 1.0 if density is None else quantity("density", density, "g/mL")
    per_g, relative = _uptake(value, sd, own, rho)
    facts = _side_by_side(per_g, relative, own, rho, mass=mass, dose=dose, label_on=label_on)
    facts["assumed"] = ["tissue of 1 g/mL"] if density is None else []
    plasma = (half_life, plasma_volume, time, to_half_life, to_plasma_volume, to_time)
    if target is not None:
        seen = _Seen(1000 * per_g * gain, relative, gain_sd_of(gain, gain_fold), target, rho)
        facts |= _elsewhere(seen, own, chosen, radius, plasma)
    return facts | {"answer": _sentence(facts)}


class _Seen(NamedTuple):
    """An uptake in %ID/kg with its gain, its relative sd, scatter of tumours; the other body."""

    uptake: float
    relative: float
    gain_sd: float
    target: float
    density: float


def _elsewhere(
    seen: _Seen,
    own: float | None,
    power: Exponent,
    radius: str | None,
    plasma: tuple[str | None, ...],
) -> dict[str, Any]:
    """Predictions by exposure, by equal SUV and by permeability, and the time that corresponds."""
    if own is None:
        raise InputError("to-weight without weight; expected both bodies' weights")
    ratio, time = seen.target / own, plasma[2]
    exposure = by_exposure(seen.uptake, seen.relative, ratio, exponent=power, gain_sd=seen.gain_sd)
    equal = by_equal_suv(seen.uptake, seen.relative, ratio, seen.gain_sd)
    facts = {
        "by_exposure": _both(exposure, seen.target, seen.density),
        "equal_suv": _both(equal, seen.target, seen.density),
    }
    if time is not None:
        lag = allometry.scaled(quantity("time", time, "h"), ratio, EXPONENTS["half_life"])
        facts["equivalent_time"] = band(lag, "h")
    bodies = _bodies(radius, *plasma)
    if bodies is not None:
        facts["by_permeability"] = _through_the_wall(seen, bodies, str(radius))
    return {
        "prediction": facts,
        "exponent": of_exponent(power),
        "scatter_of_tumours_sd_of_ln": seen.gain_sd,
    }


def _through_the_wall(seen: _Seen, bodies: tuple[Body, Body], radius: str) -> dict[str, Any]:
    """Predictions by permeability, reversible and trapped."""
    size = quantity("radius", radius, "nm")
    try:
        found = {
            name: by_permeability(
                seen.uptake, seen.relative, size, bodies, trapped=trapped, gain_sd=seen.gain_sd
            )
            for name, trapped in (("reversible", False), ("trapped", True))
        }
    except ZeroDivisionError as error:
        raise InputError(
            f"at {bodies[0].time:g} h nothing is left in the body measured, whose plasma has a "
            f"half-life of {bodies[0].half_life:g} h; expected an earlier time, or a longer "
            "half-life"
        ) from error
    return {name: _modelled(one, seen.target, seen.density) for name, one in found.items()}


def _of_parameter(
    table: Path | str | None,
    value: str | None,
    sd: str | None,
    parameter: str | None,
    *,
    bodies: tuple[float | None, float | None],
    power: Exponent,
) -> dict[str, Any]:
    """A parameter in another body, from one body's value or from a table of species."""
    if parameter is None or (table is None) == (value is None):
        raise InputError(
            "a parameter stands with one value or one table of species; expected --parameter and "
            "either --value or the table"
        )
    if table is not None:
        return fitted(Path(table), parameter, bodies[1], power)
    return parameter_elsewhere(str(value), sd, parameter, bodies, power)


def _both(found: Scaled, weight: float, density: float) -> dict[str, Any]:
    """A band of %ID/kg, with that of SUV in a body of a weight in g."""
    factor = weight / 1000 * density / 100
    suv = Scaled(found.value * factor, found.low * factor, found.high * factor, found.log_sd)
    return {"percent_id_per_kg": band(found, "%/kg"), "suvbw": band(suv, "g/mL")}


def _modelled(found: Model, weight: float, density: float) -> dict[str, Any]:
    return _both(found.uptake, weight, density) | {
        "model_here_percent_id_per_g": 100 * found.here / density,
        "model_there_percent_id_per_kg": 1e5 * found.there / density,
    }


def _side_by_side(
    per_g: float,
    relative: float,
    weight: float | None,
    density: float,
    *,
    mass: str | None,
    dose: str | None,
    label_on: str | None,
) -> dict[str, Any]:
    """Every scale of an uptake for which the facts are there."""
    flags = []
    given = np.nan if dose is None else quantity("dose", dose, "g")
    if dose is not None:
        flags += ["dose_equivalent"] if (label_on or "").strip().lower() != "drug" else []
    found = scales(
        np.array(per_g),
        body_weight=np.nan if weight is None else weight,
        mass=np.nan if mass is None else quantity("mass", mass, "g"),
        dose=given,
        density=density,
    )._asdict()
    known = {name: float(one) for name, one in found.items() if np.isfinite(one)}
    if known.get("percent_id", 0.0) > 100:
        raise InputError(
            f"{per_g:g} %ID/g in {mass!r} is {known['percent_id']:.3g} % of the dose; expected at "
            "most 100; is the mass the region's?"
        )
    return {
        "side_by_side": {
            name: {
                "value": one,
                "sd": abs(one) * relative if relative > 0 else None,
                "unit": SHOWN_UNITS[name],
            }
            for name, one in known.items()
        },
        "flags": flags if relative > 0 else [*flags, "value_sd_unknown"],
    }


def _uptake(
    value: str | None, sd: str | None, weight: float | None, density: float
) -> tuple[float, float]:
    """An uptake in %ID/g, and its relative standard deviation, of a text in any of its scales."""
    if value is None:
        raise InputError("no value and no table; expected one, such as --value '5.5 %ID/g'")
    plain = re.sub(r"\bSUV(bw)?\b", "g/mL", value)
    spread = None if sd is None else re.sub(r"\bSUV(bw)?\b", "g/mL", sd)
    for unit, factor in (("%/g", 1.0), ("%/mL", 1 / density), ("g/mL", None)):
        try:
            found = units.read(plain, unit)
        except UnitsError:
            continue
        if factor is None:
            if weight is None:
                raise InputError(f"value {value!r} is an SUV; expected the body's weight beside it")
            factor = 100 / (weight * density)
        per_g = found * factor
        if not LEAST <= per_g <= MOST:
            raise InputError(f"value {value!r}; expected {LEAST:g} to {MOST:g} %ID/g")
        noise = 0.0 if spread is None else named("sd", spread, unit)
        if not 0 <= noise <= MOST_CV * found:
            raise InputError(f"sd {sd!r}; expected 0 to {MOST_CV:g} times the value")
        return per_g, noise / found
    raise UnitsError(
        f"value {value[:60]!r} is in no scale of uptake; expected %ID/g, %ID/kg, %ID/mL or SUV, "
        "such as '5.5 %ID/g'"
    )


def _bodies(radius: str | None, *texts: str | None) -> tuple[Body, Body] | None:
    """Both bodies of a prediction by plasma; None where nothing of it was stated but a time."""
    if radius is None and all(texts[place] is None for place in (0, 1, 3, 4, 5)):
        return None
    if radius is None or any(one is None for one in texts):
        raise InputError(
            "a prediction by permeability needs the radius, and half-life, plasma volume and time "
            "of both bodies; expected --radius, --half-life, --plasma-volume, --time, "
            "--to-half-life, --to-plasma-volume, --to-time"
        )
    names = ("half-life", "plasma-volume", "time", "to-half-life", "to-plasma-volume", "to-time")
    read = [
        quantity(name, str(text), unit)
        for name, text, unit in zip(names, texts, ("h", "mL", "h") * 2, strict=True)
    ]
    return Body(*read[:3]), Body(*read[3:])


def _sentence(facts: Mapping[str, Any]) -> str:
    """The answer in a sentence."""
    shown = {"%/g": "%ID/g", "%/kg": "%ID/kg", "g/mL": "SUV", "%": "%ID", "ug/g": "ug/g"}
    parts = ", ".join(
        f"{one['value']:.3g} {shown[one['unit']]}" for one in facts["side_by_side"].values()
    )
    if "prediction" not in facts:
        return f"{parts}."
    kg, suv = (facts["prediction"]["by_exposure"][key] for key in ("percent_id_per_kg", "suvbw"))
    return (
        f"{parts}. In the other body, by exposure: {kg['value']:.3g} %ID/kg ({kg['low']:.2g} to "
        f"{kg['high']:.2g}), SUV {suv['value']:.3g} ({suv['low']:.2g} to {suv['high']:.2g})."
    )


def text(found: Mapping[str, Any]) -> str:
    """The answer for the eye: a line for each prediction, then what was assumed, then flags."""
    lines = [str(found["answer"])]
    prediction = found.get("prediction", {})
    if "by_exposure" in prediction:
        rows = {"by exposure": prediction["by_exposure"], "equal SUV": prediction["equal_suv"]}
        rows |= {
            f"by permeability, {name}": one
            for name, one in prediction.get("by_permeability", {}).items()
        }
        for name, one in rows.items():
            kg, suv = one["percent_id_per_kg"], one["suvbw"]
            lines.append(
                f"  {name:28} {kg['value']:9.3g} %ID/kg ({kg['low']:.2g} to {kg['high']:.2g})   "
                f"SUV {suv['value']:.3g} ({suv['low']:.2g} to {suv['high']:.2g})"
            )
        if "equivalent_time" in prediction:
            lag = prediction["equivalent_time"]
            lines.append(f"  at {lag['value']:.3g} h ({lag['low']:.2g} to {lag['high']:.2g})")
    if found.get("assumed"):
        lines.append(f"assumed: {'; '.join(found['assumed'])}")
    if found["flags"]:
        lines.append(f"flags: {', '.join(found['flags'])}")
    return "\n".join(lines)
