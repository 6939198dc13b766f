"""`igdd filter`: an image in, its response map out."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from igdd.errors import InputError
from igdd.metrics.ibsi_response import reference_filters, response
from igdd.stages.response_map import text, write_response

CONFIGURATION = """
aggregations = ["3D_comb"]
families = ["stat"]
{interpolate}
[filter]
method = "mean"
padding = "mirror"
dimensions = 3
support = 1
"""


@pytest.fixture
def image(tmp_path):
    rng = np.random.default_rng(0)
    affine = np.array([[0, -2.0, 0, 30], [1.5, 0, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])
    path = tmp_path / "image.nii.gz"
    nibabel.save(
        nibabel.Nifti1Image(rng.normal(size=(16, 15, 14)).astype(np.float32), affine), path
    )
    return path


def test_the_map_is_the_response_on_the_images_own_voxels(image, tmp_path):
    out = tmp_path / "deep" / "map.nii.gz"
    found = write_response(image, out, "phase1_3.c.2")
    stored, made = nibabel.load(image), nibabel.load(out)
    wanted = response(
        np.asarray(stored.dataobj), np.array([1.5, 2.0, 3.0]), reference_filters()["3.c.2"]
    )
    np.testing.assert_allclose(np.asarray(made.dataobj), wanted, rtol=1e-6, atol=1e-6)  # float32
    np.testing.assert_allclose(made.affine, stored.affine, atol=1e-6)
    beside = json.loads((tmp_path / "deep" / "map.json").read_text())
    assert beside["Filter"]["kernels"] == "L5S5"
    assert list(beside["Sources"]) == ["image.nii.gz"]
    assert "kernels L5S5" in text(found)
    assert found["flags"] == []


def test_an_interpolated_map_lies_where_the_image_does(image, tmp_path):
    """A filter of one voxel is the image: a linear field of the world stays what it is."""
    stored = nibabel.load(image)
    place = np.moveaxis(np.indices(stored.shape), 0, -1)
    world = place @ stored.affine[:3, :3].T + stored.affine[:3, 3]
    field = world @ np.array([1.0, -2.0, 0.5])
    path, config, out = (tmp_path / name for name in ("f.nii.gz", "c.toml", "m.nii"))
    nibabel.save(nibabel.Nifti1Image(field.astype(np.float32), stored.affine), path)
    config.write_text(
        CONFIGURATION.format(
            interpolate='[interpolate]\nspacing_mm = [1.0, 1.0, 1.0]\nimage = "linear"'
        )
    )
    found = write_response(path, out, str(config))
    assert found["shape"] == [24, 30, 42]
    np.testing.assert_allclose(found["spacing_mm"], [1.0, 1.0, 1.0], rtol=1e-12)
    made = nibabel.load(out)
    place = np.moveaxis(np.indices(made.shape), 0, -1)
    world = place @ made.affine[:3, :3].T + made.affine[:3, 3]
    inside = (slice(2, -2),) * 3  # beyond the outermost voxel centres the edge value goes on
    np.testing.assert_allclose(
        np.asarray(made.dataobj)[inside], (world @ np.array([1.0, -2.0, 0.5]))[inside], atol=1e-4
    )


def test_a_hole_is_flagged(image, tmp_path):
    stored = nibabel.load(image)
    values = np.asarray(stored.dataobj).copy()
    values[3, 3, 3] = np.nan
    path = tmp_path / "hole.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, stored.affine), path)
    found = write_response(path, tmp_path / "m.nii.gz", "phase1_1.b.1")
    assert found["flags"] == ["nan_voxels"]
    made = np.asarray(nibabel.load(tmp_path / "m.nii.gz").dataobj)
    assert np.isnan(made[..., 3]).any()
    assert np.isfinite(made[..., 4]).all()


def test_what_cannot_be_written_is_refused(image, tmp_path):
    with pytest.raises(InputError, match="ends in"):
        write_response(image, tmp_path / "map.png", "2.A")
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_response(image, image, "2.A")
    with pytest.raises(InputError, match=r"has no \[filter\]"):
        write_response(image, tmp_path / "m.nii.gz", "1.A")
    with pytest.raises(InputError, match=r"expected one of 1\.a\.1"):
        write_response(image, tmp_path / "m.nii.gz", "phase1_11.a")
    assert not (tmp_path / "m.nii.gz").exists()


def test_the_command_writes_and_tells(image, tmp_path):
    out = tmp_path / "m.nii.gz"
    call = [
        sys.executable,
        "-m",
        "igdd",
        "filter",
        str(image),
        "--config",
        "2.A",
        "--out",
        str(out),
    ]
    printed = subprocess.run([*call, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(printed.stdout)
    assert found["filter"]["method"] == "mean"
    assert found["files"] == [str(out), str(tmp_path / "m.json")]
    again = subprocess.run(call, capture_output=True, text=True)
    assert again.returncode == 2
    assert "nothing is overwritten" in again.stderr
    assert "Traceback" not in again.stderr


@pytest.mark.reference
def test_the_command_prints_every_tag_of_a_filtered_image(reference):
    image, mask = (
        str(reference(f"radiomics/ibsi1/ct_phantom/nifti/{name}.nii.gz"))
        for name in ("phantom", "mask")
    )
    call = [sys.executable, "-m", "igdd", "features", image, mask, "--config", "3.A", "--json"]
    found = json.loads(subprocess.run(call, capture_output=True, check=True).stdout)
    # IBSI 2, phase 2, 3.A, and its tolerance.
    assert found["stat_mean"] == pytest.approx(-2.44, abs=0.12)
    assert found["stat_max"] == pytest.approx(191, abs=1)
    # Diagnostics are of the image, not of its response.
    assert found["int_mask_max_int_reseg_roi"] == 377
