"""Inspect: every kind of file is told, bad ones too, from headers only and without identities."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.io.bids import write_label_map, write_nifti
from igdd.io.dicom_series import headers
from igdd.modalities.pet import suv_factor
from igdd.stages import folder
from igdd.stages.inspect import inspect, text
from igdd.types import Grid
from pet_objects import pet_slice, save, write_dynamic, write_volume

GRID = Grid(shape=(4, 5, 6), affine=np.diag([2.0, 2.0, 3.0, 1.0]))
HEAVY = {"statsmodels", "numba", "SimpleITK", "matplotlib", "altair"}


def volume() -> np.ndarray:
    return np.arange(60).reshape(4, 5, 3)


def test_a_pet_series_tells_its_facts_and_its_rules(tmp_path):
    changes = {"Radiopharmaceutical": "Fluorodeoxyglucose", "SeriesNumber": "3"}
    write_volume(tmp_path / "pet", volume(), **changes)
    found = inspect(tmp_path)
    (row,) = found["series"]
    assert (row["modality"], row["units"], row["files"], row["frames"]) == ("PT", "BQML", 3, 1)
    assert tuple(row["shape"]) == (4, 5, 3)
    assert row["tracer"] == "Fluorodeoxyglucose"
    # 70 kg, 350 MBq, an hour of F-18.
    assert row["suv_factor"] == pytest.approx(70_000 / (350e6 * 0.5 ** (3600 / 6586.2)))
    assert "SeriesTime" in "".join(row["suv_rule"]) or "SeriesDate" in row["suv_rule"]
    assert row["hours"] == [1.0]
    assert row["required"] == ["branching_applied"]
    assert found["problems"] == []
    shown = text(found)
    assert "PET  pet" in shown
    assert "Fluorodeoxyglucose" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_single_file_is_told_too(tmp_path):
    file = save(pet_slice(volume()[:, :, 0].T, 0.0), tmp_path / "one.dcm")
    assert len(inspect(file)["series"]) == 1


def test_a_dynamic_series_tells_its_frames(tmp_path):
    write_dynamic(tmp_path / "pet", np.ones((3, 3, 2, 4)), seconds=30.0)
    row = inspect(tmp_path)["series"][0]
    assert row["frames"] == 4
    assert row["hours"] == pytest.approx([1.0, 1 + 30 / 3600, 1 + 60 / 3600, 1.025], abs=1e-4)
    assert "4 of 30 s" in text(inspect(tmp_path))


def test_what_has_no_suv_says_why(tmp_path):
    write_volume(tmp_path / "pet", volume(), Units="PROPCPS")
    row = inspect(tmp_path)["series"][0]
    assert "(0054,1001)" in row["suv_problem"]
    assert "PROPCPS" in row["study_problem"]
    assert "no SUV" in text(inspect(tmp_path))


def test_pet_bids_tells_what_a_study_must_add(tmp_path):
    facts = {
        "Modality": "PT", "Units": "Bq/mL", "TracerRadionuclide": "F18", "FrameTimesStart": [0],
        "FrameDuration": [600], "AttenuationCorrection": "CT", "TimeZero": "12:00:00",
        "InjectionStart": -3600, "ImageDecayCorrected": True,
    }  # fmt: skip
    write_nifti(tmp_path / "sub-01_pet.nii.gz", np.ones(GRID.shape), GRID, facts)
    row = inspect(tmp_path)["series"][0]
    assert row["required"] == ["corrected_to", "branching_applied"]
    assert "ImageDecayCorrectionTime" in row["missing"]


def test_regions_and_tables_are_listed_with_their_names(tmp_path, reference):
    write_label_map(tmp_path / "a_dseg.nii.gz", np.ones(GRID.shape, np.uint8), GRID, {1: "liver"})
    with zipfile.ZipFile(reference("pet/ibsi_suv_dro/DRO_0_0.zip")) as archive:
        archive.extract("DRO_0_0/RS/RS_dro_0_0.dcm", tmp_path)
    seg = reference("images/seg_sr/ct3slice_partial_overlaps.dcm")
    (tmp_path / "seg.dcm").write_bytes(seg.read_bytes())
    (tmp_path / "x_tacs.tsv").write_text("frame_start[s]\tframe_end[s]\tliver[Bq/mL]\n0\t60\t5\n")
    found = inspect(tmp_path)
    names = {Path(row["path"]).name: row["regions"] for row in found["regions"]}
    assert names["a_dseg.nii.gz"] == ["liver"]
    assert names["RS_dro_0_0.dcm"] == ["region_1"]
    assert names["seg.dcm"] == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    (table,) = found["tables"]
    assert (table["reader"], table["rows"], table["regions"]) == (
        "time_activity_curves", 1, ["liver"],
    )  # fmt: skip
    shown = text(found)
    for words in ("label map", "RT structure set", "segmentation", "LIGHT_BLUE", "liver"):
        assert words in shown


def test_a_table_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "x_tacs.tsv").write_text("frame_start\tframe_end\tliver\n0\t60\t5\n")
    (table,) = inspect(tmp_path)["tables"]
    assert "unit" in table["problem"]
    assert table["problem"] in text(inspect(tmp_path)).replace("\n" + " " * 17, " ")


def hostile(folder: Path) -> None:
    """Files that break readers: cut short, lying, deep, compressed beyond reason."""
    sound = save(pet_slice(volume()[:, :, 0].T, 0.0), folder / "sound.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(sound[:300])
    (folder / "pixels.dcm").write_bytes(sound[:-30])
    (folder / "noise.dcm").write_bytes(bytes(128) + b"DICM" + os.urandom(400))
    (folder / "cut.nii").write_bytes(b"\x5c\x01\0\0" + bytes(100))
    (folder / "bomb.nii.gz").write_bytes(gzip.compress(bytes(30_000_000)))
    (folder / "text.nii.gz").write_text("see attached")
    (folder / "empty.nrrd").write_bytes(b"")
    (folder / "lying.nrrd").write_text("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 9 9\n\n")
    (folder / "x_blood.tsv").write_text("time\nnoon\n")
    (folder / "odd_pet.json").write_text("[" * 100_000)
    write_nifti(folder / "odd_pet.nii", np.ones(GRID.shape), GRID)
    (folder / "notes.txt").write_text("hello")
    (folder / "dangling.nii").symlink_to(folder / "gone.nii")
    os.mkfifo(folder / "fifo.dcm")


def test_bad_files_become_entries_and_stop_nothing(tmp_path):
    hostile(tmp_path)
    started = time.monotonic()
    tracemalloc.start()
    found = inspect(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000  # the bound on hostile files
    assert time.monotonic() - started < 12  # a second for each, were they alone
    told = json.dumps([found["problems"], found["series"], found["tables"]], default=str)
    bad = ("cut.dcm", "cut.nii", "text.nii.gz", "empty.nrrd", "lying.nrrd", "x_blood", "odd_pet")
    assert [name for name in bad if name not in told] == []
    assert any(row.get("shape") and not row.get("problem") for row in found["series"])
    assert text(found)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    inside.mkdir()
    file = save(pet_slice(volume()[:, :, 0].T, 0.0), outside / "one.dcm")
    (inside / "link.dcm").symlink_to(file)
    (inside / "folder").symlink_to(outside)
    found = inspect(inside)
    assert found["series"] == []
    assert "link.dcm" in found["problems"][0]["path"]


def test_no_name_identifier_or_birthday_is_told(tmp_path):
    secrets = {"PatientName": "Doe^Jane", "PatientID": "MRN-4711", "PatientBirthDate": "19601224"}
    write_volume(tmp_path / "pet", volume(), **secrets)
    other = secrets | {"PatientID": "MRN-0815", "SeriesInstanceUID": "1.7", "PatientName": "Roe"}
    write_volume(tmp_path / "mixed", volume(), **secrets, SeriesInstanceUID="1.7")
    save(pet_slice(volume()[:, :, 0].T, 40.0, **other), tmp_path / "mixed" / "x.dcm")
    found = inspect(tmp_path)
    told = json.dumps(found, default=str) + text(found)
    assert any("PatientID" in str(row.get("problem")) for row in found["series"])
    for secret in ("Doe", "Jane", "4711", "0815", "19601224", "1960-12-24"):
        assert secret not in told


def test_signs_that_steer_a_terminal_are_not_printed(tmp_path):
    write_volume(tmp_path / "pet", volume(), SeriesDescription="a\x1b[31mred")
    assert "\x1b" not in text(inspect(tmp_path))


def test_slim_headers_lead_to_the_same_rule(tmp_path, reference):
    for path in (reference("images/pet/single"), write_volume(tmp_path / "pet", volume())):
        found = inspect(path)
        for uid, whole in headers(path).items():
            row = next(row for row in found["series"] if row["uid"] == uid)
            factor = suv_factor(whole)
            assert row["suv_factor"] == factor.value
            assert row["suv_alternatives"] == dict(factor.alternatives)


@pytest.mark.reference
def test_every_file_of_the_reference_images_is_told(reference):
    found = inspect(reference("images"))
    assert {row["modality"] for row in found["series"]} >= {"PT", "CT", "MR", "NM"}
    assert len(found["regions"]) >= 10
    assert {row["reader"] for row in found["tables"]} == {"pet_bids_blood", "bids_participants"}
    assert max(map(len, text(found).splitlines())) <= 240  # paths are not broken


def test_many_files_stay_bounded(tmp_path, monkeypatch):
    for number in range(30):
        (tmp_path / f"{number:02d}.nii").write_bytes(b"no image")
    monkeypatch.setattr(folder, "MOST_FILES", 20)
    monkeypatch.setattr(folder, "MOST_PROBLEMS", 5)
    found = inspect(tmp_path)
    assert len(found["problems"]) == 6
    assert "16 more" in found["problems"][-1]["problem"]  # 20 files and the remark on the rest


def test_progress_is_told(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    told = []
    inspect(tmp_path, lambda *words: told.append(words))
    assert told == [("look", 0, 1)]


def test_headers_of_a_large_series_share_what_they_have_in_common(tmp_path):
    for k in range(120):
        one = pet_slice(np.zeros((2, 2), int), 4.0 * k)
        one.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
        one.add_new(0x00291010, "OB", bytes(50_000))
        save(one, tmp_path / f"{k:03d}.dcm")
    inspect(tmp_path)  # imports and caches
    tracemalloc.start()
    found = folder.look(tmp_path)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(found.entries[0].headers) == 120
    assert held < 120 * 25_000  # 20,000 of them in half a gigabyte; with their CSA, 2 GB


def test_nothing_found_is_said(tmp_path):
    found = inspect(tmp_path)
    assert "expected" in found["problems"][0]["problem"]
    with pytest.raises(InputError, match="no such"):
        inspect(tmp_path / "none")


@pytest.mark.integration
def test_the_command_prints_json_without_heavy_imports(tmp_path):
    write_volume(tmp_path / "pet", volume())
    code = (
        "import sys\nfrom igdd.cli import app\n"
        f"sys.argv = ['igdd', 'inspect', {str(tmp_path)!r}, '--json']\n"
        "try:\n    app()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"assert not {HEAVY!r} & set(sys.modules), {HEAVY!r} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["series"][0]["acquired"] == "2026-05-01 12:00:00"
