"""Response over the course of treatment: best response with confirmation, iRECIST, targets.

Best response: table 3 of RECIST 1.1 (doi:10.1016/j.ejca.2008.10.026). Immune response: iRECIST
(doi:10.1016/S1470-2045(17)30074-8), in which a first progression is unconfirmed (iUPD), is
confirmed 4 to 8 weeks later by further growth (iCPD), and is reset by stabilisation or response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite

from igdd.errors import InputError
from igdd.kernels.response import SizeRule, Verdict, Visit, assess, exact, overall

# The better response comes first.
RANKS = ("CR", "PR", "SD", "non-CR/non-PD", "PD", "NE")


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """When a first progression counts as confirmed: days after it, and growth in mm."""

    earliest_days: float
    latest_days: float
    growth_mm: Fraction


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A lesion at baseline that may become a target; `size` is a node's short axis, all in mm."""

    name: str
    organ: str
    size: float
    node: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurable:
    """What may be a target: sizes in mm from the slice thickness, and how many."""

    lesion_mm: Fraction
    node_mm: Fraction
    node_normal_mm: Fraction
    slices: Fraction
    most: int
    most_per_organ: int


def role(candidate: Candidate, rule: Measurable, slice_mm: float = 0.0) -> str:
    """What a lesion at baseline can be: "measurable", "non_target" or (a node) "normal".

    A lesion reaches the limit or `slices` times the slice thickness, whichever is more.

    >>> limits = Measurable(lesion_mm=Fraction(10), node_mm=Fraction(15),
    ...     node_normal_mm=Fraction(10), slices=Fraction(2), most=5, most_per_organ=2)
    >>> role(Candidate(name="a", organ="neck", size=15.0, node=True), limits)
    'measurable'
    """
    size = exact(candidate.size)
    if candidate.node:
        if size < rule.node_normal_mm:
            return "normal"
        least = rule.node_mm
    else:
        least = rule.lesion_mm
    if size >= max(least, rule.slices * exact(slice_mm)):
        return "measurable"
    return "non_target"


def select(
    candidates: Sequence[Candidate], rule: Measurable, slice_mm: float = 0.0
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Targets and non-targets: the largest measurable lesions, so many and so many an organ.

    Lesions of equal size are taken in the order of their names.
    """
    found = {one.name: role(one, rule, slice_mm) for one in candidates}
    ranked = sorted(candidates, key=lambda one: (-exact(one.size), one.name))
    targets: list[Candidate] = []
    for one in ranked:
        full = sum(other.organ == one.organ for other in targets) >= rule.most_per_organ
        if found[one.name] == "measurable" and not full and len(targets) < rule.most:
            targets.append(one)
    names = tuple(one.name for one in targets)
    rest = tuple(
        one.name for one in ranked if one.name not in names and found[one.name] != "normal"
    )
    return names, rest


def best(verdicts: Sequence[Verdict], rule: SizeRule, *, confirm: bool) -> tuple[str, str]:
    """Best overall response up to the first progression, and the step that gave it.

    With `confirm`, CR and PR count when a visit at least `response_days` later says the same or
    better with nothing but such visits, or ones not evaluable, between; else they are stable
    disease. Stable disease must be seen at least `stable_days` after the baseline.
    """
    course = _until_progression(verdicts)
    if confirm and any(one.day is None for one in course):
        raise InputError(
            "a visit has no day, so that no response can be confirmed; expected the days of all "
            "visits, or unconfirmed responses"
        )
    for wanted in ("CR", "PR"):
        for place, one in enumerate(course):
            good = ("CR",) if wanted == "CR" else ("CR", "PR")
            if one.response not in good:
                continue
            if not confirm:
                return wanted, f"{wanted} at {one.visit}, confirmation not asked for"
            later = _confirmed(course[place:], good, rule.response_days)
            if later is not None:
                return wanted, f"{wanted} at {one.visit}, confirmed at {later.visit}"
    return _without_response(course, rule)


def _until_progression(verdicts: Sequence[Verdict]) -> list[Verdict]:
    course = []
    for one in verdicts:
        course.append(one)
        if one.response in ("PD", "iCPD"):
            break
    return course


def _confirmed(rest: Sequence[Verdict], good: tuple[str, ...], days: float) -> Verdict | None:
    """The visit that confirms the first of `rest`, if there is one."""
    first = rest[0]
    for later in rest[1:]:
        if later.response not in (*good, "NE"):
            return None
        waited = (later.day or 0.0) - (first.day or 0.0)
        if later.response in good and waited >= days:
            return later
    return None


def _without_response(course: Sequence[Verdict], rule: SizeRule) -> tuple[str, str]:
    """Stable disease, progression or nothing, where no response counts."""
    kept = ("CR", "PR", "SD", "non-CR/non-PD")
    for one in course:
        if one.response not in kept:
            continue
        if one.day is None or one.day >= rule.stable_days:
            found = one.response if one.response == "non-CR/non-PD" else "SD"
            return found, f"{one.response} at {one.visit}, not confirmed as a response: {found}"
    if any(one.response == "PD" for one in course):
        return "PD", f"progression at {course[-1].visit} and nothing that counts before it: PD"
    return "NE", f"no visit {rule.stable_days:g} days after the baseline or later that counts: NE"


@dataclass(frozen=True, kw_only=True)
class _Pending:
    """An unconfirmed progression: when, in which categories, and how large everything was."""

    day: float | None
    categories: frozenset[str]
    total: float
    new: frozenset[str]
    new_total: Fraction


def immune(
    visits: Sequence[Visit],
    rule: SizeRule,
    confirmation: Confirmation,
    nodes: frozenset[str] = frozenset(),
) -> list[Verdict]:
    """iRECIST: verdict of every visit after the baseline; once confirmed, progression stays.

    New lesions that stay as they are do not stop a later iPR or iCR, and keep a later iSD at iUPD.
    """
    pending: _Pending | None = None
    known: frozenset[str] = frozenset()
    final = False
    found = []
    for visit, plain in zip(visits[1:], assess(visits, rule, nodes), strict=True):
        categories = _categories(visit, plain, known)
        if final:
            found.append(_renamed(plain, "iCPD", "progression was confirmed before: iCPD"))
            continue
        if pending is None:
            response = _immune_name(plain, visit, categories)
            step = f"progression of {_list(categories)}: iUPD" if categories else response
        else:
            response, step = _after(visit, plain, pending, categories, confirmation)
        final = response == "iCPD"
        if response == "NE":
            pass  # what could not be seen neither confirms nor resets
        elif response != "iUPD":
            pending = None
        elif pending is None:
            pending = _Pending(
                day=visit.day, categories=categories, total=plain.total,
                new=frozenset(visit.new), new_total=_new_total(visit),
            )  # fmt: skip
        else:
            pending = replace(pending, categories=pending.categories | categories)
        known = known | frozenset(visit.new)
        found.append(_renamed(plain, response, step))
    return found


def _categories(visit: Visit, plain: Verdict, known: frozenset[str]) -> frozenset[str]:
    """In which kinds of lesion the visit shows progression by RECIST 1.1."""
    return frozenset(
        name
        for name, met in (
            ("targets", plain.target == "PD"),
            ("non-targets", visit.others in ("progressed", "grown")),
            ("new lesions", bool(frozenset(visit.new) - known)),
        )
        if met
    )


def _immune_name(plain: Verdict, visit: Visit, categories: frozenset[str]) -> str:
    """The response without regard to new lesions that were known before."""
    if categories:
        return "iUPD"
    response, _ = overall(plain.target, visit.others, False)
    renamed = {"NE": "NE", "non-CR/non-PD": "non-iCR/non-iUPD"}
    return renamed.get(response, f"i{response}")


def _after(
    visit: Visit,
    plain: Verdict,
    pending: _Pending,
    categories: frozenset[str],
    confirmation: Confirmation,
) -> tuple[str, str]:
    """Response of a visit after an unconfirmed progression."""
    grown = _growth(visit, plain, pending, categories, confirmation)
    if grown:
        waited = _waited(visit, pending)
        if waited is not None and waited < confirmation.earliest_days:
            return "iUPD", f"{grown}, but after {waited:g} days, too early to confirm: iUPD"
        late = waited is not None and waited > confirmation.latest_days
        note = f" (after {waited:g} days, later than planned)" if late else ""
        return "iCPD", f"{grown}{note}: progression confirmed, iCPD"
    if categories:
        return "iUPD", "no further growth: progression stays unconfirmed, iUPD"
    response = _immune_name(plain, visit, categories)
    if response == "iSD" and visit.new:
        return "iUPD", "new lesions are still there and unchanged: iUPD"
    return response, f"the progression was not confirmed and is reset: {response}"


def _growth(
    visit: Visit,
    plain: Verdict,
    pending: _Pending,
    categories: frozenset[str],
    confirmation: Confirmation,
) -> str:
    """What has grown further since the unconfirmed progression, or nothing."""
    if "targets" in pending.categories:
        more = _further(plain.total, pending.total)
        if more is not None and more >= confirmation.growth_mm:
            return f"the sum has grown by a further {float(more):.12g} mm"
    if "non-targets" in pending.categories and visit.others == "grown":
        return "non-target disease has grown further"
    if "new lesions" in pending.categories:
        if frozenset(visit.new) - pending.new:
            return "there are more new lesions"
        more = _new_total(visit) - pending.new_total
        if more >= confirmation.growth_mm:
            return f"new lesions have grown by a further {float(more):.12g} mm"
    fresh = categories - pending.categories
    return f"progression of {_list(fresh)} as well" if fresh else ""


def _further(now: float, before: float) -> Fraction | None:
    """Growth in mm; None where one of the sums is incomplete."""
    return exact(now) - exact(before) if isfinite(now) and isfinite(before) else None


def _waited(visit: Visit, pending: _Pending) -> float | None:
    if visit.day is None or pending.day is None:
        return None
    return visit.day - pending.day


def _new_total(visit: Visit) -> Fraction:
    return sum((exact(size) for size in visit.new_sizes.values()), Fraction(0))


def _renamed(plain: Verdict, response: str, step: str) -> Verdict:
    # The last step of RECIST 1.1 is replaced by that of iRECIST.
    return replace(plain, response=response, trace=(*plain.trace[:-1], step))


def _list(names: frozenset[str]) -> str:
    return " and ".join(sorted(names))
