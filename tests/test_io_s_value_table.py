"""Tables of S values: units, masses, and what is refused."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from igdd.errors import IgddError
from igdd.io.s_value_table import read as read_s


def table(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_s_values_come_with_unit_and_mass(tmp_path):
    path = table(
        tmp_path,
        "target,source,s [mGy/(MBq.s)],target_mass [g]\n"
        "kidney,kidney,2e-4,310\nkidney,liver,3e-6,310\n",
    )
    found = read_s(path)
    assert_allclose(found.values["kidney", "liver"], 3e-15)
    assert found.masses == {"kidney": 310.0}
    assert found.targets == ("kidney",)


@pytest.mark.parametrize(
    ("text", "message"),
    [("target,source,s\na,b,1\n", "has no unit"), ("target,source\na,b\n", "column s is missing"),
     ("target,source,s [Gy]\na,b,1\n", "does not convert"),
     ("target,source,s [Gy/(Bq.s)]\na,b,1\na,b,2\n", "stands there twice"),
     ("target,source,s [Gy/(Bq.s)]\na,b,-1\n", "at least 0"),
     ("target,source,s [Gy/(Bq.s)]\na,b,\n", "at least 0"),
     ("target,source,s [Gy/(Bq.s)]\na,,1\n", "no target or no source"),
     ("target,source,s [Gy/(Bq.s)],target_mass [g]\na,b,1,0\n", "mass above 0"),
     ("target,source,s [Gy/(Bq.s)],target_mass [g]\na,b,1,3\na,c,1,4\n", "one mass"),
     ("target,source,s [Gy/(Bq.s)],sex\na,b,1,F\n", "unknown"),
     ("target,source,s [Gy/(Bq.s)]\n", "no S value")],
)  # fmt: skip
def test_wrong_s_values_are_refused_by_name(tmp_path, text, message):
    with pytest.raises(IgddError, match=message):
        read_s(table(tmp_path, text))
