"""SUV of a series without a study: the IBSI objects, one series of several, masks, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset

from igdd.errors import InputError
from igdd.io.bids import write_label_map
from igdd.io.dicom_series import read
from igdd.stages.suv import suv, text
from igdd.types import Grid
from pet_objects import save, write_volume

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
OBJECTS = (
    "0_0", "1_0", "2_0", "2_1", "2_3", "2_4", "2_5", "3_1", "3_2", "3_3", "3_4", "4_0", "4_1",
)  # fmt: skip
# Half the last digit that the set prints; 2_3 stores SUVbsa in steps of 0.01, which costs 0.023.
TOLERANCE = {"2_3": 0.025}
# 70 kg, 350 MBq given an hour of F-18 before the start to which the values are corrected.
FACTOR = 70_000 / (350e6 * 0.5 ** (3600 / 6586.2))


def unpacked(reference, name: str, tmp_path: Path) -> Path:
    with zipfile.ZipFile(reference(f"pet/ibsi_suv_dro/DRO_{name}.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path / f"DRO_{name}"


def igdd(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "igdd", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def volume(shape=(4, 5, 3)) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape) * 100 - 500


def label_map(path: Path, series: Path, labels: np.ndarray, shift: float = 0.0) -> Path:
    """Labels on the grid of a series, moved by a part of a voxel along i."""
    grid = read(series)[0].grid
    affine = grid.affine.copy()
    affine[:3, 3] += shift * affine[:3, 0]
    names = {int(n): f"part_{n}" for n in np.unique(labels) if n}
    write_label_map(path, labels.astype(np.uint8), Grid(shape=grid.shape, affine=affine), names)
    return path


@pytest.mark.reference
@pytest.mark.parametrize("name", OBJECTS)
def test_ibsi_objects_give_the_consensus_in_their_mask(reference, tmp_path, name):
    folder = unpacked(reference, name, tmp_path)
    found = suv(folder / "PT", next((folder / "mask").glob("*.nii.gz")))
    tolerance = TOLERANCE.get(name, 0.005)
    assert found["suvbw"]["min"] == pytest.approx(0.20, abs=tolerance)
    assert found["suvbw"]["median"] == pytest.approx(1.00, abs=tolerance)
    assert found["suvbw"]["max"] == pytest.approx(4.00, abs=tolerance)
    assert all(type(value) is float for value in found["alternatives"].values())


@pytest.mark.reference
@pytest.mark.integration
def test_a_folder_with_a_structure_set_gives_its_one_series_as_json(reference, tmp_path):
    folder = unpacked(reference, "0_0", tmp_path)
    done = igdd("suv", folder, "--mask", next((folder / "RS").glob("*.dcm")), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"suvbw", "rule", "alternatives", "flags"} <= found.keys()
    assert found["suvbw"]["median"] == pytest.approx(1.0, abs=0.005)  # IBSI, as above


def test_everywhere_is_every_voxel_times_its_slice_s_factor(tmp_path):
    values = volume()
    found = suv(write_volume(tmp_path / "pet", values))["suvbw"]
    assert found["min"] == pytest.approx(-500 * FACTOR, rel=1e-6)  # single precision
    assert found["max"] == pytest.approx(values.max() * FACTOR, rel=1e-6)
    assert found["median"] == pytest.approx(np.median(values) * FACTOR, rel=1e-6)
    assert found["mean"] == pytest.approx(values.mean() * FACTOR, rel=1e-6)
    assert found["volume_ml"] == pytest.approx(values.size * 2 * 3 * 4 / 1000)


def test_several_regions_are_told_one_by_one_and_together(tmp_path):
    values = volume()
    series = write_volume(tmp_path / "pet", values)
    labels = np.zeros(values.shape, int)
    labels[1, 2, 0], labels[2, 2, 1:] = 1, 2
    found = suv(series, label_map(tmp_path / "two_dseg.nii.gz", series, labels))
    assert found["regions"]["part_1"]["max"] == pytest.approx(values[1, 2, 0] * FACTOR, rel=1e-6)
    both = values[labels > 0] * FACTOR
    assert found["suvbw"]["median"] == pytest.approx(np.median(both), rel=1e-6)
    assert "part_2" in text(found)


def test_a_region_without_a_voxel_is_nan_and_flagged_while_others_stand(tmp_path):
    values = volume((6, 5, 3))
    series = write_volume(tmp_path / "pet", values)
    labels = np.zeros(values.shape, int)
    labels[0, 0, 0], labels[3:5, 2:4, 1] = 1, 2
    # Moved by 0.6 voxel, part 1 covers 0.4 of one voxel and no more than 0.6 of the next ...
    mask = label_map(tmp_path / "moved_dseg.nii.gz", series, labels, shift=-0.6)
    found = suv(series, mask)
    assert np.isnan(found["regions"]["part_1"]["median"])
    assert np.isfinite(found["regions"]["part_2"]["median"])
    assert {"resampled", "empty_region"} <= set(found["flags"])
    shown = igdd("suv", series, "--mask", mask, "--json")
    assert json.loads(shown.stdout)["regions"]["part_1"]["median"] is None


def test_a_mask_that_misses_the_image_is_an_error(tmp_path):
    values = volume()
    series = write_volume(tmp_path / "pet", values)
    mask = label_map(tmp_path / "far_dseg.nii.gz", series, np.ones(values.shape, int), shift=50)
    with pytest.raises(InputError, match=r"far_dseg.*overlaps"):
        suv(series, mask)


def two_series(folder: Path) -> Path:
    write_volume(folder / "a", volume(), SeriesDescription="corrected", SeriesNumber="7")
    changes = {"SeriesInstanceUID": "1.2.3.5", "SeriesDescription": "late"}
    write_volume(folder / "b", volume() * 2, **changes)
    return folder


def test_several_series_are_listed_and_one_is_asked_for(tmp_path):
    done = igdd("suv", two_series(tmp_path))
    assert done.returncode == 2
    assert "--series" in done.stderr
    assert "corrected" in done.stderr
    assert "late" in done.stderr
    found = suv(tmp_path, wanted="late")
    assert found["suvbw"]["max"] == pytest.approx(volume().max() * 2 * FACTOR, rel=1e-6)


def test_other_series_of_the_folder_are_not_read(tmp_path):
    write_volume(tmp_path / "pet", volume())
    write_volume(tmp_path / "ct", volume(), Modality="CT", SeriesInstanceUID="1.9")
    for file in (tmp_path / "ct").iterdir():
        header = dcmread(file)
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = CT_IMAGE
        header.PixelData = header.PixelData[:-20]  # cut short: reading it would be an error
        header.save_as(file, enforce_file_format=True)
    assert suv(tmp_path)["suvbw"]["max"] > 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"Units": "PROPCPS"}, "Units (0054,1001)"),
        ({"Units": None}, "Units (0054,1001)"),
        ({"PatientWeight": None}, "PatientWeight (0010,1030)"),
        ({"RadionuclideTotalDose": None}, "RadionuclideTotalDose (0018,1074)"),
        ({"CorrectedImage": ["DECY"]}, "CorrectedImage (0028,0051)"),
    ],
)
def test_what_cannot_become_suv_names_its_tag(tmp_path, changes, named):
    with pytest.raises(InputError) as refusal:
        suv(write_volume(tmp_path / "pet", volume(), **changes))
    assert named in str(refusal.value)


def test_the_command_refuses_with_exit_2(tmp_path):
    done = igdd("suv", write_volume(tmp_path / "pet", volume(), Units="PROPCPS"), "--json")
    assert done.returncode == 2
    assert "(0054,1001)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_pet_and_a_path_that_is_not_there_are_refused(tmp_path):
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    report.Modality = "SR"
    save(report, tmp_path / "sr.dcm")
    with pytest.raises(InputError, match=r"0 PET series fit.*there are: none"):
        suv(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        suv(tmp_path / "none")


def test_three_copies_of_the_image_are_enough(tmp_path):
    values = np.full((128, 128, 60), 7)
    values[3, 4, 5] = 9
    series = write_volume(tmp_path / "pet", values)
    suv(series)  # imports and caches
    tracemalloc.start()
    suv(series)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Stored 16 bit, scaled 32 bit, SUV 32 bit, and 20 kB for each slice's header.
    assert peak < 3 * 4 * values.size + 60 * 20_000


def test_a_header_that_does_not_suffice_is_named_by_its_path(tmp_path):
    folder = write_volume(tmp_path / "pet", volume(), Units=None)
    with pytest.raises(InputError, match=f"{folder}: Units .* igdd new"):
        suv(folder)
