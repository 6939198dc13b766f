"""Release profiles against a reference: f1, f2 by the rule of a guideline, limits over vessels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from igdd.kernels import release_profiles as kernel
from igdd.stages.release_profiles import Profile

SIMILAR = 50.0
# Coefficients of variation that guidelines allow at the first time that counts, and later.
FIRST_CV, LATER_CV = 0.20, 0.10
VESSELS = 12
UNKNOWN = float("nan")


def compare(
    found: Sequence[Profile], reference: str | None, *, rule: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Every other formulation against the reference; nothing without one."""
    if reference is None:
        return []
    one = next(profile for profile in found if profile.name == reference)
    return [_pair(one, other, rule, seed) for other in found if other.name != reference]


def _pair(reference: Profile, test: Profile, rule: str, seed: int) -> dict[str, Any]:
    shared = np.intersect1d(reference.time, test.time)
    first, second = (np.isin(one.time, shared) for one in (reference, test))
    means = reference.mean[first], test.mean[second]
    count = {name: kernel.counted(shared, *means, name) for name in kernel.RULES}
    chosen = count[rule]
    by_means = {
        name: kernel.similarity(means[0][None, one], means[1][None, one])
        for name, one in count.items()
    }
    limits = _limits(
        reference.complete[:, first][:, chosen], test.complete[:, second][:, chosen], seed
    )
    f2 = by_means[rule].f2
    flags = {
        "similarity_points_few": chosen.sum() < kernel.LEAST,
        "times_differ": shared.size < max(reference.time.size, test.time.size),
        "vessels_few": min(len(reference.vessels), len(test.vessels)) < VESSELS,
        "vessels_unequal": "vessels_unequal" in {*reference.flags, *test.flags},
        "release_variable": any(
            _variable(one.mean[keep][chosen], one.sd[keep][chosen])
            for one, keep in ((reference, first), (test, second))
        ),
    }
    return {
        "reference": reference.name,
        "test": test.name,
        "f1": by_means[rule].f1,
        "f2": f2,
        "rule": rule,
        "f2_by_rule": {name: similar.f2 for name, similar in by_means.items()},
        "points": int(chosen.sum()),
        "times": [float(time) for time in shared[chosen]],
        "bootstrap": limits,
        "verdict": verdict(f2, limits["f2"]["low"]),
        "flags": sorted(name for name, raised in flags.items() if raised),
    }


def _limits(reference: np.ndarray, test: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
    """The estimates of f2 with their limits, from vessels (v, points)."""
    if not (len(reference) and len(test) and reference.shape[1] >= kernel.LEAST):
        nothing = {"estimate": UNKNOWN, "low": UNKNOWN, "high": UNKNOWN}
        return {name: dict(nothing) for name in ("f2", "expected", "bias_corrected")}
    found = kernel.bootstrap(reference, test, seed=seed)
    return {name: limits._asdict() for name, limits in found.items()}


def _variable(mean: np.ndarray, sd: np.ndarray) -> bool:
    """Whether the vessels scatter more than a comparison of their means bears."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variation = sd / np.abs(mean)
    limit = np.where(np.arange(mean.size) == 0, FIRST_CV, LATER_CV)
    return bool((variation > limit).any())


def verdict(f2: float, low: float) -> str:
    """What f2 and its lower limit allow to say.

    >>> verdict(62.0, 48.0)
    'similar by the means, not shown by the vessels'
    """
    if not np.isfinite(f2):
        return "not decided"
    if f2 < SIMILAR:
        return "not similar"
    if not np.isfinite(low):
        return "similar by the means"
    shown = low >= SIMILAR
    return "similar" if shown else "similar by the means, not shown by the vessels"
