"""Dynamic contrast images: units, frames, and a study from image to Ktrans."""

from __future__ import annotations

import tomllib
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from igdd.errors import InputError, StudyError, UnitsError
from igdd.facts import Agent, Declared, Given, Scanner, Subject
from igdd.io.bids import write_label_map, write_nifti
from igdd.modalities.contrast import calibrate
from igdd.stages import session
from igdd.stages.plan import plan
from igdd.study import check_study
from igdd.types import Grid, Series

GRID = Grid(shape=(8, 6, 2), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
SIDECAR = {"Units": "mmol/L", "FrameTimesStart": [0.0, 5.0, 10.0], "FrameDuration": [5.0] * 3}


def calibrated(sidecar=None, subject=None, **declared):
    series = Series(
        modality="MR",
        values=np.full((*GRID.shape, 3), 2.0, dtype=np.float32),
        grid=GRID,
        sidecar=SIDECAR if sidecar is None else sidecar,
        source="dce.nii.gz",
    )
    who = Subject(id="01") if subject is None else subject
    return calibrate(series, who, Agent(), Scanner(), Declared(**declared))


@pytest.mark.parametrize(
    ("stated", "inside", "value", "quantity"),
    [
        ("mmol/L", "mol/mL", 2e-6, "amount_concentration"),
        ("mg/mL", "g/mL", 2e-3, "mass_concentration"),
        ("1/s", "1/s", 2.0, "relaxation_rate"),
        ("1/ms", "1/s", 2000.0, "relaxation_rate"),
        ("HU", "HU", 2.0, "attenuation"),
        ("a.u.", "1", 2.0, "relative"),
    ],
)
def test_the_unit_is_the_sidecars_or_the_studys(stated, inside, value, quantity):
    for image in (
        calibrated(SIDECAR | {"Units": stated}),
        calibrated({key: SIDECAR[key] for key in SIDECAR if key != "Units"}, unit=stated),
    ):
        assert (image.unit, image.quantity, image.analyte) == (inside, quantity, "contrast")
        assert image.values.dtype == np.float32
        assert_allclose(image.values, value, rtol=1e-6)
    assert image.frames.zero.kind == "scan_start"
    assert image.frames.start.tolist() == SIDECAR["FrameTimesStart"]


def test_the_studys_interval_stands_in_for_the_files_times():
    image = calibrated({"Units": "HU"}, interval=2.0)
    assert image.frames.start.tolist() == [0.0, 2.0, 4.0]
    assert image.flags == ()
    assert calibrated(interval=2.0).flags == ("acquisition_override",)


def test_times_count_from_the_injection_where_both_clocks_are_known():
    at = datetime(2026, 5, 1, 12, 0, 30)
    subject = Subject(id="01", given=(Given(at=at),))
    image = calibrated(subject=subject, start=datetime(2026, 5, 1, 12, 0, 0))
    assert image.frames.zero.kind == "administration"
    assert image.frames.start.tolist() == [-30.0, -25.0, -20.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"Units": None}, UnitsError, "nothing says"),
        ({"Units": 5}, UnitsError, "nothing says"),
        ({"Units": "Bq/mL"}, UnitsError, "'Bq/mL'"),
        ({"Units": "furlong"}, UnitsError, "furlong"),
        ({"FrameTimesStart": [0.0, 5.0]}, InputError, "FrameTimesStart"),
        ({"FrameDuration": 5.0}, InputError, "FrameDuration"),
        ({"FrameDuration": ["x"] * 3}, InputError, "FrameDuration"),
        ({"FrameDuration": [5.0, float("nan"), 5.0]}, InputError, "FrameDuration"),
        ({"FrameDuration": None}, InputError, "FrameDuration"),
    ],
)
def test_what_is_not_said_or_not_clear_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        calibrated(SIDECAR | change)


STUDY = """
schema = 1
title = "Contrast"
[[subject]]
id = "01"
[[scan]]
subject = "01"
session = "base"
modality = "contrast"
path = "dce.nii.gz"
regions = "dseg.nii.gz"
[[region]]
name = "tumour"
kind = "lesion"
[[inputs]]
region = "artery"
haematocrit = 0.42
[[fit]]
model = "extended_tofts"
integration = "instant"
regions = { kind = "lesion" }
[[measure]]
metric = "semi_quantitative"
arrival = "24 s"
"""


def test_a_study_goes_from_images_to_the_transfer_constant(tmp_path):
    """Blood straight between the images, tissue by the model's differential equation."""
    Ktrans, ve, vp, step = 0.12 / 60, 0.35, 0.04, 6.0
    begun = step * np.arange(50)
    middle = begun + step / 2
    since = np.maximum(middle - 24.0, 0.0)
    blood = 4 * since / 8 * np.exp(1 - since / 8) + 0.6 * (1 - np.exp(-since / 15))
    # igdd's input begins with zero at the first image's start.
    plasma = (np.append(0.0, middle), np.append(0.0, blood / (1 - 0.42)))
    leaked = solve_ivp(
        lambda t, c: Ktrans * np.interp(t, *plasma) - Ktrans / ve * c,
        (0.0, middle[-1]), [0.0], t_eval=middle, max_step=1.0, rtol=1e-9, atol=1e-12,
    ).y[0]  # fmt: skip
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[:3], labels[4:] = 1, 2
    values = np.zeros((*GRID.shape, middle.size))
    values[labels == 1] = leaked + vp * np.interp(middle, *plasma)
    values[labels == 2] = blood
    sidecar = {"Modality": "MR", "Units": "mmol/L", "FrameTimesStart": begun.tolist(),
               "FrameDuration": [step] * middle.size}  # fmt: skip
    write_nifti(tmp_path / "dce.nii.gz", values, GRID, sidecar)
    write_label_map(tmp_path / "dseg.nii.gz", labels, GRID, {1: "tumour", 2: "artery"})
    study = check_study(tomllib.loads(STUDY), tmp_path / "study.toml")
    (one,) = plan(study)
    table = session.measured(one).measurements

    def value(metric):
        row = table[(table["region"] == "tumour") & (table["metric"] == metric)]
        return float(pd.Series(row["value"]).iloc[0])

    # float32 images: seven digits of the curve
    assert value("extended_tofts_Ktrans") == pytest.approx(60 * Ktrans, rel=1e-4)
    assert value("extended_tofts_ve") == pytest.approx(ve, rel=1e-4)
    assert value("extended_tofts_vp") == pytest.approx(vp, rel=1e-4)
    # Frames are summed: 10 of them within 60 s of the bolus.
    within = (begun >= 24) & (begun < 84)
    area = (leaked + vp * np.interp(middle, *plasma))[within].sum() * step * 1e-6
    assert value("iauc_60") == pytest.approx(area, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "pet", "declared": {"unit": "HU"}}, "'HU' with modality 'pet'"),
        ({"modality": "mr_dce", "declared": {"unit": "HU"}}, "'HU' with modality 'mr_dce'"),
        ({"declared": {"unit": "Bq/mL"}}, "'Bq/mL' with modality 'contrast'"),
        ({"declared": {"unit": "furlong"}}, "'furlong'"),
        ({"declared": {"flip_angle": "15 deg"}}, "declared.flip_angle.*does not read"),
        ({"t1_map": "T1map.nii"}, "t1_map with modality 'contrast'"),
        ({"b1_map": "B1map.nii"}, "b1_map with modality 'contrast'"),
    ],
)
def test_a_study_that_declares_what_the_modality_does_not_read_is_refused(
    tmp_path, changes, message
):
    raw = tomllib.loads(STUDY)
    raw["scan"][0] |= changes
    with pytest.raises(StudyError, match=message):
        check_study(raw, tmp_path / "study.toml")


def test_a_t1_of_a_region_says_nothing_of_amounts(tmp_path):
    raw = tomllib.loads(STUDY.replace('name = "tumour"', 'name = "tumour"\nt1 = "1 s"'))
    write_nifti(
        tmp_path / "dce.nii.gz", np.ones((*GRID.shape, 3)), GRID, {"Modality": "MR", **SIDECAR}
    )
    labels = np.ones(GRID.shape, dtype=np.uint8)
    write_label_map(tmp_path / "dseg.nii.gz", labels, GRID, {1: "tumour"})
    _, image = session.sampled(plan(check_study(raw, tmp_path / "study.toml"))[0])
    assert "T1" not in image.source


def with_blood_in_another_unit(folder, unit):
    """A study of enhancement in `unit`, stated there alone, beside blood in mmol/L."""
    values = np.ones((*GRID.shape, 12))
    sidecar = {"Modality": "CT", "FrameTimesStart": [2.0 * n for n in range(12)],
               "FrameDuration": [2.0] * 12}  # fmt: skip
    write_nifti(folder / "dce.nii.gz", values, GRID, sidecar)
    labels = np.ones(GRID.shape, dtype=np.uint8)
    write_label_map(folder / "dseg.nii.gz", labels, GRID, {1: "tumour"})
    (folder / "blood.tsv").write_text("time\tplasma\n0\t0\n10\t4\n30\t1\n")
    raw = tomllib.loads(STUDY)
    raw["scan"][0] |= {"declared": {"unit": unit}}
    raw["inputs"] = [{"blood": "blood.tsv", "unit": "mmol/L", "time_unit": "s",
                      "zero": "scan_start"}]  # fmt: skip
    return plan(check_study(raw, folder / "study.toml"))[0]


@pytest.mark.parametrize("unit", ["HU", "1/s", "a.u."])
def test_an_input_in_another_kind_of_unit_is_an_error_that_names_both(tmp_path, unit):
    inside = "1" if unit == "a.u." else unit
    with pytest.raises(UnitsError, match=rf"is in mol/mL, the tissue's curves in {inside};"):
        session.measured(with_blood_in_another_unit(tmp_path, unit))
