"""Regions drawn as NRRD label maps and 3D Slicer segmentations (.seg.nrrd), layers included.

Samples are raw, gzip, bzip2 or text, in the header's file or in one beside it.
"""

from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from scipy import sparse

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io import bounded, regions, sidecar
from igdd.io.nrrd_header import LINE_LIMIT, SEGMENT, Header, read_header
from igdd.types import Grid, Regions

SUFFIXES = (".nrrd", ".nhdr")


def sniff(path: Path) -> bool:
    """Whether a path is an NRRD file, by its name."""
    path = Path(path)
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def read_regions(path: Path, grid: Grid | None = None) -> Regions:
    """Regions of an NRRD file, on `grid` if one is given.

    A segmentation's regions are its segments, by name, overlapping where its layers do. Without
    segments, whole numbers are labels (named by a label table beside the file, else "label_<n>")
    and numbers 0..1 are the weights of one region named after the file.
    """
    path = Path(path)
    header = read_header(path)
    values = _read_samples(path, header)
    if values.dtype.kind == "f":
        values = regions.whole_if_labels(values, str(path))
    segments = _segments(header.fields, path)
    if values.dtype.kind == "f":
        if segments or values.shape[3] > 1:
            raise InputError(f"{path}: samples are fractions in layers; expected whole labels")
        found = regions.from_masks([values[..., 0]], [sidecar.stem(path)], header.grid, str(path))
    elif segments or values.shape[3] > 1:
        found = _from_layers(values, segments, header.grid, path)
    else:
        names, _ = sidecar.read_label_table(path)
        found = regions.from_labels(values[..., 0], header.grid, names, str(path))
    return found if grid is None else regions.onto(found, grid)


def describe(path: Path) -> list[dict[str, Any]]:
    """What an NRRD file holds, from its header only; keys as `igdd.io.nifti.describe`."""
    path = Path(path)
    header = read_header(path)
    return [
        {
            "path": str(path),
            "reader": "nrrd_regions",
            "modality": "regions",
            "shape": list(header.grid.shape),
            "spacing": [round(float(length), 6) for length in header.grid.spacing],
            "frames": 1,
            "regions": [name for _, _, name in _segments(header.fields, path)],
        }
    ]


def _from_layers(
    values: np.ndarray, segments: list[tuple[int, int, str]], grid: Grid, path: Path
) -> Regions:
    """Regions of labels (i, j, k, layer), each layer with its own segments (layer, label, name)."""
    layers = values.shape[3]
    for layer, label, name in segments:
        if layer >= layers:
            raise InputError(
                f"{path}: segment {name!r} is label {label} of layer {layer}; "
                f"the file has {layers} layers"
            )
    parts = []
    for layer in range(layers):
        named = {label: name for at, label, name in segments if at == layer}
        labels = values[..., layer]
        unnamed = set(np.unique(labels).tolist()) - set(named) - {0}
        prefix = f"layer_{layer}_" if layers > 1 else ""
        named |= {label: f"{prefix}label_{label}" for label in unnamed}
        parts.append(regions.from_labels(labels, grid, named, str(path)))
    return Regions(
        weights=sparse.csr_matrix(sparse.vstack([part.weights for part in parts], format="csr")),
        names=tuple(name for part in parts for name in part.names),
        kinds=tuple(kind for part in parts for kind in part.kinds),
        grid=grid,
        flags=tuple(flags for part in parts for flags in part.flags),
        source=str(path),
    )


def _segments(fields: Mapping[str, Any], path: Path) -> list[tuple[int, int, str]]:
    """Segments as (layer, label, name), in the order of their numbers.

    Files of older Slicer versions name neither layer nor label: each segment is a layer of its own.
    """
    found: dict[int, dict[str, str]] = {}
    for key, value in fields.items():
        match = SEGMENT.fullmatch(key)
        if match is not None:
            found.setdefault(int(match[1]), {})[match[2]] = str(value)
    segments = []
    for number, facts in sorted(found.items()):
        layer = facts.get("Layer", "0" if "LabelValue" in facts else str(number))
        label = facts.get("LabelValue", "1")
        name = facts.get("Name") or facts.get("ID") or ""
        if not (layer.isdecimal() and label.isdecimal() and len(layer + label) < 18 and name):
            raise InputError(
                f"{path}: Segment{number} has layer {layer[:20]!r}, label {label[:20]!r}, name "
                f"{name[:40]!r}; expected two whole numbers and a name"
            )
        segments.append((int(layer), int(label), name))
    if len({segment[:2] for segment in segments}) != len(segments):
        raise InputError(f"{path}: two segments share one label of one layer; expected one each")
    return segments


def _read_samples(path: Path, header: Header) -> np.ndarray:
    """Samples (i, j, k, layer)."""
    claimed = header.count * header.stored.itemsize
    bounded.check_budget(claimed, path, "the header")
    kind = header.stored.newbyteorder("=")
    with bounded.opened(header.place) as stream:
        stream.seek(header.offset)
        for _ in range(header.skip[0]):
            stream.readline(LINE_LIMIT)
        if header.encoding == "raw":
            _to_samples(stream, header, claimed)
        if header.encoding == "gzip":
            bounded.check_deflated(header.place, claimed)
        content = _inflated(stream, header.encoding)
        if header.encoding != "raw":
            _pass(content, header.skip[1], path)
        samples = bounded.allocate(header.count, kind, path, "the image")
        if header.encoding == "text":
            _fill_from_text(content, samples, path)
        else:
            bounded.fill(content, header.stored, samples, path)
    values = samples.reshape(header.sizes, order="F")
    return values[..., None] if header.layers is None else np.moveaxis(values, header.layers, -1)


def _to_samples(stream: BinaryIO, header: Header, claimed: int) -> None:
    """Go to the first raw sample, having compared the file's size with the header's claim."""
    if header.skip[1] >= 0:
        stream.seek(header.skip[1], io.SEEK_CUR)
        bounded.check_size(header.place, stream.tell(), claimed)
        return
    size = stream.seek(0, io.SEEK_END)
    if size < claimed:
        raise InputError(f"{header.place}: holds {size} bytes; expected {claimed} of samples")
    stream.seek(size - claimed)


def _inflated(stream: BinaryIO, encoding: str) -> bounded.Readable:
    if encoding == "gzip":
        return gzip.GzipFile(fileobj=stream, mode="rb")
    if encoding == "bzip2":
        return bz2.BZ2File(stream)
    return stream


def _pass(stream: bounded.Readable, count: int, path: Path) -> None:
    if not 0 <= count <= bounded.CHUNK or len(stream.read(count)) != count:
        raise InputError(f"{path}: byte skip is {count}; expected fewer bytes than there are")


def _fill_from_text(stream: bounded.Readable, samples: np.ndarray, path: Path) -> None:
    """Fill samples from numbers in text, a chunk at a time."""
    filled, rest = 0, b""
    while True:
        chunk = stream.read(2**18)
        words = (rest + chunk).split()
        rest = b""
        if chunk and words and not chunk[-1:].isspace():
            rest = words.pop()
        if filled + len(words) > samples.size or len(rest) > 64:
            raise InputError(f"{path}: holds more than {samples.size} numbers; expected as many")
        try:
            numbers = np.array(words, dtype=float)
            with np.errstate(invalid="ignore", over="ignore"):
                samples[filled : filled + len(words)] = numbers
        except ValueError as error:
            raise InputError(f"{path}: samples hold text that is no number") from error
        if samples.dtype.kind != "f" and (samples[filled : filled + len(words)] != numbers).any():
            raise InputError(f"{path}: samples do not fit their type, {samples.dtype}")
        filled += len(words)
        if not chunk:
            break
    if filled != samples.size:
        raise InputError(f"{path}: ends after {filled} numbers; expected {samples.size}")


READERS = (
    Reader(
        name="nrrd_regions",
        gives="regions",
        sniff=sniff,
        read=read_regions,
        help="regions in an NRRD label map or a 3D Slicer segmentation (.seg.nrrd)",
        reference="https://teem.sourceforge.net/nrrd/format.html",
    ),
)
