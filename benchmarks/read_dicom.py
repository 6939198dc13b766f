"""Speed of reading a PET series, against a plain loop over the same files.

Run: python benchmarks/read_dicom.py [slices]

The plain loop does what anyone would write first: pydicom.dcmread, pixel_array, and a float32 stack
scaled by each slice's slope, in the order of the file names. The reader also sorts, checks and
keeps the headers. Both are timed several times in turn, and the best of each is compared.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from igdd.io.dicom_series import read

ROUNDS = 7


def write_series(folder: Path, slices: int) -> None:
    """A whole-body PET series of 200 x 200 pixels with the usual elements."""
    generator = np.random.default_rng(0)
    study, series, frame = (generate_uid() for _ in range(3))
    for k in range(slices):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.Modality, one.PatientID, one.PatientName = "PT", "benchmark", "benchmark"
        one.SeriesDescription, one.SeriesNumber, one.InstanceNumber = "benchmark", 1, k + 1
        one.SeriesDate = one.AcquisitionDate = one.StudyDate = "20260501"
        one.SeriesTime, one.AcquisitionTime = "123000", f"12{30 + k // 60:02d}00"
        one.Rows = one.Columns = 200
        one.PixelSpacing, one.SliceThickness = ["4.07283", "4.07283"], "1.5"
        one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        one.ImagePositionPatient = ["-405.6", "-587.3", f"{-900 + 1.5 * k:.1f}"]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleIntercept, one.RescaleSlope = "0", f"{1 + k / slices:.6f}"
        one.Units, one.DecayCorrection, one.SeriesType = "BQML", "START", ["WHOLE BODY", "IMAGE"]
        one.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
        one.ActualFrameDuration, one.FrameReferenceTime = 60000, "30000"
        one.PatientWeight, one.PatientSize, one.PatientSex = "71", "1.72", "F"
        dose, code = Dataset(), Dataset()
        dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = "370000000", "6586.2"
        dose.RadiopharmaceuticalStartDateTime = "20260501113000"
        code.CodeValue, code.CodingSchemeDesignator = "C-111A1", "SRT"
        code.CodeMeaning = "^18^Fluorine"
        dose.RadionuclideCodeSequence = [code]
        one.RadiopharmaceuticalInformationSequence = [dose]
        one.NumberOfSlices, one.ImageIndex = slices, k + 1
        pixels = generator.integers(0, 20000, (200, 200), dtype=np.int16)
        one.PixelData = pixels.tobytes()
        one.save_as(folder / f"slice_{k:04d}.dcm", enforce_file_format=True)


def plain_loop(folder: Path) -> np.ndarray:
    stack = []
    for path in sorted(folder.iterdir()):
        one = pydicom.dcmread(path)
        stack.append(one.pixel_array.astype(np.float32) * np.float32(one.RescaleSlope))
    return np.stack(stack)


def main() -> None:
    slices = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    seconds: dict[str, list[float]] = {"plain loop": [], "igdd": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_series(folder, slices)
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            expected = plain_loop(folder)
            seconds["plain loop"].append(time.perf_counter() - begun)
            begun = time.perf_counter()
            (series,) = read(folder)
            seconds["igdd"].append(time.perf_counter() - begun)
        same = np.array_equal(series.values[..., 0].transpose(2, 1, 0), expected)
    for name, taken in seconds.items():
        print(
            f"{name:12s} best {min(taken):.3f} s, median {statistics.median(taken):.3f} s "
            f"for {slices} slices"
        )
    ratio = min(seconds["plain loop"]) / min(seconds["igdd"])
    print(f"speed of igdd relative to the plain loop: {ratio:.2f} (target: at least 0.80)")
    print(f"same values: {same}")
    if not same or ratio < 0.8:
        sys.exit(1)


if __name__ == "__main__":
    main()
