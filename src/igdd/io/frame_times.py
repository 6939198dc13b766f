"""Frames as files state them: in order, apart, and with starts and durations in one unit.

One rule for tables of curves, for sidecars of images, and so for fits, maps and studies. Frames may
have gaps between them of any length; that they overlap says that a time is wrong, and so does a
duration that is the same small part of every way to the next start: sixty times shorter is not how
a scan is cut into frames, it is minutes beside seconds.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError

# Clocks of frames are kept to the millisecond, and some tables round to 0.1 s; long frames to a
# thousandth of their length.
ROUNDED, ROUNDED_SHARE = 0.1, 1e-3
# Starts in whole seconds may be rounded to them, by no more than this share of a frame.
WHOLE, WHOLE_SHARE = 1.0, 0.05
# How often a duration goes into the way to the next start, where one of them is in another unit.
UNITS = (
    (60.0, "durations", "min"),
    (1000.0, "starts", "ms"),
    (1 / 60, "starts", "min"),
    (1 / 1000, "durations", "ms"),
)
# How far from that, by rounding; and which share of the ways must fit, as scans may have breaks.
NEAR, MOST = 0.01, 0.75
# Equal frames at equal ways so far apart [s] are scans of their own, which may have any ratio.
SCANS_APART = 3600.0


def check(start: np.ndarray, duration: np.ndarray, where: object) -> None:
    """Refuse frames that overlap by more than rounding, and times that are not both in s.

    start, duration  (t,) in s; what is not finite or does not last, `Frames` refuses
    where            the file, for the error

    >>> check(np.array([0.0, 60.0, 86400.0]), np.array([60.0, 60.0, 600.0]), "days.tsv")
    """
    if start.size < 2 or not (np.isfinite(start).all() and np.isfinite(duration).all()):
        return
    way = np.diff(start)
    late = duration[:-1] - way
    slack = np.maximum(ROUNDED, ROUNDED_SHARE * duration[:-1])
    if (start == np.rint(start)).all():
        slack = np.maximum(slack, np.minimum(WHOLE, WHOLE_SHARE * duration[:-1]))
    over = np.flatnonzero(late > slack)
    doubt = _doubt(start, duration)
    if over.size:
        frame = int(over[0])
        remedy = "; mend the wrong time" if doubt is None else f"; {doubt}"
        raise InputError(
            f"{where}: frame {frame + 1} starts at {start[frame]:g} s and lasts "
            f"{duration[frame]:g} s, but frame {frame + 2} starts at {start[frame + 1]:g} s; "
            f"expected frames in order that do not overlap{remedy}"
        )
    if doubt is not None and way.size > 1 and not _scans(way, duration):
        raise InputError(
            f"{where}: frame 1 starts at {start[0]:g} s and lasts {duration[0]:g} s, frame 2 "
            f"starts at {start[1]:g} s, and so on in the same ratio; expected starts and durations "
            f"in s; {doubt}"
        )


def _doubt(start: np.ndarray, duration: np.ndarray) -> str | None:
    """What the times seem to be instead, and how to mend it; None where nothing suggests itself."""
    way, length = np.diff(start), duration[:-1]
    for ratio, which, unit in UNITS:
        if np.mean(np.abs(way - ratio * length) <= NEAR * ratio * length) >= MOST:
            return f"the {which} seem to be in {unit}: give them in s"
    if np.mean(np.abs(length - start[1:]) <= NEAR * length) >= MOST:
        return (
            "the durations seem to be the frames' ends: give how long each frame lasts, the end "
            "less the start"
        )
    return None


def _scans(way: np.ndarray, duration: np.ndarray) -> bool:
    """Whether all frames are equally long and far apart, as repeated short scans are."""
    equal = np.ptp(way) <= NEAR * way.max() and np.ptp(duration) <= NEAR * duration.max()
    return bool(equal and way.min() >= SCANS_APART)
