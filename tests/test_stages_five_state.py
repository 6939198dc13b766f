"""`igdd five-state`: gold particles in rats, and rates that are recovered where they can be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError, UnitsError
from igdd.flags import FLAGS
from igdd.kernels.five_state import RATES, courses
from igdd.stages.five_state import SEEN, Columns, five_state, text

ORGANS = Columns(administration=("blood",), target=("lungs",),
                 off_target=("liver", "spleen", "kidneys"))  # fmt: skip
HOLD = {"kin": "0.400 1/h", "kout": "0.0598 1/h"}


@pytest.fixture(scope="module")
def gold(reference, tmp_path_factory):
    """PEG-coated gold in rats, ug per organ (NTUA, MIT): 0.7 mg/kg x 229 g = 160.3 ug."""
    import openpyxl

    book = openpyxl.load_workbook(reference("delivery/np_delivery_ntua/PEG-AU-NPs.xlsx"),
                                  read_only=True, data_only=True)  # fmt: skip
    rows = {row[0]: row[1:6] for row in book["Kozics_mass"].iter_rows(values_only=True)}
    names = ("blood", "lungs", "liver", "spleen", "kidneys")
    lines = ["time [h]," + ",".join(f"{name} [ug]" for name in names)]
    for place, time in enumerate((1, 4, 24, 168, 672)):
        lines.append(",".join([str(time), *(str(rows[name][place]) for name in names)]))
    place = tmp_path_factory.mktemp("gold") / "gold.csv"
    place.write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture(scope="module")
def fitted(gold):
    return five_state(gold, "160.3 ug", columns=ORGANS, excreted_by_difference=True, hold=HOLD)


@pytest.mark.reference
def test_the_rates_of_gold_in_rats(fitted):
    """Figures of an independent fit with 60 random starts, to the digits noted there."""
    rates = {row["rate"]: row["value"] for row in fitted["rates"]}
    noted = {"kAC": (0.0316, 5e-5), "kCA": (0.523, 5e-4), "kCO": (4.080, 5e-3),
             "kOC": (0.0202, 5e-5), "kAX": (0.0742, 5e-5)}  # fmt: skip
    for name, (value, half_digit) in noted.items():
        assert abs(rates[name] - value) < 1.05 * half_digit
    for name in ("kAO", "kOA", "kOX"):
        assert rates[name] < 1e-6
    assert abs(fitted["fit"]["rms_log10"] - 0.300) < 5e-4
    assert abs(fitted["fit"]["aafe"] - 1.77) < 5e-3
    assert fitted["inside"]["highest"]["time"] == 24
    assert abs(fitted["inside"]["highest"]["value"] - 1.36) < 5e-3


@pytest.mark.reference
def test_what_twenty_numbers_cannot_tell_is_flagged(fitted):
    flags = {row["rate"]: row["flags"] for row in fitted["rates"] if not row["held"]}
    for name in ("kAO", "kOA", "kOX"):
        assert flags[name] == ["at_bound", "poorly_identified"]
    assert "poorly_identified" in flags["kCO"]  # kCO / kin / kCA trade off against each other
    assert flags["kAX"] == []
    assert {flag for some in flags.values() for flag in some} <= set(FLAGS)
    for row in fitted["rates"]:
        if not row["held"]:
            assert row["low"] <= row["value"] <= row["high"]


@pytest.mark.reference
def test_what_is_found_nowhere_is_shown_and_said_to_be_taken_as_excreted(fitted):
    nowhere = fitted["found_nowhere"]
    # (160.3 - 139.866) / 160.3 at 1 h
    assert_allclose(nowhere["values"][0], 100 * 20.434 / 160.3, rtol=1e-4)
    assert nowhere["taken_as_excreted"]
    assert "taken as excreted" in text(fitted)


@pytest.mark.reference
def test_elasticities_say_what_limits(fitted):
    rows = [row for row in fitted["elasticities"] if row["outcome"].startswith("inside")]
    assert rows[0]["rate"] == "kin"
    sizes = [abs(row["elasticity"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Amounts without noise of known rates, at times that hold them all."""
    truth = {"kAC": 0.3, "kAX": 0.1, "kCO": 0.2, "kOX": 0.05, "kin": 0.4, "kout": 0.0598}
    times = np.array([0.5, 1, 2, 4, 8, 16, 24, 48, 96])
    rates = np.array([[truth.get(name, 0.0) for name in RATES]])
    share = courses(rates, times, 100.0)[0]
    lines = ["time [h]," + ",".join(f"{name} [%]" for name in SEEN)]
    for time, row in zip(times, share, strict=True):
        seen = (row[0], row[1] + row[2], row[3], row[4])
        lines.append(",".join([f"{time:g}", *(f"{value:.12g}" for value in seen)]))
    place = tmp_path_factory.mktemp("simulated") / "amounts.csv"
    place.write_text("\n".join(lines) + "\n")
    return truth, place


def test_rates_of_a_curve_without_noise_come_back(simulated):
    truth, place = simulated
    found = five_state(place, "100 %", hold=HOLD)
    for row in found["rates"]:
        # the table's twelve digits
        assert_allclose(row["value"], truth.get(row["rate"], 0.0), rtol=1e-4, atol=1e-6)
    assert found["one_way_efficiency"] is None  # kout leads back
    assert found["fit"]["rms_log10"] < 1e-6
    assert_allclose(found["ever_inside"], 100 * 0.75 * 0.4 / 0.6, rtol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,administration [%],target [%],off_target [%]\n1,1,1,1\n", "has no unit"),
        ("time [h],administration,target [%],off_target [%]\n1,1,1,1\n", "has no unit"),
        ("time [h],administration [%],off_target [%]\n1,1,1\n", "target is missing"),
        ("time [h],administration [kg],target [%],off_target [%]\n1,1,1,1\n", "does not convert"),
        ("time [h],administration [%],target [%],off_target [%]\n1,1,0,1\n", "0 or below"),
        ("time [h],administration [%],target [%],off_target [%]\n1,90,9,9\n", "more than the dose"),
        ("time [h],administration [%],target [%],off_target [%]\n2,1,1,1\n1,1,1,1\n", "ascend"),
        ("time [h],administration [%],target [%],off_target [%]\n-1,1,1,1\n", "above 0"),
        ("time [h],administration [%],target [%],off_target [%]\n1,9,9,9\n", "for 10 rates"),
        ("time [h],administration [%],administration [g],target [%]\n1,1,1,1\n", "two columns"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_an_error_that_says_where(tmp_path, content, message):
    place = tmp_path / "amounts.csv"
    place.write_text(content)
    with pytest.raises((InputError, UnitsError), match=message):
        five_state(place, "100 %")


def test_a_wrong_call_is_refused(simulated):
    _, place = simulated
    with pytest.raises(InputError, match="unknown"):
        five_state(place, "100 %", hold={"kno": "1 1/h"})
    with pytest.raises(InputError, match="at least 0"):
        five_state(place, "100 %", hold={"kin": "-1 1/h"})
    with pytest.raises(InputError, match="no difference"):
        five_state(place, "100 %", excreted_by_difference=True)
    with pytest.raises(InputError, match="above 0"):
        five_state(place, "0 %")
    with pytest.raises(InputError, match="nose is missing"):
        five_state(place, "100 %", columns=Columns(target=("nose",)))
    with pytest.raises(UnitsError):
        five_state(place, "100 ug")
