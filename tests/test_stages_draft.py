"""Draft: a study from what is on disk that runs once its required facts are stated."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from conftest_dicom import mr_series
from igdd import catalog
from igdd.errors import InputError, StudyError
from igdd.io.bids import write_json, write_label_map, write_nifti, write_table
from igdd.io.outlines import Outline
from igdd.io.rtstruct import write_rtstruct
from igdd.stages.draft import draft
from igdd.stages.draft_text import comment, quoted
from igdd.stages.plan import SessionPlan, plan
from igdd.stages.session import calibrated, measured
from igdd.study import UNKNOWN_FACT, load_study
from igdd.types import Grid
from pet_objects import pet_slice, save, write_volume

GRID = Grid(shape=(6, 5, 4), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def volume() -> np.ndarray:
    return np.arange(60).reshape(4, 5, 3) + 100


def required_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if UNKNOWN_FACT in line]


def filled(path: Path) -> dict:
    """The study with every required fact stated by its example."""
    text = path.read_text().replace(f"{UNKNOWN_FACT} ", "")
    path.write_text(text)
    return tomllib.loads(text)


def removed(path: Path) -> dict:
    """The study without its required lines."""
    lines = [line for line in path.read_text().splitlines() if UNKNOWN_FACT not in line]
    path.write_text("\n".join(lines))
    return tomllib.loads("\n".join(lines))


def plan_of(path: Path) -> tuple[SessionPlan, ...]:
    """Plans of a filled draft, without the example of a region file, which is not there."""
    path.write_text(path.read_text().replace('regions = "regions_dseg.nii.gz"', ""))
    return plan(load_study(path))


def bids_pet(folder: Path, name: str, **changes: object) -> Path:
    """A PET-BIDS image that a study can use."""
    facts = {
        "Modality": "PT", "Units": "Bq/mL", "TracerRadionuclide": "F18", "TracerName": "FDG",
        "FrameTimesStart": [0], "FrameDuration": [600], "AttenuationCorrection": "CT",
        "TimeZero": "12:00:00", "InjectionStart": -3600, "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0, "InjectedRadioactivity": 350,
        "InjectedRadioactivityUnits": "MBq",
    }  # fmt: skip
    stated = {key: value for key, value in (facts | changes).items() if value is not None}
    write_nifti(folder / f"{name}.nii.gz", np.ones(GRID.shape), GRID, stated)
    return folder / f"{name}.nii.gz"


def as_ct(folder: Path) -> Path:
    for file in folder.iterdir():
        header = dcmread(file)
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = CT_IMAGE
        header.Modality = "CT"
        header.save_as(file, enforce_file_format=True)
    return folder


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Path:
    """A virtual trial of one patient an arm, as its files are, without its study."""
    from igdd.simulate.trial import HOUR, Trial, simulate

    folder = tmp_path_factory.mktemp("trial")
    simulate(
        folder, Trial(seed=3, patients_per_arm=1, sessions=(24 * HOUR,), fine=4.0, factor=2)
    ).rename(folder / "true.toml")
    return folder


@pytest.fixture
def drafted(trial) -> Path:
    path, _ = draft(trial)
    yield path
    path.unlink()


def test_a_trial_is_drafted_with_what_its_files_say(drafted, trial):
    found = filled(drafted)
    true = tomllib.loads((trial / "true.toml").read_text())
    for own, other in zip(found["subject"], true["subject"], strict=True):
        assert own["id"] == other["id"]
        assert own["arm"] == other["arm"]
        assert own["weight"] == other["weight"]
        assert own["height"] == other["height"]
        assert own["sex"] == other["sex"]
        (given_own,), (given_true,) = own["given"], other["given"]
        assert given_own["at"] == given_true["at"]
        drawn, left = (float(given_true[key].split()[0]) for key in ("activity", "residual"))
        # The files state the net activity, the study what was drawn up; both to 0.01 MBq.
        assert float(given_own["activity"].split()[0]) == pytest.approx(drawn - left, abs=0.011)
    for own, other in zip(found["scan"], true["scan"], strict=True):
        for key in ("subject", "session", "modality", "path", "regions"):
            assert own[key] == other[key]
    assert found["agent"]["label"]["nuclide"] == "Zr-89"
    assert [one["metric"] for one in found["measure"]] == ["uptake", "ledger"]


def test_only_what_no_file_states_is_required_and_check_names_it(drafted):
    keys = [line.split()[2] for line in required_lines(drafted)]
    assert keys == ["carrier", "drug", "label", *["declared.branching_applied"] * 2]
    with pytest.raises(StudyError, match=r"line \d+.*carrier"):
        load_study(drafted)


@pytest.mark.parametrize("done", [filled, removed])
def test_a_drafted_study_plans_once_its_facts_are_filled_or_removed(drafted, done):
    done(drafted)
    plans = plan(load_study(drafted))
    assert [one.folder for one in plans] == ["01_24h", "02_24h"]
    assert all(one.scan.regions for one in plans)


@pytest.mark.integration
@pytest.mark.parametrize("number", [0, 1])
def test_a_completed_draft_measures_its_sessions(drafted, number):
    filled(drafted)
    rows = measured(plan(load_study(drafted))[number]).measurements
    liver = rows[(rows.region == "liver") & (rows.metric == "percent_id")]
    # A liver of the trial holds 10 to 40 % of the dose after a day, imaged at 8 mm.
    assert 5 < float(liver.value.iloc[0]) < 50


@pytest.mark.integration
def test_the_command_drafts_and_overwrites_nothing(tmp_path):
    write_volume(tmp_path / "pet", volume())
    command = [sys.executable, "-m", "igdd", "new", str(tmp_path), "--json"]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)
    assert said["required"] == len(required_lines(tmp_path / "study.toml"))
    before = (tmp_path / "study.toml").read_bytes()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "nothing is overwritten" in again.stderr
    assert (tmp_path / "study.toml").read_bytes() == before


def test_a_link_in_the_study_s_place_is_not_written_through(tmp_path):
    write_volume(tmp_path / "data" / "pet", volume())
    (tmp_path / "data" / "study.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(InputError, match="already there"):
        draft(tmp_path / "data")
    assert not (tmp_path / "elsewhere.toml").exists()


@pytest.mark.parametrize("content", [{}, {"notes.txt": "hello", "a.csv": "x,y\n1,2\n"}])
def test_a_folder_without_images_is_an_error(tmp_path, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="expected at least one series"):
        draft(tmp_path)
    assert not (tmp_path / "study.toml").exists()


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        draft(save(pet_slice(volume()[:, :, 0].T, 0.0), tmp_path / "x.dcm"))


@pytest.mark.reference
def test_an_ibsi_object_finds_its_structure_set_and_leaves_the_nameless_mask(reference, tmp_path):
    with zipfile.ZipFile(reference("pet/ibsi_suv_dro/DRO_0_0.zip")) as archive:
        archive.extractall(tmp_path)
    path, _ = draft(tmp_path / "DRO_0_0")
    text = path.read_text()
    (scan,) = filled(path)["scan"]
    assert scan["path"] == "PT"
    assert scan["regions"] == "RS/RS_dro_0_0.dcm"
    assert "not used: mask/DRO_mask.nii.gz" in text
    (one,) = plan(load_study(path))
    rows = measured(one).measurements
    peak = rows[(rows.region == "region_1") & (rows.metric == "suvbw")]
    assert np.isfinite(peak.value).all()


@pytest.mark.reference
def test_phantom_series_without_units_dose_or_clock_require_them(reference, tmp_path):
    for name in ("nema_iq_recon1", "nema_iq_recon2"):
        shutil.copytree(reference(f"images/pet/{name}"), tmp_path / name)
        for file in (tmp_path / name).iterdir():
            file.chmod(0o644)
    path, _ = draft(tmp_path)
    keys = {line.split()[2] for line in required_lines(path)}
    wanted = {"at", "activity", "label", "regions", "declared.unit", "declared.start"}
    assert wanted <= keys
    found = filled(path)
    assert [scan["session"] for scan in found["scan"]] == ["scan1", "scan2"]
    assert len(found["subject"]) == 1
    assert len(plan_of(path)) == 2


@pytest.mark.reference
def test_single_slices_in_one_folder_are_scans_by_their_file(reference, tmp_path):
    shutil.copytree(reference("images/pet/single"), tmp_path / "single")
    path, _ = draft(tmp_path)
    found = removed(path)
    assert len(found["scan"]) == 3
    assert all((tmp_path / scan["path"]).is_file() for scan in found["scan"])
    assert len(plan(load_study(path))) == 3


@pytest.mark.reference
@pytest.mark.parametrize("folder", ["images/ct", "images/mr", "images/nm", "images/seg_sr"])
def test_other_series_stand_there_with_the_reason(reference, tmp_path, folder):
    shutil.copytree(reference(folder), tmp_path / "files")
    path, _ = draft(tmp_path)
    text = path.read_text()
    assert "# not used:" in text
    assert "scan" not in removed(path)


def test_what_cannot_be_used_names_the_unit(tmp_path):
    write_volume(tmp_path / "good", volume())
    write_volume(tmp_path / "bad", volume(), Units="PROPCPS", SeriesInstanceUID="1.5")
    path, _ = draft(tmp_path)
    text = path.read_text()
    assert "# not used: Units (0054,1001) is PROPCPS" in text
    (scan,) = removed(path)["scan"]
    assert scan["path"] == "good"


def test_series_of_one_folder_are_told_apart(tmp_path):
    write_volume(tmp_path / "all" / "a", volume(), SeriesDescription="early")
    changes = {"SeriesInstanceUID": "1.2.3.5", "AcquisitionTime": "140000"}
    write_volume(tmp_path / "all" / "b", volume(), **changes)
    for file in (tmp_path / "all" / "b").iterdir():
        file.rename(tmp_path / "all" / f"b{file.name}")
    for file in (tmp_path / "all" / "a").iterdir():
        file.rename(tmp_path / "all" / f"a{file.name}")
    path, _ = draft(tmp_path)
    found = filled(path)
    assert [scan["path"] for scan in found["scan"]] == ["all", "all"]
    assert len({scan["series"] for scan in found["scan"]}) == 2
    hours = [float(calibrated(one, one.scan).frames.start[0]) / 3600 for one in plan_of(path)]
    assert hours == [1.0, 3.0]


def test_a_damaged_file_in_its_folder_keeps_a_series_out(tmp_path):
    write_volume(tmp_path / "pet", volume())
    (tmp_path / "pet" / "x.dcm").write_bytes(bytes(128) + b"DICM" + bytes(40))
    path, _ = draft(tmp_path)
    assert "not used: its folder also holds a file that cannot be read" in path.read_text()
    assert "could not be read" in path.read_text()


def test_patients_are_numbered_and_their_names_stay_out(tmp_path):
    for number, (name, patient) in enumerate([("b", "MRN-4711"), ("a", "MRN-0815")]):
        changes = {"PatientID": patient, "PatientName": "Doe^Jane", "StudyInstanceUID": f"1.{name}"}
        uid = f"1.2.{number}.4"
        write_volume(tmp_path / name, volume(), SeriesInstanceUID=uid, **changes)
    path, _ = draft(tmp_path)
    text = path.read_text()
    for secret in ("4711", "0815", "Doe", "Jane"):
        assert secret not in text
    scans = removed(path)["scan"]
    assert [(scan["subject"], scan["path"]) for scan in scans] == [("01", "a"), ("02", "b")]


def test_a_ct_of_the_same_frame_of_reference_joins_the_session_and_another_does_not(tmp_path):
    write_volume(tmp_path / "pet", volume())
    as_ct(write_volume(tmp_path / "ct", volume(), SeriesInstanceUID="1.6"))
    other = {"SeriesInstanceUID": "1.7", "FrameOfReferenceUID": "1.99"}
    as_ct(write_volume(tmp_path / "far", volume(), **other))
    as_ct(write_volume(tmp_path / "second", volume(), SeriesInstanceUID="1.8"))
    path, _ = draft(tmp_path)
    text = path.read_text()
    scans = {scan["path"]: scan for scan in filled(path)["scan"]}
    assert set(scans) == {"pet", "ct"}
    assert scans["ct"]["modality"] == "ct"
    assert scans["ct"]["session"] == scans["pet"]["session"] == "scan1"
    assert "shows another anatomy" in text
    assert "no measured series of the same visit" in text


def test_sessions_follow_the_clock_and_not_the_names(tmp_path):
    for folder, uid, clock in (("a", "1.5", "160000"), ("b", "1.6", "130000")):
        changes = {"AcquisitionTime": clock, "SeriesTime": clock, "SeriesInstanceUID": uid}
        write_volume(tmp_path / folder, volume(), **changes)
    path, _ = draft(tmp_path)
    text = path.read_text()
    found = removed(path)["scan"]
    assert [(scan["session"], scan["path"]) for scan in found] == [("scan1", "b"), ("scan2", "a")]
    assert "from 2 h after administration" in text


def test_facts_that_disagree_are_required_and_told(tmp_path):
    write_volume(tmp_path / "a", volume(), PatientWeight="70")
    write_volume(tmp_path / "b", volume(), PatientWeight="72", SeriesInstanceUID="1.5")
    path, _ = draft(tmp_path)
    (line,) = [line for line in required_lines(path) if "weight" in line]
    assert "70 kg" in line
    assert "72 kg" in line


def test_bids_visits_regions_and_participants(tmp_path):
    for sub, ses in (("A1", "base"), ("A1", "late"), ("B2", "base")):
        stem = f"sub-{sub}_ses-{ses}"
        bids_pet(tmp_path / f"sub-{sub}" / f"ses-{ses}" / "pet", f"{stem}_pet")
        drawn = tmp_path / "derivatives" / "seg" / f"{stem}_desc-x_dseg.nii.gz"
        write_label_map(drawn, np.ones(GRID.shape, np.uint8), GRID, {1: "tumor_left"})
    rows = [{"participant_id": "sub-A1", "weight": 61.5, "height": 170.0, "sex": "female"}]
    write_table(tmp_path / "participants.tsv", tuple(rows[0]), rows)
    write_json(tmp_path / "participants.json", {"weight": {"Units": "kg"}})
    path, _ = draft(tmp_path)
    text = path.read_text()
    assert '# kind = "lesion"' in text
    assert '# name = "tumor_left"' in text
    found = removed(path)
    assert [subject["id"] for subject in found["subject"]] == ["A1", "B2"]
    assert found["subject"][0]["weight"] == "61.5 kg"
    assert found["subject"][0]["sex"] == "F"
    assert "height" not in found["subject"][0]  # its unit is nowhere stated
    for scan in found["scan"]:
        assert f"sub-{scan['subject']}_ses-{scan['session']}_desc-x" in scan["regions"]
    assert len(plan(load_study(path))) == 3


FRAMES = {"FrameTimesStart": [0, 60, 120], "FrameDuration": [60, 60, 60], "InjectionStart": 0}


def bids_blood(folder: Path, name: str, unit: str | None = "Bq/mL") -> None:
    rows = [{"time": t, "plasma_radioactivity": 100.0 - t} for t in (0.0, 30.0, 90.0)]
    write_table(folder / f"{name}_blood.tsv", tuple(rows[0]), rows)
    units = {} if unit is None else {"plasma_radioactivity": {"Units": unit}}
    write_json(folder / f"{name}_blood.json", {"time": {"Units": "s"}, **units})


def test_the_blood_of_a_dynamic_scan_becomes_its_session_s_input(tmp_path):
    image = np.ones((*GRID.shape, 3))
    for ses in ("base", "block", "late"):
        folder = tmp_path / "sub-A1" / f"ses-{ses}" / "pet"
        path = bids_pet(folder, f"sub-A1_ses-{ses}_pet", **({} if ses == "late" else FRAMES))
        facts = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        if ses != "late":
            write_nifti(path, image, GRID, facts)
        drawn = folder / f"sub-A1_ses-{ses}_dseg.nii.gz"
        write_label_map(drawn, np.ones(GRID.shape, np.uint8), GRID, {1: "tumor"})
    base, block, late = (tmp_path / "sub-A1" / f"ses-{ses}" / "pet" for ses in
                         ("base", "block", "late"))  # fmt: skip
    bids_blood(base, "sub-A1_ses-base_recording-manual")
    bids_blood(base, "sub-A1_ses-base_recording-autosampler")
    bids_blood(block, "sub-A1_ses-block_recording-manual")
    bids_blood(block, "sub-A1_ses-block_recording-auto", unit=None)  # cannot be read
    bids_blood(block, "sub-A1_ses-block_trc-other_recording-manual")  # another tracer's
    bids_blood(late, "sub-A1_ses-late_recording-manual")  # one frame has no kinetics
    path, _ = draft(tmp_path)
    text = path.read_text()
    assert '# model = "two_tissue"' in text
    assert 'region = "aorta"' not in text
    found = filled(path)["inputs"]
    assert [(one["subject"], one["session"]) for one in found] == [("A1", "base"), ("A1", "block")]
    assert [Path(one).name for one in found[0]["blood"]] == [
        "sub-A1_ses-base_recording-autosampler_blood.tsv",
        "sub-A1_ses-base_recording-manual_blood.tsv",
    ]
    assert Path(found[1]["blood"]).name == "sub-A1_ses-block_recording-manual_blood.tsv"
    shutil.rmtree(late)
    path.unlink()
    path, _ = draft(tmp_path)
    filled(path)
    path.write_text(path.read_text().replace("# [[fit]]\n# model", "[[fit]]\nmodel"))
    sessions = {one.name: one for one in plan_of(path)}
    assert [one["model"] for one in sessions["base"].fit] == ["two_tissue"]
    assert sessions["block"].inputs.blood == (block / Path(found[1]["blood"]).name,)


def test_a_dynamic_scan_without_blood_is_told_of_an_input_from_the_image(tmp_path):
    path = bids_pet(tmp_path, "sub-A1_ses-base_pet", **FRAMES)
    facts = json.loads((tmp_path / "sub-A1_ses-base_pet.json").read_text())
    write_nifti(path, np.ones((*GRID.shape, 3)), GRID, facts)
    text = draft(tmp_path)[0].read_text()
    assert '# region = "aorta"' in text
    assert "\n[[inputs]]" not in text


def test_a_weight_without_a_unit_is_no_weight(tmp_path):
    bids_pet(tmp_path / "sub-01" / "pet", "sub-01_pet")
    write_table(
        tmp_path / "participants.tsv",
        ("participant_id", "weight"),
        [{"participant_id": "sub-01", "weight": 21}],
    )
    path, _ = draft(tmp_path)
    (line,) = [line for line in required_lines(path) if "weight" in line]
    assert "21" in line
    assert "70 kg" in line


def test_two_tracers_of_one_visit_are_sessions_of_their_own(tmp_path):
    folder = tmp_path / "sub-01" / "ses-1" / "pet"
    bids_pet(folder, "sub-01_ses-1_trc-FDG_pet")
    bids_pet(folder, "sub-01_ses-1_trc-FLT_pet")
    path, _ = draft(tmp_path)
    sessions = [scan["session"] for scan in removed(path)["scan"]]
    assert sessions == ["1-trc-FDG", "1-trc-FLT"]
    assert len(plan(load_study(path))) == 2


def test_a_series_that_is_not_corrected_for_attenuation_is_left_out(tmp_path):
    bids_pet(tmp_path / "sub-01" / "pet", "sub-01_pet", AttenuationCorrection="none")
    path, _ = draft(tmp_path)
    assert "not used:" in path.read_text()
    assert "attenuation" in path.read_text()


def test_missing_facts_of_a_sidecar_are_required_one_by_one(tmp_path):
    changes = {"Units": None, "ImageDecayCorrected": None, "TracerRadionuclide": None}
    bids_pet(tmp_path / "sub-01" / "pet", "sub-01_pet", **changes)
    path, _ = draft(tmp_path)
    keys = {line.split()[2] for line in required_lines(path)}
    assert {"declared.unit", "declared.corrected_to", "label"} <= keys
    filled(path)
    (one,) = plan_of(path)
    assert calibrated(one, one.scan).unit == "Bq/mL"


HOSTILE = 'a "q" \\ # REQUIRED é\n\t] = 1'


def test_hostile_names_of_files_and_series_stay_text(tmp_path):
    folder = tmp_path / HOSTILE
    write_volume(folder, volume(), SeriesDescription='x\n[[scan]]\n# REQUIRED "y" = 1')
    write_volume(tmp_path / "# REQUIRED", volume(), SeriesInstanceUID="1.5")
    (tmp_path / "# REQUIRED.nii").write_bytes(b"bad")
    path, required = draft(tmp_path)
    assert required == len(required_lines(path))
    assert all(line.startswith(UNKNOWN_FACT) for line in required_lines(path))
    scans = removed(path)["scan"]
    assert {scan["path"] for scan in scans} == {HOSTILE, "# REQUIRED"}
    assert len(plan(load_study(path))) == 2


def test_a_name_that_is_no_text_is_left_out(tmp_path):
    write_volume(tmp_path / "plain", volume())
    odd = Path(str(tmp_path) + "/od\udcffd")
    write_volume(odd, volume(), SeriesInstanceUID="1.5")
    path, _ = draft(tmp_path)
    assert "no Unicode text" in path.read_text(encoding="utf-8")
    assert [scan["path"] for scan in removed(path)["scan"]] == ["plain"]


@given(st.text())
def test_any_text_is_a_string_of_toml(text):
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        return
    written = f"x = {quoted(text)}"
    assert tomllib.loads(written)["x"] == text
    assert UNKNOWN_FACT not in written


@given(st.text())
def test_any_text_is_a_comment_of_toml_and_no_marker(text):
    lines = comment(f"said: {text}")
    assert tomllib.loads("\n".join([*lines, "x = 1"])) == {"x": 1}
    assert not any(UNKNOWN_FACT in line for line in lines)


def test_regions_drawn_on_one_of_two_series_in_a_frame_of_reference_are_that_ones(tmp_path):
    square = np.array([[0.0, 0.0, 4.0], [-8.0, 0.0, 4.0], [-8.0, -8.0, 4.0], [0.0, -8.0, 4.0]])
    for number, name in enumerate(("early", "late"), start=1):
        folder = write_volume(
            tmp_path / name, volume(), SeriesInstanceUID=f"1.2.3.{number}",
            SeriesTime=f"1{number}0000", AcquisitionTime=f"1{number}0000",
            RadiopharmaceuticalStartDateTime="20260501100000",
        )  # fmt: skip
        headers = [dcmread(file, stop_before_pixels=True) for file in folder.iterdir()]
        drawn = [Outline(name="lesion", contours=(square,))]
        write_rtstruct(tmp_path / f"{name}.dcm", drawn, headers)
    path, _ = draft(tmp_path)
    scans = {one["path"]: one["regions"] for one in filled(path)["scan"]}
    assert scans == {"early": "early.dcm", "late": "late.dcm"}


def dynamic_mr(folder: Path, name: str = "dce", **changes: object) -> Path:
    """Signals of a spoiled gradient echo at 5 s frames, which rise after four of them."""
    count, angle = 12, np.deg2rad(15.0)
    amount = np.r_[np.zeros(4), np.linspace(0.2, 1.0, count - 4)]
    e1 = np.exp(-0.005 * (1 / 1.4 + 3.7 * amount))
    signal = 1000 * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)
    facts = {
        "Modality": "MR", "RepetitionTimeExcitation": 0.005, "FlipAngle": 15,
        "FrameTimesStart": [5.0 * n for n in range(count)], "FrameDuration": [5.0] * count,
    } | changes  # fmt: skip
    stated = {key: value for key, value in facts.items() if value is not None}
    write_nifti(folder / f"{name}.nii.gz", np.broadcast_to(signal, (*GRID.shape, count)), GRID,
                stated)  # fmt: skip
    return folder / f"{name}.nii.gz"


def dynamic_visit(tmp_path: Path) -> Path:
    """Dynamic MR of a visit with its label map."""
    folder = tmp_path / "sub-07" / "ses-base" / "perf"
    folder.mkdir(parents=True)
    dynamic_mr(folder, "sub-07_ses-base_dce")
    labels = np.ones(GRID.shape, np.uint8)
    write_label_map(folder / "sub-07_ses-base_dseg.nii.gz", labels, GRID, {1: "tumour"})
    return folder


def scanned(folder: Path) -> Path:
    """Signals of `dynamic_mr` as a scanner stores them in DICOM, with a label map."""
    acquired = {"RepetitionTime": "5", "EchoTime": "2", "FlipAngle": "15", "ScanningSequence": "GR"}
    stored = catalog.read_series(dynamic_mr(folder))[0].values
    (folder / "dce.nii.gz").unlink()
    (folder / "dce.json").unlink()
    volumes = np.rint(200 * np.moveaxis(stored, 3, 0))
    mr_series(folder / "dce", GRID, volumes, SeriesDescription="DCE perfusion", **acquired)
    write_label_map(folder / "dseg.nii.gz", np.ones(GRID.shape, np.uint8), GRID, {1: "tumour"})
    return folder


def peak_of(path: Path) -> float:
    path.write_text(path.read_text().replace("declared.baseline = 5", "declared.baseline = 4"))
    filled(path)
    table = measured(plan(load_study(path))[0]).measurements
    return float(table.loc[table["metric"] == "peak", "value"].iloc[0])


def test_dynamic_contrast_of_a_scanner_is_drafted_from_its_headers(tmp_path):
    path, required = draft(scanned(tmp_path))
    assert required == 4
    (scan,) = filled(path)["scan"]
    assert (scan["modality"], scan["path"], scan["subject"]) == ("mr_dce", "dce", "01")
    assert scan["regions"] == "dseg.nii.gz"
    # 1 mmol/L; the signals are whole numbers of some thousands
    assert peak_of(path) == pytest.approx(1e-6, rel=1e-2)


def test_maps_that_igdd_made_beside_a_scanner_s_series_are_taken(tmp_path):
    scanned(tmp_path)
    for name, unit, level in (("T1map", "s", 1.4), ("TB1map", "%", 100.0)):
        values = np.full(GRID.shape, level)
        write_nifti(tmp_path / f"{name}.nii", values, GRID, {"Modality": "MR", "Units": unit})
    path, required = draft(tmp_path)
    assert required == 3
    (scan,) = filled(path)["scan"]
    assert (scan["subject"], scan["t1_map"], scan["b1_map"]) == ("01", "T1map.nii", "TB1map.nii")
    assert "not used" not in path.read_text()
    assert peak_of(path) == pytest.approx(1e-6, rel=1e-2)


@pytest.mark.parametrize("unit", ["ms", "US", None])
def test_a_scanner_s_map_is_taken_where_it_states_its_unit(tmp_path, unit):
    scanned(tmp_path)
    stated = {} if unit is None else {"RescaleType": unit}
    for number, (name, said, level) in enumerate(
        (("T1 map MOLLI", stated, 1400), ("B1 map", {"RescaleType": "%"} if unit else {}, 100))
    ):
        mr_series(
            tmp_path / name.lower().replace(" ", "_"), GRID, np.full((1, *GRID.shape), level),
            f"1.2.3.{number + 5}", SeriesDescription=name, RescaleSlope="1", RescaleIntercept="0",
            **said,
        )  # fmt: skip
    path, required = draft(tmp_path)
    scan = next(one for one in filled(path)["scan"] if one["modality"] == "mr_dce")
    assert scan.get("t1_map") == ("t1_map_molli" if unit == "ms" else None)
    assert scan.get("b1_map") == ("b1_map" if unit is not None else None)
    assert required == (3 if unit == "ms" else 4)
    assert peak_of(path) == pytest.approx(1e-6, rel=1e-2)


def test_dynamic_contrast_mr_is_drafted_with_the_facts_that_only_the_user_knows(tmp_path):
    dynamic_visit(tmp_path)
    path, required = draft(tmp_path)
    assert required == 4
    for key in ("declared.t1", "declared.relaxivity", "declared.baseline", "arrival"):
        assert any(key in line for line in required_lines(path))
    raw = filled(path)
    assert [(one["modality"], one["session"]) for one in raw["scan"]] == [("mr_dce", "base")]
    raw["scan"][0]["declared"]["baseline"] = 4
    path.write_text(path.read_text().replace("declared.baseline = 5", "declared.baseline = 4"))
    (one,) = plan(load_study(path))
    table = measured(one).measurements
    peak = table.loc[table["metric"] == "peak", "value"].iloc[0]
    assert peak == pytest.approx(1e-6, rel=1e-4)  # 1 mmol/L; single precision of the image


def test_maps_of_t1_and_of_the_flip_angle_beside_it_are_taken(tmp_path):
    folder = dynamic_visit(tmp_path)
    for name, unit in (("sub-07_ses-base_T1map", "s"), ("sub-07_ses-base_TB1map", "%")):
        level = np.full(GRID.shape, 1.4 if unit == "s" else 100.0)
        write_nifti(folder / f"{name}.nii.gz", level, GRID, {"Modality": "MR", "Units": unit})
    path, required = draft(tmp_path)
    assert required == 3
    (scan,) = filled(path)["scan"]
    assert scan["t1_map"].endswith("_T1map.nii.gz")
    assert scan["b1_map"].endswith("_TB1map.nii.gz")
    assert "not used" not in path.read_text()
    assert (measured(plan(load_study(path))[0]).measurements["metric"] == "peak").any()


@pytest.mark.parametrize(
    "changes",
    [
        {"RepetitionTimeExcitation": 2.0},  # functional MR
        {"ScanningSequence": "EP"},
        {"FlipAngle": None},
        {"FrameTimesStart": None, "FrameDuration": None},
        {"FrameTimesStart": [0.05 * n for n in range(12)], "FrameDuration": [0.05] * 12},  # heart
    ],
)
def test_other_series_of_many_frames_are_not_taken_for_contrast(tmp_path, changes):
    dynamic_mr(tmp_path, **changes)
    path, _ = draft(tmp_path)
    assert "mr_dce" not in path.read_text()


def test_dynamic_contrast_beside_pet_is_left_to_a_study_of_its_own(tmp_path):
    bids_pet(tmp_path, "sub-01_pet")
    dynamic_mr(tmp_path, "sub-01_dce")
    path, _ = draft(tmp_path)
    assert "give it a study of its own" in path.read_text()
    assert [one["modality"] for one in filled(path)["scan"]] == ["pet"]
