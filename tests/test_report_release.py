"""Release in vitro as the report and the page of a table show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from igdd.report import content as report
from igdd.report import release, wording
from igdd.report.html import page
from igdd.report.release_page import content
from igdd.stages import release as stage
from igdd.stages.release_study import to_show
from report_studies import results, row

TIMES = np.array([0.0, 1, 2, 4, 8, 16, 24])


def shown(folder, rates, name="t.csv", vessels=3, **words):
    """Formulations by their rate of first order; vessels that lie 1 % apart."""
    rows = ["formulation,vessel,time [h],released [%]"]
    for formulation, rate in rates.items():
        for vessel in range(vessels):
            values = 100 * (1 - np.exp(-rate * TIMES)) + (vessel - vessels // 2) * (TIMES > 0)
            rows += [
                f"{formulation},{vessel},{time},{max(value, 0):.4f}"
                for time, value in zip(TIMES, values, strict=True)
            ]
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return to_show(stage.release(path, **words), name)


@pytest.fixture
def found(tmp_path):
    rates = {"plain <b>": 0.2, "coated": 0.1}
    return shown(tmp_path, rates, models=["first_order", "weibull"], reference="plain <b>")


def titles(blocks):
    return [block.title for block in blocks]


def test_the_page_shows_profiles_comparison_models_and_cautions(found):
    made = content(found)
    (section,) = made.sections
    assert titles(section.blocks) == [
        "Release in vitro",
        "How alike: difference factor f1, similarity factor f2",
        "Release without a model",
        "Models of release, best first",
        "Be careful about",
    ]
    html = page(made)
    assert "coated against plain &lt;b&gt;" in html
    assert "plain <b>" not in html.split("<script")[0]


def test_lines_follow_the_best_model_and_points_the_means(found):
    bars, points, lines = release.profiles(found, "release").spec["layer"]
    drawn = [row for row in points["data"]["values"] if row["formulation"] == "coated"]
    assert [row["time"] for row in drawn] == list(TIMES)
    line = [row for row in lines["data"]["values"] if row["formulation"] == "coated"]
    for point in line:
        expected = 100 * (1 - np.exp(-0.1 * point["time"]))
        assert point["released"] == pytest.approx(expected, abs=0.5)
    assert "y2" in bars["encoding"]


def test_a_formulation_without_a_model_has_points_and_no_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("formulation,time [h],released [%]\nA,1,0\nA,2,0\nA,3,0\n")
    found = to_show(stage.release(path), "t.csv")
    assert release.sentence(found.formulations[0]) == (
        "In vitro, A has released 0 % of its load at the last sample, 3 h, and half of it is not "
        "reached."
    )
    assert "Models of release, best first" not in titles(release.blocks([found]))
    assert release.profiles(found, "release").spec["layer"][2]["data"]["values"] == []


def test_a_sentence_says_when_half_is_released_and_by_which_model(found):
    text = release.sentence(found.formulations[1])
    assert text.startswith("In vitro, coated has released 90.93 % of its load at the last sample,")
    assert "half of it after 7." in text
    assert "nearest model" in text


def test_models_within_two_of_the_best_are_not_told_apart(found):
    one = found.formulations[0]
    near = [replace(one.models[0], aicc=aicc) for aicc in (10.0, 11.9, 12.1)]
    names = ("weibull", "gompertz", "logistic")
    laws = tuple(replace(law, model=name) for law, name in zip(near, names, strict=True))
    text = release.sentence(replace(one, models=laws))
    assert "the nearest models, not told apart, are weibull and gompertz (weight" in text


def test_a_comparison_says_its_limits_and_its_verdict(found, tmp_path):
    (pair,) = found.comparisons
    assert release.compared(pair) == (
        f"In vitro, coated against plain <b>: f2 is {pair.f2:.2f} (90 % limits {pair.low:.2f} to "
        f"{pair.high:.2f}), f1 {pair.f1:.2f}: not similar."
    )
    (single,) = shown(tmp_path, {"A": 0.2, "B": 0.2}, vessels=1, reference="A").comparisons
    assert release.compared(single) == (
        "In vitro, B against A: f2 is 100.00, f1 0.00: similar by the means."
    )


def test_a_fitted_parameter_has_its_error_and_a_held_one_has_none(found):
    cells = release.models(found).rows[0]
    parameters = cells[-1].replace(wording.UNBROKEN, " ")
    assert parameters.startswith("k1 0.")
    assert " ± " in parameters
    assert "Fmax 100 %" in parameters
    assert "T50" not in parameters  # it has a column of its own
    assert cells[-2].endswith(" h")


def test_models_of_lower_weight_are_left_out_and_counted_but_not_those_without_a_rank(tmp_path):
    table = release.models(shown(tmp_path, {"A": 0.2}))
    named = [row[1] for row in table.rows]
    assert len(named) == release.MOST_MODELS + 1
    assert named[-1] == "korsmeyer_peppas"
    assert table.rows[-1][2] == "–"
    assert "7 models of lower weight are left out." in table.note


def test_a_flag_is_named_once_with_its_meaning_and_whose_it_is(found):
    table = release.cautions(found)
    few = next(row for row in table.rows if row[0] == "vessels_few")
    assert few[1].startswith("Fewer than twelve vessels")
    assert few[2] == "coated against plain <b>"
    calm = replace(found, comparisons=(), formulations=found.formulations[:1])
    assert release.cautions(calm) is None


def test_the_report_answers_and_shows_release_under_its_question(found):
    made = report.content(results([row()], releases=(found,)))
    (section,) = [one for one in made.sections if one.name == "q4"]
    assert titles(section.blocks)[0] == "Release in vitro"
    (said,) = [answers for question, answers in made.answers if question.startswith("Q4")]
    assert len(said) == 3
    assert said[2].text.startswith("In vitro, coated against plain <b>: f2 is")
    assert "vessels_few" in said[2].flags


def test_two_tables_are_told_apart_by_their_names(found, tmp_path):
    other = shown(tmp_path, {"A": 0.2}, name="second.csv", models=["higuchi"])
    blocks = list(release.blocks([found, other]))
    charts = [block for block in blocks if hasattr(block, "spec")]
    assert [chart.title for chart in charts] == [
        "Release in vitro, t.csv",
        "Release in vitro, second.csv",
    ]
    assert len({chart.name for chart in charts}) == 2


def test_headlines_speak_of_a_tables_first_formulations(tmp_path):
    rates = {f"F{number}": 0.1 + number / 50 for number in range(9)}
    found = shown(tmp_path, rates, models=["first_order"], reference="F0")
    assert len(release.answers([found])) == 2 * release.MOST_ANSWERS
    assert len(release.times(found).rows) == 9
