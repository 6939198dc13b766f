"""NIfTI images with their PET-BIDS sidecars, and regions drawn as NIfTI label or weight maps.

NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz; told apart by content), 3-D or 4-D. No
sample is ever moved: the header's coordinates are RAS+ already.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io import bounded, regions, sidecar
from igdd.io.nifti_header import Header, read_header
from igdd.types import Grid, Regions, Series

REFERENCE = "https://nifti.nimh.nih.gov; https://bids-specification.readthedocs.io (PET)"
SUFFIXES = (".nii", ".nii.gz")
# BIDS suffixes of files that hold regions and no image.
REGION_SUFFIXES = ("dseg", "probseg", "mask", "label", "roi")
MODALITIES = {"pet": "PT", "ct": "CT", "anat": "MR", "func": "MR", "dwi": "MR", "perf": "MR"}
# What quantification needs of a PET sidecar (PET-BIDS); named by `describe` where absent.
NEEDED = (
    "Units", "TracerRadionuclide", "InjectedRadioactivity", "InjectedRadioactivityUnits",
    "TimeZero", "InjectionStart", "ScanStart", "FrameTimesStart", "FrameDuration",
    "ImageDecayCorrected", "ImageDecayCorrectionTime", "AttenuationCorrection",
)  # fmt: skip
# Files that a folder may hold before it is refused as a place to look through.
MOST_FILES = 20_000


def sniff(path: Path) -> bool:
    """Whether a path is a NIfTI image, or a folder that holds one directly."""
    path = Path(path)
    if path.is_dir():
        return any(True for _ in _images_in(path))
    return is_nifti(path)


def sniff_regions(path: Path) -> bool:
    """Whether a path is a NIfTI file; whether it holds regions only its samples tell."""
    return is_nifti(Path(path))


def read(path: Path) -> list[Series]:
    """Images of a file, or of all NIfTI files directly in a folder (region files left out)."""
    path = Path(path)
    if not path.is_dir():
        return [read_image(path)]
    found = list(_images_in(path))
    if not found:
        raise InputError(f"{path}: holds no NIfTI image; expected a .nii or .nii.gz file in it")
    return [read_image(file) for file in found]


def read_image(path: Path) -> Series:
    """One NIfTI image (i, j, k, t) in single precision, scaled as its header says."""
    facts, files = sidecar.read_sidecar(path)
    header = read_header(path)
    sidecar.check_frames(facts, header.shape[3], path)
    values = _read_samples(path, header, np.dtype(np.float32))
    return Series(
        modality=_modality(path, facts),
        values=values,
        grid=header.grid,
        sidecar=facts,
        source=str(path),
        files=tuple(str(file) for file in (path, *files)),
    )


def read_regions(path: Path, grid: Grid | None = None) -> Regions:
    """Regions of a NIfTI file, on `grid` if one is given.

    Whole numbers in one volume are labels: one region each, named by the label table beside the
    file (BIDS dseg.tsv), else "label_<n>". Numbers 0..1 are weights: one region named after the
    file, or in a 4-D file one for each volume. Anything else is refused.
    """
    path = Path(path)
    header = read_header(path)
    whole = header.scaling is None and header.stored.kind in "iu"
    precise = header.stored.itemsize == 8 or (header.stored.kind in "iu" and not whole)
    kind = header.stored.newbyteorder("=") if whole else np.dtype("f8" if precise else "f4")
    values = _read_samples(path, header, kind)
    if not whole:
        weights = sidecar.stem(path).endswith("probseg")
        values = values if weights else regions.whole_if_labels(values, str(path))
    if values.dtype.kind in "iu" and header.shape[3] == 1:
        names, _ = sidecar.read_label_table(path)
        found = regions.from_labels(values[..., 0], header.grid, names, str(path))
    else:
        count = header.shape[3]
        volumes = [values[..., volume] for volume in range(count)]
        found = regions.from_masks(volumes, _volume_names(path, count), header.grid, str(path))
    return found if grid is None else regions.onto(found, grid)


def describe(path: Path) -> list[dict[str, Any]]:
    """What the NIfTI files at a path (a folder: at any depth) are, from headers and sidecars only.

    Each answer has `path` and either `problem`, or `modality`, `shape`, `spacing` in mm, `frames`,
    `unit`, `tracer`, `nuclide` and, for PET, what its sidecar lacks under `missing`.
    """
    path = Path(path)
    if not path.is_dir():
        return [_describe(path)]
    answers = []
    for file in _below(path):
        try:
            answers.append(_describe(file))
        except InputError as error:
            answers.append({"path": str(file), "reader": "nifti", "problem": str(error)})
    return answers


def _describe(path: Path) -> dict[str, Any]:
    header = read_header(path)
    _check_claim(path, header)
    answer: dict[str, Any] = {
        "path": str(path),
        "reader": "nifti",
        "shape": list(header.shape[:3]),
        "spacing": [round(float(length), 6) for length in header.grid.spacing],
        "frames": header.shape[3],
    }
    if _is_regions(path):
        names, _ = sidecar.read_label_table(path)
        return answer | {"modality": "regions", "regions": list(names.values())}
    facts, _ = sidecar.read_sidecar(path)
    sidecar.check_frames(facts, header.shape[3], path)
    modality = _modality(path, facts)
    return answer | {
        "modality": modality,
        "unit": facts.get("Units", ""),
        "tracer": facts.get("TracerName", ""),
        "nuclide": facts.get("TracerRadionuclide", ""),
        "missing": [key for key in NEEDED if key not in facts] if modality == "PT" else [],
    }


def _read_samples(path: Path, header: Header, kind: np.dtype[Any]) -> np.ndarray:
    """Samples (i, j, k, t) of a kind: one allocation, filled chunk by chunk."""
    _check_claim(path, header)
    samples = bounded.allocate(header.count, kind, path, "the image")
    with bounded.opened_inflated(path) as stream:
        _skip(stream, header.offset, path)
        bounded.fill(stream, header.stored, samples, path, header.scaling)
    return samples.reshape(header.shape, order="F")


def _check_claim(path: Path, header: Header) -> None:
    """Refuse a header that claims more than the memory budget, or than its file can hold."""
    claimed = header.count * header.stored.itemsize
    bounded.check_budget(claimed, path, "the header")
    if bounded.is_gzip(path):
        bounded.check_deflated(path, claimed)
    else:
        bounded.check_size(path, header.offset, claimed)


def _skip(stream: Any, count: int, path: Path) -> None:
    """Pass over the header and its extensions without holding them."""
    while count > 0:
        passed = len(stream.read(min(count, bounded.CHUNK)))
        if not passed:
            raise InputError(f"{path}: ends before its samples begin; the file is cut short")
        count -= passed


def _volume_names(path: Path, count: int) -> list[str]:
    """Names of a weight map's volumes: BIDS LabelMap if there is one, else the file's name."""
    own = sidecar.stem(path)
    if count == 1:
        return [own]
    facts, _ = sidecar.read_sidecar(path)
    listed = facts.get("LabelMap")
    if listed is None:
        return [f"{own}_{number}" for number in range(1, count + 1)]
    if not (isinstance(listed, list) and len(listed) == count and all(map(_is_text, listed))):
        raise InputError(f"{path}: LabelMap in its sidecar must list {count} names, one a volume")
    return [str(name) for name in listed]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _modality(path: Path, facts: dict[str, Any]) -> str:
    """DICOM's word for the modality (PT, CT, MR), or "" where neither file nor folder says."""
    said = str(facts.get("Modality", "")).strip().upper()
    if said:
        return "PT" if said in ("PET", "PT") else said
    named = sidecar.entities(sidecar.stem(path))
    suffix = named[1].lower() if named is not None and named[0] else ""
    return MODALITIES.get(suffix) or MODALITIES.get(path.absolute().parent.name.lower(), "")


def is_nifti(path: Path) -> bool:
    """Whether a path is a NIfTI file, by its name."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()


def _is_regions(path: Path) -> bool:
    return sidecar.stem(path).rpartition("_")[2].lower() in REGION_SUFFIXES


def _images_in(folder: Path) -> Iterable[Path]:
    return (file for file in sorted(folder.iterdir()) if is_nifti(file) and not _is_regions(file))


def _below(folder: Path) -> list[Path]:
    """NIfTI files at any depth, in order; a folder that is a symlink is not entered."""
    found = []
    for number, file in enumerate(folder.rglob("*")):
        if number >= MOST_FILES:
            raise InputError(f"{folder}: holds more than {MOST_FILES} files; name a smaller folder")
        if is_nifti(file):
            found.append(file)
    return sorted(found)


READERS = (
    Reader(
        name="nifti",
        gives="series",
        sniff=sniff,
        read=read,
        help="NIfTI image, 3-D or 4-D, with the PET-BIDS JSON sidecar beside it",
        reference=REFERENCE,
    ),
    Reader(
        name="nifti_regions",
        gives="regions",
        sniff=sniff_regions,
        read=read_regions,
        help="regions in a NIfTI label map (with dseg.tsv) or weight map",
        reference=REFERENCE,
    ),
)
