"""Slices of one DICOM series put in order by where and when they were acquired, never by name.

Position along the normal gives k (ascending along row x column), time gives the frame. Slices of
one frame may differ in time: a whole-body scan takes one bed after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from igdd.errors import InputError
from igdd.headers import clock, label, number, numbers, text, texts
from igdd.io.dicom_layout import raw
from igdd.io.dicom_slice import Slice
from igdd.types import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

# World coordinates of DICOM are LPS, ours are RAS.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Decimal strings hold positions to better than this, in mm.
SAME_POSITION = 1e-3
SAME_DIRECTION = 1e-4
# Spacing that varies by more is a missing slice; by less than the second, rounding.
IRREGULAR, ROUNDING = 1e-2, 1e-3
# Slices may be shifted sideways by so much of a pixel.
SIDEWAYS = 0.1
# Elements that must be equal throughout one series; a contradiction would change the numbers.
COMMON = (
    "Modality", "PatientID", "FrameOfReferenceUID", "Rows", "Columns", "Units", "DecayCorrection",
    "CorrectedImage", "PatientWeight", "RescaleType", "SeriesType",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Slices frame by frame, each frame ascending along the normal, and their grid."""

    frames: tuple[tuple[Slice, ...], ...]
    grid: Grid
    flags: tuple[str, ...]


def stack(slices: Sequence[Slice]) -> Stack:
    """Order the slices of one series; what is missing, doubled or contradictory is an error."""
    _check_common(slices)
    orientation, spacing = _orientation(slices)
    positions = np.array([_position(one) for one in slices])
    normal = np.cross(orientation[:3], orientation[3:])
    along = positions @ normal
    places = _places(along)
    flags: list[str] = sorted({flag for one in slices for flag in one.flags})
    if any(len(place) > 1 for place in places):
        places, doubled = _by_time(slices, places, positions)
        flags += ["duplicate_slice"] if doubled else []
    _check_spacing([along[place[0]] for place in places], [slices[p[0]] for p in places], flags)
    corners = positions[[place[0] for place in places]]
    step = _step(corners, normal, slices[places[0][0]], spacing)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * spacing[1]
    affine[:3, 1] = orientation[3:] * spacing[0]
    affine[:3, 2], affine[:3, 3] = step, corners[0]
    header = slices[0].header
    rows, columns = number(header, "Rows") or 0, number(header, "Columns") or 0
    frames = tuple(
        tuple(slices[place[frame]] for place in places) for frame in range(len(places[0]))
    )
    if _fewer_than_declared(header, len(places), len(frames), float(np.linalg.norm(step))):
        flags.append("slices_missing")
    return Stack(
        frames=frames,
        grid=Grid(shape=(int(columns), int(rows), len(places)), affine=LPS_TO_RAS @ affine),
        flags=tuple(sorted(set(flags))),
    )


def _check_common(slices: Sequence[Slice]) -> None:
    """Refuse slices of one series that differ in what must be common."""
    first = slices[0]
    for keyword in COMMON:
        expected = raw(first.header, keyword)
        for other in slices[1:]:
            if raw(other.header, keyword) == expected:
                continue
            one, two = (sorted(texts(h, keyword) or ()) for h in (first.header, other.header))
            if one != two:
                raise InputError(
                    f"{label(keyword)} is {one} in {first.path.name} but {two} in "
                    f"{other.path.name}, in one series; expected one value; separate the two"
                )


def _orientation(slices: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column direction (6,) and pixel spacing (2,), common to all slices."""
    known: dict[object, np.ndarray] = {}
    first = slices[0]
    for one in slices:
        key = raw(one.header, "ImageOrientationPatient"), raw(one.header, "PixelSpacing")
        if key in known:
            continue
        known[key] = np.concatenate(
            [
                _required(one, "ImageOrientationPatient", 6),
                _required(one, "PixelSpacing", 2),
            ]
        )
        expected, found = next(iter(known.values())), known[key]
        if np.abs(found[:6] - expected[:6]).max() > SAME_DIRECTION:
            raise InputError(
                f"{label('ImageOrientationPatient')} differs between {first.path.name} and "
                f"{one.path.name}, in one series; expected one orientation; separate the stacks"
            )
        if np.abs(found[6:] / expected[6:] - 1).max() > SAME_DIRECTION:
            raise InputError(
                f"{label('PixelSpacing')} differs between {first.path.name} and {one.path.name}, "
                "in one series; expected one value"
            )
    found = next(iter(known.values()))
    row, column = found[:3], found[3:6]
    lengths = np.array([row @ row, column @ column])
    if np.abs(lengths - 1).max() > 1e-2 or abs(row @ column) > 1e-2:
        raise InputError(
            f"{first.path.name}: {label('ImageOrientationPatient')} is {found[:6].tolist()}; "
            "expected two unit vectors at a right angle"
        )
    return found[:6], found[6:]


def _required(one: Slice, keyword: str, count: int) -> np.ndarray:
    found = numbers(one.header, keyword, count)
    if found is None:
        raise InputError(f"{one.path}: {label(keyword)} is missing; expected {count} numbers")
    if keyword == "PixelSpacing" and min(found) <= 0:
        raise InputError(f"{one.path}: {label(keyword)} is {found}; expected mm above 0")
    return np.array(found)


def _position(one: Slice) -> np.ndarray:
    return _required(one, "ImagePositionPatient", 3)


def _places(along: np.ndarray) -> list[list[int]]:
    """Indices of the slices at each position along the normal, ascending."""
    order = np.argsort(along, kind="stable")
    starts = np.flatnonzero(np.diff(along[order]) > SAME_POSITION) + 1
    return [[int(index) for index in place] for place in np.split(order, starts)]


def _by_time(
    slices: Sequence[Slice], places: list[list[int]], positions: np.ndarray
) -> tuple[list[list[int]], bool]:
    """Each position's slices in the order of their time, doubles removed; were there any?"""
    if (text(slices[0].header, "SeriesType") or "").upper() == "GATED":
        raise InputError(
            f"{slices[0].path.parent}: {label('SeriesType')} is GATED; expected frames in time; "
            "sum the gates, or reconstruct without gating"
        )
    times = [_time(one) for one in slices]
    kept, doubled = [], False
    for place in places:
        frames: list[int] = []
        for index in sorted(place, key=lambda i: times[i]):
            if not frames or times[frames[-1]] != times[index]:
                frames.append(index)
                continue
            if not _identical(slices[frames[-1]], slices[index]):
                raise InputError(
                    f"{slices[frames[-1]].path.name} and {slices[index].path.name} are at the same "
                    f"position {positions[index].round(3).tolist()} and time but differ; expected "
                    "one slice there; remove the wrong one"
                )
            doubled = True
        kept.append(frames)
    counts = [len(frames) for frames in kept]
    if len(set(counts)) > 1:
        _refuse_gaps(slices, kept, positions)
    _check_order(slices, kept)
    return kept, doubled


def _time(one: Slice) -> tuple[float, ...]:
    """When a slice was acquired, as numbers that sort; what is absent sorts first."""
    acquired = clock(one.header, "AcquisitionDate", "AcquisitionTime")
    start = (
        -np.inf
        if acquired is None
        else acquired.toordinal() * 86400.0
        + (
            acquired.hour * 3600
            + acquired.minute * 60
            + acquired.second
            + acquired.microsecond / 1e6
        )
    )
    modality = text(one.header, "Modality")
    keywords: tuple[str, ...] = ("FrameReferenceTime",)
    if modality != "PT":
        # Instance numbers count repetitions of MR series that state no time at all.
        keywords = ("TemporalPositionIdentifier", "TriggerTime", "EchoTime", "InstanceNumber")
    stated = [number(one.header, keyword) for keyword in keywords]
    return (start, *(-np.inf if value is None else value for value in stated))


def _identical(one: Slice, other: Slice) -> bool:
    """Whether two slices hold the same values; without pixels, whether they are one object."""
    if one.stored is None or other.stored is None:
        return bool(raw(one.header, "SOPInstanceUID") == raw(other.header, "SOPInstanceUID"))
    same = all(
        raw(one.header, k) == raw(other.header, k) for k in ("RescaleSlope", "RescaleIntercept")
    )
    return same and bool(np.array_equal(one.stored, other.stored))


def _refuse_gaps(slices: Sequence[Slice], kept: list[list[int]], positions: np.ndarray) -> None:
    counts = [len(frames) for frames in kept]
    usual = max(set(counts), key=counts.count)
    odd = [frames for frames in kept if len(frames) != usual]
    shown = "; ".join(
        f"{len(frames)} at {positions[frames[0]].round(3).tolist()} mm "
        f"(such as {slices[frames[0]].path.name})"
        for frames in odd[:3]
    )
    raise InputError(
        f"{slices[0].path.parent}: {len(odd)} of {len(kept)} positions hold another number of "
        f"slices than {usual}: {shown}; expected one in every frame; a slice is missing or too many"
    )


def _check_order(slices: Sequence[Slice], kept: list[list[int]]) -> None:
    """Refuse PET frames that overlap in time: gaps at several positions can even out the counts."""
    if text(slices[0].header, "Modality") != "PT":
        return
    times = [[_time(slices[index]) for index in frames] for frames in kept]
    for frame in range(len(kept[0]) - 1):
        latest = max(range(len(kept)), key=lambda place: times[place][frame])
        earliest = min(range(len(kept)), key=lambda place: times[place][frame + 1])
        if times[latest][frame] >= times[earliest][frame + 1]:
            raise InputError(
                f"{slices[kept[latest][frame]].path.name} of frame {frame} is not before "
                f"{slices[kept[earliest][frame + 1]].path.name} of frame {frame + 1}; expected "
                "frames one after the other; a slice is missing from one of them"
            )


def _check_spacing(along: list[float], slices: list[Slice], flags: list[str]) -> None:
    if len(along) < 3:
        return
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    worst = int(np.argmax(np.abs(gaps - usual)))
    deviation = abs(float(gaps[worst]) - usual) / usual
    if deviation > IRREGULAR:
        raise InputError(
            f"missing slice between {slices[worst].path.name} and {slices[worst + 1].path.name}: "
            f"at {along[worst]:.3f} and {along[worst + 1]:.3f} mm along the normal they are "
            f"{gaps[worst]:.4g} mm apart where others are {usual:.4g}; expected equality to 1 %"
        )
    if deviation > ROUNDING:
        flags.append("spacing_irregular")


def _step(corners: np.ndarray, normal: np.ndarray, first: Slice, spacing: np.ndarray) -> np.ndarray:
    """Vector from one slice's first pixel to the next one's; a tilted gantry shears it."""
    if len(corners) == 1:
        thickness = number(first.header, "SliceThickness")
        thickness = thickness or number(first.header, "SpacingBetweenSlices")
        if not thickness or thickness < 0:
            raise InputError(
                f"{first.path}: {label('SliceThickness')} is {thickness}; expected mm above 0, "
                "since one slice alone does not tell its spacing"
            )
        return np.asarray(normal * thickness)
    step = (corners[-1] - corners[0]) / (len(corners) - 1)
    even = corners[0] + np.arange(len(corners))[:, np.newaxis] * step
    off = (corners - even) - np.outer((corners - even) @ normal, normal)
    sideways = float(np.linalg.norm(off, axis=1).max())
    if sideways > SIDEWAYS * float(spacing.min()):
        raise InputError(
            f"{first.path.parent}: slices are shifted sideways by up to {sideways:.3g} mm; "
            "expected them on a straight line; they are not one volume"
        )
    return np.asarray(step)


def _fewer_than_declared(header: Dataset, slices: int, frames: int, step: float) -> bool:
    """Whether a PET header declares other numbers of slices or frames, or slices twice as dense."""
    if text(header, "Modality") != "PT":
        return False
    expected = number(header, "NumberOfSlices"), number(header, "NumberOfTimeSlices")
    if any(e and e != n for e, n in zip(expected, (slices, frames), strict=True)):
        return True
    thickness = number(header, "SliceThickness")  # PET slices touch
    times = step / thickness if thickness and thickness > 0 else 1.0
    return round(times) >= 2 and abs(times / round(times) - 1) < IRREGULAR
