"""NIfTI images read, and maps written, a piece at a time: memory does not grow with the image.

Voxels are counted in the file's own order, i fastest. An uncompressed image is mapped into memory
and never read as a whole; a compressed one is inflated once into a scratch file beside the results.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from igdd.errors import InputError
from igdd.io import bids, bounded
from igdd.io.nifti_header import Header, read_header
from igdd.types import Grid


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """An image (i, j, k, t) that is read in pieces.

    read(first, last) gives the samples (t, n) of the voxels from `first` up to, not including,
    `last`: double precision where they are stored so, else single.
    """

    grid: Grid
    frames: int
    source: str
    read: Callable[[int, int], np.ndarray]


@contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Pieces]:
    """The samples of a NIfTI file, scaled as its header says; `scratch` is a folder for one that
    is compressed."""
    header = read_header(path)
    claimed = header.count * header.stored.itemsize
    with ExitStack() as stack:
        if bounded.is_gzip(path):
            bounded.check_budget(claimed, path, "the header")
            bounded.check_deflated(path, claimed)
            plain: Path = stack.enter_context(_inflated(path, header, scratch))
            offset = 0
        else:
            bounded.check_size(path, header.offset, claimed)
            plain, offset = path, header.offset
        shape = (header.shape[3], header.grid.size)
        stored = np.memmap(plain, header.stored, "r", offset, shape)

        def read(first: int, last: int) -> np.ndarray:
            return _converted(stored[:, first:last], header)

        yield Pieces(grid=header.grid, frames=shape[0], source=str(path), read=read)


def of_array(values: np.ndarray, grid: Grid, source: str = "") -> Pieces:
    """The samples of an array (i, j, k, t) in any memory order."""
    frames = values.shape[3]
    by_frame = values.T.reshape(frames, -1) if values.flags.f_contiguous else None

    def read(first: int, last: int) -> np.ndarray:
        if by_frame is not None:
            part = by_frame[:, first:last]
        else:
            part = values[np.unravel_index(np.arange(first, last), grid.shape, order="F")].T
        return np.ascontiguousarray(part, _precision(values.dtype))

    return Pieces(grid=grid, frames=frames, source=source, read=read)


@contextmanager
def drafts(
    files: Mapping[str, tuple[Path, np.dtype[Any]]], grid: Grid, frames: int = 1
) -> Iterator[dict[str, BinaryIO]]:
    """Files of one volume (i, j, k) each, or of so many `frames`, by name, headed and open for
    their samples in order.

    They stand under temporary names until all are whole; what fails leaves none behind.
    """
    shape = grid.shape if frames == 1 else (*grid.shape, frames)
    temporary = {name: path.with_name(f".{path.name}.{os.getpid()}") for name, (path, _) in
                 files.items()}  # fmt: skip
    try:
        with ExitStack() as stack:
            streams: dict[str, BinaryIO] = {}
            for name, (_, kind) in files.items():
                streams[name] = stack.enter_context(temporary[name].open("wb"))
                bids.start_volume(streams[name], shape, grid, kind)
            yield streams
        for name, (path, _) in files.items():
            temporary[name].replace(path)
    except OSError as error:
        raise InputError(
            f"{error.filename or 'a map'}: cannot be written ({error.strerror}); expected room for "
            "the maps; give another folder"
        ) from error
    finally:
        for place in temporary.values():
            with suppress(FileNotFoundError):
                place.unlink()


def put(stream: BinaryIO, begin: int, samples: np.ndarray, first: int, size: int) -> None:
    """Write the samples (t, n) of the voxels from `first` on into a file of frames of `size` voxels
    each, whose samples begin at byte `begin`."""
    for frame, row in enumerate(np.ascontiguousarray(samples)):
        stream.seek(begin + (frame * size + first) * samples.itemsize)
        stream.write(row.data)


@contextmanager
def _inflated(path: Path, header: Header, scratch: Path) -> Iterator[Path]:
    """The bare samples of a compressed image in a scratch file."""
    left = header.count * header.stored.itemsize
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".inflated.") as target:
        with bounded.opened_inflated(path) as stream:
            skipped = stream.read(header.offset)
            if len(skipped) < header.offset:
                raise InputError(f"{path}: ends before its samples begin; the file is cut short")
            while left and (chunk := stream.read(min(left, bounded.CHUNK))):
                target.write(chunk)
                left -= len(chunk)
            if left or stream.read(1):
                raise InputError(
                    f"{path}: holds {'fewer' if left else 'more'} samples than the "
                    f"{header.count} of its header; the file is cut short or its header is wrong"
                )
        target.flush()
        yield Path(target.name)


def _converted(part: np.ndarray, header: Header) -> np.ndarray:
    precision = _precision(header.stored)
    if header.scaling is None:
        return np.array(part, precision, order="C")
    slope, intercept = header.scaling
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(part.astype(np.float64) * slope + intercept).astype(precision)


def _precision(stored: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float64 if stored.kind == "f" and stored.itemsize == 8 else np.float32)
