"""Tables of occupancies: forms, units from every place, hostile files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from igdd.errors import IgddError, UnitsError
from igdd.io.occupancy_table import of_columns, read


def written(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_per_cent_and_fractions_are_the_same_occupancies(tmp_path):
    one = read(written(tmp_path, "subject,dose_mg,occupancy [%],sd\n007,5,40,2\n8,10,60,3\n"))
    other = read(written(tmp_path, "subject,dose [mg],occupancy [1],sd\n007,5,0.4,0.02\n"
                         "8,10,0.6,0.03\n", "other.csv"))  # fmt: skip
    np.testing.assert_allclose(one.occupancy, [0.4, 0.6])
    np.testing.assert_allclose(other.occupancy, one.occupancy)
    np.testing.assert_allclose(other.sd, one.sd)
    assert one.subject == ("007", "8")
    assert (one.driver, one.unit) == ("dose", "mg")


def test_units_may_stand_beside_the_table_in_a_column_or_in_the_call(tmp_path):
    path = written(tmp_path, "concentration,occupancy,occupancy_unit\n5,40,percent\n")
    facts = {"concentration": {"Units": "ng/mL"}}
    path.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    found = read(path)
    assert (found.driver, found.unit) == ("concentration", "ng/mL")
    assert found.occupancy[0] == pytest.approx(0.4)
    called = of_columns({"dose": [1.0], "occupancy": [40.0]}, "mg/kg", "percent")
    assert called.unit == "mg/kg"
    assert called.occupancy[0] == pytest.approx(0.4)


def test_two_units_for_one_column_are_refused(tmp_path):
    path = written(tmp_path, "dose [mg],occupancy [%]\n5,40\n")
    with pytest.raises(UnitsError, match="mixed units"):
        read(path, unit="ug")
    with pytest.raises(UnitsError, match="mixed units"):
        read(path, occupancy_unit="fraction")


@pytest.mark.parametrize(
    "content",
    ["", "dose [mg],occupancy [%]\n", "\x00\x01", "a,b\n1,2\n", "dose [mg],occupancy [%]\n1,2,3\n",
     "dose [mg],occupancy [%]\n1e99,2\n", "dose [mg],dose [ug],occupancy [%]\n1,2,3\n"],
)  # fmt: skip
def test_a_hostile_table_is_an_error_of_its_own(tmp_path, content):
    with pytest.raises(IgddError):
        read(written(tmp_path, content))
    with pytest.raises(IgddError):
        read(tmp_path / "none.csv")
