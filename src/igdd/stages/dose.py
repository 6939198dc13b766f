"""Organ and lesion dose from a table of activities: decays over time, mass, dose, and their doubt.

One result per region: time-integrated activity with the share of its tail, effective half-life,
dose by what the region sends out itself (sphere model) or by S values that the user brings, and
the uncertainty of each. A wrong table is an error; a region that gives no answer is NaN and a flag
(docs/dose.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io import activity_table, s_value_table
from igdd.metrics._decays import Decays, curve, decays
from igdd.metrics._region_dose import RegionDose, region_dose
from igdd.stages.dose_options import Asked
from igdd.stages.dose_regions import Job, Region, activity_of, regions
from igdd.stages.dose_sources import marrow, with_others

# Points of a curve for showing, early and evenly.
CURVE = 41


def dose(table: Path | str, **options: Any) -> list[dict[str, Any]]:
    """Time-integrated activity and absorbed dose of every region of a table.

    table    columns region, time, activity; optional sd, volume or mass, their sd, density
    options  nuclide, corrected_to, and what else `igdd.stages.dose_options.Asked` lists
    """
    asked = Asked.of(options)
    measured = activity_table.read(Path(table), asked.units)
    job = asked.job()
    found = [(region, *_solved(region, job, measured.source)) for region in regions(measured, job)]
    results = [_result(region, one, job, own) for region, one, own in found]
    if asked.hematocrit is not None:
        results += marrow(found, asked.hematocrit, job, measured.source)
    if asked.s_values is not None:
        results = with_others(results, found, s_value_table.read(Path(asked.s_values)), job)
    return results


def _solved(region: Region, job: Job, source: str) -> tuple[Decays, RegionDose | None]:
    try:
        activity = activity_of(region, job)
        found = decays(activity, job.rules)
    except InputError as error:
        raise InputError(f"{source}: {region.name}: {error}") from error
    mass = region.mass
    if job.mouse is not None:
        mass = (region.human_mass, float("nan"))
    if mass is None:
        return found, None
    return found, region_dose(
        found, job.source, mass, region.density, job.doubt, biology=job.biology
    )


def _result(region: Region, found: Decays, job: Job, own: RegionDose | None) -> dict[str, Any]:
    """A region's result as plain values with units."""
    flags = set(region.flags) | set(found.flags)
    flags |= {"progeny_left_out"} if job.source.left_out else set()
    biological = _biological(found.half_life, job.rate)
    result: dict[str, Any] = {"subject": region.subject} if region.subject else {}
    result |= {
        "region": region.name,
        "time_integrated_activity": _entry(found.value, found.sd, found.interval, "MBq.h"),
        "residence_time": _residence(found, job.given),
        "tail_share": found.tail_share,
        "start_share": found.start_share,
        "effective_half_life": {"value": found.half_life, "unit": "h"},
        "biological_half_life": {"value": biological, "unit": "h"},
        "model": found.model,
        "by_aicc": found.by_aicc,
        "model_sd": found.model_sd,
        "candidates": dict(found.candidates),
        "aicc": dict(found.aicc),
        "curve": _curve(region, found, job),
        "measurements": [
            {"time": float(time), "activity": float(value), "sd": float(sd), "fitted": fitted}
            for time, value, sd, fitted in zip(
                region.time, region.activity, region.sd, found.predicted, strict=True
            )
        ],
    }
    if own is not None:
        flags.add("cross_dose_missing")
        result["mass"] = {"value": own.mass, "unit": "g"}
        result["dose"] = {
            "electrons": own.electrons, "kept": own.kept, "photons": own.photons,
            "total": own.total, "sd": own.sd, "sd_shared": own.sd_shared,
            "low": own.interval[0], "high": own.interval[1], "unit": "Gy", "from": "sphere model",
        }  # fmt: skip
        if job.given is not None:
            result["dose_per_activity"] = {"value": own.total / job.given * 1e3, "unit": "Gy/GBq"}
        if own.bed is not None:
            result["biologically_effective_dose"] = {"value": own.bed, "unit": "Gy"}
    result["flags"] = sorted(flags)
    return result


def _curve(region: Region, found: Decays, job: Job) -> list[tuple[float, float]]:
    """The model's activity (h, MBq) to twice the last time; none where a rule has no curve."""
    last = float(region.time[-1])
    # close together where uptake is, and evenly from there on
    early = np.geomspace(last / 1000, last, CURVE)
    time = np.unique([0.0, *early, *np.linspace(0.0, 2 * last, CURVE)])
    values = curve(found, time, job.rate)
    if not np.isfinite(values).all():
        return []
    return [(float(at), float(value)) for at, value in zip(time, values, strict=True)]


def _biological(effective: float, rate: float) -> float:
    """Half-life without decay in h; infinite where the effective one is the physical."""
    left = np.log(2) / effective - rate if effective > 0 else float("nan")
    if not np.isfinite(left):
        return float("nan")
    return float(np.log(2) / left) if left > 1e-9 * rate else float("inf")


def _residence(found: Decays, given: float | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return _entry(
        found.value / given, found.sd / given,
        (found.interval[0] / given, found.interval[1] / given), "h",
    )  # fmt: skip


def _entry(value: float, sd: float, ends: tuple[float, float], unit: str) -> dict[str, Any]:
    return {"value": value, "sd": sd, "low": ends[0], "high": ends[1], "unit": unit}


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """Results as a table for the eye: a line per region, its flags beneath."""
    lines = ["region\tTIA (MBq h)\ttail\tTeff (h)\tmass (g)\tdose (Gy)\tmodel"]
    for one in found:
        who = " ".join(str(one[key]) for key in ("subject", "region") if key in one)
        integral = one.get("time_integrated_activity")
        own = one.get("dose")
        cells = [
            who,
            _shown(integral["value"], integral["sd"], 6) if integral else "",
            f"{100 * one['tail_share']:.0f} %" if integral else "",
            f"{one['effective_half_life']['value']:.4g}" if integral else "",
            f"{one['mass']['value']:.4g}" if "mass" in one else "",
            _shown(own["total"], own["sd"], 4) if own else "",
            str(one.get("model", "")),
        ]
        lines.append("\t".join(cells))
        if one["flags"]:
            lines.append(f"  ({', '.join(one['flags'])})")
    return "\n".join(lines)


def _shown(value: float, sd: float, digits: int) -> str:
    """A number with its standard deviation where that is known."""
    return f"{value:.{digits}g}" + (f" ± {sd:.2g}" if np.isfinite(sd) else "")
