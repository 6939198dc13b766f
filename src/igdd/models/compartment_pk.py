"""Concentration in blood or plasma after a dose, by one, two or three compartments.

    bolus         C(t) = dose / V1 sum_i share_i exp(-rate_i t)
    infusion      the integral of that over the duration, the dose given at an even rate
    first_order   the dose enters at the rate ka after a lag; V1 and clearances are then over F

Rates and shares are those of `igdd.kernels.disposition`: elimination from the central compartment
by the clearance CL, exchange with peripheral volumes by the flows Q. Time counts from the dose. A
sample is the concentration at its instant; a frame of an image is the mean over its length.

Vss = V1 + V2 + V3, AUC = dose / CL to infinity, MRT = Vss / CL (+ 1 / ka + lag after first-order
input; the time of infusion is taken out). With ka near or below the slowest rate the two cannot be
told apart (flip-flop); a fit begins with ka above it.
Gibaldi and Perrier, Pharmacokinetics, 2nd edition, 1982; Gabrielsson and Weiner, Pharmacokinetic
and Pharmacodynamic Data Analysis, 5th edition, 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from igdd.declare import Model, Option, Parameter
from igdd.errors import InputError
from igdd.kernels import disposition as compartments
from igdd.kernels import dose_response
from igdd.kinetics import Protocol, Solution, Solver

ROUTES = ("first_order", "bolus", "infusion")
NAMES = {
    1: ("CL", "V"),
    2: ("CL", "V1", "Q", "V2"),
    3: ("CL", "V1", "Q2", "V2", "Q3", "V3"),
}
ABSORPTION = ("ka", "lag")
# Rates among which a fit begins, from this share of the reciprocal of the last time to this
# multiple of the reciprocal of the first, and how many of each.
SLOWEST, FASTEST = 0.1, 3.0
GRID = {1: 40, 2: 24, 3: 16}
UPTAKES = 10
# Starts that are followed.
BEST = 4
# Logarithms of parameters, in SI units, stay within this.
FAR = 200.0
LAGS = (0.0, 0.5, 0.9)
TINY = 1e-30  # relative length of a complex step: its square is nothing beside 1


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Curve (n, t) of CL [mL/s], V1 [mL], (Q, V2, (Q3, V3)) and after first-order input ka, lag."""
    size = 2 * (parameters.shape[1] // 2) - (2 if _route(protocol) == "first_order" else 0)
    # A volume of 0 has no curve, which a fit that comes by finds out.
    with np.errstate(all="ignore"):
        found = compartments.disposition(parameters[:, :size])
        answer = _answers(found.rates[:, None, :], protocol, parameters[:, size:])
        amount = protocol.options["dose"] / found.volume[:, None]
        return np.asarray(amount * np.einsum("nk,ntk->nt", found.shares, answer))


def jacobian(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Derivatives (n, t, p) of `predict`, by complex steps: exact to rounding."""
    columns = []
    for number in range(parameters.shape[1]):
        moved = parameters.astype(complex)
        length = TINY * np.maximum(np.abs(parameters[:, number]), TINY)
        moved[:, number] += 1j * length
        columns.append(predict(moved, protocol).imag / length[:, None])
    return np.stack(columns, axis=2)


def _route(protocol: Protocol) -> str:
    return str(protocol.options["route"])


def _answers(rates: np.ndarray, protocol: Protocol, absorption: np.ndarray) -> np.ndarray:
    """Answer (n, t, k) of exponentials to a unit dose, at instants or as the mean of frames."""
    frames = protocol.frames
    if protocol.integration != "exact":
        return _answer(rates, frames.middle[:, None], protocol, absorption, area=False)
    after, before = (
        _answer(rates, moment[:, None], protocol, absorption, area=True)
        for moment in (frames.end, frames.start)
    )
    return np.asarray((after - before) / frames.duration[:, None])


def _answer(
    rates: np.ndarray, time: np.ndarray, protocol: Protocol, absorption: np.ndarray, *, area: bool
) -> np.ndarray:
    route = _route(protocol)
    if route == "first_order":
        ka, lag = (column[:, None, None] for column in absorption.T)
        kernel = dose_response.first_order_area if area else dose_response.first_order
        return kernel(rates, time - lag, ka)
    if route == "infusion":
        length = np.asarray(protocol.options["infusion"])
        through = dose_response.infusion_area if area else dose_response.infusion
        return through(rates, time, length)
    return dose_response.bolus_area(rates, time) if area else dose_response.bolus(rates, time)


def _variant(size: int) -> Callable[[Model, Mapping[str, Any]], Model]:
    """The model as a route and a dose make it: only first-order input has ka and a lag."""

    def variant(model: Model, options: Mapping[str, Any]) -> Model:
        dose, route, infusion = (options[name] for name in ("dose", "route", "infusion"))
        if not 0 < dose < np.inf:
            raise InputError(f"model {model.name}: dose {dose:g}; expected an amount above zero")
        if (route == "infusion") != (infusion is not None):
            raise InputError(
                f"model {model.name}: route {route!r} "
                f"{'with' if infusion is not None else 'without'} an infusion time; expected it "
                "for an infusion and for no other route, such as infusion='0.25 h'"
            )
        if infusion is not None and not 0 < infusion < np.inf:
            raise InputError(f"model {model.name}: infusion {infusion:g} s; expected above zero")
        kept = tuple(
            one for one in model.parameters if route == "first_order" or one.name not in ABSORPTION
        )
        return replace(
            model, parameters=kept, derived=_derived(size, dosed=True),
            derive=_derive(size, dose),
        )  # fmt: skip

    return variant


def _derived(size: int, *, dosed: bool) -> tuple[Parameter, ...]:
    numbers = ("",) if size == 1 else tuple(str(number + 1) for number in range(size))
    lives = [Parameter(f"half_life{one}", "h", help="of the exponential") for one in numbers]
    volume = [] if size == 1 else [Parameter("Vss", "{volume}", help="at steady state")]
    residence = Parameter("MRT", "h", help="mean residence time")
    area = Parameter("AUC", "h.1{amount}/1{volume}", help="to infinity")
    return (*lives, *volume, residence, *((area,) if dosed else ()))


def _derive(size: int, dose: float | None) -> Callable[[np.ndarray], np.ndarray]:
    """Half-lives, the fastest first, (Vss,) MRT and, where the dose is known, AUC."""

    def derive(parameters: np.ndarray) -> np.ndarray:
        clearance, space = parameters[:, 0], parameters[:, 1 : 2 * size : 2].sum(axis=1)
        with np.errstate(all="ignore"):
            lives = np.log(2) / compartments.disposition(parameters[:, : 2 * size]).rates
            residence = space / clearance
            if parameters.shape[1] > 2 * size:
                residence = residence + 1 / parameters[:, -2] + parameters[:, -1]
            columns = [*lives.T, *((space,) if size > 1 else ()), residence]
            if dose is not None:
                columns.append(dose / clearance)
        return np.stack(columns, axis=1)

    return derive


def _prepare(size: int) -> Callable[[Protocol], Solver]:
    """The `prepare` of a model of so many compartments: starts from a search over exponentials."""

    def prepare(protocol: Protocol) -> Solver:
        from igdd.kernels import levenberg

        oral = _route(protocol) == "first_order"
        names = (*NAMES[size], *(ABSORPTION if oral else ()))
        held = np.array([protocol.held.get(name, np.nan) for name in names])
        free = np.isnan(held)
        # By their logarithms all but the lag are free of bounds, and none runs into 0 on the way.
        scaled = free & np.array([name != "lag" for name in names])
        bounds = np.array([(-FAR, FAR)] * len(names))
        bounds[~scaled] = -np.inf, np.inf
        bounds[free & ~scaled, 0] = 0.0

        def natural(trial: np.ndarray) -> np.ndarray:
            return np.where(scaled, np.exp(np.where(scaled, trial, 0.0)), trial)

        def slopes(trial: np.ndarray) -> np.ndarray:
            found = natural(trial)
            return jacobian(found, protocol) * np.where(scaled, found, 1.0)[:, None, :]

        def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
            starts = np.where(free, _starts(curves, sd, size, protocol), held)
            fitted = levenberg.fit_curves(
                lambda trial: predict(natural(trial), protocol), curves, sd,
                np.where(scaled, np.log(np.where(scaled & (starts > 0), starts, 1.0)), starts),
                bounds,
                free=free, jacobian=slopes,
            )  # fmt: skip
            with np.errstate(all="ignore"):
                found = natural(fitted.parameters)
            factors = np.where(scaled, found, 1.0)
            return Solution(
                parameters=found,
                covariance=fitted.covariance * factors[:, :, None] * factors[:, None, :],
                status=fitted.status,
                predicted=fitted.predicted,
            )

        return solve

    return prepare


def _starts(curves: np.ndarray, sd: np.ndarray | None, size: int, protocol: Protocol) -> np.ndarray:
    """The best of a grid of exponentials for curves (n, t), as starts (n, s, p)."""
    from igdd.kernels.linear import weights

    weight = weights(sd, curves.shape)
    values = np.where(np.isfinite(curves) & (weight > 0), curves, 0.0)
    moments = protocol.frames.middle
    known = moments[moments > 0]
    if not known.size:
        raise InputError("no sample lies after the dose; expected times above zero")
    rates = np.geomspace(SLOWEST / known.max(), FASTEST / known.min(), GRID[size])
    sets = np.array(list(combinations(range(rates.size), size)))
    uptakes = [(np.nan, 0.0)]
    if _route(protocol) == "first_order":
        fast = np.geomspace(2 * SLOWEST / known.max(), 2 * FASTEST / known.min(), UPTAKES)
        lags = LAGS if "lag" not in protocol.held else (protocol.held["lag"] / known.min(),)
        uptakes = [(float(ka), float(lag * known.min())) for lag in lags for ka in fast]
    with np.errstate(all="ignore"):
        tables = [_answers(rates[None, None, :], protocol, np.array([one]))[0].T for one in uptakes]
        starts = [
            _best_of(value * own, own, tables, (rates, sets, uptakes), protocol.options["dose"])
            for value, own in zip(values, weight, strict=True)
        ]
    # Values beyond measure leave no number to start from.
    made = np.stack(starts)
    return np.where(np.isfinite(made) & (made >= 0), made, 1.0)


def _best_of(
    target: np.ndarray,
    weight: np.ndarray,
    tables: list[np.ndarray],
    grid: tuple[np.ndarray, np.ndarray, list[tuple[float, float]]],
    dose: float,
) -> np.ndarray:
    """Starts (s, p) of a weighted curve (t,): exponentials of positive amplitude, best first."""
    rates, sets, uptakes = grid
    size = sets.shape[1]
    found = []
    for table, (ka, lag) in zip(tables, uptakes, strict=True):
        columns = table * weight
        products, sides = columns @ columns.T, columns @ target
        some = products[sets[:, :, None], sets[:, None, :]]
        # A ridge of 1e-9 keeps neighbours on the grid apart; these are only starts.
        floor = 1e-9 * np.einsum("sii->si", some).max(axis=1) + np.finfo(float).tiny
        some += floor[:, None, None] * np.eye(size)
        amplitudes = np.linalg.solve(some, sides[sets][:, :, None])[:, :, 0]
        explained = np.einsum("sk,sk->s", amplitudes, sides[sets])
        usable = np.all(amplitudes > 0, axis=1)
        if np.isfinite(ka):
            usable &= rates[sets].max(axis=1) < ka
        for place in np.argsort(np.where(usable, -explained, np.inf))[:BEST]:
            chosen = rates[sets[place]], np.maximum(amplitudes[place], 0.0)
            own = _parameters(*chosen, dose)
            absorption = (ka, lag) if np.isfinite(ka) else ()
            worth = explained[place] if usable[place] else -np.inf
            found.append((worth, np.array([*own, *absorption])))
    found.sort(key=lambda one: -one[0])
    return np.stack([one[1] for one in found[:BEST]])


def _parameters(rates: np.ndarray, amplitudes: np.ndarray, dose: float) -> np.ndarray:
    """CL, V1, ... of exponentials C(t) = dose sum(amplitude exp(-rate t)) after a bolus."""
    total = amplitudes.sum()
    if not total > 0:
        amplitudes, total = np.ones_like(rates), float(rates.size)
    shares = np.maximum(amplitudes / total, 1e-3)
    shares /= shares.sum()
    micro = compartments.from_exponentials(rates[None], shares[None])
    return np.asarray(compartments.clearance_parameters(micro, np.array([dose / total]))[0])


def _model(name: str, size: int, title: str) -> Model:
    fixed = [
        Parameter(one, "{volume}/h", help="clearance" if one == "CL" else "exchange with V2 or V3")
        if one[0] in "CQ"
        else Parameter(one, "{volume}", help="volume of distribution")
        for one in NAMES[size]
    ]
    uptake = Parameter("ka", "1/h", help="rate of first-order input")
    lag = Parameter("lag", "h", help="time before first-order input begins", held=0.0)
    return Model(
        name,
        predict,
        parameters=(*fixed, uptake, lag),
        help=f"{title} after a bolus, an infusion or first-order input of a dose",
        reference="Gibaldi and Perrier, Pharmacokinetics, 2nd edition, 1982",
        derived=_derived(size, dosed=False),
        derive=_derive(size, None),
        jacobian=jacobian,
        prepare=_prepare(size),
        variant=_variant(size),
        family="pharmacokinetic",
        options=(
            Option("dose", "{amount}", help="what was given, such as '25 mg'"),
            Option("route", "text", choices=ROUTES, help="how it was given"),
            Option("infusion", "s", None, help="duration of an infusion, such as '0.25 h'"),
        ),
    )


MODELS = (
    _model("pk_one_compartment", 1, "one compartment"),
    _model("pk_two_compartment", 2, "two compartments"),
    _model("pk_three_compartment", 3, "three compartments"),
)
