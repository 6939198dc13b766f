"""Response of subjects from rows of the tidy table: order, targets, new lesions, sentences."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.comparisons.response import Contrast, read_contrast, response
from igdd.errors import InputError, StudyError
from igdd.results import FINDINGS
from report_studies import row, table

SESSIONS = ("base", "week6", "week12")
DAYS = ("0 d", "42 d", "84 d")
KINDS = {"lesion_1": "lesion", "lesion_2": "lesion", "node": "lesion", "extra": "lesion"}


def sizes(subject="01", metric="longest_diameter", sd=0.5, unit="mm", **regions):
    """Rows of a subject: region -> one value for each session, None where not measured."""
    return [
        row(subject=subject, session=session, time=3600.0, region=region, metric=metric,
            value=value, sd=sd, sd_shared=0.0, unit=unit)
        for region, values in regions.items()
        for session, value in zip(SESSIONS, values, strict=True)
        if value is not None
    ]  # fmt: skip


def judged(rows, criterion="recist_1_1", **options):
    known = {"sessions": SESSIONS, "days": DAYS, "kinds": KINDS} | options
    return response(table(rows), criterion=criterion, **known)


def responses(found):
    return [
        (contrast.subject, one.session, contrast.response)
        for one in found.itertuples()
        if not (contrast := read_contrast(one.contrast)).best
    ]


def best(found):
    contrasts = [read_contrast(one) for one in found["contrast"]]
    return {one.subject: one.response for one in contrasts if one.best}


def test_a_partial_response_is_confirmed_and_said():
    found = judged(sizes(lesion_1=(60, 40, 42), lesion_2=(40, 30, 28)))
    assert list(found.columns) == list(FINDINGS)
    assert responses(found) == [("01", "week6", "PR"), ("01", "week12", "PR")]
    assert best(found) == {"01": "PR"}
    first = found.iloc[0]
    assert first["estimate"] == pytest.approx(-30)
    assert first["sentence"] == (
        "Subject 01, week6: partial response (PR) by RECIST 1.1: -30.0 % from baseline."
    )
    assert "sum 70 mm; baseline 100 mm" in first["method"]
    assert "doi:10.1016/j.ejca.2008.10.026" in first["method"]


def test_the_interval_of_a_change_is_that_of_both_sums():
    first = judged(sizes(lesion_1=(60, 40, 42), lesion_2=(40, 30, 28))).iloc[0]
    relative = np.sqrt(2 * 0.5**2 / 100**2 + 2 * 0.5**2 / 70**2)
    assert first["high"] - first["estimate"] == pytest.approx(1.959964 * 70 * relative, rel=1e-6)


def test_a_lesion_that_appears_later_is_new():
    found = judged(sizes(lesion_1=(60, 30, 30), extra=(None, None, 12)))
    assert responses(found)[-1] == ("01", "week12", "PD")
    assert "new: extra" in found.iloc[1]["method"]


def test_a_missing_target_is_not_evaluable():
    found = judged(sizes(lesion_1=(60, 30, 30), lesion_2=(40, None, 10)))
    assert responses(found) == [("01", "week6", "NE"), ("01", "week12", "PR")]
    assert found.iloc[0]["flags"] == "response_not_evaluable"


def test_a_node_counts_by_its_short_axis():
    rows = sizes(lesion_1=(60, 0, 0), node=(30, 25, 25))
    rows += sizes(metric="short_axis", lesion_1=(40, 0, 0), node=(16, 9.9, 10))
    found = judged(rows, nodes=("node",))
    assert responses(found) == [("01", "week6", "CR"), ("01", "week12", "PR")]
    assert found.iloc[0]["n"] == 2


def test_a_small_lesion_is_a_non_target_and_keeps_a_response_partial():
    found = judged(sizes(lesion_1=(60, 0, 0), lesion_2=(9, 5, 0)))
    assert responses(found) == [("01", "week6", "PR"), ("01", "week12", "CR")]


def test_unequivocal_progression_of_a_non_target_is_read_from_its_status():
    rows = sizes(lesion_1=(60, 60, 60)) + sizes(metric="status", lesion_2=(1, 1, 2), unit="1")
    assert responses(judged(rows))[-1][2] == "PD"
    with pytest.raises(StudyError, match="expected 0 absent"):
        judged(sizes(lesion_1=(60, 60, 60)) + sizes(metric="status", lesion_2=(1, 1, 1.5)))


def test_irecist_waits_for_confirmation():
    found = judged(sizes(lesion_1=(50, 60, 65)), "irecist")
    assert responses(found) == [("01", "week6", "iUPD"), ("01", "week12", "iCPD")]
    assert best(found) == {"01": "iCPD"}


def test_choi_reads_the_attenuation_of_the_targets():
    rows = sizes(lesion_1=(60, 60, 60)) + sizes(
        metric="attenuation", unit="HU", lesion_1=(80, 68, 70)
    )
    assert [one[2] for one in responses(judged(rows, "choi"))] == ["PR", "SD"]


def test_two_targets_an_organ_the_largest():
    rows = sizes(lesion_1=(60, 30, 30), lesion_2=(40, 40, 40), extra=(20, 90, 90))
    organs = ("lesion_*=liver", "extra=liver")
    assert responses(judged(rows, organs=organs))[0][2] == "PR"
    assert responses(judged(rows))[0][2] == "PD"


def uptake(lesions, liver=2.0, more=()):
    rows = sizes(metric="sulpeak", unit="g/mL", **lesions)
    rows += sizes(metric="sulmean", unit="g/mL", liver=(liver,) * 3)
    return [*rows, *sizes(metric="sulsd", unit="g/mL", liver=(0.2,) * 3), *more]


def test_percist_follows_the_hottest_lesion():
    rows = uptake({"lesion_1": (10, 2, 9), "lesion_2": (8, 7, 13)})
    found = judged(rows, "percist_1_0", reference="liver")
    assert responses(found) == [("01", "week6", "PMR"), ("01", "week12", "PMD")]
    assert best(found) == {"01": "PMR"}
    assert "assessability_unknown" in found.iloc[0]["flags"]  # no dose in the table


def test_percist_refuses_livers_that_differ():
    rows = uptake({"lesion_1": (10, 2, 2)})
    for one in rows:
        if (one["metric"], one["session"]) == ("sulmean", "week6"):
            one["value"] = 2.5
    assert responses(judged(rows, "percist_1_0", reference="liver"))[0][2] == "NE"


def test_percist_counts_glycolysis():
    more = sizes(metric="tlg_percist", unit="g", lesion_1=(100, 176, 100))
    rows = uptake({"lesion_1": (10, 10, 10)}, more=more)
    found = judged(rows, "percist_1_0", reference="liver")
    assert [one[2] for one in responses(found)] == ["PMD", "SMD"]


def test_percist_needs_its_reference():
    with pytest.raises(StudyError, match=r"compare\.reference"):
        judged(uptake({"lesion_1": (10, 2, 9)}), "percist_1_0")
    with pytest.raises(StudyError, match="sulmean"):
        judged(uptake({"lesion_1": (10, 2, 9)}), "percist_1_0", reference="blood")


def test_eortc_has_a_limit_for_the_first_cycle():
    rows = sizes(metric="suvpeak", unit="g/mL", lesion_1=(10, 8.5, 8.5))
    found = judged(rows, "eortc_1999", first_cycle=("week6",))
    assert [one[2] for one in responses(found)] == ["PMR", "SMD"]
    assert [one[2] for one in responses(judged(rows, "eortc_1999"))] == ["NE", "NE"]


def test_the_preclinical_limits_are_the_study_s():
    rows = sizes(metric="suvmean_percent_of_maximum", lesion_1=(10, 8, 12.5))
    found = judged(rows, "preclinical_25", decrease=20.0, increase=25.0)
    assert [one[2] for one in responses(found)] == ["PMR", "PMD"]
    with pytest.raises(StudyError, match=r"compare\.decrease"):
        judged(rows, "preclinical_25")


def test_without_days_responses_count_unconfirmed_and_say_so():
    found = judged(sizes(lesion_1=(60, 30, 60)), days=None)
    assert best(found) == {"01": "PR"}
    assert "response_not_confirmed" in found.iloc[-1]["flags"]
    assert best(judged(sizes(lesion_1=(60, 30, 60)))) == {"01": "SD"}


def test_sessions_days_apart_order_themselves():
    rows = sizes(lesion_1=(60, 42, 60))
    times = {"base": 0.0, "week6": 42 * 86400.0, "week12": 84 * 86400.0}
    rows = [one | {"time": times[one["session"]]} for one in rows]
    found = response(table(rows[::-1]), criterion="recist_1_1", kinds=KINDS)
    assert responses(found) == [("01", "week6", "PR"), ("01", "week12", "PD")]


def test_sessions_on_clocks_of_their_own_need_an_order():
    with pytest.raises(StudyError, match=r"compare\.sessions"):
        judged(sizes(lesion_1=(60, 30, 60)), sessions=None, days=None)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"criterion": "recist_2"}, "compare.criterion"),
        ({"on": "girth"}, "girth"),
        ({"days": ("0 d",)}, "expected one each"),
        ({"days": ("0 d", "9 d", "8 d")}, "later than"),
        ({"sessions": ("base", "base", "week6")}, "each one once"),
        ({"organs": ("liver",)}, "lesion_1=liver"),
        ({"sessions": ("base",), "days": None}, "no subject"),
    ],
)
def test_what_does_not_fit_is_refused(options, match):
    with pytest.raises(StudyError, match=match):
        judged(sizes(lesion_1=(60, 30, 60)), **options)


def test_a_subject_without_a_baseline_is_left_out():
    rows = sizes(lesion_1=(60, 30, 30)) + sizes("02", lesion_1=(None, 30, 30))
    assert set(best(judged(rows))) == {"01"}


def test_an_excluded_lesion_is_neither_followed_nor_new():
    rows = sizes(lesion_1=(60, 30, 30), lesion_2=(40, 90, 90))
    rows = [one | ({"flags": "excluded"} if one["region"] == "lesion_2" else {}) for one in rows]
    assert responses(judged(rows)) == [("01", "week6", "PR"), ("01", "week12", "PR")]


def test_a_scan_excluded_later_is_not_evaluated():
    rows = sizes(lesion_1=(60, 30, 30))
    rows[1]["flags"] = "excluded;nan_voxels"
    assert responses(judged(rows)) == [("01", "week6", "NE"), ("01", "week12", "PR")]


def test_a_negative_size_names_the_subject():
    with pytest.raises(InputError, match="subject 01"):
        judged(sizes(lesion_1=(60, -3, 30)))


def test_the_order_of_rows_changes_nothing():
    rows = sizes(lesion_1=(60, 30, 60)) + sizes("02", lesion_2=(60, 50, 40))
    assert judged(rows).equals(judged(rows[::-1]))


def test_a_contrast_reads_back_as_written():
    one = Contrast(criterion="RECIST 1.1", subject="a of subject b", response="PR", best=True)
    assert read_contrast(str(one)).response == "PR"
    assert read_contrast("targeted / plain") is None


def test_a_study_can_ask_for_it():
    from igdd.catalog import find
    from igdd.document import options_model

    asked = {"method": "response", "criterion": "choi", "slice_thickness": "5 mm"}
    read = options_model(find("comparisons", "response"), "method").model_validate(asked)
    assert read.slice_thickness == 5.0


def facts(activity=(370e6, 370e6, 370e6), minutes=(60.0, 60.0, 60.0)):
    rows = sizes(metric="administered_activity", unit="Bq", scan=activity)
    return [*rows, *sizes(metric="uptake_time", unit="min", scan=minutes)]


def assessed(**changes):
    """The verdict of week 6 of a lesion that responds, with its flags and trace."""
    rows = uptake({"lesion_1": (10, 5, 5)}, more=facts(**changes))
    found = judged(rows, "percist_1_0", reference="liver", targets=("lesion_*", "sc*"))
    return responses(found)[0][2], found.iloc[0]["flags"], found.iloc[0]["method"]


@pytest.mark.parametrize(
    ("changes", "response", "said"),
    [
        ({}, "PMR", ""),
        ({"activity": (370e6, 444e6, 370e6)}, "PMR", ""),  # 20 % exactly
        ({"activity": (370e6, 296e6, 370e6)}, "PMR", ""),
        ({"activity": (370e6, 444.1e6, 370e6)}, "PMR", "injected activities differ by more than"),
        ({"minutes": (50.0, 65.0, 60.0)}, "PMR", ""),  # 15 min exactly, from 50 min on
        ({"minutes": (50.0, 65.1, 60.0)}, "NE", "uptake times differ by 15.1 min"),
        ({"minutes": (60.0, 49.9, 60.0)}, "NE", "before 50 min"),
        ({"minutes": (70.0, 70.1, 60.0)}, "PMR", "after 70 min"),
    ],
)
def test_percist_reads_dose_and_uptake_time_of_each_scan(changes, response, said):
    found, flags, method = assessed(**changes)
    assert found == response
    assert said in method
    assert ("warning" in method or "cannot be compared" in method) is bool(said)
    assert "assessability_unknown" not in flags


def test_a_scan_without_its_dose_is_not_wholly_assessed():
    _, flags, method = assessed(activity=(370e6, None, 370e6))
    assert "not known: injected activity" in method
    assert "assessability_unknown" in flags


def test_an_uptake_time_of_weeks_is_that_of_an_earlier_injection():
    found, flags, method = assessed(minutes=(60.0, 42 * 1440 + 60.0, 60.0))
    assert found == "PMR"
    assert "uptake time of week6" in method
    assert "assessability_unknown" in flags


def test_the_scan_itself_is_no_lesion():
    rows = uptake({"lesion_1": (10, 5, 5)}, more=facts())
    found = judged(rows, "percist_1_0", reference="liver", targets=("lesion_*", "sc*"))
    assert found.iloc[0]["n"] == 1.0
