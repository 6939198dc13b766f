"""BIDS names, inheritance, sidecars and label tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from igdd.errors import InputError
from igdd.io import sidecar


def put(path: Path, content: Any = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.NII.GZ", "a.nrrd", "a.seg.nrrd", "a.dcm"])
def test_the_stem_is_the_name_without_its_extension(name: str) -> None:
    assert sidecar.stem(Path(name)) == "a"


@pytest.mark.parametrize("name", ["mouse1_pet", "sub-_pet", "-1_pet", "sub-01_", ""])
def test_other_names_have_no_entities(name: str) -> None:
    assert sidecar.entities(name) is None


def test_the_nearer_file_wins_key_by_key(tmp_path: Path) -> None:
    put(tmp_path / "dataset_description.json", {"Name": "x"})
    put(tmp_path / "pet.json", {"Units": "kBq/mL", "Manufacturer": "far", "TracerName": "FDG"})
    put(tmp_path / "sub-01" / "sub-01_pet.json", {"Units": "Bq/mL", "Manufacturer": "near"})
    put(tmp_path / "sub-01" / "sub-02_pet.json", {"Units": "other subject"})
    put(tmp_path / "task-rest_pet.json", {"Units": "other entity"})
    put(tmp_path / "ct.json", {"Units": "other suffix"})
    image = put(tmp_path / "sub-01" / "ses-1" / "pet" / "sub-01_ses-1_pet.nii.gz")
    put(image.with_name("sub-01_ses-1_pet.json"), {"Manufacturer": "own"})
    facts, files = sidecar.read_sidecar(image)
    assert facts == {"Units": "Bq/mL", "Manufacturer": "own", "TracerName": "FDG"}
    assert [file.name for file in files] == [
        "pet.json", "sub-01_pet.json", "sub-01_ses-1_pet.json",
    ]  # fmt: skip


def test_without_a_dataset_nothing_above_the_folder_counts(tmp_path: Path) -> None:
    put(tmp_path / "pet.json", {"Units": "Bq/mL"})
    image = put(tmp_path / "scans" / "sub-01_pet.nii.gz")
    assert sidecar.read_sidecar(image) == ({}, ())


def test_a_plain_name_has_the_sidecar_of_the_same_name(tmp_path: Path) -> None:
    image = put(tmp_path / "mouse 1 pet.nii")
    put(tmp_path / "mouse 1 pet.json", {"Units": "Bq/mL"})
    assert sidecar.read_sidecar(image)[0] == {"Units": "Bq/mL"}


def test_two_files_of_one_folder_that_both_apply_are_refused(tmp_path: Path) -> None:
    image = put(tmp_path / "sub-01_ses-1_trc-FDG_pet.nii.gz")
    put(tmp_path / "sub-01_pet.json", {})
    put(tmp_path / "trc-FDG_pet.json", {})
    with pytest.raises(InputError, match=r"sub-01_pet\.json, trc-FDG_pet\.json"):
        sidecar.read_sidecar(image)


def test_a_sidecar_of_the_same_name_ends_the_doubt(tmp_path: Path) -> None:
    image = put(tmp_path / "sub-01_trc-FDG_pet.nii.gz")
    put(tmp_path / "sub-01_pet.json", {"Units": "a"})
    put(tmp_path / "sub-01_trc-FDG_pet.json", {"Units": "b"})
    assert sidecar.read_sidecar(image)[0] == {"Units": "b"}


def test_a_sidecar_that_is_a_link_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "secret.json", {"Units": "Bq/mL"})
    image = put(tmp_path / "study" / "pet.nii")
    (tmp_path / "study" / "pet.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match="expected a place inside"):
        sidecar.read_sidecar(image)


def test_not_available_counts_as_absent(tmp_path: Path) -> None:
    image = put(tmp_path / "pet.nii")
    put(tmp_path / "pet.json", {"InjectedMass": "n/a", "Units": "Bq/mL"})
    assert sidecar.read_sidecar(image)[0] == {"Units": "Bq/mL"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("InjectedRadioactivity", "400 MBq"),
        ("InjectedRadioactivity", True),
        ("InjectionStart", None),
        ("FrameTimesStart", 0),
        ("FrameTimesStart", [0, "60"]),
        ("FrameDuration", [[60]]),
        ("Units", 1),
        ("TimeZero", ["10:00:00"]),
        ("ImageDecayCorrected", "true"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_file_and_key(
    tmp_path: Path, key: str, value: Any
) -> None:
    image = put(tmp_path / "pet.nii")
    put(tmp_path / "pet.json", {key: value})
    with pytest.raises(InputError, match=rf"pet\.json: {key} is .*expected"):
        sidecar.read_sidecar(image)


@pytest.mark.parametrize("key", ["FrameTimesStart", "FrameDuration", "DecayCorrectionFactor"])
def test_another_number_of_frames_is_refused(key: str) -> None:
    sidecar.check_frames({key: [1, 2]}, 2, Path("a.nii"))
    with pytest.raises(InputError, match=rf"3 frames but {key} in its sidecar has 2"):
        sidecar.check_frames({key: [1, 2]}, 3, Path("a.nii"))


def test_the_nearest_label_table_names_the_labels(tmp_path: Path) -> None:
    put(tmp_path / "dataset_description.json", {"Name": "x"})
    put(tmp_path / "dseg.tsv", "index\tname\n1\tfar\n")
    image = put(tmp_path / "sub-01" / "sub-01_dseg.nii.gz")
    assert sidecar.read_label_table(image)[0] == {1: "far"}
    put(tmp_path / "sub-01" / "sub-01_dseg.tsv", "name\tindex\tcolour\nleft lung \t12\t#fff\n")
    assert sidecar.read_label_table(image)[0] == {12: "left lung"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("label\tname\n1\tliver\n", "has no index"),
        ("index\tlabel\n1\tliver\n", "has no name"),
        ("index\tname\n1.5\tliver\n", "whole number"),
        ("index\tname\n-1\tliver\n", "whole number"),
        ("index\tname\n1\tliver\n1\tspleen\n", "line 3: index 1 stands there twice"),
        ("index\tname\n1\n", "has no name"),
        ('index\tname\n1\t"liver"x\n', "expected a TSV"),
        ("index\tname\n1\t" + "x" * 200_000, "expected a TSV"),
    ],
)
def test_a_table_that_names_nothing_clearly_is_refused(
    tmp_path: Path, table: str, message: str
) -> None:
    image = put(tmp_path / "a_dseg.nii")
    put(tmp_path / "a_dseg.tsv", table)
    with pytest.raises(InputError, match=message):
        sidecar.read_label_table(image)


@pytest.mark.reference
def test_every_published_pet_sidecar_is_read(reference: Callable[[str], Path]) -> None:
    images = sorted(reference("images/bids_examples").rglob("*_pet.nii.gz"))
    assert len(images) == 10
    for image in images:
        facts, files = sidecar.read_sidecar(image)
        assert facts["TracerRadionuclide"] in ("C11", "F18"), image
        assert files
