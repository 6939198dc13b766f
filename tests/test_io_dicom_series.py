"""DICOM series: order by geometry and time, scale per slice, and refusal of what is not sound."""

from __future__ import annotations

import random
import resource
import shutil
import struct
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless, RLELossless

from igdd.errors import InputError
from igdd.io.dicom_series import READERS, crop, describe, headers, read, sniff
from pet_objects import pet_slice, save, write_dynamic, write_volume

GENERATOR = np.random.default_rng(5)


def stored(*shape: int) -> np.ndarray:
    return GENERATOR.integers(-300, 3000, shape).astype(np.int16)


def test_slices_are_ordered_by_position_and_not_by_name(tmp_path):
    values = stored(5, 4, 6)
    (series,) = read(write_volume(tmp_path, values))
    np.testing.assert_array_equal(series.values[..., 0], values)
    positions = [float(header.ImagePositionPatient[2]) for header in series.headers]
    assert positions == sorted(positions)


def test_geometry_is_ras_and_columns_are_i(tmp_path):
    (series,) = read(write_volume(tmp_path, stored(5, 4, 3)))
    # PixelSpacing is (row, column): 3 mm between rows (j), 2 mm between columns (i).
    expected = np.array([[-2, 0, 0, 10], [0, -3, 0, 20], [0, 0, 4, 0], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(series.grid.affine, expected, atol=1e-9)
    assert series.values.shape == (5, 4, 3, 1)
    assert series.values.dtype == np.float32


def test_k_ascends_along_row_times_column(tmp_path):
    values = stored(3, 3, 4)
    flipped = ["1", "0", "0", "0", "-1", "0"]  # row x column points down
    (series,) = read(write_volume(tmp_path, values, ImageOrientationPatient=flipped))
    np.testing.assert_array_equal(series.values[..., 0], values[:, :, ::-1])
    assert series.grid.affine[2, 2] == pytest.approx(-4.0)


def test_every_slice_has_its_own_slope(tmp_path):
    values = stored(3, 2, 3)
    for k, slope in enumerate((0.5, 2.0, 7.25)):
        one = pet_slice(values[:, :, k].T, 4.0 * k, RescaleSlope=str(slope))
        save(one, tmp_path / f"{k}.dcm")
    (series,) = read(tmp_path)
    np.testing.assert_array_equal(series.values[..., 0], values * np.array([0.5, 2.0, 7.25]))


def test_dynamic_frames_follow_acquisition_time(tmp_path):
    values = stored(3, 4, 5, 6)
    (series,) = read(write_dynamic(tmp_path, values))
    np.testing.assert_array_equal(series.values, values)
    times = [header.AcquisitionTime for header in series.headers]
    assert times == sorted(times)  # frame by frame
    assert series.flags == ()


def test_beds_of_one_whole_body_scan_are_one_frame(tmp_path):
    values = stored(3, 3, 6)
    for k in range(6):
        bed = {"AcquisitionTime": f"12{3 * (k // 3):02d}00", "FrameReferenceTime": f"{k // 3}"}
        save(pet_slice(values[:, :, k].T, 4.0 * k, **bed), tmp_path / f"{k}.dcm")
    (series,) = read(tmp_path)
    assert series.values.shape == (3, 3, 6, 1)


def test_a_missing_slice_is_named(tmp_path):
    write_volume(tmp_path, stored(3, 3, 7))
    gone = next(p for p in tmp_path.iterdir() if dcmread(p).ImagePositionPatient[2] == 12)
    gone.unlink()
    with pytest.raises(InputError, match=r"missing slice between .* 8 mm apart where others are 4"):
        read(tmp_path)


def test_a_slice_missing_from_one_frame_is_named(tmp_path):
    write_dynamic(tmp_path, stored(3, 3, 4, 3))
    next(iter(sorted(tmp_path.iterdir()))).unlink()
    with pytest.raises(InputError, match="another number of slices"):
        read(tmp_path)


def test_gaps_that_even_out_are_found_by_time(tmp_path):
    write_dynamic(tmp_path, stored(3, 3, 2, 3))
    for path in list(tmp_path.iterdir()):
        if path.name.endswith(("_00", "_21")):  # first frame of one slice, last of the other
            path.unlink()
    with pytest.raises(InputError, match="a slice is missing from one of them"):
        read(tmp_path)


def test_an_identical_duplicate_is_used_once_and_flagged(tmp_path):
    values = stored(3, 3, 4)
    write_volume(tmp_path, values)
    shutil.copy(sorted(tmp_path.iterdir())[1], tmp_path / "copy.dcm")
    (series,) = read(tmp_path)
    np.testing.assert_array_equal(series.values[..., 0], values)
    assert series.flags == ("duplicate_slice",)


def test_a_second_slice_with_other_content_is_refused(tmp_path):
    values = stored(3, 3, 4)
    write_volume(tmp_path, values)
    save(pet_slice(values[:, :, 1].T + 1, 4.0), tmp_path / "other.dcm")
    with pytest.raises(InputError, match=r"same position .* but differ"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ImageOrientationPatient": ["0", "1", "0", "1", "0", "0"]}, "ImageOrientationPatient"),
        ({"PixelSpacing": ["3", "3"]}, "PixelSpacing"),
        ({"Units": "GML"}, "Units"),
        ({"CorrectedImage": ["NORM", "DECY"]}, "CorrectedImage"),
        ({"FrameOfReferenceUID": "1.2.8"}, "FrameOfReferenceUID"),
    ],
)
def test_mixed_series_name_the_tag_and_the_files(tmp_path, change, named):
    write_volume(tmp_path, stored(3, 3, 3))
    save(pet_slice(stored(3, 3), 12.0, **change), tmp_path / "strange.dcm")
    with pytest.raises(InputError, match=rf"{named} .*strange\.dcm"):
        read(tmp_path)


def test_slices_of_other_size_in_one_series_are_refused(tmp_path):
    write_volume(tmp_path, stored(3, 3, 3))
    save(pet_slice(stored(5, 4), 12.0), tmp_path / "large.dcm")
    with pytest.raises(InputError, match="Rows"):
        read(tmp_path)


@pytest.mark.parametrize(("shift", "flagged"), [(0.02, True), (0.001, False)])
def test_small_irregularity_is_flagged_and_rounding_is_not(tmp_path, shift, flagged):
    for k, position in enumerate((0.0, 4.0, 8.0 + shift, 12.0)):
        save(pet_slice(stored(3, 3), position), tmp_path / f"{k}.dcm")
    (series,) = read(tmp_path)
    assert ("spacing_irregular" in series.flags) is flagged


def test_fewer_slices_than_declared_are_flagged(tmp_path):
    (series,) = read(write_volume(tmp_path, stored(3, 3, 4), NumberOfSlices=5))
    assert series.flags == ("slices_missing",)


def test_every_other_slice_missing_is_flagged(tmp_path):
    (series,) = read(write_volume(tmp_path, stored(3, 3, 4), spacing=8.0))  # 4 mm thick
    assert series.flags == ("slices_missing",)


def test_series_in_one_folder_are_kept_apart_and_other_objects_passed(tmp_path):
    write_volume(tmp_path / "a" / "deep", stored(3, 3, 3), SeriesInstanceUID="1.2.1")
    write_volume(tmp_path / "b", stored(4, 4, 2), SeriesInstanceUID="1.2.2")
    structure = pet_slice(stored(2, 2), 0.0, Modality="RTSTRUCT", SeriesInstanceUID="1.2.3")
    structure.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    del structure.PixelData
    save(structure, tmp_path / "structure.dcm")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").touch()
    assert [one.values.shape for one in read(tmp_path)] == [(3, 3, 3, 1), (4, 4, 2, 1)]
    assert [one.values.shape for one in read(tmp_path, series="1.2.2")] == [(4, 4, 2, 1)]
    assert [row["modality"] for row in describe(tmp_path)] == ["PT", "PT", "RTSTRUCT"]


def test_headers_hold_no_pixels(tmp_path):
    (series,) = read(write_dynamic(tmp_path, stored(3, 3, 2, 2)))
    assert len(series.headers) == 4
    assert not any("PixelData" in header for header in series.headers)


@pytest.mark.parametrize("content", [None, b"text"])
def test_a_folder_without_dicom_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / "a.dcm").write_bytes(content)
    assert not sniff(tmp_path)
    with pytest.raises(InputError, match="no PET, CT or MR slice in DICOM found"):
        read(tmp_path)


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_slices_give_the_same_values(tmp_path, syntax):
    values = np.abs(stored(16, 12, 3))
    for k in range(3):
        one = pet_slice(values[:, :, k].T, 4.0 * k, PixelRepresentation=0)
        one.compress(syntax)
        save(one, tmp_path / f"{k}.dcm")
    (series,) = read(tmp_path)
    np.testing.assert_array_equal(series.values[..., 0], values)


def jpeg_lossless(path: Path) -> None:
    """Compress a file in place as hospital archives do, by the one library that can."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.fixture
def lossless(tmp_path) -> tuple[Path, np.ndarray]:
    values = np.abs(stored(16, 12, 3))
    write_volume(tmp_path, values, PixelRepresentation=0)
    for path in tmp_path.iterdir():
        jpeg_lossless(path)
    return tmp_path, values


def test_jpeg_lossless_of_archives_gives_the_same_values(lossless):
    folder, values = lossless
    assert dcmread(next(folder.iterdir())).file_meta.TransferSyntaxUID.name.startswith("JPEG Loss")
    (series,) = read(folder)
    np.testing.assert_array_equal(series.values[..., 0], values)


@pytest.mark.parametrize("place", [30, 60, 90, 120])
def test_a_broken_stream_cannot_end_the_process(lossless, place):
    """GDCM ends its process on some streams; that must be an error that names the file."""
    folder, _ = lossless
    path = min(folder.iterdir())
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xd8\xff") + place
    content[start : start + 40] = GENERATOR.bytes(40)
    path.write_bytes(bytes(content))
    try:
        (series,) = read(folder)
    except InputError as error:
        message = str(error)
    else:  # entropy-coded bytes may be broken and still decode
        message = series.files[0]
    assert path.name in message


def test_a_stream_of_another_size_is_refused_before_it_is_decoded(lossless):
    folder, _ = lossless
    path = min(folder.iterdir())
    size = struct.pack(">2H", 12, 16)
    assert size in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(size, struct.pack(">2H", 60000, 60000), 1))
    with pytest.raises(InputError, match=r"60000 x 60000, the header's 12 x 16"):
        read(folder)


def test_big_endian_slices_give_the_same_values(tmp_path):
    values = stored(5, 4, 2)
    for k in range(2):
        one = pet_slice(values[:, :, k].T, 4.0 * k)
        one.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        one.preamble = bytes(128)
        one.PixelData = values[:, :, k].T.astype(">i2").tobytes()
        one["PixelData"].VR = "OW"
        one.save_as(tmp_path / f"{k}", implicit_vr=False, little_endian=False)
    (series,) = read(tmp_path)
    np.testing.assert_array_equal(series.values[..., 0], values)


def test_unused_high_bits_do_not_count(tmp_path):
    values = np.abs(stored(4, 4, 1))  # below 4096
    one = pet_slice(values[:, :, 0].T | 0x4000, 0.0, BitsStored=12, HighBit=11)
    save(one, tmp_path / "a.dcm")
    (series,) = read(tmp_path)
    signed = np.where(values > 2047, values - 4096, values)
    np.testing.assert_array_equal(series.values[..., 0], signed)


def test_a_file_without_preamble_is_read(tmp_path):
    path = save(pet_slice(stored(3, 3), 0.0), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[132:])
    (series,) = read(path)
    assert series.values.shape == (3, 3, 1, 1)


def test_crop_keeps_the_voxels_whose_centres_lie_in_the_box(tmp_path):
    values = stored(6, 5, 4, 2)
    (series,) = read(write_dynamic(tmp_path, values))
    part = crop(series, (3.0, 10.0, 3.0), (9.0, 18.0, 9.0))  # RAS: x = 10 - 2 i, y = 20 - 3 j
    np.testing.assert_array_equal(part.values, values[1:4, 1:4, 1:3])
    np.testing.assert_allclose(part.grid.world(np.zeros(3)), series.grid.world(np.array([1, 1, 1])))
    assert len(part.headers) == 4
    assert {header.ImagePositionPatient[2] for header in part.headers} == {4, 8}


def test_two_animals_are_split_without_loss(tmp_path):
    values = stored(8, 4, 3)
    (series,) = read(write_volume(tmp_path, values))
    halves = [crop(series, (x, -99, -99), (x + 8, 99, 99)) for x in (-5.0, 3.0)]
    assert sum(part.values.sum(dtype=float) for part in halves) == values.sum()


def test_a_box_beside_the_image_is_refused(tmp_path):
    (series,) = read(write_volume(tmp_path, stored(3, 3, 3)))
    with pytest.raises(InputError, match="no voxel lies in the box"):
        crop(series, (500, 500, 500), (600, 600, 600))
    with pytest.raises(InputError, match="lower < upper"):
        crop(series, (0, 0, 0), (0, 1, 1))


def test_describe_reads_no_pixels_and_says_what_is_wrong(tmp_path):
    write_volume(tmp_path, stored(3, 3, 7), PatientWeight="61")
    (row,) = describe(tmp_path)
    assert (row["frames"], row["shape"], row["units"]) == (1, (3, 3, 7), "BQML")
    assert row["problem"] is None
    next(p for p in tmp_path.iterdir() if dcmread(p).ImagePositionPatient[2] == 12).unlink()
    (row,) = describe(tmp_path)
    assert "missing slice" in row["problem"]
    assert len(headers(tmp_path)["1.2.3.4"]) == 6


# Real scanners


@pytest.mark.reference
@pytest.mark.parametrize("name", ["nema_iq_recon1", "nema_iq_recon2"])
def test_the_nema_phantom_without_numbers_or_units_is_read(reference, name):
    (series,) = read(reference(f"images/pet/{name}"))
    assert series.values.shape == (192, 192, 89, 1)
    np.testing.assert_allclose(series.grid.spacing, [2.08333, 2.08333, 2.78], atol=1e-4)
    heights = [float(header.ImagePositionPatient[2]) for header in series.headers]
    assert heights == sorted(heights)
    middle = series.headers[44]
    plain = dcmread(
        next(
            path
            for path in reference(f"images/pet/{name}").iterdir()
            if dcmread(path, stop_before_pixels=True).SOPInstanceUID == middle.SOPInstanceUID
        )
    )
    expected = plain.pixel_array.T * np.float32(plain.RescaleSlope)
    np.testing.assert_array_equal(series.values[:, :, 44, 0], expected)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("folder", "modality", "shape"),
    [
        ("ct/ge_lightspeed_3slice", "CT", (512, 512, 3, 1)),
        ("mr/ge_mr750_epi_4d", "MR", (64, 64, 15, 10)),
        ("mr/adc_prostate_20slices", "MR", (256, 256, 20, 1)),
    ],
)
def test_volumes_of_other_modalities_are_read(reference, folder, modality, shape):
    (series,) = read(reference(f"images/{folder}"))
    assert (series.modality, series.values.shape) == (modality, shape)


@pytest.mark.reference
def test_an_oblique_series_agrees_with_its_own_positions(reference):
    (series,) = read(reference("images/mr/adc_prostate_20slices"))
    for k, header in enumerate(series.headers):
        x, y, z = (float(part) for part in header.ImagePositionPatient)
        corner = series.grid.world(np.array([0, 0, k]))
        np.testing.assert_allclose(corner, [-x, -y, z], atol=0.03)  # 1 % of the 3 mm spacing


@pytest.mark.reference
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("images/ct/enhanced_ct_2frame.dcm", "Enhanced CT is not read yet"),
        ("images/mr/siemens_skyra_mosaic", "mosaic"),
    ],
)
def test_forms_that_are_not_read_yet_say_so(reference, path, reason):
    with pytest.raises(InputError, match=reason):
        read(reference(path))


# Hostile files


def deep(levels: int, undefined: bool) -> bytes:
    """A sequence (0040,A730) nested so deep, in explicit little endian."""
    if undefined:
        start = struct.pack("<HH2s2xL", 0x40, 0xA730, b"SQ", 0xFFFFFFFF)
        start += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
        end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
        return start * levels + end * levels
    content = bytearray()
    size = 0
    for _ in range(levels):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, size)
        content[:0] = struct.pack("<HH2s2xL", 0x40, 0xA730, b"SQ", size + 8) + item
        size = len(content)
    return bytes(content)


def with_insertion(path: Path, inserted: bytes) -> bytes:
    """A file's bytes with an element put before its pixels."""
    content = path.read_bytes()
    place = content.index(struct.pack("<HH2s", 0x54, 0x16, b"SQ"))
    return content[:place] + inserted + content[place:]


def claimed_gigabytes(path: Path) -> bytes:
    """A file that claims 65535 x 65535 pixels."""
    content = path.read_bytes()
    for element, old in ((0x10, 6), (0x11, 5)):
        head = struct.pack("<HH2sH", 0x28, element, b"US", 2)
        content = content.replace(head + struct.pack("<H", old), head + b"\xff\xff")
    return content


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: with_insertion(path, deep(10_000, undefined=True)),
        lambda path: with_insertion(path, deep(10_000, undefined=False)),
        claimed_gigabytes,
        lambda path: path.read_bytes()[:-10],
        lambda path: path.read_bytes()[:300],
        lambda path: path.read_bytes()[:140],
        lambda path: path.read_bytes()[:128] + b"DICM" + b"\xff" * 500,
        lambda path: path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"),
    ],
)
def test_hostile_files_are_refused_quickly_and_in_little_memory(tmp_path, harm):
    path = save(pet_slice(stored(5, 6).T, 0.0), tmp_path / "good.dcm")
    content = harm(path)
    path.unlink()
    (tmp_path / "bad.dcm").write_bytes(content)
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(InputError):
        read(tmp_path)
    assert time.perf_counter() - begun < 1.0  # the bound, s
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # kB


def test_a_broken_header_is_named_with_its_file(tmp_path):
    path = save(pet_slice(stored(3, 3), 0.0), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"-10\\-20\\", b"-10\\-2x\\"))
    with pytest.raises(InputError, match=r"ImagePositionPatient \(0020,0032\)"):
        read(path)


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("sound")
    return save(pet_slice(stored(4, 4), 0.0), folder / "a.dcm").read_bytes()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 12), cut=st.booleans())
@example(seed=1, changes=1, cut=True)
def test_mutated_files_give_only_own_errors(sound_file, tmp_path, seed, changes, cut):
    """Any bytes changed, put in or cut off: a Series, or an InputError, and no warning leaks."""
    generator = random.Random(seed)
    content = bytearray(sound_file)
    for _ in range(changes):
        place = generator.randrange(128, len(content))
        harm = generator.randrange(3)
        if harm == 0:
            content[place] = generator.randrange(256)
        elif harm == 1:
            content[place : place + generator.randrange(1, 9)] = generator.randbytes(4)
        else:
            content[place:place] = generator.randbytes(generator.randrange(1, 9))
    if cut:
        content = content[: generator.randrange(1, len(content))]
    (tmp_path / "a.dcm").write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for attempt in (read, describe, sniff, headers):
            try:
                attempt(tmp_path)
            except InputError:
                continue


def test_the_reader_is_declared():
    (reader,) = READERS
    assert (reader.gives, reader.read) == ("series", read)
