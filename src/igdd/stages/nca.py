"""Non-compartmental analysis of a table: who was exposed to how much, for how long.

One profile per subject, group and organ; its parameters under their CDISC codes, each with unit and
flags. A wrong table is an error; a profile that gives no answer is NaN and a flag (docs/nca.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from igdd import units
from igdd.errors import InputError
from igdd.io.profile_table import Samples, read
from igdd.kernels.exposure import RULES, Rule, disposition, noncompartmental, partial_area
from igdd.kernels.profiles import PLACES, ROUTES, Route, below_limit
from igdd.metrics._nca_flags import flags_of
from igdd.stages.nca_profiles import Profile, batches, grid, profiles
from igdd.stages.nca_units import Dose, read_dose, unit_of

# Codes of the kernel -> CDISC, where the name depends on the route.
OVER_F = {"CLO": "CLFO", "CLP": "CLFP", "VZO": "VZFO", "VZP": "VZFP"}
AFTER_BOLUS = frozenset({"C0", "AUCPBEO", "AUCPBEP"})
SHOWN = (
    "CMAX", "TMAX", "CLST", "AUCLST", "AUCIFO", "AUCPEO", "LAMZHL", "R2ADJ", "CLO", "CLFO", "VZO",
    "VZFO", "VSSO", "C0", "AUCINT",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How a call analyses its profiles, in the table's units."""

    route: Route
    rule: Rule
    infusion: float
    dose: Dose
    limit: float
    limit_sd: float
    below: str
    span: tuple[float, float] | None


def nca(
    table: Path | str,
    *,
    dose: str | None = None,
    route: str = "extravascular",
    infusion_time: str | None = None,
    auc: str = "linear",
    time_unit: str | None = None,
    concentration_unit: str | None = None,
    limit: str | None = None,
    limit_sd: float | None = None,
    below: str = "as-given",
    interval: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Non-compartmental parameters of every profile of a table, by CDISC code.

    table     columns subject, time, concentration, optional group and organ
    dose      "320 mg", "5 mg/kg", "100 %"; without it there is no clearance and no volume
    route     extravascular, bolus, or infusion with `infusion_time`
    auc       linear, linear-up-log-down or linear-log
    limit     of quantification; values below it do not enter the terminal regression
    limit_sd  the limit as a multiple of each value's own standard deviation (column sd)
    below     what stands for them: as-given, zero, drop, middle-dropped, half-after-peak
    interval  times between which a partial area is given, as AUCINT
    """
    check_choice("route", route, ROUTES)
    check_choice("AUC rule", auc, RULES)
    check_choice("below", below, tuple(PLACES))
    samples = read(Path(table), time_unit, concentration_unit)
    time, unit = samples.time_unit, samples.unit
    plan = _Plan(
        route=cast(Route, route),
        rule=cast(Rule, auc),
        infusion=duration(route, infusion_time, time),
        dose=read_dose(dose, unit),
        limit=_limit(limit, unit),
        limit_sd=_limit_sd(limit_sd, samples),
        below=below,
        span=None if interval is None else _span(interval, time),
    )
    return _analyse(samples, profiles(samples), plan)


def check_choice(name: str, found: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is not among those known."""
    if found not in known:
        raise InputError(f"{name} is {found!r}; expected one of {', '.join(known)}")


def duration(route: str, text: str | None, time: str) -> float:
    """Duration of the infusion in the table's unit of time; 0 for the other routes.

    >>> duration("infusion", "15 min", "h")
    0.25
    """
    if (route == "infusion") != (text is not None):
        raise InputError(
            f"route {route!r} {'without' if text is None else 'with'} an infusion time; expected "
            "it for an infusion and for no other route, such as --infusion-time '0.25 h'"
        )
    if text is None:
        return 0.0
    found = units.read(text, time)
    if not found > 0:
        raise InputError(f"infusion time {text!r}; expected one above zero")
    return found


def _limit(text: str | None, unit: str) -> float:
    """The limit of quantification in the table's unit; NaN where none was given."""
    if text is None:
        return float("nan")
    found = units.read(text, unit)
    if not found > 0:
        raise InputError(f"limit {text!r}; expected one above zero, or none")
    return found


def _limit_sd(multiple: float | None, samples: Samples) -> float:
    """How many standard deviations of its own a value must reach; NaN where nobody said."""
    if multiple is None:
        return float("nan")
    if not 0 < multiple < np.inf:
        raise InputError(f"limit of {multiple:g} standard deviations; expected one above zero")
    unknown = np.isnan(samples.sd) & np.isfinite(samples.value)
    if unknown.any():
        raise InputError(
            f"{samples.source}: line {samples.line[unknown][0]} has no sd; expected one for every "
            "concentration where the limit is a multiple of it"
        )
    return multiple


def _span(interval: tuple[str, str], time: str) -> tuple[float, float]:
    start, stop = (units.read(text, time) for text in interval)
    return start, stop


def _analyse(samples: Samples, found: list[Profile], plan: _Plan) -> list[dict[str, Any]]:
    """A result of each profile, in order; those of like length go through the kernels together."""
    if samples.below.any() and plan.below == "as-given":
        raise InputError(
            f"{samples.source}: line {samples.line[samples.below][0]} is below the limit without a "
            f"number; expected to be told what stands for it: below {', '.join(list(PLACES)[1:])}"
        )
    results: dict[int, dict[str, Any]] = {}
    for places in batches(found):
        some = [found[place] for place in places]
        results |= zip(places, _batch(samples, some, plan), strict=True)
    return [results[place] for place in range(len(found))]


def _batch(samples: Samples, found: list[Profile], plan: _Plan) -> list[dict[str, Any]]:
    """Parameters of some profiles in one call of each kernel, and a result of each."""
    times, values, sd, marked = grid(found)
    # The higher of the two limits counts, where both are given.
    limits = np.fmax(plan.limit, plan.limit_sd * sd)
    under = marked | (values < limits)
    filled = below_limit(np.where(marked, 0.0, values), under, limits, PLACES[plan.below])
    measured = ~under & (values > 0)
    columns = _columns(times, filled, measured, plan)
    shown = {
        code: (
            cdisc(code, plan.route),
            unit_of(code, samples.time_unit, samples.unit, plan.dose),
        )
        for code in columns
        if _applies(code, plan.route)
    }
    keys = ["subject", *(key for key in ("group", "organ") if any(getattr(samples, key)))]
    results = []
    for row, profile in enumerate(found):
        numbers = {code: float(column[row]) for code, column in columns.items()}
        points = times[row], filled[row], measured[row]
        flags = flags_of(numbers, numbers, points, plan.route, plan.dose.value)
        if plan.span is not None and plan.span[1] > numbers["TLST"]:
            flags["AUCINT"] = sorted({*flags["AUCINT"], *flags["LAMZ"], "interval_beyond_last"})
        own = (*profile.flags, *(("below_limit",) if under[row].any() else ()))
        parameters = {
            name: {"value": numbers[code], "unit": unit, "flags": sorted({*flags[code], *own})}
            for code, (name, unit) in shown.items()
        }
        results.append({**{key: getattr(profile, key) for key in keys}, "parameters": parameters})
    return results


def _columns(
    times: np.ndarray, values: np.ndarray, measured: np.ndarray, plan: _Plan
) -> dict[str, np.ndarray]:
    """Every parameter of every profile, by the kernels' codes."""
    how: dict[str, Any] = {
        "route": plan.route, "rule": plan.rule, "infusion": plan.infusion, "measured": measured,
    }  # fmt: skip
    exposure = noncompartmental(times, values, **how)
    given = plan.dose.value if plan.dose.value > 0 else float("nan")
    columns = {
        **exposure._asdict(),
        **disposition(exposure, plan.dose.value, plan.route)._asdict(),
        "CMAXD": exposure.CMAX / given,
        "AUCIFOD": exposure.AUCIFO / given,
        "AUCIFPD": exposure.AUCIFP / given,
    }
    if plan.span is not None:
        columns["AUCINT"] = partial_area(times, values, plan.span, **how)
    return columns


def _applies(code: str, route: str) -> bool:
    if code in AFTER_BOLUS:
        return route == "bolus"
    if code == "TLAG":
        return route == "extravascular"
    return not (code.startswith("VSS") and route == "extravascular")


def cdisc(code: str, route: str) -> str:
    """CDISC code of a kernel's parameter after a route.

    >>> cdisc("CLO", "extravascular"), cdisc("MRTIFO", "bolus")
    ('CLFO', 'MRTIVIFO')
    """
    if code.startswith("MRT"):
        return f"MRT{'EV' if route == 'extravascular' else 'IV'}{code[3:]}"
    return OVER_F.get(code, code) if route == "extravascular" else code


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """Parameters as a table for the eye: a line per profile and parameter, with its flags."""
    lines = []
    for result in found:
        who = " ".join(str(result[key]) for key in ("subject", "group", "organ") if key in result)
        for code, entry in result["parameters"].items():
            if code in SHOWN:
                flags = f"  ({', '.join(entry['flags'])})" if entry["flags"] else ""
                lines.append(f"{who}\t{code:6} {entry['value']:12.6g} {entry['unit']}{flags}")
    return "\n".join(lines)
