"""Whether blood is corrected for decay: said, proven by its late fall, or in doubt."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.stages import inputs
from igdd.stages.blood import Recordings, Samples
from igdd.stages.blood_decay import falls_slowly

CARBON = 1223.4  # s, ICRP 107
TIME = np.array([0.0, 30, 60, 120, 300, 600, 1200, 1800, 2400, 3000, 3600, 4500, 5400])
# 60 % are gone in minutes; the rest falls by half in 90 min.
CORRECTED = np.append(0.0, 60 * np.exp(-TIME[1:] / 120) + 40 * 0.5 ** (TIME[1:] / 5400))
UNCORRECTED = CORRECTED * 0.5 ** (TIME / CARBON)
UNKNOWN = "decay_state_assumed"
DOUBTED = "decay_state_doubtful"


def blood(folder: Path, values: np.ndarray, kind: str = "manual", **facts: object) -> Path:
    path = folder / f"sub-01_ses-a_recording-{kind}_blood.tsv"
    rows = "".join(f"{t}\t{v:.9g}\n" for t, v in zip(TIME, values, strict=True))
    path.write_text("time\twhole_blood_radioactivity\n" + rows)
    unit = {"whole_blood_radioactivity": {"Units": "kBq/mL"}}
    path.with_suffix(".json").write_text(json.dumps(unit | facts))
    return path


def image(folder: Path, nuclide: object) -> None:
    (folder / "sub-01_ses-a_pet.json").write_text(json.dumps({"TracerRadionuclide": nuclide}))


@pytest.mark.parametrize(
    ("values", "half_life", "flags"),
    [
        (CORRECTED, CARBON, ()),
        (UNCORRECTED, CARBON, (DOUBTED,)),
        # falls about as fast as F-18 decays: nobody can tell
        (CORRECTED, 6586.2, (DOUBTED,)),
        (CORRECTED, None, (UNKNOWN,)),
    ],
)
def test_blood_that_falls_more_slowly_than_it_decays_is_corrected(
    tmp_path, values, half_life, flags
):
    found = inputs.read_inputs(blood(tmp_path, values), half_life=half_life)["blood"]
    assert found.flags == flags
    assert_allclose(found.values, 1000 * values, rtol=1e-8)
    assert ("falls more slowly than it decays" in found.source) is (not flags)


@pytest.mark.parametrize(
    ("nuclide", "flags"),
    [("11C", ()), ("C-11", ()), ("F18", (DOUBTED,)), ("n/a", (UNKNOWN,)), (None, (UNKNOWN,)),
     ("carbon", (UNKNOWN,))],
)  # fmt: skip
def test_the_nuclide_stands_in_the_image_beside_the_blood(tmp_path, nuclide, flags):
    path = blood(tmp_path, CORRECTED)
    image(tmp_path, nuclide)
    assert inputs.read_inputs(path)["blood"].flags == flags


def test_the_image_of_another_scan_says_nothing(tmp_path):
    path = blood(tmp_path, CORRECTED)
    (tmp_path / "sub-01_ses-b_pet.json").write_text('{"TracerRadionuclide": "C11"}')
    assert inputs.read_inputs(path)["blood"].flags == (UNKNOWN,)


def test_blood_said_not_to_be_corrected_is_corrected_by_the_image_s_nuclide(tmp_path):
    path = blood(tmp_path, UNCORRECTED)
    with pytest.raises(InputError, match="needs its half_life"):
        inputs.read_inputs(path, decay_corrected=False)
    image(tmp_path, "C11")
    found = inputs.read_inputs(path, decay_corrected=False)["blood"]
    assert found.flags == ()
    assert_allclose(found.values, 1000 * CORRECTED, rtol=1e-8)


@pytest.mark.parametrize(
    ("stated", "said", "expected"),
    [
        (True, None, UNCORRECTED),
        ("true", None, UNCORRECTED),
        (["false"], None, CORRECTED),
        (False, None, CORRECTED),
        (False, True, UNCORRECTED),
        (True, False, CORRECTED),
    ],
)
def test_the_sidecar_s_word_counts_unless_the_caller_says_otherwise(
    tmp_path, stated, said, expected
):
    path = blood(tmp_path, UNCORRECTED, DecayCorrected=stated)
    found = inputs.read_inputs(path, decay_corrected=said, half_life=CARBON)["blood"]
    assert found.flags == ()
    assert_allclose(found.values, 1000 * expected, rtol=1e-8)


def test_recordings_of_two_states_are_refused(tmp_path):
    files = [
        blood(tmp_path, CORRECTED, "autosampler", DecayCorrected=False),
        blood(tmp_path, CORRECTED, "manual", DecayCorrected=True),
    ]
    with pytest.raises(InputError, match="one is corrected for decay and one is not"):
        inputs.read_inputs(files)


@pytest.mark.parametrize("kept", [slice(0, 13, 4), slice(0, 6)])
def test_few_samples_and_short_recordings_prove_nothing(kept):
    """4 samples, one of them late; 10 minutes, of which the late 5 are a quarter of a half-life."""
    samples = Samples(TIME[kept], CORRECTED[kept])
    assert falls_slowly(Recordings(unit="Bq/mL", blood=samples), CARBON) is None


def test_background_proves_nothing():
    """Of counts near zero those above it are no curve: they fall too slowly."""
    values = np.where(TIME > 3000, [(-1.0) ** n for n in range(TIME.size)], UNCORRECTED)
    assert falls_slowly(Recordings(unit="Bq/mL", blood=Samples(TIME, values)), CARBON) is None


def test_scatter_proves_nothing():
    random = np.random.default_rng(5)
    values = CORRECTED * np.exp(0.8 * random.standard_normal(TIME.size))
    assert not falls_slowly(Recordings(unit="Bq/mL", blood=Samples(TIME, values)), CARBON)


def test_human_blood_is_told_from_the_same_blood_before_its_correction(reference):
    """[11C]PBR28, whose raw files say that blood was corrected to the injection."""
    with gzip.open(reference("pet/pbr28/pbr28_raw_blood.json.gz")) as stream:
        raw = json.load(stream)
    for scan in raw:
        part = scan["jsondata"]["Blood"]["Discrete"]["Data"]
        assert part["DecayCorrected"] == ["true"]
        rows = np.array(part["Values"], float)
        time, values = rows[np.isfinite(rows[:, 2])][:, [0, 2]].T
        for factor, expected in ((1.0, True), (0.5 ** (time / CARBON), False)):
            found = Recordings(unit="Bq/mL", blood=Samples(time, values * factor))
            assert falls_slowly(found, CARBON) is expected
