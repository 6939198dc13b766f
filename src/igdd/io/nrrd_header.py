"""The header of an NRRD file, checked before anything is believed of it.

pynrrd parses the text of the fields that matter here; free text never reaches it. A detached data
file must lie in the header's own folder.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io import bounded
from igdd.types import Grid

# A segmentation of 117 organs has 70 kB of header.
HEADER_LIMIT = 2**19
LINE_LIMIT = 4096
FIELDS = frozenset({
    "byte skip", "byteskip", "data file", "datafile", "dimension", "encoding", "endian", "kinds",
    "line skip", "lineskip", "sizes", "space", "space dimension", "space directions",
    "space origin", "space units", "type",
})  # fmt: skip
TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
ENCODINGS = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "txt": "text", "text": "text", "ascii": "text",
}  # fmt: skip
# Signs that turn the file's world axes into RAS+.
SPACES = {
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
# What 3D Slicer writes about a segment: "Segment3_LabelValue:=4".
SEGMENT = re.compile(r"Segment(\d{1,6})_(ID|Name|LabelValue|Layer)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Header:
    """What an NRRD header says of its samples.

    sizes   as stored, first axis fastest
    layers  the axis that is not spatial, or None
    skip    lines and bytes before the samples in `place`, after `offset`
    """

    fields: Mapping[str, Any]
    sizes: tuple[int, ...]
    layers: int | None
    stored: np.dtype[Any]
    encoding: str
    grid: Grid
    place: Path
    offset: int
    skip: tuple[int, int]

    @property
    def count(self) -> int:
        """Number of samples."""
        count = 1
        for size in self.sizes:
            count *= size
        return count


def read_header(path: Path) -> Header:
    """The header of an NRRD file, checked; no sample is read."""
    with bounded.opened(path) as stream:
        head = stream.read(HEADER_LIMIT)
    fields, end = _fields(head, path)
    sizes, layers = _sizes(fields, path)
    detached = fields.get("data file", fields.get("datafile"))
    return Header(
        fields=fields,
        sizes=sizes,
        layers=layers,
        stored=_stored(fields, path),
        encoding=_encoding(fields, path),
        grid=_grid(fields, sizes, layers, path),
        place=path if detached is None else _beside(str(detached), path),
        offset=end if detached is None else 0,
        skip=_skip(fields, path),
    )


def _fields(head: bytes, path: Path) -> tuple[dict[str, Any], int]:
    """Fields of the header that matter here, and where it ends."""
    import nrrd

    if not head.startswith(b"NRRD"):
        raise InputError(f"{path}: does not start with NRRD; expected an NRRD file")
    blank = re.search(rb"\r?\n\r?\n", head)
    if blank is None and len(head) >= HEADER_LIMIT:
        raise InputError(f"{path}: header is longer than {HEADER_LIMIT} bytes")
    end = len(head) if blank is None else blank.end()
    lines = head[:end].decode("utf-8", "replace").splitlines()
    wanted = [line for line in lines if _matters(line, path)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return dict(nrrd.read_header([lines[0], *wanted])), end
    except (nrrd.NRRDError, ValueError, TypeError, IndexError, OverflowError, Warning) as error:
        raise InputError(f"{path}: header is not valid NRRD ({str(error)[:120]})") from error


def _matters(line: str, path: Path) -> bool:
    """Whether a header line is one that is read here; free text never reaches the parser."""
    field = line.partition(":")[0].strip()
    if field not in FIELDS:
        return SEGMENT.fullmatch(field) is not None
    if len(line) > LINE_LIMIT:
        raise InputError(f"{path}: field {field} has {len(line)} characters; expected fewer")
    # pynrrd would read "2.5" as 2.
    words = line.partition(":")[2].split() if field == "sizes" else []
    if not all(word.isdecimal() and len(word) < 19 for word in words):
        raise InputError(f"{path}: sizes are {' '.join(words)[:80]}; expected whole numbers")
    return True


def _sizes(fields: Mapping[str, Any], path: Path) -> tuple[tuple[int, ...], int | None]:
    """Sizes, and the axis (if any) along which layers lie."""
    for field in ("type", "dimension", "sizes", "encoding"):
        if field not in fields:
            raise InputError(f"{path}: header lacks the field {field!r}")
    sizes = tuple(int(size) for size in np.atleast_1d(fields["sizes"]))
    if len(sizes) != fields["dimension"] or len(sizes) not in (3, 4) or min(sizes) < 1:
        raise InputError(
            f"{path}: dimension is {fields['dimension']} and sizes are {sizes[:8]}; "
            "expected 3 axes of at least 1, or 4 of which one counts layers"
        )
    if len(sizes) == 3:
        return sizes, None
    directions = np.atleast_2d(fields.get("space directions", np.zeros((0, 3))))
    none = [axis for axis, row in enumerate(directions) if np.isnan(row).all()]
    if len(directions) != 4 or len(none) != 1:
        raise InputError(
            f"{path}: space directions are {directions.tolist()}; "
            "expected three vectors and one 'none', for the layers"
        )
    return sizes, none[0]


def _stored(fields: Mapping[str, Any], path: Path) -> np.dtype[Any]:
    spelled = " ".join(str(fields["type"]).lower().split())
    code = next((code for code, names in TYPES.items() if spelled in names), None)
    if code is None:
        raise InputError(f"{path}: type is {spelled[:40]!r}; expected whole or real numbers")
    endian = str(fields.get("endian", "")).lower()
    if code.endswith("1") or _encoding(fields, path) == "text":
        return np.dtype(code)
    if endian not in ("little", "big"):
        raise InputError(f"{path}: endian is {endian[:40]!r}; expected little or big")
    return np.dtype(("<" if endian == "little" else ">") + code)


def _encoding(fields: Mapping[str, Any], path: Path) -> str:
    spelled = str(fields["encoding"]).lower()
    if spelled not in ENCODINGS:
        raise InputError(
            f"{path}: encoding is {spelled[:40]!r}; expected raw, gzip, bzip2 or text; convert it"
        )
    return ENCODINGS[spelled]


def _grid(
    fields: Mapping[str, Any], sizes: tuple[int, ...], layers: int | None, path: Path
) -> Grid:
    space = str(fields.get("space", "")).lower()
    if space not in SPACES:
        raise InputError(
            f"{path}: space is {space[:40]!r}; expected right-anterior-superior, "
            "left-anterior-superior or left-posterior-superior, with space directions"
        )
    units = {str(unit) for unit in fields.get("space units", ("mm",))}
    if units - {"mm", ""}:
        raise InputError(f"{path}: space units are {sorted(units)}; expected mm")
    spatial = [axis for axis in range(len(sizes)) if axis != layers]
    directions = np.atleast_2d(fields.get("space directions", np.zeros((0, 3))))
    origin = np.atleast_1d(fields.get("space origin", np.zeros(0)))
    if directions.shape != (len(sizes), 3) or origin.shape != (3,):
        raise InputError(
            f"{path}: space directions and space origin must give three vectors and a point; "
            f"found shapes {directions.shape} and {origin.shape}"
        )
    affine = np.eye(4)
    affine[:3, :3] = directions[spatial].T
    affine[:3, 3] = origin
    affine[:3] *= np.array(SPACES[space], float)[:, None]
    shape = sizes[spatial[0]], sizes[spatial[1]], sizes[spatial[2]]
    try:
        return Grid(shape=shape, affine=affine)
    except InputError as error:
        raise InputError(f"{path}: space directions: {error}") from error


def _beside(name: str, path: Path) -> Path:
    """The detached data file, which must be a plain name in the header's folder."""
    if "/" in name or "\\" in name or name in ("", ".", "..", "LIST") or "%" in name:
        raise InputError(
            f"{path}: data file is {name[:80]!r}; expected the name of one file in the same folder"
        )
    folders = [path.absolute().parent, path.resolve().parent]
    return bounded.resolve_inside(folders[0] / name, folders)


def _skip(fields: Mapping[str, Any], path: Path) -> tuple[int, int]:
    lines = int(fields.get("line skip", fields.get("lineskip", 0)))
    octets = int(fields.get("byte skip", fields.get("byteskip", 0)))
    if not (0 <= lines <= 10_000 and -1 <= octets <= 2**40):
        raise InputError(f"{path}: line skip {lines}, byte skip {octets}: expected small numbers")
    return lines, octets
