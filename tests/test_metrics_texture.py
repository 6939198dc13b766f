"""IBSI 1 in full: every standardised value of the digital and the CT phantom; hostile regions."""

from __future__ import annotations

import csv
import time
import tracemalloc

import numpy as np
import pytest

from igdd.errors import InputError, StudyError
from igdd.kernels.intensity_features import energy, histogram, statistics, volume_histogram
from igdd.kernels.morphology import shape
from igdd.kernels.texture_features import Texture
from igdd.metrics.ibsi_configuration import configuration, parse
from igdd.metrics.ibsi_diagnostics import diagnostics
from igdd.metrics.texture import expected, features, table, tags, texture

SHEET = "radiomics/ibsi1/reference_values/ibsi1_reference_values_all.csv"
# Standardised features of each sheet; five more of each (OMBB, MVEE, area under the volume
# histogram) have no reference value and are not part of the standard.
COUNTS = {
    "digital_phantom": 482,
    "config_A": 346,
    "config_B": 346,
    "config_C": 210,
    "config_D": 210,
    "config_E": 210,
}
SPACING = np.array([2.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def sheet(reference):
    with reference(SHEET).open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["reference_value"]]


@pytest.fixture(scope="module")
def phantoms(reference):
    import nibabel

    def load(folder):
        image, mask = (
            nibabel.load(reference(f"radiomics/ibsi1/{folder}/{name}.nii.gz"))
            for name in ("phantom", "mask")
        )
        spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
        return np.asarray(image.dataobj, np.float32), np.asarray(mask.dataobj) > 0, spacing

    return {"digital": load("digital_phantom"), "ct": load("ct_phantom/nifti")}


def agrees(value: float, row) -> bool:
    """The rule of the compliance sheets: rounded to 3 digits, within the tolerance."""
    wanted, tolerance = float(row["reference_value"]), float(row["tolerance"])
    digits = [value, float(f"{value:.3g}")]
    # 1e-9 of the value: tolerances are decimal numbers, and so are their differences.
    return any(abs(one - wanted) <= tolerance + 1e-9 * abs(wanted) for one in digits)


@pytest.mark.reference
@pytest.mark.parametrize("name", COUNTS)
def test_every_standardised_feature_has_its_reference_value(name, sheet, phantoms):
    wanted = {
        row["tag"]: row
        for row in sheet
        if row["configuration"] == name and not row["family"].startswith("Diag")
    }
    assert len(wanted) == COUNTS[name]
    image, mask, spacing = phantoms["digital" if name == "digital_phantom" else "ct"]
    found = features(image, mask, spacing, configuration(name)).values
    assert set(found) == set(wanted)
    wrong = {
        tag: (found[tag], row["reference_value"], row["tolerance"])
        for tag, row in wanted.items()
        if not agrees(found[tag], row)
    }
    assert not wrong


@pytest.mark.reference
@pytest.mark.parametrize("letter", "ABCDE")
def test_every_diagnostic_has_its_reference_value(letter, sheet, phantoms):
    wanted = {
        row["tag"]: row
        for row in sheet
        if row["configuration"] == f"config_{letter}" and row["family"].startswith("Diag")
    }
    assert len(wanted) == 60
    found = diagnostics(*phantoms["ct"], configuration(letter))
    assert set(found) == set(wanted)
    assert not {tag: found[tag] for tag, row in wanted.items() if not agrees(found[tag], row)}


@pytest.mark.reference
def test_the_table_is_that_of_the_standard(sheet):
    names = {
        row["tag"]: row["feature"] for row in sheet if row["configuration"] == "digital_phantom"
    }
    known = expected(configuration("digital_phantom"))
    assert {tag: feature.name for tag, feature in known.items()} == names


def test_169_features_each_with_a_code_of_its_own():
    assert len(table()) == 169
    assert len({feature.code for feature in table()}) == 169
    assert all(len(feature.code) == 4 for feature in table())


def test_the_order_of_the_kernels_is_the_order_of_the_table():
    rng = np.random.default_rng(0)
    levels = rng.integers(1, 4, (5, 5, 5))
    region = np.ones(levels.shape, bool)
    values = levels.ravel()
    found = Texture(levels, region, 3)
    sizes, distances = found.sizes("3D")
    tones, dependences = found.around("3D")
    assert [f"cm_{name}" for name in found.pairs("3D_comb")] == list(tags("cm"))
    assert [f"ngt_{name}" for name in tones] == list(tags("ngt"))
    for family, numbers, length in (
        ("rlm", found.lengths("3D_comb"), 16),
        ("szm", sizes, 16),
        ("dzm", distances, 16),
        ("ngl", dependences, 17),
    ):
        assert len(tags(family)) == length
        assert len(numbers) == 17  # the energy of the last family, which the others leave out
    intensity = statistics(values)
    assert {f"stat_{name}" for name in intensity | energy(values)} == set(tags("stat"))
    assert {f"ih_{name}" for name in intensity | histogram(values)} == set(tags("ih"))
    ivh = volume_histogram(values - 1, 2, first_value=1.0, step=1.0)
    assert {f"ivh_{name}" for name in ivh} == set(tags("ivh"))
    others = {"morph_com", "morph_integ_int", "morph_moran_i", "morph_geary_c"}
    assert {f"morph_{name}" for name in shape(region, SPACING)} | others == set(tags("morph"))


@pytest.fixture
def noisy():
    rng = np.random.default_rng(1)
    image = rng.normal(50, 10, (24, 22, 20))
    i, j, k = np.indices(image.shape)
    return image, (i - 12) ** 2 + (j - 11) ** 2 + (k - 10) ** 2 <= 49


def test_with_a_fixed_number_of_bins_texture_does_not_know_the_unit(noisy):
    image, mask = noisy
    settings = configuration("volume")
    one = features(image, mask, SPACING, settings).values
    other = features(image * 1e6, mask, SPACING, settings).values
    for tag in one:
        if tag.startswith(("cm_", "rlm_", "szm_", "dzm_", "ngt_", "ngl_", "ih_")):
            assert other[tag] == pytest.approx(one[tag], rel=1e-9), tag


def test_what_lies_outside_the_region_changes_only_its_peaks(noisy):
    image, mask = noisy
    settings = configuration("volume")
    one = features(image, mask, SPACING, settings).values
    other = features(np.where(mask, image, 1e4), mask, SPACING, settings).values
    changed = {tag for tag in one if one[tag] != other[tag]}
    assert changed == {"loc_peak_loc", "loc_peak_glob"}


def test_a_margin_of_empty_image_changes_nothing(noisy):
    image, mask = noisy
    settings = configuration("volume")
    wide = np.pad(image, 9, mode="wrap"), np.pad(mask, 9)
    one = features(image, mask, SPACING, settings).values
    other = features(*wide, SPACING, settings).values
    for tag in one:
        if not tag.startswith("loc_"):
            assert other[tag] == pytest.approx(one[tag], rel=1e-9), tag


def region_of(case: str):
    rng = np.random.default_rng(2)
    image = rng.normal(50, 10, (12, 12, 12))
    mask = np.zeros(image.shape, bool)
    box = (slice(2, 8),) * 3
    if case in ("one voxel", "corner voxel"):
        mask[(0, 0, 0) if case == "corner voxel" else (5, 5, 5)] = True
    elif case == "two voxels":
        mask[3, 5, 5] = mask[9, 5, 5] = True
    elif case == "one row":
        mask[2:9, 5, 5] = True
    elif case == "whole image":
        mask[:] = True
    elif case != "empty":
        mask[box] = True
    if case == "two levels":
        image = np.where(image > 50, 2.0, 1.0)
    if case == "flat":
        image[:] = 7.1
    if case == "zero":
        image[:] = 0.0
    if case == "all nan":
        image[:] = np.nan
    if case == "some nan":
        image[4:6] = np.nan
    if case == "infinite":
        image[4, 4, 4], image[5, 5, 5] = np.inf, -np.inf
    if case == "huge":
        image *= 1e200
    return image, mask


CASES = {
    "one voxel": {"few_voxels", "feature_undefined"},
    "corner voxel": {"few_voxels", "feature_undefined"},
    "two voxels": {"few_voxels", "feature_undefined"},
    "one row": {"few_voxels", "feature_undefined"},
    "two levels": set(),
    "flat": {"feature_undefined"},
    "zero": {"feature_undefined"},
    "whole image": set(),
    "some nan": {"nan_voxels"},
    "infinite": {"nan_voxels"},
    "all nan": {"empty_region", "nan_voxels", "feature_undefined"},
    "empty": {"empty_region"},
    "huge": {"feature_undefined"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_region_gives_every_tag_and_says_what_is_undefined(case):
    settings = configuration("volume")
    found = features(*region_of(case), SPACING, settings)
    assert set(found.values) == set(expected(settings))
    assert set(found.flags) == CASES[case]
    finite = [np.isfinite(value) for value in found.values.values()]
    assert all(finite) == ("feature_undefined" not in found.flags and case != "empty")
    assert not any(np.isinf(value) for value in found.values.values())


@pytest.mark.parametrize("name", ["A", "B", "C", "D", "E", "validation_pet", "validation_mr"])
@pytest.mark.parametrize("case", CASES)
def test_no_configuration_breaks_on_a_hostile_region(case, name):
    settings = configuration(name)
    image, mask = region_of(case)
    if case == "huge" and name in ("D", "validation_pet", "validation_mr"):
        with pytest.raises(InputError, match=r"bins of|grey levels; expected at most"):
            features(image, mask, SPACING, settings)
        return
    found = features(image, mask, SPACING, settings)
    assert set(found.values) == set(expected(settings))


BINS = """
aggregations = ["3D_comb"]
[discretise]
method = "fixed_size"
width = {width}
anchor = 0
[volume_histogram]
method = "fixed_size"
width = {fine}
anchor = 0
"""


def test_a_billion_grey_levels_are_refused_before_they_cost_anything(noisy):
    settings = parse(BINS.format(width="1e-7", fine="0.1"), "fine")
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(InputError, match="grey levels; expected at most"):
        features(*noisy, SPACING, settings)
    assert time.perf_counter() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_billion_bins_of_the_volume_histogram_are_never_laid_out(noisy):
    image, mask = noisy
    settings = parse(BINS.format(width="10", fine="1e-7"), "fine")
    features(image, mask, SPACING, settings)
    tracemalloc.start()
    found = features(image, mask, SPACING, settings).values
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    values = np.sort(image[mask])
    assert found["ivh_i10"] == pytest.approx(values[-1 - int(0.1 * values.size)], abs=1e-6)


def test_shapes_that_differ_are_refused():
    with pytest.raises(InputError, match="one 3-D lattice"):
        features(np.zeros((3, 3, 3)), np.ones((3, 3, 2)), SPACING, configuration("volume"))


def test_the_metric_measures_every_region_and_frame(phantom_session):
    rows = list(texture(phantom_session))
    regions = phantom_session.regions.names
    times = phantom_session.image.frames.middle
    assert len(rows) == 169 * len(regions) * times.size
    row = next(row for row in rows if row.metric == "stat_mean" and row.region == regions[0])
    mask = phantom_session.regions.mask(regions[0]) >= 0.5
    assert row.estimate.value == pytest.approx(phantom_session.image.values[mask, 0].mean())
    assert row.unit == phantom_session.image.unit
    assert configuration("volume").hash in row.method
    assert "Q4LE" in row.method


def test_the_metric_names_the_region_it_cannot_discretise(phantom_session):
    with pytest.raises(InputError, match=r"region '\w+'"):
        list(texture(phantom_session, BINS.format(width="1e-7", fine="0.1")))


def test_the_metric_takes_settings_and_no_path(phantom_session, tmp_path):
    wide = BINS.format(width="1e6", fine="1e3").replace("anchor = 0", "anchor = -1e9")
    rows = list(texture(phantom_session, wide))
    assert parse(wide, "x").hash in rows[0].method
    path = tmp_path / "mine.toml"
    path.write_text(wide)
    with pytest.raises(InputError, match="is not known"):
        list(texture(phantom_session, str(path)))


def test_a_session_of_curves_alone_is_refused(phantom_session):
    from dataclasses import replace

    with pytest.raises(StudyError, match="needs the voxels"):
        list(texture(replace(phantom_session, image=None)))
