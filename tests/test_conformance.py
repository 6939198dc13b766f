"""Conformance: facts hold, absent sets are named, and nothing that fails is hidden."""

from __future__ import annotations

import json
import math
import zipfile

import pytest

from igdd import conformance
from igdd.conformance import Check, checks, table
from igdd.errors import InputError


@pytest.fixture
def fact():
    return conformance._Fact(name="x", expected=1.0, tolerance=0.01, source="arithmetic")


def by_name(found) -> dict[str, Check]:
    found = list(found)
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}


def test_the_built_in_facts_hold():
    found = by_name(checks(None))
    failed = {name: check for name, check in found.items() if check.status == "fail"}
    assert failed == {}
    assert found["400 MBq of Cu-64 after 24 h [MBq]"].status == "pass"
    assert found["Zr-89 left after 72 h [%]"].expected == 52.9
    assert found["lean mass, Morgan 120, M [g] of 75 kg, 1.85 m"].status == "pass"


def test_an_absent_set_says_where_the_public_one_is(tmp_path):
    for place in (None, tmp_path):
        absent = [check for check in checks(place) if check.status == "not present"]
        assert len(absent) == 5
        for check in absent:
            assert "https://github.com/" in check.source
            assert check.value is None
            assert check.expected is None


def test_rows_are_plain_json():
    rows = table(checks(None))
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert {"name", "value", "expected", "tolerance", "source", "status", "question"} <= set(
        rows[0]
    )


@pytest.mark.parametrize(
    ("value", "status"), [(1.009, "pass"), (0.991, "pass"), (1.011, "fail"), (math.inf, "fail")]
)
def test_the_tolerance_decides(fact, value, status):
    assert conformance._check(fact, lambda: value).status == status


def test_a_value_that_is_no_number_fails_and_says_so(fact):
    found = conformance._check(fact, lambda: math.nan)
    assert (found.status, found.value, found.note) == ("fail", None, "our value is nan")


def test_a_value_that_cannot_be_computed_fails_and_says_why(fact):
    def refuse() -> float:
        raise InputError("a.dcm: the weight is missing")

    found = conformance._check(fact, refuse)
    assert (found.status, found.value, found.note) == ("fail", None, "a.dcm: the weight is missing")


def test_a_printed_number_holds_to_half_its_last_place():
    assert conformance._printed("x", "0.40", float, 0.3951).status == "pass"
    assert conformance._printed("x", "0.40", float, 0.3949).status == "fail"


def test_a_wrong_reference_number_is_a_failure(tmp_path):
    decay = tmp_path / "pet" / "decay"
    decay.mkdir(parents=True)
    (decay / "chain_activity_reference.csv").write_text(
        "parent,A0_Bq,t,unit,nuclide,activity_Bq\n"
        "F-18,1000000.0,109.77,m,F-18,500000.1\n"
        "F-18,1000000.0,109.77,m,F-18,500000.0\n"
        "F-18,1000000.0,109.77,m,Tc-99m,1.0\n",
        encoding="utf-8",
    )
    (decay / "halflives_icrp107.csv").write_text(
        "nuclide,half_life_s\nF-18,6586.2\nCu-64,45721.1\n", encoding="utf-8"
    )
    half_lives, wrong, right, foreign = [
        check for check in checks(tmp_path) if check.source == conformance.DECAY_SOURCE
    ]
    assert half_lives.status == "fail"
    assert half_lives.value == pytest.approx(1.1 / 45721.1, rel=1e-9)
    assert (wrong.status, right.status, foreign.status) == ("fail", "pass", "fail")
    assert "not in the chain of F-18" in foreign.note


def test_a_broken_object_is_a_failure_that_names_the_archive(tmp_path, monkeypatch):
    folder = tmp_path / "pet" / "ibsi_suv_dro"
    folder.mkdir(parents=True)
    (folder / "DRO_0_0.zip").write_bytes(b"PK\x03\x04 but no archive")
    for name, member in (("1_0", "elsewhere/readme.txt"), ("2_0", "DRO_2_0/large.txt")):
        with zipfile.ZipFile(folder / f"DRO_{name}.zip", "w") as packed:
            packed.writestr(member, "x" * (10 if name == "1_0" else 2000))
    monkeypatch.setattr(conformance, "OBJECT_LIMIT", 1000)
    found = by_name(conformance._suv_objects(tmp_path))
    for name, said in (("0_0", "cannot be unpacked"), ("1_0", "no folder"), ("2_0", "2000 bytes")):
        check = found[f"IBSI SUV object {name}, median SUVbw [g/mL]"]
        assert check.status == "fail"
        assert said in check.note
    assert found["IBSI SUV object 3_0"].status == "not present"


def test_an_archive_cannot_write_outside_its_scratch_folder(tmp_path):
    archive = tmp_path / "DRO_0_0.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../escaped.txt", "x")
        packed.writestr("DRO_0_0/kept.txt", "x")
    with conformance._unpacked(tmp_path / "DRO_0_0") as inside:
        names = {path.name for path in inside.parent.rglob("*.txt")}
        assert names == {"kept.txt", "escaped.txt"}  # inside, with the dots taken off
        assert not (inside.parent.parent / "escaped.txt").exists()


@pytest.mark.reference
def test_every_public_reference_is_met(reference):
    root = reference("README.md").parent
    found = by_name(checks(root))
    failed = [f"{check.name}: {check.value} {check.note}" for check in found.values()
              if check.status == "fail"]  # fmt: skip
    assert failed == []
    absent = {check.name for check in found.values() if check.status == "not present"}
    # The stored copy of the set lacks these four of its seventeen objects.
    assert absent <= {f"IBSI SUV object {name}" for name in ("2_2", "3_0", "4_2", "5_0")}
