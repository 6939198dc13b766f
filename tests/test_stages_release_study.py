"""Release in vitro in a study: checked, run, stored, and written again as the same bytes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from igdd.document import json_schema
from igdd.errors import InputError, StudyError, UnitsError
from igdd.line import rewrite, run
from igdd.provenance import sha256
from igdd.stages import release_study
from igdd.stages.plan import plan
from igdd.stages.release import release
from igdd.study import check_study

REPORTS = ("report.html", "report.pdf")
TIMES = np.array([0.0, 1, 2, 4, 8, 16, 24])
WEIGHED = """subject,region,time_h,percent_id,percent_id_sd,mass_mg,analyte
m1,liver,24,11.2,0.4,1510,carrier
m1,blood,24,3.1,0.2,900,carrier
"""


def document(*entries):
    """A study of one animal whose organs were weighed, and tables of release."""
    return {
        "schema": 1,
        "title": "Weighed organs, and release in vitro",
        "agent": {"label": {"nuclide": "Zr-89", "on": "carrier"}},
        "subject": [{"id": "m1", "given": [{"activity": "5 MBq"}]}],
        "scan": [
            {"subject": "m1", "session": "24h", "modality": "uptake_table", "path": "organs.csv"}
        ],
        "measure": [{"metric": "uptake"}],
        "release": list(entries),
    }


def written(folder):
    """The study's folder: organs, and two formulations that release at rates 2:1."""
    (folder / "organs.csv").write_text(WEIGHED, encoding="utf-8")
    rows = ["formulation,vessel,time [h],released [%]"]
    for name, rate in (("plain", 0.2), ("coated", 0.1)):
        for vessel in range(3):
            values = 100 * (1 - np.exp(-rate * (1 + 0.02 * vessel) * TIMES))
            rows += [
                f"{name},{vessel},{time},{value:.4f}"
                for time, value in zip(TIMES, values, strict=True)
            ]
    (folder / "in_vitro.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "in_vitro.json").write_text('{"time": {"Units": "h"}}', encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a study that was run, and its results."""
    place = written(tmp_path_factory.mktemp("release"))
    return place, run(study(place, ASKED), workers=1)


def study(folder, *entries):
    return check_study(document(*entries), folder / "study.toml")


ASKED = {"path": "in_vitro.csv", "reference": "plain", "models": ["first_order", "weibull"]}


def test_a_run_holds_what_the_command_finds(done):
    folder, results = done
    found = release(folder / "in_vitro.csv", reference="plain", models=["first_order", "weibull"])
    (table,) = results.releases
    assert (table.source, table.time_unit) == ("in_vitro.csv", "h")
    assert [one.formulation for one in table.formulations] == ["plain", "coated"]
    for one, expected in zip(table.formulations, found["formulations"], strict=True):
        assert list(one.released) == [point["released"] for point in expected["profile"]]
        assert [law.model for law in one.models] == [law["model"] for law in expected["models"]]
        assert one.numbers["T50"] == (expected["T50"]["value"], "h")
        assert not one.line.flags.writeable
    (pair,) = table.comparisons
    assert (pair.f1, pair.f2) == (found["comparisons"][0]["f1"], found["comparisons"][0]["f2"])
    assert pair.low == found["comparisons"][0]["bootstrap"]["f2"]["low"] < pair.f2 < pair.high


def test_the_report_is_written_again_as_the_same_bytes_without_the_table(done, tmp_path):
    place, _ = done
    folder = tmp_path / "copy"
    shutil.copytree(place, folder)
    out = folder / "results"
    before = {name: (out / name).read_bytes() for name in (*REPORTS, release_study.FILE)}
    for name in REPORTS:
        (out / name).unlink()
    shutil.move(folder / "in_vitro.csv", tmp_path / "elsewhere.csv")
    rewrite(out)
    assert {name: (out / name).read_bytes() for name in before} == before
    shutil.move(tmp_path / "elsewhere.csv", folder / "in_vitro.csv")
    run(study(folder, ASKED), workers=1)
    assert {name: (out / name).read_bytes() for name in before} == before


def test_the_table_and_the_json_beside_it_are_in_the_provenance(done):
    folder, results = done
    for name in ("in_vitro.csv", "in_vitro.json"):
        assert results.provenance["inputs"][name] == sha256(folder / name)
    assert list(results.provenance["inputs"]) == sorted(results.provenance["inputs"])


def test_what_is_stored_is_json_without_nan(folder):
    (folder / "in_vitro.csv").write_text(
        "formulation,time [h],released [%]\nA,1,5\nA,2,9\nA,4,20\n", encoding="utf-8"
    )
    asked = study(folder, {"path": "in_vitro.csv", "models": ["zero_order"]})
    release_study.compute(asked, folder)
    text = (folder / release_study.FILE).read_text(encoding="utf-8")

    def refuse(constant):
        raise AssertionError(constant)

    (stored,) = json.loads(text, parse_constant=refuse)
    assert stored["formulations"][0]["T50"]["value"] is None
    (table,) = release_study.load(asked.document, folder)
    assert np.isnan(table.formulations[0].numbers["T50"][0])
    assert np.isnan(table.formulations[0].sd).all()


def test_a_study_without_release_keeps_none_from_before(done, tmp_path):
    place, _ = done
    folder = tmp_path / "copy"
    shutil.copytree(place, folder)
    results = run(study(folder), workers=1)
    assert results.releases == ()
    assert not (folder / "results" / release_study.FILE).exists()
    assert "in_vitro.csv" not in results.provenance["inputs"]
    assert not any("Release in vitro" in text for text in results.methods)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "missing.csv"}, r"release\.path = 'missing\.csv'"),
        ({"path": "../out.csv"}, r"release\.path"),
        ({"models": ["weibul"]}, r"release\[1\]: 'weibul' is no release model; expected"),
        ({"free": ["Tleg"]}, r"release\[1\]: no model has a parameter 'Tleg'"),
        ({"hold": {"k9": "1"}}, r"release\[1\]: no model has a parameter 'k9'"),
    ],
)
def test_a_check_names_what_is_wrong(folder, changes, message):
    with pytest.raises(StudyError, match=message):
        plan(study(folder, ASKED | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "all"}, r"release\[1\]\.weights"),
        ({"up_to": 0}, r"release\[1\]\.up_to"),
        ({"rule": "one"}, r"release\[1\]\.rule"),
        ({"reference": 3}, r"release\[1\]\.reference"),
        ({"seed": 3}, r"release\[1\]\.seed: is not a key of the study"),
    ],
)
def test_a_key_out_of_its_range_is_refused(folder, changes, message):
    with pytest.raises(StudyError, match=message):
        study(folder, ASKED | changes)


def test_an_unknown_reference_stops_the_run_before_a_session_is_computed(folder):
    with pytest.raises(InputError, match="no formulation 'gold'; expected one of plain, coated"):
        run(study(folder, ASKED | {"reference": "gold"}), workers=1)
    assert not (folder / "results" / "sessions").exists()


def test_units_that_nobody_states_are_asked_for(folder):
    text = (folder / "in_vitro.csv").read_text(encoding="utf-8")
    (folder / "in_vitro.csv").write_text(text.replace("released [%]", "released"), encoding="utf-8")
    with pytest.raises(UnitsError, match="nothing says in which unit released is"):
        release_study.compute(study(folder, ASKED), folder)
    stated = ASKED | {"released_unit": "percent"}
    release_study.compute(study(folder, stated), folder)
    (table,) = release_study.load(study(folder, stated).document, folder)
    assert table.formulations[0].released[-1] == pytest.approx(99.2, abs=0.1)


def test_methods_say_how_once_for_each_way(folder):
    alike = {"path": "in_vitro.csv"}
    (only,) = release_study.methods(study(folder, ASKED).document)
    assert only.startswith("Release in vitro: models were fitted to the mean profiles")
    assert only.endswith("limits (BCa) of f2 from 5,000 draws of whole vessels.")
    asked = study(folder, alike, alike, ASKED | {"rule": "both", "weights": "sd"})
    first, second = release_study.methods(asked.document)
    assert first.endswith("samples alike, and ranked by AICc with Akaike weights.")
    assert first.startswith("Release in vitro (in_vitro.csv, in_vitro.csv): models were fitted")
    assert "by their standard deviation" in second
    assert "up to the first at which both means have reached 85 %" in second


@pytest.mark.parametrize("spoilt", ["[3]", '[{"table": "t"}]', "{", "[{}]"])
def test_a_stored_release_that_is_none_is_named(done, tmp_path, spoilt):
    place, _ = done
    out = tmp_path / "results"
    shutil.copytree(place / "results", out)
    (out / release_study.FILE).write_text(spoilt, encoding="utf-8")
    with pytest.raises(InputError, match="not the results of a finished run"):
        rewrite(out)


def test_the_schema_describes_the_table(folder):
    schema = json_schema()
    assert schema["$defs"]["ReleaseEntry"]["required"] == ["path"]
