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
