"""Where the carrier goes in the virtual patient: a linear compartment model in % of what was given.

Every rate moves activity from one compartment to another, so the amounts sum to 100 % at any time.
The typical rates give a whole-blood half-life of 58 h and the liver, spleen and tumour uptake that
Harrington et al. (Clin Cancer Res 2001;7:243) report for In-111 pegylated liposomes in patients
(half-life 76 h; 2.7 to 53 % of dose per kg of tumour at 72 h).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from igdd.simulate.phantom import TISSUES, Anatomy

HOUR = 3600.0

# (from, to): rate in 1/h of a typical patient. Biology only: decay is the scanner's business.
RATES: dict[tuple[str, str], float] = {
    ("blood", "liver"): 0.0040,
    ("blood", "spleen"): 0.0010,
    ("blood", "marrow"): 0.0005,
    ("blood", "kidneys"): 0.0003,
    ("blood", "lungs"): 0.0002,
    ("blood", "bladder"): 0.0012,
    ("blood", "rest"): 0.0048,
    ("kidneys", "bladder"): 0.0100,
    ("liver", "bowel"): 0.0040,
    ("bowel", "faeces"): 0.0400,
    ("bladder", "urine"): 0.3500,
}
BETWEEN_PATIENTS = 0.2  # standard deviation of the logarithm of a rate
BLOOD_PER_WEIGHT = 0.065  # mL of blood per g of body
BLOOD_SHARES = {"liver": 0.10, "spleen": 0.02, "kidneys": 0.02, "lungs": 0.08, "marrow": 0.03}
MUSCLE_TO_REST = 0.7  # concentration in muscle over that in the rest of the body

# Lesions: mL of blood cleared per mL of lesion and hour; the peak falls near 48 h.
LESION_INFLUX = 0.025
LESION_EFFLUX = 0.030
EXCRETA = ("urine", "faeces")


@dataclass(frozen=True, kw_only=True)
class Kinetics:
    """One patient's rates: between compartments (1/h), and lesion influx (mL/mL/h) by name."""

    rates: Mapping[tuple[str, str], float]
    influx: Mapping[str, float]


def draw_kinetics(
    rng: np.random.Generator,
    anatomy: Anatomy,
    effect: float,
    between_patients: float,
    between_lesions: float,
) -> Kinetics:
    """A random patient's rates; `effect` multiplies the influx of every lesion (the arm).

    The other two are standard deviations of the logarithm of lesion influx.
    """
    rates = {
        pair: rate * float(np.exp(rng.normal(0.0, BETWEEN_PATIENTS)))
        for pair, rate in RATES.items()
    }
    patient = rng.normal(0.0, between_patients)
    influx = {
        lesion.name: float(
            LESION_INFLUX * effect * np.exp(patient + rng.normal(0.0, between_lesions))
        )
        for lesion in anatomy.lesions
    }
    return Kinetics(rates=rates, influx=influx)


def amounts(
    kinetics: Kinetics, volumes: Mapping[str, float], weight: float, time: float
) -> dict[str, float]:
    """% of what was given in every region, in the rest of the body and in the excreta at `time`.

    volumes  mL of every region and of "rest", the body outside them
    weight   of the patient in g; time in s after administration

    Blood inside an organ counts as the organ's. Lesions draw from what would have gone to the rest
    of the body and drain into it, so that the blood curve is the same in both arms.
    """
    blood_volume = BLOOD_PER_WEIGHT * weight
    held = _compartments(kinetics, volumes, blood_volume, time)
    shares = {"blood": volumes["blood"] / blood_volume, **BLOOD_SHARES}
    rest = held["rest"] + held["bowel"] + held["blood"] * (1 - sum(shares.values()))
    muscle = MUSCLE_TO_REST * volumes["muscle"]
    kidneys = held["kidneys"] + held["blood"] * shares["kidneys"]
    both = volumes["kidney_left"] + volumes["kidney_right"]
    found = {
        "blood": held["blood"] * shares["blood"],
        "bladder": held["bladder"],
        "muscle": rest * muscle / (muscle + volumes["rest"]),
        "rest": rest * volumes["rest"] / (muscle + volumes["rest"]),
        "kidney_left": kidneys * volumes["kidney_left"] / both,
        "kidney_right": kidneys * volumes["kidney_right"] / both,
    }
    for name in ("liver", "spleen", "lungs", "marrow"):
        found[name] = held[name] + held["blood"] * shares[name]
    order = (*TISSUES, *kinetics.influx, "rest", *EXCRETA)
    return {name: found.get(name, held.get(name, np.nan)) for name in order}


def _compartments(
    kinetics: Kinetics, volumes: Mapping[str, float], blood_volume: float, time: float
) -> dict[str, float]:
    """% in every compartment at `time` s: the exponential of the matrix of rates."""
    from scipy.linalg import expm

    rates = dict(kinetics.rates)
    for name, influx in kinetics.influx.items():
        rates["blood", name] = influx * volumes[name] / blood_volume
        rates[name, "rest"] = LESION_EFFLUX
        # Never a flow back: a patient with very many and avid lesions loses more from blood.
        rates["blood", "rest"] = max(rates["blood", "rest"] - rates["blood", name], 0.0)
    names = sorted({name for pair in rates for name in pair})
    matrix = np.zeros((len(names), len(names)))
    for (source, target), rate in rates.items():
        matrix[names.index(target), names.index(source)] += rate
        matrix[names.index(source), names.index(source)] -= rate
    content = expm(matrix * time / HOUR)[:, names.index("blood")] * 100
    return {name: float(value) for name, value in zip(names, content, strict=True)}
