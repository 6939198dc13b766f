"""IBSI 2, phase 2: every feature value of the filtered CT phantom; filters that cannot be meant."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.metrics.ibsi_configuration import configuration, names
from igdd.metrics.ibsi_configuration import parse as parse_configuration
from igdd.metrics.ibsi_filters import parse
from igdd.metrics.texture import expected, features

SHEET = "radiomics/ibsi2/reference_feature_values_phase2.csv"
IDS = [f"{number}.{letter}" for number in range(1, 10) for letter in "AB"]
# The one value of the 324 on which the teams found no consensus: the sheet leaves it empty.
WITHOUT_CONSENSUS = {("8.B", "stat_qcod")}


@pytest.fixture(scope="module")
def sheet(reference):
    with reference(SHEET).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter=";"))


@pytest.fixture(scope="module")
def phantom(reference):
    import nibabel

    image, mask = (
        nibabel.load(reference(f"radiomics/ibsi1/ct_phantom/nifti/{name}.nii.gz"))
        for name in ("phantom", "mask")
    )
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    return np.asarray(image.dataobj, np.float32), np.asarray(mask.dataobj) > 0, spacing


@pytest.mark.reference
def test_the_sheet_asks_for_324_values(sheet):
    assert len(sheet) == 324
    assert {row["filter_id"] for row in sheet} == set(IDS)
    empty = {(r["filter_id"], r["feature_tag"]) for r in sheet if not r["consensus_value"]}
    assert empty == WITHOUT_CONSENSUS


@pytest.mark.reference
@pytest.mark.parametrize("name", IDS)
def test_every_feature_of_a_filtered_image_has_its_reference_value(name, sheet, phantom):
    rows = {row["feature_tag"]: row for row in sheet if row["filter_id"] == name}
    assert len(rows) == 18
    found = features(*phantom, configuration(name)).values
    assert set(found) == set(rows)
    wrong = {}
    for tag, row in rows.items():
        if (name, tag) in WITHOUT_CONSENSUS:
            assert np.isfinite(found[tag])
            continue
        wanted, tolerance = float(row["consensus_value"]), float(row["tolerance"])
        # 1e-9 of the value: tolerances are decimal numbers, and so are their differences.
        if not abs(found[tag] - wanted) <= tolerance + 1e-9 * abs(wanted):
            wrong[tag] = found[tag], wanted, tolerance
    assert not wrong


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.A", "ibsi2_1a"),
        ("9.b", "ibsi2_9b"),
        ("ibsi2_3_B", "ibsi2_3b"),
        ("IBSI 2 3.B", "ibsi2_3b"),
        ("phase2_4a", "ibsi2_4a"),
        ("config 4.A", "ibsi2_4a"),
        ("1_A", "ibsi_a"),
        ("ibsi_1_b", "ibsi_b"),
        ("A", "ibsi_a"),
    ],
)
def test_a_setting_is_found_however_it_is_written(written, meant):
    assert configuration(written).name == meant


@pytest.mark.parametrize("written", ["1a", "ibsi_1a", "ibsi 1.A", "ibsi2", "2_c", "0.A", "1.C"])
def test_a_setting_that_could_be_of_either_standard_is_refused(written):
    with pytest.raises(InputError, match=r"is not known; expected one of .*ibsi2_1a"):
        configuration(written)


def test_all_settings_of_phase_2_ship():
    found = [name for name in names() if name.startswith("ibsi2_")]
    assert len(found) == 18
    for name in found:
        settings = configuration(name)
        assert settings.name == name
        assert (settings.filter is None) == ("_1" in name)
        assert set(expected(settings)) == {tag for tag in expected(settings) if "stat_" in tag}


GOOD = {
    "mean": {"method": "mean", "padding": "mirror", "dimensions": 3, "support": 5},
    "log": {
        "method": "laplacian_of_gaussian",
        "padding": "zero",
        "dimensions": 3,
        "sigma_mm": 1.5,
        "riesz": [0, 1, 0],
    },
    "laws": {"method": "laws", "padding": "zero", "kernels": "L5E5", "pooling": "max", "delta": 7},
    "gabor": {
        "method": "gabor",
        "padding": "nearest",
        "dimensions": 2,
        "sigma_mm": 5,
        "wavelength_mm": 2,
        "gamma": 1.5,
        "theta_degrees": 60,
    },
    "wavelet": {"method": "wavelet", "padding": "mirror", "wavelet": "db3", "band": "LLH"},
    "simoncelli": {"method": "simoncelli", "padding": "periodic", "dimensions": 2, "level": 2},
}


@pytest.mark.parametrize("name", GOOD)
def test_what_a_filter_needs_and_knows_is_said(name):
    table = GOOD[name]
    made = parse(table)
    assert made.method == table["method"]
    with pytest.raises(InputError, match=r"filter\.size is not known"):
        parse({**table, "size": 3})
    with pytest.raises(InputError, match=r"filter\.padding is missing"):
        parse({key: value for key, value in table.items() if key != "padding"})
    with pytest.raises(InputError, match=r"filter\.padding is 'reflect'; expected one of zero"):
        parse({**table, "padding": "reflect"})
    with pytest.raises(InputError, match=r"filter\.method is 'sobel'"):
        parse({**table, "method": "sobel"})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("mean", "support", 4),
        ("mean", "support", 0),
        ("mean", "support", 5.0),
        ("mean", "support", 10**9 + 1),
        ("mean", "dimensions", 1),
        ("mean", "dimensions", True),
        ("log", "sigma_mm", 0),
        ("log", "sigma_mm", float("nan")),
        ("log", "sigma_mm", float("inf")),
        ("log", "sigma_mm", "1.5 mm"),
        ("log", "sigma_mm", True),
        ("log", "cutoff", -1),
        ("log", "riesz", [0, 0, 0]),
        ("log", "riesz", [1, 0]),
        ("log", "riesz", [-1, 1, 0]),
        ("log", "riesz", [0.5, 0, 0]),
        ("log", "riesz", "x"),
        ("laws", "kernels", "L5Q5"),
        ("laws", "kernels", 5),
        ("laws", "pooling", "sum"),
        ("laws", "delta", -1),
        ("laws", "delta", 1.5),
        ("gabor", "gamma", 0),
        ("gabor", "wavelength_mm", None),
        ("gabor", "theta_degrees", "60"),
        ("gabor", "theta_degrees", None),
        ("gabor", "step_degrees", 45),
        ("gabor", "pooling", "sum"),
        ("wavelet", "wavelet", "sym5"),
        ("wavelet", "wavelet", 3),
        ("wavelet", "band", "LX"),
        ("wavelet", "level", 0),
        ("wavelet", "level", 9),
        ("wavelet", "level", True),
        ("simoncelli", "level", 1.0),
        ("simoncelli", "riesz", [1, 0, 0]),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(name, key, value):
    with pytest.raises(InputError):
        parse({**GOOD[name], key: value})


@pytest.mark.parametrize("step", [0, -45, 0.5, 7, 361, float("nan"), "45", True])
def test_directions_go_round_in_whole_steps(step):
    table = {key: value for key, value in GOOD["gabor"].items() if key != "theta_degrees"}
    with pytest.raises(InputError, match="whole part of 360"):
        parse({**table, "step_degrees": step})
    assert parse({**table, "step_degrees": 22.5})


CONFIGURATION = """
aggregations = ["3D_comb"]
[resegment]
range = [-20, 20]
[discretise]
method = "fixed_number"
number = 16
[volume_histogram]
method = "fixed_number"
number = 100
"""
MEAN = """
[filter]
method = "mean"
padding = "{padding}"
dimensions = 3
support = 3
"""


@pytest.fixture
def blobs():
    rng = np.random.default_rng(4)
    image = rng.normal(0, 10, (30, 28, 26))
    i, j, k = np.indices(image.shape)
    return image, (i - 6) ** 2 + (j - 14) ** 2 + (k - 13) ** 2 <= 25, np.array([2.0, 2.0, 2.0])


def test_the_region_is_that_of_the_image_and_the_values_those_of_the_response(blobs):
    from scipy.ndimage import uniform_filter

    image, mask, _ = blobs
    found = features(
        *blobs, parse_configuration(CONFIGURATION + MEAN.format(padding="mirror"), "x")
    )
    inside = mask & (np.abs(image) <= 20)
    wanted = uniform_filter(image, 3, mode="reflect")[inside]
    assert 0 < inside.sum() < mask.sum()
    assert found.values["stat_mean"] == pytest.approx(wanted.mean(), rel=1e-12)
    assert found.values["stat_max"] == pytest.approx(wanted.max(), rel=1e-12)
    plain = features(*blobs, parse_configuration(CONFIGURATION, "x")).values
    assert found.values["morph_volume"] == plain["morph_volume"]
    assert found.values["cm_contrast_3D_comb"] != plain["cm_contrast_3D_comb"]
    assert all(np.isfinite(value) for value in found.values.values())


@pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
@pytest.mark.parametrize("interpolated", [False, True])
def test_what_is_cut_around_a_region_answers_as_the_whole_image_does(blobs, padding, interpolated):
    """The region lies beside an edge; the image's far side matters to a periodic one alone."""
    image, mask, spacing = blobs
    text = CONFIGURATION + MEAN.format(padding=padding).replace("support = 3", "support = 9")
    text = text.replace("[resegment]\nrange = [-20, 20]", "")
    if interpolated:
        text += '[interpolate]\nspacing_mm = [1.5, 2.0, 3.0]\nimage = "linear"\n'
    settings = parse_configuration(text, "x")
    one = features(image, mask, spacing, settings).values["stat_mean"]
    far = image.copy()
    far[-2:] += 1000
    other = features(far, mask, spacing, settings).values["stat_mean"]
    assert (other == pytest.approx(one, abs=1e-9)) == (padding != "periodic")


def test_a_hole_takes_its_neighbours_along(blobs):
    image, mask, spacing = blobs
    image[6, 14, 13] = np.nan
    settings = parse_configuration(CONFIGURATION + MEAN.format(padding="mirror"), "x")
    found = features(image, mask, spacing, settings)
    assert "nan_voxels" in found.flags
    assert np.isfinite(found.values["stat_mean"])
    endless = '[filter]\nmethod = "simoncelli"\npadding = "mirror"\ndimensions = 3\n'
    nothing = features(image, mask, spacing, parse_configuration(CONFIGURATION + endless, "x"))
    assert set(nothing.flags) == {"empty_region", "nan_voxels", "feature_undefined"}
    assert np.isnan(nothing.values["stat_mean"])


def test_families_that_are_not_asked_for_need_no_bins():
    text = 'aggregations = ["3D_comb"]\nfamilies = ["stat", "loc"]\n'
    settings = parse_configuration(text, "x")
    assert {tag.split("_")[0] for tag in expected(settings)} == {"stat", "loc"}
    with pytest.raises(InputError, match=r"\[volume_histogram\] is missing"):
        parse_configuration(text.replace('"loc"', '"ivh"'), "x")
    with pytest.raises(InputError, match=r"\[discretise\] is missing"):
        parse_configuration(text.replace('"loc"', '"cm"'), "x")
    with pytest.raises(InputError, match="families is 'stats'"):
        parse_configuration(text.replace('"stat"', '"stats"'), "x")
    with pytest.raises(InputError, match="families names one twice"):
        parse_configuration(text.replace('"loc"', '"stat"'), "x")


def test_a_filter_is_part_of_the_hash():
    one = parse_configuration(CONFIGURATION + MEAN.format(padding="mirror"), "x")
    assert one.hash != parse_configuration(CONFIGURATION + MEAN.format(padding="zero"), "x").hash
    assert one.hash != parse_configuration(CONFIGURATION, "x").hash
    with pytest.raises(InputError, match=r"expected a table \[filter\]"):
        parse_configuration("filter = 3\n" + CONFIGURATION, "x")
