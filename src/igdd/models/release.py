"""Release of a drug from its carrier in vitro: thirteen laws, in % of the load over hours.

    zero_order          F = k0 t
    first_order         F = Fmax (1 - exp(-k1 t))
    higuchi             F = kH sqrt(t)
    korsmeyer_peppas    F = kKP t^n, up to 60 %
    hixson_crowell      F = Fmax (1 - (1 - kHC t)^3)
    hopfenberg          F = Fmax (1 - (1 - kHB t)^n)
    weibull             F = Fmax (1 - exp(-(t / Td)^beta))
    baker_lonsdale      3/2 (1 - (1 - f)^(2/3)) - f = kBL t,  f = F / Fmax
    peppas_sahlin       F = k1 t^m + k2 t^(2m)
    gompertz            F = Fmax exp(-alpha exp(-beta log10 t))
    logistic            F = Fmax / (1 + exp(-(alpha + beta log10 t)))
    burst_first_order   F = Fmax (b + (1 - b)(1 - exp(-k1 t)))
    biphasic            F = Fmax (b (1 - exp(-kburst t)) + (1 - b)(1 - exp(-k1 t)))

t is the time since the lag Tlag, which is held at 0, as Fmax is at 100 %; both can be freed. What
the exponents say of a geometry stands in docs/release.md.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Option, Parameter
from igdd.kernels import release_curves as laws
from igdd.models._release import Form, model

FREE = float("inf")
SPHERE = np.array(3.0)  # exponent of Hixson and Crowell's law in Hopfenberg's


def _rates(hours: np.ndarray, low: float = 0.02, high: float = 5.0) -> np.ndarray:
    """Rates (g,) from so much per whole time to so much per shortest time."""
    return np.geomspace(low / hours[-1], high / hours[0], 24)


def _each(*axes: np.ndarray) -> np.ndarray:
    """All combinations (g, k) of the axes' values."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _powers(hours: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Coefficients and exponents (g, 2) of curves that end between 2 and 250 %."""
    found = _each(np.geomspace(2.0, 250.0, 16), exponents)
    found[:, 0] /= hours[-1] ** found[:, 1]
    return found


def _midpoints(hours: np.ndarray) -> np.ndarray:
    """Times (g,) about which a curve may turn."""
    return np.geomspace(hours[0] / 3, 30 * hours[-1], 20)


def _single(hours: np.ndarray) -> np.ndarray:
    return _rates(hours)[:, None]


def _straight(hours: np.ndarray) -> np.ndarray:
    return _powers(hours, np.ones(1))[:, :1]


def _roots(hours: np.ndarray) -> np.ndarray:
    return _powers(hours, np.full(1, 0.5))[:, :1]


def _power(hours: np.ndarray) -> np.ndarray:
    return _powers(hours, np.array([0.2, 0.35, 0.5, 0.7, 1.0, 1.4]))


def _eroding(hours: np.ndarray) -> np.ndarray:
    return _each(_rates(hours, 0.02, 1.0), np.array([1.0, 2.0, 3.0]))


def _stretched(hours: np.ndarray) -> np.ndarray:
    return _each(_midpoints(hours), np.array([0.3, 0.5, 0.8, 1.0, 1.5, 2.5]))


def _relaxing(hours: np.ndarray) -> np.ndarray:
    found = _each(
        np.array([0.0, 10.0, 30.0, 60.0, 100.0, 150.0]),
        np.array([-60.0, -30.0, -5.0, 0.0, 5.0, 30.0, 60.0]),
        np.array([0.3, 0.5, 0.8]),
    )
    found[:, 0] /= hours[-1] ** found[:, 2]
    found[:, 1] /= hours[-1] ** (2 * found[:, 2])
    return found


def _double_log(hours: np.ndarray) -> np.ndarray:
    found = _each(_midpoints(hours), np.array([0.7, 1.5, 3.0, 6.0]))
    return np.column_stack([np.exp(found[:, 1] * np.log10(found[:, 0])), found[:, 1]])


def _logit(hours: np.ndarray) -> np.ndarray:
    found = _each(_midpoints(hours), np.array([0.7, 1.5, 3.0, 6.0]))
    return np.column_stack([-found[:, 1] * np.log10(found[:, 0]), found[:, 1]])


def _bursting(hours: np.ndarray) -> np.ndarray:
    return _each(np.array([2.0, 10.0, 25.0, 50.0, 75.0]), _rates(hours))


def _two_phases(hours: np.ndarray) -> np.ndarray:
    rates = _rates(hours)[::2]
    found = _each(np.array([5.0, 20.0, 45.0, 70.0]), rates, rates)
    return found[found[:, 1] > 2 * found[:, 2]]


MODELS = tuple(
    model(form)
    for form in (
        Form(
            name="zero_order",
            help="release at a constant rate",
            own=(Parameter("k0", "%/h", help="rate of release", start=(30.0,)),),
            released=laws.zero_order,
            reached=laws.zero_order_time,
            guesses=_straight,
            ends=False,
        ),
        Form(
            name="first_order",
            help="release in proportion to what is left",
            own=(Parameter("k1", "1/h", help="rate of release", start=(1.0,)),),
            released=laws.first_order,
            reached=laws.first_order_time,
            guesses=_single,
        ),
        Form(
            name="higuchi",
            help="release by diffusion through a plane, with the square root of time",
            own=(Parameter("kH", "%", help="released after one hour: kH sqrt(t)", start=(40.0,)),),
            released=laws.higuchi,
            reached=laws.higuchi_time,
            guesses=_roots,
            ends=False,
            reference="doi:10.1002/jps.2600521210",
        ),
        Form(
            name="korsmeyer_peppas",
            help="the first 60 % of release as a power of time; the exponent tells the mechanism",
            own=(
                Parameter("kKP", "%", help="released after one hour: kKP t^n", start=(40.0,)),
                Parameter(
                    "n", "1", (0.0, 5.0), start=(0.6,),
                    help="0.43 (sphere), 0.45 (cylinder), 0.5 (film): diffusion; 0.85, 0.89, 1: "
                    "relaxation; between: both",
                ),
            ),
            released=laws.korsmeyer_peppas,
            reached=laws.korsmeyer_peppas_time,
            guesses=_power,
            ends=False,
            reference="doi:10.1016/0378-5173(83)90064-9",
            options=(
                Option("up_to", "%", 60.0, help="samples from the first above it on are left out"),
            ),
        ),
        Form(
            name="hixson_crowell",
            help="dissolution of particles that keep their shape, by the cube root",
            own=(Parameter("kHC", "1/h", help="1 / time of complete release", start=(0.5,)),),
            released=lambda time, kHC, Fmax: laws.hopfenberg(time, kHC, SPHERE, Fmax),
            reached=lambda level, kHC, Fmax: laws.hopfenberg_time(level, kHC, SPHERE, Fmax),
            guesses=lambda hours: _rates(hours, 0.02, 1.0)[:, None],
            reference="doi:10.1021/ie50260a018",
        ),
        Form(
            name="hopfenberg",
            help="erosion from the surface of a slab (n 1), a cylinder (2) or a sphere (3)",
            own=(
                Parameter("kHB", "1/h", help="1 / time of complete release", start=(0.5,)),
                Parameter(
                    "n", "1", (0.5, 4.0), help="1 slab, 2 cylinder, 3 sphere", start=(2.0,),
                    held=2.0,
                ),
            ),
            released=laws.hopfenberg,
            reached=laws.hopfenberg_time,
            guesses=_eroding,
            reference="doi:10.1021/bk-1976-0033.ch003",
        ),
        Form(
            name="weibull",
            help="release with a rate that falls (beta below 1) or first rises (above 1)",
            own=(
                Parameter("Td", "h", help="time to 63.2 % of Fmax; alpha = Td^beta", start=(0.8,)),
                Parameter("beta", "1", (0.0, 10.0), help="shape", start=(0.9,)),
            ),
            released=laws.weibull,
            reached=laws.weibull_time,
            guesses=_stretched,
            reference="doi:10.1002/jps.2600610620",
        ),
        Form(
            name="baker_lonsdale",
            help="release by diffusion out of a sphere",
            own=(Parameter("kBL", "1/h", help="1 / (2 time of complete release)", start=(0.15,)),),
            released=laws.baker_lonsdale,
            reached=laws.baker_lonsdale_time,
            guesses=lambda hours: _rates(hours, 0.002, 0.5)[:, None],
        ),
        Form(
            name="peppas_sahlin",
            help="release by diffusion and by relaxation of the matrix",
            own=(
                Parameter("k1", "%", (-FREE, FREE), help="by diffusion in an hour", start=(30.0,)),
                Parameter("k2", "%", (-FREE, FREE), help="by relaxation in an hour", start=(8.0,)),
                Parameter(
                    "m", "1", (0.05, 2.0), start=(0.5,), held=0.5,
                    help="diffusion exponent of the geometry: 0.5 film, 0.45 cylinder, 0.43 sphere",
                ),
            ),
            released=laws.peppas_sahlin,
            reached=laws.peppas_sahlin_time,
            guesses=_relaxing,
            ends=False,
            reference="doi:10.1016/0378-5173(89)90306-2",
        ),
        Form(
            name="gompertz",
            help="release with a slow start, on the logarithm of time",
            own=(
                Parameter("alpha", "1", help="-ln(F / Fmax) after one hour", start=(1.0,)),
                Parameter("beta", "1", help="steepness per decade of time", start=(2.5,)),
            ),
            released=laws.gompertz,
            reached=laws.gompertz_time,
            guesses=_double_log,
        ),
        Form(
            name="logistic",
            help="release by a logistic curve on the logarithm of time",
            own=(
                Parameter(
                    "alpha", "1", (-FREE, FREE), help="logit of F / Fmax after one hour",
                    start=(0.8,),
                ),
                Parameter("beta", "1", help="steepness per decade of time", start=(3.0,)),
            ),
            released=laws.logistic,
            reached=laws.logistic_time,
            guesses=_logit,
        ),
        Form(
            name="burst_first_order",
            help="a share released at once, the rest by first order",
            own=(
                Parameter("burst", "%", (0.0, 100.0), help="share of Fmax at once", start=(25.0,)),
                Parameter("k1", "1/h", help="rate of release of the rest", start=(1.0,)),
            ),
            released=laws.burst_first_order,
            reached=laws.burst_first_order_time,
            guesses=_bursting,
        ),
        Form(
            name="biphasic",
            help="a share released by a fast first-order process, the rest by a slow one",
            own=(
                Parameter("burst", "%", (0.0, 100.0), help="share of the fast one", start=(40.0,)),
                Parameter("kburst", "1/h", help="rate of the fast one", start=(10.0,)),
                Parameter("k1", "1/h", help="rate of the slow one", start=(0.6,)),
            ),
            released=laws.biphasic,
            reached=laws.biphasic_time,
            guesses=_two_phases,
            two_phases=True,
        ),
    )
)  # fmt: skip
