"""How a spoiled gradient echo was made: repetition time, flip angle, and which frames are baseline.

The file says the first two, in BIDS' words (RepetitionTimeExcitation, else RepetitionTime in s,
FlipAngle in degrees) or in DICOM's (ms, degrees); the caller may say otherwise. A thousand times
too long, or in radians, they are refused. Which frames came before the agent only the caller knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.headers import number
from igdd.types import Frames

if TYPE_CHECKING:
    from pydicom import Dataset

# What spoiled gradient echoes have, and a thousand times more or less is none of them: TR in s,
# flip angle in degrees (one below 1 is in radians).
REPETITION = (5e-4, 1.0)
FLIP = (1.0, 179.0)
# Share by which a stated fact may differ from the file's before it is called another.
SAME = 1e-3
# Clocks of frames are kept to the millisecond, and some tables round to 0.1 s.
ROUNDED = 0.1


@dataclass(frozen=True, kw_only=True)
class Echo:
    """TR in s and flip angle in degrees of a spoiled gradient echo, and flags of both."""

    repetition: float
    flip: float
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not REPETITION[0] <= self.repetition <= REPETITION[1]:
            raise InputError(
                f"the repetition time is {self.repetition:g} s; expected the time between two "
                f"excitations, from {REPETITION[0]:g} to {REPETITION[1]:g} s; is it in ms, or the "
                "time between volumes?"
            )
        if not FLIP[0] <= self.flip <= FLIP[1]:
            raise InputError(
                f"the flip angle is {self.flip:g} degrees; expected from {FLIP[0]:g} to "
                f"{FLIP[1]:g}; is it in radians?"
            )

    @property
    def radians(self) -> float:
        """Flip angle in radians."""
        return float(np.deg2rad(self.flip))


def echo(
    sidecar: Mapping[str, Any],
    headers: Sequence[Dataset],
    where: str,
    repetition: float | None = None,
    flip: float | None = None,
) -> Echo:
    """TR and flip angle as the caller states them, else as the files do."""
    stands = "headers" if headers else "sidecar"
    by_files = _repetition(sidecar, headers), _flip(sidecar, headers, where)
    found, flags = [], set()
    for name, given, filed in zip(
        ("RepetitionTime", "FlipAngle"), (repetition, flip), by_files, strict=True
    ):
        stated = filed if given is None else given
        if stated is None:
            raise InputError(
                f"{where}: {name} is not in its {stands}; expected the repetition time in s and "
                "the flip angle in degrees; give them, such as '5 ms' and '15 deg'"
            )
        if filed is not None and abs(stated - filed) > SAME * abs(filed):
            flags.add("acquisition_override")
        found.append(stated)
    try:
        return Echo(repetition=found[0], flip=found[1], flags=tuple(flags))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _repetition(sidecar: Mapping[str, Any], headers: Sequence[Dataset]) -> float | None:
    if headers:
        in_ms = number(headers[0], "RepetitionTime")
        return None if in_ms is None else in_ms / 1000
    for name in ("RepetitionTimeExcitation", "RepetitionTime"):
        if _is_number(sidecar.get(name)):
            return float(sidecar[name])
    return None


def _flip(sidecar: Mapping[str, Any], headers: Sequence[Dataset], where: str) -> float | None:
    if headers:
        return number(headers[0], "FlipAngle")
    stated = sidecar.get("FlipAngle")
    several: list[Any] = stated if isinstance(stated, list) else [stated]
    if not several or not all(_is_number(one) for one in several):
        return None
    if len(set(several)) > 1:
        raise InputError(
            f"{where}: FlipAngle in its sidecar changes from {min(several):g} to {max(several):g} "
            "degrees; expected one for all frames; take T1 from several angles first"
        )
    return float(several[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def check_pace(made: Echo, frames: Frames, where: str) -> None:
    """Refuse a TR of the length of a frame: a volume is made of many excitations."""
    shortest = float(frames.duration.min())
    if not frames.sampled and made.repetition >= shortest:
        raise InputError(
            f"{where}: the repetition time is {made.repetition:g} s, but a frame takes "
            f"{shortest:g} s; expected the time between two excitations, of which a volume has "
            "many; give the repetition time"
        )


def baseline_frames(stated: str | int, frames: Frames, where: str) -> tuple[int, int]:
    """First frame of the baseline, from 0, and the one after its last.

    stated  a number of frames, the frames "2-5" counted from 1, or "30 s": all that end by then

    >>> from igdd.types import Zero
    >>> start, length = np.arange(9) * 5.0, np.full(9, 5.0)
    >>> frames = Frames(start=start, duration=length, zero=Zero(kind="scan_start"))
    >>> [baseline_frames(text, frames, "") for text in ("3", "2-4", "20 s")]
    [(0, 3), (1, 4), (0, 4)]
    """
    text, count = str(stated).strip(), frames.start.size
    numbers = re.fullmatch(r"(?:(\d{1,9})\s*-\s*)?(\d{1,9})", text)
    if numbers is not None:
        first, stop = int(numbers[1] or 1) - 1, int(numbers[2])
    else:
        try:
            until = units.read(text, "s")
        except UnitsError as error:
            raise UnitsError(
                f"baseline {text[:40]!r}: expected a number of frames, frames such as 2-5, or an "
                "instant such as '30 s'"
            ) from error
        ends = frames.middle if frames.sampled else frames.end - ROUNDED
        first, stop = 0, int(np.count_nonzero(np.cumprod(ends <= until)))
    if not 0 <= first < stop < count:
        raise InputError(
            f"{where}: baseline {text!r} means {max(stop - first, 0)} of {count} frames, which "
            f"last from {frames.start[0]:g} to {frames.end[-1]:g} s; expected at least one before "
            "the agent came, and one after"
        )
    return first, stop
