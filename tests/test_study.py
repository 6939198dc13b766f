"""The study document: what is wrong is said by key, with what was found and expected."""

from __future__ import annotations

import contextlib
import copy
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igdd.document import json_schema
from igdd.errors import StudyError
from igdd.stages.plan import plan
from igdd.study import canonical, check_study, load_study

GOOD = """
schema = 1
title = "a study"
[agent]
carrier = "liposome"
label = { nuclide = "Zr-89", on = "carrier" }
[scanner]
cross_calibration = { factor = 1.0, sd = 0.03 }
psf = "6.0 mm"
[[subject]]
id = "01"
weight = "71 kg"
[[subject.given]]
at = 2026-05-01T12:30:00
activity = "37 MBq"
residual = "0.4 MBq"
[[scan]]
subject = "01"
session = "24h"
modality = "pet"
path = "."
[[region]]
name = "liver"
from = { sphere = [0, 0, 0], diameter = "30 mm" }
[[measure]]
metric = "uptake"
"""


def good() -> dict:
    return tomllib.loads(GOOD)


def refused(document: dict) -> str:
    with pytest.raises(StudyError) as caught:
        check_study(document, Path("study.toml"))
    return str(caught.value)


def test_quantities_are_held_in_internal_units():
    document = check_study(good(), Path("study.toml")).document
    assert document.subject[0].weight == 71_000.0
    assert document.subject[0].given[0].activity == 37e6
    assert document.scanner.psf == 6.0
    assert document.subject[0].given[0].at == datetime(2026, 5, 1, 12, 30)


def test_an_unknown_key_is_refused_by_name():
    document = good()
    document["subject"][0]["wieght"] = "71 kg"
    assert "subject[1].wieght: is not a key of the study" in refused(document)


def test_a_number_without_a_unit_is_refused():
    document = good()
    document["subject"][0]["weight"] = 71
    assert "subject[1].weight: found 71; expected text with a unit" in refused(document)


def test_a_wrong_unit_is_refused():
    document = good()
    document["subject"][0]["weight"] = "71 MBq"
    assert "subject[1].weight" in refused(document)


def test_a_nuclide_that_nobody_knows_needs_a_half_life():
    document = good()
    document["agent"]["label"]["nuclide"] = "Zr-98"
    assert "agent.label: found nuclide 'Zr-98'" in refused(document)
    document["agent"]["label"]["half_life"] = "31 s"
    assert check_study(document, Path("study.toml")).document.agent.label.half_life == 31.0


def test_an_unknown_modality_is_named_with_its_scan():
    document = good()
    document["scan"][0]["modality"] = "pte"
    assert "scan[1].modality: found 'pte'; expected one of contrast, ct," in refused(document)


def test_a_missing_key_is_named():
    document = good()
    del document["scan"][0]["path"]
    assert "scan[1].path: is missing" in refused(document)


def test_a_study_that_asks_for_nothing_is_refused():
    document = good()
    del document["measure"]
    assert "nothing is asked for; expected a [[measure]], [[fit]] or [[map]]" in refused(document)
    document["map"] = [{"model": "patlak"}]
    assert check_study(document, Path("study.toml")).document.measure == ()


def test_a_newer_schema_is_refused():
    assert "schema is 2" in refused({**good(), "schema": 2})


def test_an_unknown_metric_is_answered_with_the_known_ones():
    document = good()
    document["measure"] = [{"metric": "uptakes"}]
    assert "'uptakes' is unknown; expected" in refused(document)


def test_a_map_of_a_model_for_regions_alone_says_which_make_maps():
    document = {**good(), "map": [{"model": "mrtm2"}]}
    assert "model = 'mrtm2' makes no maps; expected" in refused(document)
    document["map"] = [{"model": "mrtm3"}]
    assert "model = 'mrtm3' is unknown; expected" in refused(document)


def test_an_option_that_a_metric_lacks_is_refused():
    document = good()
    document["measure"] = [{"metric": "uptake", "colour": "red"}]
    assert "colour: is not a key" in refused(document)


def test_two_rules_for_one_region_are_refused():
    document = good()
    document["region"][0]["from"]["above"] = "5 kBq/mL"
    assert "expected exactly one of" in refused(document)


def test_a_subject_that_is_not_there_is_named():
    document = good()
    document["scan"][0]["subject"] = "02"
    assert "'02'; expected one of 01" in refused(document)


def test_every_fault_is_told_at_once():
    document = good()
    document["subject"][0]["weight"] = 71
    document["scan"][0]["colour"] = "red"
    assert len(refused(document).splitlines()) == 2


def test_a_path_outside_the_granted_roots_is_refused(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "secret").mkdir()
    text = GOOD.replace('path = "."', 'path = "../secret"')
    (tmp_path / "study/study.toml").write_text(text)
    with pytest.raises(Exception, match="secret") as caught:
        plan(load_study(tmp_path / "study"))
    assert type(caught.value).__module__ == "igdd.errors"
    granted = load_study(tmp_path / "study", (tmp_path,))
    assert granted.resolve("../secret", "scan.path").is_dir()


def test_a_link_out_of_the_roots_is_refused(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "study/door").symlink_to(tmp_path / "secret")
    (tmp_path / "study/study.toml").write_text(GOOD.replace('path = "."', 'path = "door"'))
    with pytest.raises(Exception, match=r"door|secret") as caught:
        plan(load_study(tmp_path / "study"))
    assert type(caught.value).__module__ == "igdd.errors"


def test_net_activity_is_what_was_drawn_up_less_the_residual(tmp_path):
    (tmp_path / "study.toml").write_text(GOOD)
    (one,) = plan(load_study(tmp_path))
    assert one.subject.given[0].activity.value == 36.6e6


def test_the_plan_of_a_session_does_not_change_with_another_subject(tmp_path):
    (tmp_path / "study.toml").write_text(GOOD)
    study = load_study(tmp_path)
    raw = copy.deepcopy(dict(study.raw))
    raw["subject"].append({"id": "02"})
    raw["scan"].append({**raw["scan"][0], "subject": "02"})
    first = plan(study)[0]
    again = plan(check_study(raw, study.path))[0]
    assert first.document == again.document


def test_equal_documents_have_one_text():
    turned = dict(reversed(list(good().items())))
    assert canonical(turned) == canonical(good())


def test_the_schema_is_exported_with_every_metric():
    text = str(json_schema())
    assert "uptake" in text
    assert "a quantity that converts to g" in text


@pytest.mark.parametrize("text", ["", "schema = ", "\x00", "schema = 1", "[" * 5000])
def test_a_text_that_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(StudyError):
        load_study(tmp_path)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*good(), "id", "path", "at"]), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from(list(good())),
)
def test_any_other_content_is_refused_or_accepted_but_never_breaks(content, key):
    document = {**good(), key: content}
    with contextlib.suppress(StudyError):
        check_study(document, Path("study.toml"))
