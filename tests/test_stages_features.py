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
