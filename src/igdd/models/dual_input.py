"""Liver models with two inputs, artery and portal vein, mixed in a fixed share before they enter.

The mixed input is fa ca(t - Ta) + (1 - fa) cv(t - Tv), ca and cv in arterial and portal plasma,
each with a delay of its own. Written (x), convolution with it, the five models are

    dual_input_extended_tofts      vp c + Ktrans c (x) exp(-kep t),  kep = Ktrans / ve
    dual_input_exchange            the two-compartment exchange model (CAPLEX M.IC1.009)
    dual_input_uptake              active uptake and efflux, extracellular space to hepatocytes
    dual_input_single_compartment  Fp c (x) exp(-k2 t)
    dual_input_biexponential       c (x) [Fpos exp(-Kpos t) + Fneg exp(-Kneg t)]

Uptake and efflux (Georgiou): the extracellular space, volume vecs, is flushed by Fp and loses ki to
the hepatocytes, volume 1 - vecs, which lose kef to the bile. Extracellular agent is
Fp c (x) exp(-a t) with a = (Fp + ki) / vecs; intracellular agent is ki / vecs times that, convolved
with exp(-b t), b = kef / (1 - vecs), which is the divided difference of two convolutions.

The two-exponential form holds the exchange model and the uptake model as special cases: its four
numbers fit either, and say nothing of which it was.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kernels.exchange import exponentials
from igdd.kinetics import Protocol
from igdd.models._parameters import ARTERIAL_DELAY, KEP, KTRANS

# Volumes below this are taken as this: the limit of no volume is reached to rounding.
SMALLEST = 1e-9
# Two rates closer than this, relatively, are set this far apart about their mean: the divided
# difference is then the derivative, to the square of it, and still has eleven digits.
CLOSE = 1e-5


def extended_tofts(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (Ktrans, ve, vp, fa, delay, delay_portal): extended Tofts, two inputs."""
    Ktrans, ve, vp, *mixture = parameters.T
    rate = Ktrans / np.maximum(ve, SMALLEST)
    vessels = vp[:, None] * _mixed(mixture, protocol)
    return np.asarray(vessels + Ktrans[:, None] * _convolved(rate, mixture, protocol))


def exchange(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (Fp, PS, ve, vp, fa, delay, delay_portal): exchange, two inputs."""
    protocol = protocol.of_older_software()
    Fp, PS, ve, vp, *mixture = parameters.T
    plasma, interstitium = np.maximum(vp, SMALLEST), np.maximum(ve, SMALLEST)
    slow, theta1, fast, theta2 = exponentials(Fp, Fp / plasma, PS / plasma, PS / interstitium)
    lasting = slow[:, None] * _convolved(theta1, mixture, protocol)
    return np.asarray(lasting + fast[:, None] * _convolved(theta2, mixture, protocol))


def uptake(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (Fp, vecs, ki, kef, fa, delay, delay_portal): uptake and efflux."""
    protocol = protocol.of_older_software()
    Fp, vecs, ki, kef, *mixture = parameters.T
    outside = np.maximum(vecs, SMALLEST)
    flushed = (Fp + ki) / outside
    cleared = kef / np.maximum(1 - vecs, SMALLEST)
    extracellular = Fp[:, None] * _convolved(flushed, mixture, protocol)
    mean = (flushed + cleared) / 2
    close = np.abs(flushed - cleared) < 2 * CLOSE * mean
    first = np.where(close, mean * (1 - CLOSE), flushed)
    second = np.where(close, mean * (1 + CLOSE), cleared)
    difference = _convolved(first, mixture, protocol) - _convolved(second, mixture, protocol)
    into = np.divide(Fp * ki / outside, second - first, out=np.zeros_like(Fp), where=mean > 0)
    return np.asarray(extracellular + into[:, None] * difference)


def single_compartment(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (Fp, k2, fa, delay, delay_portal): one well-mixed compartment."""
    Fp, k2, *mixture = parameters.T
    return np.asarray(Fp[:, None] * _convolved(k2, mixture, protocol))


def biexponential(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (Fpos, Fneg, Kpos, Kneg, fa, delay, delay_portal): two exponentials."""
    protocol = protocol.of_older_software()
    Fpos, Fneg, Kpos, Kneg, *mixture = parameters.T
    first = Fpos[:, None] * _convolved(Kpos, mixture, protocol)
    return np.asarray(first + Fneg[:, None] * _convolved(Kneg, mixture, protocol))


def _mixed(mixture: list[np.ndarray], protocol: Protocol) -> np.ndarray:
    """The mixed input itself (n, t)."""
    fa, delay, delay_portal = mixture
    arterial = fa[:, None] * protocol.mean("plasma", delay)
    return np.asarray(arterial + (1 - fa)[:, None] * protocol.mean("portal", delay_portal))


def _convolved(rate: np.ndarray, mixture: list[np.ndarray], protocol: Protocol) -> np.ndarray:
    """The mixed input convolved with exp(-rate t), (n, t)."""
    fa, delay, delay_portal = mixture
    arterial = fa[:, None] * protocol.convolve("plasma", rate, delay)
    portal = protocol.convolve("portal", rate, delay_portal)
    return np.asarray(arterial + (1 - fa)[:, None] * portal)


def derive_kep(parameters: np.ndarray) -> np.ndarray:
    """Rate constant back to plasma, Ktrans / ve [1/s], (n, 1)."""
    return np.asarray(parameters[:, 0] / np.maximum(parameters[:, 1], SMALLEST))[:, None]


def derive_extraction(parameters: np.ndarray) -> np.ndarray:
    """Extraction fraction PS / (Fp + PS) [1] and Ktrans, Fp times it [1/s], (n, 2)."""
    Fp, PS = parameters[:, 0], parameters[:, 1]
    extraction = np.divide(PS, Fp + PS, out=np.zeros_like(Fp), where=Fp + PS > 0)
    return np.column_stack([extraction, Fp * extraction])


def derive_hepatic(parameters: np.ndarray) -> np.ndarray:
    """Hepatic extraction ki / (Fp + ki) [1], (n, 1)."""
    Fp, ki = parameters[:, 0], parameters[:, 2]
    return np.asarray(np.divide(ki, Fp + ki, out=np.zeros_like(Fp), where=Fp + ki > 0))[:, None]


def derive_volume(parameters: np.ndarray) -> np.ndarray:
    """Distribution volume Fp / k2 [mL/cm3] and mean transit time 1 / k2 [s], (n, 2)."""
    k2 = np.maximum(parameters[:, 1], SMALLEST)
    return np.column_stack([parameters[:, 0] / k2, 1 / k2])


def _flow(name: str, help: str, start: tuple[float, ...], code: str = "") -> Parameter:
    return Parameter(name, "mL/cm3/min", bounds=(0.0, 10.0), code=code, help=help, start=start)


def _fraction(name: str, help: str, start: tuple[float, ...], code: str = "") -> Parameter:
    return Parameter(name, "1", bounds=(0.0, 1.0), code=code, help=help, start=start)


_MIXTURE = (
    _fraction("fa", "arterial share of the inflow", (0.2, 0.8)),
    ARTERIAL_DELAY,
    Parameter(
        "delay_portal",
        "s",
        bounds=(-30.0, 60.0),
        help="portal venous delay",
        start=(0.0, 6.0),
        held=0.0,
    ),
)
_KTRANS = replace(KTRANS, start=(0.2,))
_FP = _flow("Fp", "plasma flow", (0.6,), "Q.PH1.002")
_VE = _fraction("ve", "interstitial volume fraction", (0.2,), "Q.PH1.001.e")
_VP = _fraction("vp", "plasma volume fraction", (0.1,), "Q.PH1.001.p")
_NEEDS = ("plasma", "portal")
_MADYM = "doi:10.21105/joss.03523"

MODELS = (
    Model(
        "dual_input_extended_tofts",
        extended_tofts,
        parameters=(_KTRANS, _VE, _VP, *_MIXTURE),
        needs=_NEEDS,
        derived=(KEP,),
        derive=derive_kep,
        help="extended Tofts model of the liver: artery and portal vein",
        reference=f"CAPLEX M.IC1.005, doi:10.1002/mrm.29840; {_MADYM} (DIETM)",
        family="contrast",
        also=("DI-ETM",),
    ),
    Model(
        "dual_input_exchange",
        exchange,
        parameters=(
            _FP,
            _flow("PS", "permeability-surface area product", (0.2,), "Q.PH1.004"),
            _VE,
            _VP,
            *_MIXTURE,
        ),
        needs=_NEEDS,
        derived=(
            Parameter("E", "1", code="Q.PH1.005", help="extraction fraction"),
            Parameter("Ktrans", "1/min", code="Q.PH1.008", help="volume transfer constant"),
        ),
        derive=derive_extraction,
        help="two-compartment exchange model of the liver: artery and portal vein",
        reference=f"CAPLEX M.IC1.009, doi:10.1002/mrm.29840; {_MADYM} (DI2CXM)",
        family="contrast",
        also=("DI-2CXM",),
    ),
    Model(
        "dual_input_uptake",
        uptake,
        parameters=(
            _FP,
            _fraction("vecs", "extracellular volume fraction", (0.2,)),
            _flow("ki", "uptake into hepatocytes", (0.2,)),
            _flow("kef", "efflux into bile", (0.1,)),
            *_MIXTURE,
        ),
        needs=_NEEDS,
        derived=(Parameter("E", "1", code="Q.PH1.005", help="hepatic extraction fraction"),),
        derive=derive_hepatic,
        help="active uptake by hepatocytes and efflux into bile (gadoxetate)",
        reference=f"doi:10.1097/RLI.0000000000000316, {_MADYM} (AUEM)",
        family="contrast",
        also=("AUEM",),
    ),
    Model(
        "dual_input_single_compartment",
        single_compartment,
        parameters=(
            _FP,
            Parameter(
                "k2",
                "1/min",
                bounds=(0.0, 100.0),
                code="Q.PH1.009",
                help="rate of outflow",
                start=(0.3, 2.0),
            ),
            *_MIXTURE,
        ),
        needs=_NEEDS,
        derived=(
            Parameter("Vd", "mL/cm3", help="distribution volume, Fp / k2"),
            Parameter("MTT", "s", code="Q.PH1.006", help="mean transit time, 1 / k2"),
        ),
        derive=derive_volume,
        help="liver perfusion with one compartment: artery and portal vein",
        reference=f"Materne et al., Magn Reson Med 2002;47:135; {_MADYM} (DISCM)",
        family="contrast",
        also=("DISCM",),
    ),
    Model(
        "dual_input_biexponential",
        biexponential,
        parameters=(
            _flow("Fpos", "height of the first exponential", (0.2,)),
            _flow("Fneg", "height of the second exponential", (0.2,)),
            Parameter("Kpos", "1/min", bounds=(0.0, 100.0), help="its rate", start=(0.1, 0.5)),
            Parameter("Kneg", "1/min", bounds=(0.0, 100.0), help="its rate", start=(4.0,)),
            *_MIXTURE,
        ),
        needs=_NEEDS,
        help="two exponentials behind artery and portal vein, whatever they stand for",
        reference=f"Berks et al., Magn Reson Med 2021;86:1829; {_MADYM} (DIBEM)",
        family="contrast",
        also=("DIBEM",),
    ),
)
