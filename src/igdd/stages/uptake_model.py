"""Uptake model: what a tumour should take up of an agent of a size, and which step decides it.

    igdd uptake-model --radius "50 nm" --half-life "76.1 h" --plasma-volume "3 L" --time "72 h"
                      --observed "18.3 %ID/kg"

The closed form of `igdd.kernels.size_permeability`, reversible and with all trapped; the gain of an
observed uptake over either; the trapping rate that would explain it; the elasticity of uptake to
every parameter, in percent for a percent (docs/delivery.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.kernels.size_permeability import CAPILLARY_UM, KROGH_UM, radius_of_protein
from igdd.stages.bounded_quantity import quantity
from igdd.stages.uptake_setting import Setting, elasticities


def uptake_model(
    *,
    time: str,
    half_life: Sequence[str],
    plasma_volume: str,
    share: Sequence[float] = (),
    radius: str | None = None,
    mass: str | None = None,
    trap: str | None = None,
    release: str | None = None,
    antigen_over_kd: float = 0.0,
    internalisation: str | None = None,
    permeability: str | None = None,
    void: float | None = None,
    capillary_radius: str | None = None,
    krogh_radius: str | None = None,
    density: str | None = None,
    observed: str | None = None,
    sd: str | None = None,
) -> dict[str, Any]:
    """Predicted uptake of a tumour at a time, its maximum, gain of an observed one, elasticities.

    radius, mass     hydrodynamic radius ("50 nm"), or the mass of a protein ("150 kDa")
    half_life, share  of plasma: one, or one for each exponential with its share of the dose at zero
    plasma_volume    the volume that the dose is in at time zero
    trap, release    rates of trapping and of letting go ("0.05 1/h"); trap "all" for no way out
    antigen_over_kd  of a target: antigen per accessible volume over Kd; with `internalisation`
    """
    if release is not None and trap is None and internalisation is None:
        raise InputError("release without trap or internalisation; expected what is let go of")
    if internalisation is not None and not antigen_over_kd > 0:
        raise InputError(
            "internalisation without antigen-over-kd; expected a target that binds, above zero"
        )
    setting = Setting(
        radius=_radius(radius, mass),
        half_lives=tuple(quantity("half-life", one, "h") for one in half_life),
        shares=_shares(share, len(half_life)),
        plasma=quantity("plasma-volume", plasma_volume, "mL"),
        capillary=_or("capillary-radius", capillary_radius, "um", CAPILLARY_UM),
        krogh=_or("krogh-radius", krogh_radius, "um", KROGH_UM),
        permeability=_wall(permeability),
        void=_void(void),
        trap=np.inf if (trap or "").strip().lower() == "all" else _or("trap", trap, "1/h", 0.0),
        release=_or("release", release, "1/h", 0.0),
        antigen_over_kd=_target(antigen_over_kd),
        internalisation=_or("internalisation", internalisation, "1/h", 0.0),
    )
    return _answered(setting, quantity("time", time, "h"), density, observed, sd)


def _answered(
    setting: Setting, hours: float, density: str | None, observed: str | None, sd: str | None
) -> dict[str, Any]:
    """What a setting gives at a time, and what an observed uptake says beside it."""
    if setting.krogh <= setting.capillary:
        raise InputError(
            f"Krogh radius {setting.krogh:g} um within the capillary's {setting.capillary:g} um; "
            "expected a larger one"
        )
    rho = _or("density", density, "g/mL", 1.0)
    facts = _predicted(setting, hours, rho)
    facts["assumed"] = [] if density is not None else ["tissue of 1 g/mL"]
    if observed is not None:
        facts["observed"] = _observed(setting, hours, rho, observed, sd)
    elif sd is not None:
        raise InputError("an sd without an observed uptake; expected both")
    return facts | {"answer": _sentence(facts)}


def _predicted(setting: Setting, hours: float, density: float) -> dict[str, Any]:
    """Rates of a tumour and its uptake at a time."""
    at = np.array([hours])
    slopes = elasticities(setting, hours)
    rows = {
        "reversible": replace(setting, trap=0.0, release=0.0, antigen_over_kd=0.0),
        "as_stated": setting,
        "trapped": replace(setting, trap=np.inf, release=0.0),
    }
    return {
        "radius_nm": setting.radius,
        "permeability_cm_per_s": setting.wall,
        "void_fraction": setting.open,
        "uptake_rate_per_h": setting.rate,
        "return_rate_per_h": setting.rate / setting.open,
        "time_h": hours,
        "uptake": {
            name: {
                "percent_id_per_g": float(one.uptake(at)[0]) / density,
                "percent_id_per_kg": 1000 * float(one.uptake(at)[0]) / density,
                "time_of_maximum_h": one.maximum(),
            }
            for name, one in rows.items()
        },
        "elasticity": slopes,
        "limited_by": _limit(slopes["permeability"]),
        "flags": [],
    }


def _limit(slope: float) -> str | None:
    """What decides uptake, of its elasticity to permeability; None where nothing is left."""
    if not np.isfinite(slope):
        return None
    return "the wall" if slope > 0.5 else "what is kept"


def _observed(
    setting: Setting, hours: float, density: float, observed: str, sd: str | None
) -> dict[str, Any]:
    """Gain of an observed uptake over the model, and the trapping that would explain it."""
    found = quantity("observed", observed, "%/g")
    if not found > 0:
        raise InputError(f"observed {observed!r}; expected an uptake above zero, such as '5 %ID/g'")
    noise = np.nan if sd is None else quantity("sd", sd, "%/g")
    at = np.array([hours])
    gains = {
        name: found * density / held if (held := float(setting.uptake(at, trap)[0])) > 0 else np.inf
        for name, trap in (("reversible", 0.0), ("trapped", np.inf))
    }
    return {
        "percent_id_per_g": found,
        "sd": noise if np.isfinite(noise) else None,
        "gain_over_reversible": gains["reversible"],
        "gain_over_trapped": gains["trapped"],
        "gain_relative_sd": noise / found if np.isfinite(noise) else None,
        "trap_rate_that_explains_per_h": _explaining(setting, hours, density, found),
    }


def _explaining(setting: Setting, hours: float, density: float, found: float) -> float | None:
    """Trapping rate in 1/h that gives an observed uptake; None where none does."""
    from scipy.optimize import brentq

    at = np.array([hours])

    def excess(log_rate: float) -> float:
        return float(setting.uptake(at, float(np.exp(log_rate)))[0]) / density - found

    low, high = np.log(1e-8), np.log(1e4)
    if not excess(low) <= 0 <= excess(high):
        return None
    return float(np.exp(brentq(excess, low, high, xtol=1e-12)))


def _radius(radius: str | None, mass: str | None) -> float:
    if (radius is None) == (mass is None):
        raise InputError(
            f"{'neither radius nor' if radius is None else 'both radius and'} mass; expected one "
            "of them, such as --radius '50 nm' or, of a protein, --mass '150 kDa'"
        )
    if radius is not None:
        return quantity("radius", radius, "nm")
    # A dalton is a gram per mole.
    plain = str(mass).strip().replace("kDa", "kg/mol").replace("Da", "g/mol")
    return float(radius_of_protein(np.array(quantity("mass", plain, "kg/mol"))))


def _shares(share: Sequence[float], count: int) -> tuple[float, ...]:
    if not count:
        raise InputError("no half-life of plasma; expected one at least, such as '76.1 h'")
    if not share and count == 1:
        return (1.0,)
    if len(share) != count or not all(0 < one <= 1 for one in share):
        raise InputError(
            f"{len(share)} shares for {count} half-lives; expected one of 0 to 1 for each"
        )
    if abs(sum(share) - 1) > 1e-6:
        raise InputError(f"the shares add up to {sum(share):g}; expected 1, all of the dose")
    return tuple(share)


def _target(value: float) -> float:
    if not 0 <= value <= 1e9:
        raise InputError(f"antigen-over-kd is {value:g}; expected 0 to 1e9")
    return float(value)


def _wall(text: str | None) -> float | None:
    return None if text is None else quantity("permeability", text, "cm/s")


def _void(value: float | None) -> float | None:
    if value is not None and not 1e-4 <= value <= 1:
        raise InputError(f"void is {value:g}; expected a share of 0.0001 to 1")
    return value


def _or(name: str, text: str | None, unit: str, default: float) -> float:
    return default if text is None else quantity(name, text, unit)


def _sentence(facts: Mapping[str, Any]) -> str:
    """The answer in a sentence."""
    kept = facts["uptake"]
    text = (
        f"radius {facts['radius_nm']:.3g} nm: P {facts['permeability_cm_per_s']:.2e} cm/s, open "
        f"{100 * facts['void_fraction']:.3g} %; at {facts['time_h']:g} h "
        f"{kept['as_stated']['percent_id_per_kg']:.3g} %ID/kg "
        f"({kept['reversible']['percent_id_per_kg']:.3g} if all is reversible, "
        f"{kept['trapped']['percent_id_per_kg']:.3g} if all is trapped)"
    )
    if "observed" not in facts:
        return f"{text}."
    seen = facts["observed"]
    rate = seen["trap_rate_that_explains_per_h"]
    more = "more" if seen["gain_over_trapped"] > 1 else "less"
    why = (
        f"a trapping rate of {rate:.2g} per h would explain it"
        if rate is not None
        else f"no trapping explains it: {more} got in than this wall and plasma pass"
    )
    return (
        f"{text}; observed {1000 * seen['percent_id_per_g']:.3g} %ID/kg: "
        f"{seen['gain_over_trapped']:.2g} times that of full trapping; {why}."
    )


def text(found: Mapping[str, Any]) -> str:
    """The answer for the eye, and what decides it: elasticities, the largest first."""
    lines = [str(found["answer"])]
    for name, row in found["uptake"].items():
        when = row["time_of_maximum_h"]
        peak = f"most at {when:.3g} h" if np.isfinite(when) else "rises throughout"
        lines.append(f"  {name:12} {row['percent_id_per_kg']:9.4g} %ID/kg   {peak}")
    if found["limited_by"] is None:
        lines.append("nothing is left at this time: what limits it cannot be said")
        return "\n".join([*lines, *_assumed(found)])
    ordered = sorted(found["elasticity"].items(), key=lambda item: -abs(item[1]))
    lines.append(f"limited by {found['limited_by']}")
    lines.append("elasticity: " + ", ".join(f"{name} {value:+.2f}" for name, value in ordered))
    return "\n".join([*lines, *_assumed(found)])


def _assumed(found: Mapping[str, Any]) -> list[str]:
    return [f"assumed: {'; '.join(found['assumed'])}"] if found["assumed"] else []
