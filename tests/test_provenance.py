"""Provenance: every byte that can reach a result is hashed, and none from outside the roots."""

from __future__ import annotations

import hashlib

import pytest

from igdd.errors import InputError
from igdd.provenance import code, companions, hashes, sha256, versions


def test_a_hash_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_an_image_brings_its_sidecars_inherited_ones_included(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    folder = tmp_path / "sub-01" / "pet"
    folder.mkdir(parents=True)
    names = ("sub-01_pet.nii.gz", "sub-01_pet.json")
    for name in names:
        (folder / name).write_text("{}")
    (tmp_path / "pet.json").write_text("{}")
    (tmp_path / "sub-02_pet.json").write_text("{}")
    found = [path.name for path in companions(folder / names[0])]
    assert sorted(found) == sorted([*names, "pet.json"])


def test_names_are_below_the_root_and_hold_no_machine_path(tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "1.dcm").write_bytes(b"1")
    assert list(hashes([tmp_path / "scan"], [tmp_path])) == ["scan/1.dcm"]


def test_a_link_in_a_folder_that_leads_out_is_refused(tmp_path):
    (tmp_path / "study" / "scan").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"1")
    (tmp_path / "study" / "scan" / "1.dcm").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"1\.dcm"):
        hashes([tmp_path / "study" / "scan"], [tmp_path / "study"])


def test_versions_name_igdd_itself():
    assert "igdd" in versions()
    assert "python" in versions()


def test_the_code_has_one_hash():
    assert len(code()) == 64
    assert code() == code()
