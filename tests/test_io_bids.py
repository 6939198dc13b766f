"""BIDS files that igdd writes: the same bytes every time, and what others read from them."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.io import bids, nifti
from igdd.types import Grid

ANGLE = 0.4
ROTATED = np.eye(4)
ROTATED[:2, :2] = [[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]]
ROTATED[:3, :3] *= [-2.0, 2.0, 3.5]
ROTATED[:3, 3] = [80.0, -70.0, 5.0]
GRID = Grid(shape=(4, 5, 6), affine=ROTATED)
VALUES = np.random.default_rng(8).normal(size=(4, 5, 6, 3))


@pytest.mark.parametrize("name", ["a_pet.nii", "a_pet.nii.gz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_nibabel_reads_the_image_that_was_written(tmp_path: Path, name: str, order: Any) -> None:
    (path,) = bids.write_nifti(tmp_path / name, np.asarray(VALUES, order=order), GRID)
    image = nib.load(path)
    assert_array_equal(np.asarray(image.dataobj), VALUES.astype(np.float32))
    assert image.get_data_dtype() == np.float32
    assert image.header.get_xyzt_units() == ("mm", "sec")
    for affine, code in (image.header.get_sform(True), image.header.get_qform(True)):
        assert code == 1
        assert_allclose(affine, ROTATED, atol=1e-4)  # single precision at 100 mm
    assert_allclose(image.header.get_zooms()[:3], [2, 2, 3.5], rtol=1e-6)


def test_a_sheared_grid_has_an_sform_only(tmp_path: Path) -> None:
    affine = ROTATED.copy()
    affine[0, 2] += 1.0  # a tilted gantry
    grid = Grid(shape=(4, 5, 6), affine=affine)
    (path,) = bids.write_nifti(tmp_path / "a.nii", VALUES, grid)
    assert nib.load(path).header.get_qform(True)[1] == 0
    assert nifti.read(path)[0].grid.equals(grid, tolerance=1e-4)


def test_an_axis_beyond_32767_makes_it_nifti_2(tmp_path: Path) -> None:
    grid = Grid(shape=(40_000, 1, 1), affine=np.eye(4))
    (path,) = bids.write_nifti(tmp_path / "a.nii", np.zeros((40_000, 1, 1)), grid)
    assert isinstance(nib.load(path), nib.Nifti2Image)
    assert nifti.read(path)[0].grid.shape == (40_000, 1, 1)


def test_the_same_content_gives_the_same_bytes_at_another_time_and_place(tmp_path: Path) -> None:
    (first,) = bids.write_nifti(tmp_path / "a.nii.gz", VALUES, GRID)
    time.sleep(1.1)  # gzip counts whole seconds
    (second,) = bids.write_nifti(tmp_path / "b" / "other.nii.gz", VALUES, GRID)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[3:8] == bytes(5)  # no name, no time
    assert [file.name for file in tmp_path.iterdir()].count("a.nii.gz") == 1
    assert not list(tmp_path.rglob(".*"))


def test_the_sidecar_keeps_its_order_and_plain_numbers(tmp_path: Path) -> None:
    facts = {"Units": "Bq/mL", "FrameDuration": np.array([60.0, 120.0]), "A": np.float32(0.5)}
    _, sidecar = bids.write_nifti(tmp_path / "a_pet.nii.gz", VALUES, GRID, facts)
    assert sidecar.name == "a_pet.json"
    found = json.loads(sidecar.read_text())
    assert found == {"Units": "Bq/mL", "FrameDuration": [60.0, 120.0], "A": 0.5}
    assert list(found) == ["Units", "FrameDuration", "A"]


def test_a_number_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json"):
        bids.write_json(tmp_path / "a.json", {"x": np.nan})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("highest", "stored"), [(3, np.uint8), (300, np.uint16), (100_000, np.int32)]
)
def test_label_maps_come_back_with_their_names(
    tmp_path: Path, highest: int, stored: type[Any]
) -> None:
    labels = np.zeros(GRID.shape, np.int64)
    labels[0], labels[1] = highest, 1
    path, table = bids.write_label_map(
        tmp_path / "a_dseg.nii.gz", labels, GRID, {highest: "lesion_1", 1: "liver", 2: "spleen"}
    )
    assert nib.load(path).get_data_dtype() == stored
    assert table.read_text().splitlines()[:2] == ["index\tname", "1\tliver"]
    found = nifti.read_regions(path, GRID)
    assert found.names == ("liver", "spleen", "lesion_1")
    assert_array_equal(found.mask("lesion_1"), labels == highest)
    assert found.flags[1] == ("empty_region",)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones(GRID.shape), "whole numbers"),
        (np.full(GRID.shape, -1), "labels run from -1"),
        (np.full(GRID.shape, 2**31), "labels run from"),
        (np.full(GRID.shape, 7), r"labels \[7\] have no name"),
        (np.ones((2, 2, 2), int), "expected whole numbers"),
    ],
)
def test_what_is_no_label_map_is_not_written(
    tmp_path: Path, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        bids.write_label_map(tmp_path / "a.nii", labels, GRID, {1: "liver"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.img", "a.nrrd"])
def test_another_format_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"ends in \.nii"):
        bids.write_nifti(tmp_path / name, VALUES, GRID)


def test_values_of_another_shape_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected"):
        bids.write_nifti(tmp_path / "a.nii", VALUES[1:], GRID)


def test_a_value_beyond_single_precision_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="single precision"):
        bids.write_nifti(tmp_path / "a.nii", np.full(GRID.shape, 1e39), GRID)
    assert not list(tmp_path.iterdir())


def test_participants_and_their_columns(tmp_path: Path) -> None:
    rows = [
        {"sex": "F", "participant_id": "sub-01", "weight": 71.0},
        {"participant_id": "sub-02", "weight": np.nan, "arm": "plain"},
    ]
    table, described = bids.write_participants(
        tmp_path, rows, {"weight": {"Description": "body weight", "Units": "kg"}}
    )
    assert table.read_text() == (
        "participant_id\tsex\tweight\tarm\nsub-01\tF\t71.0\tn/a\nsub-02\tn/a\tn/a\tplain\n"
    )
    assert json.loads(described.read_text())["weight"]["Units"] == "kg"


def test_participants_need_their_identifier(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="participant_id"):
        bids.write_participants(tmp_path, [{"sex": "F"}])


@pytest.mark.parametrize("cell", ["a\tb", "a\nb", ""])
def test_a_cell_that_breaks_the_table_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(InputError, match="cell"):
        bids.write_table(tmp_path / "a.tsv", ("x",), [{"x": cell}])


def test_the_dataset_says_what_it_is(tmp_path: Path) -> None:
    path = bids.write_dataset_description(
        tmp_path, "trial", derivative=True, generated_by=[{"Name": "igdd", "Version": "0.1.0"}]
    )
    found = json.loads(path.read_text())
    assert found["DatasetType"] == "derivative"
    assert found["GeneratedBy"][0]["Name"] == "igdd"
    with pytest.raises(InputError, match="generated"):
        bids.write_dataset_description(tmp_path, "trial", derivative=True)


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    (path,) = bids.write_nifti(tmp_path / "a.nii.gz", VALUES, GRID)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        bids.write_nifti(path, np.full((4, 5, 6), "x", object), GRID)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]
    assert gzip.decompress(before)[:4] == (348).to_bytes(4, "little")
