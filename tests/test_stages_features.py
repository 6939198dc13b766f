"""`igdd features`: files in, IBSI tags out."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from igdd.errors import InputError
from igdd.stages.features import features, tags, text

DIGITAL = ("radiomics/ibsi1/digital_phantom/phantom.nii.gz",
           "radiomics/ibsi1/digital_phantom/mask.nii.gz")  # fmt: skip


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    image = rng.normal(100, 10, (16, 15, 14, 2)).astype(np.float32)
    labels = np.zeros(image.shape[:3], np.int16)
    labels[3:9, 3:9, 3:9] = 1
    labels[10:14, 3:9, 3:9] = 2
    paths = {}
    for name, array in {
        "image": image[..., 0],
        "dynamic": image,
        "mask": (labels == 1).astype(np.int16),
        "labels": labels,
    }.items():
        paths[name] = tmp_path / f"{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, affine), paths[name])
    return paths


def test_the_values_are_those_of_the_arrays(files):
    from igdd.metrics.ibsi_configuration import configuration
    from igdd.metrics.texture import features as compute

    found = features(files["image"], files["mask"])
    image = np.asarray(nibabel.load(files["image"]).dataobj)
    mask = np.asarray(nibabel.load(files["mask"]).dataobj) > 0
    wanted = compute(image, mask, np.array([2.0, 2.0, 3.0]), configuration("volume"))
    assert {row["tag"]: row["value"] for row in found["features"]} == wanted.values
    assert found["hash"] == configuration("volume").hash
    assert set(wanted.values) < set(tags(found))
    assert tags(found)["int_mask_vox_count_reseg_roi"] == 216


def test_a_region_of_several_must_be_named(files):
    with pytest.raises(InputError, match=r"2 regions; expected one of: .*--region"):
        features(files["image"], files["labels"])
    with pytest.raises(InputError, match="no region 'liver'"):
        features(files["image"], files["labels"], region="liver")
    found = features(files["image"], files["labels"], region="label_2")
    assert tags(found)["int_mask_vox_count_init_roi"] == 4 * 6 * 6


def test_a_frame_of_several_must_be_named(files):
    with pytest.raises(InputError, match="2 frames"):
        features(files["dynamic"], files["mask"])
    with pytest.raises(InputError, match="expected 0 to 1"):
        features(files["dynamic"], files["mask"], frame=2)
    one, other = (
        tags(features(files["dynamic"], files["mask"], frame=n))["stat_mean"] for n in (0, 1)
    )
    assert one != other


def test_the_text_tells_settings_units_and_codes(files):
    lines = text(features(files["image"], files["mask"])).splitlines()
    assert "volume" in lines[0]
    assert any(line.split()[::3] == ["morph_volume", "RNU0"] for line in lines)


@pytest.mark.reference
def test_the_command_prints_every_tag_of_the_digital_phantom(reference):
    image, mask = (str(reference(path)) for path in DIGITAL)
    call = [sys.executable, "-m", "igdd", "features", image, mask, "--config", "digital_phantom"]
    printed = subprocess.run([*call, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(printed.stdout)
    assert "flags" not in found
    sheet = reference("radiomics/ibsi1/reference_values/ibsi1_reference_values_all.csv")
    with sheet.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["reference_value"]]
    wanted = [row for row in rows if row["configuration"] == "digital_phantom"]
    assert len(wanted) == 482
    for row in wanted:
        value = float(f"{found[row['tag']]:.3g}")
        tolerance = float(row["tolerance"]) + 1e-9 * abs(value)
        assert abs(value - float(row["reference_value"])) <= tolerance, row["tag"]


def test_the_command_refuses_in_one_sentence(files):
    call = [sys.executable, "-m", "igdd", "features", str(files["image"]), str(files["mask"])]
    done = subprocess.run([*call, "--config", "ibsi_z"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "configuration 'ibsi_z' is not known" in done.stderr
    assert "Traceback" not in done.stderr


def test_details_carry_the_flags(files, tmp_path):
    mask = np.zeros((16, 15, 14), np.int16)
    mask[5, 5, 5] = 1
    path = tmp_path / "one.nii.gz"
    nibabel.save(nibabel.Nifti1Image(mask, np.diag([2.0, 2.0, 3.0, 1.0])), path)
    call = [sys.executable, "-m", "igdd", "features", str(files["image"]), str(path), "--json"]
    plain = json.loads(subprocess.run(call, capture_output=True, check=True).stdout)
    assert plain["cm_corr_3D_comb"] is None
    assert plain["flags"] == ["feature_undefined", "few_voxels"]
    full = json.loads(subprocess.run([*call, "--details"], capture_output=True, check=True).stdout)
    assert full["flags"] == ["feature_undefined", "few_voxels"]
    row = next(row for row in full["features"] if row["tag"] == "cm_corr_3D_comb")
    assert row["flags"] == "feature_undefined"
    assert row["code"] == "NI2N"


def test_a_mask_without_a_voxel_is_refused(files, tmp_path):
    empty = tmp_path / "empty.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((16, 15, 14), np.uint8), np.eye(4)), empty)
    with pytest.raises(InputError, match="no voxel belongs to a region"):
        features(files["image"], empty)


def _bad(name):
    """Image and mask of a case that the issue names; 20^3 voxels of 2 mm."""
    rng = np.random.default_rng(1)
    image = rng.normal(10, 3, (20, 20, 20)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    mask[5:15, 5:15, 5:15] = 1
    if name == "one voxel":
        mask[:] = 0
        mask[10, 10, 10] = 1
    if name == "two grey levels":
        image = np.where(image > 10, 2.0, 1.0).astype(np.float32)
    if name == "flat":
        image[:] = 5.0
    if name == "touching the edge":
        mask[:] = 0
        mask[:6, :6, :6] = 1
    if name == "with NaN":
        image[8:10, 8:10, 8:10] = np.nan
    if name == "nothing but NaN":
        image[:] = np.nan
    return image, mask


@pytest.mark.parametrize(
    ("name", "undefined", "flags"),
    [
        ("one voxel", True, {"few_voxels", "feature_undefined"}),
        ("two grey levels", False, set()),
        ("flat", True, {"feature_undefined"}),
        ("touching the edge", False, set()),
        ("with NaN", False, {"nan_voxels"}),
        ("nothing but NaN", True, {"empty_region", "feature_undefined", "nan_voxels"}),
    ],
)
def test_bad_regions_give_values_or_nan_with_a_flag(tmp_path, name, undefined, flags):
    paths = []
    for kind, array in zip(("image", "mask"), _bad(name), strict=True):
        paths.append(tmp_path / f"{kind}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 2.0, 2.0, 1.0])), paths[-1])
    found = features(*paths)
    assert set(found["flags"]) == flags
    assert any(np.isnan(row["value"]) for row in found["features"]) is undefined
    assert len(found["features"]) == 169


@pytest.mark.parametrize("width", ["1e-8", "1e-300"])
def test_a_bin_width_that_makes_a_thousand_million_bins_is_refused(tmp_path, width):
    image, mask = _bad("plain")
    for kind, array in (("image", image), ("mask", mask)):
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / f"{kind}.nii.gz")
    config = tmp_path / "mine.toml"
    bins = f'method = "fixed_size"\nwidth = {width}\nanchor = 0\n'
    config.write_text(
        f'aggregations = ["3D_comb"]\n[discretise]\n{bins}[volume_histogram]\n{bins}'
        "[resegment]\nrange = [0, inf]\n"
    )
    with pytest.raises(InputError, match="grey levels; expected at most 1024"):
        features(tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz", str(config))


def test_the_settings_of_the_page_are_a_configuration():
    from pathlib import Path

    from igdd.metrics.ibsi_configuration import parse

    page = Path(__file__).parents[1].joinpath("docs", "features.md").read_text(encoding="utf-8")
    settings = parse(page.split("```toml")[1].split("```")[0], "of the page")
    assert settings.filter.method == "wavelet"
    assert settings.resegment.range == (-200.0, 200.0)
