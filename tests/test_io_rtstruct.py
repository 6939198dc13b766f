"""Structure sets: volumes against analytic truth and reference masks; hostile files fail."""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pydicom import Dataset, dcmread

from conftest_dicom import (
    FLIP,
    deep_sequence,
    grid_of,
    image_headers,
    mutated,
    read_headers,
    tilted,
)
from igdd.errors import InputError
from igdd.io import rtstruct
from igdd.io.dicom_object import COVER, ENTRY
from igdd.io.outlines import Outline, traced
from igdd.io.regions import from_masks
from igdd.types import Grid

PLAIN = Grid(shape=(40, 36, 12), affine=np.diag([2.0, 2.0, 3.0, 1.0]))
# Contours are written to 1e-4 mm: an outline of 100 mm strays by at most 0.01 mm2 of 500.
WRITTEN = 2e-5


def circle(grid: Grid, k: float, radius: float, centre=(19.3, 17.8), points: int = 90):
    """A circle of a radius in mm about a place in indices, in the plane k of a grid."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    turn = np.column_stack([np.cos(angle), np.sin(angle)]) * radius / grid.spacing[:2]
    return grid.world(np.column_stack([turn + centre, np.full(points, k)]))


def area(radius: float, points: int = 90) -> float:
    """Area in mm2 of a regular polygon inside a circle."""
    return points / 2 * radius**2 * np.sin(2 * np.pi / points)


def written(folder: Path, grid: Grid, **contours: list[np.ndarray]) -> Path:
    path = folder / "rtstruct.dcm"
    outlines = [Outline(name=name, contours=tuple(points)) for name, points in contours.items()]
    rtstruct.write_rtstruct(path, outlines, image_headers(grid))
    return path


def changed(path: Path, change) -> Path:
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("grid", [PLAIN, tilted()], ids=["upright", "tilted"])
def test_a_contour_on_a_slice_has_its_area_times_the_slices_thickness(tmp_path: Path, grid: Grid):
    centre = (np.array(grid.shape[:2]) - 1) / 2
    path = written(tmp_path, grid, liver=[circle(grid, k, 5.0, centre) for k in (2, 3, 4)])
    assert rtstruct.sniff(path)
    found = rtstruct.read(path, grid)
    assert found.names == ("liver",)
    assert found.flags == ((),)
    assert_allclose(found.volume[0], 3 * area(5.0) * grid.spacing[2] / 1000, rtol=WRITTEN)
    assert (found.mask("liver").sum(axis=(0, 1)) > 0).tolist() == [
        k in (2, 3, 4) for k in range(grid.shape[2])
    ]


def test_weights_are_shares_of_pixels(tmp_path: Path):
    square = np.array([[10.25, 10, 3], [10.25, 12, 3], [13, 12, 3], [13, 10, 3]], dtype=float)
    found = rtstruct.read(written(tmp_path, PLAIN, box=[PLAIN.world(square)]), PLAIN)
    across = [0.25, 1, 1, 0.5]
    along = [0.5, 1, 0.5]
    # A coordinate is off by at most 5e-5 mm of a 2 mm pixel.
    assert_allclose(found.mask("box")[10:14, 10:13, 3], np.outer(across, along), atol=1e-4, rtol=0)


def test_a_contour_inside_another_is_a_hole_and_so_is_a_keyhole(tmp_path: Path):
    outer, inner = circle(PLAIN, 3, 24.0), circle(PLAIN, 3, 9.0)
    keyhole = np.vstack([outer, outer[:1], inner[::-1], inner[-1:]])
    path = written(tmp_path, PLAIN, ring=[outer, inner], keyhole=[keyhole])
    found = rtstruct.read(path, PLAIN)
    expected = (area(24.0) - area(9.0)) * 3 / 1000
    assert_allclose(found.volume, [expected, expected], rtol=WRITTEN)
    assert_allclose(found.mask("ring"), found.mask("keyhole"), atol=1e-4)


@pytest.mark.parametrize("spacing", [4.0, 1.0, 2.5])
def test_planes_of_another_spacing_are_slabs_of_their_own_thickness(tmp_path: Path, spacing):
    places = (12.4 + spacing * np.arange(4)) / 3.0
    path = written(tmp_path, PLAIN, lesion=[circle(PLAIN, k, 15.0) for k in places])
    found = rtstruct.read(path, PLAIN)
    assert found.flags == (("resampled",),)
    assert_allclose(found.volume[0], 4 * spacing * area(15.0) / 1000, rtol=WRITTEN)
    inside = found.mask("lesion")[19, 18]
    slab = np.clip(
        np.minimum(np.arange(12) + 0.5, places[-1] + spacing / 6)
        - np.maximum(np.arange(12) - 0.5, places[0] - spacing / 6), 0, 1,
    )  # fmt: skip
    assert_allclose(inside, slab, atol=1e-6)  # the weight along a line through the middle


def test_a_region_outlined_on_every_second_slice_fills_the_slices_between(tmp_path: Path):
    path = written(tmp_path, PLAIN, liver=[circle(PLAIN, k, 15.0) for k in (3, 5, 7)])
    found = rtstruct.read(path, PLAIN)
    assert_allclose(found.mask("liver")[19, 18, 2:9], [0.5, 1, 1, 1, 1, 1, 0.5])


def test_skipped_slices_stay_empty_and_are_flagged(tmp_path: Path):
    path = written(
        tmp_path,
        PLAIN,
        liver=[circle(PLAIN, k, 25.0) for k in range(1, 9)],
        lesions=[circle(PLAIN, k, 9.0) for k in (2, 3, 7)],
    )
    found = rtstruct.read(path, PLAIN)
    assert found.flags == ((), ("contour_gap",))
    assert_allclose(found.mask("lesions")[19, 18], [0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0])


def test_two_lone_slices_far_apart_are_two_slices(tmp_path: Path):
    path = written(tmp_path, PLAIN, lesions=[circle(PLAIN, k, 9.0) for k in (2, 9)])
    found = rtstruct.read(path, PLAIN)
    assert found.flags == (("contour_gap",),)
    assert_allclose(found.volume[0], 2 * area(9.0) * 3 / 1000, rtol=WRITTEN)


def test_what_lies_outside_is_cut_off_and_flagged(tmp_path: Path):
    path = written(
        tmp_path,
        PLAIN,
        side=[circle(PLAIN, 3, 10.0, centre=(-0.5, 17.8))],
        below=[circle(PLAIN, k, 10.0) for k in (-1, 0, 1)],
        away=[circle(PLAIN, 3, 10.0, centre=(300, 17.8))],
    )
    found = rtstruct.read(path, PLAIN)
    assert found.flags == (
        ("partly_outside",), ("partly_outside",), ("empty_region", "partly_outside"),
    )  # fmt: skip
    assert_allclose(found.volume, [area(10.0) * 1.5e-3, area(10.0) * 6e-3, 0], rtol=WRITTEN)


def test_points_and_open_contours_enclose_nothing(tmp_path: Path):
    def open_up(dataset: Dataset) -> None:
        first, second = dataset.ROIContourSequence[0].ContourSequence
        first.ContourGeometricType = "OPEN_PLANAR"
        second.ContourGeometricType = "POINT"

    path = written(
        tmp_path, PLAIN, a=[circle(PLAIN, k, 9.0) for k in (2, 3)], b=[circle(PLAIN, 2, 9.0)]
    )
    found = rtstruct.read(changed(path, open_up), PLAIN)
    assert found.flags == (("empty_region",), ())


def test_a_contour_of_two_points_leaves_the_region_empty(tmp_path: Path):
    path = written(tmp_path, PLAIN, dot=[circle(PLAIN, 3, 9.0)[:1], circle(PLAIN, 4, 9.0)[:2]])
    assert rtstruct.read(path, PLAIN).flags == (("empty_region",),)


def test_a_name_that_stands_twice_gets_a_number(tmp_path: Path):
    def rename(dataset: Dataset) -> None:
        for item in dataset.StructureSetROISequence:
            item.ROIName = "GTV"

    path = written(tmp_path, PLAIN, a=[circle(PLAIN, 3, 9.0)], b=[circle(PLAIN, 3, 5.0)])
    found = rtstruct.read(changed(path, rename), PLAIN)
    assert found.names == ("GTV", "GTV_2")
    assert found.flags == ((), ("duplicate_name",))


def test_a_region_that_was_named_but_not_drawn_is_empty(tmp_path: Path):
    path = written(tmp_path, PLAIN, a=[circle(PLAIN, 3, 9.0)], b=[])
    changed(path, lambda dataset: dataset.ROIContourSequence.pop())
    assert rtstruct.read(path, PLAIN).flags == ((), ("empty_region",))


def test_contours_across_the_slices_are_refused(tmp_path: Path):
    upright = circle(PLAIN, 3, 9.0)[:, [0, 2, 1]]
    with pytest.raises(InputError, match=r"leaves its slice.*0\.1 degrees"):
        rtstruct.read(written(tmp_path, PLAIN, sagittal=[upright]), PLAIN)


def test_a_region_keeps_its_volume_through_its_outlines(tmp_path: Path):
    place = np.indices(PLAIN.shape) - np.reshape([20, 17, 6], (3, 1, 1, 1))
    distance = np.sqrt(((place * np.reshape(PLAIN.spacing, (3, 1, 1, 1))) ** 2).sum(axis=0))
    soft = np.clip((13.0 - distance) / 2.0 + 0.5, 0, 1)
    regions = from_masks([soft, (distance < 13).astype(float)], ["soft", "hard"], PLAIN)
    path = tmp_path / "rt.dcm"
    rtstruct.write_rtstruct(path, regions, image_headers(PLAIN))
    found = rtstruct.read(path, PLAIN)
    assert found.names == ("soft", "hard")
    # Straight lines between pixel centres cut the corners of a ball of 6 pixels' radius: 2 %.
    assert_allclose(found.volume, regions.volume, rtol=0.02)


def test_a_hole_is_traced_as_a_contour_of_its_own():
    mask = np.zeros(PLAIN.shape)
    mask[5:20, 5:20, 4] = 1
    mask[9:14, 9:14, 4] = 0
    assert len(traced(from_masks([mask], ["ring"], PLAIN))[0].contours) == 2


def test_the_file_refers_to_its_slices_and_repeats_byte_by_byte(tmp_path: Path):
    path = written(tmp_path, PLAIN, liver=[circle(PLAIN, k, 9.0) for k in (2, 3)])
    dataset = dcmread(path)
    contours = dataset.ROIContourSequence[0].ContourSequence
    referred = [c.ContourImageSequence[0].ReferencedSOPInstanceUID for c in contours]
    assert referred == ["1.2.3.1.3", "1.2.3.1.4"]
    assert dataset.StudyInstanceUID == "1.2.3"
    assert dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID == "1.2.3.9"
    first = path.read_bytes()
    assert written(tmp_path, PLAIN, liver=[circle(PLAIN, k, 9.0) for k in (2, 3)]) == path
    assert path.read_bytes() == first


def test_the_ct_phantom_has_the_volume_of_its_mask(reference):
    folder = reference("radiomics/ibsi1/ct_phantom")
    grid = grid_of(read_headers(folder / "dicom/image"))
    found = rtstruct.read(folder / "dicom/mask/DCM_RS_00060.dcm", grid)
    image = nibabel.load(folder / "nifti/mask.nii.gz")
    mask = np.asarray(image.dataobj) > 0
    assert found.names == ("GTV-1",)
    assert found.flags == ((),)
    # The line's own requirement is 1 %; a mask of 125,256 voxels by their centres is this close.
    assert_allclose(found.volume[0], mask.sum() * grid.voxel_volume, rtol=1e-3)
    weights = found.mask("GTV-1")
    both = ((weights >= 0.5) & mask).sum()
    assert 2 * both / ((weights >= 0.5).sum() + mask.sum()) > 0.999  # same place, not only size


def test_the_suv_objects_have_the_volume_of_their_contours(reference, tmp_path: Path):
    # Their mask is another region: 18 slices of a disc of 60 pixels, where the contours are drawn
    # by hand on 16 slices, within it. So the truth is the contours' area by the shoelace rule.
    with zipfile.ZipFile(reference("pet/ibsi_suv_dro/DRO_0_0.zip")) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "DRO_0_0"
    grid = grid_of(read_headers(folder / "PT"))
    path = next((folder / "RS").iterdir())
    found = rtstruct.read(path, grid)
    total = 0.0
    for contour in dcmread(path).ROIContourSequence[0].ContourSequence:
        x, y, _ = np.array(contour.ContourData, float).reshape(-1, 3).T
        total += abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    assert found.names == ("region_1",)
    assert_allclose(found.volume[0], total * grid.spacing[2] / 1000, rtol=1e-6)
    mask = np.asarray(nibabel.load(folder / "mask/DRO_mask.nii.gz").dataobj) > 0
    weights = found.mask("region_1")
    assert (weights[~mask].sum()) / weights.sum() < 0.01  # drawn by hand within the mask


def corrupt(keyword: str, value):
    def change(dataset: Dataset) -> None:
        setattr(dataset.ROIContourSequence[0].ContourSequence[0], keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (corrupt("NumberOfContourPoints", 10**9), "1000000000"),
        (corrupt("ContourData", ["1", "2", "3", "4"]), "4 numbers"),
        (corrupt("ContourData", ["1e300"] * 270), "no place"),
        (lambda d: setattr(d.ROIContourSequence[0], "ReferencedROINumber", 7), "ROI number 7"),
        (lambda d: delattr(d, "StructureSetROISequence"), "StructureSetROISequence"),
        (lambda d: delattr(d.ROIContourSequence[0], "ReferencedROINumber"), "ReferencedROINumber"),
    ],
)
def test_a_structure_set_that_contradicts_itself_is_refused(tmp_path: Path, change, message: str):
    path = changed(written(tmp_path, PLAIN, liver=[circle(PLAIN, 3, 9.0)]), change)
    start = time.process_time()
    with pytest.raises(InputError, match=message):
        rtstruct.read(path, PLAIN)
    assert time.process_time() - start < 1  # the project's bound on hostile input


@pytest.mark.parametrize("text", [b"nan", b"inf", b"abc", b"   "])
def test_a_coordinate_that_is_no_number_is_refused(tmp_path: Path, text: bytes):
    path = written(tmp_path, PLAIN, liver=[circle(PLAIN, 3, 9.0)])
    content = path.read_bytes()
    first = f"{(circle(PLAIN, 3, 9.0) * FLIP)[0, 0]:.4f}".encode()
    assert first in content
    path.write_bytes(content.replace(first, text.ljust(len(first)), 1))
    with pytest.raises(InputError, match=r"rtstruct\.dcm"):
        rtstruct.read(path, PLAIN)


def test_other_objects_are_refused(reference):
    path = reference("images/seg_sr/ct3slice_liver.dcm")
    assert not rtstruct.sniff(path)
    with pytest.raises(InputError, match="MediaStorageSOPClassUID"):
        rtstruct.read(path, PLAIN)


@pytest.mark.parametrize("explicit", [True, False])
def test_deep_nesting_is_refused_quickly(tmp_path: Path, explicit: bool):
    path = tmp_path / "deep.dcm"
    path.write_bytes(deep_sequence(rtstruct.RT_STRUCTURE_SET, 10_000, explicit))
    start = time.process_time()
    with pytest.raises(InputError, match=r"deep\.dcm"):
        rtstruct.read(path, PLAIN)
    assert time.process_time() - start < 1


def test_a_file_that_is_cut_short_is_refused_unless_all_contours_are_there(tmp_path: Path):
    path = written(tmp_path, PLAIN, liver=[circle(PLAIN, 3, 9.0, points=8)])
    content = path.read_bytes()
    whole = rtstruct.read(path, PLAIN).volume
    refused = 0
    for end in range(0, len(content), 3):
        path.write_bytes(content[:end])
        try:
            assert_allclose(rtstruct.read(path, PLAIN).volume, whole)
        except InputError:
            refused += 1
    # Nothing stands behind the contours but the observations, of some hundred bytes.
    assert refused > 0.9 * len(range(0, len(content), 3))


@pytest.fixture(scope="module")
def sound_bytes(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("rt")
    rings = [circle(PLAIN, k, 9.0, points=12) for k in (2, 3, 4)]
    return written(folder, PLAIN, liver=rings, lesion=rings[:2]).read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), cut=st.booleans())
def test_mutated_files_raise_nothing_but_our_own_error(sound_bytes, tmp_path, seed: int, cut: bool):
    path = tmp_path / "mutated.dcm"
    path.write_bytes(mutated(sound_bytes, seed, cut))
    try:
        found = rtstruct.read(path, PLAIN)
    except InputError:
        return
    assert found.grid.equals(PLAIN)


def test_contours_that_cover_the_image_again_and_again_are_refused_in_time(tmp_path: Path):
    grid = Grid(shape=(400, 400, 20), affine=np.eye(4))
    corners = np.array([[-0.5, -0.5, 3], [-0.5, 399.5, 3], [399.5, 399.5, 3], [399.5, -0.5, 3]])
    path = written(tmp_path, grid, **{f"r{n}": [grid.world(corners)] for n in range(200)})
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(InputError, match="more than 4 times"):
        rtstruct.read(path, grid)
    spent, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < 3  # honest work on 13 million weights: the bound grows with the image
    assert peak < COVER * grid.size * ENTRY * 2
