"""Concentration-time profiles made ready for areas: below-limit rules, gaps, and time zero.

A value below the limit was not measured. What stands for it is said by its place: before the first
measured value (or before the peak), between two of them, after the last.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from igdd.errors import InputError

Route = Literal["extravascular", "bolus", "infusion"]
ROUTES: tuple[Route, ...] = ("extravascular", "bolus", "infusion")
Instead = Literal["keep", "zero", "drop", "half"]
INSTEAD: tuple[Instead, ...] = ("keep", "zero", "drop", "half")


class Places(NamedTuple):
    """What stands for a value below the limit, by its place.

    keep  the value as it was read; zero; drop: no point; half: half the limit
    axis  "measured": before the first measured value, between two, after the last;
          "peak": before the highest value (first), after it (middle and last alike)
    """

    first: Instead
    middle: Instead
    last: Instead
    axis: Literal["measured", "peak"] = "measured"


# Rules that go by a name; none lets such a value into the terminal regression.
PLACES: dict[str, Places] = {
    "as-given": Places("keep", "keep", "keep"),
    "zero": Places("zero", "zero", "zero"),
    "drop": Places("drop", "drop", "drop"),
    "middle-dropped": Places("zero", "drop", "zero"),
    "half-after-peak": Places("zero", "half", "half", "peak"),
}


class Profiles(NamedTuple):
    """Profiles with their gaps closed: point 0 is at time zero, the others as observed.

    times, values   (profile, point)
    usable          measured and above zero
    number          points as observed
    peak, last      point of the first highest value, and of the last usable one; 0 for none
    """

    times: np.ndarray
    values: np.ndarray
    usable: np.ndarray
    number: np.ndarray
    peak: np.ndarray
    last: np.ndarray


def below_limit(
    values: np.ndarray, below: np.ndarray, limit: float | np.ndarray, places: Places
) -> np.ndarray:
    """Values (profile, point) with what stands for those below the limit; NaN where dropped.

    below  which ones were not measured; a profile with no measured value is all before the first
    limit  of all, or of each

    >>> below_limit(np.array([[0.0, 2.0, 0.0, 1.0, 0.0]]), np.array([[1, 0, 1, 0, 1]], dtype=bool),
    ...             0.1, PLACES["middle-dropped"])
    array([[ 0.,  2., nan,  1.,  0.]])
    """
    for one in places[:3]:
        if one not in INSTEAD:
            raise InputError(f"{one!r} for a value below the limit; expected {', '.join(INSTEAD)}")
    limits = np.broadcast_to(np.asarray(limit, dtype=float), values.shape)
    if "half" in places[:3] and not (limits[below] > 0).all():
        raise InputError(
            "half the limit was asked for values below it, but no limit is known; give the limit "
            "of quantification"
        )
    measured = ~below & np.isfinite(values)
    count, place = values.shape[1], np.arange(values.shape[1])
    if places.axis == "peak":
        begin = np.argmax(np.where(measured, values, -np.inf), axis=1)
        end = begin
    else:
        begin = np.argmax(measured, axis=1)
        end = count - 1 - np.argmax(measured[:, ::-1], axis=1)
    begin, end = (np.where(measured.any(axis=1), one, count) for one in (begin, end))
    instead: dict[str, np.ndarray | float] = {
        "keep": values,
        "zero": 0.0,
        "drop": np.nan,
        "half": limit / 2,
    }
    positions = (
        place < begin[:, None],
        (place >= begin[:, None]) & (place < end[:, None]),
        place >= end[:, None],
    )
    found = np.array(values, dtype=float)
    for position, one in zip(positions, places[:3], strict=True):
        found = np.where(below & position, instead[one], found)
    return found


def close_gaps(times: np.ndarray, values: np.ndarray, known: np.ndarray, route: Route) -> Profiles:
    """Profiles (profile, point) without missing points, and with one at time zero.

    known  measured, and above zero
    """
    there = np.isfinite(values)
    if not there.all():
        order = np.argsort(~there, axis=1, kind="stable")
        times, values, known = (
            np.take_along_axis(one, order, axis=1) for one in (times, values, known)
        )
    number = there.sum(axis=1)
    inside = np.arange(values.shape[1]) < number[:, None]
    held, known = np.where(inside, values, 0.0), known & inside
    end = np.where(inside, times, 0.0).max(axis=1)
    times = np.where(inside, times, end[:, None])
    first = np.where(times[:, 0] == 0, held[:, 0], _initial(times, held, route))
    peak = np.argmax(np.where(inside, values, -np.inf), axis=1) + 1
    last = known.shape[1] - np.argmax(known[:, ::-1], axis=1)
    blank = np.zeros((len(values), 1))
    return Profiles(
        times=np.hstack([blank, times]),
        values=np.hstack([first[:, None], held]),
        usable=np.hstack([blank.astype(bool), known]),
        number=number,
        peak=peak,
        last=np.where(known.any(axis=1), last, 0),
    )


def _initial(times: np.ndarray, values: np.ndarray, route: Route) -> np.ndarray:
    """Concentration at time zero where none was drawn: 0, or after a bolus carried back."""
    if route != "bolus":
        return np.zeros(len(values))
    first = values[:, 0]
    if values.shape[1] < 2:
        return np.asarray(first)
    second, step = values[:, 1], times[:, 1] - times[:, 0]
    falls = (first > second) & (second > 0) & (step > 0)
    logs = np.log(np.where(falls, first / np.where(falls, second, 1.0), 1.0))
    back = np.exp(logs * times[:, 0] / np.where(falls, step, 1.0))
    return np.asarray(np.where(falls, first * back, first))
