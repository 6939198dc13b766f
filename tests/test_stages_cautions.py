"""What a reader of the results would miss: faded labels, ledgers that stay open."""

from __future__ import annotations

import pandas as pd

from igdd.facts import Agent
from igdd.stages.cautions import faded, unbalanced


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
