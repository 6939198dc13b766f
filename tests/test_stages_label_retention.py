"""`igdd retention`: two labels in a table, indices and decisions out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from igdd.cli import app
from igdd.errors import InputError
from igdd.metrics._free_label import sink_of
from igdd.stages.label_retention import retention, text

HEADER = "subject,time_h,place,analyte,activity [%/g],sd"
TIMES = np.array([1.0, 4.0, 24.0, 48.0, 72.0])
CARRIER = 20 * np.exp(-0.02 * TIMES)
FALLING, RISING = np.linspace(1, 0.4, 5), np.linspace(1, 3, 5)


def table(folder: Path, rows, header=HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def rows(ratio, place="tumour", subject="a", cv=0.03):
    return [
        (subject, t, place, label, value, cv * value)
        for t, c, r in zip(TIMES, CARRIER, ratio, strict=True)
        for label, value in (("carrier", c), ("drug", c * r))
    ]


def test_release_is_found_and_told(tmp_path):
    found = retention(table(tmp_path, rows(FALLING)), given=1.0)
    (subject,) = found["subjects"]
    (place,) = subject["places"]
    assert subject["decision"] == place["decision"] == "released"
    assert_allclose([row["value"] for row in place["index"]], FALLING)
    assert place["area_index"]["high"] < 1
    assert "released" in text(found)


def test_labels_that_stay_together(tmp_path):
    found = retention(table(tmp_path, rows(np.ones(5))), given=1.0)
    assert found["subjects"][0]["decision"] == "carrier = drug"


def test_free_label_in_its_sink_makes_it_an_artefact(tmp_path):
    path = table(tmp_path, rows(FALLING) + rows(RISING, "bone"))
    found = retention(path, given=1.0, drug_nuclide="Zr-89", carrier_nuclide="In-111")
    (subject,) = found["subjects"]
    decisions = {one["place"]: one["decision"] for one in subject["places"]}
    assert decisions == {"bone": "label artefact", "tumour": "released"}
    assert subject["decision"] == "label artefact"
    (bone,) = (one for one in subject["places"] if one["place"] == "bone")
    assert bone["flags"] == ["free_label_sink"]
    assert any("Abou" in reason for reason in bone["reasons"])


def test_a_sink_of_the_carriers_label_decides_nothing(tmp_path):
    found = retention(table(tmp_path, rows(FALLING, "thyroid")), given=1.0, carrier_nuclide="I-124")
    assert found["subjects"][0]["decision"] == "undecided"


def test_against_the_first_time_where_nothing_is_given(tmp_path):
    found = retention(table(tmp_path, rows(2.5 * FALLING)))
    (place,) = found["subjects"][0]["places"]
    assert_allclose([row["value"] for row in place["index"]], FALLING)
    assert found["against"] == "the first time"


def test_a_time_with_one_label_is_named_and_left_out(tmp_path):
    path = table(tmp_path, rows(FALLING)[:-1])
    (place,) = retention(path, given=1.0)["subjects"][0]["places"]
    assert place["unpaired_times"] == [72 * 3600]
    assert len(place["index"]) == 4


def test_one_label_only_is_undecided(tmp_path):
    path = table(tmp_path, [row for row in rows(FALLING) if row[3] == "drug"])
    (place,) = retention(path)["subjects"][0]["places"]
    assert place["decision"] == "undecided"
    assert place["flags"] == ["one_label_only"]


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda r: [(*r[0][:3], "label", *r[0][4:]), *r], {}, "expected carrier or drug"),
        (lambda r: [*r, r[0]], {}, "measured twice"),
        (lambda r: r, {"margin": (1.1, 1.2)}, "margin"),
        (lambda r: r, {"shared": 2.0}, "shared"),
        (lambda r: r, {"given": 0.0}, "above 0"),
        (lambda r: r, {"given": -1.0}, "above 0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, change, options, words):
    with pytest.raises(InputError, match=words):
        retention(table(tmp_path, change(rows(FALLING))), **options)


def test_deviations_in_another_unit_are_refused(tmp_path):
    header = "subject,time_h,place,analyte,activity [%/g],sd [kBq/mL]"
    with pytest.raises(InputError, match="expected one unit for both"):
        retention(table(tmp_path, rows(FALLING), header))


def test_the_command(tmp_path):
    path = str(table(tmp_path, rows(FALLING)))
    done = CliRunner().invoke(app, ["retention", path, "--given", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["subjects"][0]["decision"] == "released"


def test_sinks_are_known_by_element_and_place():
    assert sink_of("Zr-89", "left femur").use == "sink"
    assert sink_of("89Zr", "Bone").use == "sink"
    assert sink_of("Zr-89", "bone_marrow") is None
    assert sink_of("Cu-64", "liver").use == "not_usable"
    assert sink_of("Tc-99m", "bladder").use == "excretion"
    assert sink_of("I-124", "thyroid").form == "iodide"
    assert sink_of("I-124", "brain") is None
    assert sink_of("", "bone") is None
