"""Writes the virtual trial as its user would find it: PET-BIDS, DICOM, tables and study.toml.

Every file depends on the seed only: gzip streams carry neither a name nor a time.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from igdd.errors import InputError
from igdd.io import bids
from igdd.io.dicom_pet_writer import PetFacts, write_pet
from igdd.io.outlines import Outline, traced
from igdd.io.rtstruct import write_rtstruct
from igdd.simulate.scanner import ZR89_HALF_LIFE
from igdd.types import Frames, Grid, Regions, Zero

MANUFACTURER = "IGDD VIRTUAL"
MODEL = "Superellipsoid torso 1"
TRACER = "89Zr-PEG-liposome"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a patient: weight in g, height in mm; activities in Bq; drug in g."""

    id: str
    arm: str
    sex: str
    weight: float
    height: float
    at: datetime
    activity: float
    activity_sd: float
    residual: float
    drug_dose: float

    @property
    def net(self) -> float:
        """Activity given, in Bq: what was drawn up less what stayed behind."""
        return self.activity - self.residual


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """A scan of a patient as the study names it; paths relative to the trial's folder."""

    session: str
    start: float
    path: str
    regions: str


@dataclass(frozen=True, kw_only=True)
class Excreted:
    """What was collected: place, s after administration, Bq at administration and its sd."""

    place: str
    until: float
    activity: float
    sd: float


def write_nifti(path: Path, samples: np.ndarray, grid: Grid, slope: float = 1.0) -> None:
    """Integer samples (i, j, k) as gzipped NIfTI-1; stored value times `slope` is the quantity."""
    from nibabel.nifti1 import Nifti1Header

    header = Nifti1Header()
    header.set_data_shape(samples.shape)
    header.set_data_dtype(samples.dtype)
    header.set_sform(grid.affine, code="scanner")
    header.set_qform(grid.affine, code="scanner")
    header.set_xyzt_units("mm", "sec")
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["scl_slope"], header["scl_inter"] = slope, 0
    path.parent.mkdir(parents=True, exist_ok=True)
    content = header.binaryblock + b"\0" * 4 + samples.tobytes(order="F")
    # Level 1: noise does not compress, label maps do at any level.
    with (
        path.open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as packed,
    ):
        packed.write(content)


def write_bids(
    folder: Path, record: Record, session: str, image: np.ndarray, grid: Grid, timing: Frames
) -> str:
    """One scan as PET-BIDS: 16-bit image with a slope, sidecar, and when it was acquired."""
    stem = f"sub-{record.id}/ses-{session}"
    name = f"{stem}/pet/sub-{record.id}_ses-{session}_trc-89Zr_pet"
    # A NIfTI slope is 32 bits wide; a little more, lest the largest value overflow.
    slope = float(np.float32(np.abs(image).max() / 32767 * (1 + 1e-6)))
    samples = np.rint(image.astype(np.float64) / slope).astype("<i2")
    write_nifti(folder / f"{name}.nii.gz", samples, grid, slope)
    bids.write_json(folder / f"{name}.json", sidecar(record, timing))
    begun = record.at + timedelta(seconds=float(timing.start[0]))
    write_table(
        folder / f"{stem}/sub-{record.id}_ses-{session}_scans.tsv",
        ("filename", "acq_time"),
        [(f"pet/{Path(name).name}.nii.gz", begun.isoformat())],
    )
    return f"{name}.nii.gz"


def write_labels(
    folder: Path, record: Record, session: str, labels: np.ndarray, grid: Grid, names: Sequence[str]
) -> str:
    """The drawn regions as a label map with its table of names, as a BIDS derivative."""
    name = (
        f"derivatives/regions/sub-{record.id}/ses-{session}/pet/"
        f"sub-{record.id}_ses-{session}_trc-89Zr_desc-drawn_dseg"
    )
    bids.write_label_map(folder / f"{name}.nii.gz", labels, grid, dict(enumerate(names, start=1)))
    return f"{name}.nii.gz"


def write_dicom(
    folder: Path, record: Record, session: str, image: np.ndarray, grid: Grid, timing: Frames
) -> str:
    """One scan as a DICOM series in the usual orientation: rows run left, columns backwards."""
    start = record.at + timedelta(seconds=float(timing.start[0]))
    facts = PetFacts(
        subject=record.id,
        study_id=session,
        start=start,
        given=record.at,
        dose=record.net,
        half_life=ZR89_HALF_LIFE,
        radionuclide=("63360001", "SCT", "^89^Zirconium"),
        radiopharmaceutical=("", "", TRACER),
        weight=record.weight,
        height=record.height,
        sex=record.sex,
        manufacturer=MANUFACTURER,
        model=MODEL,
        description=f"{TRACER} {session}",
        reconstruction="virtual",
        attenuation="known",
        scatter="known",
    )
    affine = grid.affine.copy()
    for axis in (0, 1):
        affine[:3, 3] += affine[:3, axis] * (grid.shape[axis] - 1)
        affine[:3, axis] *= -1
    path = f"sourcedata/sub-{record.id}/ses-{session}/pet"
    zero = Zero(kind="scan_start", clock=start)
    write_pet(
        folder / path,
        image[::-1, ::-1, :, None],
        Grid(shape=grid.shape, affine=affine),
        Frames(start=np.zeros(1), duration=timing.duration, zero=zero),
        facts,
    )
    return path


def write_structures(
    folder: Path, series: str, labels: np.ndarray, grid: Grid, names: Sequence[str]
) -> str:
    """The drawn regions as an RT structure set that refers to a written DICOM series.

    Contours lie in the planes of the labels' grid.
    """
    from pydicom import dcmread

    headers = [
        dcmread(path, stop_before_pixels=True) for path in sorted((folder / series).glob("*.dcm"))
    ]
    outlines = [
        Outline(name=one.name, contours=tuple(_corners(points) for points in one.contours))
        for number, name in enumerate(names, start=1)
        for one in traced(_region(labels, grid, number, name))
    ]
    path = Path(series).parent / "regions.dcm"
    write_rtstruct(folder / path, outlines, headers)
    return path.as_posix()


def _corners(points: np.ndarray) -> np.ndarray:
    """A closed contour (points, 3) in one plane without the points on its straight stretches."""
    to_next = np.roll(points, -1, axis=0) - points
    from_last = np.roll(to_next, 1, axis=0)
    turn = to_next[:, 0] * from_last[:, 1] - to_next[:, 1] * from_last[:, 0]
    return np.asarray(points[np.abs(turn) > 1e-6])


def _region(labels: np.ndarray, grid: Grid, number: int, name: str) -> Regions:
    """One region of a label map, on the smallest part of the grid that holds it."""
    inside = labels == number
    spans = [np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not spans[0].size:
        raise InputError(f"{name} was drawn without a voxel; expected finer voxels")
    first = np.array([span[0] for span in spans])
    box = tuple(slice(span[0], span[-1] + 1) for span in spans)
    cut = inside[box]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(first)
    return Regions(
        weights=sparse.csr_matrix(cut.reshape(1, -1).astype(float)),
        names=(name,),
        kinds=("organ",),
        grid=Grid(shape=(cut.shape[0], cut.shape[1], cut.shape[2]), affine=affine),
    )


def sidecar(record: Record, timing: Frames) -> dict[str, Any]:
    """PET-BIDS metadata of a scan; time zero is the scan's start."""
    start = float(timing.start[0])
    net, mass = record.net / 1e6, record.drug_dose * 1e3
    return {
        "Manufacturer": MANUFACTURER,
        "ManufacturersModelName": MODEL,
        "Modality": "PT",
        "BodyPart": "head to thigh",
        "Units": "Bq/mL",
        "TracerName": TRACER,
        "TracerRadionuclide": "Zr89",
        "RadionuclideHalfLife": ZR89_HALF_LIFE,
        "InjectedRadioactivity": round(net, 6),
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": round(mass, 6),
        "InjectedMassUnits": "mg",
        "SpecificRadioactivity": round(net / mass, 6),
        "SpecificRadioactivityUnits": "MBq/mg",
        "ModeOfAdministration": "bolus",
        "TimeZero": (record.at + timedelta(seconds=start)).strftime("%H:%M:%S"),
        "ScanStart": 0,
        "InjectionStart": -start,
        "FrameTimesStart": [0.0],
        "FrameDuration": [float(timing.duration[0])],
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "ReconMethodName": "virtual",
        "ReconMethodParameterLabels": ["none"],
        "ReconMethodParameterUnits": ["none"],
        "ReconMethodParameterValues": [0],
        "ReconFilterType": "Gaussian",
        "ReconFilterSize": 4.0,
        "AttenuationCorrection": "known attenuation",
    }


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table with a header: tabs for .tsv, commas otherwise."""
    text = io.StringIO()
    delimiter = "\t" if path.suffix == ".tsv" else ","
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")


def write_dataset(folder: Path, records: Sequence[Record]) -> None:
    """What makes the folder a BIDS data set: its description, participants and README."""
    bids.write_dataset_description(folder, "Virtual 89Zr-liposome trial")
    bids.write_dataset_description(
        folder / "derivatives/regions",
        "Regions drawn in the virtual 89Zr-liposome trial",
        derivative=True,
        generated_by=[{"Name": "igdd", "Description": "simulated reader"}],
    )
    bids.write_participants(
        folder,
        [
            {
                "participant_id": f"sub-{r.id}",
                "arm": r.arm,
                "sex": r.sex,
                "weight": f"{r.weight / 1000:g}",
                "height": f"{r.height / 10:g}",
            }
            for r in records
        ],
        {
            "arm": {"Description": "plain or targeted liposome"},
            "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
            "weight": {"Description": "body weight", "Units": "kg"},
            "height": {"Description": "body height", "Units": "cm"},
        },
    )
    (folder / "README").write_text(README, encoding="utf-8")
    (folder / ".bidsignore").write_text("\n".join(BEYOND_BIDS) + "\n", encoding="utf-8")


# The study and what igdd writes beside it.
BEYOND_BIDS = (
    "*.toml", "*.csv", "*.parquet", "report.*", "provenance.json", "run.log", "sessions/", ".lock",
)  # fmt: skip

README = """A virtual trial: every patient, image and number in this folder is simulated.

study.toml            what a user knows; run it with: igdd run study.toml
sub-*, sourcedata     PET images as PET-BIDS, and of one patient as DICOM
derivatives/regions   the regions as a reader drew them, a little wrong
truth.csv             what the results should be, in the columns of measurements.csv
truth_findings.csv    what the comparison of the arms should find
"""
