"""Fits of several sets of curves as one: the beds of a scan, each with frame times of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from igdd.errors import InputError
from igdd.kinetics import Fit


def joined(fits: Sequence[Fit]) -> Fit:
    """Fits of one model to sets of curves as one, with the frames of all, one set after another."""
    if not fits:
        raise InputError("no curves were given; expected one set or more")
    check_apart([one.names for one in fits])
    sd = [np.ones_like(one.predicted) if one.sd is None else one.sd for one in fits]
    return replace(
        fits[0],
        names=tuple(name for one in fits for name in one.names),
        values=np.concatenate([one.values for one in fits]),
        covariance=np.concatenate([one.covariance for one in fits]),
        predicted=_diagonal([one.predicted for one in fits]),
        aicc=np.concatenate([one.aicc for one in fits]),
        freedom=np.concatenate([one.freedom for one in fits]),
        flags=tuple(flags for one in fits for flags in one.flags),
        sd=None if all(one.sd is None for one in fits) else _diagonal(sd),
        notes=tuple(notes for one in fits for notes in one.notes),
        limits=None
        if fits[0].limits is None
        else np.concatenate([one.limits for one in fits if one.limits is not None]),
    )


def check_apart(names: Iterable[Sequence[str]]) -> None:
    """Refuse a region that stands in two sets of curves."""
    every = Counter(name for some in names for name in some)
    twice = [name for name, count in every.items() if count > 1]
    if twice:
        raise InputError(
            f"region {twice[0]!r} stands in two sets of curves; expected names that differ, such "
            "as with the bed in them"
        )


def _diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (n, t) set corner to corner, NaN beside them."""
    whole = np.full(np.sum([block.shape for block in blocks], axis=0), np.nan)
    corner = np.zeros(2, dtype=int)
    for block in blocks:
        rows, columns = corner
        corner = corner + block.shape
        whole[rows : corner[0], columns : corner[1]] = block
    return whole
