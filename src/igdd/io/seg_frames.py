"""Frames of a DICOM segmentation: what they are of, where they lie, and their decoded pixels.

Sizes that the header claims are held against the file, or against what a compressed frame says of
itself, before anything is allocated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.io.dicom_object import FLIP, SAME_PLACE
from igdd.types import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

# Pixels of one frame: 4096 x 4096.
FRAME_LIMIT = 2**24
# A place farther off than this many mm is a mistake.
FARTHEST = 1e5
# Steps of planes agree to this share of themselves, direction cosines are as long as one to 1 %.
PARALLEL = 1e-3
UNIT = 0.01
BITS = {"BINARY": (1, 8), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}
# Slices of the lattice that frames lie on: 10 m at 1 mm.
SLICE_LIMIT = 10_000
# Planes nearer than this many mm are the same plane, written with rounding.
SAME_PLANE = 0.01
# Gaps between planes are whole multiples of the spacing to this share of it.
LIKE = 0.02
RLE = "1.2.840.10008.1.2.5"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """What a segmentation says of its frames before any pixel is decoded.

    names      segment number -> label, without the background of a label map
    kind       BINARY, FRACTIONAL or LABELMAP
    size       columns (i) and rows (j) of a frame
    plane      (3, 2) steps in mm, RAS+, along i and j
    positions  (frame, 3) centre of each frame's first pixel in mm, RAS+
    segments   (frame,) number of each frame's segment, 0 in a label map
    spacing, thickness   along the slices in mm, or None
    largest    stored value that means all of a pixel
    """

    names: dict[int, str]
    kind: str
    size: tuple[int, int]
    plane: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    spacing: float | None
    thickness: float | None
    largest: float


def layout(dataset: Dataset, path: Path) -> Layout:
    """Names, geometry and frames, checked against each other and against the pixel data."""
    kind = str(dataset.SegmentationType)
    size = (int(dataset.Columns), int(dataset.Rows))
    groups = _frame_groups(dataset, size, kind, path)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    positions, segments, planes = [], [], {}
    for group in groups:
        measures = _group("PixelMeasuresSequence", group, shared, path)
        orientation = _group("PlaneOrientationSequence", group, shared, path)
        # What is shared by all frames is worked out once.
        if (id(measures), id(orientation)) not in planes:
            planes[id(measures), id(orientation)] = _plane(measures, orientation, path)
        place = _group("PlanePositionSequence", group, shared, path)
        positions.append(_numbers(place, "ImagePositionPatient", 3, path) * FLIP)
        segments.append(0 if kind == "LABELMAP" else _segment_of(group, shared, path))
    plane = next(iter(planes.values()))
    if any(np.abs(p - plane).max() > PARALLEL * np.abs(plane).max() for p in planes.values()):
        raise InputError(
            f"{path}: frames differ in orientation or pixel spacing; expected parallel planes of "
            "one lattice; split the segmentation"
        )
    first = _group("PixelMeasuresSequence", groups[0], shared, path)
    return Layout(
        names=_names(dataset, kind, set(segments), path),
        kind=kind,
        size=size,
        plane=plane,
        positions=np.array(positions),
        segments=np.array(segments),
        spacing=_positive(first.get("SpacingBetweenSlices")),
        thickness=_positive(first.get("SliceThickness")),
        largest=_largest(dataset, kind, path),
    )


def on_grid(form: Layout, grid: Grid) -> tuple[Grid, np.ndarray] | None:
    """The image's grid and the slice of each frame, if every frame lies on its lattice."""
    if form.size != grid.shape[:2]:
        return None
    corners = np.array([[0, 0], [form.size[0] - 1, 0], [0, form.size[1] - 1]])
    found = grid.indices(form.positions[:, None, :] + corners @ form.plane.T)
    slices = np.rint(found[:, 0, 2])
    found[..., :2] -= corners
    found[..., 2] -= slices[:, None]
    if np.abs(found).max() > SAME_PLACE:
        return None
    return grid, slices.astype(int)


def lattice(form: Layout, path: Path) -> tuple[Grid, np.ndarray]:
    """The lattice of the frames themselves, and the slice of each frame.

    Its slice spacing is the first of these that all gaps between planes are whole multiples of:
    SpacingBetweenSlices, the smallest gap. A single plane takes SpacingBetweenSlices, or else
    SliceThickness. Planes without a frame are empty: the standard lets them be left out.
    """
    across, along = form.plane.T
    normal = np.cross(across, along) / np.linalg.norm(np.cross(across, along))
    heights = form.positions @ normal
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    new = gaps > SAME_PLANE
    step, multiples = _spacing(gaps[new], form, path)
    count = int(multiples.sum()) + 1
    if count > SLICE_LIMIT:
        raise InputError(
            f"{path}: frames span {count} slices of {step:.3g} mm; expected at most {SLICE_LIMIT}"
        )
    climbed = np.zeros(len(order), dtype=int)
    climbed[1:][new] = multiples
    slices = np.empty(len(order), dtype=int)
    slices[order] = np.cumsum(climbed)
    first, last = form.positions[order[0]], form.positions[order[-1]]
    affine = np.eye(4)
    affine[:3, :2] = form.plane
    affine[:3, 2] = (last - first) / (count - 1) if count > 1 else normal * step
    affine[:3, 3] = first
    grid = Grid(shape=(*form.size, count), affine=affine)
    found = grid.indices(form.positions) - np.column_stack([np.zeros((len(slices), 2)), slices])
    if np.abs(found).max() > LIKE:
        raise InputError(
            f"{path}: frames do not line up: one is {np.abs(found).max():.3g} voxels off its "
            "place in the stack; expected planes of one regular lattice"
        )
    return grid, slices


def _spacing(gaps: np.ndarray, form: Layout, path: Path) -> tuple[float, np.ndarray]:
    """Slice spacing in mm, and how many spacings each gap between planes is."""
    if not gaps.size:
        single = form.spacing if form.spacing is not None else form.thickness
        if single is None:
            raise InputError(
                f"{path}: a single plane without SpacingBetweenSlices (0018,0088) or "
                "SliceThickness (0018,0050); expected one of them in PixelMeasuresSequence"
            )
        return single, np.zeros(0, dtype=int)
    for step in (form.spacing, float(gaps.min())):
        if step is None:
            continue
        multiples = np.minimum(np.rint(gaps / step), SLICE_LIMIT)
        if (multiples >= 1).all() and (np.abs(gaps / step - multiples) <= LIKE * multiples).all():
            return step, multiples.astype(int)
    raise InputError(
        f"{path}: gaps between planes are {np.unique(gaps.round(3))[:5]} mm; expected whole "
        "multiples of one spacing; export it on the image's own slices"
    )


def pixels(dataset: Dataset, form: Layout, path: Path) -> Iterator[np.ndarray]:
    """Stored values (row, column) of each frame, one at a time."""
    rows, columns = form.size[1], form.size[0]
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        from pydicom.pixels.utils import iter_pixels

        _check_streams(dataset, form, path)
        yield from iter_pixels(dataset, raw=True)
        return
    content = np.frombuffer(dataset.PixelData, np.uint8)
    bits = int(dataset.BitsAllocated)
    order = "<" if syntax.is_little_endian else ">"
    for number in range(len(form.segments)):
        start, stop = number * rows * columns, (number + 1) * rows * columns
        if bits == 1:
            # Frames follow each other bit by bit, the first pixel in the lowest bit.
            unpacked = np.unpackbits(content[start // 8 : -(-stop // 8)], bitorder="little")
            yield unpacked[start % 8 :][: rows * columns].reshape(rows, columns)
            continue
        part = content[start * bits // 8 : stop * bits // 8]
        yield part.view(f"{order}u{bits // 8}").reshape(rows, columns)


def _frame_groups(dataset: Dataset, size: tuple[int, int], kind: str, path: Path) -> Any:
    """Functional groups of each frame, after the frames' claimed size was checked."""
    count = int(dataset.get("NumberOfFrames") or 1)
    area, bits = size[0] * size[1], int(dataset.BitsAllocated)
    if not 1 <= area <= FRAME_LIMIT or count < 1:
        raise InputError(
            f"{path}: claims {count} frames of {size[1]} rows and {size[0]} columns; expected at "
            f"least one, and 1 to {FRAME_LIMIT} pixels in a frame"
        )
    if bits not in BITS.get(kind, ()) or int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise InputError(
            f"{path}: SegmentationType (0062,0001) is {kind!r} with {bits} bits per pixel; "
            "expected BINARY of 1, FRACTIONAL of 8, or LABELMAP of 8 or 16"
        )
    held = len(dataset.PixelData)
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated and held * 8 < area * count * bits:
        raise InputError(
            f"{path}: holds {held} bytes of pixels; {count} frames of {size[1]} x {size[0]} need "
            f"{-(-area * count * bits // 8)}; the file is cut short; copy it again"
        )
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != count:
        raise InputError(
            f"{path}: PerFrameFunctionalGroupsSequence (5200,9230) has {len(groups)} items; "
            f"NumberOfFrames (0028,0008) says {count}; expected a place for each frame, as slides "
            "and projections do not have"
        )
    return groups


def _group(keyword: str, group: Any, shared: Any, path: Path) -> Any:
    """First item of a functional group, of the frame or shared by all."""
    for holder in (group, shared):
        items = None if holder is None else holder.get(keyword)
        if items:
            return items[0]
    raise InputError(
        f"{path}: a frame has no {keyword}; expected planes with a place in the patient (slides "
        "and projections have none)"
    )


def _numbers(item: Any, keyword: str, count: int, path: Path) -> np.ndarray:
    value = item.get(keyword)
    numbers = np.array(value if value is not None else [], dtype=float).ravel()
    if numbers.size != count or not (np.abs(numbers) <= FARTHEST).all():
        raise InputError(f"{path}: {keyword} is {value!r:.80}; expected {count} plausible numbers")
    return numbers


def _positive(value: Any) -> float | None:
    number = float(value) if value is not None and value != "" else 0.0
    return number if 0 < number < np.inf else None


def _plane(measures: Any, orientation: Any, path: Path) -> np.ndarray:
    """Steps (3, 2) in mm, RAS+, from column to column and from row to row."""
    spacing = _numbers(measures, "PixelSpacing", 2, path)
    cosines = _numbers(orientation, "ImageOrientationPatient", 6, path).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if not (np.abs(lengths - 1) < UNIT).all() or abs(cosines[0] @ cosines[1]) > UNIT:
        raise InputError(
            f"{path}: ImageOrientationPatient (0020,0037) is {cosines.ravel()}; expected two "
            "perpendicular unit vectors"
        )
    if not (spacing > 0).all():
        raise InputError(f"{path}: PixelSpacing is {spacing} mm; expected two positive numbers")
    return np.asarray((cosines / lengths[:, None] * FLIP * spacing[::-1, None]).T)


def _segment_of(group: Any, shared: Any, path: Path) -> int:
    item = _group("SegmentIdentificationSequence", group, shared, path)
    return int(item.ReferencedSegmentNumber)


def _names(dataset: Dataset, kind: str, used: set[int], path: Path) -> dict[int, str]:
    """Segment numbers and labels, without the background of a label map."""
    names = {}
    for item in dataset.SegmentSequence:
        number = int(item.SegmentNumber)
        names[number] = str(item.get("SegmentLabel") or "").strip() or f"segment_{number}"
    if kind == "LABELMAP":
        names.pop(0, None)
        return names
    unknown = used - set(names)
    if unknown:
        raise InputError(
            f"{path}: a frame refers to segment {min(unknown)}, which SegmentSequence (0062,0002) "
            "does not describe; export it again"
        )
    return names


def _largest(dataset: Dataset, kind: str, path: Path) -> float:
    if kind != "FRACTIONAL":
        return 1.0
    largest = _positive(dataset.get("MaximumFractionalValue"))
    if largest is None:
        raise InputError(
            f"{path}: MaximumFractionalValue (0062,000E) is missing; expected the value of a "
            "pixel that lies wholly inside"
        )
    return largest


def _check_streams(dataset: Dataset, form: Layout, path: Path) -> None:
    """Hold what each compressed frame says of its size against the header, before decoding."""
    from pydicom.encaps import generate_frames

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in (RLE, JPEG_LS, JPEG_2000):
        raise InputError(
            f"{path}: transfer syntax {syntax} is not read for segmentations; expected none, RLE, "
            "JPEG-LS or JPEG 2000 (lossless)"
        )
    if syntax == RLE:
        return
    size_of = _jpeg_2000_size if syntax == JPEG_2000 else _jpeg_size
    for frame in generate_frames(dataset.PixelData, number_of_frames=len(form.segments)):
        if size_of(frame) != form.size:
            raise InputError(
                f"{path}: a compressed frame is {size_of(frame)} pixels; Columns and Rows say "
                f"{form.size}; export it again"
            )


def _jpeg_2000_size(stream: bytes) -> tuple[int, int]:
    """Columns and rows in the SIZ segment of a JPEG 2000 codestream; (0, 0) if there is none."""
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 24:
        return 0, 0
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    return right - left, bottom - top


def _jpeg_size(stream: bytes) -> tuple[int, int]:
    """Columns and rows in the frame header (SOF) of a JPEG or JPEG-LS stream; (0, 0) if none."""
    place = 2
    while place + 9 <= len(stream) and stream[place] == 0xFF:
        marker, length = struct.unpack_from(">BH", stream, place + 1)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack_from(">HH", stream, place + 5)
            return columns, rows
        place += 2 + length
    return 0, 0
