"""The header of a NIfTI file, checked before anything is believed of it.

NIfTI-1 and NIfTI-2 in one file, told apart by content. World coordinates are the sform's, else the
qform's; where both stand there they must agree. Lengths whose unit the header leaves open are mm,
as in all software that reads the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io import bounded
from igdd.types import Grid

# Header bytes and the magic that a single file must carry, by version (NIfTI-1, NIfTI-2).
HEADERS = {348: (b"n+1\0", 344), 540: (b"n+2\0\r\n\032\n", 4)}
LENGTHS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: unknown, m, mm, um -> mm
SINGLE = float(np.finfo(np.float32).eps)
# Bytes of header extensions (DICOM or scanner headers) that may stand before the samples.
MOST_EXTENSION = 16 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class Header:
    """What a NIfTI header says of its samples: where they lie, how they are stored and scaled."""

    shape: tuple[int, int, int, int]
    stored: np.dtype[Any]
    offset: int
    scaling: tuple[float, float] | None
    grid: Grid

    @property
    def count(self) -> int:
        """Number of samples."""
        i, j, k, t = self.shape
        return i * j * k * t


def read_header(path: Path) -> Header:
    """The header of a NIfTI file, checked; no sample is read."""
    import nibabel

    head = bounded.read_head(path, 544)
    size, order = _version(head, path)
    kind = nibabel.nifti1.Nifti1Header if size == 348 else nibabel.nifti2.Nifti2Header
    raw = kind(binaryblock=head[:size], endianness=order, check=False)
    offset = float(raw["vox_offset"])
    if not (size + 4 <= offset <= MOST_EXTENSION and offset == int(offset)):
        raise InputError(
            f"{path}: vox_offset is {offset}; expected a whole number from {size + 4} to "
            f"{MOST_EXTENSION}"
        )
    shape = _shape(raw, path)
    # A signalling NaN warns when it is merely copied; every number is checked to be finite.
    with np.errstate(all="ignore"):
        return Header(
            shape=shape,
            stored=_stored(raw, path),
            offset=int(offset),
            scaling=_scaling(raw, path),
            grid=_grid(raw, shape, path),
        )


def _version(head: bytes, path: Path) -> tuple[int, str]:
    """Size of the header (348: NIfTI-1, 540: NIfTI-2) and its byte order."""
    for order in ("<", ">"):
        size = int(np.frombuffer(head[:4].ljust(4, b"\0"), f"{order}i4")[0])
        if size not in HEADERS:
            continue
        magic, place = HEADERS[size]
        found = head[place : place + len(magic)]
        if len(head) < size + 4:
            raise InputError(f"{path}: ends inside its header; the file is cut short")
        if found == magic:
            return size, order
        if found[:3] in (b"ni1", b"ni2") or not any(found):
            raise InputError(
                f"{path}: is one half of a .hdr/.img pair; expected a single .nii file; convert it"
            )
        raise InputError(f"{path}: NIfTI magic is {found!r}; expected {magic!r}")
    raise InputError(
        f"{path}: does not start as a NIfTI file does (found {head[:8]!r}); expected NIfTI-1 or "
        "NIfTI-2; was a web page or a placeholder saved under this name?"
    )


def _shape(raw: Any, path: Path) -> tuple[int, int, int, int]:
    dimensions = [int(number) for number in raw["dim"]]
    rank = dimensions[0]
    sizes = dimensions[1 : rank + 1] if 0 < rank < 8 else []
    if not 3 <= rank <= 7 or min(sizes) < 1:
        raise InputError(f"{path}: dim is {dimensions}; expected 3 or 4 axes of at least 1")
    if any(size != 1 for size in sizes[4:]):
        raise InputError(f"{path}: dim is {dimensions}; more than 4 axes are not supported")
    return sizes[0], sizes[1], sizes[2], sizes[3] if rank > 3 else 1


def _stored(raw: Any, path: Path) -> np.dtype[Any]:
    from nibabel.spatialimages import HeaderDataError

    try:
        stored: np.dtype[Any] = np.dtype(raw.get_data_dtype())
    except (HeaderDataError, KeyError) as error:
        raise InputError(f"{path}: datatype {int(raw['datatype'])} is unknown") from error
    if stored.kind not in "iuf" or stored.itemsize > 8:
        raise InputError(f"{path}: samples are {stored}; expected real numbers of up to 8 bytes")
    return stored


def _scaling(raw: Any, path: Path) -> tuple[float, float] | None:
    """Slope and intercept, or None for stored values as they are (slope 0 or not a number)."""
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return None
    intercept = 0.0 if np.isnan(intercept) else intercept
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise InputError(
            f"{path}: scl_slope, scl_inter are {slope}, {intercept}; expected finite numbers"
        )
    return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept)


def _grid(raw: Any, shape: tuple[int, int, int, int], path: Path) -> Grid:
    units = int(raw["xyzt_units"]) & 7
    if units not in LENGTHS:
        raise InputError(f"{path}: unit of length is code {units}; expected m, mm or um (1 to 3)")
    sform, (qform, turn) = _sform(raw), _qform(raw, path)
    grids = {}
    for name, affine in (("sform", sform), ("qform", qform)):
        if affine is None:
            continue
        affine[:3] *= LENGTHS[units]
        try:
            grids[name] = Grid(shape=shape[:3], affine=affine)
        except InputError as error:
            raise InputError(f"{path}: {name}: {error}") from error
    if not grids:
        raise InputError(
            f"{path}: has no orientation (sform_code and qform_code are 0); expected sform or "
            "qform; set the one that is right with the tool that wrote the file"
        )
    if len(grids) == 2:
        spacing = grids["sform"].spacing
        reach = float(np.linalg.norm(spacing * np.array(shape[:3])) / spacing.min())
        if not grids["sform"].equals(grids["qform"], tolerance=0.01 + turn * reach):
            raise InputError(
                f"{path}: sform and qform place the voxels more than 0.01 voxel apart; expected "
                "one place; copy the right one over the other"
            )
    return grids["sform"] if "sform" in grids else grids["qform"]


def _sform(raw: Any) -> np.ndarray | None:
    if int(raw["sform_code"]) <= 0:
        return None
    rows = [np.asarray(raw[name], float) for name in ("srow_x", "srow_y", "srow_z")]
    return np.vstack([*rows, [0.0, 0.0, 0.0, 1.0]])


def _qform(raw: Any, path: Path) -> tuple[np.ndarray | None, float]:
    """Affine of the unit quaternion (b, c, d), the spacings and the handedness pixdim[0].

    Also the angle in radians that the quaternion's single precision leaves open: its first part a
    is what is missing to unit length, so that near a half turn (a = 0) the angle is known to
    0.0007 only.
    """
    if int(raw["qform_code"]) <= 0:
        return None, 0.0
    b, c, d = (float(raw[name]) for name in ("quatern_b", "quatern_c", "quatern_d"))
    square = 1.0 - (b * b + c * c + d * d)
    if not square > -10 * SINGLE:
        raise InputError(f"{path}: quaternion ({b}, {c}, {d}) is longer than 1; qform is damaged")
    a = np.sqrt(max(square, 0.0))
    turn = 2 * float(np.sqrt(max(square, 0.0) + SINGLE) - np.sqrt(max(square - SINGLE, 0.0)))
    b, c, d = np.array([b, c, d]) / np.sqrt(a * a + b * b + c * c + d * d)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    spacing = np.asarray(raw["pixdim"][1:4], float)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise InputError(f"{path}: pixdim is {spacing.tolist()}; expected spacings above 0")
    handedness = -1.0 if float(raw["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing * np.array([1.0, 1.0, handedness])
    affine[:3, 3] = [float(raw[name]) for name in ("qoffset_x", "qoffset_y", "qoffset_z")]
    return affine, turn
