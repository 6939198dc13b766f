"""Response to treatment: each subject's scans in time, by the criterion that the study names.

By size: RECIST 1.1, iRECIST, mRECIST, Choi, from `longest_diameter`, `short_axis` (nodes) and
`attenuation`. By uptake: PERCIST 1.0, EORTC, and the preclinical mean above 25 % of the maximum.

A lesion that has rows at the baseline is followed; one that first has them later is new. A lesion
without a value was not evaluated; one that disappeared is 0. Of non-target lesions, rows of the
metric `status` say more than sizes do: 0 absent, 1 present, 2 unequivocal progression, 3 grown
further since the scan before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.comparisons.criteria import CRITERIA, RESPONSES, Criterion, criterion
from igdd.comparisons.lesion_course import Course, Judging, courses
from igdd.declare import Comparison, Option
from igdd.errors import InputError, StudyError
from igdd.flags import join
from igdd.results import FINDINGS
from igdd.uncertainty import NORMAL_95

if TYPE_CHECKING:
    import pandas as pd

    from igdd.kernels.response import Verdict

UPTAKES = {
    "percist": "sulpeak", "eortc": "suvpeak", "preclinical": "suvmean_percent_of_maximum",
}  # fmt: skip
_CONTRAST = re.compile(
    r"(?P<criterion>[^:]+): (?P<best>best response )?(?P<response>\S+) of subject (?P<subject>.+)"
)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What the contrast of a finding says: criterion, subject, response, whether the best."""

    criterion: str
    subject: str
    response: str
    best: bool

    def __str__(self) -> str:
        best = "best response " if self.best else ""
        return f"{self.criterion}: {best}{self.response} of subject {self.subject}"


def read_contrast(text: str) -> Contrast | None:
    """The contrast of a response finding, or None of any other.

    >>> read_contrast("RECIST 1.1: best response PR of subject 07").response
    'PR'
    """
    found = _CONTRAST.fullmatch(text)
    if found is None:
        return None
    return Contrast(
        criterion=found["criterion"], subject=found["subject"], response=found["response"],
        best=found["best"] is not None,
    )  # fmt: skip


def response(
    measurements: pd.DataFrame,
    *,
    criterion: str,
    kinds: Mapping[str, str],
    sessions: Sequence[str] | None = None,
    days: Sequence[str] | None = None,
    on: str | None = None,
    targets: Sequence[str] | None = None,
    nodes: Sequence[str] = (),
    non_targets: Sequence[str] = (),
    organs: Sequence[str] = (),
    slice_thickness: float = 0.0,
    reference: str | None = None,
    reference_kind: str = "liver",
    background: float | None = None,
    amount: str = "tlg_percist",
    first_cycle: Sequence[str] | None = None,
    decrease: float | None = None,
    increase: float | None = None,
    confirm: bool = True,
) -> pd.DataFrame:
    """Response of every subject at every scan after the baseline, and the best of them."""
    import pandas as pd

    rule = _criterion(criterion)
    metric = on if on is not None else UPTAKES.get(rule.kind, "longest_diameter")
    found = courses(
        measurements, kinds, metric,
        sessions=sessions, days=days,
        targets=targets, nodes=nodes, non_targets=non_targets, organs=organs,
    )  # fmt: skip
    options = Judging(
        metric=metric, slice_thickness=slice_thickness, reference=reference,
        reference_kind=reference_kind, background=background, amount=amount,
        first_cycle=None if first_cycle is None else tuple(first_cycle),
        decrease=decrease, increase=increase, confirm=confirm,
    )  # fmt: skip
    table = [finding for course in found for finding in _of_subject(course, rule, options)]
    return pd.DataFrame(table, columns=list(FINDINGS))


def _criterion(key: str) -> Criterion:
    return criterion(key)


def _of_subject(course: Course, rule: Criterion, options: Judging) -> list[dict[str, Any]]:
    """Findings of one subject: one for each scan after the baseline, then the best response."""
    if rule.kind == "size":
        verdicts, best, notes = _by_size(course, rule, options)
    else:
        verdicts, best, notes = _by_uptake(course, rule, options)
    flags = [] if rule.kind != "percist" else _unknown(verdicts)
    said = [_finding(course, rule, verdict, options, flags=tuple(flags)) for verdict in verdicts]
    if verdicts:
        said.append(_best_finding(course, rule, (verdicts, best, notes), options))
    return said


def _unknown(verdicts: Sequence[Verdict]) -> list[str]:
    told = any(step.startswith("not known: ") for one in verdicts for step in one.trace)
    return ["assessability_unknown"] if told else []


def _by_size(
    course: Course, rule: Criterion, options: Judging
) -> tuple[list[Verdict], tuple[str, str], tuple[str, ...]]:
    """Verdicts, best response with its reason, and flags, by the sum of diameters."""
    from igdd.kernels.response import assess
    from igdd.kernels.response_course import best, immune

    size_rule, confirmation = rule.size_rule(), rule.confirmation()
    try:
        visits, nodes, chosen = course.visits(rule.measurable(), options.slice_thickness)
        if confirmation is not None:
            verdicts = immune(visits, size_rule, confirmation, nodes)
            return [_noted(one, chosen) for one in verdicts], _best_immune(verdicts), ()
        verdicts = assess(visits, size_rule, nodes)
        known = all(visit.day is not None for visit in visits)
        found = best(verdicts, size_rule, confirm=options.confirm and known)
    except InputError as error:
        raise InputError(f"response of subject {course.subject}: {error}") from error
    flags = ("response_not_confirmed",) if options.confirm and not known else ()
    return [_noted(one, chosen) for one in verdicts], found, flags


def _noted(verdict: Verdict, note: str) -> Verdict:
    return replace(verdict, trace=(note, *verdict.trace))


def _best_immune(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """Best response of iRECIST, up to confirmed progression."""
    for wanted in ("iCR", "iPR", "iSD", "non-iCR/non-iUPD"):
        for one in verdicts:
            if one.response == "iCPD":
                break
            if one.response == wanted:
                return wanted, f"{wanted} at {one.visit}"
    for wanted in ("iCPD", "iUPD"):
        if any(one.response == wanted for one in verdicts):
            return wanted, f"{wanted} and no response before it"
    return "NE", "no scan that can be judged"


def _by_uptake(
    course: Course, rule: Criterion, options: Judging
) -> tuple[list[Verdict], tuple[str, str], tuple[str, ...]]:
    """Verdicts, best response with its reason, and flags, by uptake."""
    from fractions import Fraction

    from igdd.kernels import response_eortc, response_metabolic

    if rule.kind == "percist" and options.reference is None:
        raise StudyError(
            "compare.reference is missing; PERCIST needs the region of the liver (or of the blood "
            "pool, with reference_kind = 'blood_pool')"
        )
    scans = course.scans(options)
    try:
        if rule.kind == "percist":
            verdicts = response_metabolic.percist(scans, rule.percist_rule())
        elif rule.kind == "eortc":
            verdicts = response_eortc.eortc(scans, rule.eortc_rule())
        else:
            if options.decrease is None or options.increase is None:
                raise StudyError(
                    "compare.decrease and compare.increase are missing; expected the changes in "
                    "percent that exceed the repeatability of this scanner and model"
                )
            limits = [Fraction(str(one)) for one in (options.decrease, options.increase)]
            verdicts = response_eortc.preclinical(scans, *limits)
    except InputError as error:
        raise InputError(f"response of subject {course.subject}: {error}") from error
    return verdicts, _best_metabolic(verdicts), ()


def _best_metabolic(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    for wanted in ("CMR", "PMR", "SMD"):
        for one in verdicts:
            if one.response == "PMD":
                break
            if one.response == wanted:
                return wanted, f"{wanted} at {one.visit}"
    if any(one.response == "PMD" for one in verdicts):
        return "PMD", "progression and no response before it"
    return "NE", "no scan that can be judged"


def _finding(
    course: Course, rule: Criterion, verdict: Verdict, options: Judging, *, flags: tuple[str, ...]
) -> dict[str, Any]:
    low, high = _interval(course, verdict, options.metric)
    contrast = Contrast(
        criterion=rule.name, subject=course.subject, response=verdict.response, best=False
    )
    also = ("response_not_evaluable",) if verdict.response == "NE" else ()
    changed = f": {verdict.change:+.1f} % from baseline" if np.isfinite(verdict.change) else ""
    return _plain(course, options) | {
        "session": verdict.visit, "contrast": str(contrast), "estimate": verdict.change,
        "low": low, "high": high, "flags": join((*flags, *also)),
        "method": f"{rule.name} ({rule.source}): " + "; ".join(verdict.trace),
        "sentence": f"Subject {course.subject}, {verdict.visit}: "
        f"{RESPONSES[verdict.response]} ({verdict.response}) by {rule.name}{changed}.",
    }  # fmt: skip


def _best_finding(
    course: Course,
    rule: Criterion,
    judged: tuple[Sequence[Verdict], tuple[str, str], tuple[str, ...]],
    options: Judging,
) -> dict[str, Any]:
    """The best response, and the lowest change up to the first progression."""
    verdicts, (found, why), flags = judged
    changes = []
    for one in verdicts:
        changes.append(one.change)
        if one.response in ("PD", "PMD", "iCPD"):
            break
    known = [change for change in changes if np.isfinite(change)]
    lowest = min(known) if known else float("nan")
    contrast = Contrast(criterion=rule.name, subject=course.subject, response=found, best=True)
    said = f"; lowest change {lowest:+.1f} %" if known else ""
    also = ("response_not_evaluable",) if found == "NE" else ()
    return _plain(course, options) | {
        "session": "", "contrast": str(contrast), "estimate": lowest,
        "flags": join((*flags, *also)), "method": f"{rule.name} ({rule.source}): {why}",
        "sentence": f"Subject {course.subject}: best response {RESPONSES[found]} ({found}) by "
        f"{rule.name}{said}.",
    }  # fmt: skip


def _plain(course: Course, options: Judging) -> dict[str, Any]:
    return {
        "comparison": "response", "metric": options.metric, "session": "",
        "analyte": course.analyte, "region": "lesions", "estimate": np.nan, "low": np.nan,
        "high": np.nan, "p": np.nan, "p_adjusted": np.nan, "n": float(course.count), "unit": "%",
        "flags": "",
    }  # fmt: skip


def _interval(course: Course, verdict: Verdict, metric: str) -> tuple[float, float]:
    """95 % limits of the change in percent from the lesions' standard deviations (delta method)."""
    relative = course.relative_sd(verdict.visit, metric)
    if not np.isfinite(relative) or not np.isfinite(verdict.change):
        return float("nan"), float("nan")
    half = NORMAL_95 * (100 + verdict.change) * relative
    return verdict.change - half, verdict.change + half


COMPARISONS = (
    Comparison(
        "response",
        response,
        options=(
            Option("criterion", "text", choices=CRITERIA, help="by which response is judged"),
            Option("sessions", "texts", default=None, help="in order, the baseline first; absent: "
                   "by time, where sessions lie a day or more apart"),
            Option("days", "texts", default=None, help="of those sessions, such as '0 d', '42 d'"),
            Option("on", "text", default=None, help="metric of the lesions, if not the usual one"),
            Option("targets", "texts", default=None, help="lesions (names or patterns) from which "
                   "targets are taken; absent: every lesion of the baseline"),
            Option("nodes", "texts", default=(), help="lesions that are lymph nodes"),
            Option("non_targets", "texts", default=(), help="lesions that are never targets"),
            Option("organs", "texts", default=(), help="'lesion_1=liver': two targets each"),
            Option("slice_thickness", "mm", default=0.0, help="of CT or MR; a target spans two"),
            Option("reference", "text", default=None, help="PERCIST: region of liver or blood"),
            Option("reference_kind", "text", default="liver", choices=("liver", "blood_pool")),
            Option("background", "1", default=None, help="uptake of what surrounds the lesions"),
            Option("amount", "text", default="tlg_percist", help="metric of lesion glycolysis"),
            Option("first_cycle", "texts", default=None, help="EORTC: sessions after one cycle"),
            Option("decrease", "1", default=None, help="preclinical: % that is a response"),
            Option("increase", "1", default=None, help="preclinical: % that is progression"),
            Option("confirm", "flag", default=True, help="whether responses need confirmation"),
        ),
        question="Q5",
        reference="doi:10.1016/j.ejca.2008.10.026; doi:10.2967/jnumed.108.057307",
    ),
)  # fmt: skip
