"""One DICOM object in one file (a segmentation, a structure set): bounded reading, honest writing.

What a hostile or broken file can make pydicom do (raise, recurse, inflate, warn) ends here.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.io.bounded import check_budget, opened, read_bounded
from igdd.types import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

# A segmentation of a whole body at 1 mm with 100 organs is 0.5 GB.
FILE_LIMIT = 2**30
# A deflated object does not say how long it is; inflating stops here.
INFLATED_LIMIT = 64 * 2**20
DEFLATED = "1.2.840.10008.1.2.1.99"
# File meta information is a few hundred bytes at the head of the file.
META = 4096

UNDEFINED = 0xFFFFFFFF
# Bytes of a voxel's weight in a sparse row: its place and its share.
ENTRY = 16
# How often regions may cover their image on average, and weights that are always allowed.
COVER = 4
FEW = 1_000_000
# Bytes of an element's head.
SHORTEST = 8

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip

# A mask lies on an image's grid to this share of a voxel (DESIGN.md, 3).
SAME_PLACE = 0.01

# World coordinates of DICOM are LPS, ours are RAS.
FLIP = np.array([-1.0, -1.0, 1.0])

# All that pydicom and the decoders behind it are known to raise on a broken file.
BROKEN = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError,
    OSError, RecursionError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip


def storage_class(path: Path | str) -> str:
    """SOP class UID in a file's meta information, or "" if it is no DICOM file; reads 4 kB."""
    try:
        with opened(path) as stream:
            head = stream.read(META)
    except InputError:
        return ""
    if head[128:132] != b"DICM":
        return ""
    place = 132
    # Meta information is always explicit little endian: group, element, VR, length, value.
    while place + 8 <= len(head):
        group, element, kind, length = struct.unpack_from("<HH2sH", head, place)
        place += 8
        if kind in (b"OB", b"OW", b"UN", b"SQ", b"UT") and place + 4 <= len(head):
            (length,) = struct.unpack_from("<I", head, place)
            place += 4
        if (group, element) == (2, 2):
            return head[place : place + length].decode("ascii", "replace").strip("\0 ")
        if group != 2:
            return ""
        place += length
    return ""


@contextmanager
def refusing(path: Path | str, what: str) -> Iterator[list[warnings.WarningMessage]]:
    """Turn what pydicom raises into an `InputError` and collect what it warns of."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield caught
        except (*BROKEN, BytesLengthException, InvalidDicomError) as error:
            reason = str(error).strip("'\" ").split("\n")[0][:160] or type(error).__name__
            if isinstance(error, RecursionError):
                reason = "its sequences are nested too deeply"
            raise InputError(
                f"{path}: is damaged or is no {what} ({reason}); expected a complete DICOM file; "
                "export it again"
            ) from error


def read_object(path: Path | str, classes: Iterable[str], what: str) -> Dataset:
    """The dataset of a DICOM file of one of the SOP classes, pixels not decoded.

    Call it inside `refusing`, and touch the dataset there only.
    """
    from pydicom import dcmread

    found = storage_class(path)
    if found not in tuple(classes):
        with opened(path):
            raise InputError(
                f"{path}: MediaStorageSOPClassUID (0002,0002) is {found or 'missing'!r}; "
                f"expected that of a {what}"
            )
    content = read_bounded(path, min(Path(path).stat().st_size, FILE_LIMIT))
    if DEFLATED.encode() in content[:META]:
        return _inflated(content, path)
    dataset = dcmread(io.BytesIO(content))
    _check_complete(dataset, len(content), path)
    return dataset


def _check_complete(dataset: Dataset, size: int, path: Path | str) -> None:
    """Refuse a file that ends within an element: pydicom would give what is left of it."""
    from pydicom.dataelem import RawDataElement

    tags = list(dataset.keys())
    last = dataset.get_item(max(tags)) if tags else None
    if not isinstance(last, RawDataElement) or last.length == UNDEFINED:
        return
    left = size - last.value_tell - last.length
    if left < 0 or 0 < left < SHORTEST:
        raise InputError(
            f"{path}: ends within the element {last.tag} or the one after it; expected a complete "
            "file; copy it again"
        )


def _inflated(content: bytes, path: Path | str) -> Dataset:
    """Dataset of a deflated file; pydicom would inflate it whatever its size."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset

    length = struct.unpack_from("<I", content, 140)[0] if content[132:136] == b"\2\0\0\0" else 0
    meta = read_dataset(io.BytesIO(content[132 : 144 + length]), False, True)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(content[144 + length :], INFLATED_LIMIT)
    if inflater.unconsumed_tail:
        raise InputError(
            f"{path}: inflates to more than {INFLATED_LIMIT} bytes; expected less; "
            "store it without the deflated transfer syntax"
        )
    dataset = read_dataset(io.BytesIO(inflated), False, True)
    dataset.file_meta = FileMetaDataset(meta)
    return dataset


def unique_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Names with a number behind each repeated one, and which those are.

    >>> unique_names(["lesion", "liver", "lesion"])
    (('lesion', 'liver', 'lesion_2'), (False, False, True))
    """
    given: dict[str, bool] = {}
    numbers: dict[str, int] = {}
    reserved = set(names)
    for name in names:
        chosen = name
        while chosen in given or (chosen != name and chosen in reserved):
            numbers[name] = numbers.get(name, 1) + 1
            chosen = f"{name}_{numbers[name]}"
        given[chosen] = chosen != name
    return tuple(given), tuple(given.values())


def check_cover(entries: int, grid: Grid, path: Path | str) -> None:
    """Refuse regions whose weights would take far more memory than their image.

    A few bytes can claim a whole slice, time and again. Organs, lesions and a second reader of
    them seldom cover a voxel more than twice on average.
    """
    check_budget(entries * ENTRY, path, "what its regions cover")
    allowed = max(COVER * grid.size, FEW)
    if entries > allowed:
        raise InputError(
            f"{path}: its regions cover an image of {grid.size} voxels more than {COVER} times; "
            "expected outlines of parts of the body; split the file"
        )


def required(header: Dataset, keyword: str) -> Any:
    """Value of an attribute that the header of a source image must have."""
    from pydicom.datadict import tag_for_keyword

    value = header.get(keyword)
    if value is None or value == "":
        tag = tag_for_keyword(keyword) or 0
        raise InputError(
            f"source header {header.get('SOPInstanceUID', '?')}: {keyword} "
            f"({tag >> 16:04x},{tag & 0xFFFF:04x}) is missing; expected it in each slice's header"
        )
    return value


def copy_patient_and_study(source: Dataset, target: Dataset) -> None:
    """Who and which study: as the source has it, empty where it has nothing (type 2)."""
    for keyword in PATIENT_AND_STUDY:
        value = source.get(keyword)
        setattr(target, keyword, "" if value is None else value)
    target.StudyInstanceUID = required(source, "StudyInstanceUID")


def slice_headers(grid: Grid, headers: Sequence[Dataset]) -> list[Dataset]:
    """For each slice of a grid the first header that lies there, within 0.01 voxel."""
    place: dict[int, Dataset] = {}
    for header in headers:
        position = np.array(required(header, "ImagePositionPatient"), dtype=float) * FLIP
        index = grid.indices(position)
        nearest = int(np.rint(index[2]))
        if np.abs(index - [0, 0, nearest]).max() < SAME_PLACE:
            place.setdefault(nearest, header)
    missing = [number for number in range(grid.shape[2]) if number not in place]
    if missing:
        raise InputError(
            f"source headers: none lies on slice {missing[0]} of the regions' grid; expected one "
            f"for each of {grid.shape[2]}; give those of the image that the regions are on"
        )
    return [place[number] for number in range(grid.shape[2])]
