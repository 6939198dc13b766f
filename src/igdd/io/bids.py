"""Writers of BIDS files: images with sidecars, label maps with tables, participants, description.

The same content gives the same bytes: no clock, no file name in the gzip header. Every file is
written under a temporary name and renamed.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from igdd.errors import InputError
from igdd.io import sidecar as beside
from igdd.types import Grid

BIDS_VERSION = "1.10.0"
# Voxels that are written at a time.
CHUNK = 1 << 20
SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
MILLIMETRE_AND_SECOND = 2 | 8
# Compression that halves the time of the highest level for one percent of size.
LEVEL = 6


def write_nifti(
    path: Path, values: np.ndarray, grid: Grid, sidecar: Mapping[str, Any] | None = None
) -> tuple[Path, ...]:
    """Write an image (i, j, k) or (i, j, k, t) in single precision; answers the files written.

    The affine is the sform, and the qform too unless it is sheared (which a qform cannot say).
    """
    path = Path(path)
    if values.shape[:3] != grid.shape or values.ndim not in (3, 4):
        raise InputError(f"{path}: values have shape {values.shape}; expected {grid.shape} (, t)")
    _write_volume(path, values, grid, np.dtype("<f4"))
    if sidecar is None:
        return (path,)
    return path, write_json(path.with_name(f"{beside.stem(path)}.json"), sidecar)


def write_label_map(
    path: Path, labels: np.ndarray, grid: Grid, names: Mapping[int, str]
) -> tuple[Path, ...]:
    """Write labels (i, j, k) as whole numbers and their names beside it (BIDS dseg.tsv)."""
    path = Path(path)
    if labels.shape != grid.shape or labels.dtype.kind not in "biu":
        raise InputError(
            f"{path}: labels are {labels.dtype} {labels.shape}; expected whole numbers {grid.shape}"
        )
    low, high = int(labels.min()), int(labels.max())
    kind = next((k for k in ("u1", "u2", "i4") if high <= np.iinfo(k).max), None)
    if low < 0 or kind is None:
        raise InputError(f"{path}: labels run from {low} to {high}; expected 0 to 2147483647")
    unnamed = set(np.unique(labels).tolist()) - set(names) - {0}
    if unnamed:
        raise InputError(f"{path}: labels {sorted(unnamed)[:5]} have no name; name every label")
    table = write_table(
        path.with_name(f"{beside.stem(path)}.tsv"),
        ("index", "name"),
        ({"index": index, "name": name} for index, name in sorted(names.items())),
    )
    _write_volume(path, labels, grid, np.dtype("<" + kind))
    return path, table


def write_participants(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Path, ...]:
    """Write participants.tsv, and participants.json where columns are described.

    Rows hold `participant_id` ("sub-01") and further columns; None and NaN become "n/a".
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if "participant_id" not in names:
        raise InputError(f"{folder}: participants need the column participant_id, e.g. 'sub-01'")
    names.sort(key=lambda name: name != "participant_id")
    table = write_table(Path(folder) / "participants.tsv", names, rows)
    if columns is None:
        return (table,)
    return table, write_json(Path(folder) / "participants.json", columns)


def write_dataset_description(
    folder: Path,
    name: str,
    derivative: bool = False,
    generated_by: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write dataset_description.json; a derivative says what generated it."""
    if derivative and not generated_by:
        raise InputError(f"{folder}: a derivative dataset must say what generated it")
    content: dict[str, Any] = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative" if derivative else "raw",
    }
    if generated_by:
        content["GeneratedBy"] = [dict(source) for source in generated_by]
    return write_json(Path(folder) / beside.DESCRIPTION, content)


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a JSON object, its keys in the order given."""
    try:
        text = json.dumps(_plain(content), indent=2, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}; expected text, finite numbers, lists") from error
    return _write(path, (text + "\n").encode())


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write tab-separated values; None, NaN and absent cells become "n/a"."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(column), path) for column in columns) for row in rows]
    return _write(path, ("\n".join(lines) + "\n").encode())


def _cell(value: Any, path: Path) -> str:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return "n/a"
    text = repr(float(value)) if isinstance(value, float | np.floating) else str(value)
    if not text or any(mark in text for mark in "\t\r\n"):
        raise InputError(f"{path}: cell {text!r}: expected text without tabs or line ends")
    return text


def _plain(value: Any) -> Any:
    """Python's own types, from arrays, NumPy numbers and paths."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value


def _write(path: Path, content: bytes) -> Path:
    draft = _draft(path)
    draft.write_bytes(content)
    draft.replace(path)
    return path


def _draft(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}")


def _write_volume(path: Path, values: np.ndarray, grid: Grid, kind: np.dtype[Any]) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: expected a name that ends in .nii or .nii.gz")
    draft = _draft(path)
    try:
        with draft.open("wb") as file:
            if path.name.endswith(".gz"):
                with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as stream:
                    _write_to(stream, values, grid, kind)  # type: ignore[arg-type]
            else:
                _write_to(file, values, grid, kind)
        draft.replace(path)
    except FloatingPointError as error:
        raise InputError(f"{path}: a value is beyond single precision (3.4e38)") from error
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def start_volume(stream: BinaryIO, shape: tuple[int, ...], grid: Grid, kind: np.dtype[Any]) -> None:
    """Write all that stands before the samples of a NIfTI file; they follow with i fastest."""
    stream.write(_header(shape, grid, kind))
    stream.write(bytes(4))  # no extension follows


def _write_to(stream: BinaryIO, values: np.ndarray, grid: Grid, kind: np.dtype[Any]) -> None:
    start_volume(stream, values.shape, grid, kind)
    # NIfTI runs i fastest; a slice along the last axis keeps the copies small in any memory order.
    planes = values if values.ndim == 4 else values[..., None]
    for frame in range(planes.shape[3]):
        volume = planes[..., frame]
        step = max(1, CHUNK // (volume.shape[0] * volume.shape[1]))
        for start in range(0, volume.shape[2], step):
            slab = volume[..., start : start + step]
            with np.errstate(over="raise", invalid="ignore"):
                stream.write(slab.astype(kind).tobytes(order="F"))


def _header(shape: tuple[int, ...], grid: Grid, kind: np.dtype[Any]) -> bytes:
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    large = max(shape) > np.iinfo(np.int16).max
    header = nibabel.Nifti2Header() if large else nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(kind)
    affine = np.array(grid.affine)
    header.set_sform(affine, SCANNER)
    try:
        header.set_qform(affine, SCANNER, strip_shears=False)
    except HeaderDataError:
        # Sheared axes have no quaternion; the sform alone then says where the voxels lie.
        header["qform_code"] = 0
    header["pixdim"][1:4] = grid.spacing
    header["xyzt_units"] = MILLIMETRE_AND_SECOND
    header["vox_offset"] = header.single_vox_offset
    header["magic"] = header.single_magic
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    return bytes(header.binaryblock)
