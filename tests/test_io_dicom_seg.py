"""Segmentations: what is written is read back, by us and by highdicom; hostile files fail."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless

from conftest_dicom import deep_sequence, grid_of, image_headers, mutated, read_headers, tilted
from igdd.errors import InputError
from igdd.io import dicom_seg, rtstruct
from igdd.io.regions import from_masks
from igdd.types import Grid, Regions

PLAIN = Grid(shape=(9, 8, 6), affine=np.diag([2.0, 2.0, 3.0, 1.0]))


def some_regions(grid: Grid, fractional: bool = False) -> Regions:
    first, second = np.zeros(grid.shape), np.zeros(grid.shape)
    first[2:7, 1:5, 1:4] = 1
    second[5:8, 3:7, 3:5] = 1
    if fractional:
        second[5, 3:7, 3] = 0.37
    return from_masks([first, second], ["liver", "lesion 1"], grid)


def written(folder: Path, regions: Regions) -> Path:
    path = folder / "seg.dcm"
    dicom_seg.write_seg(path, regions, image_headers(regions.grid))
    return path


@pytest.mark.parametrize("grid", [PLAIN, tilted()], ids=["upright", "tilted"])
@pytest.mark.parametrize("fractional", [False, True])
def test_regions_come_back_as_they_were_written(tmp_path: Path, grid: Grid, fractional: bool):
    regions = some_regions(grid, fractional)
    path = written(tmp_path, regions)
    assert dicom_seg.sniff(path)
    found = dicom_seg.read(path, grid)
    assert found.names == ("liver", "lesion 1")
    assert found.flags == ((), ())
    # Fractions are written in steps of 1/255, hence rounded by half of that.
    assert abs(found.weights - regions.weights).max() <= (0.5 / 255 + 1e-12 if fractional else 0)


def test_the_order_of_the_headers_does_not_matter_and_frames_after_the_first_are_ignored(tmp_path):
    regions = some_regions(PLAIN)
    headers = image_headers(PLAIN)
    dicom_seg.write_seg(tmp_path / "a.dcm", regions, headers)
    dicom_seg.write_seg(tmp_path / "b.dcm", regions, headers[::-1])
    dicom_seg.write_seg(
        tmp_path / "c.dcm", regions, headers + image_headers(PLAIN, series="1.2.3.2")
    )
    contents = {(tmp_path / name).read_bytes() for name in ("a.dcm", "b.dcm", "c.dcm")}
    assert len(contents) == 1


def test_the_bytes_depend_on_the_content_only(tmp_path: Path):
    first = written(tmp_path, some_regions(PLAIN)).read_bytes()
    time.sleep(0.01)  # the library's own stamps count microseconds
    assert written(tmp_path, some_regions(PLAIN)).read_bytes() == first
    assert written(tmp_path, some_regions(PLAIN, fractional=True)).read_bytes() != first


@pytest.mark.parametrize("fractional", [False, True])
def test_highdicom_reads_the_same_volume(tmp_path: Path, fractional: bool):
    import highdicom

    regions = some_regions(PLAIN, fractional)
    found = highdicom.seg.segread(written(tmp_path, regions))
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["liver", "lesion 1"]
    volume = found.get_volume(combine_segments=False)
    sums = volume.array.sum(axis=(0, 1, 2)) * np.prod(volume.spacing) / 1000
    assert_allclose(sums, regions.volume, rtol=0.5 / 255)


def test_orientations_that_differ_in_their_last_digits_are_one_plane(tmp_path: Path):
    headers = image_headers(PLAIN)
    headers[2].ImageOrientationPatient = [-1, 0.00001, 0, -0.00001, -1, 0]
    dicom_seg.write_seg(tmp_path / "seg.dcm", some_regions(PLAIN), headers)
    assert dicom_seg.read(tmp_path / "seg.dcm", PLAIN).flags == ((), ())


def test_headers_without_empty_attributes_are_enough(tmp_path: Path):
    headers = image_headers(PLAIN)
    for header in headers:
        for keyword in ("AccessionNumber", "PatientName", "StudyDate", "ReferringPhysicianName"):
            delattr(header, keyword)
    dicom_seg.write_seg(tmp_path / "seg.dcm", some_regions(PLAIN), headers)
    assert dcmread(tmp_path / "seg.dcm").AccessionNumber == ""


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "FrameOfReferenceUID", "StudyInstanceUID",
                                     "ImagePositionPatient", "PixelSpacing"])  # fmt: skip
def test_a_header_that_lacks_what_is_needed_is_named(tmp_path: Path, keyword: str):
    headers = image_headers(PLAIN)
    for header in headers:
        delattr(header, keyword)
    with pytest.raises(InputError, match=keyword):
        dicom_seg.write_seg(tmp_path / "seg.dcm", some_regions(PLAIN), headers)


def test_headers_of_another_image_are_refused(tmp_path: Path):
    other = Grid(shape=PLAIN.shape, affine=np.diag([2.0, 2.1, 3.0, 1.0]))
    with pytest.raises(InputError, match="image that the regions are on"):
        dicom_seg.write_seg(tmp_path / "seg.dcm", some_regions(PLAIN), image_headers(other))
    with pytest.raises(InputError, match="slice 5"):
        dicom_seg.write_seg(tmp_path / "seg.dcm", some_regions(PLAIN), image_headers(PLAIN)[:5])


def test_regions_without_a_voxel_are_not_written(tmp_path: Path):
    empty = from_masks([np.zeros(PLAIN.shape)], ["nothing"], PLAIN)
    with pytest.raises(InputError, match="no voxel"):
        dicom_seg.write_seg(tmp_path / "seg.dcm", empty, image_headers(PLAIN))


def test_a_segment_without_frames_is_an_empty_region(tmp_path: Path):
    regions = some_regions(PLAIN)
    both = from_masks([regions.mask("liver"), np.zeros(PLAIN.shape)], ["liver", "none"], PLAIN)
    found = dicom_seg.read(written(tmp_path, both), PLAIN)
    assert found.flags == ((), ("empty_region",))
    assert found.volume[1] == 0


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def test_a_label_that_stands_twice_gets_a_number(tmp_path: Path):
    def rename(dataset: Dataset) -> None:
        dataset.SegmentSequence[1].SegmentLabel = "liver"

    found = dicom_seg.read(changed(written(tmp_path, some_regions(PLAIN)), rename), PLAIN)
    assert found.names == ("liver", "liver_2")
    assert found.flags == ((), ("duplicate_name",))


def test_a_label_map_gives_its_labels(tmp_path: Path):
    import highdicom

    regions = some_regions(PLAIN)
    apart = np.where(regions.mask("lesion 1") > 0, 2, regions.mask("liver")).astype(np.uint8)
    source = dcmread(written(tmp_path, regions))
    descriptions = [highdicom.seg.SegmentDescription.from_dataset(item)
                    for item in source.SegmentSequence]  # fmt: skip
    headers = image_headers(PLAIN)
    highdicom.seg.Segmentation(
        headers, apart.transpose(2, 1, 0), "LABELMAP", descriptions, "1.2.3", 1, "1.2.4", 1,
        "m", "n", "1", "1",
    ).save_as(tmp_path / "map.dcm")  # fmt: skip
    found = dicom_seg.read(tmp_path / "map.dcm", PLAIN)
    assert found.names == ("liver", "lesion 1")
    assert_allclose(found.mask("liver"), apart == 1)
    assert_allclose(found.mask("lesion 1"), apart == 2)


def test_run_length_encoding_changes_nothing(tmp_path: Path):
    regions = some_regions(PLAIN, fractional=True)
    path = written(tmp_path, regions)
    plain = dicom_seg.read(path, PLAIN)
    changed(path, lambda dataset: dataset.compress(RLELossless, generate_instance_uid=False))
    assert abs(dicom_seg.read(path, PLAIN).weights - plain.weights).max() == 0


def test_another_field_of_view_on_the_same_lattice_is_exact(tmp_path: Path):
    regions = some_regions(PLAIN)
    moved = PLAIN.affine.copy()
    moved[:3, 3] = PLAIN.world(np.array([1.0, 1.0, 0.0]))
    larger = Grid(shape=(12, 7, 8), affine=moved)
    found = dicom_seg.read(written(tmp_path, regions), larger)
    assert_allclose(found.volume, regions.volume)
    assert found.flags == ((), ())
    assert_allclose(found.mask("liver")[1:6, 0:4, 1:4], 1)


def test_a_coarser_image_keeps_the_volume_and_says_resampled(tmp_path: Path):
    coarse = Grid(shape=(7, 7, 6), affine=np.array([[3.1, 0, 0, -1], [0, 2.9, 0, -1],
                                                    [0, 0, 4.3, -1], [0, 0, 0, 1]]))  # fmt: skip
    regions = some_regions(PLAIN)
    found = dicom_seg.read(written(tmp_path, regions), coarse)
    assert_allclose(found.volume, regions.volume, rtol=1e-9)  # overlap of boxes is exact
    assert all("resampled" in flags for flags in found.flags)


def test_slices_beyond_the_image_are_cut_off_and_flagged(tmp_path: Path):
    shorter = Grid(shape=(9, 8, 4), affine=PLAIN.affine)
    found = dicom_seg.read(written(tmp_path, some_regions(PLAIN)), shorter)
    assert found.flags == ((), ("partly_outside",))
    assert_allclose(found.volume, [60 * 0.012, 12 * 0.012])  # voxels of 2 x 2 x 3 mm


def test_the_ct_phantom_written_from_its_contours_keeps_its_volume(reference, tmp_path: Path):
    folder = reference("radiomics/ibsi1/ct_phantom")
    headers = read_headers(folder / "dicom/image")
    grid = grid_of(headers)
    drawn = rtstruct.read(folder / "dicom/mask/DCM_RS_00060.dcm", grid)
    dicom_seg.write_seg(tmp_path / "seg.dcm", drawn, headers)
    found = dicom_seg.read(tmp_path / "seg.dcm", grid)
    mask = nibabel.load(folder / "nifti/mask.nii.gz")
    voxels = float(np.asarray(mask.dataobj).sum()) * grid.voxel_volume
    assert found.names == ("GTV-1",)
    # The line's own requirement: contours, mask and segmentation agree within 1 %.
    assert_allclose(found.volume[0], voxels, rtol=0.01)
    assert_allclose(found.volume, drawn.volume, rtol=1e-4)  # steps of 1/255, unbiased


SOUND = {
    "ct3slice_liver.dcm": 1, "ct3slice_partial_overlaps.dcm": 5, "qin_headneck_pet_seg.dcm": 1,
    "highdicom/seg_image_ct_binary.dcm": 1, "highdicom/seg_image_ct_binary_fractional.dcm": 1,
    "highdicom/seg_image_ct_binary_overlap.dcm": 2,
    "highdicom/seg_image_ct_binary_single_frame.dcm": 1,
    "highdicom/seg_image_ct_true_fractional.dcm": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_real_segmentations_have_the_volume_of_their_pixels(reference, name: str):
    path = reference("images/seg_sr") / name
    dataset = dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    places = np.array([group.PlanePositionSequence[0].ImagePositionPatient
                       for group in dataset.PerFrameFunctionalGroupsSequence], float)  # fmt: skip
    heights = np.unique((places @ np.cross(cosines[:3], cosines[3:])).round(2))
    count, between = 1, float(measures.SliceThickness)
    if len(heights) > 1:
        count = int(np.rint(np.ptp(heights) / np.diff(heights).min())) + 1
        between = np.ptp(heights) / (count - 1)
    # The image: the same plane, slices from the lowest frame up.
    axes = cosines.reshape(2, 3) * [-1, -1, 1]
    affine = np.eye(4)
    affine[:3, :2] = (axes * np.array(measures.PixelSpacing, float)[::-1, None]).T
    affine[:3, 2] = np.cross(*axes) * between
    lowest = places[np.argmin(places @ np.cross(cosines[:3], cosines[3:]))]
    affine[:3, 3] = lowest * [-1, -1, 1]
    grid = Grid(shape=(dataset.Columns, dataset.Rows, count), affine=affine)
    found = dicom_seg.read(path, grid)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns).astype(float)
    pixels /= float(dataset.get("MaximumFractionalValue", 1))
    assert len(found.names) == SOUND[name]
    assert_allclose(found.volume.sum(), pixels.sum() * grid.voxel_volume, rtol=1e-9)
    assert found.weights.nnz > 0
    assert not any("resampled" in flags for flags in found.flags)


def test_slides_projections_and_other_objects_are_refused(reference):
    folder = reference("images/seg_sr")
    others = [path for path in sorted(folder.rglob("*.dcm"))
              if str(path.relative_to(folder)) not in SOUND]  # fmt: skip
    assert len(others) >= 10
    for path in others:
        with pytest.raises(InputError, match=path.name):
            dicom_seg.read(path, PLAIN)


def set_positions(dataset: Dataset, places: list[float]) -> None:
    for group, place in zip(dataset.PerFrameFunctionalGroupsSequence, places, strict=False):
        group.PlanePositionSequence[0].ImagePositionPatient = [0, 0, place]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: setattr(d, "NumberOfFrames", 2**30), "cut short"),
        (lambda d: setattr(d, "Rows", 65535), "cut short|pixels in a frame"),
        (lambda d: (setattr(d, "Rows", 65535), setattr(d, "Columns", 65535)), "pixels in a frame"),
        (lambda d: setattr(d, "Rows", 0), "pixels in a frame"),
        (lambda d: setattr(d, "NumberOfFrames", 3), "PerFrameFunctionalGroups"),
        (lambda d: delattr(d, "PixelData"), "PixelData"),
        (lambda d: delattr(d, "SegmentSequence"), "SegmentSequence"),
        (lambda d: setattr(d, "SegmentationType", "GUESS"), "SegmentationType"),
        (lambda d: setattr(d, "BitsAllocated", 16), "bits"),
        (lambda d: delattr(d, "MaximumFractionalValue"), "MaximumFractionalValue"),
        (lambda d: setattr(d, "MaximumFractionalValue", 3), "at most 3"),
        (lambda d: d.SegmentSequence.pop(), "segment 2"),
        (lambda d: set_positions(d, [0.0, 1.0, 2.37]), "multiples"),
        (lambda d: set_positions(d, [3.0, 3.0, 3.0]), "one plane"),
        (lambda d: set_positions(d, [0.0, 0.5, 9e4]), "multiples|slices"),
    ],
)
def test_a_segmentation_that_contradicts_itself_is_refused(tmp_path: Path, change, message: str):
    path = written(tmp_path, some_regions(PLAIN, fractional=True))
    changed(path, change)
    start = time.process_time()
    with pytest.raises(InputError, match=message):
        dicom_seg.read(path, PLAIN)
    assert time.process_time() - start < 1  # the project's bound on hostile input


@pytest.mark.parametrize("explicit", [True, False])
def test_deep_nesting_is_refused_quickly(tmp_path: Path, explicit: bool):
    path = tmp_path / "deep.dcm"
    path.write_bytes(deep_sequence(dicom_seg.SEGMENTATION, 10_000, explicit))
    start = time.process_time()
    with pytest.raises(InputError, match=r"deep\.dcm"):
        dicom_seg.read(path, PLAIN)
    assert time.process_time() - start < 1


def test_a_deflated_bomb_stops_at_the_limit(tmp_path: Path):
    head = deep_sequence(dicom_seg.SEGMENTATION, 0, True).replace(
        b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    )
    # The transfer syntax is longer by two bytes: its own length, and the group's.
    place = head.index(b"\x02\0\x10\0UI") + 6
    head = head[:place] + b"\x16\0" + head[place + 2 :]
    length = int.from_bytes(head[140:144], "little") + 2
    head = head[:140] + length.to_bytes(4, "little") + head[144 : 144 + length]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(squeezer.compress(bytes(2**20)) for _ in range(400)) + squeezer.flush()
    path = tmp_path / "bomb.dcm"
    path.write_bytes(head + bomb)
    assert dicom_seg.sniff(path)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(InputError, match="inflates to more"):
        dicom_seg.read(path, PLAIN)
    spent, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < 1
    assert peak < 200e6


@pytest.mark.parametrize("content", [b"", b"x" * 131, bytes(128) + b"DICM", bytes(5000)])
def test_what_is_no_dicom_file_is_not_sniffed_and_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "no.dcm"
    path.write_bytes(content)
    assert not dicom_seg.sniff(path)
    with pytest.raises(InputError, match=r"no\.dcm"):
        dicom_seg.read(path, PLAIN)
    assert not dicom_seg.sniff(tmp_path)
    assert not dicom_seg.sniff(tmp_path / "missing")


@pytest.fixture(scope="module")
def sound_bytes(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("seg")
    return written(folder, some_regions(PLAIN, fractional=True)).read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), cut=st.booleans())
def test_mutated_files_raise_nothing_but_our_own_error(sound_bytes, tmp_path, seed: int, cut: bool):
    path = tmp_path / "mutated.dcm"
    path.write_bytes(mutated(sound_bytes, seed, cut))
    try:
        found = dicom_seg.read(path, PLAIN)
    except InputError:
        return
    assert found.grid.equals(PLAIN)
