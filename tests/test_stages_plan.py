"""Plan: names in a study that must be among its own are, before anything is computed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from igdd.errors import StudyError
from igdd.stages.plan import plan
from igdd.study import check_study

STUDY = """
schema = 1
title = "names"
[[subject]]
id = "01"
arm = "plain"
[[subject]]
id = "02"
arm = "targeted"
[[scan]]
subject = "01"
session = "24h"
modality = "pet"
path = "."
[[scan]]
subject = "02"
session = "24h"
modality = "pet"
path = "."
[[measure]]
metric = "uptake"
"""


def planned(folder: Path, text: str):
    return plan(check_study(tomllib.loads(STUDY + text), folder / "study.toml"))


def test_an_excluded_session_is_not_planned(tmp_path):
    out = '[[exclude]]\nsubject = "01"\nsession = "24h"\nreason = "moved"\n'
    assert [one.folder for one in planned(tmp_path, out)] == ["02_24h"]


def test_an_exclusion_of_a_session_that_is_not_there_is_refused(tmp_path):
    out = '[[exclude]]\nsubject = "01"\nsession = "25h"\nreason = "moved"\n'
    with pytest.raises(StudyError, match="session '25h' of subject 01; expected one of 24h"):
        planned(tmp_path, out)


def test_a_comparison_of_an_arm_that_is_not_there_is_refused(tmp_path):
    asked = '[[compare]]\nmethod = "groups"\non = "percent_id"\nbetween = ["plain", "{}"]\n'
    with pytest.raises(StudyError, match="arm 'targetted'; expected one of plain, targeted"):
        planned(tmp_path, asked.format("targetted"))
    assert len(planned(tmp_path, asked.format("targeted"))) == 2


TWO_LABELS = """
schema = 1
title = "two labels"
[agent]
carrier = "liposome"
drug = "doxorubicin"
label = { nuclide = "Zr-89", on = "carrier" }
[[subject]]
id = "01"
[[subject.given]]
activity = "4 MBq"
nuclide = "Zr-89"
[[subject.given]]
activity = "20 MBq"
nuclide = "F-18"
[[scan]]
subject = "01"
session = "carrier"
modality = "pet"
path = "."
label = { nuclide = "Zr-89", on = "carrier" }
[[scan]]
subject = "01"
session = "drug"
modality = "pet"
path = "."
label = { nuclide = "F-18", on = "drug" }
[[measure]]
metric = "uptake"
"""


def test_each_scan_of_two_labels_has_its_own_dose_and_tells_of_its_own_analyte(tmp_path):
    study = check_study(tomllib.loads(TWO_LABELS), tmp_path / "study.toml")
    carrier, drug = plan(study)
    assert (carrier.agent.analyte, drug.agent.analyte) == ("carrier", "drug")
    assert carrier.subject.given[0].activity.value == 4e6
    (given,) = drug.subject.given
    assert given.activity.value == 20e6


def test_a_label_that_nobody_gave_is_refused(tmp_path):
    text = TWO_LABELS.replace('nuclide = "F-18", on', 'nuclide = "I-124", on')
    with pytest.raises(StudyError, match=r"no administration is of I-124.*F-18, Zr-89"):
        plan(check_study(tomllib.loads(text), tmp_path / "study.toml"))


def test_one_label_tells_of_itself(tmp_path):
    assert {one.agent.analyte for one in planned(tmp_path, "")} == {"label"}


NAMED = """
[[scan]]
subject = "02"
session = "24h"
modality = "pet"
path = "."
name = "target"
"""


def test_a_second_image_of_a_visit_has_a_name_and_is_not_the_measured_one(tmp_path):
    _, second = planned(tmp_path, NAMED)
    assert second.scan.entry.name is None
    assert [one.entry.name for one in second.others] == ["target"]


def test_two_images_of_one_name_are_refused(tmp_path):
    with pytest.raises(StudyError, match="two scans of the name 'target'"):
        planned(tmp_path, NAMED + NAMED)


def test_a_scan_may_have_a_point_spread_of_its_own(tmp_path):
    text = STUDY.replace('path = "."\n[[measure]]', 'path = "."\npsf = "9 mm"\n[[measure]]')
    text = text.replace("[[subject]]", '[scanner]\npsf = "6 mm"\npsf_sd = "0.3 mm"\n[[subject]]', 1)
    first, second = plan(check_study(tomllib.loads(text), tmp_path / "study.toml"))
    assert (first.scanner.psf, first.scanner.psf_sd) == (6.0, 0.3)
    assert (second.scanner.psf, second.scanner.psf_sd) == (9.0, 0.0)


def test_an_injection_of_its_own_belongs_to_its_session(tmp_path):
    given = '[[subject.given]]\nactivity = "{}"\nsession = "{}"\n'
    text = STUDY.replace(
        'arm = "plain"\n',
        'arm = "plain"\n' + given.format("4 MBq", "24h") + given.format("5 MBq", "48h"),
    )
    one, _ = plan(check_study(tomllib.loads(text), tmp_path / "study.toml"))
    (own,) = one.subject.given
    assert own.activity.value == 4e6
