"""Dose from every source: S values that the user brings, and the sphere where they have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io import s_value_table
from igdd.kernels.organ_dose import marrow_to_blood, mird_sum, scaled_to_mass
from igdd.metrics._decays import Decays
from igdd.metrics._region_dose import DECAYS, RegionDose, effective_dose
from igdd.stages.dose_regions import Job, Region

BLOOD, MARROW = "blood", "red_marrow"
# A region with its decays and, where its mass is known, its own dose.
Solved = tuple[Region, Decays, RegionDose | None]


def marrow(
    found: Sequence[Solved], hematocrit: float, job: Job, source: str
) -> list[dict[str, Any]]:
    """Red marrow of each subject from its blood: decays per gram times 0.19 / (1 - Hct).

    The energy of electrons and alphas stays where it is sent out; photons are not counted.
    """
    bloods = [one for one in found if one[0].name.lower() == BLOOD]
    if not bloods or any(one[0].name.lower() == MARROW for one in found):
        raise InputError(
            f"{source}: red marrow from blood needs a region {BLOOD!r} and no region {MARROW!r}; "
            f"found {', '.join(one[0].name for one in found[:20])}"
        )
    rows = []
    for region, integral, own in bloods:
        if own is None:
            raise InputError(
                f"{source}: blood has no mass; expected a volume and a density, or a mass"
            )
        share = marrow_to_blood(hematocrit)
        total = share * own.electrons
        spread = abs(total) * own.sd / abs(own.total) if own.total else float("nan")
        head = {"subject": region.subject} if region.subject else {}
        entry = {
            "total": total, "sd": spread, "sd_shared": abs(total) * job.doubt.calibration,
            "unit": "Gy", "from": "blood", "marrow_to_blood": share,
        }  # fmt: skip
        flags = sorted({*integral.flags, "marrow_from_blood", "cross_dose_missing"})
        rows.append({**head, "region": MARROW, "dose": entry, "flags": flags})
    return rows


def with_others(
    results: list[dict[str, Any]],
    found: Sequence[Solved],
    table: s_value_table.SValues,
    job: Job,
) -> list[dict[str, Any]]:
    """Results with dose from every source, by S values; targets without activity come last."""
    subjects = dict.fromkeys(region.subject for region, _, _ in found)
    complete = []
    for subject in subjects:
        mine = [one for one in found if one[0].subject == subject]
        rows = [result for result in results if result.get("subject", "") == subject]
        kept, others = rows[: len(mine)], rows[len(mine) :]
        complete += _of_subject(subject, kept, mine, table, job) + others
    return complete


def _of_subject(
    subject: str,
    rows: list[dict[str, Any]],
    mine: Sequence[Solved],
    table: s_value_table.SValues,
    job: Job,
) -> list[dict[str, Any]]:
    names = [region.name for region, _, _ in mine]
    targets = [*names, *(target for target in table.targets if target not in names)]
    unknown = [name for name in names if not any(source == name for _, source in table.values)]
    numbers = np.array([found.value * DECAYS for _, found, _ in mine])
    spreads = np.array([np.nan_to_num(found.sd) * DECAYS for _, found, _ in mine])
    for place, target in enumerate(targets):
        s_values, own_from = np.zeros(len(names)), "S values"
        for column, source in enumerate(names):
            s_values[column] = table.values.get((target, source), 0.0)
        if target in names:
            own = mine[place][2]
            s_values[place], own_from = _own_s(table, target, own, numbers[place])
        total = float(mird_sum(s_values[None], numbers)[0])
        cross = total - (float(s_values[place] * numbers[place]) if target in names else 0.0)
        spread = np.sqrt(np.sum((s_values * spreads) ** 2))
        shared = total * job.doubt.calibration
        entry = {
            "total": total, "cross": cross, "sd": float(np.hypot(spread, shared)),
            "sd_shared": shared, "unit": "Gy", "from": own_from,
        }  # fmt: skip
        if target in names:
            entry = _joined(rows[place], entry, mine[place], job)
            flags = set(rows[place]["flags"]) - {"cross_dose_missing"}
            flags |= {"cross_dose_missing"} if unknown else set()
            rows[place] |= {"dose": entry, "flags": sorted(flags)}
            continue
        head = {"subject": subject} if subject else {}
        rows.append({**head, "region": target, "dose": entry, "flags": ["own_activity_missing"]})
    return rows


def _joined(
    row: Mapping[str, Any],
    entry: dict[str, Any],
    mine: Solved,
    job: Job,
) -> dict[str, Any]:
    """A region's dose with the parts by its own sphere beside it, and with its mass's doubt."""
    _, found, own = mine
    if own is not None and own.total:
        self_part = entry["total"] - entry["cross"]
        cv = own.sd / own.total if np.isfinite(own.sd) else 0.0
        entry["sd"] = float(np.hypot(self_part * cv, entry["cross"] * job.doubt.calibration))
        entry |= {"electrons": own.electrons, "kept": own.kept, "photons": own.photons}
    if job.biology is not None:
        row_bed = effective_dose(entry["total"], found.half_life, job.biology)
        entry["biologically_effective"] = row_bed
    return entry


def _own_s(
    table: s_value_table.SValues, target: str, own: RegionDose | None, number: float
) -> tuple[float, str]:
    """Self S value in Gy per decay, and where it is from: the table, scaled, or the sphere."""
    value = table.values.get((target, target))
    reference = table.masses.get(target)
    if value is None:
        if own is None or not number:
            return float("nan"), "no mass and no own S value"
        return own.total / number, "sphere model and S values"
    if own is None or reference is None:
        return value, "S values, of the reference mass"
    scaled = scaled_to_mass(np.array([value]), np.array([reference]), np.array([own.mass]))
    return float(scaled[0]), "S values, scaled to the mass"
