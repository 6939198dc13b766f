"""Response by the uptake of the baseline's lesions: EORTC, and the preclinical change of a mean.

EORTC (doi:10.1016/S0959-8049(99)00229-4) follows the lesions of the baseline, with a limit of its
own after the first cycle. The thresholds come from the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from igdd.kernels.response import Verdict, exact, falls, percent, rises
from igdd.kernels.response_metabolic import Uptake, baseline_of, text, totals, verdict_of


@dataclass(frozen=True, kw_only=True)
class EortcRule:
    """Thresholds of EORTC in percent; the first cycle has a limit of its own."""

    decrease_first: Fraction
    decrease_later: Fraction
    increase: Fraction
    extent_increase: Fraction


def eortc(scans: Sequence[Uptake], rule: EortcRule) -> list[Verdict]:
    """EORTC verdict of every scan after the baseline, by the sum over its lesions' SUV."""
    baseline = baseline_of(scans)
    return [_eortc(baseline, scan, rule) for scan in scans[1:]]


def _eortc(baseline: Uptake, scan: Uptake, rule: EortcRule) -> Verdict:
    sums = totals(baseline.peaks, scan.peaks)
    values = (None, None) if sums is None else sums
    trace = []
    if sums is not None:
        trace.append(f"SUV {text(sums[0])}, then {text(sums[1])} "
                     f"({percent(sums[1], sums[0]):+.4g} %)")  # fmt: skip
    longer = [
        name
        for name, size in baseline.extents.items()
        if _longer(size, scan.extents.get(name), rule.extent_increase)
    ]
    if scan.new:
        return verdict_of(scan, "PMD", values, [*trace, f"new: {', '.join(scan.new)}: PMD"])
    if longer:
        why = f"{longer[0]} is longer by more than {text(rule.extent_increase)} %: PMD"
        return verdict_of(scan, "PMD", values, [*trace, why])
    if sums is None:
        return verdict_of(scan, "NE", values, [*trace, "a lesion was not measured: NE"])
    before, now = sums
    if 100 * (now - before) > rule.increase * before:
        return verdict_of(scan, "PMD", values,
                        [*trace, f"up by more than {text(rule.increase)} %: PMD"])  # fmt: skip
    ground = exact(scan.background) if scan.background is not None else Fraction(0)
    if all(exact(value or 0.0) <= ground for value in scan.peaks.values()):
        return verdict_of(scan, "CMR", values, [*trace, "no lesion above its background: CMR"])
    return verdict_of(scan, *_reduced(scan, values, trace, rule))


def _reduced(
    scan: Uptake,
    values: tuple[Fraction | None, Fraction | None],
    trace: list[str],
    rule: EortcRule,
) -> tuple[str, tuple[Fraction | None, Fraction | None], list[str]]:
    """PMR or SMD, by the limit that holds after so many cycles."""
    before, now = values[0] or Fraction(0), values[1] or Fraction(0)
    after_first = falls(now, before, rule.decrease_first)
    after_later = before > 0 and 100 * (before - now) > rule.decrease_later * before
    if scan.after_cycles is None and after_first != after_later:
        return "NE", values, [*trace, "NE: the limit depends on the cycles given, not known"]
    first = scan.after_cycles is not None and scan.after_cycles <= 1
    met = after_first if first else after_later
    limit = (
        f"down by {text(rule.decrease_first)} % or more (first cycle)"
        if first
        else f"down by more than {text(rule.decrease_later)} %"
    )
    response = "PMR" if met else "SMD"
    return response, values, [*trace, f"{limit}: {'yes' if met else 'no'}: {response}"]


def _longer(before: float | None, now: float | None, by: Fraction) -> bool:
    if before is None or now is None:
        return False
    early, late = exact(before), exact(now)
    return 100 * (late - early) > by * early


def preclinical(scans: Sequence[Uptake], decrease: Fraction, increase: Fraction) -> list[Verdict]:
    """Response of an animal's tumours by the mean above a share of the maximum.

    The limits in percent are the repeatability of that mean on the scanner and model at hand: a
    change beyond them is real. They are the study's to say.
    """
    baseline = baseline_of(scans)
    found = []
    for scan in scans[1:]:
        sums = totals(baseline.peaks, scan.peaks)
        if scan.new:
            said = ("PMD", sums or (None, None), [f"new: {', '.join(scan.new)}: PMD"])
        elif sums is None:
            said = ("NE", (None, None), ["a tumour was not measured: NE"])
        else:
            up = rises(sums[1], sums[0], increase)
            response = "PMR" if falls(sums[1], sums[0], decrease) else "PMD" if up else "SMD"
            step = (
                f"uptake {text(sums[0])}, then {text(sums[1])} "
                f"({percent(sums[1], sums[0]):+.4g} %; limits -{text(decrease)} %, "
                f"+{text(increase)} %): {response}"
            )
            said = (response, sums, [step])
        found.append(verdict_of(scan, *said))
    return found
