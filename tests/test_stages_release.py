"""`igdd release`: models ranked, times, comparisons, and what a table out of order gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import igdd.cli
import igdd.cli_release  # noqa: F401
from igdd.cli_app import app, plain
from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.stages.release import curve, release
from igdd.stages.release_text import text

TIMES = np.array([0.0, 0.5, 1, 2, 4, 6, 8, 12, 16, 24, 36, 48])
LAWS = {
    "zero_order": lambda t: 1.9 * t,
    "first_order": lambda t: 100 * (1 - np.exp(-0.08 * t)),
    "higuchi": lambda t: 13 * np.sqrt(t),
    "hixson_crowell": lambda t: 100 * (1 - np.maximum(1 - 0.016 * t, 0) ** 3),
    "hopfenberg": lambda t: 100 * (1 - np.maximum(1 - 0.019 * t, 0) ** 2),
    "weibull": lambda t: 100 * (1 - np.exp(-((t / 12) ** 0.6))),
    "gompertz": lambda t: 100 * np.exp(-5 * np.exp(-2.2 * np.log10(np.maximum(t, 1e-300)))),
    "logistic": lambda t: 100 / (1 + np.exp(4 - 3.5 * np.log10(np.maximum(t, 1e-30)))),
    "burst_first_order": lambda t: np.where(t > 0, 100 - 75 * np.exp(-0.06 * t), 0.0),
    "biphasic": lambda t: 100 - 40 * np.exp(-0.9 * t) - 60 * np.exp(-0.03 * t),
}  # fmt: skip


def table(folder, profiles, head="formulation,vessel,time [h],released [%]", name="t.csv"):
    """profiles: (formulation, vessel) -> (times, values)."""
    lines = [head]
    for (formulation, vessel), (times, values) in profiles.items():
        lines += [
            f"{formulation},{vessel},{time:.17g},{value:.17g}"
            for time, value in zip(times, values, strict=True)
        ]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def single(folder, values, times=TIMES):
    return table(folder, {("A", 1): (times, values)})


@pytest.mark.parametrize("law", LAWS)
def test_the_law_that_made_a_profile_is_among_the_best(tmp_path, law):
    noise = np.random.default_rng(21).normal(0, 0.05, TIMES.size)
    values = LAWS[law](TIMES) + np.where(TIMES > 0, noise, 0.0)
    (found,) = release(single(tmp_path, values))["formulations"]
    own = next(row for row in found["models"] if row["model"] == law)
    # a law that holds this one as a special case may gain what chance gives one parameter more
    assert own["difference"] < 4
    weights = [row["weight"] for row in found["models"] if row["weight"] is not None]
    assert sum(weights) == pytest.approx(1)
    assert weights == sorted(weights, reverse=True)
    assert found["models"][0]["difference"] == 0


def test_criteria_are_those_of_their_formulas(tmp_path):
    values = LAWS["first_order"](TIMES) + np.random.default_rng(1).normal(0, 1, TIMES.size)
    values[0] = 0.0
    (found,) = release(single(tmp_path, values), models=["first_order"])["formulations"]
    (row,) = found["models"]
    used, size = values[1:], 1
    squares = np.sum((used - np.array(row["predicted"])) ** 2)
    whole = np.sum((used - used.mean()) ** 2)
    n = used.size
    assert row["samples"] == n
    assert row["aicc"] == pytest.approx(
        n * np.log(squares / n) + 2 * size + 2 * size * (size + 1) / (n - size - 1)
    )
    assert row["r2_adjusted"] == pytest.approx(1 - squares / whole * (n - 1) / (n - size))
    assert row["msc"] == pytest.approx(np.log(whole / squares) - 2 * size / n)


def test_aicc_is_only_given_where_samples_allow_it(tmp_path):
    times = np.array([1.0, 4, 12])
    (found,) = release(single(tmp_path, [8.0, 27, 60], times))["formulations"]
    rows = {row["model"]: row for row in found["models"]}
    assert np.isfinite(rows["first_order"]["aicc"])  # 3 - 1 - 1 = 1
    assert np.isnan(rows["weibull"]["aicc"])
    assert rows["weibull"]["weight"] is None


def test_the_table_s_unit_of_time_is_the_parameters(tmp_path):
    minutes = table(
        tmp_path,
        {("A", 1): (TIMES * 60, LAWS["weibull"](TIMES))},
        "formulation,vessel,time [min],released [%]",
    )
    (found,) = release(minutes, models=["weibull"])["formulations"]
    Td = found["models"][0]["parameters"]["Td"]
    assert (Td["unit"], Td["value"]) == ("min", pytest.approx(720, rel=1e-6))
    assert found["T50"]["unit"] == "min"


def test_a_coefficient_of_a_power_is_what_one_unit_of_time_releases(tmp_path):
    minutes = table(
        tmp_path,
        {("A", 1): (TIMES * 60, LAWS["higuchi"](TIMES))},
        "formulation,vessel,time [min],released [%]",
    )
    (found,) = release(minutes, models=["higuchi"])["formulations"]
    kH = found["models"][0]["parameters"]["kH"]
    assert (kH["unit"], kH["value"]) == ("%/min^0.5", pytest.approx(13 / np.sqrt(60), rel=1e-9))


def test_lag_and_complete_release_are_held_unless_freed(tmp_path):
    values = 70 * (1 - np.exp(-0.3 * np.maximum(TIMES - 1.0, 0)))
    path = single(tmp_path, values)
    held, freed = (
        release(path, models=["first_order"], free=free)["formulations"][0]["models"][0]
        for free in ((), ("Tlag", "Fmax"))
    )
    assert held["free"] == 1
    assert held["parameters"]["Fmax"]["value"] == pytest.approx(100)
    assert freed["free"] == 3
    assert freed["parameters"]["Fmax"]["value"] == pytest.approx(70, rel=1e-6)
    assert freed["parameters"]["Tlag"]["value"] == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("held", [0.08 / 60, "0.08/h", "1.92/d"])
def test_a_held_rate_is_converted_to_the_table_s_unit_of_time(tmp_path, held):
    minutes = table(
        tmp_path,
        {("A", 1): (TIMES * 60, LAWS["first_order"](TIMES))},
        "formulation,vessel,time [min],released [%]",
    )
    words = {"models": ["first_order"], "hold": {"k1": held}, "free": ["Fmax"]}
    (found,) = release(minutes, **words)["formulations"]
    parameters = found["models"][0]["parameters"]
    assert parameters["k1"]["value"] == pytest.approx(0.08 / 60)
    assert parameters["Fmax"]["value"] == pytest.approx(100)


def test_formulations_of_the_same_times_are_fitted_as_each_alone(tmp_path):
    curves = {name: (TIMES, LAWS[name](TIMES)) for name in ("weibull", "logistic", "biphasic")}
    path = table(tmp_path, {(name, 1): one for name, one in curves.items()})
    words = {"models": ["weibull", "korsmeyer_peppas", "gompertz"]}
    for together in release(path, **words)["formulations"]:
        name = together["formulation"]
        alone_path = table(tmp_path, {(name, 1): curves[name]}, name="alone.csv")
        (alone,) = release(alone_path, **words)["formulations"]
        for one, other in zip(together["models"], alone["models"], strict=True):
            assert one["model"] == other["model"]
            assert one["samples"] == other["samples"]
            assert one["predicted"] == pytest.approx(other["predicted"], rel=1e-6, nan_ok=True)


def test_korsmeyer_peppas_is_not_ranked_with_models_of_more_samples(tmp_path):
    (found,) = release(single(tmp_path, LAWS["first_order"](TIMES)))["formulations"]
    row = next(row for row in found["models"] if row["model"] == "korsmeyer_peppas")
    assert row["weight"] is None
    assert "other_samples" in row["flags"]
    (again,) = release(single(tmp_path, LAWS["first_order"](TIMES)), up_to=200.0)["formulations"]
    row = next(row for row in again["models"] if row["model"] == "korsmeyer_peppas")
    assert row["weight"] is not None


def test_weights_by_standard_deviation_follow_the_sure_samples(tmp_path):
    path = tmp_path / "t.csv"
    values = LAWS["first_order"](TIMES)[1:]
    values[-1] -= 30
    sd = np.append(np.full(values.size - 1, 0.5), 50.0)
    path.write_text(
        "formulation,time [h],released [%],sd\n"
        + "".join(f"A,{t},{v},{s}\n" for t, v, s in zip(TIMES[1:], values, sd, strict=True))
    )

    def rate(weights):
        (found,) = release(path, models=["first_order"], weights=weights)["formulations"]
        return found["models"][0]["parameters"]["k1"]["value"]

    assert rate("sd") == pytest.approx(0.08, rel=1e-3)
    assert rate("equal") != pytest.approx(0.08, rel=1e-3)


def two(folder, gap=10.0, vessels=12, scatter=1.0):
    times = np.array([0.0, 1, 2, 4, 8])
    mean = np.array([0.0, 25, 40, 60, 80])
    rng = np.random.default_rng(9)
    found = {}
    for name, shift in (("reference", 0.0), ("test", gap)):
        noise = rng.normal(0, scatter, (vessels, times.size)) * (times > 0)
        noise -= noise.mean(axis=0)
        for vessel in range(vessels):
            found[name, vessel] = times, mean - np.where(times > 0, shift, 0) + noise[vessel]
    return table(folder, found)


def test_a_gap_of_ten_percent_gives_an_f2_of_49_89_with_limits_around_it(tmp_path):
    (found,) = release(two(tmp_path), models=["weibull"], reference="reference")["comparisons"]
    assert found["f2"] == pytest.approx(49.892, abs=1e-3)
    assert found["points"] == 4
    limits = found["bootstrap"]["f2"]
    assert limits["low"] < found["f2"] < limits["high"]
    assert found["verdict"] == "not similar"
    assert set(found["f2_by_rule"]) == {"either", "both", "all"}


def test_a_gap_of_three_percent_is_similar_and_is_shown_by_the_vessels(tmp_path):
    (found,) = release(two(tmp_path, 3.0), models=["weibull"], reference="reference")["comparisons"]
    assert found["verdict"] == "similar"
    assert found["bootstrap"]["f2"]["low"] > 50
    assert not found["flags"]


def test_few_and_scattered_vessels_are_flagged(tmp_path):
    path = two(tmp_path, 3.0, vessels=6, scatter=9.0)
    (found,) = release(path, models=["weibull"], reference="reference")["comparisons"]
    assert {"release_variable", "vessels_few"} <= {*found["flags"]}


def test_different_times_are_compared_where_they_meet(tmp_path):
    path = table(
        tmp_path,
        {
            ("A", 1): (np.array([1.0, 2, 4, 8]), np.array([20.0, 35, 55, 75])),
            ("B", 1): (np.array([1.0, 3, 4, 8]), np.array([10.0, 35, 45, 65])),
        },
    )
    (found,) = release(path, models=["weibull"], reference="A")["comparisons"]
    assert found["times"] == [1, 4, 8]
    assert found["f2"] == pytest.approx(49.892, abs=1e-3)
    assert "times_differ" in found["flags"]
    assert np.isnan(found["bootstrap"]["f2"]["low"])
    assert found["verdict"] == "not similar"


def test_two_common_times_decide_nothing(tmp_path):
    path = table(
        tmp_path,
        {
            ("A", 1): (np.array([1.0, 2, 4]), np.array([20.0, 35, 55])),
            ("B", 1): (np.array([1.0, 2]), np.array([10.0, 35])),
        },
    )
    (found,) = release(path, models=["weibull"], reference="A")["comparisons"]
    assert found["verdict"] == "not decided"
    assert "similarity_points_few" in found["flags"]


@pytest.mark.parametrize(
    ("times", "values", "flag"),
    [
        ([1.0, 2, 4], [30.0, 70, 104], "release_above_complete"),
        ([1.0, 2, 4], [30.0, 70, 66], "release_falls"),
        ([1.0, 2, 4], [-3.0, 20, 66], "release_negative"),
        ([0.0, 1, 2, 4], [5.0, 20, 40, 66], "release_at_start"),
        ([1.0, 2, 4], [0.1, 0.4, 0.9], "fractions_suspected"),
        ([1.0, 2, 4], [0.0, 0.0, 0.0], "nothing_released"),
        ([1.0, 2, 4], [0.1, np.nan, 90.0], "release_missing"),
        ([3.0], [40.0], "release_points_few"),
    ],
)
def test_a_profile_out_of_order_is_flagged_and_used_as_measured(tmp_path, times, values, flag):
    path = single(tmp_path, values, times)
    path.write_text(path.read_text().replace(",nan", ","))
    (found,) = release(path)["formulations"]
    assert flag in found["flags"]
    assert flag in FLAGS
    json.dumps(plain(found), allow_nan=False)


def test_one_point_gives_no_rank_and_no_error(tmp_path):
    (found,) = release(single(tmp_path, [40.0], [3.0]))["formulations"]
    assert found["best"] is None
    assert found["T50"]["value"] != found["T50"]["value"]
    assert text({"formulations": [found], "comparisons": []}).startswith("A: T50 not reached")


def test_unequal_vessels_are_averaged_where_they_are_and_flagged(tmp_path):
    times = np.array([1.0, 2, 4, 8])
    path = table(
        tmp_path,
        {
            ("A", 1): (times, np.array([20.0, 30, 50, 70])),
            ("A", 2): (times[:2], np.array([24.0, 34])),
        },
    )
    (found,) = release(path, models=["weibull"])["formulations"]
    assert [point["released"] for point in found["profile"]] == [22, 32, 50, 70]
    assert "vessels_unequal" in found["flags"]


def test_one_vessel_with_two_values_at_one_time_is_refused_with_both_lines(tmp_path):
    path = table(tmp_path, {("A", 1): ([1.0, 1.0], [20.0, 30.0])})
    with pytest.raises(InputError, match="lines 2 and 3: 'A vessel 1' has two values at time 1"):
        release(path)


def test_the_same_row_twice_is_used_once(tmp_path):
    path = table(tmp_path, {("A", 1): ([1.0, 1.0, 2, 4], [20.0, 20.0, 30, 50])})
    (found,) = release(path, models=["higuchi"])["formulations"]
    assert "duplicate_sample" in found["flags"]
    assert len(found["profile"]) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"models": ["two_tissue"]}, "is no release model"),
        ({"reference": "Z"}, "has no formulation 'Z'"),
        ({"free": ["k9"]}, "no model has a parameter 'k9'"),
        ({"hold": {"k9": 1}}, "no model has a parameter 'k9'"),
        ({"weights": "sd"}, "no standard deviation above 0"),
        ({"weights": "1/y"}, "weights is '1/y'"),
        ({"rule": "none"}, "rule is 'none'"),
        ({"up_to": 0.0}, "up_to is 0 %"),
    ],
)
def test_a_wrong_call_is_refused(tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        release(single(tmp_path, LAWS["higuchi"](TIMES)), **words)


def test_the_order_of_rows_changes_nothing(tmp_path):
    path = two(tmp_path)
    first = release(path, models=["weibull"], reference="reference")
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *rows[:1], *sorted(rows[1:], key=lambda row: row[::-1])]))
    again = release(path, models=["weibull"], reference="reference")
    for one, other in zip(first["formulations"], again["formulations"], strict=True):
        assert one["T50"] == pytest.approx(other["T50"])
    assert first["comparisons"][0]["f2"] == pytest.approx(again["comparisons"][0]["f2"])


def test_a_curve_can_be_drawn_at_any_time(tmp_path):
    (found,) = release(single(tmp_path, LAWS["weibull"](TIMES)), models=["weibull"])["formulations"]
    times = np.linspace(0, 48, 30)
    np.testing.assert_allclose(
        curve(found["models"][0], times), LAWS["weibull"](times), rtol=1e-6, atol=1e-6
    )


def test_the_command_prints_writes_a_page_and_gives_json(tmp_path):
    path, page = two(tmp_path, 3.0), tmp_path / "page.html"
    words = ["release", str(path), "--models", "weibull,higuchi", "--reference", "reference"]
    shown = CliRunner().invoke(app, [*words, "--plot", str(page)])
    assert shown.exit_code == 0, shown.output
    assert "test against reference: f1" in shown.output
    assert "Released over time" in page.read_text()
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert {row["model"] for row in found["formulations"][0]["models"]} == {"weibull", "higuchi"}


def test_a_level_that_is_not_reached_is_said_without_a_unit(tmp_path):
    found = release(single(tmp_path, 0.5 * TIMES), models=["zero_order"])
    lines = text(found).splitlines()
    assert lines[0].startswith("A: T50 not reached, T80 not reached, MDT ")
    assert "k0 0.5 %/h" in lines[1]
