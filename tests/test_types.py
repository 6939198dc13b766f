"""The types are valid from construction, and say what is wrong when they would not be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from igdd.errors import InputError
from igdd.results import Value
from igdd.types import Decay, Frames, Grid, Image, Regions, Series, Zero
from igdd.uncertainty import Estimate

GRID = Grid(shape=(2, 3, 4), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
FRAMES = Frames(start=np.zeros(1), duration=np.ones(1), zero=Zero(kind="scan_start"))


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_world_and_indices_are_inverse(point):
    affine = np.array([[0, -2, 0, 7], [3, 0, 0, -5], [0, 0, 4, 1], [0, 0, 0, 1]], dtype=float)
    grid = Grid(shape=(5, 5, 5), affine=affine)
    np.testing.assert_allclose(grid.world(grid.indices(np.array(point))), point, atol=1e-9)


def test_a_grid_equals_itself_to_a_hundredth_of_a_voxel():
    moved = GRID.affine.copy()
    moved[0, 3] += 0.019  # mm, of a voxel of 2 mm
    assert GRID.equals(Grid(shape=GRID.shape, affine=moved))
    moved[0, 3] += 0.002
    assert not GRID.equals(Grid(shape=GRID.shape, affine=moved))


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.zeros((4, 4)), "singular"),
        (np.eye(3), "4 x 4"),
        (np.full((4, 4), np.nan), "finite"),
    ],
)
def test_a_grid_without_a_voxel_is_refused(affine, message):
    with pytest.raises(InputError, match=message):
        Grid(shape=(2, 2, 2), affine=affine)


def test_a_frame_must_last():
    with pytest.raises(InputError, match=r"frame 2 lasts 0 s; expected > 0"):
        Frames(start=np.zeros(2), duration=np.array([1.0, 0.0]), zero=Zero(kind="scan_start"))


def test_a_half_life_must_be_positive():
    with pytest.raises(InputError, match="expected > 0"):
        Decay(nuclide="F-18", half_life=0.0, corrected_to=None)


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        FRAMES.start[0] = 1.0


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(InputError, match="expected"):
        Image(
            values=np.zeros((2, 3, 4)), grid=GRID, quantity="activity", unit="Bq/mL",
            analyte="label", frames=FRAMES,
        )  # fmt: skip


def test_an_unknown_analyte_is_refused():
    with pytest.raises(InputError, match="analyte 'water' is unknown"):
        Image(
            values=np.zeros((2, 3, 4, 1)), grid=GRID, quantity="activity", unit="Bq/mL",
            analyte="water", frames=FRAMES,
        )  # fmt: skip


def test_a_series_must_lie_on_its_grid():
    with pytest.raises(InputError, match="one axis of frames"):
        Series(modality="PT", values=np.zeros((2, 3, 4), np.float32), grid=GRID)


def regions(weights: np.ndarray, names=("a", "b"), kinds=("organ", "lesion")) -> Regions:
    return Regions(weights=sparse.csr_matrix(weights), names=names, kinds=kinds, grid=GRID)


def test_the_volume_of_a_region_is_its_weights_times_the_voxel():
    weights = np.zeros((2, GRID.size))
    weights[0, :3], weights[1, 5] = 1.0, 0.25
    np.testing.assert_allclose(regions(weights).volume, [0.06, 0.005])


@pytest.mark.parametrize(
    ("names", "kinds", "message"),
    [
        (("a", "a"), ("organ", "organ"), "found twice: a"),
        (("a", "b"), ("organ", "car"), "kind 'car' is unknown"),
        (("a", "b"), ("organ",), "2 region names but 1 kinds"),
    ],
)
def test_regions_that_contradict_themselves_are_refused(names, kinds, message):
    with pytest.raises(InputError, match=message):
        regions(np.zeros((2, GRID.size)), names, kinds)


def test_weights_above_one_are_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        regions(np.full((2, GRID.size), 1.5))


def test_a_value_with_an_unknown_flag_is_refused():
    with pytest.raises(InputError, match="'odd' is not in"):
        Value(
            region="a", metric="m", estimate=Estimate(value=1.0), unit="1", time=0.0,
            analyte="label", flags=("odd",),
        )  # fmt: skip
