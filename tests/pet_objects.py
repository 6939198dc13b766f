"""PET headers and series made for tests: sound, but for what a test is about."""

from __future__ import annotations

import warnings
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import PYDICOM_ROOT_UID, ExplicitVRLittleEndian

PET = "1.2.840.10008.5.1.4.1.1.128"
DOSE_ITEMS = (
    "Radiopharmaceutical", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime",
    "RadionuclideTotalDose", "RadionuclideHalfLife", "RadionuclidePositronFraction",
    "RadionuclideCodeSequence",
)  # fmt: skip
F18 = 6586.2  # s, ICRP-107
SOUND = {
    "SeriesDate": "20260501", "SeriesTime": "120000", "AcquisitionDate": "20260501",
    "AcquisitionTime": "120000", "Modality": "PT", "Units": "BQML", "DecayCorrection": "START",
    "CorrectedImage": ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"], "PatientWeight": "70",
    "PatientSize": "1.75", "PatientSex": "F", "ActualFrameDuration": 600000,
    "RadiopharmaceuticalStartDateTime": "20260501110000", "RadionuclideTotalDose": "350000000",
    "RadionuclideHalfLife": "6586.2",
}  # fmt: skip


def pet_header(**changes: object) -> Dataset:
    """A sound header; a change to None leaves the element out."""
    header, dose = Dataset(), Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some changes are malformed on purpose
        for keyword, value in (SOUND | changes).items():
            if value is not None:
                setattr(dose if keyword in DOSE_ITEMS else header, keyword, value)
    header.RadiopharmaceuticalInformationSequence = [dose]
    return header


def pet_slice(pixels: np.ndarray, position: float, **changes: object) -> Dataset:
    """A whole slice [row, column] at a position along z in mm."""
    header = pet_header(**changes)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = PET
    header.SOPClassUID = PET
    place = str(zlib.crc32(repr((position, pixels.tolist(), changes)).encode()))
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = PYDICOM_ROOT_UID + place
    plain = {
        "SeriesInstanceUID": "1.2.3.4", "StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.9",
        "PatientID": "test", "SeriesDescription": "made for tests",
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "ImagePositionPatient": ["-10", "-20", f"{position:.6f}"], "PixelSpacing": ["3", "2"],
        "SliceThickness": "4", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0], "Columns": pixels.shape[1], "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1, "RescaleSlope": "1", "RescaleIntercept": "0",
    }  # fmt: skip
    for keyword, value in plain.items():
        if keyword not in changes:
            setattr(header, keyword, value)
    header.PixelData = pixels.astype(np.int16).tobytes()
    return header


def save(header: Dataset, path: Path) -> Path:
    """Write an object as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def write_volume(folder: Path, values: np.ndarray, spacing: float = 4.0, **changes: object) -> Path:
    """Stored values (i, j, k) as slices whose names tell nothing of their order."""
    for k in range(values.shape[2]):
        one = pet_slice(values[:, :, k].T, spacing * k, **changes)
        save(one, folder / f"{(7 * k + 3) % 101:03d}.dcm")
    return folder


def write_dynamic(folder: Path, values: np.ndarray, seconds: float = 60.0) -> Path:
    """Stored values (i, j, k, t) as frames that follow one another."""
    start = datetime(2026, 5, 1, 12)
    for t in range(values.shape[3]):
        begun = start + timedelta(seconds=seconds * t)
        for k in range(values.shape[2]):
            one = pet_slice(
                values[:, :, k, t].T, 4.0 * k,
                AcquisitionTime=begun.strftime("%H%M%S"),
                ActualFrameDuration=int(1000 * seconds),
                FrameReferenceTime=f"{1000 * seconds * (t + 0.5)}",
                SeriesType=["DYNAMIC", "IMAGE"], NumberOfTimeSlices=values.shape[3],
            )  # fmt: skip
            save(one, folder / f"{(37 * t + 11 * k) % 997:04d}_{t}{k}")
    return folder
