"""How far frames can be trusted: standard deviations of their values, from what a user says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from igdd.decay import correction
from igdd.errors import InputError
from igdd.types import Curves, Decay, Frames

# Counts below this share of a curve's largest weigh as if they were this share: a frame without
# counts is uncertain, not certain.
LEAST_COUNTS = 0.01
# Standard deviations in proportion to a power of each value: weights of 1 / y and 1 / y^2.
POWERS = {"relative": 1.0, "root": 0.5}
WEIGHTINGS = ("counts", "equal", "noise", *POWERS)
# The curves' table says how much each frame counts, and nobody asked for it.
UNHEEDED = "weights_not_used"
# What a user may say: a word of `WEIGHTINGS`, or numbers (t,) or (n, t).
Spread = np.ndarray | Sequence[float] | str


def read_spread(said: str | None) -> np.ndarray | str | None:
    """A word of `WEIGHTINGS`, or the column sd or weights of a table with a row for each frame.

    A weight multiplies a squared residual: a frame of weight 0 is not used.
    """
    from igdd.io import tables
    from igdd.io.tac_table import WEIGHINGS

    if said is None or said in WEIGHTINGS:
        return said
    path = Path(said)
    if not tables.is_table(path):
        raise InputError(
            f"--sd {said!r}; expected {_listed()}, or a table with a column sd or weights, one row "
            "for each frame"
        )
    table = tables.read_table(path)
    found = [name for name in table.columns if str(name).lower() in WEIGHINGS]
    if len(found) != 1:
        raise InputError(
            f"{path}: has {' and '.join(map(repr, found)) or 'no column sd and none of weights'}; "
            "expected one of them"
        )
    values = tables.numbers(table, found[0], str(path))
    return values if found[0].lower() == "sd" else _of_weights(values, path)


def _of_weights(weights: np.ndarray, path: Path) -> np.ndarray:
    """Standard deviations (t,), up to one factor, infinite where a weight is 0."""
    if not ((weights >= 0).all() and (weights > 0).any()):
        raise InputError(
            f"{path}: its weights run from {np.min(weights):g} to {np.max(weights):g}; expected a "
            "number from 0 up for each frame, above 0 for those that are used"
        )
    with np.errstate(divide="ignore"):
        return np.asarray(np.sqrt(weights.max() / weights))


def heard(sd: Spread | None, curves: Curves) -> Curves:
    """The curves, without the caution about weights in their table where the caller weighs."""
    if sd is None:
        return curves
    flags = tuple(tuple(flag for flag in own if flag != UNHEEDED) for own in curves.flags)
    return replace(curves, flags=flags)


def deviations(sd: Spread | None, curves: Curves) -> np.ndarray | None:
    """Standard deviations (t,) or (n, t) by what the caller says, or None: all frames alike."""
    shape = curves.values.shape
    if sd is None or (isinstance(sd, str) and sd == "noise"):
        variance = np.einsum("tnn->nt", curves.covariance)
        if (variance > 0).all():
            return np.asarray(np.sqrt(variance))
        if sd is None:
            return None
        raise InputError("sd 'noise': the noise of the curves is not known; expected another sd")
    if isinstance(sd, str):
        if sd not in WEIGHTINGS:
            raise InputError(f"sd is {sd!r}; expected {_listed()} or numbers")
        if sd in POWERS:
            return np.where(curves.values > 0, np.abs(curves.values) ** POWERS[sd], np.inf)
        return counts_sd(curves) if sd == "counts" else None
    sd = np.asarray(sd, dtype=float)
    if sd.shape not in (shape, shape[1:]):
        raise InputError(f"sd has shape {sd.shape}; expected {shape} or {shape[1:]}")
    if not (sd > 0).all():
        raise InputError(f"sd holds {np.min(sd):g}; expected numbers above 0")
    return sd


def counts_sd(curves: Curves) -> np.ndarray:
    """Standard deviations (t,) as counting leaves them: `of_counts` with the mean of all regions,
    which has less noise than each."""
    known = np.isfinite(curves.values).all(axis=1)
    if not known.any():
        raise InputError("sd 'counts': every curve lacks a value; expected one that is whole")
    return of_counts(curves.values[known].mean(axis=0), curves.frames, curves.decay)


def of_counts(mean: np.ndarray, frames: Frames, decay: Decay | None) -> np.ndarray:
    """Standard deviations (t,) of frames as counting leaves them, up to one factor.

    A frame of length L whose mean C was multiplied by the decay factor f holds counts in proportion
    to C L / f, so that sd is in proportion to sqrt(C f / L). C is at least a hundredth of its
    largest.
    """
    if decay is None:
        raise InputError(
            "sd 'counts' asks how far the values were corrected for decay, which nothing says; "
            "give the nuclide (--nuclide F-18), or TracerRadionuclide, ImageDecayCorrected and "
            "ImageDecayCorrectionTime in the JSON, or sd 'equal'"
        )
    factor = correction(
        decay.half_life, frames.start, frames.duration, found=None, wanted=decay.corrected_to
    )
    if not mean.max() > 0:
        raise InputError("sd 'counts': no curve is above zero; expected counts")
    mean = np.maximum(mean, LEAST_COUNTS * mean.max())
    return np.asarray(np.sqrt(mean * factor / frames.duration))


def _listed() -> str:
    return ", ".join(map(repr, WEIGHTINGS))
