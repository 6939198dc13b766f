"""Retention index: does the drug's label stay with the carrier's?

Two labels are measured in the same place at the same times. With D and C their activities (both
corrected for decay) and q their ratio in what was given (or at the first time),

    RI(t) = (D(t) / C(t)) / q      1: as given; below 1: drug left; above 1: carrier's label did.

Limits are on the log scale (delta method), or Fieller's where a coefficient of variation below the
fraction line is above 15 %: Fieller's set may have no bounds. What the two have in common
(one calibration, one outline) drops out of the ratio as far as `shared` says; what a label's rows
have in common (its calibration) drops out where RI is taken against the first time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError

LARGEST_CV = 0.15  # of a denominator, above which log-delta limits are not to be trusted
NORMAL = {0.95: 1.959963984540054, 0.90: 1.6448536269514722}


class Signal(NamedTuple):
    """A label's activity (n,): total sd, and the part of it common to all times."""

    value: np.ndarray
    sd: np.ndarray
    sd_shared: np.ndarray


class Index(NamedTuple):
    """An index (n,) with its standard deviation and limits at 95 and at 90 %.

    by_fieller  which kind the limits are; NaN limits: there are none
    """

    value: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    low_90: np.ndarray
    high_90: np.ndarray
    by_fieller: np.ndarray


def retention_index(
    drug: Signal,
    carrier: Signal,
    given: tuple[float, float] | None = None,
    shared: float = 0.0,
) -> Index:
    """Index at each time, against the ratio given (value, sd) or, without one, the first time.

    `shared`: correlation of what is common to each label's rows (1: one calibration for both).

    >>> two = np.array([4.0, 2.0]), np.array([0.1, 0.1]), np.zeros(2)
    >>> found = retention_index(Signal(*two), Signal(two[0] * 2, *two[1:]), given=(0.5, 0.0))
    >>> found.value
    array([1., 1.])
    """
    _check(drug, carrier, given)
    matrix = np.eye(drug.value.size)
    return _index(drug, carrier, matrix, given, shared)


def area_index(
    times: np.ndarray,
    drug: Signal,
    carrier: Signal,
    given: tuple[float, float] | None = None,
    shared: float = 0.0,
) -> Index:
    """Index of the areas under both curves between the first and the last time (linear rule)."""
    _check(drug, carrier, given)
    steps = np.diff(times)
    if times.size < 2 or not (steps > 0).all():
        raise InputError("expected at least two times, ascending, for an area")
    weights = (np.append(steps, 0.0) + np.append(0.0, steps)) / 2
    return _index(drug, carrier, weights[None], given, shared)


def _check(drug: Signal, carrier: Signal, given: tuple[float, float] | None) -> None:
    for name, signal in (("drug", drug), ("carrier", carrier)):
        if not np.isfinite(signal.value).all():
            raise InputError(f"the {name}'s label has a value that is not finite; leave it out")
        if (signal.sd < signal.sd_shared * (1 - 1e-9)).any():
            raise InputError(f"the {name}'s label has a shared sd above its total sd")
    if drug.value.shape != carrier.value.shape or not drug.value.size:
        raise InputError("expected both labels at the same times, at least one")
    if given is not None and not (given[0] > 0 and given[1] >= 0):
        raise InputError(f"the ratio in what was given is {given[0]:g}; expected above 0, sd >= 0")


def _index(
    drug: Signal,
    carrier: Signal,
    weights: np.ndarray,
    given: tuple[float, float] | None,
    shared: float,
) -> Index:
    """Index of weighted sums (k, n) of both labels."""
    count = drug.value.size
    # Observations: drug (n), carrier (n), ratio given. Errors as modes (mode, observation).
    own = [np.diag(np.sqrt(np.maximum(s.sd**2 - s.sd_shared**2, 0))) for s in (drug, carrier)]
    nothing = np.zeros((count, count))
    modes = np.block([[own[0], nothing], [nothing, own[1]]])
    common = np.zeros((2, 2 * count))
    common[0, :count], common[0, count:] = drug.sd_shared, shared * carrier.sd_shared
    common[1, count:] = np.sqrt(max(1 - shared**2, 0.0)) * carrier.sd_shared
    modes = np.vstack([modes, common])
    upper, lower = weights @ drug.value, weights @ carrier.value
    moved = weights @ modes[:, :count].T, weights @ modes[:, count:].T  # (k, mode)
    with np.errstate(divide="ignore", invalid="ignore"):
        if given is not None:
            reference = given[0]
            extra = np.full((len(weights), 1), given[1] / given[0])
        else:
            reference = drug.value[0] / carrier.value[0] if carrier.value[0] > 0 else np.nan
            reference = reference if reference > 0 else np.nan
            extra = np.zeros((len(weights), 0))
            first = modes[:, 0] / drug.value[0] - modes[:, count] / carrier.value[0]
        # Fieller: N - r D with N the drug's sum and D the carrier's times the reference.
        below = lower * reference
        shift = moved[1] * reference
        if given is None:
            shift = shift + below[:, None] * first
        shift = np.hstack([shift, below[:, None] * extra])
        rise = np.hstack([moved[0], np.zeros_like(extra)])
        ratio = np.where(below > 0, upper / below, np.nan)
        change = rise - ratio[:, None] * shift
        sd = np.sqrt((change**2).sum(axis=1)) / below
        limits = [_limits((upper, below), (rise, shift), sd, level) for level in (0.95, 0.90)]
        by_fieller = ~(np.sqrt((shift**2).sum(axis=1)) / below <= LARGEST_CV) | ~(ratio > 0)
    low, high, low_90, high_90 = (
        np.where(by_fieller, fieller, log)
        for logs, fiellers in limits
        for log, fieller in zip(logs, fiellers, strict=True)
    )
    return Index(ratio, sd, low, high, low_90, high_90, by_fieller)


def _limits(
    sums: tuple[np.ndarray, np.ndarray],
    modes: tuple[np.ndarray, np.ndarray],
    sd: np.ndarray,
    level: float,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Log-delta and Fieller limits of upper over lower from the modes (k, m) of their errors."""
    (upper, lower), (rise, shift) = sums, modes
    z = NORMAL[level]
    ratio = np.where(lower > 0, upper / lower, np.nan)
    reach = z * sd / np.where(ratio > 0, ratio, np.nan)
    logs = ratio * np.exp(-reach), ratio * np.exp(reach)
    above, across, under = (
        (one * other).sum(axis=1) for one, other in ((rise, rise), (rise, shift), (shift, shift))
    )
    square = lower**2 - z**2 * under
    middle = upper * lower - z**2 * across
    root = np.sqrt(np.maximum(middle**2 - square * (upper**2 - z**2 * above), 0.0))
    bounded = square > 0
    low, high = (np.where(bounded, (middle + s * root) / square, np.nan) for s in (-1, 1))
    return logs, (low, high)
