"""Response by tracer uptake: the scans, and PERCIST 1.0.

PERCIST (doi:10.2967/jnumed.108.057307; O and Wahl, doi:10.1148/radiol.2016142043) holds the hottest
lesion of a scan against the hottest of the baseline, whether or not they are the same lesion.
The thresholds come from the caller; boundaries are decided in exact arithmetic
(`igdd.kernels.response.exact`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from igdd.errors import InputError
from igdd.kernels.response import Verdict, exact, falls, percent, rises


@dataclass(frozen=True, kw_only=True)
class Uptake:
    """One scan; the first of a sequence is the baseline.

    peaks       lesion -> SULpeak (PERCIST), SUV (EORTC) or mean uptake; None where not measured
    amounts     lesion -> total lesion glycolysis
    extents     lesion -> longest dimension in mm
    new         names of the new lesions
    others      non-target disease, as `igdd.kernels.response.Visit` has it
    reference   mean and standard deviation of the healthy liver; of the blood pool
    background  uptake below which a lesion is not told from its surroundings
    minutes, dose   from injection to scan; net activity in any one unit
    after_cycles    cycles of treatment before the scan
    """

    name: str
    peaks: Mapping[str, float | None]
    amounts: Mapping[str, float | None] = field(default_factory=dict)
    extents: Mapping[str, float | None] = field(default_factory=dict)
    new: tuple[str, ...] = ()
    others: str = "none"
    liver: tuple[float, float] | None = None
    blood: tuple[float, float] | None = None
    background: float | None = None
    minutes: float | None = None
    dose: float | None = None
    after_cycles: int | None = None
    day: float | None = None

    def __post_init__(self) -> None:
        for values in (self.peaks, self.amounts, self.extents):
            for lesion, value in values.items():
                if value is not None and not np.isfinite(value):
                    raise InputError(
                        f"scan {self.name}: {lesion} has the value {value}; expected a finite "
                        "number, or nothing where it was not measured"
                    )


@dataclass(frozen=True, kw_only=True)
class PercistRule:
    """Thresholds of PERCIST 1.0; percentages, SUL in g/mL, minutes."""

    decrease: Fraction
    decrease_sul: Fraction
    increase: Fraction
    increase_sul: Fraction
    increase_inclusive: bool
    amount_increase: Fraction
    amount_needs_no_decline: bool
    liver_factor: Fraction
    blood_factor: Fraction
    deviations: Fraction
    blood_deviations: Fraction
    earliest_minutes: Fraction
    latest_minutes: Fraction
    minutes_apart: Fraction
    liver_percent: Fraction
    liver_sul: Fraction
    dose_percent: Fraction


def measurable_from(scan: Uptake, rule: PercistRule) -> tuple[Fraction, str] | None:
    """Lowest SULpeak of a measurable lesion, by the liver, else the blood pool; None unknown."""
    if scan.liver is not None:
        mean, sd = (exact(one) for one in scan.liver)
        found = rule.liver_factor * mean + rule.deviations * sd
        return found, f"{text(rule.liver_factor)} x liver mean + {text(rule.deviations)} SD"
    if scan.blood is not None:
        mean, sd = (exact(one) for one in scan.blood)
        found = rule.blood_factor * mean + rule.blood_deviations * sd
        return found, f"{text(rule.blood_factor)} x blood mean + {text(rule.blood_deviations)} SD"
    return None


def comparable(
    baseline: Uptake, scan: Uptake, rule: PercistRule
) -> tuple[list[str], list[str], list[str]]:
    """What forbids comparing two scans, what is only worth a warning, and what is not known."""
    wrong: list[str] = []
    warned: list[str] = []
    unknown: list[str] = []
    times = (baseline.minutes, scan.minutes)
    for one in (baseline, scan):
        if one.minutes is None:
            unknown.append(f"uptake time of {one.name}")
        elif exact(one.minutes) < rule.earliest_minutes:
            wrong.append(f"{one.name} began {one.minutes:g} min after injection, before "
                         f"{text(rule.earliest_minutes)} min")  # fmt: skip
        elif exact(one.minutes) > rule.latest_minutes:
            warned.append(f"{one.name} began {one.minutes:g} min after injection, after "
                          f"{text(rule.latest_minutes)} min")  # fmt: skip
    if times[0] is not None and times[1] is not None:
        apart = abs(exact(times[0]) - exact(times[1]))
        if apart > rule.minutes_apart:
            wrong.append(f"uptake times differ by {text(apart)} min, more than "
                         f"{text(rule.minutes_apart)} min")  # fmt: skip
    _compare_liver(baseline, scan, rule, (wrong, unknown))
    if baseline.dose is None or scan.dose is None:
        unknown.append("injected activity")
    elif abs(exact(scan.dose) - exact(baseline.dose)) * 100 > rule.dose_percent * exact(
        baseline.dose
    ):
        warned.append(f"injected activities differ by more than {text(rule.dose_percent)} %")
    return wrong, warned, unknown


def _compare_liver(
    baseline: Uptake, scan: Uptake, rule: PercistRule, said: tuple[list[str], list[str]]
) -> None:
    """Add to (wrong, unknown) what the livers, or blood pools, of two scans say."""
    for place in ("liver", "blood"):
        early, late = getattr(baseline, place), getattr(scan, place)
        if early is None or late is None:
            continue
        before, now = exact(early[0]), exact(late[0])
        apart = abs(now - before)
        if 100 * apart > rule.liver_percent * before or apart > rule.liver_sul:
            said[0].append(
                f"{place} mean went from {text(before)} to {text(now)} SUL; at most "
                f"{text(rule.liver_percent)} % and {text(rule.liver_sul)} SUL are allowed"
            )
        return
    said[1].append("liver or blood pool in both scans")


def percist(scans: Sequence[Uptake], rule: PercistRule) -> list[Verdict]:
    """PERCIST verdict of every scan after the baseline: CMR, PMR, SMD, PMD or NE."""
    baseline = baseline_of(scans)
    return [_percist(baseline, scan, rule) for scan in scans[1:]]


def baseline_of(scans: Sequence[Uptake]) -> Uptake:
    """The first scan, after checking that every lesion was measured in it."""
    if not scans:
        raise InputError("no scan; expected a baseline and at least one scan after it")
    lacking = [name for name, value in scans[0].peaks.items() if value is None]
    if lacking:
        raise InputError(
            f"scan {scans[0].name}: {lacking[0]} has no uptake at baseline; expected a value of "
            "every lesion"
        )
    return scans[0]


def hottest(scan: Uptake) -> tuple[str, Fraction] | None:
    """The lesion of highest uptake and its value; of several the first by name."""
    known = [(name, exact(value)) for name, value in scan.peaks.items() if value is not None]
    return min(known, key=lambda one: (-one[1], one[0])) if known else None


def up_to_five(
    scan: Uptake, organs: Mapping[str, str], most: int = 5, most_per_organ: int = 2
) -> tuple[str, ...]:
    """The hottest lesions, so many and so many an organ; an unknown organ is each its own."""
    known = [(name, exact(value)) for name, value in scan.peaks.items() if value is not None]
    chosen: list[str] = []
    for name, _ in sorted(known, key=lambda one: (-one[1], one[0])):
        organ = organs.get(name, name)
        if sum(organs.get(one, one) == organ for one in chosen) < most_per_organ:
            chosen.append(name)
    return tuple(chosen[:most])


def _percist(baseline: Uptake, scan: Uptake, rule: PercistRule) -> Verdict:
    before, now = hottest(baseline), hottest(scan)
    trace: list[str] = []
    if before is None:
        return verdict_of(scan, "NE", (None, None), ["no lesion at baseline: NE"])
    wrong, warned, unknown = comparable(baseline, scan, rule)
    trace += [f"warning: {one}" for one in warned]
    trace += [f"not known: {', '.join(unknown)}"] if unknown else []
    limit = measurable_from(baseline, rule)
    if limit is not None:
        trace.append(f"measurable from {text(limit[0])} SUL ({limit[1]} at baseline)")
    lacking = [name for name in baseline.peaks if scan.peaks.get(name) is None]
    if scan.new:
        trace.append(f"new: {', '.join(scan.new)}: PMD")
        return verdict_of(scan, "PMD", (before[1], now[1] if now else None), trace)
    if wrong:
        return verdict_of(scan, "NE", (before[1], now[1] if now else None),
                        [*trace, *wrong, "the scans cannot be compared: NE"])  # fmt: skip
    if limit is not None and before[1] < limit[0]:
        trace.append(f"hottest lesion {before[0]} has {text(before[1])} SUL, not measurable: NE")
        return verdict_of(scan, "NE", (before[1], now[1] if now else None), trace)
    if now is None:
        return verdict_of(scan, "NE", (before[1], None), [*trace, "no lesion was measured: NE"])
    trace.append(
        f"hottest lesion: {before[0]} {text(before[1])} SUL, then {now[0]} {text(now[1])} SUL "
        f"({percent(now[1], before[1]):+.4g} %, {text(now[1] - before[1])} SUL)"
    )
    response, why = _metabolic((baseline, scan), (before[1], now[1]), lacking, rule)
    return verdict_of(scan, response, (before[1], now[1]), [*trace, why])


def _metabolic(
    scans: tuple[Uptake, Uptake],
    hot: tuple[Fraction, Fraction],
    lacking: list[str],
    rule: PercistRule,
) -> tuple[str, str]:
    """Response of two comparable scans without new lesions, and the step that decides."""
    baseline, scan = scans
    before, now = hot
    if scan.others in ("progressed", "grown"):
        return "PMD", "unequivocal progression of other lesions: PMD"
    if _up(now, before, rule):
        return "PMD", f"up by {text(rule.increase)} % and {text(rule.increase_sul)} SUL: PMD"
    spread = _more_amount(baseline, scan, now >= before, rule)
    if spread:
        return "PMD", spread
    if lacking:
        return "NE", f"not measured: {', '.join(lacking)}; no progression in the others: NE"
    cold = _cold(scan, now)
    if cold is not None and scan.others in ("none", "absent"):
        return "CMR", cold
    if falls(now, before, rule.decrease) and before - now >= rule.decrease_sul:
        hotter = _hotter(baseline, scan, rule)
        if hotter:
            return "SMD", f"the target responds, but {hotter} is hotter by the limit of PMD: SMD"
        return "PMR", f"down by {text(rule.decrease)} % and {text(rule.decrease_sul)} SUL: PMR"
    return "SMD", "neither PMR nor PMD: SMD"


def _more_amount(baseline: Uptake, scan: Uptake, holds: bool, rule: PercistRule) -> str:
    """What is said of a total lesion glycolysis that has risen beyond the limit, or nothing."""
    sums = totals(baseline.amounts, scan.amounts)
    if sums is None or (rule.amount_needs_no_decline and not holds):
        return ""
    if not 100 * (sums[1] - sums[0]) > rule.amount_increase * sums[0]:
        return ""
    return (
        f"total lesion glycolysis up by {percent(sums[1], sums[0]):.4g} %, more than "
        f"{text(rule.amount_increase)} %: PMD"
    )


def _up(now: Fraction, before: Fraction, rule: PercistRule) -> bool:
    if rule.increase_inclusive:
        return rises(now, before, rule.increase, rule.increase_sul)
    return 100 * (now - before) > rule.increase * before and now - before > rule.increase_sul


def _hotter(baseline: Uptake, scan: Uptake, rule: PercistRule) -> str:
    """The first lesion of the baseline that by itself has risen by the limits of progression."""
    for name, value in sorted(baseline.peaks.items()):
        later = scan.peaks.get(name)
        if value is not None and later is not None and _up(exact(later), exact(value), rule):
            return name
    return ""


def _cold(scan: Uptake, now: Fraction) -> str | None:
    """Why no lesion is told from background any more, or None."""
    if scan.liver is None or not now < exact(scan.liver[0]):
        return None
    ground = scan.background if scan.background is not None else (scan.blood or (None,))[0]
    if ground is None or now > exact(ground):
        return None
    return (
        f"every lesion below the liver's mean {scan.liver[0]:g} and not above the background's "
        f"{ground:g} SUL: CMR"
    )


def totals(
    before: Mapping[str, float | None], now: Mapping[str, float | None]
) -> tuple[Fraction, Fraction] | None:
    """Sums over the lesions of the baseline, or None where one is not known."""
    pairs = [(value, now.get(name)) for name, value in before.items()]
    known = [(early, late) for early, late in pairs if early is not None and late is not None]
    if not known or len(known) < len(pairs):
        return None
    return (
        sum((exact(early) for early, _ in known), Fraction(0)),
        sum((exact(late) for _, late in known), Fraction(0)),
    )


def verdict_of(
    scan: Uptake, response: str, values: tuple[Fraction | None, Fraction | None], trace: list[str]
) -> Verdict:
    """The verdict of a scan with its change between two values, where both are known."""
    before, now = values
    change = percent(now, before) if before is not None and now is not None else float("nan")
    return Verdict(
        visit=scan.name,
        response=response,
        target=response,
        total=float("nan") if now is None else float(now),
        change=change,
        from_nadir=float("nan"),
        trace=tuple(trace),
        day=scan.day,
    )


def text(number: Fraction) -> str:
    """A number as it prints with 12 significant digits."""
    return f"{float(number):.12g}"
