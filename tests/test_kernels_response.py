"""Response rules: the truth table of every criterion, each boundary exactly and on both sides."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from igdd.comparisons.criteria import CRITERIA, criterion
from igdd.errors import InputError
from igdd.kernels.response import OTHERS, Visit, assess, exact, overall
from igdd.kernels.response_course import Candidate, best, immune, role, select
from igdd.kernels.response_eortc import eortc, preclinical
from igdd.kernels.response_metabolic import Uptake, percist, up_to_five

RECIST = criterion("recist_1_1").size_rule()
MRECIST = criterion("mrecist").size_rule()
CHOI = criterion("choi").size_rule()
PERCIST = criterion("percist_1_0").percist_rule()
EORTC = criterion("eortc_1999").eortc_rule()
LIMITS = criterion("recist_1_1").measurable()


def visits(*sums, **last):
    """Visits of one target with these sizes in mm; the last one has more to say."""
    made = [Visit(name=f"v{n}", sizes={"a": size}) for n, size in enumerate(sums[:-1])]
    return [*made, Visit(name="last", sizes={"a": sums[-1]}, **last)]


def judged(rule, *sums, **last):
    return assess(visits(*sums, **last), rule)[-1].response


@pytest.mark.parametrize(
    ("sums", "wanted"),
    [
        ((100, 70), "PR"),  # exactly -30 %
        ((100, 70.1), "SD"),
        ((10.0, 7.0), "PR"),
        ((0.3, 0.21), "PR"),  # 0.3 * 0.7 is not 0.21 in binary
        ((100, 0), "CR"),
        ((100, 120), "PD"),  # exactly +20 % and 20 mm
        ((100, 119.9), "SD"),
        ((25, 30), "PD"),  # exactly +20 % and exactly 5 mm
        ((24, 28.9), "SD"),  # +20.4 %, 4.9 mm
        ((20, 24.9), "SD"),  # +24.5 %, 4.9 mm
        ((26, 31), "SD"),  # 5 mm, but +19.2 %
        ((100, 50, 60), "PD"),  # from the nadir: +20 %, 10 mm, still -40 % from baseline
        ((100, 50, 59.9), "PR"),
        ((100, 20, 24), "PR"),  # +20 % from the nadir, but 4 mm
        ((100, 20, 25), "PD"),
        ((20.1, 25.1), "PD"),  # 5 mm, although 25.1 - 20.1 < 5 in binary
    ],
)
def test_recist_on_every_boundary_of_the_sum(sums, wanted):
    assert judged(RECIST, *sums) == wanted


@pytest.mark.parametrize(
    ("sums", "wanted"),
    [((20, 24), "PD"), ((20, 23.9), "SD"), ((20, 14), "PR"), ((20, 14.1), "SD"), ((20, 0), "CR")],
)
def test_mrecist_asks_for_no_absolute_growth(sums, wanted):
    assert judged(MRECIST, *sums) == wanted


def choi(size, attenuation, **last):
    base = Visit(name="base", sizes={"a": 100.0}, attenuation={"a": 80.0})
    later = Visit(name="last", sizes={"a": size}, attenuation={"a": attenuation}, **last)
    return assess([base, later], CHOI)[-1].response


@pytest.mark.parametrize(
    ("size", "attenuation", "wanted"),
    [
        (100, 68, "PR"),  # exactly -15 % HU
        (100, 68.1, "SD"),
        (90, 80, "PR"),  # exactly -10 % size
        (90.1, 80, "SD"),
        (110, 80, "PD"),  # exactly +10 % size
        (109.9, 80, "SD"),
        (110, 68, "PR"),  # growth, but attenuation responds
        (110, 68.1, "PD"),
        (0, None, "CR"),
        (90, None, "PR"),
        (100, None, "NE"),  # attenuation would decide
        (110, None, "NE"),
    ],
)
def test_choi_on_every_boundary_of_size_and_attenuation(size, attenuation, wanted):
    assert choi(size, attenuation) == wanted


@pytest.mark.parametrize(
    ("size", "attenuation", "wanted"),
    [
        (90, 68, "PR"),
        (90.1, 68, "SD"),
        (90, 68.1, "SD"),
        (90, None, "NE"),
        (100, None, "SD"),
        (110, 80, "PD"),
    ],
)
def test_modified_choi_needs_both(size, attenuation, wanted):
    base = Visit(name="base", sizes={"a": 100.0}, attenuation={"a": 80.0})
    later = Visit(name="last", sizes={"a": size}, attenuation={"a": attenuation})
    rule = criterion("choi_modified").size_rule()
    assert assess([base, later], rule)[-1].response == wanted


def test_choi_a_new_lesion_or_nodule_is_progression():
    assert choi(80, 60, new=("nodule",)) == "PD"


def test_a_percentage_of_an_attenuation_below_zero_is_not_taken():
    base = Visit(name="base", sizes={"a": 100.0}, attenuation={"a": -10.0})
    later = Visit(name="last", sizes={"a": 100.0}, attenuation={"a": -30.0})
    assert assess([base, later], CHOI)[0].response == "NE"


@pytest.mark.parametrize(
    ("target", "others", "new", "wanted"),
    [  # Eisenhauer 2009, tables 1 and 2
        ("CR", "none", False, "CR"),
        ("CR", "absent", False, "CR"),
        ("CR", "present", False, "PR"),
        ("CR", "not_evaluated", False, "PR"),
        ("PR", "present", False, "PR"),
        ("PR", "not_evaluated", False, "PR"),
        ("PR", "absent", False, "PR"),
        ("SD", "present", False, "SD"),
        ("SD", "not_evaluated", False, "SD"),
        ("NE", "present", False, "NE"),
        ("NE", "absent", False, "NE"),
        ("PD", "absent", False, "PD"),
        ("CR", "progressed", False, "PD"),
        ("NE", "progressed", False, "PD"),
        ("CR", "absent", True, "PD"),
        ("NE", "not_evaluated", True, "PD"),
        ("none", "absent", False, "CR"),
        ("none", "present", False, "non-CR/non-PD"),
        ("none", "not_evaluated", False, "NE"),
        ("none", "progressed", False, "PD"),
        ("none", "absent", True, "PD"),
    ],
)
def test_the_overall_response_is_that_of_the_tables(target, others, new, wanted):
    assert overall(target, others, new)[0] == wanted


@pytest.mark.parametrize(
    ("size", "wanted"), [(9.9, "CR"), (10, "PR"), (0, "CR"), (10.5, "PR"), (10.6, "SD")]
)
def test_a_nodal_target_is_normal_below_ten_millimetres(size, wanted):
    seen = [Visit(name="base", sizes={"n": 15.0}), Visit(name="last", sizes={"n": size})]
    assert assess(seen, RECIST, frozenset({"n"}))[0].response == wanted


def test_the_nodes_of_a_complete_response_may_add_up():
    names = ("n1", "n2")
    seen = [
        Visit(name=str(n), sizes=dict.fromkeys(names, size))
        for n, size in enumerate((20.0, 4.0, 9.5))
    ]
    last = assess(seen, RECIST, frozenset(names))[-1]
    assert (last.response, last.total) == ("CR", 19.0)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ({"a": 50, "b": None}, "NE"),
        ({"a": 10, "b": None}, "NE"),
        ({"a": 119.9, "b": None}, "NE"),
        ({"a": 120, "b": None}, "PD"),  # the other alone is already 20 % and 5 mm up
        ({"a": 120}, "PD"),
        ({"a": 0, "b": None}, "NE"),
    ],
)
def test_a_missing_target_leaves_only_certain_progression(sizes, wanted):
    seen = [Visit(name="base", sizes={"a": 60, "b": 40}), Visit(name="last", sizes=sizes)]
    found = assess(seen, RECIST)[0]
    assert found.response == wanted
    assert found.total != found.total


def test_an_incomplete_sum_is_no_nadir():
    seen = visits(100, None, 90)
    assert assess(seen, RECIST)[-1].from_nadir == -10


def test_what_comes_back_after_a_complete_response_is_progression():
    assert judged(RECIST, 100, 0, 3) == "PD"
    assert judged(RECIST, 100, 60, 65) == "PR"


def test_after_a_partial_response_a_lesion_that_comes_back_is_only_added():
    seen = [
        Visit(name=str(n), sizes={"a": a, "b": b})
        for n, (a, b) in enumerate(((60, 40), (30, 0), (30, 4)))
    ]
    assert assess(seen, RECIST)[-1].response == "PR"


@pytest.mark.parametrize(
    ("size", "node", "thickness", "wanted"),
    [
        (10, False, 0, "measurable"),
        (9.9, False, 0, "non_target"),
        (10, False, 5, "measurable"),
        (11.9, False, 6, "non_target"),  # twice the slice
        (12, False, 6, "measurable"),
        (15, True, 0, "measurable"),
        (14.9, True, 0, "non_target"),
        (10, True, 0, "non_target"),
        (9.9, True, 0, "normal"),
    ],
)
def test_what_may_be_a_target(size, node, thickness, wanted):
    one = Candidate(name="a", organ="liver", size=size, node=node)
    assert role(one, LIMITS, thickness) == wanted


def test_five_targets_and_two_an_organ_the_largest_first():
    lesions = [
        Candidate(name=f"{organ}{n}", organ=organ, size=20.0 + n + 5 * place)
        for place, organ in enumerate(("liver", "lung", "bone"))
        for n in range(3)
    ]
    targets, rest = select(lesions, LIMITS)
    assert targets == ("bone2", "bone1", "lung2", "lung1", "liver2")
    assert set(rest) == {"bone0", "lung0", "liver1", "liver0"}


def course(*responses, days=None):
    """Verdicts with these responses, six weeks apart."""
    sizes = {"CR": 0.0, "PR": 60.0, "SD": 100.0, "PD": 200.0, "NE": None}
    days = days or [42 * (n + 1) for n in range(len(responses))]
    seen = [Visit(name="base", sizes={"a": 100.0}, day=0.0)]
    found = []
    for response, day in zip(responses, days, strict=True):
        later = Visit(name=f"day {day}", sizes={"a": sizes[response]}, day=float(day))
        found.append(assess([*seen, later], RECIST)[0])
    return found


@pytest.mark.parametrize(
    ("responses", "days", "wanted"),
    [  # Eisenhauer 2009, table 3
        (("CR", "CR"), None, "CR"),
        (("CR", "CR"), (28, 56), "CR"),  # exactly four weeks
        (("CR", "CR"), (28, 55), "SD"),
        (("CR", "PD"), None, "SD"),
        (("CR", "PD"), (28, 56), "PD"),  # stable disease too early to count
        (("CR", "NE"), None, "SD"),
        (("CR", "NE"), (28, 56), "NE"),
        (("PR", "CR"), None, "PR"),
        (("PR", "PR"), None, "PR"),
        (("PR", "NE", "PR"), None, "PR"),
        (("PR", "SD", "PR"), None, "SD"),
        (("PR", "PD"), None, "SD"),
        (("SD",), (42,), "SD"),
        (("SD",), (41,), "NE"),
        (("NE", "NE"), None, "NE"),
        (("PD", "PR", "PR"), None, "PD"),
        ((), None, "NE"),
    ],
)
def test_best_response_with_confirmation(responses, days, wanted):
    assert best(course(*responses, days=days), RECIST, confirm=True)[0] == wanted


def test_without_confirmation_the_first_response_counts():
    assert best(course("SD", "PR", "PD"), RECIST, confirm=False)[0] == "PR"


IRECIST = criterion("irecist")


def immune_course(*states):
    """iRECIST of one target: (day, size, more)."""
    seen = [Visit(name="base", sizes={"a": 100.0}, day=0.0, others="present")]
    seen += [
        Visit(name=str(day), sizes={"a": size}, day=float(day), **({"others": "present"} | more))
        for day, size, more in states
    ]
    found = immune(seen, IRECIST.size_rule(), IRECIST.confirmation())
    return [one.response for one in found]


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        (((42, 120, {}), (70, 125, {})), ["iUPD", "iCPD"]),  # exactly 5 mm, exactly 4 weeks
        (((42, 120, {}), (70, 124.9, {})), ["iUPD", "iUPD"]),
        (((42, 120, {}), (69, 130, {})), ["iUPD", "iUPD"]),  # too early
        (((42, 120, {}), (70, 124, {}), (98, 126, {})), ["iUPD", "iUPD", "iCPD"]),  # adds up
        (((42, 120, {}), (70, 100, {})), ["iUPD", "iSD"]),
        (((42, 120, {}), (70, 60, {}), (98, 80, {})), ["iUPD", "iPR", "iUPD"]),  # the bar is reset
        (((42, 100, {"new": ("n",)}), (70, 100, {"new": ("n",)})), ["iUPD", "iUPD"]),
        (((42, 100, {"new": ("n",)}), (70, 60, {"new": ("n",)})), ["iUPD", "iPR"]),
        (((42, 100, {"new": ("n",)}), (70, 100, {"new": ("n", "m")})), ["iUPD", "iCPD"]),
        (
            ((42, 100, {"new": ("n",), "new_sizes": {"n": 10}}),
             (70, 100, {"new": ("n",), "new_sizes": {"n": 15}})), ["iUPD", "iCPD"],
        ),
        (
            ((42, 100, {"new": ("n",), "new_sizes": {"n": 10}}),
             (70, 100, {"new": ("n",), "new_sizes": {"n": 14.9}})), ["iUPD", "iUPD"],
        ),
        (((42, 100, {"others": "progressed"}), (70, 100, {"others": "progressed"})),
         ["iUPD", "iUPD"]),
        (((42, 100, {"others": "progressed"}), (70, 100, {"others": "grown"})), ["iUPD", "iCPD"]),
        (((42, 120, {}), (70, 120, {"new": ("n",)})), ["iUPD", "iCPD"]),  # another category
        (((42, 120, {}), (70, None, {}), (98, 126, {})), ["iUPD", "NE", "iCPD"]),
        (((42, 120, {}), (70, 125, {}), (98, 50, {})), ["iUPD", "iCPD", "iCPD"]),
    ],
)  # fmt: skip
def test_irecist_confirms_resets_or_waits(states, wanted):
    assert immune_course(*states) == wanted


def scan(name, peaks, **more):
    known = {"liver": (2.0, 0.2), "blood": (1.5, 0.1), "minutes": 60.0, "dose": 370.0}
    return Uptake(name=name, peaks=peaks, **(known | more))


def metabolic(before, after, **more):
    """PERCIST of one lesion between two comparable scans."""
    seen = [scan("base", {"a": before}), scan("last", {"a": after}, **more)]
    return percist(seen, PERCIST)[0].response


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (10, 7, "PMR"),  # exactly -30 %
        (10, 7.01, "SMD"),
        (3.5, 2.7, "SMD"),  # 0.8 SUL, but -22.9 %
        (3.4, 2.38, "PMR"),  # exactly -30 %, 1.02 SUL
        (10, 13, "PMD"),  # exactly +30 %
        (10, 12.99, "SMD"),
        (10, 1.4, "CMR"),  # below liver, not above blood
        (10, 1.5, "CMR"),
        (10, 1.6, "PMR"),  # below liver, above blood
        (3.4, 3.4, "SMD"),
        (3.39, 2, "NE"),  # measurable from 1.5 x 2 + 2 x 0.2 = 3.4
    ],
)
def test_percist_on_every_boundary(before, after, wanted):
    assert metabolic(before, after) == wanted


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [(2.6, 1.8, "PMR"), (2.6, 1.81, "SMD"), (2.4, 3.2, "PMD"), (2.4, 3.19, "SMD")],
)
def test_percist_asks_for_0_8_sul(before, after, wanted):
    quiet = {"liver": (1.0, 0.0), "blood": (0.5, 0.0)}
    seen = [scan("base", {"a": before}, **quiet), scan("last", {"a": after}, **quiet)]
    assert percist(seen, PERCIST)[0].response == wanted


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"new": ("b",)}, "PMD"),
        ({"others": "progressed"}, "PMD"),
        ({"amounts": {"a": 175.1}}, "PMD"),
        ({"amounts": {"a": 175.0}}, "SMD"),  # exactly 75 % is not more than 75 %
        ({"liver": (2.3, 0.2)}, "SMD"),  # 0.3 SUL and 15 %
        ({"liver": (2.31, 0.2)}, "NE"),
        ({"minutes": 50.0}, "SMD"),
        ({"minutes": 49.9}, "NE"),
        ({"minutes": 75.0}, "SMD"),  # exactly 15 min apart; later than 70 is a warning
        ({"minutes": 75.1}, "NE"),
        ({"dose": 500.0}, "SMD"),  # a warning only
    ],
)
def test_percist_other_reasons_and_comparability(more, wanted):
    seen = [scan("base", {"a": 10.0}, amounts={"a": 100.0}), scan("last", {"a": 10.0}, **more)]
    assert percist(seen, PERCIST)[0].response == wanted


def test_percist_glycolysis_counts_only_without_decline():
    seen = [
        scan("base", {"a": 10.0}, amounts={"a": 100.0}),
        scan("last", {"a": 9.0}, amounts={"a": 200.0}),
    ]
    assert percist(seen, PERCIST)[0].response == "SMD"


def test_percist_follows_the_hottest_lesion_of_each_scan():
    seen = [scan("base", {"a": 10.0, "b": 8.0}), scan("last", {"a": 2.0, "b": 7.0})]
    found = percist(seen, PERCIST)[0]
    assert (found.response, found.total, found.change) == ("PMR", 7.0, -30.0)


def test_percist_a_lesion_that_heats_up_denies_the_response():
    seen = [scan("base", {"a": 20.0, "b": 5.0}), scan("last", {"a": 4.0, "b": 7.0})]
    assert percist(seen, PERCIST)[0].response == "SMD"


def test_percist_a_lesion_that_was_not_measured_leaves_only_progression():
    base = scan("base", {"a": 10.0, "b": 8.0})
    assert percist([base, scan("x", {"a": 1.0, "b": None})], PERCIST)[0].response == "NE"
    assert percist([base, scan("x", {"a": 13.0, "b": None})], PERCIST)[0].response == "PMD"


def test_percist_says_what_it_does_not_know():
    seen = [scan("base", {"a": 10.0}, minutes=None, dose=None), scan("last", {"a": 5.0})]
    trace = percist(seen, PERCIST)[0].trace
    assert any(step.startswith("not known: ") and "injected" in step for step in trace)


def test_percist_by_the_blood_pool_where_the_liver_is_diseased():
    seen = [
        scan("base", {"a": 3.2}, liver=None, blood=(1.5, 0.1)),
        scan("last", {"a": 1.0}, liver=None, blood=(1.5, 0.1)),
    ]
    assert percist(seen, PERCIST)[0].response == "PMR"  # measurable from 2 x 1.5 + 2 x 0.1
    seen[0] = scan("base", {"a": 3.19}, liver=None, blood=(1.5, 0.1))
    assert percist(seen, PERCIST)[0].response == "NE"


def test_up_to_five_lesions_two_an_organ():
    organs = {"a": "liver", "b": "liver", "c": "liver", "d": "lung"}
    peaks = {"a": 9.0, "b": 8.0, "c": 7.0, "d": 6.0, "e": 5.0, "f": 4.0, "g": 3.0}
    assert up_to_five(scan("x", peaks), organs) == ("a", "b", "d", "e", "f")


@pytest.mark.parametrize(
    ("after", "cycles", "wanted"),
    [
        (8.5, 1, "PMR"),  # exactly -15 % after one cycle
        (8.51, 1, "SMD"),
        (8.5, 2, "SMD"),
        (7.5, 2, "SMD"),  # exactly -25 % is not more than 25 %
        (7.49, 2, "PMR"),
        (8.0, None, "NE"),  # the cycle would decide
        (7.0, None, "PMR"),
        (12.5, 1, "SMD"),  # exactly +25 %
        (12.51, 1, "PMD"),
        (0.0, 1, "CMR"),
    ],
)
def test_eortc_on_every_boundary(after, cycles, wanted):
    seen = [scan("base", {"a": 10.0}), scan("last", {"a": after}, after_cycles=cycles)]
    assert eortc(seen, EORTC)[0].response == wanted


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"extents": {"a": 60.0}}, "SMD"),  # exactly +20 %
        ({"extents": {"a": 60.1}}, "PMD"),
        ({"new": ("b",)}, "PMD"),
        ({"background": 10.0}, "CMR"),
        ({"background": 9.9}, "SMD"),
    ],
)
def test_eortc_extent_new_lesions_and_background(more, wanted):
    seen = [
        scan("base", {"a": 10.0}, extents={"a": 50.0}),
        scan("last", {"a": 10.0}, after_cycles=1, **more),
    ]
    assert eortc(seen, EORTC)[0].response == wanted


@pytest.mark.parametrize(
    ("after", "wanted"), [(8, "PMR"), (8.01, "SMD"), (12.5, "PMD"), (12.49, "SMD"), (None, "NE")]
)
def test_preclinical_changes_beyond_the_declared_limits(after, wanted):
    seen = [scan("base", {"a": 10.0}), scan("last", {"a": after})]
    assert preclinical(seen, Fraction(20), Fraction(25))[0].response == wanted


def test_every_verdict_has_its_trace():
    found = assess(visits(100, 80, new=("b",)), RECIST)[0]
    assert any("sum 80 mm" in step and "-20 %" in step for step in found.trace)
    assert found.trace[-1] == "a new lesion: PD"


def test_a_measurement_is_the_decimal_that_it_prints_as():
    assert exact(0.1) * 3 == exact(0.3)
    assert exact(100 * 0.7) == 70


def test_a_baseline_without_a_size_is_refused():
    with pytest.raises(InputError, match="no size at baseline"):
        assess(visits(None, 10), RECIST)
    with pytest.raises(InputError, match="no visit"):
        assess([], RECIST)
    with pytest.raises(InputError, match="0 or more"):
        Visit(name="x", sizes={"a": -1.0})
    with pytest.raises(InputError, match="0 or more"):
        Visit(name="x", sizes={"a": float("nan")})
    with pytest.raises(InputError, match="expected one of"):
        Visit(name="x", sizes={}, others="gone")


def test_days_that_run_backwards_are_refused():
    seen = [Visit(name=str(n), sizes={"a": 10.0}, day=day) for n, day in enumerate((0.0, 5.0, 5.0))]
    with pytest.raises(InputError, match="later than"):
        assess(seen, RECIST)


@pytest.mark.parametrize("key", CRITERIA)
def test_every_criterion_names_its_source_and_dates(key):
    tables = criterion(key).tables
    assert tables["published"] < tables["entered"]
    assert re.search(r"doi:10\.[0-9]{4}/|[0-9]{4};[0-9]+:[0-9]+", tables["source"])


def test_the_states_of_other_disease_are_all_judged():
    for state in OTHERS:
        assert overall("SD", state, False)[0] in ("SD", "PD")
