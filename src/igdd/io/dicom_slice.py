"""One DICOM slice in one file: its header, and its stored values without a copy where possible.

Bounded: a size is believed only if the file is as long, nothing is inflated, nesting is limited.
What a hostile or broken file can make pydicom raise or warn of ends here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from igdd.errors import InputError
from igdd.headers import broken
from igdd.io.bounded import Within
from igdd.io.dicom_decode import RLE, SAFE, check_stream, decode_apart, decode_here, failures
from igdd.io.dicom_layout import PIXELS, SLICE_LIMIT, UNCOMPRESSED, Layout, layout_of, meta_text

if TYPE_CHECKING:
    from pydicom import Dataset

# Headers add a few hundred kB to the pixels.
FILE_LIMIT = 2 * SLICE_LIMIT
# File meta information is a few hundred bytes.
META_LIMIT = 4096
# Real headers nest four or five deep.
DEPTH_LIMIT = 32
# Sequences of fewer bytes cannot nest deeply enough to harm.
LONG_SEQUENCE = 4096
ITEM_STARTS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
DEFLATED = b"1.2.840.10008.1.2.1.99"
DIRECTORY = "1.2.840.10008.1.3.10"
# First elements of an object written without preamble: file meta, or group 8.
BARE_STARTS = {bytes((group, 0, element, 0)) for group, element in (
    (2, 0), (2, 1), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16), (8, 0x18),
)}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """Header without pixels, the file it is from, and stored values (row, column) or None.

    layout  where the values are still to be decoded: what they shall be
    """

    header: Dataset
    path: Path
    stored: np.ndarray | None = None
    layout: Layout | None = None
    flags: tuple[str, ...] = ()


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM does, with or without its preamble."""
    try:
        with path.open("rb") as stream:
            return _starts_as_dicom(stream.read(132))
    except OSError:
        return False


def read_header(path: Path) -> Slice | None:
    """A file's header without pixels; None if it is no DICOM object, or a directory of them."""
    with _opened(path) as stream:
        head = stream.read(META_LIMIT)
        if not _starts_as_dicom(head):
            return None
        _refuse_deflated(head, stream, path)
        stream.seek(0)
        header = _parsed(stream, path, stop_before_pixels=True)
    return None if _is_directory(header) else Slice(header=header, path=path)


def read_slice(
    path: Path, wanted: Callable[[Dataset, Path], bool], layouts: dict[tuple[Any, ...], Layout]
) -> Slice | None:
    """A file's header and stored values; None if it is no DICOM object that is wanted.

    `layouts` remembers what slices of the same form have been found to be.
    """
    with _opened(path) as stream:
        content = stream.read(132)
        if not _starts_as_dicom(content):
            return None
        content += stream.read()
    _refuse_deflated(content[:META_LIMIT], io.BytesIO(content), path)
    header = _parsed(io.BytesIO(content), path)
    if _is_directory(header) or not wanted(header, path):
        return None
    layout = layout_of(header, path, layouts)
    stored: np.ndarray | None = None
    flags: tuple[str, ...] = ()
    if layout.syntax in UNCOMPRESSED:
        stored, flags = _plain(header, layout, path)
    elif layout.syntax != RLE:
        check_stream(_pixel_bytes(header, path), layout.rows, layout.columns, path)
    if layout.syntax in SAFE:
        stored = _checked(decode_here(header, layout.syntax, path), layout, path)
    del header[PIXELS]
    return Slice(
        header=header,
        path=path,
        stored=stored,
        layout=layout if stored is None else None,
        flags=flags,
    )


def decoded(slices: Sequence[Slice]) -> list[Slice]:
    """The same slices, with the values of those that are still to be decoded."""
    waiting = [one for one in slices if one.layout is not None]
    found = dict(
        zip(
            [one.path for one in waiting],
            decode_apart([one.path for one in waiting]) if waiting else (),
            strict=True,
        )
    )
    return [
        one
        if one.layout is None
        else replace(one, stored=_checked(found[one.path], one.layout, one.path), layout=None)
        for one in slices
    ]


def _checked(pixels: np.ndarray, layout: Layout, path: Path) -> np.ndarray:
    """Decoded values, if they are as many as the header says."""
    if pixels.shape != (layout.rows, layout.columns):
        raise InputError(
            f"{path}: the decoded pixels have shape {pixels.shape}; expected "
            f"{(layout.rows, layout.columns)}"
        )
    return pixels


def _starts_as_dicom(head: bytes) -> bool:
    return head[128:132] == b"DICM" or head[:4] in BARE_STARTS


def _opened(path: Path) -> BinaryIO:
    try:
        size = path.stat().st_size
        if size > FILE_LIMIT:
            raise InputError(
                f"{path}: the file has {size:.3g} bytes; expected one slice, at most "
                f"{FILE_LIMIT:.3g}; multi-frame objects are not read as a series"
            )
        return Within(io.FileIO(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); expected a file") from error


def _refuse_deflated(head: bytes, whole: BinaryIO, path: Path) -> None:
    """Refuse the deflated transfer syntax, whose size nobody knows."""
    # Without ordinary file meta information, the syntax may be named anywhere.
    if DEFLATED in head or (not _meta_ends(head) and DEFLATED in whole.read()):
        raise InputError(
            f"{path}: transfer syntax Deflated Explicit VR; expected one that does not hide its "
            "size; convert it, e.g. with dcmconv +te"
        )


def _meta_ends(head: bytes) -> bool:
    """Whether the file meta information is well formed and ends within the head."""
    place = 132 if head[128:132] == b"DICM" else 0
    while place + 8 <= len(head):
        group, _, kind, length = struct.unpack_from("<HH2sH", head, place)
        if group != 2:
            return True
        if not kind.isalpha():
            return False
        place += 8
        if kind in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
            if place + 4 > len(head):
                return False
            (length,) = struct.unpack_from("<I", head, place)
            place += 4
        place += length
    return False


def _parsed(stream: BinaryIO, path: Path, stop_before_pixels: bool = False) -> Dataset:
    from pydicom import dcmread

    try:
        header = dcmread(stream, stop_before_pixels=stop_before_pixels, force=True)
        _check_depth(header, path)
    except failures() as error:
        raise InputError(
            f"{path}: cannot be read as DICOM ({type(error).__name__}); expected a whole, "
            "undamaged file"
        ) from error
    return header


def _check_depth(header: Dataset, path: Path) -> None:
    """Refuse deep nesting, one level at a time: pydicom reads sequences of known length lazily."""
    from pydicom.sequence import Sequence as ItemSequence

    waiting = [(header, 0)]
    while waiting:
        level, depth = waiting.pop()
        if depth > DEPTH_LIMIT:
            raise InputError(
                f"{path}: sequences nest more than {DEPTH_LIMIT} deep; expected a few levels"
            )
        for element in list(level.values()):  # as they stand in the file, not converted
            content = element.value
            if isinstance(content, bytes):
                if len(content) < LONG_SEQUENCE or content[:4] not in ITEM_STARTS:
                    continue
                content = level[element.tag].value
            if isinstance(content, ItemSequence):
                waiting += [(item, depth + 1) for item in content]


def _is_directory(header: Dataset) -> bool:
    return meta_text(header, "MediaStorageSOPClassUID") == DIRECTORY or (
        "DirectoryRecordSequence" in header
    )


def _pixel_bytes(header: Dataset, path: Path) -> bytes:
    """Pixel data as they stand in the file."""
    try:
        content = getattr(header.get_item(PIXELS), "value", None)
    except broken() as error:
        raise InputError(
            f"{path}: PixelData (7FE0,0010) cannot be read ({type(error).__name__}); expected "
            "bytes; the file is damaged"
        ) from error
    return content if isinstance(content, bytes) else b""


def _plain(header: Dataset, layout: Layout, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Stored values of an uncompressed slice: a view of the file's bytes."""
    content = _pixel_bytes(header, path)
    if len(content) < layout.size:
        raise InputError(
            f"{path}: PixelData (7FE0,0010) holds {len(content)} bytes; expected {layout.size} for "
            f"{layout.rows} x {layout.columns} pixels; the file is truncated"
        )
    # One byte of padding makes a length even; more than that contradicts the header.
    flags = ("header_warning",) if len(content) > layout.size + 1 else ()
    pixels = np.frombuffer(content, layout.kind, layout.rows * layout.columns)
    if layout.unused:  # overlays or padding may lie in the high bits
        pixels = (pixels << layout.unused) >> layout.unused
    return pixels.reshape(layout.rows, layout.columns), flags
