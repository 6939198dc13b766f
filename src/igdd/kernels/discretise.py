"""Discretise: intensities become grey levels 1, 2, 3, ... in bins of fixed number or fixed size.

IBSI reference manual (arXiv:1612.07003), section 2.7:

    fixed number  level = floor(N (x - min) / (max - min)) + 1, the maximum in level N
    fixed size    level = floor((x - anchor) / width) + 1

The anchor is part of the definition: bins that start at each region's own minimum are not the same
grey levels in two regions.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError

# Grey levels beyond which a region is refused: its matrices would be large and all but empty.
MOST_LEVELS = 1024


def fixed_number(values: np.ndarray, number: int) -> np.ndarray:
    """Grey levels (n,) in `number` bins of equal width between the smallest and the largest value.

    A flat region has the one level 1.

    >>> fixed_number(np.array([0.0, 1.0, 2.0, 4.0]), 4).tolist()
    [1, 2, 3, 4]
    """
    check_count(number, "a fixed number of bins")
    low, high = values.min(), values.max()
    if not high > low:
        return np.ones(values.shape, np.int64)
    share = (values - low) / (high - low)
    return np.asarray(np.minimum(np.floor(number * share).astype(np.int64) + 1, number))


def fixed_size(values: np.ndarray, width: float, anchor: float) -> np.ndarray:
    """Grey levels (n,) in bins of `width` from `anchor` up, in the unit of the values.

    >>> fixed_size(np.array([0.0, 24.9, 25.0]), 25.0, 0.0).tolist()
    [1, 1, 2]
    """
    if values.min() < anchor:
        raise InputError(
            f"the smallest intensity {values.min():g} lies below the first bin's edge {anchor:g}; "
            "expected none below it; lower the anchor, or re-segment by range from it"
        )
    count = np.floor((values.max() - anchor) / width) + 1
    check_count(count, f"bins of size {width:g} from {anchor:g} up to {values.max():g}")
    return np.floor((values - anchor) / width).astype(np.int64) + 1


def as_levels(values: np.ndarray) -> np.ndarray:
    """Intensities that are grey levels already: whole numbers from 1 up."""
    levels = np.rint(values)
    if not np.array_equal(levels, values) or levels.min() < 1:
        raise InputError(
            f"intensities from {values.min():g} to {values.max():g} are no grey levels; expected "
            "whole numbers from 1 up; choose discretise.method 'fixed_number' or 'fixed_size'"
        )
    check_count(levels.max(), "intensities taken as grey levels")
    return np.asarray(levels.astype(np.int64))


def check_count(count: float, what: str) -> None:
    """Refuse more grey levels than a matrix can hold."""
    if not count <= MOST_LEVELS:
        raise InputError(
            f"{what} make {count:.4g} grey levels; expected at most {MOST_LEVELS}; "
            "choose wider bins, or a fixed number of them"
        )
