from __future__ import annotations

import csv
import hashlib
import tomllib
from collections import defaultdict
from pathlib import Path

import nibabel
import numpy as np
import pytest

from igdd.errors import InputError
from igdd.results import COLUMNS, KEY
from igdd.simulate import scanner, trial
from igdd.simulate.trial import Trial

DAY = 86400.0
SMALL = Trial(patients_per_arm=1, sessions=(DAY,), fine=4.0, diameters=(25.0, 45.0))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trial.simulate(tmp_path_factory.mktemp("trial"), SMALL, workers=2).parent


@pytest.fixture(scope="module")
def truth(written: Path) -> list[dict[str, str]]:
    with (written / "truth.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def study(written: Path) -> dict:
    return tomllib.loads((written / "study.toml").read_text())


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(written, tmp_path):
    trial.simulate(tmp_path, SMALL, workers=1)
    assert digests(tmp_path) == digests(written)


def test_another_seed_gives_another_trial(written, tmp_path):
    from dataclasses import replace

    trial.simulate(tmp_path, replace(SMALL, seed=2, dicom=False), workers=2)
    ours, other = digests(tmp_path), digests(written)
    images = [name for name in ours if name.endswith("_pet.nii.gz") and name in other]
    assert images
    assert all(ours[name] != other[name] for name in (*images, "truth.csv", "study.toml"))


def test_truth_is_a_measurement_table_with_unique_rows(truth):
    assert tuple(truth[0]) == COLUMNS
    keys = [tuple(row[name] for name in KEY) for row in truth]
    assert len(set(keys)) == len(keys)
    assert {row["metric"] for row in truth} >= {
        "percent_id", "percent_id_per_g", "concentration", "volume", "ledger_percent_id",
    }  # fmt: skip
    assert all(float(row["low"]) == float(row["value"]) == float(row["high"]) for row in truth)


def test_the_true_ledger_adds_up_to_all_that_was_given(truth):
    sums: dict[str, float] = defaultdict(float)
    for row in truth:
        if row["metric"] == "ledger_percent_id" and row["region"] not in ("total", "unaccounted"):
            sums[row["subject"]] += float(row["value"])
    assert sorted(sums) == ["01", "02"]
    for total in sums.values():
        assert total == pytest.approx(100, abs=1e-9)  # double precision


def test_true_values_follow_from_each_other(truth, study):
    values = {
        (row["region"], row["metric"]): float(row["value"])
        for row in truth
        if row["subject"] == "02"
    }
    density = {entry["name"]: float(entry["density"].split()[0]) for entry in study["region"]}
    weight = float(study["subject"][1]["weight"].split()[0]) * 1000
    share, volume = values["liver", "percent_id"], values["liver", "volume"]
    per_gram = share / volume / density["liver"]
    assert values["liver", "percent_id_per_g"] == pytest.approx(per_gram)
    assert values["liver", "suvbw"] == pytest.approx(share / 100 / volume * weight)


def test_the_image_holds_what_is_in_the_body_at_that_time(written, truth, study):
    scan = next(entry for entry in study["scan"] if entry["subject"] == "02")
    image = nibabel.load(written / scan["path"])
    rows = {
        r["region"]: r for r in truth if r["subject"] == "02" and r["metric"] == "ledger_percent_id"
    }
    inside = 100 - float(rows["urine"]["value"]) - float(rows["faeces"]["value"])
    start = float(rows["liver"]["time"]) - SMALL.duration / 2
    given = study["subject"][1]["given"][0]
    net = (float(given["activity"].split()[0]) - float(given["residual"].split()[0])) * 1e6
    expected = inside / 100 * net * scanner.decay(start)
    found = image.get_fdata().sum() * np.prod(image.header.get_zooms()) / 1000
    # Calibration 3 % and dose 1 % (one standard deviation each), four of them.
    assert found == pytest.approx(expected, rel=4 * np.hypot(0.03, 0.01))


def test_every_path_of_the_study_exists_and_it_loads(written, study):
    from igdd.study import load_study

    for scan in study["scan"]:
        assert (written / scan["path"]).exists()
        assert (written / scan["regions"]).exists()
    loaded = load_study(written / "study.toml")
    assert [subject.arm for subject in loaded.document.subject] == ["plain", "targeted"]


def test_one_patient_is_dicom_and_the_others_are_bids(study):
    paths = {scan["subject"]: scan["path"] for scan in study["scan"]}
    assert paths["01"] == "sourcedata/sub-01/ses-24h/pet"
    assert paths["02"].endswith("_pet.nii.gz")


def test_the_study_declares_what_is_known_and_not_what_is_true(study):
    known = study["scanner"]
    assert known["psf"] == "6.0 mm"
    assert known["psf_sd"] == "0.35 mm"  # uniform within 10 %: 0.6 / sqrt(3)
    assert known["cross_calibration"] == {"factor": 1.0, "sd": 0.03}
    # Growth 0.6 mm; shift of up to 4 mm (half an 8 mm voxel), 4/3 mm along the normal.
    assert known["boundary_sd"] == "1.5 mm"
    assert "truth" not in str(study).lower()


def test_boundary_sd_is_that_of_the_drawn_borders():
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((200_000, 3))
    along = direction[:, 0] / np.linalg.norm(direction, axis=1) * rng.uniform(0, 2.0, 200_000)
    border = along + rng.normal(0, 0.6, 200_000)
    # 200,000 draws: known to 0.2 %, five of them.
    assert Trial().boundary_sd == pytest.approx(border.std(), rel=0.01)


def test_what_is_collected_is_what_left_within_its_uncertainty(study, truth):
    given = study["subject"][1]["given"][0]
    net = float(given["activity"].split()[0]) - float(given["residual"].split()[0])
    left = {
        row["region"]: float(row["value"])
        for row in truth
        if row["subject"] == "02" and row["metric"] == "ledger_percent_id"
    }
    for item in study["subject"][1]["collected"]:
        measured, sd = (float(item[key].split()[0]) for key in ("activity", "sd"))
        expected = left[item["place"]] / 100 * net
        # Four standard deviations, and 1 % each of the dose's own (4 of them).
        assert measured == pytest.approx(expected, abs=4 * sd + 0.04 * expected)


def test_the_true_findings_hold_the_effect_and_the_realised_ratio(written, truth):
    with (written / "truth_findings.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    means = []
    for subject in ("01", "02"):
        values = [
            np.log(float(r["value"]))
            for r in truth
            if r["subject"] == subject
            and r["metric"] == "percent_id_per_g"
            and r["region"].startswith("lesion")
        ]
        means.append(np.mean(values))
    assert float(row["population"]) == 1.6
    assert float(row["realised"]) == pytest.approx(np.exp(means[1] - means[0]))


def test_progress_counts_to_the_end(tmp_path):
    from dataclasses import replace

    steps = []
    quick = replace(SMALL, dicom=False)
    trial.simulate(tmp_path, quick, progress=lambda *step: steps.append(step), workers=1)
    assert steps == [("simulate", 0, 2), ("simulate", 1, 2), ("simulate", 2, 2)]


def test_trials_without_patients_or_before_administration_are_refused():
    with pytest.raises(InputError, match="at least one"):
        Trial(patients_per_arm=0)
    with pytest.raises(InputError, match="positive times"):
        Trial(sessions=(0.0,))
    with pytest.raises(InputError, match="seed"):
        Trial(seed=-1)
