"""Two arms: equal to scipy on subjects' means, and honest about what cannot be said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from igdd.comparisons.groups import COMPARISONS, groups
from igdd.declare import REQUIRED
from igdd.errors import StudyError
from igdd.results import COLUMNS, FINDINGS

KINDS = {f"lesion_{i}": "lesion" for i in range(1, 6)} | {
    "liver": "organ", "spleen": "organ", "kidney": "organ", "blood": "blood",
}  # fmt: skip
COUNTS = {"plain": (1, 2, 3, 3, 4, 5), "targeted": (1, 1, 2, 4, 5, 5)}
BETWEEN = ("plain", "targeted")


def row(subject: str, arm: str, region: str, value: float, **changes: object) -> dict[str, object]:
    """One row of the tidy table."""
    return {
        "subject": subject, "session": "24h", "arm": arm, "time": 86400.0, "analyte": "label",
        "region": region, "metric": "percent_id_per_g", "value": value, "sd": 0.1 * abs(value),
        "sd_shared": 0.0, "low": value, "high": value, "unit": "%/g", "flags": "",
        "method": "test",
    } | changes  # fmt: skip


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def trial(
    seed: int, ratio: float = 1.6, correlation: float = 0.5, organs: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Six subjects an arm with one to five lesions; log-normal, total log SD 0.5."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm, counts in COUNTS.items():
        centre = np.log(0.01 * (ratio if arm == "targeted" else 1.0))
        for i, count in enumerate(counts):
            subject = f"{arm[0]}{i}"
            middle = centre + rng.normal(0, 0.5 * np.sqrt(correlation))
            logs = middle + rng.normal(0, 0.5 * np.sqrt(1 - correlation), count)
            rows += [
                row(subject, arm, f"lesion_{k + 1}", float(np.exp(x))) for k, x in enumerate(logs)
            ]
            rows += [
                row(subject, arm, organ, float(np.exp(rng.normal(0, 0.3)))) for organ in organs
            ]
    return table(rows)


def compare(measurements: pd.DataFrame, **options: object) -> pd.DataFrame:
    asked = {"on": "percent_id_per_g", "between": BETWEEN, "kinds": KINDS} | options
    return groups(measurements, **asked)


def contrasts(findings: pd.DataFrame) -> pd.DataFrame:
    return findings[findings["contrast"] == "targeted / plain"].set_index("region")


def only(findings: pd.DataFrame) -> pd.Series:
    found = contrasts(findings)
    assert len(found) == 1
    return found.iloc[0]


def values_of(measurements: pd.DataFrame, arm: str) -> np.ndarray:
    return measurements.loc[measurements["arm"] == arm, "value"].to_numpy()


def test_lesions_are_welchs_t_on_the_subjects_mean_logs():
    from scipy.stats import ttest_ind

    measurements = trial(1)
    means = np.log(measurements["value"]).groupby(
        [measurements["arm"], measurements["subject"]]
    ).mean()  # fmt: skip
    expected = ttest_ind(means["targeted"], means["plain"], equal_var=False)
    found = only(compare(measurements))
    limits = np.exp(expected.confidence_interval(0.95))
    # The same sums in double precision.
    assert_allclose(found["p"], expected.pvalue, rtol=1e-10)
    assert_allclose((found["low"], found["high"]), limits, rtol=1e-10)
    assert_allclose(found["estimate"], np.exp(means["targeted"].mean() - means["plain"].mean()))
    assert found.name == "lesions"
    assert found["n"] == 12


def test_it_is_near_a_mixed_model():
    from statsmodels.regression.mixed_linear_model import MixedLM

    measurements = trial(2)
    frame = measurements.assign(
        logarithm=np.log(measurements["value"]), targeted=measurements["arm"] == "targeted"
    )
    fit = MixedLM.from_formula("logarithm ~ targeted", frame, groups=frame["subject"]).fit()
    effect = fit.params["targeted[T.True]"]
    found = only(compare(measurements))
    # Another weighting of the same lesions: within half a standard error of the mixed model.
    assert abs(np.log(found["estimate"]) - effect) < 0.5 * fit.bse["targeted[T.True]"]


@pytest.mark.parametrize("correlation", [0.2, 0.8])
def test_the_interval_covers_the_true_ratio(correlation):
    """The whole function, few trials; test_kernels_stats has 4,000 of the same sums."""
    trials = 150
    covered = 0
    for seed in range(trials):
        found = only(compare(trial(seed, correlation=correlation)))
        covered += found["low"] <= 1.6 <= found["high"]
    # Three Monte Carlo standard errors of 0.95 in 150 trials.
    assert abs(covered / trials - 0.95) <= 3 * np.sqrt(0.95 * 0.05 / trials)


def test_the_sentence_says_it_all():
    logs = {"plain": (-0.5, 0.0, 0.5), "targeted": (0.5, 1.0, 1.5)}
    rows = [
        row(f"{arm}{i}", arm, "lesion_1", float(np.exp(x)))
        for arm, values in logs.items() for i, x in enumerate(values)
    ]  # fmt: skip
    found = only(compare(table(rows)))
    # Difference 1, standard error sqrt(2 x 0.25 / 3), 4 degrees of freedom: t = 2.776 from tables.
    half = 2.7764451 * np.sqrt(2 * 0.25 / 3)
    low, high = np.exp(1 - half), np.exp(1 + half)
    assert_allclose((found["low"], found["high"]), (low, high), rtol=1e-6)
    assert found["sentence"] == (
        f"At 24 h the %ID/g of the lesions in the targeted arm is 2.72 times (95 % {low:.3f} to "
        f"{high:.2f}) that in the plain arm; p = 0.07, 3 and 3 subjects, 3 and 3 lesions."
    )


def test_organs_are_corrected_as_one_family_and_lesions_apart():
    from statsmodels.stats.multitest import multipletests

    organs = ("liver", "spleen", "kidney", "blood")
    found = contrasts(compare(trial(3, organs=organs)))
    assert sorted(found.index) == sorted((*organs, "lesions"))
    p = found.loc[list(organs), "p"].to_numpy()
    expected = multipletests(p, method="holm")[1]
    assert_allclose(found.loc[list(organs), "p_adjusted"], expected, rtol=1e-12)
    assert found.loc["lesions", "p_adjusted"] == found.loc["lesions", "p"]
    assert "after Holm's correction for 4 comparisons" in found.loc["liver", "sentence"]


def test_every_session_is_compared_in_order_of_time():
    first = trial(4)
    early = first.assign(session="4h", time=14400.0)
    found = compare(pd.concat([first, early], ignore_index=True))
    named = found.loc[found["contrast"] == "targeted / plain", "session"]
    assert list(named) == ["4h", "24h"]
    assert list(compare(first.assign(session="24h"), session="24h")["session"].unique()) == ["24h"]


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        (None, {"liver", "spleen", "lesions"}),
        ({"kind": "lesion", "name": None}, {"lesions"}),
        ({"kind": "organ"}, {"liver", "spleen"}),
        ({"name": ("liver", "lesion_*")}, {"liver", "lesions"}),
    ],
)
def test_regions_are_chosen_by_kind_or_name(regions, expected):
    found = contrasts(compare(trial(5, organs=("liver", "spleen")), regions=regions))
    assert set(found.index) == expected


def test_excluded_and_empty_values_are_left_out_and_counted():
    whole = trial(6)
    extra = table(
        [
            row("p5", "plain", "lesion_1", 1e6, session="24h", flags="excluded;small_region"),
            row("t5", "targeted", "lesion_2", np.nan, flags="empty_region"),
        ]
    )
    kept = whole[
        ~((whole["subject"] == "p5") & (whole["region"] == "lesion_1"))
        & ~((whole["subject"] == "t5") & (whole["region"] == "lesion_2"))
    ]
    found, expected = only(compare(pd.concat([kept, extra]))), only(compare(kept))
    assert found["estimate"] == expected["estimate"]
    assert found["flags"] == "excluded"
    assert found["sentence"].endswith(
        "Left out: 1 value excluded by the study; 1 value without a number."
    )


def test_few_estimates_below_zero_are_left_out_flagged_and_counted():
    whole = trial(7)
    assert len(whole) == 36
    spoilt = whole.copy()
    spoilt.loc[spoilt.index[10], "value"] = -0.001  # 1 of 36 is 2.8 %
    found = only(compare(spoilt))
    assert found["estimate"] == only(compare(whole.drop(index=whole.index[10])))["estimate"]
    assert found["flags"] == "estimate_not_positive"
    assert "Left out: 1 value at or below zero." in found["sentence"]


def test_many_estimates_below_zero_are_compared_by_fieller():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(8)
    values = {"plain": rng.normal(2, 0.5, 6), "targeted": rng.normal(1.2, 0.9, 6)}
    values["targeted"][0] = -0.2  # 1 of 12 is 8.3 %
    rows = [
        row(f"{arm}{i}", arm, "liver", float(x))
        for arm, numbers in values.items() for i, x in enumerate(numbers)
    ]  # fmt: skip
    found = only(compare(table(rows)))
    assert "arithmetic_means" in found["flags"]
    assert_allclose(found["estimate"], values["targeted"].mean() / values["plain"].mean())
    expected = ttest_ind(values["targeted"], values["plain"], equal_var=False).pvalue
    assert_allclose(found["p"], expected, rtol=1e-10)
    assert 0 < found["low"] < found["estimate"] < found["high"]
    assert "Fieller" in found["method"]


def test_a_reference_arm_about_zero_leaves_the_ratio_without_bounds():
    values = {"plain": (-1.0, 0.5, 1.5, 0.2), "targeted": (3.0, 4.0, 5.0, 4.0)}
    rows = [
        row(f"{arm}{i}", arm, "liver", x) for arm, xs in values.items() for i, x in enumerate(xs)
    ]
    found = only(compare(table(rows)))
    assert np.isnan([found["low"], found["high"]]).all()
    assert found["flags"] == "arithmetic_means;interval_unbounded"
    assert "no bounds: the mean of the plain arm cannot be told from zero" in found["sentence"]
    negative = table(rows)
    negative["value"] = np.where(negative["arm"] == "plain", -3 + negative["value"] / 10, 4.0)
    found = only(compare(negative))
    assert np.isnan(found["estimate"])
    assert "no ratio to it exists; p < 0.001" in found["sentence"]


def test_one_subject_in_an_arm_is_a_finding_that_says_so():
    whole = trial(9)
    found = only(compare(whole[(whole["arm"] == "targeted") | (whole["subject"] == "p3")]))
    assert np.isnan([found["estimate"], found["low"], found["p"], found["p_adjusted"]]).all()
    assert found["flags"] == "not_estimable"
    assert "the plain arm has 1 subject with a value; at least 2 are expected" in found["sentence"]


def test_several_frames_in_a_session_are_a_finding_that_says_so():
    whole = trial(10)
    found = compare(pd.concat([whole, whole.assign(time=90000.0)]))
    assert found["estimate"].isna().all()
    assert "several values" in only(found)["sentence"]


def test_identical_values_have_a_ratio_but_no_interval():
    rows = [
        row(f"{arm}{i}", arm, "liver", value)
        for arm, value in (("plain", 0.1), ("targeted", 0.3)) for i in range(3)
    ]  # fmt: skip
    found = only(compare(table(rows)))
    assert_allclose(found["estimate"], 3.0, rtol=1e-12)
    assert np.isnan([found["low"], found["high"], found["p"]]).all()
    assert "no interval: neither arm has any spread" in found["sentence"]


def test_swapping_the_arms_inverts_the_ratio():
    measurements = trial(11)
    found, back = only(compare(measurements)), compare(measurements, between=BETWEEN[::-1])
    back = back[back["contrast"] == "plain / targeted"].iloc[0]
    assert_allclose(back[["estimate", "low", "high"]].astype(float), 1 / found[
        ["estimate", "high", "low"]
    ].astype(float).to_numpy(), rtol=1e-12)  # fmt: skip


def test_another_unit_or_order_of_rows_changes_no_ratio():
    measurements = trial(12, organs=("liver",))
    scaled = measurements.assign(value=measurements["value"] * 1e3).sample(frac=1, random_state=1)
    numbers = ["estimate", "low", "high", "p", "p_adjusted"]
    found, expected = compare(scaled), compare(measurements)
    # Logarithms of 1000 times the values: rounding only.
    assert_allclose(found[numbers], expected[numbers], rtol=1e-9)
    assert list(found["region"]) == list(expected["region"])


def test_components_of_a_large_trial_find_the_spread_that_was_put_in():
    parts = [trial(seed, correlation=0.6) for seed in range(40)]
    whole = pd.concat(
        [part.assign(subject=part["subject"] + f"_{i}") for i, part in enumerate(parts)]
    )
    found = compare(whole).set_index("contrast")
    truth = {
        "between-subject CV": np.sqrt(np.expm1(0.25 * 0.6)),
        "between-lesion CV": np.sqrt(np.expm1(0.25 * 0.4)),
        "ICC": 0.6,
    }
    for contrast, value in truth.items():
        # 480 subjects, 1,440 lesions: three standard errors of each (4 %).
        assert_allclose(found.loc[contrast, "estimate"], value, rtol=0.13)
        assert found.loc[contrast, "low"] < found.loc[contrast, "estimate"]
        assert found.loc[contrast, "high"] > found.loc[contrast, "estimate"]
    assert "from subject to subject" in found.loc["between-subject CV", "sentence"]


def test_one_lesion_each_gives_no_components_and_says_so():
    measurements = trial(13)
    found = compare(measurements[measurements["region"] == "lesion_1"]).set_index("contrast")
    assert np.isfinite(found.loc["targeted / plain", "estimate"])
    assert np.isnan(found.loc["ICC", "estimate"])
    assert found.loc["ICC", "flags"] == "not_estimable"
    assert "no subject has two lesions" in found.loc["ICC", "sentence"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"on": "suvbw"}, "percent_id_per_g"),
        ({"between": ("plain", "magic")}, "plain, targeted"),
        ({"between": ("plain",)}, "two different arms"),
        ({"session": "72h"}, "24h"),
        ({"regions": {"kind": "organ"}}, "lesion"),
        ({"regions": {"name": ["liver"]}}, "lesion_1"),
        ({"regions": {"colour": "red"}}, "kind or name"),
    ],
)
def test_what_does_not_exist_is_refused_and_what_exists_is_named(options, named):
    with pytest.raises(StudyError, match=named):
        compare(trial(14), **options)


def test_a_subject_in_both_arms_is_refused():
    measurements = trial(15)
    measurements.loc[measurements.index[0], "arm"] = "targeted"
    measurements.loc[measurements.index[1], "subject"] = measurements["subject"].iloc[0]
    measurements.loc[measurements.index[1], "region"] = "lesion_5"
    with pytest.raises(StudyError, match="both arms"):
        compare(measurements)


def test_the_declaration_is_what_the_study_writes():
    (declared,) = COMPARISONS
    assert declared.name == "groups"
    required = {option.name for option in declared.options if option.default is REQUIRED}
    assert required == {"on", "between"}
    assert list(compare(trial(16)).columns) == list(FINDINGS)


def test_a_spread_that_three_lesions_cannot_bound_has_no_upper_limit():
    rows = [
        row("p1", "plain", "lesion_1", 1.0), row("p1", "plain", "lesion_2", 2.5),
        row("p2", "targeted", "lesion_1", 2.0), row("p3", "targeted", "lesion_1", 7.0),
        row("p3", "targeted", "lesion_2", 5.0),
    ]  # fmt: skip
    found = compare(table(rows))
    spread = found[found["contrast"] == "between-subject CV"].iloc[0]
    assert spread["high"] == np.inf
    assert "% and more)" in spread["sentence"]


@pytest.mark.parametrize(
    ("methods", "flagged"),
    [
        (("as imaged; resolution 6 mm", "as imaged; resolution 6 mm"), False),
        (("as imaged; resolution 6 mm", "resolution 8 mm"), True),
        (("as imaged; resolution 6 mm", "as imaged"), True),
        (("as imaged", ""), False),
    ],
)
def test_lesions_of_different_resolutions_are_compared_with_a_caution(methods, flagged):
    rows = [
        row(subject=f"{n:02d}", arm=("plain", "targeted")[n % 2], region="lesion_1", metric="cv",
            unit="1", value=0.3 + 0.01 * n, method=methods[n % 2])
        for n in range(8)
    ]  # fmt: skip
    found = groups(
        table(rows), on="cv", between=["plain", "targeted"], kinds={"lesion_1": "lesion"}
    )
    assert ("resolution_unmatched" in found.iloc[0]["flags"]) is flagged
