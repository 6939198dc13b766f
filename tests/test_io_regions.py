"""Regions from labels and weights, and regions brought onto another grid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.io.regions import from_labels, from_masks, onto
from igdd.types import Grid


def grid(shape: tuple[int, int, int], spacing: float = 1.0, origin: float = 0.0) -> Grid:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine)


LABELS = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.uint8)


def test_each_label_becomes_the_region_of_its_voxels() -> None:
    found = from_labels(LABELS, grid((5, 6, 7)), {1: "liver", 2: "spleen", 3: "lesion_1"})
    assert found.names == ("liver", "spleen", "lesion_1")
    assert set(found.kinds) == {"organ"}
    for label, name in enumerate(found.names, 1):
        assert_array_equal(found.mask(name), label == LABELS)
    assert_allclose(found.volume, [np.sum(n == LABELS) / 1000 for n in (1, 2, 3)])


def test_memory_order_does_not_matter() -> None:
    there = from_labels(np.asfortranarray(LABELS), grid((5, 6, 7)), {})
    here = from_labels(LABELS, grid((5, 6, 7)), {})
    assert (there.weights != here.weights).nnz == 0


def test_a_label_without_a_name_is_named_by_its_number() -> None:
    assert from_labels(LABELS, grid((5, 6, 7)), {2: "spleen", 0: "background"}).names == (
        "label_1", "spleen", "label_3",
    )  # fmt: skip


def test_a_name_without_voxels_is_an_empty_region_with_a_flag() -> None:
    found = from_labels(LABELS, grid((5, 6, 7)), {9: "kidney"})
    assert found.names[-1] == "kidney"
    assert found.flags[-1] == ("empty_region",)
    assert found.volume[-1] == 0


def test_an_image_is_not_taken_for_a_label_map() -> None:
    noise = np.arange(30**3).reshape(30, 30, 30)
    with pytest.raises(InputError, match="is it an image"):
        from_labels(noise, grid((30, 30, 30)), {}, "a.nii")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([[[-1]]]), "negative"),
        (np.array([[[1.0]]]), "whole numbers"),
        (np.array([[[2**63]]], np.uint64), "too large"),
        (np.array([[[1, 2]]]), "shape"),
    ],
)
def test_what_is_no_label_map_is_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_labels(labels, grid((1, 1, 1)), {}, "a.nii")


def test_two_labels_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="unique"):
        from_labels(LABELS, grid((5, 6, 7)), {1: "liver", 2: "liver"})


def test_masks_may_overlap_and_be_fractions() -> None:
    first, second = np.full((2, 2, 2), 0.25), np.ones((2, 2, 2))
    found = from_masks([first, second], ["a", "b"], grid((2, 2, 2)))
    assert_allclose(found.volume, [0.002, 0.008])


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_weights_outside_the_unit_interval_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="0 to 1"):
        from_masks([np.full((1, 1, 1), value)], ["a"], grid((1, 1, 1)))


def test_regions_on_their_own_grid_come_back_untouched() -> None:
    found = from_labels(LABELS, grid((5, 6, 7)), {})
    assert onto(found, grid((5, 6, 7), origin=0.005)) is found


def test_axis_order_and_direction_are_re_indexed_without_a_flag() -> None:
    found = from_labels(LABELS, grid((5, 6, 7)), {})
    affine = np.zeros((4, 4))
    affine[:, 3] = [4, 0, 0, 1]
    affine[0, 2], affine[2, 0], affine[1, 1] = -1, 1, 1
    moved = onto(found, Grid(shape=(7, 6, 5), affine=affine))
    assert_array_equal(moved.mask("label_2"), (LABELS == 2)[::-1].transpose(2, 1, 0))
    assert moved.flags == ((), (), ())


def test_a_smaller_field_of_view_cuts_and_says_so() -> None:
    labels = np.zeros((4, 1, 1), np.int16)
    labels[:, 0, 0] = [1, 1, 2, 3]
    moved = onto(from_labels(labels, grid((4, 1, 1)), {}), grid((1, 1, 1)))
    assert moved.flags == (
        ("partly_outside",),
        ("empty_region", "partly_outside"),
        ("empty_region", "partly_outside"),
    )
    assert_allclose(moved.volume, [0.001, 0, 0])


def test_another_spacing_keeps_the_volume_and_is_flagged() -> None:
    found = from_labels(LABELS, grid((5, 6, 7)), {})
    moved = onto(found, grid((8, 8, 8), spacing=1.37, origin=-0.9))
    assert_allclose(moved.volume, found.volume, rtol=1e-9)  # exact overlap of boxes
    assert moved.flags == (("resampled",),) * 3


def test_a_tilted_grid_keeps_the_volume_and_is_flagged() -> None:
    angle = np.radians(12)
    affine = np.eye(4)
    affine[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)],
    ]  # fmt: skip
    affine[:3, 3] = [-6, -3, -4]
    found = from_labels(LABELS, grid((5, 6, 7)), {})
    moved = onto(found, Grid(shape=(20, 14, 20), affine=affine))
    assert_allclose(moved.volume, found.volume, rtol=1e-6)  # single precision of the samples
    assert moved.flags == (("resampled",),) * 3
