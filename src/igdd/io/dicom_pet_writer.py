"""Writes a PET series as DICOM: one file per slice, each with its own rescale slope.

The objects are those of the Positron Emission Tomography Image IOD (DICOM PS3.3, A.21 and C.8.9):
stored values are signed 16-bit, intercept 0, Units BQML, DecayCorrection START (to SeriesDate and
SeriesTime). Unique identifiers are hashes of the content (PS3.5, B.2: "2.25." and 128 bits), so
that the same input gives the same bytes. No names and no birth dates are written.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from igdd.decay import decay_factor
from igdd.errors import InputError
from igdd.types import Frames, Grid

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST = 32767  # of signed 16 bits
PET_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.128"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLEMENTATION = "2.25.254130949268471129764531917806310470821"


@dataclass(frozen=True, kw_only=True)
class PetFacts:
    """What a PET header says beside its pixels: patient, scanner, tracer and times.

    weight in g, height in mm (None: not known), dose in Bq net at `given`, half_life in s;
    `start` is the clock time to which all values are corrected for decay;
    `radionuclide` and `radiopharmaceutical` are (code, scheme, meaning), the latter may be
    ("", "", meaning)
    """

    subject: str
    study_id: str
    start: datetime
    given: datetime
    dose: float
    half_life: float
    radionuclide: tuple[str, str, str]
    radiopharmaceutical: tuple[str, str, str]
    weight: float
    height: float | None
    sex: str | None
    manufacturer: str
    model: str
    description: str
    reconstruction: str = ""
    attenuation: str = ""
    scatter: str = ""
    filter: str = ""
    corrections: tuple[str, ...] = ("DECY", "ATTN", "SCAT", "RAN", "NORM", "DTIM", "CAL")


def content_uid(*parts: str | bytes) -> str:
    """A unique identifier that depends on the content only.

    >>> content_uid("a") == content_uid("a"), len(content_uid("a")) <= 64
    (True, True)
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return f"2.25.{int.from_bytes(digest.digest()[:16], 'big')}"


def decimal_text(value: float) -> str:
    """A number as a DICOM decimal string: at most 16 characters, at least 9 digits.

    >>> decimal_text(1 / 3), decimal_text(400.0)
    ('0.33333333333333', '400')
    """
    from pydicom.valuerep import format_number_as_ds

    if not np.isfinite(value):
        raise InputError(f"{value} cannot stand in a DICOM header; expected a finite number")
    return format_number_as_ds(float(value)).removesuffix(".0")


def stored(values: np.ndarray) -> tuple[np.ndarray, str]:
    """A slice as signed 16-bit samples (row, column), and the slope that turns them into values.

    Every sample times slope is within half a slope of its value.
    """
    peak = float(np.abs(values).max())
    if not np.isfinite(peak):
        raise InputError("a voxel is not finite; DICOM cannot store it; expected numbers only")
    # The tenth digit is rounded up, lest the peak overflow 16 bits.
    slope = decimal_text(float(f"{peak / LARGEST * (1 + 2e-9):.9g}")) if peak > 0 else "1"
    return np.rint(values.astype(np.float64) / float(slope)).astype("<i2"), slope


def write_pet(
    folder: Path, values: np.ndarray, grid: Grid, frames: Frames, facts: PetFacts
) -> list[Path]:
    """Write values (i, j, k, t) in Bq/mL as a PET series; the files, slice by slice within frame.

    Columns run along i, rows along j and slices along k; `frames` count from the scan's start.
    Values are those corrected for decay to `facts.start`.
    """
    from pydicom import dcmwrite

    _check(values, grid, frames)
    folder.mkdir(parents=True, exist_ok=True)
    series = content_uid(
        np.ascontiguousarray(values, "<f4").tobytes(), repr(facts), grid.affine.tobytes()
    )
    common = _common(facts, grid, frames, series)
    slices, written = grid.shape[2], []
    for index in range(slices * frames.start.size):
        frame, k = divmod(index, slices)
        dataset = _slice(common, values[:, :, k, frame], index)
        dataset.ImagePositionPatient = [decimal_text(x) for x in _position(grid, k)]
        dataset.SliceLocation = decimal_text(k * float(grid.spacing[2]))
        _time_frame(dataset, frames, frame, facts)
        path = folder / f"{index + 1:05d}.dcm"
        dcmwrite(path, dataset, enforce_file_format=True)
        written.append(path)
    return written


def _check(values: np.ndarray, grid: Grid, frames: Frames) -> None:
    if values.shape != (*grid.shape, frames.start.size):
        raise InputError(
            f"values have shape {values.shape}; expected {(*grid.shape, frames.start.size)}"
        )
    if frames.zero.kind != "scan_start":
        raise InputError("frames of a DICOM series count from the scan's start, not administration")
    axes = grid.affine[:3, :3] / grid.spacing
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        raise InputError("the grid is sheared; DICOM slices need rectangular axes")
    if np.linalg.det(axes) < 0:
        raise InputError(
            "slices descend against row x column; reverse the third axis of values and grid"
        )


def _lps(vector: np.ndarray) -> list[float]:
    """RAS+ to the left-posterior-superior axes of DICOM."""
    return [-float(vector[0]), -float(vector[1]), float(vector[2])]


def _position(grid: Grid, k: int) -> list[float]:
    return _lps(grid.world(np.array([0.0, 0.0, k])))


def _common(facts: PetFacts, grid: Grid, frames: Frames, series: str) -> Dataset:
    """Everything that the slices of a series share."""
    from pydicom import Dataset

    dataset = Dataset()
    study = content_uid(facts.subject, facts.study_id, facts.start.isoformat())
    _patient(dataset, facts, study)
    dataset.Modality = "PT"
    dataset.SeriesInstanceUID = series
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = facts.description
    dataset.FrameOfReferenceUID = content_uid("frame of reference", study)
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = "HFS"
    _date_time(dataset, "Series", facts.start)
    _date_time(dataset, "Study", facts.start)
    dataset.Manufacturer = facts.manufacturer
    dataset.ManufacturerModelName = facts.model
    _pet_series(dataset, facts, grid, frames)
    _tracer(dataset, facts)
    dataset.Columns, dataset.Rows = grid.shape[0], grid.shape[1]
    dataset.PixelSpacing = [decimal_text(float(grid.spacing[n])) for n in (1, 0)]
    dataset.SliceThickness = decimal_text(float(grid.spacing[2]))
    axes = grid.affine[:3, :3] / grid.spacing
    # Negative zero would print as "-0".
    cosines = [c + 0.0 for c in _lps(axes[:, 0]) + _lps(axes[:, 1])]
    dataset.ImageOrientationPatient = [decimal_text(cosine) for cosine in cosines]
    return dataset


def _patient(dataset: Dataset, facts: PetFacts, study: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = ""
    dataset.PatientID = facts.subject
    dataset.PatientBirthDate = ""
    dataset.PatientSex = facts.sex or ""
    dataset.PatientWeight = decimal_text(round(facts.weight / 1000, 6))
    if facts.height is not None:
        dataset.PatientSize = decimal_text(round(facts.height / 1000, 6))
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "No real person"
    dataset.StudyInstanceUID = study
    dataset.StudyID = facts.study_id
    dataset.ReferringPhysicianName = ""
    dataset.AccessionNumber = ""


def _pet_series(dataset: Dataset, facts: PetFacts, grid: Grid, frames: Frames) -> None:
    """PET Series module (PS3.3, C.8.9.1)."""
    times = frames.start.size
    dataset.Units = "BQML"
    dataset.CountsSource = "EMISSION"
    dataset.SeriesType = ["STATIC" if times == 1 else "DYNAMIC", "IMAGE"]
    if times > 1:
        dataset.NumberOfTimeSlices = times
    dataset.NumberOfSlices = grid.shape[2]
    dataset.CorrectedImage = list(facts.corrections)
    dataset.DecayCorrection = "START"
    dataset.CollimatorType = "NONE"
    dataset.ReconstructionMethod = facts.reconstruction
    dataset.AttenuationCorrectionMethod = facts.attenuation
    dataset.ScatterCorrectionMethod = facts.scatter
    dataset.ConvolutionKernel = facts.filter
    posture = _code(("102538003", "SCT", "recumbent"))
    posture.PatientOrientationModifierCodeSequence = [_code(("40199007", "SCT", "supine"))]
    dataset.PatientOrientationCodeSequence = [posture]
    dataset.PatientGantryRelationshipCodeSequence = [_code(("102540008", "SCT", "headfirst"))]


def _tracer(dataset: Dataset, facts: PetFacts) -> None:
    """PET Isotope module (PS3.3, C.8.9.2)."""
    from pydicom import Dataset

    energy = Dataset()
    energy.EnergyWindowLowerLimit, energy.EnergyWindowUpperLimit = "435", "650"
    dataset.EnergyWindowRangeSequence = [energy]
    tracer = Dataset()
    tracer.RadionuclideCodeSequence = [_code(facts.radionuclide)]
    tracer.RadiopharmaceuticalRoute = ""
    tracer.Radiopharmaceutical = facts.radiopharmaceutical[2]
    tracer.RadiopharmaceuticalStartTime = _clock(facts.given, "%H%M%S")
    tracer.RadiopharmaceuticalStartDateTime = _clock(facts.given, "%Y%m%d%H%M%S")
    tracer.RadionuclideTotalDose = decimal_text(facts.dose)
    tracer.RadionuclideHalfLife = decimal_text(facts.half_life)
    if facts.radiopharmaceutical[0]:
        tracer.RadiopharmaceuticalCodeSequence = [_code(facts.radiopharmaceutical)]
    dataset.RadiopharmaceuticalInformationSequence = [tracer]


def _code(code: tuple[str, str, str]) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _date_time(dataset: Dataset, what: str, when: datetime) -> None:
    setattr(dataset, f"{what}Date", when.strftime("%Y%m%d"))
    setattr(dataset, f"{what}Time", _clock(when, "%H%M%S"))


def _clock(when: datetime, pattern: str) -> str:
    return when.strftime(f"{pattern}.%f" if when.microsecond else pattern)


def _time_frame(dataset: Dataset, frames: Frames, frame: int, facts: PetFacts) -> None:
    """Times of one frame. FrameReferenceTime is when the activity equals its mean over the frame.

    PS3.3, C.8.9.4.1.4; the decay factor of the frame is then exp(rate * FrameReferenceTime).
    """
    start, duration = float(frames.start[frame]), float(frames.duration[frame])
    factor = float(decay_factor(facts.half_life, start, duration))
    _date_time(dataset, "Acquisition", facts.start + timedelta(seconds=start))
    dataset.FrameReferenceTime = decimal_text(np.log2(factor) * facts.half_life * 1000)
    dataset.ActualFrameDuration = round(duration * 1000)
    dataset.DecayFactor = decimal_text(factor)
    dataset.DoseCalibrationFactor = "1"


def _slice(common: Dataset, values: np.ndarray, index: int) -> Dataset:
    """One slice: samples, slope and identifiers; `values` are (column, row)."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID

    samples, slope = stored(values.T)
    dataset = FileDataset("", common.copy(), file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    dataset.SOPClassUID = UID(PET_IMAGE_STORAGE)
    dataset.SOPInstanceUID = UID(content_uid(common.SeriesInstanceUID, str(index)))
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_ENDIAN)
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.InstanceNumber = index + 1
    dataset.ImageIndex = index + 1
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = slope
    dataset.LossyImageCompression = "00"
    dataset.PixelData = np.ascontiguousarray(samples).tobytes()
    return dataset
