"""Time-activity curves without a study: analytic means, units, and a table that reads back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io import tac_table
from igdd.io.bids import write_label_map, write_nifti
from igdd.io.dicom_series import read
from igdd.stages.tacs import tacs, tsv, write
from igdd.types import Grid
from pet_objects import write_dynamic, write_volume

GRID = Grid(shape=(6, 5, 4), affine=np.diag([2.0, 2.0, 3.0, 1.0]))
START, DURATION = [0.0, 60.0, 180.0], [60.0, 120.0, 300.0]
NAMES = {1: "liver", 2: "lesion (left)"}


def igdd(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "igdd", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def labels() -> np.ndarray:
    """Two boxes of 8 and 6 voxels."""
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[:2, :2, :2], drawn[3:5, 2:5, 3] = 1, 2
    return drawn


def dynamic() -> np.ndarray:
    """Values that vary over space and time, some below zero, exact in single precision."""
    place = np.arange(GRID.size).reshape(GRID.shape) - 60.0
    return np.stack([place, 2 * place + 1, 128 - place], axis=-1)


def truth(values: np.ndarray, label: int) -> np.ndarray:
    return values[labels() == label].mean(axis=0)


def bids(folder: Path, values: np.ndarray, **changes: object) -> tuple[Path, Path]:
    """A PET image with its sidecar, and a label map."""
    sidecar = {
        "Modality": "PT", "Units": "kBq/mL", "FrameTimesStart": START, "FrameDuration": DURATION,
    }  # fmt: skip
    facts = {key: value for key, value in (sidecar | changes).items() if value is not None}
    image = folder / "sub-01_pet.nii.gz"
    write_nifti(image, values, GRID, facts)
    drawn = folder / "sub-01_dseg.nii.gz"
    write_label_map(drawn, labels(), GRID, NAMES)
    return image, drawn


def test_a_nifti_with_its_sidecar_gives_the_mean_of_each_region_in_each_frame(tmp_path):
    found = tacs(*bids(tmp_path, dynamic()))
    assert found["unit"] == "kBq/mL"
    assert found["frame_start"] == START
    assert found["frame_end"] == [60.0, 180.0, 480.0]
    assert list(found["regions"]) == ["liver", "lesion (left)"]
    for label, name in NAMES.items():
        # Means of whole numbers that single precision holds exactly.
        np.testing.assert_allclose(found["regions"][name], truth(dynamic(), label), rtol=1e-12)
    assert found["volume_ml"]["liver"] == pytest.approx(8 * 12 / 1000)
    assert found["flags"] == []


def test_a_dynamic_series_of_dicom_gives_the_same(tmp_path):
    stored = np.rint(dynamic()).astype(int)
    series = write_dynamic(tmp_path / "pet", stored, seconds=90.0)
    grid = read(series)[0].grid
    write_label_map(tmp_path / "drawn_dseg.nii.gz", labels(), grid, NAMES)
    found = tacs(series, tmp_path / "drawn_dseg.nii.gz")
    assert found["unit"] == "Bq/mL"
    assert found["frame_start"] == [0.0, 90.0, 180.0]
    assert found["frame_end"] == [90.0, 180.0, 270.0]
    np.testing.assert_allclose(found["regions"]["liver"], truth(stored, 1), rtol=1e-12)


def test_a_frame_of_several_beds_lasts_from_the_first_to_the_last(tmp_path):
    for bed in range(2):
        changes = {"AcquisitionTime": f"12{5 * bed:02d}00", "ActualFrameDuration": 300_000}
        values = np.full((4, 4, 3), 5)
        write_volume(tmp_path / "pet" / str(bed), values, **changes)
        for k, file in enumerate(sorted((tmp_path / "pet" / str(bed)).iterdir())):
            _move(file, 12.0 * bed + 4.0 * k)
    grid = read(tmp_path / "pet")[0].grid
    write_label_map(tmp_path / "x_dseg.nii.gz", np.ones(grid.shape, np.uint8), grid, {1: "all"})
    found = tacs(tmp_path / "pet", tmp_path / "x_dseg.nii.gz")
    assert (found["frame_start"], found["frame_end"]) == ([0.0], [600.0])


def _move(file: Path, position: float) -> None:
    from pydicom import dcmread

    header = dcmread(file)
    header.ImagePositionPatient = ["-10", "-20", f"{position:g}"]
    header.save_as(file, enforce_file_format=True)


def _name_nuclide(file: Path) -> None:
    from pydicom import Dataset, dcmread

    header, code = dcmread(file), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-111A1", "SRT", "^18^Fluorine"
    header.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence = [code]
    header.save_as(file, enforce_file_format=True)


def test_fractional_shares_weigh_the_mean(tmp_path):
    image, _ = bids(tmp_path, dynamic())
    weights = np.zeros(GRID.shape)
    weights[0, 0, 0], weights[1, 0, 0] = 1.0, 0.25
    write_nifti(tmp_path / "part_probseg.nii.gz", weights, GRID)
    found = tacs(image, tmp_path / "part_probseg.nii.gz")
    values = dynamic()
    expected = (values[0, 0, 0] + 0.25 * values[1, 0, 0]) / 1.25
    (curve,) = found["regions"].values()
    np.testing.assert_allclose(curve, expected, rtol=1e-6)  # shares are stored in 32 bit


def test_voxels_without_a_value_are_left_out_and_flagged(tmp_path):
    values = dynamic()
    values[0, 0, 0, 1] = np.nan
    found = tacs(*bids(tmp_path, values))
    expected = np.nanmean(values[labels() == 1], axis=0)
    np.testing.assert_allclose(found["regions"]["liver"], expected, rtol=1e-12)
    assert found["flags"] == ["nan_voxels"]


def test_a_region_outside_is_nan_and_flagged(tmp_path):
    image, _ = bids(tmp_path, dynamic())
    affine = GRID.affine.copy()
    affine[0, 3] = 500.0
    far = tmp_path / "far_dseg.nii.gz"
    write_label_map(far, labels(), Grid(shape=GRID.shape, affine=affine), NAMES)
    found = tacs(image, far)
    assert np.isnan(found["regions"]["liver"]).all()
    assert "empty_region" in found["flags"]
    assert "n/a" in tsv(found)


def test_an_image_without_a_unit_needs_one(tmp_path):
    image, drawn = bids(tmp_path, dynamic(), Units=None)
    with pytest.raises(InputError, match="--unit"):
        tacs(image, drawn)
    assert tacs(image, drawn, "Bq/ml")["unit"] == "Bq/mL"
    with pytest.raises(UnitsError):
        tacs(image, drawn, "parsec")


def test_a_unit_that_contradicts_the_file_is_refused(tmp_path):
    image, drawn = bids(tmp_path, dynamic())
    with pytest.raises(InputError, match="kBq/mL"):
        tacs(image, drawn, "Bq/mL")
    assert tacs(image, drawn, "kBq/cc")["unit"] == "kBq/mL"


@pytest.mark.parametrize("missing", ["FrameTimesStart", "FrameDuration"])
def test_frames_without_times_are_refused(tmp_path, missing):
    with pytest.raises(InputError, match=missing):
        tacs(*bids(tmp_path, dynamic(), **{missing: None}))


def test_the_table_reads_back_as_the_same_curves(tmp_path):
    values = dynamic() / 7
    image, drawn = bids(tmp_path, values)
    out = tmp_path / "sub-01_tacs.tsv"
    done = igdd("tacs", image, drawn, "--out", out)
    assert done.returncode == 0, done.stderr
    found = tacs(image, drawn)
    curves = tac_table.read(out)
    assert curves.names == ("liver", "lesion (left)")
    assert curves.frames.start.tolist() == found["frame_start"]
    assert curves.frames.end.tolist() == found["frame_end"]
    # The reader's factor of 1000 from kBq/mL rounds once.
    expected = 1000 * np.array(list(found["regions"].values()))
    np.testing.assert_allclose(curves.values, expected, rtol=1e-15)


def test_the_table_says_how_far_its_values_were_corrected_for_decay(tmp_path):
    said = {"TracerRadionuclide": "F18", "ImageDecayCorrected": True,
            "ImageDecayCorrectionTime": -60}  # fmt: skip
    write(tacs(*bids(tmp_path, dynamic(), **said)), tmp_path / "x_tacs.tsv")
    found = tac_table.read(tmp_path / "x_tacs.tsv").decay
    assert (found.nuclide, found.corrected_to) == ("F-18", -60.0)
    series = write_dynamic(tmp_path / "pet", np.rint(dynamic()).astype(int), seconds=90.0)
    for file in series.iterdir():
        _name_nuclide(file)
    write_label_map(tmp_path / "drawn_dseg.nii.gz", labels(), read(series)[0].grid, NAMES)
    write(tacs(series, tmp_path / "drawn_dseg.nii.gz"), tmp_path / "y_tacs.tsv")
    found = tac_table.read(tmp_path / "y_tacs.tsv").decay
    # corrected to the scan's start, which is the first frame's
    assert (found.nuclide, found.corrected_to) == ("F-18", 0.0)


def test_the_table_counts_from_the_injection_where_the_image_does(tmp_path):
    write(tacs(*bids(tmp_path, dynamic(), InjectionStart=0)), tmp_path / "x_tacs.tsv")
    assert tac_table.read(tmp_path / "x_tacs.tsv").frames.zero.kind == "administration"


def test_nothing_is_overwritten(tmp_path):
    image, drawn = bids(tmp_path, dynamic())
    for name in ("a.tsv", "b.json"):
        (tmp_path / name).write_text("precious")
    for out in ("a.tsv", "b.tsv"):
        done = igdd("tacs", image, drawn, "--out", tmp_path / out)
        assert done.returncode == 2
        assert "nothing is overwritten" in done.stderr
    assert (tmp_path / "a.tsv").read_text() == "precious"
    assert not (tmp_path / "b.tsv").exists()


def test_json_and_table_go_to_the_screen_without_out(tmp_path):
    image, drawn = bids(tmp_path, dynamic())
    found = json.loads(igdd("tacs", image, drawn, "--json").stdout)
    assert found["regions"]["liver"] == pytest.approx(truth(dynamic(), 1).tolist())
    lines = igdd("tacs", image, drawn).stdout.splitlines()
    assert lines[0].split("\t") == ["frame_start", "frame_end", "liver", "lesion (left)[kBq/mL]"]
    assert len(lines) == 4


def test_names_that_a_table_cannot_hold_are_refused(tmp_path):
    image, _ = bids(tmp_path, dynamic())
    drawn = tmp_path / "odd_dseg.nii.gz"
    write_label_map(drawn, labels(), GRID, {1: "weights", 2: "b"})
    with pytest.raises(IgddError, match="weights"):
        write(tacs(image, drawn), tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_a_folder_of_several_series_lists_them(tmp_path):
    write_volume(tmp_path / "a", np.ones((3, 3, 2)), SeriesDescription="early")
    write_volume(tmp_path / "b", np.ones((3, 3, 2)), SeriesInstanceUID="1.2.77")
    with pytest.raises(InputError, match=r"2 series.*early"):
        tacs(tmp_path, tmp_path / "none.nii.gz")
