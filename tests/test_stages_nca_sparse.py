"""`igdd nca --sparse`: groups and organs with their errors, Kp, and two groups compared."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.stages.nca_sparse import nca_sparse
from igdd.stages.nca_sparse import text as sparse_text

PLAIN = {"time_unit": "h", "concentration_unit": "mg/L"}


def table(folder: Path, rows, header="subject,time,concentration", name="table.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def sparse_table(folder: Path, groups=("x", "y"), organs=("plasma", "liver"), animals=4) -> Path:
    """One animal killed at each time, tissue and plasma of each."""
    generator = np.random.default_rng(8)
    rows = []
    for place, group in enumerate(groups):
        for time in (0.5, 1, 2, 4, 8):
            for animal in range(animals):
                own = generator.lognormal(0, 0.2)
                for factor, organ in enumerate(organs, 1):
                    height = own * factor * (1 + place) * generator.lognormal(0, 0.02)
                    value = 10 * math.exp(-0.3 * time) * height
                    rows.append((f"{group}{time}-{animal}", group, organ, time, value))
    return table(folder, rows, "subject,group,organ,time,concentration", "sparse.csv")


def test_a_sparse_table_gives_groups_with_their_errors(tmp_path):
    found = nca_sparse(sparse_table(tmp_path), **PLAIN, dose="10 mg", route="bolus")
    assert [(e["group"], e["organ"], e["animals"]) for e in found] == [
        ("x", "plasma", 20), ("x", "liver", 20), ("y", "plasma", 20), ("y", "liver", 20),
    ]  # fmt: skip
    area = found[0]["parameters"]["AUCIFO"]
    assert area["low"] < 10 / 0.3 < area["high"]
    assert area["df"] > 3
    clearance = found[0]["parameters"]["CLO"]
    assert_allclose(clearance["value"] * area["value"], 10)
    assert_allclose(clearance["sd"] / clearance["value"], area["sd"] / area["value"])
    assert "AUCLST" in sparse_text(found)


def test_a_sparse_profile_of_an_extravascular_dose_begins_at_zero(tmp_path):
    rows = [(f"{t}{k}", t, c + k) for t, c in ((1, 4.0), (2, 6.0), (4, 2.0)) for k in (0, 1)]
    (found,) = nca_sparse(table(tmp_path, rows), **PLAIN)
    assert_allclose(found["parameters"]["AUCLST"]["value"], 0.5 * 4.5 + 5.5 + 9.0)


def test_kp_of_the_same_animals_is_surer_than_of_others(tmp_path):
    path = sparse_table(tmp_path)
    paired = nca_sparse(path, **PLAIN, plasma="plasma")[1]["parameters"]["KP"]
    lines = [
        re.sub(r"^([^,]+),", r"\1-other,", line) if ",liver," in line else line
        for line in path.read_text().splitlines()
    ]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(lines) + "\n")
    apart = nca_sparse(other, **PLAIN, plasma="plasma")[1]["parameters"]["KP"]
    assert_allclose(paired["value"], apart["value"])
    assert paired["sd"] < 0.3 * apart["sd"]
    assert paired["low"] < 2 < paired["high"]


def test_two_groups_are_compared(tmp_path):
    found = nca_sparse(sparse_table(tmp_path), **PLAIN, between=("x", "y"))
    (liver,) = (e for e in found if e.get("between") and e["organ"] == "liver")
    parts = {e["group"]: e["parameters"] for e in found if e.get("organ") == "liver"
             and "group" in e}  # fmt: skip
    change = liver["parameters"]["AUCLST_difference"]
    assert_allclose(change["value"], parts["y"]["AUCLST"]["value"] - parts["x"]["AUCLST"]["value"])
    assert change["low"] < change["value"] < change["high"]
    assert change["p"] < 0.05
    # bootstrap-t and t tell of the same scatter: within half the width of one another
    width = change["high"] - change["low"]
    assert abs(change["bootstrap_low"] - change["low"]) < 0.5 * width
    ratio = liver["parameters"]["AUCLST_ratio"]
    assert ratio["low"] < 2 < ratio["high"]
    assert "y against x" in sparse_text(found)


def test_the_same_sparse_table_gives_the_same_numbers(tmp_path):
    path = sparse_table(tmp_path)
    first, second = (nca_sparse(path, **PLAIN, between=("x", "y")) for _ in range(2))
    assert repr(first) == repr(second)


def test_a_single_animal_at_a_time_pools_the_scatter(tmp_path):
    rows = [("a", 1, 4.0), ("b", 1, 5.0), ("c", 2, 3.0), ("d", 4, 1.0), ("e", 4, 1.2)]
    (found,) = nca_sparse(table(tmp_path, rows), **PLAIN)
    entry = found["parameters"]["AUCLST"]
    assert "scatter_pooled" in entry["flags"]
    assert entry["df"] == 2
    rows = [("a", 1, 4.0), ("b", 2, 3.0), ("c", 4, 1.0)]
    (alone,) = nca_sparse(table(tmp_path, rows), **PLAIN)
    assert "scatter_unknown" in alone["parameters"]["AUCLST"]["flags"]


@pytest.mark.parametrize(("last", "flag"), [(0.0, "tail_not_positive"), (9.0, "rising_tail")])
def test_sparse_tails_without_a_slope(tmp_path, last, flag):
    rows = [(f"{t}{k}", t, c + 0.1 * k * (c > 0)) for t, c in ((1, 4.0), (2, 3.0), (4, last))
            for k in (0, 1)]  # fmt: skip
    (found,) = nca_sparse(table(tmp_path, rows), **PLAIN)
    assert math.isnan(found["parameters"]["AUCIFO"]["value"])
    assert flag in found["parameters"]["AUCIFO"]["flags"]


def test_a_sparse_exposure_below_zero_has_no_limits(tmp_path):
    rows = [(f"{t}{k}", t, -1.0 - 0.1 * k) for t in (1, 2, 4) for k in (0, 1)]
    entry = nca_sparse(table(tmp_path, rows), **PLAIN)[0]["parameters"]["AUCLST"]
    assert entry["value"] < 0
    assert math.isnan(entry["low"])
    assert "estimate_not_positive" in entry["flags"]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([("a", 1, 2)], {}, "1 sampling times after the dose; expected 2 to 100"),
        ([("a", 1, "BLQ"), ("b", 2, 1)], {}, "mean needs all"),
        ([("a", 1, 2), ("b", 2, 1)], {"plasma": "blood"}, "'blood' is not there"),
        ([("a", 1, 2), ("b", 2, 1)], {"between": ("x", "y")}, "'x' is not there"),
        ([("a", 1, 2), ("b", 2, 1)], {"tail_mean": "median"}, "expected one of geometric"),
        ([("a", 1, 2), ("b", 2, 1)], {"route": "oral"}, "expected one of"),
    ],
)
def test_sparse_calls_that_are_wrong_are_refused(tmp_path, rows, options, words):
    with pytest.raises(InputError, match=words):
        nca_sparse(table(tmp_path, rows), **{**PLAIN, **options})


def test_groups_that_share_animals_are_not_compared(tmp_path):
    rows = [("a", g, t, 3 / t) for g in "xy" for t in (1, 2, 4)]
    path = table(tmp_path, rows, "subject,group,time,concentration")
    with pytest.raises(InputError, match="share animals"):
        nca_sparse(path, **PLAIN, between=("x", "y"))
