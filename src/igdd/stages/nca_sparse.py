"""Exposure of a table of sparse samples: a different animal at each time, or batches of animals.

One result per group and organ, not per subject. The mean at each time carries the exposure, and the
scatter between animals its standard error; 95 % limits are Student's t on the log scale. With the
name of the organ that is the plasma, every other organ gets its Kp; between two groups, the
difference and the ratio of what they were exposed to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from igdd.errors import InputError
from igdd.io.profile_table import Samples, read
from igdd.kernels import sparse_exposure as sparse
from igdd.kernels.profiles import ROUTES, Route
from igdd.kernels.sparse_comparison import (
    bootstrap_difference,
    difference,
    interval,
    log_interval,
    p_value,
)
from igdd.kernels.sparse_means import Sparse
from igdd.kernels.tissue_ratio import TissueRatio, independent_ratio, paired_ratio
from igdd.stages.nca import cdisc, check_choice, duration
from igdd.stages.nca_profiles import Profile, profiles
from igdd.stages.nca_units import Dose, read_dose, unit_of

TAIL = 3
MOST_TIMES = 100
SEED = 1  # of the bootstrap: the same table gives the same limits


@dataclass(frozen=True, kw_only=True, eq=False)
class _Arm:
    """Samples of one group in one organ: (animal, time), NaN where an animal was not sampled."""

    group: str
    organ: str
    animals: tuple[str, ...]
    times: np.ndarray
    values: np.ndarray
    flags: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Whether a time has a single animal."""
        return bool((np.isfinite(self.values).sum(axis=0) < 2).any())

    @property
    def serial(self) -> bool:
        """Whether each animal gave one sample."""
        return bool((np.isfinite(self.values).sum(axis=1) == 1).all())


@dataclass(frozen=True, kw_only=True)
class _Plan:
    route: Route
    infusion: float
    dose: Dose
    tail_mean: sparse.TailMean
    start: sparse.Start


def nca_sparse(
    table: Path | str,
    *,
    dose: str | None = None,
    route: str = "extravascular",
    infusion_time: str | None = None,
    time_unit: str | None = None,
    concentration_unit: str | None = None,
    tail_mean: str = "geometric",
    plasma: str | None = None,
    between: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Exposure of each group and organ with its standard error, by CDISC code.

    tail_mean  of the terminal phase: geometric, or arithmetic where values are at or below zero
    plasma     organ that the others are divided by: adds KP, of the same animals where the table
               has them
    between    two groups: adds their difference and ratio, second against first
    """
    check_choice("route", route, ROUTES)
    check_choice("tail mean", tail_mean, ("geometric", "arithmetic"))
    samples = read(Path(table), time_unit, concentration_unit)
    plan = _Plan(
        route=cast(Route, route),
        infusion=duration(route, infusion_time, samples.time_unit),
        dose=read_dose(dose, samples.unit),
        tail_mean=cast(sparse.TailMean, tail_mean),
        start="bolus" if route == "bolus" else "zero",
    )
    arms = _arms(samples)
    found = {(arm.group, arm.organ): _exposure(arm, plan) for arm in arms}
    results = [_result(samples, arm, found[arm.group, arm.organ], plan) for arm in arms]
    if plasma is not None:
        for arm, result in zip(arms, results, strict=True):
            if arm.organ != plasma:
                result["parameters"]["KP"] = _partition(arm, _other(arms, arm.group, plasma), plan)
    if between is not None:
        results += _comparisons(samples, arms, between, plan)
    return results


def _arms(samples: Samples) -> list[_Arm]:
    """Samples by group and organ, in the order in which the table names them first."""
    if samples.below.any():
        raise InputError(
            f"{samples.source}: line {samples.line[samples.below][0]} is below the limit without a "
            "number; expected a number in every row of a sparse design, for a mean needs all its "
            "animals: write what was read, or 0"
        )
    members: dict[tuple[str, str], list[Profile]] = {}
    for profile in profiles(samples):
        members.setdefault((profile.group, profile.organ), []).append(profile)
    return [_arm(*key, mine) for key, mine in members.items()]


def _arm(group: str, organ: str, members: list[Profile]) -> _Arm:
    members = [one for one in members if one.times.size]
    where = " ".join(filter(None, (group, organ))) or "the table"
    times = np.unique(np.concatenate([[], *(one.times for one in members)]))
    if not 2 <= times.size <= MOST_TIMES:
        raise InputError(
            f"{where}: {times.size} sampling times after the dose; expected 2 to {MOST_TIMES}; "
            "a mean needs animals at nominal times"
        )
    values = np.full((len(members), times.size), np.nan)
    for row, one in enumerate(members):
        values[row, np.searchsorted(times, one.times)] = one.values
    return _Arm(
        group=group,
        organ=organ,
        animals=tuple(one.subject for one in members),
        times=times,
        values=values,
        flags=tuple(sorted({flag for one in members for flag in one.flags})),
    )


def _spread(arm: _Arm) -> sparse.Spread:
    """Scatter of each time's own animals, or of all times where one has a single animal."""
    return "pooled" if arm.alone and arm.serial else "own"


def _exposure(arm: _Arm, plan: _Plan, values: np.ndarray | None = None) -> sparse.SparseExposure:
    return sparse.exposure(
        arm.values if values is None else values,
        arm.times,
        tail=min(TAIL, arm.times.size),
        tail_mean=plan.tail_mean,
        dose=plan.dose.value if plan.dose.value > 0 else float("nan"),
        infusion=plan.infusion,
        start=plan.start,
        spread=_spread(arm),
    )


def _result(
    samples: Samples, arm: _Arm, found: sparse.SparseExposure, plan: _Plan
) -> dict[str, Any]:
    """One group and organ as the JSON holds it."""
    parameters = {}
    for code, one in found._asdict().items():
        if code == "VSSO" and plan.route == "extravascular":
            continue
        low, high = (float(limit) for limit in log_interval(one))
        kind = "MRTIFO" if code == "MRTHL" else code
        parameters[cdisc(code, plan.route) if code != "MRTHL" else code] = {
            "value": float(one.estimate),
            "unit": unit_of(kind, samples.time_unit, samples.unit, plan.dose),
            "flags": _flags(arm, code, one, plan),
            "sd": float(one.standard_error),
            "df": float(one.freedom),
            "low": low,
            "high": high,
        }
    who = {"subject": "all", "animals": len(set(arm.animals))}
    places = {"group": arm.group, "organ": arm.organ}
    return {**who, **{key: name for key, name in places.items() if name}, "parameters": parameters}


def _flags(arm: _Arm, code: str, found: Sparse, plan: _Plan) -> list[str]:
    flags = set(arm.flags)
    if _spread(arm) == "pooled":
        flags.add("scatter_pooled")
    if np.isfinite(found.estimate) and not np.isfinite(found.freedom):
        flags.add("scatter_unknown")
    if found.estimate <= 0:
        flags.add("estimate_not_positive")
    if code not in ("AUCLST", "CLO", "VSSO") and not np.isfinite(found.estimate):
        no_logarithm = plan.tail_mean == "geometric" and (arm.values[:, -TAIL:] <= 0).any()
        flags.add("tail_not_positive" if no_logarithm else "rising_tail")
    if code in ("CLO", "VSSO") and not plan.dose.value > 0:
        flags.add("dose_zero" if plan.dose.value == 0 else "dose_unknown")
    return sorted(flags)


def _other(arms: Sequence[_Arm], group: str, organ: str) -> _Arm:
    for arm in arms:
        if (arm.group, arm.organ) == (group, organ):
            return arm
    known = ", ".join(sorted({arm.organ for arm in arms if arm.group == group}))
    raise InputError(f"organ {organ!r} is not there in group {group!r}; expected one of: {known}")


def _partition(arm: _Arm, plasma: _Arm, plan: _Plan) -> dict[str, Any]:
    """Kp with its limits; what the two share in the same animals is taken from their covariance."""
    animals = list(dict.fromkeys([*arm.animals, *plasma.animals]))
    matrices = []
    for one in (arm, plasma):
        values = np.full((len(animals), one.times.size), np.nan)
        values[[animals.index(name) for name in one.animals]] = one.values
        matrices.append((values, one.times))
    found = paired_ratio(matrices[0], matrices[1], start=plan.start)
    return _ratio(found, {*arm.flags, *plasma.flags})


def _ratio(found: TissueRatio, flags: set[str]) -> dict[str, Any]:
    if np.isfinite(found.estimate) and not np.isfinite(found.low):
        flags = flags | {"interval_unbounded"}
    return {
        "value": float(found.estimate),
        "unit": "1",
        "flags": sorted(flags),
        "sd": float(found.standard_error),
        "df": float(found.freedom),
        "low": float(found.low),
        "high": float(found.high),
        "method": "Fieller" if bool(found.by_fieller) else "log-delta",
    }


def _comparisons(
    samples: Samples, arms: Sequence[_Arm], between: tuple[str, str], plan: _Plan
) -> list[dict[str, Any]]:
    """Difference and ratio of the areas of two groups, organ by organ, second against first."""
    organs = [arm.organ for arm in arms if arm.group == between[0]]
    if not organs:
        known = ", ".join(sorted({arm.group for arm in arms}))
        raise InputError(f"group {between[0]!r} is not there; expected two of: {known}")
    return [
        _comparison(samples, _other(arms, between[0], organ), _other(arms, between[1], organ), plan)
        for organ in organs
    ]


def _comparison(samples: Samples, first: _Arm, second: _Arm, plan: _Plan) -> dict[str, Any]:
    """Two groups in one organ: t and bootstrap-t limits of the difference, limits of the ratio."""
    if set(first.animals) & set(second.animals):
        raise InputError(
            f"groups {first.group!r} and {second.group!r} share animals; expected other animals "
            "in each; name them apart"
        )
    parameters = {}
    for code in ("AUCLST", "AUCIFO"):
        one, other = (getattr(_exposure(arm, plan), code) for arm in (first, second))
        found = difference(one, other)
        low, high = (float(limit) for limit in interval(found))
        flags = {*_flags(first, code, one, plan), *_flags(second, code, other, plan)}
        entry: dict[str, Any] = {
            "value": float(found.estimate),
            "unit": unit_of(code, samples.time_unit, samples.unit, plan.dose),
            "flags": sorted(flags),
            "sd": float(found.standard_error),
            "df": float(found.freedom),
            "low": low,
            "high": high,
            "p": float(p_value(found)),
        }
        if _spread(first) == _spread(second) == "own":
            entry["bootstrap_low"], entry["bootstrap_high"] = _drawn(first, second, code, plan)
        parameters[f"{code}_difference"] = entry
        parameters[f"{code}_ratio"] = _ratio(independent_ratio(other, one), flags)
    where = {"organ": first.organ} if first.organ else {}
    who = {"subject": "all", "between": [first.group, second.group], **where}
    return {**who, "parameters": parameters}


def _drawn(first: _Arm, second: _Arm, code: str, plan: _Plan) -> tuple[float, float]:
    """Bootstrap-t limits of the difference of one parameter."""

    def quantity(arm: _Arm, values: np.ndarray) -> Sparse:
        return cast(Sparse, getattr(_exposure(arm, plan, values), code))

    return bootstrap_difference(
        (first.values, second.values),
        (partial(quantity, first), partial(quantity, second)),
        np.random.default_rng(SEED),
    )


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """Parameters as a table for the eye: a line each, with 95 % limits and flags."""
    lines = []
    for result in found:
        between = result.get("between")
        parts = [f"{between[1]} against {between[0]}"] if between else [result.get("group", "")]
        who = " ".join(filter(None, [*parts, result.get("organ", "")])) or "all"
        for code, entry in result["parameters"].items():
            flags = f"  ({', '.join(entry['flags'])})" if entry["flags"] else ""
            limits = f"[{entry['low']:.6g}, {entry['high']:.6g}]"
            lines.append(f"{who}\t{code:18} {entry['value']:12.6g} {limits} {entry['unit']}{flags}")
    return "\n".join(lines)
