"""The metric `retention`: rows of a subject with two labels, and of one without."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError, StudyError
from igdd.facts import Agent, Subject
from igdd.flags import FLAGS
from igdd.metrics.retention import METRICS, retention
from igdd.results import COLUMNS, Course

HOURS = np.array([4.0, 24.0, 72.0])
CARRIER = np.array([5.0, 8.0, 6.0])


def course(ratios: dict[str, np.ndarray], labels=("carrier", "drug")) -> Course:
    """Uptake of regions whose drug is `ratio` times the carrier, 3 % noise."""
    rows = []
    for region, ratio in ratios.items():
        for label in labels:
            values = CARRIER * (ratio if label == "drug" else 1.0)
            for hour, value in zip(HOURS, values, strict=True):
                row = dict.fromkeys(COLUMNS, "")
                row.update(
                    subject="01", session=f"{hour:g}h", time=hour * 3600, analyte=label,
                    region=region, metric="percent_id", value=value, sd=0.03 * value,
                    sd_shared=0.0, unit="%",
                )  # fmt: skip
                rows.append(row)
    return Course(
        subject=Subject(id="01"), agent=Agent(), kinds=dict.fromkeys(ratios, "organ"),
        measurements=pd.DataFrame(rows),
    )  # fmt: skip


def found(ratios, **options):
    return list(retention(course(ratios), "percent_id", **options))


def test_an_index_for_each_session_and_one_of_the_areas():
    ratio = np.array([1.0, 0.7, 0.3])
    values = found({"tumour": ratio}, given=1.0)
    assert [one.metric for one in values] == ["retention_index"] * 3 + ["retention_index_auc"]
    assert_allclose([one.estimate.value for one in values[:3]], ratio)
    assert_allclose([one.time for one in values], [4 * 3600, 24 * 3600, 72 * 3600, 72 * 3600])
    areas = [np.trapezoid(CARRIER * r, HOURS) for r in (ratio, 1.0)]
    assert_allclose(values[3].estimate.value, areas[0] / areas[1])
    assert all(one.method.startswith("released;") for one in values)
    assert all(one.interval[0] < one.estimate.value < one.interval[1] for one in values)


def test_labels_together_and_apart():
    assert found({"a": np.ones(3)}, given=1.0)[0].method.startswith("carrier = drug;")
    assert found({"a": np.array([1, 2, 3.0])}, given=1.0)[0].method.startswith("label artefact;")


def test_against_the_first_session_the_ratio_given_is_not_needed():
    values = found({"tumour": np.array([2.0, 1.4, 0.6])})
    assert_allclose([one.estimate.value for one in values[:3]], [1, 0.7, 0.3])
    assert values[0].estimate.sd == pytest.approx(0, abs=1e-12)


def test_a_sink_is_flagged_and_decides_nothing():
    values = found({"bone": np.array([1, 0.7, 0.3])}, given=1.0, carrier_nuclide="Zr-89")
    assert all(one.flags == ("free_label_sink",) for one in values)
    assert values[0].method.startswith("undecided;")


def test_one_label_gives_a_flag_and_no_number():
    one = course({"tumour": np.ones(3)}, labels=("label",))
    (value,) = retention(one, "percent_id")
    assert np.isnan(value.estimate.value)
    assert value.flags == ("one_label_only",)
    only_drug = course({"tumour": np.ones(3)}, labels=("drug",))
    (value,) = retention(only_drug, "percent_id")
    assert value.flags == ("one_label_only",)


def test_sessions_pair_not_clocks():
    one = course({"tumour": np.array([1.0, 0.7, 0.3])})
    table = one.measurements.copy()
    late = table["analyte"] == "drug"
    table.loc[late, "time"] += 1800.0  # the second label is scanned half an hour later
    moved = Course(subject=one.subject, agent=one.agent, kinds=one.kinds, measurements=table)
    values = list(retention(moved, "percent_id", given=1.0))
    assert_allclose([value.estimate.value for value in values[:3]], [1.0, 0.7, 0.3])
    assert values[0].time == 4 * 3600 + 1800


def test_a_session_with_one_label_only_is_left_out():
    one = course({"tumour": np.array([1.0, 0.7, 0.3])})
    table = one.measurements
    kept = table[~((table["analyte"] == "drug") & (table["session"] == "72h"))]
    short = Course(subject=one.subject, agent=one.agent, kinds=one.kinds, measurements=kept)
    assert len(list(retention(short, "percent_id", given=1.0))) == 3


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="margin"):
        found({"a": np.ones(3)}, margin=0.0)
    with pytest.raises(InputError, match="margin"):
        found({"a": np.ones(3)}, margin=1.0)
    with pytest.raises(StudyError, match="suv"):
        list(retention(course({"a": np.ones(3)}), "suv"))


def test_its_flags_and_metrics_are_declared():
    (metric,) = METRICS
    assert dict(metric.gives) == {"retention_index": "1", "retention_index_auc": "1"}
    assert {"one_label_only", "free_label_sink", "interval_unbounded"} <= FLAGS.keys()
