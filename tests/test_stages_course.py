"""What is followed over the sessions of a subject, through a whole run."""

from __future__ import annotations

import pytest

from igdd.errors import StudyError
from igdd.line import run

STUDY = """\
schema = 1
title = "Excised organs"
[agent]
carrier = "liposome"
label = { nuclide = "Cu-64", on = "carrier" }
[[subject]]
id = "m1"
[[subject.given]]
activity = "10 MBq"
activity_sd = "0.1 MBq"
[[subject.collected]]
place = "urine"
until = "24 h"
activity = "1 MBq"
sd = "0.02 MBq"
counted_at = "12.7 h"
[[scan]]
subject = "m1"
session = "24h"
modality = "uptake_table"
path = "organs.csv"
[[measure]]
metric = "ledger"
"""


@pytest.fixture
def organs(tmp_path):
    (tmp_path / "organs.csv").write_text(
        "subject,region,time_h,percent_id,percent_id_sd\nm1,liver,24,30,1\nm1,carcass,24,45,1\n"
    )
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def test_excreta_are_corrected_from_their_own_counting_time(organs):
    table = run(organs, workers=1).measurements
    ledger = table[table["metric"] == "ledger_percent_id"].set_index("region")["value"]
    # one half-life of Cu-64 (12.700 h, ICRP-107) between administration and counting: 1 MBq was 2
    assert ledger["urine"] == pytest.approx(20.0)
    assert ledger["total"] == pytest.approx(95.0)
    assert ledger["unaccounted"] == pytest.approx(5.0)


def test_a_counting_time_needs_the_half_life(organs):
    text = STUDY.replace('label = { nuclide = "Cu-64", on = "carrier" }\n', "")
    (organs / "study.toml").write_text(text)
    with pytest.raises(StudyError, match=r"urine has a time of counting.*agent.label.nuclide"):
        run(organs, workers=1)


def test_a_metric_that_gives_no_row_is_named(organs):
    asked = '[[measure]]\nmetric = "extravascular"\nblood = "blood"\nfraction = 0.2\n'
    (organs / "study.toml").write_text(STUDY + asked)
    warnings = run(organs, workers=1).provenance["warnings"]
    assert any("'extravascular' gave no row" in text for text in warnings)
    assert not any("'ledger'" in text for text in warnings)


def test_a_region_that_no_session_has_is_named(organs):
    (organs / "study.toml").write_text(STUDY + 'blood = "bloood"\n')
    warnings = run(organs, workers=1).provenance["warnings"]
    (text,) = [one for one in warnings if "bloood" in one]
    assert "there are: carcass, liver" in text
