"""DICOM series of PET, CT and MR slices: static, whole-body multi-bed and dynamic.

Slices are grouped by series, sorted by geometry and time, never by file name, and scaled each by
its own slope. Values are never flipped: column, row and slice become i, j, k, and the change from
LPS to RAS is in the affine alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.headers import clock, item, label, number, quiet, text, texts
from igdd.io.bounded import check_budget
from igdd.io.box import crop as crop
from igdd.io.dicom_layout import Layout
from igdd.io.dicom_slice import Slice, decoded, is_dicom, read_header, read_slice
from igdd.io.dicom_stack import Stack, stack
from igdd.types import Series

if TYPE_CHECKING:
    from pydicom import Dataset

# SOP classes whose objects are one slice each; the enhanced ones hold many and are refused.
CLASSES = {
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
}
MANY_FRAMES = {
    "1.2.840.10008.5.1.4.1.1.130": "Enhanced PET",
    "1.2.840.10008.5.1.4.1.1.128.1": "Legacy Converted Enhanced PET",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR",
}
# A folder is known by its first DICOM image; this many files are tried.
SNIFFED = 256
# The end of a series instance UID that is shown, enough to tell series apart.
UID_SHOWN = 12


def sniff(path: Path) -> bool:
    """Whether a file, or one of the first files of a folder, is a PET, CT or MR slice in DICOM."""
    with quiet():
        for file in islice(_files(path), SNIFFED):
            if not is_dicom(file):
                continue
            try:
                found = read_header(file)
            except InputError:  # `read` says what is wrong
                return True
            if found is not None and _class(found.header) in (*CLASSES, *MANY_FRAMES):
                return True
    return False


def read(path: Path, *, modality: str | None = None, series: str | None = None) -> list[Series]:
    """Every PET, CT and MR series in a file or folder, at any depth, in the order of their UIDs.

    Parameters
    ----------
    path : a file or a folder; files that are not DICOM, directories and other objects are passed
    modality : "PT", "CT" or "MR" to read only those
    series : end of the series instance UID, to read only that one
    """
    layouts: dict[tuple[Any, ...], Layout] = {}
    wanted = partial(_wanted, modality=modality)
    groups: dict[str, list[Slice]] = {}
    with quiet() as warned:
        for file in _files(path):
            one = read_slice(file, wanted, layouts)
            if one is None:
                continue
            uid = text(one.header, "SeriesInstanceUID") or ""
            if series is None or uid.endswith(series):
                groups.setdefault(uid, []).append(one)
        if not groups:
            raise InputError(
                f"{path}: no {modality or 'PET, CT or MR'} slice in DICOM found; expected at least "
                "one; check the path"
            )
        found = [_series(groups.pop(uid), path) for uid in sorted(groups)]
    if warned:
        found = [replace(one, flags=(*one.flags, "header_warning")) for one in found]
    return found


def headers(path: Path) -> dict[str, tuple[Dataset, ...]]:
    """Headers of every PET, CT and MR series by its UID, in the order of `read`, without pixels.

    Where the geometry is at fault they stand in the order of the files; `describe` tells why.
    """
    groups = _grouped(path)
    with quiet():
        return {
            uid: ordered_headers(slices)
            for uid, slices in groups.items()
            if _class(slices[0].header) in CLASSES
        }


def describe(path: Path) -> list[dict[str, Any]]:
    """What every DICOM series at a path is, from its headers only, and what is wrong with it.

    Keys: `series` (end of its UID), `uid`, `number`, `modality`, `description`, `files`, `path`,
    and for images `frames`, `shape`, `spacing`, `units`, `decay_correction`, `corrected`, `tracer`,
    `nuclide`, `acquired`, `frame_seconds`, `flags`, `problem`.
    """
    groups = _grouped(path)
    with quiet():
        return [describe_series(uid, slices) for uid, slices in groups.items()]


def describe_series(uid: str, slices: Sequence[Slice]) -> dict[str, Any]:
    """What `describe` says of one series, from the headers of its files."""
    header = slices[0].header
    row: dict[str, Any] = {
        "series": uid[-UID_SHOWN:],
        "uid": uid,
        "number": text(header, "SeriesNumber"),
        "modality": text(header, "Modality") or "",
        "description": text(header, "SeriesDescription") or "",
        "files": len(slices),
        "path": os.path.commonpath([one.path.parent for one in slices]),
    }
    kind = _class(header)
    if kind in CLASSES:
        row |= _image_facts(slices)
    elif kind in MANY_FRAMES:
        row["problem"] = f"{MANY_FRAMES[kind]} objects are not read yet"
    return row


def ordered_headers(slices: Sequence[Slice]) -> tuple[Dataset, ...]:
    """Headers of one series in the order of `read`; as they came where its geometry is at fault."""
    ordered, _ = _ordered(slices)
    return tuple(one.header for frame in ordered for one in frame)


def _files(path: Path) -> Iterator[Path]:
    """The file, or every file of the folder in a fixed order; symlinked folders are not entered."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise InputError(f"{path}: there is no such file or folder")
    for folder, inner, names in os.walk(path):
        inner.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file():
                yield file


def _class(header: Dataset) -> str:
    """SOP class UID; where it is missing, that of the modality's plain slices."""
    stated = text(header, "SOPClassUID")
    if stated is not None:
        return stated
    kind = text(header, "Modality")
    return next((uid for uid, modality in CLASSES.items() if modality == kind), "")


def _wanted(header: Dataset, path: Path, modality: str | None) -> bool:
    """Whether a slice is to be read; many-frame objects of a wanted modality are refused."""
    kind = _class(header)
    if kind in MANY_FRAMES and modality in (None, text(header, "Modality")):
        raise InputError(
            f"{path}: {MANY_FRAMES[kind]} is not read yet; expected one slice in a file; export "
            "the series as classic single-frame objects"
        )
    return kind in CLASSES and modality in (None, CLASSES[kind])


def _series(slices: list[Slice], path: Path) -> Series:
    """One series from its slices, which are consumed."""
    slices = decoded(slices)
    first = slices[0].header
    modality = CLASSES[_class(first)]
    if "MOSAIC" in (texts(first, "ImageType") or ()):
        raise InputError(
            f"{slices[0].path}: a Siemens mosaic of many slices in one picture; expected one slice "
            "in a file; export it unmosaicked"
        )
    ordered = stack(slices)
    frames = ordered.frames
    values = _values(frames, modality)
    return Series(
        modality=modality,
        values=values,
        grid=ordered.grid,
        headers=tuple(one.header for frame in frames for one in frame),
        source=_source(first, modality),
        files=tuple(sorted(str(one.path) for one in slices)),
        flags=ordered.flags,
    )


def _values(frames: Sequence[Sequence[Slice]], modality: str) -> np.ndarray:
    """Stored values times each slice's own slope, plus its intercept: (i, j, k, t) float32."""
    rows, columns = _stored(frames[0][0]).shape
    check_budget(
        4 * len(frames) * len(frames[0]) * rows * columns, frames[0][0].path.parent, "the series"
    )
    values = np.empty((len(frames), len(frames[0]), rows, columns), dtype=np.float32)
    for t, frame in enumerate(frames):
        for k, one in enumerate(frame):
            slope, intercept = _scale(one, modality)
            np.multiply(_stored(one), np.float32(slope), out=values[t, k], casting="same_kind")
            if intercept:
                values[t, k] += np.float32(intercept)
    return values.transpose(3, 2, 1, 0)


def _stored(one: Slice) -> np.ndarray:
    if one.stored is None:
        raise InputError(f"{one.path}: the pixels were not read; expected a slice with pixels")
    return one.stored


def _scale(one: Slice, modality: str) -> tuple[float, float]:
    """Slope and intercept; MR has none where its numbers are arbitrary."""
    slope, intercept = number(one.header, "RescaleSlope"), number(one.header, "RescaleIntercept")
    if slope is None and modality != "MR":
        raise InputError(
            f"{one.path}: {label('RescaleSlope')} is missing; expected the factor from stored to "
            "real values; fetch the original, since no image of this kind is without it"
        )
    if slope == 0:
        raise InputError(f"{one.path}: {label('RescaleSlope')} is 0; expected another number")
    return (1.0 if slope is None else slope), (intercept or 0.0)


def _source(header: Dataset, modality: str) -> str:
    """What a series is called: modality, number, description and the end of its UID."""
    stated = number(header, "SeriesNumber")
    words = [modality, "series"] + ([f"{stated:g}"] if stated is not None else [])
    description = text(header, "SeriesDescription")
    words += [repr(description)] if description else []
    uid = text(header, "SeriesInstanceUID") or ""
    return " ".join(words) + f" ({uid[-UID_SHOWN:]})"


def _grouped(path: Path) -> dict[str, list[Slice]]:
    """Headers of every DICOM object at a path, by series, in the order of their UIDs."""
    groups: dict[str, list[Slice]] = {}
    with quiet():
        for file in _files(path):
            one = read_header(file)
            if one is not None:
                groups.setdefault(text(one.header, "SeriesInstanceUID") or "", []).append(one)
    return dict(sorted(groups.items()))


def _ordered(slices: Sequence[Slice]) -> tuple[tuple[tuple[Slice, ...], ...], Stack | str]:
    """Slices frame by frame with their stack; as they came, with the reason, where it fails."""
    try:
        found = stack(slices)
    except InputError as error:
        return (tuple(slices),), str(error)
    return found.frames, found


def _image_facts(slices: Sequence[Slice]) -> dict[str, Any]:
    """Geometry, timing, units and tracer of an image series, from its headers."""
    with quiet() as warned:
        frames, found = _ordered(slices)
        first = frames[0][0].header
        row: dict[str, Any] = {
            "units": text(first, "Units"),
            "decay_correction": text(first, "DecayCorrection"),
            "corrected": texts(first, "CorrectedImage"),
            **_tracer(first),
            **_timing(frames),
        }
    flags = {"header_warning"} if warned else set()
    if isinstance(found, str):
        return row | {"flags": tuple(sorted(flags)), "problem": found}
    return row | {
        "frames": len(frames),
        "shape": found.grid.shape,
        "spacing": tuple(float(step) for step in found.grid.spacing.round(6)),
        "flags": tuple(sorted(flags.union(found.flags))),
        "problem": None,
    }


def _tracer(header: Dataset) -> dict[str, Any]:
    """Radiopharmaceutical and nuclide in the header's words."""
    dose = item(header, "RadiopharmaceuticalInformationSequence")
    if dose is None:
        return {"tracer": None, "nuclide": None}
    coded = item(dose, "RadionuclideCodeSequence")
    return {
        "tracer": text(dose, "Radiopharmaceutical"),
        "nuclide": None if coded is None else text(coded, "CodeMeaning"),
    }


def _timing(frames: Sequence[Sequence[Slice]]) -> dict[str, Any]:
    """Start of the acquisition, and the length of each frame's first slice in s."""
    starts = [
        clock(one.header, "AcquisitionDate", "AcquisitionTime") for frame in frames for one in frame
    ]
    known = [start for start in starts if start is not None]
    lengths = [number(frame[0].header, "ActualFrameDuration") for frame in frames]
    return {
        "acquired": min(known) if known else None,
        "frame_seconds": tuple(None if length is None else length / 1000 for length in lengths),
    }


READERS = (
    Reader(
        name="dicom_series",
        gives="series",
        sniff=sniff,
        read=read,
        help="DICOM slices of PET, CT or MR: a file or a folder",
        reference="DICOM PS3.3 C.7.6.2, C.8.9",
    ),
)
