"""RT structure sets: regions drawn as closed contours in planes, read and written.

How a contour becomes shares of voxels stands in `igdd.io.outlines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io.dicom_object import (
    FLIP,
    copy_patient_and_study,
    read_object,
    refusing,
    required,
    storage_class,
    unique_names,
)
from igdd.io.dicom_pet_writer import content_uid
from igdd.io.outlines import Outline, enclosed, traced
from igdd.types import Grid, Regions

if TYPE_CHECKING:
    from pydicom import Dataset

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
# Contour data may exceed the 64 kB that a decimal string has in explicit syntax.
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
# A point farther off than this many mm is a mistake.
FARTHEST = 1e5
# Contours are written to this many decimals of a millimetre.
DECIMALS = 4


def sniff(path: Path) -> bool:
    """Whether a file is an RT structure set, by its meta information."""
    return storage_class(path) == RT_STRUCTURE_SET


def read(path: Path, grid: Grid) -> Regions:
    """Regions of a structure set as shares of the voxels of an image's grid.

    Points and open contours enclose nothing and are passed over; a region that has nothing else
    is empty (flag `empty_region`). A name that stands twice gets a number (`duplicate_name`).
    """
    outlines, warned = read_outlines(path)
    names, repeated = unique_names([outline.name for outline in outlines])
    renamed = [replace(outline, name=name) for outline, name in zip(outlines, names, strict=True)]
    regions = enclosed(renamed, grid, str(path))
    extra = ("header_warning",) if warned else ()
    flags = [
        tuple(sorted({*found, *extra, *(("duplicate_name",) if again else ())}))
        for found, again in zip(regions.flags, repeated, strict=True)
    ]
    source = f"{Path(path).name}: RT structure set, exact areas of its polygons"
    return replace(regions, flags=tuple(flags), source=source)


def read_outlines(path: Path) -> tuple[list[Outline], bool]:
    """The regions of a structure set as they are drawn, and whether the library warned."""
    with refusing(path, "RT structure set") as caught:
        dataset = read_object(path, [RT_STRUCTURE_SET], "RT structure set")
        contours: dict[int, list[np.ndarray]] = {}
        for item in dataset.ROIContourSequence:
            number = int(item.ReferencedROINumber)
            contours.setdefault(number, []).extend(_closed_contours(item, number, path))
        outlines = []
        for item in dataset.StructureSetROISequence:
            number = int(item.ROINumber)
            name = str(item.get("ROIName") or "").strip() or f"roi_{number}"
            outlines.append(Outline(name=name, contours=tuple(contours.pop(number, ()))))
        if any(contours.values()):
            raise InputError(
                f"{path}: ROIContourSequence (3006,0039) refers to ROI number "
                f"{min(contours)}, which StructureSetROISequence (3006,0020) does not name; "
                "export it again"
            )
        return outlines, bool(caught)


def _closed_contours(item: Dataset, number: int, path: Path) -> list[np.ndarray]:
    """Closed contours (points, 3) of a region in mm, RAS+."""
    found = []
    for contour in item.get("ContourSequence") or []:
        if str(contour.get("ContourGeometricType", "")).strip() not in CLOSED:
            continue
        points = _coordinates(contour)
        where = f"{path}: ContourData (3006,0050) of ROI number {number}"
        if points.size % 3 or not (np.abs(points) <= FARTHEST).all():
            raise InputError(
                f"{where} holds {points.size} numbers, or one that is no place in a scanner; "
                f"expected x, y, z within {FARTHEST:g} mm for each point"
            )
        claimed = contour.get("NumberOfContourPoints")
        if claimed is not None and int(claimed) != points.size // 3:
            raise InputError(
                f"{where} holds {points.size // 3} points; NumberOfContourPoints (3006,0046) "
                f"says {claimed}; the file is cut short or wrong; export it again"
            )
        if points.size >= 9:
            found.append(points.reshape(-1, 3) * FLIP)
    return found


def _coordinates(contour: Dataset) -> np.ndarray:
    """Contour data as numbers, straight from the text: 20 times faster than one DS at a time."""
    element = contour.get_item("ContourData")
    if element is None or not element.value:
        return np.zeros(0)
    if isinstance(element.value, bytes):
        return np.array(element.value.strip(b"\0 ").split(b"\\"), dtype=float)
    return np.array(contour.ContourData, dtype=float)


def write_rtstruct(
    path: Path, regions: Regions | Sequence[Outline], source_headers: Sequence[Dataset]
) -> None:
    """Write regions as a structure set that refers to the slices of an image.

    `source_headers` are those of the slices (of one frame). Regions are traced where their
    weights pass one half. Identifiers depend on the content only, and no clock is read.
    """
    outlines = traced(regions) if isinstance(regions, Regions) else list(regions)
    if not source_headers or not outlines:
        raise InputError(f"{path}: expected at least one region and one header of its image")
    with refusing(path, "set of headers to refer to"):
        slices = _slices(source_headers)
        dataset = _structure_set(source_headers)
        for number, outline in enumerate(outlines, start=1):
            _add_region(dataset, number, outline, slices)
        dataset.SOPInstanceUID = _identifier("rtstruct", dataset)
        dataset.SeriesInstanceUID = _identifier("rtstruct series", dataset)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path, enforce_file_format=True)


def _structure_set(headers: Sequence[Dataset]) -> Dataset:
    """A structure set without regions, for the image that the headers are of."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    first = headers[0]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(IMPLICIT_LITTLE_ENDIAN)
    dataset.file_meta.MediaStorageSOPClassUID = UID(RT_STRUCTURE_SET)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = RT_STRUCTURE_SET
    dataset.Modality = "RTSTRUCT"
    copy_patient_and_study(first, dataset)
    dataset.SeriesNumber = None
    dataset.OperatorsName = ""
    dataset.Manufacturer = "igdd"
    dataset.FrameOfReferenceUID = required(first, "FrameOfReferenceUID")
    dataset.PositionReferenceIndicator = ""
    dataset.StructureSetLabel = "igdd"
    dataset.StructureSetDate = first.get("SeriesDate") or ""
    dataset.StructureSetTime = first.get("SeriesTime") or ""
    series = Dataset()
    series.SeriesInstanceUID = required(first, "SeriesInstanceUID")
    series.ContourImageSequence = [_reference(header) for header in headers]
    study = Dataset()
    study.ReferencedSOPClassUID = DETACHED_STUDY
    study.ReferencedSOPInstanceUID = dataset.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = dataset.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence = []
    dataset.ROIContourSequence = []
    dataset.RTROIObservationsSequence = []
    return dataset


def _reference(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = required(header, "SOPClassUID")
    item.ReferencedSOPInstanceUID = required(header, "SOPInstanceUID")
    return item


@dataclass(frozen=True, kw_only=True, eq=False)
class _Slices:
    """Headers of slices, their heights (n,) in mm along the normal (3,) of the slices, in LPS."""

    headers: Sequence[Dataset]
    heights: np.ndarray
    normal: np.ndarray


def _slices(headers: Sequence[Dataset]) -> _Slices:
    cosines = np.array(required(headers[0], "ImageOrientationPatient"), dtype=float)
    normal = np.cross(cosines[:3], cosines[3:])
    positions = np.array([required(h, "ImagePositionPatient") for h in headers], dtype=float)
    return _Slices(headers=headers, heights=positions @ normal, normal=normal)


def _add_region(dataset: Dataset, number: int, outline: Outline, slices: _Slices) -> None:
    """Add a region's name, contours and (empty) clinical observation to a structure set."""
    from pydicom.dataset import Dataset

    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = dataset.FrameOfReferenceUID
    region.ROIName = outline.name
    region.ROIGenerationAlgorithm = ""
    dataset.StructureSetROISequence.append(region)
    drawn = Dataset()
    drawn.ReferencedROINumber = number
    drawn.ContourSequence = [_contour(points, slices) for points in outline.contours]
    dataset.ROIContourSequence.append(drawn)
    observation = Dataset()
    observation.ObservationNumber = number
    observation.ReferencedROINumber = number
    observation.RTROIInterpretedType = ""
    observation.ROIInterpreter = ""
    dataset.RTROIObservationsSequence.append(observation)


def _contour(points: np.ndarray, slices: _Slices) -> Dataset:
    from pydicom.dataset import Dataset

    places = points * FLIP
    item = Dataset()
    nearest = int(np.argmin(np.abs(slices.heights - places.mean(axis=0) @ slices.normal)))
    item.ContourImageSequence = [_reference(slices.headers[nearest])]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(places)
    # Rounding may leave a negative zero, which would print as "-0".
    item.ContourData = [f"{x:.{DECIMALS}f}" for x in places.round(DECIMALS).ravel() + 0.0]
    return item


def _identifier(kind: str, dataset: Dataset) -> str:
    """A UID made from the whole content, as JSON: exact, and independent of the encoding."""
    return content_uid(kind, dataset.to_json())


READERS = (
    Reader(
        name="rtstruct",
        gives="regions",
        sniff=sniff,
        read=read,
        help="DICOM RT structure set: sub-voxel polygon weights of closed planar contours",
        reference="DICOM PS3.3 C.8.8.5, C.8.8.6",
    ),
)
