"""When the frames of a dynamic contrast series began and how long they took, as its files say.

A sidecar says it in the words of PET-BIDS (FrameTimesStart, FrameDuration), of BIDS' time series
(VolumeTiming with FrameAcquisitionDuration), or as one time between volumes
(RepetitionTimePreparation); a DICOM series by AcquisitionTime, TriggerTime, or TemporalResolution.
BIDS' RepetitionTime is never taken for it: with a spoiled gradient echo it is the time between two
excitations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.facts import Declared, Subject
from igdd.headers import clock, number
from igdd.types import Frames, Series, Zero

if TYPE_CHECKING:
    from pydicom import Dataset


def frames_of(
    series: Series, subject: Subject, declared: Declared, interval: float | None = None
) -> Frames:
    """Frames as the files have them, after administration where both clocks are known.

    interval  time in s from volume to volume, instead of what the files say
    """
    count = series.values.shape[3]
    begun, duration = frame_times(series.sidecar, series.headers, count, series.source, interval)
    given = subject.given[0].at if subject.given else None
    zero, offset = Zero(kind="scan_start", clock=declared.start), 0.0
    if given is not None and declared.start is not None:
        zero = Zero(kind="administration", clock=given)
        offset = (declared.start - given).total_seconds()
    return Frames(start=begun + offset, duration=duration, zero=zero)


def frame_times(
    sidecar: Mapping[str, Any],
    headers: Sequence[Dataset],
    count: int,
    where: str,
    interval: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Start and duration (t,) in s of the frames of a series; `interval` as in `frames_of`."""
    if interval is not None:
        if not (np.isfinite(interval) and interval > 0):
            raise InputError(f"{where}: {interval:g} s from volume to volume; expected more than 0")
        return interval * np.arange(count), np.full(count, float(interval))
    if headers:
        return _of_headers(headers, count, where)
    if "VolumeTiming" in sidecar and "FrameTimesStart" not in sidecar:
        begun = _numbers(sidecar, "VolumeTiming", count, where)
        if "FrameAcquisitionDuration" not in sidecar:
            return begun, _until_next(begun, "VolumeTiming", where)
        return begun, _numbers(sidecar, "FrameAcquisitionDuration", count, where, one=True)
    if "RepetitionTimePreparation" in sidecar and "FrameTimesStart" not in sidecar:
        pace = _numbers(sidecar, "RepetitionTimePreparation", count, where, one=True)
        return np.cumsum(pace) - pace, pace
    begun, duration = (
        _numbers(sidecar, name, count, where) for name in ("FrameTimesStart", "FrameDuration")
    )
    return begun, duration


def overridden(
    sidecar: Mapping[str, Any], headers: Sequence[Dataset], count: int, interval: float | None
) -> tuple[str, ...]:
    """The flag of an interval that differs from what the files say by more than 1 %."""
    if interval is None:
        return ()
    try:
        begun, duration = frame_times(sidecar, headers, count, "")
    except InputError:
        return ()
    apart = np.abs(np.diff(begun) - interval) > 0.01 * duration[:-1]
    return ("acquisition_override",) if apart.any() else ()


def _numbers(
    sidecar: Mapping[str, Any], name: str, count: int, where: str, one: bool = False
) -> np.ndarray:
    """So many finite numbers of a sidecar's key, or where `one` will do, one for all frames."""
    try:
        found = np.array(sidecar[name], dtype=float)
    except (KeyError, TypeError, ValueError):
        found = np.empty(0)
    if one and found.shape == ():
        found = np.full(count, float(found))
    if found.shape != (count,) or not np.isfinite(found).all():
        raise InputError(
            f"{where}: {name} in its sidecar is not {count} numbers; expected one in "
            "s for each frame"
        )
    return found


def _until_next(begun: np.ndarray, name: str, where: str) -> np.ndarray:
    """Time (t,) in s from each start to the next; the last frame is as long as the one before."""
    apart = np.diff(begun)
    if not apart.size or not (apart > 0).all():
        raise InputError(
            f"{where}: {name} does not ascend from frame to frame; expected at least two starts in "
            "order; give the time from volume to volume"
        )
    return np.append(apart, apart[-1])


def _of_headers(
    headers: Sequence[Dataset], count: int, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a DICOM series, whose headers stand slice by slice within frame by frame."""
    by_frame = [headers[first : first + len(headers) // count]
                for first in range(0, len(headers), len(headers) // count)]  # fmt: skip
    clocks = [
        [clock(one, "AcquisitionDate", "AcquisitionTime") for one in frame] for frame in by_frame
    ]
    if all(moment is not None for frame in clocks for moment in frame):
        firsts = [min(moment for moment in frame if moment is not None) for frame in clocks]
        begun = np.array([(moment - firsts[0]).total_seconds() for moment in firsts])
        if count > 1 and (np.diff(begun) > 0).all():
            return begun, _until_next(begun, "AcquisitionTime", where)
    triggered = [[number(one, "TriggerTime") for one in frame] for frame in by_frame]
    if all(moment is not None for frame in triggered for moment in frame):
        firsts_in_ms = [min(at for at in frame if at is not None) for frame in triggered]
        begun = (np.array(firsts_in_ms) - firsts_in_ms[0]) / 1000
        if count > 1 and (np.diff(begun) > 0).all():
            return begun, _until_next(begun, "TriggerTime", where)
    resolution = number(headers[0], "TemporalResolution")
    if resolution is not None and resolution > 0:
        pace = resolution / 1000
        return pace * np.arange(count), np.full(count, pace)
    raise InputError(
        f"{where}: neither AcquisitionTime nor TriggerTime rises from frame to frame, and there is "
        "no TemporalResolution; expected one of them; give the time from volume to volume"
    )
