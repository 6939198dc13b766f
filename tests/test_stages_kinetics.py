"""Kinetics of a study's session: inputs, fits, maps, and what they leave in the results."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import igdd
from igdd.errors import InputError, StudyError
from igdd.io.bids import write_label_map, write_nifti
from igdd.kinetics import InputCurve, Protocol
from igdd.models import two_tissue_irreversible
from igdd.stages import session
from igdd.stages.plan import plan
from igdd.study import check_study
from igdd.types import Frames, Grid, Zero

START = np.concatenate([np.arange(0, 60, 5), np.arange(60, 300, 30), np.arange(300, 3601, 300)])
DURATION = np.append(np.diff(START), 300.0).astype(float)
TIME = np.concatenate([np.arange(0, 120, 2.0), np.arange(120, 4000, 30.0)])
# Rising for 20 s, then falling on two scales; Bq/mL of plasma without metabolites.
PLASMA = np.where(
    TIME < 20, TIME / 20 * 8e4, 6e4 * np.exp(-(TIME - 20) / 60) + 2e4 * np.exp(-TIME / 3000)
)
TRUTH = {"tumour": (0.10 / 60, 0.20 / 60, 0.06 / 60), "muscle": (0.03 / 60, 0.15 / 60, 0.005 / 60)}
GRID = Grid(shape=(12, 10, 6), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
STUDY = """
schema = 1
title = "A dynamic scan"
[agent]
label = { nuclide = "F-18", on = "carrier" }
[[subject]]
id = "01"
weight = "70 kg"
[[subject.given]]
activity = "200 MBq"
[[scan]]
subject = "01"
session = "dyn"
modality = "pet"
path = "sub-01_pet.nii.gz"
regions = "sub-01_dseg.nii.gz"
declared = { branching_applied = true }
[[region]]
name = "tumour"
kind = "lesion"
[[measure]]
metric = "uptake"
"""
INPUTS = """
[[inputs]]
blood = "sub-01_blood.tsv"
substance = "parent"
decay_corrected = true
"""


def protocol() -> Protocol:
    curve = {"time": TIME, "values": PLASMA, "unit": "Bq/mL"}
    return Protocol(
        frames=Frames(start=START.astype(float), duration=DURATION, zero=Zero(kind="scan_start")),
        inputs={
            "plasma": InputCurve(compartment="plasma", substance="parent", **curve),
            "blood": InputCurve(compartment="blood", substance="total", **curve),
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A noiseless dynamic scan of two tissues that trap, without blood in them."""
    place = tmp_path_factory.mktemp("dynamic")
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[2:5, 2:8, 1:5], labels[7:10, 2:8, 1:5] = 1, 2
    rates = [[*TRUTH[name], 0.0, 0.0] for name in ("tumour", "muscle")]
    curves = two_tissue_irreversible.predict(np.array(rates), protocol())
    values = np.zeros((*GRID.shape, START.size))
    for number, curve in enumerate(curves, start=1):
        values[labels == number] = curve
    sidecar = {
        "Modality": "PT", "Units": "Bq/mL", "TracerRadionuclide": "F18", "TracerName": "carrier",
        "InjectedRadioactivity": 200.0, "InjectedRadioactivityUnits": "MBq",
        "TimeZero": "11:00:00", "InjectionStart": 0, "ScanStart": 0,
        "FrameTimesStart": START.tolist(), "FrameDuration": DURATION.tolist(),
        "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0, "AttenuationCorrection": "CT",
    }  # fmt: skip
    write_nifti(place / "sub-01_pet.nii.gz", values, GRID, sidecar)
    names = {1: "tumour", 2: "muscle"}
    write_label_map(place / "sub-01_dseg.nii.gz", labels, GRID, names)
    table = {"time": TIME, "plasma_radioactivity": PLASMA, "whole_blood_radioactivity": PLASMA}
    pd.DataFrame(table).to_csv(place / "sub-01_blood.tsv", sep="\t", index=False)
    units = {"time": "s", "plasma_radioactivity": "Bq/mL", "whole_blood_radioactivity": "Bq/mL"}
    (place / "sub-01_blood.json").write_text(
        json.dumps({name: {"Units": unit} for name, unit in units.items()}), encoding="utf-8"
    )
    return place


def stored(folder: Path, text: str, scratch: Path | None = None) -> session.StoredSession:
    """What the session of a study leaves; its maps only where there is a scratch folder."""
    study = check_study(tomllib.loads(STUDY + text), folder / "study.toml")
    (one,) = plan(study)
    return session.measured(one, scratch)


def value(table: pd.DataFrame, region: str, metric: str) -> float:
    row = table[(table["region"] == region) & (table["metric"] == metric)]
    return float(row["value"].iloc[0])


def test_parameters_of_every_region_are_rows_in_display_units(folder):
    table = stored(
        folder, INPUTS + '[[fit]]\nmodel = "two_tissue_irreversible"\nhold = { Vb = "0" }'
    ).measurements
    for region, (K1, k2, k3) in TRUTH.items():
        metric = "two_tissue_irreversible_Ki"
        # float32 images and a gzip: six digits of the curve, five of a net rate
        assert value(table, region, metric) == pytest.approx(60 * K1 * k3 / (k2 + k3), rel=1e-3)
    rows = table[table["metric"] == "two_tissue_irreversible_Ki"]
    assert set(rows["unit"]) == {"mL/cm3/min"}
    assert set(rows["region"]) == {"tumour", "muscle"}


def test_a_fit_alone_is_a_study(folder):
    asked = '[[fit]]\nmodel = "semi_quantitative"\n'
    text = STUDY.replace('[[measure]]\nmetric = "uptake"\n', asked)
    (one,) = plan(check_study(tomllib.loads(text), folder / "study.toml"))
    metrics = set(session.measured(one).measurements["metric"])
    assert metrics == {metric for metric in metrics if metric.startswith("semi_quantitative_")}
    assert "semi_quantitative_iauc_60" in metrics


def test_figures_of_the_curves_need_no_input(folder):
    table = stored(folder, '[[fit]]\nmodel = "semi_quantitative"\n').measurements
    rows = table[table["metric"] == "semi_quantitative_iauc_60"]
    assert set(rows["unit"]) == {"Bq.s/mL"}
    expected = two_tissue_irreversible.predict(
        np.array([[*TRUTH["tumour"], 0.0, 0.0]]), protocol()
    )[0]  # fmt: skip
    area = float((expected * DURATION)[START < 60].sum())
    # float32 images: seven digits
    assert value(table, "tumour", "semi_quantitative_iauc_60") == pytest.approx(area, rel=1e-5)


def test_regions_are_chosen_by_kind(folder):
    made = stored(
        folder,
        INPUTS + '[[fit]]\nmodel = "patlak"\nstart = "20 min"\nregions = { kind = "lesion" }',
    )
    assert made.fits[0].regions == ("tumour",)
    assert np.isnan(made.fits[0].predicted[0, START < 1200]).all()


def test_a_reference_region_is_an_input(folder):
    text = '[[inputs]]\nreference = "muscle"\n[[fit]]\nmodel = "reference_patlak"\n'
    made = stored(folder, text + 'start = "20 min"\nregions = { name = ["tumour"] }')
    assert np.isfinite(value(made.measurements, "tumour", "reference_patlak_Kiref"))


def test_what_serves_as_input_is_fitted_only_when_asked_for(folder):
    text = '[[inputs]]\nreference = "muscle"\n[[fit]]\nmodel = "reference_patlak"\n'
    left = stored(folder, text + 'start = "20 min"').fits[0].regions
    assert "muscle" not in left
    asked = stored(folder, text + 'start = "20 min"\nregions = { name = ["muscle", "tumour"] }')
    assert set(asked.fits[0].regions) == {"muscle", "tumour"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('region = "muscle"\nportal = "tumour"\ndelay = "5 s"', "'delay' says nothing of the reg"),
        ('region = "muscle"\nportal = "tumour"\nblood = "sub-01_blood.tsv"', "'manual' says"),
        ('region = "muscle"\ndose = "0.1 mmol/kg"', "'dose' says nothing of region 'muscle'"),
        ('blood = "sub-01_blood.tsv"\nrecovery = 0.9', "'recovery' says nothing of measured blood"),
        ('population = "parker"\nrecovery = 0.9', "'recovery' says nothing of population"),
        ('reference = "muscle"\ndelay = "5 s"', "'delay' says nothing of a reference region"),
    ],
)
def test_an_option_that_an_input_cannot_use_is_refused(folder, source, said):
    with pytest.raises(InputError, match=said):
        stored(folder, f'[[inputs]]\n{source}\n[[fit]]\nmodel = "srtm"')


PATLAK = INPUTS + '[[fit]]\nmodel = "patlak"\nstart = "20 min"\n'


def test_frames_weigh_as_the_study_says(folder):
    alike = f"sd = {np.full(START.size, 2.0).tolist()}"
    said = [stored(folder, PATLAK + more).measurements for more in ("", 'sd = "counts"', alike)]
    Ki = [value(one, "tumour", "patlak_Ki") for one in said]
    # the plot of a noiseless curve is all but straight: its points' weights move it a little
    assert len(set(Ki)) == 3
    assert Ki == pytest.approx([Ki[0]] * 3, rel=1e-2)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('sd = "noise"', InputError, "noise of the curves is not known"),
        ("sd = [1.0, 2.0]", InputError, "sd has shape"),
        ('sd = "guess"', StudyError, "guess"),
    ],
)
def test_a_weighting_that_cannot_be_had_is_refused(folder, text, error, said):
    with pytest.raises(error, match=said):
        stored(folder, PATLAK + text)


def test_the_frames_of_a_map_weigh_by_what_all_voxels_share(folder, tmp_path):
    mapped = PATLAK.replace("fit", "map")
    stored(folder, mapped + 'sd = "counts"', tmp_path)
    account = next(tmp_path.rglob("map.json"))
    assert json.loads(account.read_text())["FrameDeviations"][-1] > 0
    with pytest.raises(InputError, match="expected 'counts', 'equal' or numbers"):
        stored(folder, mapped + 'sd = "root"', tmp_path)


def test_blood_without_a_clock_is_refused(folder, tmp_path):
    for name in ("sub-01_pet.nii.gz", "sub-01_dseg.nii.gz", "sub-01_dseg.tsv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    sidecar = json.loads((folder / "sub-01_pet.json").read_text(encoding="utf-8"))
    sidecar["FrameTimesStart"] = "unknown"
    (tmp_path / "sub-01_pet.json").write_text(json.dumps(sidecar), encoding="utf-8")
    for name in ("sub-01_blood.tsv", "sub-01_blood.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(igdd.errors.IgddError):
        stored(tmp_path, INPUTS + '[[fit]]\nmodel = "patlak"')


def test_the_clock_of_a_scan_in_a_folder_is_that_of_its_image(folder, tmp_path):
    (tmp_path / "pet").mkdir()
    for path in folder.iterdir():
        place = tmp_path / "pet" if "_pet" in path.name else tmp_path
        (place / path.name).write_bytes(path.read_bytes())
    text = STUDY.replace('"sub-01_pet.nii.gz"', '"pet"') + INPUTS + '[[fit]]\nmodel = "patlak"\n'
    (one,) = plan(check_study(tomllib.loads(text), tmp_path / "study.toml"))
    assert np.isfinite(value(session.measured(one).measurements, "tumour", "patlak_Ki"))


def test_a_model_without_its_input_is_refused_by_the_plan(folder):
    with pytest.raises(StudyError, match=r"needs an input.*\[\[inputs\]\]"):
        stored(folder, '[[fit]]\nmodel = "patlak"')


def test_a_region_that_is_not_drawn_is_refused(folder):
    with pytest.raises(StudyError, match=r"chooses none of muscle, tumour"):
        stored(folder, INPUTS + '[[fit]]\nmodel = "patlak"\nregions = { name = ["liver"] }')


@pytest.mark.integration
def test_a_run_leaves_maps_rows_pictures_and_a_report(folder, tmp_path):
    text = INPUTS + (
        '[[fit]]\nmodel = "patlak"\nstart = "20 min"\n'
        '[[map]]\nmodel = "patlak"\nstart = "20 min"\nregions = { kind = "lesion" }\n'
    )
    study = check_study(tomllib.loads(STUDY + text), folder / "study.toml")
    results = igdd.run(study, tmp_path / "out", workers=1)
    maps = tmp_path / "out" / "sessions" / "01_dyn" / "maps"
    path = next(one for one in sorted(maps.rglob("*Ki*.nii*")) if "sd" not in one.name.lower())
    Ki = np.asarray(nib.load(path).dataobj).reshape(GRID.shape)
    inside = Ki[2:5, 2:8, 1:5]
    assert inside == pytest.approx(value(results.measurements, "tumour", "patlak_Ki"), rel=1e-4)
    assert np.isnan(Ki[0, 0, 0])
    assert {panel.quantity for panel in results.panels if panel.kind == "map"} >= {"patlak Ki"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Parametric map: Patlak Ki" in page
    assert "Patlak: parameters" in page
