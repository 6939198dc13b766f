"""Response by size: what the sum of target diameters, its nadir and attenuation say, and overall.

RECIST 1.1 (doi:10.1016/j.ejca.2008.10.026), mRECIST (doi:10.1055/s-0030-1247132) and Choi
(doi:10.1200/JCO.2006.07.3049) are one rule with other numbers; the numbers come from the caller.
Every verdict carries its trace: what was found, what it was held against, what followed.

A boundary is decided in exact arithmetic: a measurement is the decimal number with 12 significant
digits that it prints as, so that 0.7 x 100 mm is 70 mm and not 70.00000000000001.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np

from igdd.errors import InputError

# Digits to which a measurement is taken as reported; rounding errors of float lie far below.
DIGITS = 12

OTHERS = ("none", "absent", "present", "progressed", "grown", "not_evaluated")


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """Thresholds of a criterion on the sum of diameters.

    decrease, increase    percent of the baseline and of the reference of progression
    increase_mm           that progression must also reach, in mm
    progression_from      "nadir" (the smallest sum so far, baseline included) or "baseline"
    node_normal_mm        short axis in mm below which a node is normal
    attenuation_decrease  percent of the baseline's mean HU that is a response, or None
    both                  whether size and attenuation must both fall (modified Choi)
    response_days, stable_days  from one response to its confirmation; from baseline to stable
    """

    name: str
    decrease: Fraction
    increase: Fraction
    increase_mm: Fraction = Fraction(0)
    progression_from: Literal["nadir", "baseline"] = "nadir"
    node_normal_mm: Fraction = Fraction(10)
    attenuation_decrease: Fraction | None = None
    both: bool = False
    response_days: float = 28.0
    stable_days: float = 42.0


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One assessment; the first of a sequence is the baseline.

    sizes        target -> mm (longest diameter, short axis of a node); None where not evaluated
    attenuation  target -> HU
    others       non-target disease: "none" (there never was), "absent", "present", "progressed"
                 (unequivocally), "grown" (progressed, and further since the visit before),
                 "not_evaluated"
    new          names of the new lesions that are there, those of earlier visits included
    new_sizes    new lesion -> mm, where measured (iRECIST)
    day          days after the baseline's, or None
    """

    name: str
    sizes: Mapping[str, float | None]
    attenuation: Mapping[str, float | None] = field(default_factory=dict)
    others: str = "none"
    new: tuple[str, ...] = ()
    new_sizes: Mapping[str, float] = field(default_factory=dict)
    day: float | None = None

    def __post_init__(self) -> None:
        if self.others not in OTHERS:
            raise InputError(
                f"visit {self.name}: non-target disease is {self.others!r}; expected one of "
                f"{', '.join(OTHERS)}"
            )
        for lesion, size in (*self.sizes.items(), *self.new_sizes.items()):
            if size is not None and not (np.isfinite(size) and size >= 0):
                raise InputError(
                    f"visit {self.name}: {lesion} measures {size} mm; expected 0 or more, or "
                    "nothing where it was not evaluated"
                )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A response of one visit, with what led to it.

    target   response of the targets alone; `response` is the overall one
    total    sum of the targets' diameters in mm (or what else is judged), NaN where incomplete
    change   percent of the baseline's total; `from_nadir` of the smallest before this visit
    trace    the steps of the decision, in order
    """

    visit: str
    response: str
    target: str
    total: float
    change: float
    from_nadir: float
    trace: tuple[str, ...]
    day: float | None = None


def exact(value: float) -> Fraction:
    """The number as it prints with 12 significant digits, exactly.

    >>> exact(0.1 + 0.2) == Fraction(3, 10)
    True
    """
    return Fraction(Decimal(format(value, f".{DIGITS}g")))


def percent(part: Fraction, whole: Fraction) -> float:
    """Change from `whole` to `part` in percent; from nothing it is 0 or infinite."""
    if whole == 0:
        return 0.0 if part == 0 else float("inf")
    return float(100 * (part - whole) / whole)


def falls(now: Fraction, before: Fraction, by: Fraction) -> bool:
    """Whether a value has fallen by at least `by` percent, the boundary included."""
    return before > 0 and 100 * (before - now) >= by * before


def rises(now: Fraction, before: Fraction, by: Fraction, absolute: Fraction = Fraction(0)) -> bool:
    """Whether it has risen by at least `by` percent and `absolute`, the boundaries included."""
    return now > before and 100 * (now - before) >= by * before and now - before >= absolute


def assess(
    visits: Sequence[Visit], rule: SizeRule, nodes: frozenset[str] = frozenset()
) -> list[Verdict]:
    """Verdict of every visit after the baseline, in order; `nodes` names the nodal targets.

    Visits after progression are judged like any other: whether to stop is the trial's choice.
    """
    baseline = _checked(visits, nodes)
    first = sum((exact(size) for size in baseline.sizes.values() if size is not None), Fraction(0))
    nadir, was_complete = first, False
    verdicts: list[Verdict] = []
    for visit in visits[1:]:
        state = _State(baseline=baseline, first=first, nadir=nadir, was_complete=was_complete)
        verdict = _judged(visit, state, rule, nodes)
        verdicts.append(verdict)
        if np.isfinite(verdict.total):
            nadir = min(nadir, _sum(visit, baseline)[0])
        was_complete = was_complete or verdict.response == "CR"
    return verdicts


@dataclass(frozen=True, kw_only=True)
class _State:
    """What earlier visits left: the baseline and its sum, the smallest sum, whether CR was met."""

    baseline: Visit
    first: Fraction
    nadir: Fraction
    was_complete: bool


def _checked(visits: Sequence[Visit], nodes: frozenset[str]) -> Visit:
    """The baseline, after checking that the later visits can be held against it."""
    if not visits:
        raise InputError("no visit; expected a baseline and at least one visit after it")
    baseline = visits[0]
    unmeasured = [name for name, size in baseline.sizes.items() if not size]
    if unmeasured:
        raise InputError(
            f"visit {baseline.name}: target {unmeasured[0]} has no size at baseline; expected a "
            "measured one: make it a non-target"
        )
    if not nodes <= set(baseline.sizes):
        raise InputError(
            f"node {sorted(nodes - set(baseline.sizes))[0]} is no target; expected one of "
            f"{', '.join(baseline.sizes) or '(none)'}"
        )
    days = [visit.day for visit in visits if visit.day is not None]
    if any(late <= early for early, late in pairwise(days)):
        raise InputError(f"visits stand at days {days}; expected each later than the one before")
    for visit in visits[1:]:
        unknown = set(visit.sizes) - set(baseline.sizes)
        if unknown:
            raise InputError(
                f"visit {visit.name}: {sorted(unknown)[0]} is no target of the baseline; expected "
                "it among the new lesions"
            )
    return baseline


def _sum(visit: Visit, baseline: Visit) -> tuple[Fraction, list[str]]:
    """Sum of the sizes that were measured, and the targets that were not."""
    missing = [name for name in baseline.sizes if visit.sizes.get(name) is None]
    known = (visit.sizes.get(name) for name in baseline.sizes)
    return sum((exact(size) for size in known if size is not None), Fraction(0)), missing


def _judged(visit: Visit, state: _State, rule: SizeRule, nodes: frozenset[str]) -> Verdict:
    total, missing = _sum(visit, state.baseline)
    target, trace = _target(visit, state, rule, nodes)
    response, why = overall(target, visit.others, bool(visit.new))
    trace = [*trace, *([f"new: {', '.join(visit.new)}"] if visit.new else []), why]
    return Verdict(
        visit=visit.name,
        response=response,
        target=target,
        total=float("nan") if missing else float(total),
        change=float("nan") if missing else percent(total, state.first),
        from_nadir=float("nan") if missing else percent(total, state.nadir),
        trace=tuple(trace),
        day=visit.day,
    )


def _target(
    visit: Visit, state: _State, rule: SizeRule, nodes: frozenset[str]
) -> tuple[str, list[str]]:
    """Response of the targets and the steps to it."""
    if not state.baseline.sizes:
        return "none", ["no target at baseline"]
    total, missing = _sum(visit, state.baseline)
    reference = state.nadir if rule.progression_from == "nadir" else state.first
    grown = rises(total, reference, rule.increase, rule.increase_mm)
    trace = [
        f"sum {_text(total)} mm; baseline {_text(state.first)} mm "
        f"({percent(total, state.first):+.4g} %), {rule.progression_from} {_text(reference)} mm "
        f"({percent(total, reference):+.4g} %, {_text(total - reference)} mm)"
    ]
    if missing:
        trace.append(f"not evaluated: {', '.join(missing)}; the sum is of the others")
        if grown and rule.attenuation_decrease is None:
            return "PD", [*trace, f"the others alone are up by {_up(rule)}: PD"]
        return "NE", [*trace, "NE: the others do not show progression by themselves"]
    if _gone(visit, rule, nodes):
        return "CR", [*trace, f"every target gone, nodes below {_text(rule.node_normal_mm)} mm: CR"]
    back = [name for name, size in visit.sizes.items() if size and name not in nodes]
    if state.was_complete and back:
        return "PD", [*trace, f"{', '.join(back)} came back after a complete response: PD"]
    denser = _attenuation(visit, state.baseline, rule)
    trace += denser.trace
    if grown and denser.falls is not True:
        if rule.attenuation_decrease is not None and denser.falls is None:
            return "NE", [*trace, "NE: PD by size unless attenuation fell, which is not known"]
        return "PD", [*trace, f"up by {_up(rule)} from the {rule.progression_from}: PD"]
    return _partial(falls(total, state.first, rule.decrease), denser.falls, rule, trace)


def _partial(
    smaller: bool, thinner: bool | None, rule: SizeRule, trace: list[str]
) -> tuple[str, list[str]]:
    """PR or SD from the two signs of response: size, and attenuation where the rule has it."""
    step = f"down by {_text(rule.decrease)} % or more from the baseline: {_said(smaller)}"
    if rule.attenuation_decrease is None:
        return ("PR" if smaller else "SD"), [*trace, step]
    decided = not smaller if rule.both else smaller
    if thinner is None and not decided:
        return "NE", [*trace, step, "NE: attenuation would decide and is not known"]
    known = bool(thinner)
    met = (smaller and known) if rule.both else (smaller or known)
    return ("PR" if met else "SD"), [*trace, step]


@dataclass(frozen=True, kw_only=True)
class _Attenuation:
    """Whether mean attenuation has fallen enough: None where it cannot be said."""

    falls: bool | None
    trace: list[str]


def _attenuation(visit: Visit, baseline: Visit, rule: SizeRule) -> _Attenuation:
    """Mean HU of the targets against the baseline's."""
    if rule.attenuation_decrease is None:
        return _Attenuation(falls=None, trace=[])
    names = [name for name, size in visit.sizes.items() if size]
    pairs = [(baseline.attenuation.get(name), visit.attenuation.get(name)) for name in names]
    known = [(early, late) for early, late in pairs if early is not None and late is not None]
    if len(known) < len(pairs) or not np.isfinite(known).all():
        return _Attenuation(falls=None, trace=["attenuation of a target is not known"])
    before = sum((exact(early) for early, _ in known), Fraction(0)) / len(known)
    now = sum((exact(late) for _, late in known), Fraction(0)) / len(known)
    if before <= 0:
        said = f"mean attenuation at baseline is {_text(before)} HU; a percentage needs it above 0"
        return _Attenuation(falls=None, trace=[said])
    found = falls(now, before, rule.attenuation_decrease)
    step = (
        f"mean attenuation {_text(now)} HU, baseline {_text(before)} HU "
        f"({percent(now, before):+.4g} %); "
        f"down by {_text(rule.attenuation_decrease)} % or more: {_said(found)}"
    )
    return _Attenuation(falls=found, trace=[step])


def _gone(visit: Visit, rule: SizeRule, nodes: frozenset[str]) -> bool:
    """Whether every target has disappeared, or is a node of normal size."""
    return all(
        exact(size or 0.0) < rule.node_normal_mm if name in nodes else size == 0
        for name, size in visit.sizes.items()
    )


def overall(target: str, others: str, new: bool) -> tuple[str, str]:
    """Overall response of a visit and the step to it (tables 1 and 2 of RECIST 1.1).

    target  CR, PR, SD, PD, NE, or "none" where there was no target at baseline

    >>> overall("CR", "present", False)[0]
    'PR'
    """
    if new:
        return "PD", "a new lesion: PD"
    if others in ("progressed", "grown"):
        return "PD", "unequivocal progression of non-target disease: PD"
    said = f"targets {target}, non-target {others.replace('_', ' ')}"
    if target == "none":
        found = {"absent": "CR", "present": "non-CR/non-PD"}.get(others, "NE")
        return found, f"{said}: {found}"
    if target == "CR" and others not in ("none", "absent"):
        return "PR", f"{said}: PR"
    return target, f"{said}: {target}"


def _up(rule: SizeRule) -> str:
    also = f" and {_text(rule.increase_mm)} mm" if rule.increase_mm else ""
    return f"{_text(rule.increase)} %{also} or more"


def _text(number: Fraction) -> str:
    return f"{float(number):.12g}"


def _said(holds: bool) -> str:
    return "yes" if holds else "no"
