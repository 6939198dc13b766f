"""How the pixels of a DICOM slice lie in its file: what its header claims, checked before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.headers import broken, label, number, tag_of, text
from igdd.io.dicom_decode import failures

if TYPE_CHECKING:
    from pydicom import Dataset

# A slice of 4096 x 4096 in 32 bits is 64 MiB; headers add a few hundred kB.
SLICE_LIMIT = 64 * 2**20
PIXELS = 0x7FE00010
IMPLICIT = "1.2.840.10008.1.2"
UNCOMPRESSED = {IMPLICIT: "<", "1.2.840.10008.1.2.1": "<", "1.2.840.10008.1.2.2": ">"}
LAYOUT = (
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "NumberOfFrames",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the pixels of a slice lie in the file."""

    rows: int
    columns: int
    kind: np.dtype[Any]
    unused: int
    syntax: str

    @property
    def size(self) -> int:
        """Bytes of the stored values."""
        return self.rows * self.columns * self.kind.itemsize


def layout_of(header: Dataset, path: Path, layouts: dict[tuple[Any, ...], Layout]) -> Layout:
    """Layout of a slice's pixels; `layouts` remembers it for slices of the same form."""
    syntax = meta_text(header, "TransferSyntaxUID")
    key = (syntax, *(raw(header, keyword) for keyword in LAYOUT))
    if key not in layouts:
        layouts[key] = _described(header, path, syntax or IMPLICIT)
    return layouts[key]


def raw(header: Dataset, keyword: str) -> Any:
    """An element as it stands in the file, without converting it: equal bytes are equal values."""
    tag = tag_of(keyword)
    try:
        value = getattr(header.get_item(tag), "value", None)
        return value if isinstance(value, bytes | None) else str(value)
    except KeyError:  # absent
        return None
    except broken() as error:
        raise InputError(f"{label(keyword)} cannot be read; the header is damaged") from error


def _described(header: Dataset, path: Path, syntax: str) -> Layout:
    found = {keyword: number(header, keyword) for keyword in LAYOUT}
    if PIXELS not in header:
        raise InputError(f"{path}: PixelData (7FE0,0010) is missing; the file may be truncated")
    for keyword in ("Rows", "Columns", "BitsAllocated", "PixelRepresentation"):
        if found[keyword] is None:
            raise InputError(f"{path}: {label(keyword)} is missing; expected it in an image")
    if (found["NumberOfFrames"] or 1) > 1:
        raise InputError(
            f"{path}: {label('NumberOfFrames')} is {found['NumberOfFrames']:g}; expected one slice "
            "in a file; enhanced and multi-frame objects are not read as a series yet"
        )
    rows, columns = int(found["Rows"] or 0), int(found["Columns"] or 0)
    bits, signed = int(found["BitsAllocated"] or 0), found["PixelRepresentation"]
    stored = int(bits if found["BitsStored"] is None else found["BitsStored"])
    high = stored - 1 if found["HighBit"] is None else found["HighBit"]
    samples = 1 if found["SamplesPerPixel"] is None else found["SamplesPerPixel"]
    sound = bits in (8, 16, 32) and signed in (0, 1) and samples == 1 and rows > 0 < columns
    if not (sound and 0 < stored <= bits and high == stored - 1):
        raise InputError(
            f"{path}: {rows} x {columns} pixels, {samples:g} samples of {stored} in {bits} bits, "
            f"high bit {high:g}; expected one sample of 8, 16 or 32 bits, high bit last"
        )
    if syntax not in UNCOMPRESSED:
        _check_decodable(syntax, path)
    order = UNCOMPRESSED.get(syntax, "<")
    layout = Layout(
        rows=rows,
        columns=columns,
        kind=np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}"),
        unused=bits - stored,
        syntax=syntax,
    )
    if layout.size > SLICE_LIMIT:
        raise InputError(
            f"{path}: {rows} x {columns} pixels claim {layout.size:.3g} bytes; expected at most "
            f"{SLICE_LIMIT:.3g} in one slice"
        )
    return layout


def _check_decodable(syntax: str, path: Path) -> None:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    try:
        known = get_decoder(UID(syntax)).is_available
    except failures():
        known = False
    if not known:
        raise InputError(
            f"{path}: transfer syntax {syntax[:64]} cannot be decoded here; expected one of "
            "uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000; convert it, e.g. with dcmdjpeg"
        )


def meta_text(header: Dataset, keyword: str) -> str:
    """An element of the file meta information; empty where it is absent."""
    meta = getattr(header, "file_meta", None)
    return "" if meta is None else text(meta, keyword) or ""
