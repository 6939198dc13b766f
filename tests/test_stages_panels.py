"""Panels: what a map's picture knows of its fits."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from igdd.stages.panels import map_panel


@pytest.fixture
def maps(phantom_session, tmp_path):
    """A map that counts voxels, and flags where the count is odd."""
    grid = phantom_session.image.grid
    counted = np.arange(np.prod(grid.shape), dtype=np.float32).reshape(grid.shape)
    nib.save(nib.Nifti1Image(counted, grid.affine), tmp_path / "VT.nii")
    flags = (counted % 2).astype(np.uint8) * 4
    nib.save(nib.Nifti1Image(flags, grid.affine), tmp_path / "flags.nii")
    return tmp_path


def test_a_map_knows_which_of_its_voxels_are_flagged(phantom_session, maps):
    (panel,) = map_panel(phantom_session, maps / "VT.nii", "logan VT", "mL/cm3")
    assert panel.kind == "map"
    np.testing.assert_array_equal(panel.flagged, panel.pixels % 2 == 1)


def test_a_map_without_flags_is_shown_all_the_same(phantom_session, maps):
    (maps / "flags.nii").unlink()
    (panel,) = map_panel(phantom_session, maps / "VT.nii", "logan VT", "mL/cm3")
    assert panel.flagged is None
