"""One session: what a study's scan can be besides the plain case."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from igdd.errors import StudyError
from igdd.io.bids import write_label_map, write_nifti
from igdd.stages import session
from igdd.stages.plan import plan
from igdd.study import check_study
from igdd.types import Grid

HEAD = """
schema = 1
title = "sessions"
[agent]
label = { nuclide = "F-18", on = "carrier" }
[[measure]]
metric = "uptake"
"""
SUBJECT = """
[[subject]]
id = "{id}"
weight = "25 g"
[[subject.given]]
at = 2026-03-02T10:00:00
activity = "{activity}"
"""
SIDECAR = {
    "Modality": "PT", "Units": "Bq/mL", "TracerRadionuclide": "F18", "TracerName": "carrier",
    "InjectedRadioactivity": 10.0, "InjectedRadioactivityUnits": "MBq", "TimeZero": "11:00:00",
    "InjectionStart": -3600, "ScanStart": 0, "FrameTimesStart": [0], "FrameDuration": [600],
    "ImageDecayCorrected": True, "ImageDecayCorrectionTime": -3600, "AttenuationCorrection": "CT",
}  # fmt: skip
GRID = Grid(shape=(40, 20, 20), affine=np.diag([1.0, 1.0, 1.0, 1.0]))


def measured(folder: Path, text: str):
    study = check_study(tomllib.loads(HEAD + text), folder / "study.toml")
    return {one.subject.id: session.measured(one) for one in plan(study)}


def two_mice(folder: Path) -> None:
    """Two uniform mice of 100 and 200 kBq/mL side by side, and a region in each."""
    values = np.full(GRID.shape, 1e5)
    values[20:] = 2e5
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[5:10, 5:15, 5:15], labels[25:30, 5:15, 5:15] = 1, 2
    write_nifti(folder / "sub-ab_pet.nii.gz", values, GRID, SIDECAR)
    write_label_map(folder / "sub-ab_dseg.nii.gz", labels, GRID, {1: "left", 2: "right"})


def scan(subject: str, extra: str = "") -> str:
    return f"""
[[scan]]
subject = "{subject}"
session = "1h"
modality = "pet"
path = "sub-ab_pet.nii.gz"
regions = "sub-ab_dseg.nii.gz"
declared = {{ branching_applied = true }}
{extra}
"""


def of(stored: session.StoredSession, region: str, metric: str) -> float:
    table = stored.measurements
    row = table[(table["region"] == region) & (table["metric"] == metric)]
    return float(row["value"].iloc[0])


def test_two_animals_in_one_field_of_view_are_split_by_box(tmp_path):
    two_mice(tmp_path)
    text = SUBJECT.format(id="m1", activity="10 MBq") + SUBJECT.format(id="m2", activity="40 MBq")
    text += scan("m1", "box = [[-0.5, -0.5, -0.5], [19.5, 19.5, 19.5]]")
    text += scan("m2", "box = [[19.5, -0.5, -0.5], [39.5, 19.5, 19.5]]")
    text += '[[region]]\nname = "*"\n'
    found = measured(tmp_path, text)
    # %ID/mL: 0.1 MBq/mL of 10 MBq and 0.2 MBq/mL of 40 MBq, in float32.
    assert of(found["m1"], "left", "percent_id_per_ml") == pytest.approx(1.0, rel=1e-6)
    assert of(found["m2"], "right", "percent_id_per_ml") == pytest.approx(0.5, rel=1e-6)
    assert set(found["m1"].measurements["region"]) == {"left"}  # the other's is no region of m1
    assert set(found["m2"].measurements["region"]) == {"right"}


def test_anatomy_of_the_same_visit_lies_under_the_slice(tmp_path):
    two_mice(tmp_path)
    grid = Grid(shape=(20, 10, 10), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    write_nifti(tmp_path / "sub-ab_ct.nii.gz", np.full(grid.shape, 40.0), grid, {"Modality": "CT"})
    text = SUBJECT.format(id="m1", activity="10 MBq") + scan("m1")
    text += """
[[scan]]
subject = "m1"
session = "1h"
modality = "ct"
path = "sub-ab_ct.nii.gz"
"""
    found = measured(tmp_path, text)["m1"]
    (shown,) = [panel for panel in found.panels if panel.kind == "slice"]
    assert shown.under is not None
    assert shown.under.shape == shown.pixels.shape
    assert np.nanmedian(shown.under) == 40.0


def test_a_dose_without_its_uncertainty_is_flagged(tmp_path):
    two_mice(tmp_path)
    text = SUBJECT.format(id="m1", activity="10 MBq") + scan("m1")
    table = measured(tmp_path, text)["m1"].measurements
    shares = table[table["metric"] == "percent_id"]
    assert shares["flags"].str.contains("dose_sd_unknown").all()
    exact = text.replace('"10 MBq"', '"10 MBq"\nactivity_sd = "0.1 MBq"')
    table = measured(tmp_path, exact)["m1"].measurements
    shares = table[table["metric"] == "percent_id"]
    assert not shares["flags"].str.contains("dose_sd_unknown").any()
    assert (shares["sd_shared"] / shares["value"]).to_numpy() == pytest.approx(0.01)


def test_two_measured_scans_in_one_session_are_refused(tmp_path):
    two_mice(tmp_path)
    text = SUBJECT.format(id="m1", activity="10 MBq") + scan("m1") * 2
    with pytest.raises(StudyError, match="give each measured scan a session of its own"):
        measured(tmp_path, text)


def test_a_gamma_counter_table_runs_through_the_line(tmp_path):
    rows = [
        {"kind": "background", "counts": 600, "count_time_s": 600},
        {"kind": "standard", "counts": 60_600, "count_time_s": 60, "counted_at_s": 0,
         "fraction": 0.01},
        {"kind": "sample", "animal": "m1", "organ": "liver", "time_h": 1.0, "mass_g": 1.25,
         "counts": 30_360, "count_time_s": 60, "counted_at_s": 0},
        {"kind": "sample", "animal": "m2", "organ": "liver", "time_h": 1.0, "mass_g": 1.0,
         "counts": 300, "count_time_s": 60, "counted_at_s": 0},
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "counts.csv", index=False)
    text = SUBJECT.format(id="m1", activity="10 MBq")
    text += '[[scan]]\nsubject = "m1"\nsession = "1h"\nmodality = "ex_vivo"\npath = "counts.csv"\n'
    found = measured(tmp_path, text)["m1"]
    # Net rates 1009 /s for 1 % of the dose, and 505 /s in the liver.
    assert of(found, "liver", "percent_id") == pytest.approx(505 / 1009, rel=1e-9)
    assert of(found, "liver", "percent_id_per_g") == pytest.approx(505 / 1009 / 1.25, rel=1e-9)
    assert set(found.measurements["subject"]) == {"m1"}
    assert set(found.measurements["analyte"]) == {"label"}  # what a counter and a scanner see
    assert found.panels == ()


def test_a_folder_of_several_series_asks_which(tmp_path):
    two_mice(tmp_path)
    (tmp_path / "pet").mkdir()
    for name in ("sub-ab_pet", "sub-ac_pet"):
        for ending in (".nii.gz", ".json"):
            shutil.copy(tmp_path / f"sub-ab_pet{ending}", tmp_path / "pet" / f"{name}{ending}")
    text = SUBJECT.format(id="m1", activity="10 MBq")
    text += scan("m1").replace('path = "sub-ab_pet.nii.gz"', 'path = "pet"')
    with pytest.raises(StudyError, match=r"2 of 2 series fit .* say\s+which with scan\.series"):
        measured(tmp_path, text)
    chosen = text.replace('path = "pet"', 'path = "pet"\nseries = "sub-ac"')
    assert len(measured(tmp_path, chosen)["m1"].measurements)
