"""`igdd features --window`: maps on the configuration's voxels, of the configuration's levels."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.metrics.ibsi_configuration import configuration, parse
from igdd.metrics.ibsi_prepare import prepare
from igdd.metrics.texture import features, tags
from igdd.stages.feature_maps import text, windowed, write_feature_maps

SPACING = np.array([2.0, 2.0, 3.0])
BIGGER = """
aggregations = ["3D_comb", "3D_avg"]
[interpolate]
spacing_mm = [3.0, 3.0, 3.0]
image = "linear"
[discretise]
method = "fixed_size"
width = 4.0
anchor = 0.0
[volume_histogram]
method = "direct"
"""


@pytest.fixture(scope="module")
def lesion():
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, (16, 15, 14))
    mask = np.zeros(image.shape, bool)
    mask[3:10, 3:9, :6] = True
    return image, mask


@pytest.fixture
def files(tmp_path, lesion):
    image, mask = lesion
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (10.0, -20.0, 30.0)
    paths = {"image": tmp_path / "image.nii.gz", "mask": tmp_path / "mask.nii.gz"}
    nibabel.save(nibabel.Nifti1Image(image.astype(np.float32), affine), paths["image"])
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.int16), affine), paths["mask"])
    return paths


def test_a_window_that_holds_the_region_gives_the_regions_features(lesion):
    image, mask = lesion
    settings = configuration("volume")
    found = windowed(image, mask, SPACING, 200.0, settings)
    wanted = features(image, mask, SPACING, settings).values
    for tag, numbers in found.maps.items():
        if tag in wanted:
            assert_allclose(numbers, wanted[tag], rtol=1e-9, atol=1e-12, err_msg=tag)
    assert {f"{tag}_3D_comb" for tag in tags("cm")} <= set(found.maps) & set(wanted)
    assert {tag for tag in tags("stat") if tag not in ("stat_energy", "stat_rms")} <= set(
        found.maps
    )


def test_an_interpolating_configuration_gives_its_own_voxels(lesion):
    image, mask = lesion
    settings = parse(BIGGER, "bigger")
    found = windowed(image, mask, SPACING, 200.0, settings)
    ready = prepare(image, mask, SPACING, settings)
    assert ready is not None
    assert found.inside.sum() == ready.inside.sum()
    wanted = features(image, mask, SPACING, settings).values
    for ending in ("3D_comb", "3D_avg"):
        tag = f"cm_contrast_{ending}"
        assert_allclose(found.maps[tag], wanted[tag], rtol=1e-9)
    assert_allclose(found.spacing, 3.0)


def test_the_files_lie_where_the_region_lies(files, lesion, tmp_path):
    image, mask = lesion
    out = tmp_path / "maps"
    found = write_feature_maps(files["image"], files["mask"], "7 mm", out)
    stored = nibabel.load(found["maps"]["stat_mean"])
    values = np.asarray(stored.dataobj)
    assert_allclose(stored.affine, nibabel.load(files["image"]).affine)
    assert (np.isfinite(values) == mask).all()
    place = np.indices(image.shape).reshape(3, -1).T * SPACING
    centre = np.array([5, 5, 3]) * SPACING
    near = (np.linalg.norm(place - centre, axis=1) <= 3.5).reshape(image.shape) & mask
    assert values[5, 5, 3] == pytest.approx(image[near].mean(), rel=1e-5)
    account = json.loads((out / "features.json").read_text(encoding="utf-8"))
    assert account["window_mm"] == 7.0
    assert account["hash"] == configuration("volume").hash
    about = json.loads((out / "cm_contrast_3D_comb.json").read_text(encoding="utf-8"))
    assert about["IBSICode"] == "ACUI"
    assert "7 mm" in text(found)


def test_the_files_of_other_voxels_lie_there_too(files, tmp_path):
    config = tmp_path / "bigger.toml"
    config.write_text(BIGGER, encoding="utf-8")
    found = write_feature_maps(files["image"], files["mask"], "7 mm", tmp_path / "m", str(config))
    stored = nibabel.load(found["maps"]["stat_mean"])
    inside = np.isfinite(np.asarray(stored.dataobj))
    old = nibabel.load(files["mask"])
    middles = [
        (affine @ np.append(np.argwhere(where).mean(axis=0), 1.0))[:3]
        for affine, where in ((stored.affine, inside), (old.affine, np.asarray(old.dataobj) > 0))
    ]
    # The region's middle moves by less than half a voxel of either lattice.
    assert np.abs(middles[0] - middles[1]).max() < 1.5


def test_voxels_without_a_value_are_in_no_window(lesion):
    image, mask = lesion
    holed = image.copy()
    holed[4, 4, 4] = np.nan
    found = windowed(holed, mask, SPACING, 7.0, configuration("volume"))
    assert "nan_voxels" in found.flags
    assert not found.inside[4, 4, 4]
    assert np.isfinite(found.maps["stat_mean"]).all()


def test_one_voxel_and_a_flat_region_are_flagged(lesion):
    image, _ = lesion
    alone = np.zeros(image.shape, bool)
    alone[0, 0, 0] = True
    found = windowed(image, alone, SPACING, 7.0, configuration("volume"))
    assert {"few_voxels", "feature_undefined"} <= set(found.flags)
    flat = windowed(np.full(image.shape, 7.0), lesion[1], SPACING, 7.0, configuration("volume"))
    assert_allclose(flat.maps["cm_contrast_3D_comb"], 0.0)
    assert "feature_undefined" in flat.flags


def test_wrong_calls_are_refused(files, lesion, tmp_path):
    image, mask = lesion
    with pytest.raises(InputError, match="none of them has a value"):
        windowed(np.full(image.shape, np.nan), mask, SPACING, 7.0, configuration("volume"))
    with pytest.raises(InputError, match="a window is a volume"):
        windowed(image, mask, SPACING, 7.0, configuration("ibsi_a"))
    with pytest.raises(InputError, match="window of 1 mm"):
        windowed(image, mask, SPACING, 1.0, configuration("volume"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_feature_maps(files["image"], files["mask"], "7 mm", tmp_path / "there")


def test_the_command_writes_maps_and_needs_a_folder(files, tmp_path):
    from typer.testing import CliRunner

    from igdd.cli import app

    call = ["features", str(files["image"]), str(files["mask"]), "--window", "7 mm"]
    refused = CliRunner().invoke(app, call)
    assert isinstance(refused.exception, InputError)
    done = CliRunner().invoke(app, [*call, "--out", str(tmp_path / "maps"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (tmp_path / "maps" / "gini.nii.gz").is_file()
    assert found["voxels"] == 7 * 6 * 6
