"""Nanoparticles in the body: permeability-limited tissues whose phagocytes take particles up.

Every tissue has blood b and extravascular space t; all but the brain have phagocytes too.

    V_b dC_b/dt = Q (C_A - C_b) - PA C_b + PA C_t / P
    dA_t/dt     = PA C_b - PA C_t / P - u(t) A_t + k A_ph
    dA_ph/dt    = u(t) A_t - k A_ph,   u(t) = K t^n / (K50^n + t^n),   PA = PAC Q

In the liver the phagocytes take up from blood (u A_b), and bile leaves the extravascular space;
the spleen drains into the liver; urine leaves the kidney's blood; the whole flow passes the lung.
Amounts are in percent of the injected dose, given as a bolus into the veins.
Lin and others, Nanotoxicology 2016;10:162; Cheng and others, ACS Nano 2020;14:3075; Chou and
others, J Control Release 2023;361:53.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from igdd.errors import InputError

if TYPE_CHECKING:
    from igdd.kernels.rising_rates import Rates

ALLOMETRY = 0.75  # power of body weight in cardiac output and excretion
ARTERIAL = 0.2  # share of the plasma that is arterial; the rest is venous
INJECTED = 100.0  # %ID
# Fastest exchange [1/h] that makes sense: the blood of a mouse's lung is renewed 2e4 times an hour.
FASTEST = 1e8
# Local error allowed in a step of the solver: relative, and as a share of the dose.
RELATIVE, ABSOLUTE = 1e-8, 1e-11

# From the periphery to the blood: the order in which the solver eliminates.
TISSUES = ("brain", "muscle", "rest", "kidney", "tumour", "spleen", "liver", "lung")
PHAGOCYTIC = tuple(name for name in TISSUES if name != "brain")
EXCRETED = ("urine", "bile")
STATES = (
    *(
        f"{tissue}_{part}"
        for tissue in TISSUES
        for part in (("cells", "tissue", "blood") if tissue in PHAGOCYTIC else ("tissue", "blood"))
    ),
    "arterial",
    "venous",
    *EXCRETED,
    "tumour_area",
)
PLACE = {name: place for place, name in enumerate(STATES)}
BODY = len(STATES) - 1  # amounts; the last state is an integral

FLOW_CONSISTENT = "flow_consistent"
AS_PUBLISHED = "as_published"
VARIANTS = (FLOW_CONSISTENT, AS_PUBLISHED)

# Name of each parameter -> unit. A fraction of body weight takes tissue at 1 kg/L.
WHOLE = {"body_weight": "g", "cardiac_output": "L/h/kg^0.75", "plasma_fraction": "1",
         "bile": "L/h/kg^0.75", "urine": "L/h/kg^0.75"}  # fmt: skip
FLOW = tuple(name for name in TISSUES if name not in ("lung", "rest"))
VOLUME = tuple(name for name in TISSUES if name != "rest")
UNITS = {
    **WHOLE,
    **{f"{name}.flow_fraction": "1" for name in FLOW},
    **{f"{name}.volume_fraction": "1" for name in VOLUME},
    **{f"{name}.blood_fraction": "1" for name in TISSUES},
    **{f"{name}.partition": "1" for name in TISSUES},
    **{f"{name}.permeability": "1" for name in TISSUES},
    **{f"{name}.release": "1/h" for name in PHAGOCYTIC},
    **{f"{name}.uptake_maximum": "1/h" for name in PHAGOCYTIC},
    **{f"{name}.uptake_half_time": "h" for name in PHAGOCYTIC},
    **{f"{name}.uptake_exponent": "1" for name in PHAGOCYTIC},
}
# Those that may be 0; all others must be above it.
MAY_BE_ZERO = ("bile", "urine", "permeability", "release", "uptake_maximum")


class Body(NamedTuple):
    """Flows (L/h) and volumes (L) of s animals: blood and the space outside it, by tissue."""

    flow: dict[str, np.ndarray]
    blood: dict[str, np.ndarray]
    space: dict[str, np.ndarray]
    plasma: np.ndarray


def checked(parameters: Mapping[str, float | np.ndarray]) -> dict[str, np.ndarray]:
    """Every parameter as (s,) for s animals; a missing, unknown or impossible one is an error."""
    unknown = sorted(set(parameters) - set(UNITS))
    missing = [name for name in UNITS if name not in parameters]
    if unknown or missing:
        word, name = ("unknown", unknown[0]) if unknown else ("missing", missing[0])
        raise InputError(f"parameter {name} is {word}; expected {', '.join(UNITS)}")
    found = {name: np.atleast_1d(np.asarray(parameters[name], dtype=float)) for name in UNITS}
    sizes = {name: value.size for name, value in found.items()}
    animals = max(sizes.values())
    for name, value in found.items():
        if value.ndim != 1 or value.size not in (1, animals):
            raise InputError(f"{name} has shape {value.shape}; expected one, or one per animal")
        low = 0.0 if name.rsplit(".", 1)[-1] in MAY_BE_ZERO else np.nextafter(0.0, 1.0)
        wrong = ~np.isfinite(value) | (value < low)
        if wrong.any():
            least = "at least 0" if low == 0.0 else "above 0"
            raise InputError(
                f"{name} = {value[wrong][0]:g} {UNITS[name]}; expected a number {least}"
            )
    return {name: np.broadcast_to(value, animals) for name, value in found.items()}


def body(parameters: Mapping[str, np.ndarray]) -> Body:
    """Flows and volumes; the rest of the body has what the tissues named leave."""
    weight = parameters["body_weight"] / 1000
    whole = parameters["cardiac_output"] * weight**ALLOMETRY
    flows = {name: parameters[f"{name}.flow_fraction"] for name in FLOW}
    volumes = {name: parameters[f"{name}.volume_fraction"] for name in VOLUME}
    flows["rest"] = 1 - np.sum(list(flows.values()), axis=0)
    volumes["rest"] = 1 - np.sum(list(volumes.values()), axis=0) - parameters["plasma_fraction"]
    for name, of in (("flow", flows), ("volume", volumes)):
        if (of["rest"] <= 0).any():
            raise InputError(
                f"the {name} fractions leave {of['rest'].min():.4g} for the rest of the body; "
                "expected more than 0; a fraction is of the whole, such as 0.02, not in percent"
            )
    blood = {}
    for name in TISSUES:
        share = parameters[f"{name}.blood_fraction"]
        if (share >= 1).any():
            raise InputError(f"{name}.blood_fraction is {share.max():g}; expected a share below 1")
        blood[name] = share * volumes[name] * weight
    return Body(
        flow={"lung": whole, **{name: share * whole for name, share in flows.items()}},
        blood=blood,
        space={name: volumes[name] * weight - blood[name] for name in TISSUES},
        plasma=parameters["plasma_fraction"] * weight,
    )


def rates(parameters: Mapping[str, np.ndarray], variant: str = FLOW_CONSISTENT) -> Rates:
    """Rates (1/h) between the compartments of s animals.

    variant  "flow_consistent": the liver's outflow is its arterial flow and the spleen's;
             "as_published": only the arterial flow leaves, as in the published code, so that
             the liver's blood gains the spleen's particles but not its flow
    """
    if variant not in VARIANTS:
        raise InputError(f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}")
    from igdd.kernels.rising_rates import Rates

    known = checked(parameters)
    made = body(known)
    matrix = np.zeros((known["body_weight"].size, len(STATES), len(STATES)))
    for tissue in TISSUES:
        _tissue(matrix, known, made, tissue)
    _circulation(matrix, made, variant)
    weight = (known["body_weight"] / 1000) ** ALLOMETRY
    _move(matrix, "liver_tissue", "bile", known["bile"] * weight / made.space["liver"])
    _move(matrix, "kidney_blood", "urine", known["urine"] * weight / made.blood["kidney"])
    for part in ("tissue", "cells"):
        matrix[:, PLACE["tumour_area"], PLACE[f"tumour_{part}"]] = 1.0
    _check_rates(matrix, known)
    rising = {
        word: np.stack([known[f"{name}.uptake_{word}"] for name in PHAGOCYTIC], axis=1)
        for word in ("maximum", "half_time", "exponent")
    }
    return Rates(
        constant=matrix,
        source=np.array([PLACE[f"{name}_{_taken_from(name)}"] for name in PHAGOCYTIC]),
        target=np.array([PLACE[f"{name}_cells"] for name in PHAGOCYTIC]),
        maximum=rising["maximum"],
        half=rising["half_time"],
        exponent=rising["exponent"],
    )


def _check_rates(matrix: np.ndarray, parameters: Mapping[str, np.ndarray]) -> None:
    """Refuse exchange so fast that rounding would rule: a volume or a flow is far off."""
    fastest = np.abs(matrix).max(axis=0)
    beyond = ~(fastest <= FASTEST)
    if beyond.any():
        place = STATES[int(np.argmax(beyond.any(axis=0)))]
        raise InputError(
            f"particles leave {place.replace('_', ' ')} at {fastest[beyond].max():.3g} 1/h; "
            f"expected at most {FASTEST:g}; a volume, flow, permeability or partition coefficient "
            "is orders of magnitude off"
        )
    for name, value in parameters.items():
        if name.endswith(("uptake_maximum", "uptake_exponent")) and (value > FASTEST).any():
            raise InputError(f"{name} is {value.max():g} {UNITS[name]}; expected a smaller one")


def _taken_from(tissue: str) -> str:
    """Kupffer cells line the sinusoids; elsewhere phagocytes lie in the tissue."""
    return "blood" if tissue == "liver" else "tissue"


def _move(matrix: np.ndarray, source: str, target: str, rate: np.ndarray) -> None:
    matrix[:, PLACE[target], PLACE[source]] += rate
    matrix[:, PLACE[source], PLACE[source]] -= rate


def _tissue(
    matrix: np.ndarray, parameters: Mapping[str, np.ndarray], made: Body, tissue: str
) -> None:
    """Exchange across the capillary wall, and release by phagocytes."""
    blood, space = f"{tissue}_blood", f"{tissue}_tissue"
    crossing = parameters[f"{tissue}.permeability"] * made.flow[tissue]
    back = crossing / (parameters[f"{tissue}.partition"] * made.space[tissue])
    _move(matrix, blood, space, crossing / made.blood[tissue])
    _move(matrix, space, blood, back)
    if tissue in PHAGOCYTIC:
        _move(matrix, f"{tissue}_cells", f"{tissue}_{_taken_from(tissue)}",
              parameters[f"{tissue}.release"])  # fmt: skip


def _circulation(matrix: np.ndarray, made: Body, variant: str) -> None:
    """Arterial blood to every tissue, its blood on to the veins, theirs through the lung."""
    for tissue in TISSUES:
        if tissue == "lung":
            continue
        flow = made.flow[tissue]
        _move(matrix, "arterial", f"{tissue}_blood", flow / (ARTERIAL * made.plasma))
        into = "liver_blood" if tissue == "spleen" else "venous"
        if tissue == "liver" and variant == FLOW_CONSISTENT:
            flow = flow + made.flow["spleen"]
        _move(matrix, f"{tissue}_blood", into, flow / made.blood[tissue])
    _move(matrix, "venous", "lung_blood", made.flow["lung"] / ((1 - ARTERIAL) * made.plasma))
    _move(matrix, "lung_blood", "arterial", made.flow["lung"] / made.blood["lung"])


def simulate(
    parameters: Mapping[str, float | np.ndarray],
    times: np.ndarray,
    variant: str = FLOW_CONSISTENT,
    relative: float = RELATIVE,
) -> np.ndarray:
    """Amounts (s, t, state) in %ID at times (s, t) or (t,) in h after a bolus; see `STATES`."""
    from igdd.kernels.rising_rates import amounts

    found = rates(checked(parameters), variant)
    animals = len(found.constant)
    times = np.broadcast_to(np.asarray(times, dtype=float), (animals, np.shape(times)[-1]))
    initial = np.zeros((animals, len(STATES)))
    initial[:, PLACE["venous"]] = INJECTED
    return amounts(found, initial, times, relative, ABSOLUTE)
