"""Headers, lattices and hostile bytes for tests of DICOM readers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from igdd.types import Grid

FLIP = np.array([-1.0, -1.0, 1.0])
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def tilted() -> Grid:
    """An oblique lattice with unequal steps, as a head holder or a gantry makes it."""
    a, b = np.radians(11), np.radians(-7)
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) @ np.array(
        [[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.7, -2.2, 3.1])
    affine[:3, 3] = [31.0, -12.5, 77.0]
    return Grid(shape=(9, 8, 6), affine=affine)


def image_headers(grid: Grid, series: str = "1.2.3.1") -> list[Dataset]:
    """Headers of the slices of an image on a grid, as a scanner would write them."""
    headers = []
    cosines = (grid.affine[:3, :2] / grid.spacing[:2]).T * FLIP
    for k in range(grid.shape[2]):
        header = Dataset()
        header.SOPClassUID = CT_IMAGE
        header.SOPInstanceUID = f"{series}.{k + 1}"
        header.SeriesInstanceUID = series
        header.StudyInstanceUID = "1.2.3"
        header.FrameOfReferenceUID = "1.2.3.9"
        header.Modality = "CT"
        header.PatientName, header.PatientID = "Phantom^A", "A"
        header.PatientBirthDate, header.PatientSex = "", "O"
        header.StudyDate, header.StudyTime, header.StudyID = "20260501", "120000", "1"
        header.AccessionNumber, header.ReferringPhysicianName = "", ""
        header.Columns, header.Rows = grid.shape[:2]
        header.PixelSpacing = [f"{grid.spacing[1]:.10g}", f"{grid.spacing[0]:.10g}"]
        header.SliceThickness = f"{grid.spacing[2]:.10g}"
        header.ImageOrientationPatient = [f"{x:.10f}" for x in cosines.ravel()]
        place = grid.world(np.array([0.0, 0.0, k])) * FLIP
        header.ImagePositionPatient = [f"{x:.8f}" for x in place]
        headers.append(header)
    return headers


def mr_series(
    folder: Path, grid: Grid, volumes: np.ndarray, series: str = "1.2.3.1", **facts: object
) -> Path:
    """A classic MR series of whole numbers (t, i, j, k), a volume each 5 s, in files of a slice."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for time, volume in enumerate(volumes):
        for k, header in enumerate(image_headers(grid, series)):
            header.SOPClassUID, header.Modality = MR_IMAGE, "MR"
            header.SOPInstanceUID = f"{series}.{time + 1}.{k + 1}"
            header.AcquisitionDate, header.AcquisitionTime = "20260501", f"1200{5 * time:02d}"
            header.BitsAllocated = header.BitsStored = 16
            header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 0, 1
            header.PhotometricInterpretation = "MONOCHROME2"
            for keyword, value in facts.items():
                setattr(header, keyword, value)
            header.add_new("PixelData", "OW", volume[..., k].T.astype("<u2").tobytes())
            header.file_meta = meta
            header.save_as(folder / f"{time:02d}_{k:02d}.dcm", enforce_file_format=True)
    return folder


def read_headers(folder: Path) -> list[Dataset]:
    """Headers of the DICOM files of a folder, without pixels."""
    return [dcmread(path, stop_before_pixels=True) for path in sorted(folder.iterdir())]


def grid_of(headers: list[Dataset]) -> Grid:
    """The lattice of the slices of one series, by the standard's equation C.7.6.2.1-1."""
    cosines = np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(*cosines)
    places = np.array([header.ImagePositionPatient for header in headers], float)
    places = places[np.argsort(places @ normal)]
    affine = np.eye(4)
    affine[:3, 0] = cosines[0] * float(headers[0].PixelSpacing[1]) * FLIP
    affine[:3, 1] = cosines[1] * float(headers[0].PixelSpacing[0]) * FLIP
    affine[:3, 2] = (places[-1] - places[0]) / (len(places) - 1) * FLIP
    affine[:3, 3] = places[0] * FLIP
    return Grid(shape=(headers[0].Columns, headers[0].Rows, len(headers)), affine=affine)


def deep_sequence(sop_class: str, depth: int, explicit: bool) -> bytes:
    """A DICOM file whose one sequence holds a sequence, `depth` times over, in stated lengths or
    in lengths left open."""

    def meta(element: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, element, b"UI", len(value)) + value

    group = meta(2, sop_class.encode()) + meta(3, b"1.2.3") + meta(0x10, b"1.2.840.10008.1.2.1")
    head = bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group
    tag = struct.pack("<HH2sH", 0x5200, 0x9230, b"SQ", 0)
    body = b""
    if not explicit:
        start = tag + b"\xff" * 4 + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        return head + start * depth + end * depth
    lengths = [20 * level for level in range(depth)]
    for inner in reversed(lengths):
        body += tag + struct.pack("<IHHI", inner + 8, 0xFFFE, 0xE000, inner)
    return head + body


def mutated(sound: bytes, seed: int, cut: bool) -> bytes:
    """A sound object with up to eleven bytes behind its preamble changed, or cut short as well."""
    random = np.random.default_rng(seed)
    content = bytearray(sound)
    for place in random.integers(132, len(content), random.integers(1, 12)):
        content[place] = random.integers(0, 256)
    return bytes(content[: random.integers(0, len(content))] if cut else content)
