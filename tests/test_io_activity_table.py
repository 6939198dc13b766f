"""Tables of activity: units from wherever they are stated, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import IgddError, UnitsError
from igdd.io.activity_table import read


def table(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "cells"),
    [("region,time [h],activity [MBq],volume [mL]", "liver,24,5,1500"),
     ("organ,time_min,activity_kBq,volume_L", "liver,1440,5000,1.5"),
     ("Region,Time (d),Activity (Bq),Volume [cm3]", "liver,1,5e6,1500")],
)  # fmt: skip
def test_units_stand_in_headers(tmp_path, header, cells):
    found = read(table(tmp_path, f"{header}\n{cells}\n"), {})
    assert found.region == ("liver",)
    assert_allclose([found.time[0], found.activity[0], found.volume[0]], [24.0, 5.0, 1500.0])
    assert not found.percent


def test_units_stand_in_the_call_or_beside_the_table(tmp_path):
    path = table(tmp_path, "region,time,activity,sd,mass\nliver,1,5,0.5,1.8\n")
    stated = {"time": "d", "activity": "GBq", "mass": "kg"}
    found = read(path, stated)
    assert_allclose([found.time[0], found.activity[0], found.sd[0], found.mass[0]],
                    [24.0, 5000.0, 500.0, 1800.0])  # fmt: skip
    (tmp_path / "table.json").write_text(
        '{"time": {"Units": "d"}, "activity": {"Units": "GBq"}, "mass": {"Units": "kg"}}'
    )
    assert_allclose(read(path, {}).sd, [500.0])
    with pytest.raises(UnitsError, match="mixed units"):
        read(path, {"time": "h"})


def test_percent_of_what_was_given_is_known_as_such(tmp_path):
    found = read(table(tmp_path, "region,time [h],activity [%IA]\nliver,24,5\n"), {})
    assert found.percent
    assert found.activity[0] == 5.0


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("region,time [h],activity [MBq]\n", "no measurement"),
     ("region,time [h]\nliver,1\n", "column activity is missing"),
     ("region,time,activity [MBq]\nliver,1,2\n", "nothing says in which unit time is"),
     ("region,time [h],activity\nliver,1,2\n", "nothing says in which unit activity is"),
     ("region,time [h],activity [Bq/mL]\nliver,1,2\n", "multiply a concentration"),
     ("region,time [h],activity [1]\nliver,1,2\n", "activity is in '1'"),
     ("region,time [mL],activity [MBq]\nliver,1,2\n", "does not convert"),
     ("region,time [h],activity [MBq],dose\nliver,1,2,3\n", "column 'dose' is unknown"),
     ("region,organ,time [h],activity [MBq]\na,b,1,2\n", "are both region"),
     ("region,time [h],activity [MBq]\n,1,2\n", "has no region"),
     ("region,time [h],activity [MBq]\nliver,,2\n", "has no time"),
     ("region,time [h],activity [MBq]\nliver,x,2\n", "expected a number"),
     ("region,time [h],activity [MBq]\nliver,1,2 MBq\n", "expected a number"),
     ("region,time [h],activity [MBq],sd\nliver,1,2,-1\n", "sd is -1"),
     ("region,time [h],activity [MBq],volume [mL]\nliver,1,2,0\n", "volume is 0"),
     ("region,time [h],activity [MBq],volume_sd [mL]\nliver,1,2,\n", None),
     ("region,time [h],activity [MBq],volume_sd\nliver,1,2,3\n", "without a column volume"),
     ("region,time [h],activity [MBq],density\nliver,1,2,1\n", "in which unit density"),
     ("region,time [h],activity [MBq]\nliver,1,1e300\n", "can be measured"),
     ("region,time [h],activity [MBq]\nliver,1\n", "cells"),
     ("\0\0\0", "NUL")],
)  # fmt: skip
def test_wrong_tables_are_refused_by_name(tmp_path, text, message):
    path = table(tmp_path, text)
    if message is None:
        assert np.isnan(read(path, {}).volume_sd).all()
        return
    with pytest.raises(IgddError, match=message):
        read(path, {})
