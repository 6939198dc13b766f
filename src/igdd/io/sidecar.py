"""What stands beside a BIDS image: its JSON sidecar, its label table, and what it inherits.

Inheritance (BIDS, "The Inheritance Principle"): a file applies to an image if it lies in the
image's folder or above it in the dataset, has the same suffix, and no entity that the image lacks
or has otherwise; the nearer file wins key by key. The dataset is the nearest folder above with a
dataset_description.json; without one, only the image's own folder counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd import decay
from igdd.errors import InputError
from igdd.io import bounded, frame_times
from igdd.io.tables import LARGEST_NUMBER
from igdd.types import Decay, Zero

EXTENSIONS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr")
DESCRIPTION = "dataset_description.json"
# Deeper than any dataset: root, subject, session, data type, and derivatives within derivatives.
HIGHEST = 12

# Keys that are read down the line, by the type that BIDS gives them. "n/a" counts as absent.
NUMBERS = (
    "DoseCalibrationFactor", "ImageDecayCorrectionTime", "InfusionRadioactivity", "InfusionSpeed",
    "InfusionStart", "InjectedMass", "InjectedRadioactivity", "InjectedVolume", "InjectionEnd",
    "InjectionStart", "MolarActivity", "ScanStart", "SpecificRadioactivity",
)  # fmt: skip
LISTS = ("DecayCorrectionFactor", "FrameDuration", "FrameTimesStart", "ScatterFraction")
TEXTS = (
    "InjectedMassUnits", "InjectedRadioactivityUnits", "Manufacturer", "Modality",
    "ModeOfAdministration", "MolarActivityUnits", "SpecificRadioactivityUnits", "TimeZero",
    "TracerName", "TracerRadionuclide", "Units",
)  # fmt: skip
BOOLEANS = ("ImageDecayCorrected",)
PER_FRAME = ("DecayCorrectionFactor", "FrameDuration", "FrameTimesStart")
TIMES = ("FrameTimesStart", "FrameDuration")


def stem(path: Path) -> str:
    """File name without its image extension.

    >>> stem(Path("sub-01_desc-regions_dseg.nii.gz"))
    'sub-01_desc-regions_dseg'
    """
    for extension in EXTENSIONS:
        if path.name.lower().endswith(extension):
            return path.name[: -len(extension)]
    return path.stem


def entities(name: str) -> tuple[dict[str, str], str] | None:
    """Entities and suffix of a BIDS file stem, or None where the name is not of that form.

    >>> entities("sub-01_ses-24h_pet")
    ({'sub': '01', 'ses': '24h'}, 'pet')
    >>> entities("mouse 7, liver") is None
    True
    """
    *parts, suffix = name.split("_")
    pairs = [part.partition("-") for part in parts]
    if not suffix.isalnum() or not all(key and value for key, _, value in pairs):
        return None
    return {key: value for key, _, value in pairs}, suffix


def applicable(path: Path, extension: str) -> list[Path]:
    """Files with an extension (".json", ".tsv") that apply to an image, the farthest first."""
    own = stem(path)
    wanted = entities(own)
    found = []
    for folder in _folders(path):
        exact = folder / f"{own}{extension}"
        if exact.exists() or exact.is_symlink():
            found.append(exact)
            continue
        if wanted is None:
            continue
        candidates = [
            candidate
            for candidate in sorted(folder.glob(f"*{wanted[1]}{extension}"))
            if _applies(candidate.name[: -len(extension)], wanted)
        ]
        if len(candidates) > 1:
            raise InputError(
                f"{path}: {', '.join(candidate.name for candidate in candidates)} in {folder} all "
                f"apply to it; expected one per folder, or one named {own}{extension}"
            )
        found.extend(candidates)
    return [_granted(candidate, path) for candidate in found]


def _applies(name: str, wanted: tuple[dict[str, str], str]) -> bool:
    other = entities(name)
    return other is not None and other[1] == wanted[1] and other[0].items() <= wanted[0].items()


def _root(path: Path) -> Path:
    """Folder of the dataset that an image belongs to; its own folder if there is none."""
    folder = path.absolute().parent
    for candidate in (folder, *folder.parents)[:HIGHEST]:
        if (candidate / DESCRIPTION).is_file():
            return candidate
    return folder


def _folders(path: Path) -> list[Path]:
    """Folders from the dataset's root down to the image's own."""
    folder, root = path.absolute().parent, _root(path)
    return [above for above in reversed((folder, *folder.parents)) if above.is_relative_to(root)]


def _granted(candidate: Path, path: Path) -> Path:
    """The candidate, unless a symlink leads it out of the dataset and of the image's own place."""
    return bounded.resolve_inside(candidate, [_root(path), path.resolve().parent])


def read_sidecar(path: Path) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Merged JSON metadata of an image, and the files it came from; empty if there are none.

    A value "n/a" (BIDS: not available) is left out, so that it counts as missing.
    """
    merged: dict[str, Any] = {}
    files = tuple(applicable(path, ".json"))
    for file in files:
        content = bounded.read_json(file)
        for key, value in content.items():
            _check_type(key, value, file)
        merged.update(content)
    return {key: value for key, value in merged.items() if value != "n/a"}, files


def _check_type(key: str, value: Any, file: Path) -> None:
    if value == "n/a":
        return
    if key in NUMBERS and not _is_number(value):
        _refuse(key, value, file, "a number")
    if key in LISTS and not (isinstance(value, list) and all(map(_is_number, value))):
        _refuse(key, value, file, "a list of numbers, e.g. [0, 60]")
    if key in TEXTS and not isinstance(value, str):
        _refuse(key, value, file, "text")
    if key in BOOLEANS and not isinstance(value, bool):
        _refuse(key, value, file, "true or false")


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and abs(value) <= LARGEST_NUMBER


def _refuse(key: str, value: Any, file: Path, expected: str) -> None:
    raise InputError(f"{file}: {key} is {str(value)[:60]!r}; expected {expected}")


def check_frames(sidecar: dict[str, Any], frames: int, path: Path) -> None:
    """Refuse a sidecar that describes another number of frames than the image has, or frames whose
    times cannot be."""
    for key in PER_FRAME:
        if key in sidecar and len(sidecar[key]) != frames:
            raise InputError(
                f"{path}: the image has {frames} frames but {key} in its sidecar has "
                f"{len(sidecar[key])}; expected one for each frame"
            )
    if {*TIMES} <= set(sidecar):
        start, duration = (np.array(sidecar[key], dtype=float) for key in TIMES)
        frame_times.check(start, duration, f"{path}: {' and '.join(TIMES)} in its sidecar")


def zero_of(facts: Mapping[str, Any]) -> Zero:
    """What the times of a sidecar count from: the injection where InjectionStart is 0 says so,
    else no more than the scan's start.

    >>> zero_of({"InjectionStart": 0}).kind, zero_of({}).kind
    ('administration', 'scan_start')
    """
    injected = facts.get("InjectionStart") == 0
    return Zero(kind="administration" if injected else "scan_start")


def decay_of(facts: Mapping[str, Any], where: object, given: str | None = None) -> Decay | None:
    """Nuclide and decay state of values in PET-BIDS' words; None where they are not all said.

    given  nuclide by the caller, of values corrected to time zero where nothing else is said

    >>> decay_of({"TracerRadionuclide": "F18", "ImageDecayCorrected": False}, "").corrected_to
    >>> decay_of({}, "", "C-11").corrected_to
    0.0
    """
    stated = facts.get("TracerRadionuclide")
    done = facts.get("ImageDecayCorrected", None if given is None else True)
    at = facts.get("ImageDecayCorrectionTime", None if given is None else 0.0)
    if given is not None:
        found = decay.nuclide(given)
    else:
        try:
            found = decay.nuclide(str(stated))
        except InputError:
            return None
    if stated is not None and decay.nuclide(stated).name != found.name:
        raise InputError(
            f"{where}: TracerRadionuclide is {stated!r}, but --nuclide says {given!r}; expected "
            "one of them"
        )
    if done is None or (done and at is None):
        return None
    return Decay(
        nuclide=found.name, half_life=found.half_life, corrected_to=float(at) if done else None
    )


def read_label_table(path: Path) -> tuple[dict[int, str], tuple[Path, ...]]:
    """Names of a label map's values from its label table (BIDS: columns index and name)."""
    files = tuple(applicable(path, ".tsv"))[-1:]
    names: dict[int, str] = {}
    for file in files:
        rows = csv.DictReader(io.StringIO(bounded.read_text(file)), delimiter="\t", strict=True)
        try:
            for row in rows:
                _add_label(names, row, rows.line_num, file)
        except csv.Error as error:
            raise InputError(f"{file}: line {rows.line_num}: {error}; expected a TSV") from error
    return names, files


def _add_label(names: dict[int, str], row: dict[str | Any, Any], line: int, file: Path) -> None:
    index, name = row.get("index"), (row.get("name") or "").strip()
    if index is None:
        raise InputError(f"{file}: line {line} has no index; expected the columns index and name")
    if not (index.strip().isascii() and index.strip().isdigit() and len(index) < 19):
        raise InputError(f"{file}: line {line}: index is {index[:40]!r}; expected a whole number")
    if not name:
        raise InputError(f"{file}: line {line} has no name; expected the columns index and name")
    if int(index) in names:
        raise InputError(f"{file}: line {line}: index {int(index)} stands there twice")
    names[int(index)] = name
