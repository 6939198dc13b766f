"""Interstitial transport in a spherical tumour: pressure, outward flow, and how deep a drug gets.

Parameters are a TOML file; those of the fluid that it does not give are as in the tumour that
ships (interstitium_tumour.toml). What describes the drug has no default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import bounded
from igdd.kernels.elasticity import STEP, elasticities
from igdd.kernels.interstitial_solute import SURFACES, Course, Solute, peclet, transport
from igdd.kernels.interstitium import (
    Fluid,
    balanced_pressure,
    centres,
    edges,
    flow,
    hydraulic_number,
    pressure_closed_form,
    shell_volumes,
)
from igdd.stages.pbpk_inputs import read_times

LARGEST = 16_384
SHELLS = 200
RIM = 0.9  # of the radius: what lies beyond is the rim
SHOWN = 60  # places of a profile that are given
HOUR = 3600.0
# Name -> unit inside (mm, s, Pa); and what must be given.
FLUID = {
    "radius": "mm", "interstitial_conductivity": "mm2/(Pa.s)", "vessel_conductivity": "mm/(Pa.s)",
    "surface_to_volume": "1/mm", "vascular_pressure": "Pa", "plasma_osmotic_pressure": "Pa",
    "interstitial_osmotic_pressure": "Pa", "osmotic_reflection": "1", "surface_pressure": "Pa",
    "lymphatic_conductance": "1/(Pa.s)", "lymphatic_pressure": "Pa",
}  # fmt: skip
DRUG = {"diffusion": "mm2/s", "permeability": "mm/s", "reflection": "1", "uptake": "1/s"}
PLASMA = ("share", "half_life")
OTHER = ("times", "threshold", "drug", "plasma")
# Parameters whose elasticities are given.
VARIED = (
    "radius", "interstitial_conductivity", "vessel_conductivity", "surface_to_volume",
    *DRUG,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A tumour, a drug and when to look, in mm, s and Pa.

    plasma     (n, 2) share of the initial concentration and rate [1/s] of each term
    threshold  share of the initial plasma concentration that counts as reached; None: not asked
    """

    values: Mapping[str, float]
    surface: str
    plasma: np.ndarray
    times: np.ndarray
    threshold: float | None


@cache
def _tumour() -> dict[str, Any]:
    place = files("igdd").joinpath("stages", "interstitium_tumour.toml")
    return tomllib.loads(place.read_text("utf-8"))


def read_asked(path: Path) -> Asked:
    """The parameters of a TOML file, with units in the text."""
    text = bounded.read_text(path, LARGEST)
    if any(line.count(".") > 64 for line in text.splitlines() if not line.startswith("#")):
        raise InputError(
            f"{path}: a line has more than 64 points; expected short names and numbers"
        )
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not TOML ({str(error)[:120]})") from error
    unknown = sorted(set(table) - set(FLUID) - set(OTHER))
    if unknown:
        raise InputError(f"{path}: {unknown[0][:60]} is unknown; expected "
                         f"{', '.join((*FLUID, *OTHER))}")  # fmt: skip
    given = _tumour() | {name: value for name, value in table.items() if name in FLUID}
    values = {name: _number(given, name, unit, str(path)) for name, unit in FLUID.items()}
    drug = _section(table, "drug", (*DRUG, "surface"), path)
    drug = {"uptake": "0 1/s"} | drug
    values |= {name: _number(drug, name, unit, f"{path}: drug") for name, unit in DRUG.items()}
    surface = drug.get("surface")
    if surface not in SURFACES:
        raise InputError(
            f"{path}: drug.surface is {str(surface)[:40]!r}; expected {' or '.join(SURFACES)}: "
            "what becomes of what reaches the surface"
        )
    if not isinstance(table.get("times"), str):
        raise InputError(f"{path}: times is missing; expected such as times = '1 h, 24 h'")
    threshold = table.get("threshold")
    if threshold is not None:
        threshold = _number(table, "threshold", "1", str(path))
        if not threshold > 0:
            raise InputError(f"{path}: threshold is {threshold:g}; expected a share above 0")
    return Asked(
        values=values,
        surface=surface,
        plasma=_plasma(_section(table, "plasma", PLASMA, path), path),
        times=read_times(table["times"]) * HOUR,
        threshold=threshold,
    )


def _section(
    table: Mapping[str, Any], name: str, known: tuple[str, ...], path: Path
) -> dict[str, Any]:
    section = table.get(name)
    if not isinstance(section, dict):
        raise InputError(f"{path}: [{name}] is missing; expected it with {', '.join(known)}")
    unknown = sorted(set(section) - set(known))
    if unknown:
        raise InputError(
            f"{path}: {name}.{unknown[0][:60]} is unknown; expected {', '.join(known)}"
        )
    return section


def _number(table: Mapping[str, Any], name: str, unit: str, where: str) -> float:
    if name not in table:
        raise InputError(f"{where}: {name} is missing; expected it in a unit such as {unit}")
    value = table[name]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(
            f"{where}: {name} is a {type(value).__name__}; expected such as '1 {unit}'"
        )
    try:
        found = units.read(value, unit)  # type: ignore[arg-type]
    except UnitsError as error:
        raise UnitsError(f"{where}: {name}: {error}") from error
    if not np.isfinite(found):
        raise InputError(f"{where}: {name} is {found}; expected a finite number")
    return found


def _plasma(section: Mapping[str, Any], path: Path) -> np.ndarray:
    """Terms of the plasma curve: shares that sum to 1, and rates."""
    shares, half_lives = section.get("share", [1.0]), section.get("half_life")
    half_lives = [half_lives] if isinstance(half_lives, str) else half_lives
    shares, half_lives = (one if isinstance(one, list) else [] for one in (shares, half_lives))
    if len(shares) != len(half_lives) or not 0 < len(shares) <= 10:
        raise InputError(
            f"{path}: plasma needs as many shares as half_lives, 1 to 10; expected such as "
            "share = [0.7, 0.3], half_life = ['1 h', '20 h']"
        )
    terms = np.array([
        [_number({"share": share}, "share", "1", f"{path}: plasma"),
         _number({"half_life": half}, "half_life", "s", f"{path}: plasma")]
        for share, half in zip(shares, half_lives, strict=True)
    ])  # fmt: skip
    if (terms <= 0).any() or abs(terms[:, 0].sum() - 1) > 1e-6:
        raise InputError(f"{path}: plasma shares must be above 0 and sum to 1, half-lives above 0")
    return np.column_stack([terms[:, 0], np.log(2) / terms[:, 1]])


def fluid_of(values: Mapping[str, float]) -> Fluid:
    """The tumour's fluid balance."""
    osmotic = values["plasma_osmotic_pressure"] - values["interstitial_osmotic_pressure"]
    for name in ("osmotic_reflection", "reflection"):
        if not 0 <= values[name] <= 1:
            raise InputError(f"{name} is {values[name]:g}; expected 0 to 1")
    return Fluid(
        radius=values["radius"],
        conductivity=values["interstitial_conductivity"],
        filtration=values["vessel_conductivity"] * values["surface_to_volume"],
        effective=values["vascular_pressure"] - values["osmotic_reflection"] * osmotic,
        drainage=values["lymphatic_conductance"],
        lymphatic=values["lymphatic_pressure"],
        surface=values["surface_pressure"],
    )


def solute_of(values: Mapping[str, float], surface: str) -> Solute:
    """The drug; its permeability times the vessels' surface per volume."""
    return Solute(
        diffusion=values["diffusion"],
        permeability=values["permeability"] * values["surface_to_volume"],
        reflection=values["reflection"],
        uptake=values["uptake"],
        surface=surface,
    )


def interstitium(parameters: Path | str) -> dict[str, Any]:
    """Pressure and velocity in a spherical tumour, and a drug's concentration in it over time.

    Concentrations are relative to that in plasma at time zero, per volume of tissue.
    """
    asked = read_asked(Path(parameters))
    fluid, solute = fluid_of(asked.values), solute_of(asked.values, asked.surface)
    places = edges(fluid, SHELLS)
    pressure, velocity = flow(fluid, places)
    course = transport(fluid, solute, asked.plasma, asked.times, places)
    middle = centres(places)
    kept = np.unique(np.linspace(0, SHELLS - 1, SHOWN).astype(int))
    total = course.free + course.bound
    closed = pressure_closed_form(fluid, middle)
    mercury = units.factor("Pa", "mmHg")
    scale = max(float(np.abs(closed).max()), np.finfo(float).tiny)
    return {
        "model": "interstitial transport in a sphere (Baxter and Jain 1989)",
        "surface": asked.surface,
        "fluid": {
            "hydraulic_number": hydraulic_number(fluid),
            "balanced_pressure": {"value": balanced_pressure(fluid) * mercury, "unit": "mmHg"},
            "centre_pressure": {"value": float(pressure[0]) * mercury, "unit": "mmHg"},
            "surface_velocity": {"value": float(velocity[-1]) * 1000, "unit": "um/s"},
            "peclet_centre": float(peclet(fluid, solute, pressure)[0]),
            "peclet_surface": float(peclet(fluid, solute, pressure)[-1]),
            "against_closed_form": float(np.abs(pressure - closed).max() / scale),
        },
        "profile": {
            "place": {"unit": "mm", "values": middle[kept].tolist()},
            "pressure": {"unit": "mmHg", "values": (pressure[kept] * mercury).tolist()},
            "concentration": total[:, kept].tolist(),
        },
        "times": {"unit": "h", "values": (asked.times / HOUR).tolist()},
        "penetration": [
            {"time": float(time / HOUR)} | penetration(row, places, asked.threshold)
            for time, row in zip(asked.times, total, strict=True)
        ],
        "entered": course.entered.tolist(),
        "left": course.left.tolist(),
        "mass_error": float(np.abs(course.balance).max()),
        "elasticities": _elasticities(asked),
    }


def penetration(
    concentration: np.ndarray, places: np.ndarray, threshold: float | None = None
) -> dict[str, float]:
    """How deep and how evenly: means, centre and rim, spread, and the share above a threshold.

    concentration (shell,) in shells between `places`; the rim lies beyond 0.9 of the radius.
    """
    volume = shell_volumes(places)
    weight = volume / volume.sum()
    mean = float(concentration @ weight)
    rim_edge = RIM * places[-1]
    beyond = shell_volumes(np.maximum(places, rim_edge))
    rim = float(concentration @ beyond / beyond.sum())
    spread = float(np.sqrt(weight @ (concentration - mean) ** 2))
    found = {
        "mean": mean,
        "centre": float(concentration[0]),
        "rim": rim,
        "centre_over_rim": float(concentration[0]) / rim if rim > 0 else float("nan"),
        "mean_over_rim": mean / rim if rim > 0 else float("nan"),
        "cv": spread / mean if mean > 0 else float("nan"),
    }
    if threshold is not None:
        reached = concentration >= threshold
        found["coverage"] = float(weight[reached].sum())
        radii = places[1:][reached]
        found["deepest_reached"] = float(places[:-1][reached].min()) if radii.size else float("nan")
    return found


def _elasticities(asked: Asked) -> list[dict[str, Any]]:
    """d ln(concentration) / d ln(parameter) at the last time, mean and centre."""
    if not asked.times[-1] > 0:
        return []
    # a reflection coefficient near 1 cannot be raised
    names = [
        name for name in VARIED
        if asked.values[name] > 0
        and not (name == "reflection" and asked.values[name] * np.exp(STEP) > 1)
    ]  # fmt: skip

    def outcomes(points: np.ndarray) -> np.ndarray:
        return np.array([_last(asked, dict(zip(names, point, strict=True))) for point in points])

    found = elasticities(outcomes, np.array([asked.values[name] for name in names]))
    return [
        {"outcome": outcome, "parameter": names[row], "elasticity": float(found.value[row, column]),
         "error": float(found.error[row, column])}
        for column, outcome in enumerate(("mean", "centre"))
        for row in np.argsort(-np.nan_to_num(np.abs(found.value[:, column])), kind="stable")
    ]  # fmt: skip


def _last(asked: Asked, changed: Mapping[str, float]) -> tuple[float, float]:
    """Mean and central concentration at the last time, some parameters changed."""
    values = dict(asked.values) | dict(changed)
    fluid, solute = fluid_of(values), solute_of(values, asked.surface)
    places = edges(fluid, SHELLS)
    course: Course = transport(fluid, solute, asked.plasma, asked.times[-1:], places)
    total = (course.free + course.bound)[0]
    volume = shell_volumes(places)
    return float(total @ volume / volume.sum()), float(total[0])


def text(found: Mapping[str, Any]) -> str:
    """Pressure, outflow and penetration at each time."""
    fluid = found["fluid"]
    lines = [
        f"{found['model']}; surface: {found['surface']}",
        f"  pressure at the centre {fluid['centre_pressure']['value']:.4g} mmHg, balanced "
        f"{fluid['balanced_pressure']['value']:.4g} mmHg; R sqrt(Lp S/V / K) = "
        f"{fluid['hydraulic_number']:.4g}",
        f"  outward velocity at the surface {fluid['surface_velocity']['value']:.4g} um/s; Pe "
        f"{fluid['peclet_centre']:.3g} at the centre, {fluid['peclet_surface']:.3g} at the surface",
        "  time (h)  mean  centre  rim  centre/rim  cv  coverage (of the initial plasma)",
    ]
    for row in found["penetration"]:
        covered = f"{row['coverage']:.3f}" if "coverage" in row else "-"
        lines.append(
            f"  {row['time']:g}  {row['mean']:.4g}  {row['centre']:.4g}  {row['rim']:.4g}  "
            f"{row['centre_over_rim']:.3g}  {row['cv']:.3g}  {covered}"
        )
    lines.append(f"mass balance: {found['mass_error']:.1e} of what entered unaccounted for at most")
    rows = [row for row in found["elasticities"] if row["outcome"] == "mean"]
    if rows:
        lines.append("elasticity of the mean concentration at the last time:")
        lines += [f"  {row['parameter']:26} {row['elasticity']:+.3f}" for row in rows]
    return "\n".join(lines)
