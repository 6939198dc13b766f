"""DICOM segmentations: binary, fractional and label-map objects, overlaps included; and writing.

A frame is one plane of one segment (or of all, in a label map). Frames on the image's own slices
go there; any other lattice is rebuilt from the frames' places and brought over by
`igdd.io.regions.onto`. Fractions, of occupancy or of probability, become weights 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from igdd.declare import Reader
from igdd.errors import InputError
from igdd.io import regions as grids
from igdd.io.bounded import check_budget
from igdd.io.dicom_object import (
    FLIP,
    SAME_PLACE,
    check_cover,
    copy_patient_and_study,
    read_object,
    refusing,
    required,
    slice_headers,
    storage_class,
    unique_names,
)
from igdd.io.dicom_pet_writer import content_uid, decimal_text
from igdd.io.seg_frames import Layout, lattice, layout, on_grid, pixels
from igdd.types import Grid, Regions

if TYPE_CHECKING:
    from pydicom import Dataset

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
# Category and type of what a segment shows, as SNOMED CT codes.
TISSUE = (("85756007", "Tissue"), ("85756007", "Tissue"))
MEANING = {
    "organ": (("123037004", "Anatomical Structure"), ("91772007", "Organ")),
    "lesion": (("49755003", "Morphologically Abnormal Structure"), ("52988006", "Lesion")),
    "blood": (("91720002", "Body Substance"), ("87612001", "Blood")),
}
# Steps of a fraction as it is written, of 8 bits.
STEPS = 255


def sniff(path: Path) -> bool:
    """Whether a file is a segmentation, by its meta information."""
    return storage_class(path) in (SEGMENTATION, LABEL_MAP)


def read(path: Path, grid: Grid) -> Regions:
    """Regions of a segmentation on an image's grid, named by their segment labels.

    A label that stands twice gets a number (`duplicate_name`); a segment without frames is empty
    (`empty_region`). Refused: slides and projections, which have no place in the patient.
    """
    with refusing(path, "segmentation") as caught:
        dataset = read_object(path, (SEGMENTATION, LABEL_MAP), "segmentation")
        form = layout(dataset, path)
        own, slices = on_grid(form, grid) or lattice(form, path)
        regions = _filled(dataset, form, own, slices, path)
        warned = bool(caught)
    moved = grids.onto(regions, grid)
    extra = {"header_warning"} if warned else set()
    return replace(moved, flags=tuple(tuple(sorted({*found, *extra})) for found in moved.flags))


def _filled(dataset: Dataset, form: Layout, grid: Grid, slices: np.ndarray, path: Path) -> Regions:
    """Regions on the lattice of the frames; frames beyond it are cut off and flagged."""
    numbers = list(form.names)
    seen: set[tuple[int, int]] = set()
    beyond: set[int] = set()
    voxels: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {number: [] for number in numbers}
    spent = 0
    for frame, slab in enumerate(pixels(dataset, form, path)):
        k, segment = int(slices[frame]), int(form.segments[frame])
        if (segment, k) in seen:
            raise InputError(
                f"{path}: two frames of segment {segment} lie in one plane; expected one; split "
                "the segmentation by time point"
            )
        seen.add((segment, k))
        for number, places, shares in _found(slab, form, segment, path):
            if not 0 <= k < grid.shape[2]:
                beyond.add(number)
                continue
            j, i = np.divmod(places, grid.shape[0])
            voxels[number].append(((i * grid.shape[1] + j) * grid.shape[2] + k, shares))
            spent += places.size
        check_cover(spent, grid, path)
    names, repeated = unique_names([form.names[number] for number in numbers])
    flags = [{"duplicate_name"} if again else set() for again in repeated]
    for row, number in enumerate(numbers):
        flags[row] |= {"partly_outside"} if number in beyond else set()
        flags[row] |= set() if voxels[number] else {"empty_region"}
    return Regions(
        weights=_rows([voxels[number] for number in numbers], grid.size),
        names=names,
        kinds=("organ",) * len(names),
        grid=grid,
        flags=tuple(tuple(sorted(found)) for found in flags),
        source=f"{Path(path).name}: DICOM segmentation, {form.kind.lower()}",
    )


def _found(
    slab: np.ndarray, form: Layout, segment: int, path: Path
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Of each segment in a frame: its number, places in row-major order, and shares 0..1."""
    flat = np.asarray(slab).ravel()
    places = np.flatnonzero(flat)
    stored = flat[places]
    if form.kind == "LABELMAP":
        unknown = set(np.unique(stored).tolist()) - set(form.names)
        if unknown:
            raise InputError(
                f"{path}: a label map holds {min(unknown)}, which SegmentSequence (0062,0002) "
                "does not describe; export it again"
            )
        return [
            (int(number), places[stored == number], np.ones(int((stored == number).sum())))
            for number in np.unique(stored)
        ]
    if places.size and stored.max() > form.largest:
        raise InputError(
            f"{path}: a pixel of segment {segment} is {stored.max()}; expected at most "
            f"{form.largest:g}"
        )
    return [(segment, places, stored / form.largest)] if places.size else []


def _rows(
    voxels: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]], size: int
) -> sparse.csr_matrix:
    """Sparse rows (region, voxel) from lists of places and shares."""
    columns = [places for row in voxels for places, _ in row]
    shares = [share for row in voxels for _, share in row]
    lengths = [sum(places.size for places, _ in row) for row in voxels]
    entries = (
        np.concatenate([*shares, np.zeros(0)]),
        (
            np.repeat(np.arange(len(voxels)), lengths),
            np.concatenate([*columns, np.zeros(0, dtype=np.int64)]),
        ),
    )
    matrix: sparse.csr_matrix = sparse.csr_matrix(entries, shape=(len(voxels), size))
    return matrix


def write_seg(path: Path, regions: Regions, source_headers: Sequence[Dataset]) -> None:
    """Write regions as a segmentation of the image whose slices the headers describe.

    The regions must lie on that image's grid. Binary where every weight is 0 or 1, else fractional
    (occupancy, in steps of 1/255). Identifiers depend on the content only; the date is the series'
    own, or the study's.
    """
    with refusing(path, "set of headers to refer to"):
        sources = slice_headers(regions.grid, source_headers)
        _check_plane(regions.grid, sources[0])
        used = np.unique(np.flatnonzero(regions.weights.getnnz(axis=0)) % regions.grid.shape[2])
        if not len(regions.names) or not used.size:
            raise InputError(f"{path}: the regions hold no voxel; expected something to write")
        headers = [_source(sources[k], regions.grid, k) for k in used]
        segmentation = _segmentation(regions, used, headers)
        _without_clock(segmentation, headers[0])
        segmentation.save_as(path, enforce_file_format=True)


def _check_plane(grid: Grid, header: Dataset) -> None:
    """Refuse headers whose pixels are not those of the grid."""
    cosines = np.array(required(header, "ImageOrientationPatient"), dtype=float).reshape(2, 3)
    spacing = np.array(required(header, "PixelSpacing"), dtype=float)[::-1]
    size = (int(required(header, "Columns")), int(required(header, "Rows")))
    steps = (cosines * FLIP * spacing[:, None]).T
    stray = np.abs(steps - grid.affine[:3, :2]) @ np.array(size) / grid.spacing[:2].min()
    if size != grid.shape[:2] or stray.max() > SAME_PLACE:
        raise InputError(
            f"source headers: {size[0]} columns and {size[1]} rows in steps {steps.T.ravel()} mm; "
            f"the regions are on {grid.shape[:2]} in steps {grid.affine[:3, :2].T.ravel()}; "
            "expected the image that the regions are on"
        )


def _source(header: Dataset, grid: Grid, k: int) -> Dataset:
    """What a segmentation refers to, with one spelling of the plane for all slices.

    Real series spell the same direction with different digits, and lack empty attributes.
    """
    from pydicom.dataset import Dataset

    source = Dataset()
    copy_patient_and_study(header, source)
    if source.PatientSex not in ("M", "F", "O"):
        source.PatientSex = ""
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
                    "Modality"):  # fmt: skip
        setattr(source, keyword, required(header, keyword))
    source.Columns, source.Rows = grid.shape[:2]
    cosines = (grid.affine[:3, :2] / grid.spacing[:2]).T * FLIP
    place = grid.world(np.array([0.0, 0.0, float(k)])) * FLIP
    # Adding zero turns a negative zero, which would print as "-0", into zero.
    source.ImageOrientationPatient = [decimal_text(x) for x in cosines.ravel() + 0.0]
    source.ImagePositionPatient = [decimal_text(x) for x in place + 0.0]
    source.PixelSpacing = [decimal_text(grid.spacing[axis]) for axis in (1, 0)]
    source.SliceThickness = decimal_text(grid.spacing[2])
    return source


def _segmentation(regions: Regions, used: np.ndarray, headers: Sequence[Dataset]) -> Any:
    """The object, with identifiers made from the weights, the names and the slices."""
    import highdicom

    weights = regions.weights.sorted_indices()
    binary = bool((weights.data == 1).all())
    names = regions.names
    check_budget(
        len(names) * len(used) * regions.grid.shape[0] * regions.grid.shape[1] * 4,
        "segmentation",
        "its frames",
    )
    masks = [regions.mask(name)[:, :, used].transpose(2, 1, 0) for name in names]
    array = np.stack([mask.astype(np.uint8 if binary else np.float32) for mask in masks], axis=-1)
    content: tuple[str | bytes, ...] = (
        *(part.tobytes() for part in (weights.indptr, weights.indices, weights.data)),
        *names, *regions.kinds, *(str(header.SOPInstanceUID) for header in headers),
    )  # fmt: skip
    spacing = regions.grid.spacing
    normal = np.cross(*regions.grid.affine[:3, :2].T)
    between = abs(float(regions.grid.affine[:3, 2] @ normal)) / float(np.linalg.norm(normal))
    return highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=array,
        segmentation_type="BINARY" if binary else "FRACTIONAL",
        fractional_type="OCCUPANCY",
        max_fractional_value=STEPS,
        segment_descriptions=[
            _description(number, name, kind)
            for number, (name, kind) in enumerate(zip(names, regions.kinds, strict=True), start=1)
        ],
        series_instance_uid=content_uid("segmentation series", *content),
        series_number=1,
        sop_instance_uid=content_uid("segmentation", *content),
        instance_number=1,
        manufacturer="igdd",
        manufacturer_model_name="igdd",
        software_versions=version("igdd"),
        device_serial_number="1",
        content_label="REGIONS",
        pixel_measures=highdicom.PixelMeasuresSequence(
            pixel_spacing=(float(spacing[1]), float(spacing[0])),
            slice_thickness=float(spacing[2]),
            spacing_between_slices=between,
        ),
        specific_character_set="ISO_IR 192",
    )


def _description(number: int, name: str, kind: str) -> Any:
    """A segment under its region's own name; what kind of thing it is in SNOMED CT."""
    from highdicom.seg import SegmentDescription
    from pydicom.sr.coding import Code

    category, what = MEANING.get(kind, TISSUE)
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=Code(category[0], "SCT", category[1]),
        segmented_property_type=Code(what[0], "SCT", what[1]),
        algorithm_type="MANUAL",
    )


def _without_clock(segmentation: Any, header: Dataset) -> None:
    """Replace what the library took from the clock and from chance, so that bytes repeat.

    Content date and time are compulsory: the study's, or else the calendar's first day.
    """
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in segmentation:
            delattr(segmentation, keyword)
    segmentation.ContentDate = header.StudyDate or "19000101"
    segmentation.ContentTime = header.StudyTime or "000000"
    for item in segmentation.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in item:
            del item.ContributionDateTime
    dimensions = content_uid("dimensions", str(segmentation.SOPInstanceUID))
    for item in segmentation.DimensionOrganizationSequence:
        item.DimensionOrganizationUID = dimensions
    for item in segmentation.DimensionIndexSequence:
        item.DimensionOrganizationUID = dimensions


READERS = (
    Reader(
        name="dicom_seg",
        gives="regions",
        sniff=sniff,
        read=read,
        help="DICOM segmentation: binary, fractional or label map, overlaps included",
        reference="DICOM PS3.3 A.51, C.8.20",
    ),
)
