"""Findings in plain words: one sentence each, with interval, p, counts and what was left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from igdd.results import COURSE

LESIONS = "lesions"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One contrast before it becomes a row: numbers, counts and the words about them."""

    metric: str
    session: str
    analyte: str
    region: str
    contrast: str
    between: tuple[str, str]
    subjects: tuple[int, int] = (0, 0)
    lesions: tuple[int, int] | None = None
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    p_adjusted: float = np.nan
    family: int = 1
    flags: tuple[str, ...] = ()
    method: str = ""
    lacks: str = ""
    left_out: tuple[str, ...] = ()


def plural(count: int, name: str) -> str:
    """A count and its noun: "1 lesion", "3 lesions"."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _number(value: float) -> str:
    """Three significant digits, never in powers of ten where people would not write them."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = 2 - int(np.floor(np.log10(abs(value)))) if value else 2
    return f"{value:.{max(digits, 0)}f}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.{1 if value < 0.1 else 2}g}"


def _when(session: str) -> str:
    """The session's name in words: "24h" reads "At 24 h"."""
    if session == COURSE:
        return "Over all sessions"
    nominal = re.fullmatch(r"(\d+(?:\.\d+)?)[ _-]?(s|min|h|d)", session)
    return f"At {nominal[1]} {nominal[2]}" if nominal else f"In session {session}"


def printed(metric: str) -> str:
    """A metric as people print it.

    >>> printed("percent_id_per_g"), printed("suvbw"), printed("drug_concentration")
    ('%ID/g', 'SUVbw', 'drug concentration')
    """
    words = metric.removesuffix("_uncorrected").replace("percent_id", "%ID").replace("_per_", "/")
    if words.startswith("suv"):
        words = "SUV" + words[3:]
    if words.startswith("auc_"):
        words = "AUC" + words[3:]
    return words.replace("ml", "mL").replace("_", " ")


def _place(finding: Finding) -> str:
    return f"the {finding.region.replace('_', ' ')}"


def _counts(finding: Finding) -> str:
    text = "{} and {} subjects".format(*finding.subjects)
    return (
        text if finding.lesions is None else text + ", {} and {} lesions".format(*finding.lesions)
    )


def _left_out(finding: Finding) -> str:
    return f" Left out: {'; '.join(finding.left_out)}." if finding.left_out else ""


def sentence(finding: Finding) -> str:
    """The finding in plain words, with its interval, p, counts and what was left out."""
    start = f"{_when(finding.session)} {_place(finding)}"
    reference, other = finding.between
    if finding.lacks and np.isnan(finding.estimate):
        what = printed(finding.metric)
        return f"{start} cannot be compared in {what}: {finding.lacks}.{_left_out(finding)}"
    if np.isnan(finding.estimate):
        return (
            f"{start}: the mean {printed(finding.metric)} of the {reference} arm is not above "
            f"zero, so that no ratio to it exists; {_p(finding.p)} for a difference of the "
            f"arithmetic means, "
            f"{_counts(finding)}.{_left_out(finding)}"
        )
    if np.isfinite(finding.low):
        limits = f"95 % {_number(finding.low)} to {_number(finding.high)}"
    elif finding.lacks:
        limits = f"no interval: {finding.lacks}"
    else:
        limits = f"no bounds: the mean of the {reference} arm cannot be told from zero"
    tested = ""
    if np.isfinite(finding.p):
        tested = f"{_p(finding.p)}, "
        if finding.family > 1:
            tested = (
                f"{_p(finding.p)} ({_p(finding.p_adjusted)} after Holm's correction for "
                f"{finding.family} comparisons), "
            )
    return (
        f"{_when(finding.session)} the {printed(finding.metric)} of {_place(finding)} in the "
        f"{other} arm is {_number(finding.estimate)} times ({limits}) that in the {reference} arm; "
        f"{tested}{_counts(finding)}.{_left_out(finding)}"
    )


_SPREAD = {
    "between-subject CV": "the {} of the lesions varies by {} from subject to subject",
    "between-lesion CV": "the {} of the lesions of one subject varies by {} from lesion to lesion, "
    "measurement error included",
    "ICC": "the spread of the lesions' {} (variance of its logarithm, within an arm) lies by {} "
    "between the subjects, the rest between the lesions of one subject",
}


def spread_sentence(finding: Finding) -> str:
    """How uneven the lesions are, in plain words."""
    start = f"{_when(finding.session)}"
    if finding.lacks:
        return (
            f"{start} the {printed(finding.metric)} of the lesions gives no {finding.contrast}: "
            f"{finding.lacks}.{_left_out(finding)}"
        )
    if np.isnan(finding.low):
        limits = "no interval"
    elif np.isinf(finding.high):
        limits = f"95 % {100 * finding.low:.0f} % and more"
    else:
        limits = f"95 % {100 * finding.low:.0f} to {100 * finding.high:.0f} %"
    numbers = f"{100 * finding.estimate:.0f} % ({limits})"
    text = _SPREAD[finding.contrast].format(printed(finding.metric), numbers)
    return f"{start} {text}; {_counts(finding)}.{_left_out(finding)}"
