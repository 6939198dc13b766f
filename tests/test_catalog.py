"""The catalogue finds declarations by itself, and a new one needs one file and its test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from igdd import catalog
from igdd.errors import InputError, StudyError

NEW_METRIC = '''"""Peak-to-mean ratio: how much the hottest voxel stands out of its region."""

from __future__ import annotations

import numpy as np

from igdd.declare import Metric, Option


def peak_to_mean(values: np.ndarray, weights: np.ndarray, power: float) -> float:
    """Highest voxel over the region's mean, raised to a power [1]."""
    return float((values.max() / np.average(values, weights=weights)) ** power)


METRICS = (
    Metric(
        "peak_to_mean",
        peak_to_mean,
        level="voxels",
        options=(Option("power", "1", default=1.0, help="exponent"),),
        question="Q3",
        reference="doi:10.0000/none",
    ),
)
'''
NEW_TEST = """import numpy as np
from igdd.metrics.peak_to_mean import peak_to_mean


def test_a_flat_region_has_ratio_one():
    assert peak_to_mean(np.ones(5), np.ones(5), 1.0) == 1.0
"""


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(StudyError, match="did you mean uptake"):
        catalog.find("metrics", "uptakes")


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="expected one of readers"):
        catalog.declarations("gadgets")


def test_a_file_that_no_reader_knows_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"notes\.txt"):
        catalog.read_series(tmp_path / "notes.txt")


@pytest.mark.integration
def test_a_new_metric_is_one_file_and_one_test(tmp_path):
    project = Path(__file__).resolve().parents[1]
    shutil.copytree(project / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(project / "docs", tmp_path / "docs")
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "test_contract.py"):
        shutil.copy(project / "tests" / name, tmp_path / "tests" / name)
    (tmp_path / "src/igdd/metrics/peak_to_mean.py").write_text(NEW_METRIC)
    (tmp_path / "tests/test_metrics_peak_to_mean.py").write_text(NEW_TEST)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "peak_to_mean" in json.loads(python("-m", "igdd", "list", "metrics", "--json"))
    assert "peak_to_mean" in python("-m", "igdd", "list", "schema")
    python("docs/build.py")
    assert "### `peak_to_mean`" in (tmp_path / "docs/catalogue.md").read_text()
    contract = python("-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", "peak_to_mean", "tests")
    assert "test_every_metric_measures_the_phantom[peak_to_mean] PASSED" in contract
    assert "test_a_flat_region_has_ratio_one PASSED" in contract


@pytest.mark.parametrize(("said", "meant"), [
    ("2TCM", "two_tissue"), ("2-tcm", "two_tissue"), ("ETM", "extended_tofts"),
    ("2CXM", "two_compartment_exchange"), ("AATH", "tissue_homogeneity"), ("Logan", "logan"),
])  # fmt: skip
def test_a_name_of_the_field_is_answered_with_the_model(said, meant):
    with pytest.raises(StudyError, match=rf"did you mean {meant}(,.*)?\?"):
        catalog.find("models", said)


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(StudyError, match=r"not one of the models; expected one of .*two_tissue"):
        catalog.find("models", "xyzzy")


def test_no_two_models_share_a_name():
    models = catalog.declarations("models").values()
    names = [catalog._plain(name) for one in models for name in (one.name, *one.also)]
    assert len(names) == len(set(names))
