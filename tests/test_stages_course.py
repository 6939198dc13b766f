"""What is followed over sessions: rows, and warnings of faded labels and of open ledgers."""

from __future__ import annotations

import pandas as pd
import pytest

from igdd.errors import StudyError
from igdd.facts import Agent
from igdd.line import run
from igdd.stages.course import faded, unbalanced

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


def totals(*rows) -> pd.DataFrame:
    columns = ("subject", "session", "time", "value")
    table = pd.DataFrame(rows, columns=list(columns))
    return table.assign(metric="ledger_percent_id", region="total")


def test_a_ledger_above_what_was_given_is_warned_of():
    (text,) = unbalanced(totals(("01", "1h", 3600.0, 105.5), ("02", "1h", 3600.0, 104.9)))
    assert "1 of 2 ledgers hold more than 105 %" in text
    assert "subject 01, session 1h: 105.5 %" in text


def test_too_little_within_the_first_hour_is_warned_of_and_later_is_not():
    (text,) = unbalanced(totals(("01", "1h", 3600.0, 89.0), ("01", "24h", 86400.0, 60.0)))
    assert "1 of 2 ledgers hold less than 90 % within 1 h" in text


def test_a_long_lived_label_has_not_faded():
    table = totals(("01", "48h", 48 * 3600.0, 100.0))
    assert faded(table, Agent(nuclide="Zr-89")) == []
    assert faded(table, Agent()) == []
    assert len(faded(table, Agent(nuclide="F-18"))) == 1


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
