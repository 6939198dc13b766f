"""Parameters that several models share: names, units, bounds, OSIPI CAPLEX codes, starts."""

from __future__ import annotations

from dataclasses import replace

from igdd.declare import Parameter

# Bounds of a number that may be of either sign and any size, as those of a linear solution.
UNBOUNDED = (-float("inf"), float("inf"))

# Tissue models: exchange with plasma, blood in the vessels, the sampler's delay.
K1 = Parameter(
    "K1", "mL/cm3/min", (0.0, 10.0), help="transfer from plasma to tissue", start=(0.1, 0.5)
)
VB = Parameter("Vb", "1", (0.0, 1.0), help="blood volume fraction", start=(0.05,), known=0.1)
DELAY = Parameter(
    "delay",
    "s",
    (-60.0, 60.0),
    help="how much later than the input the tissue sees it",
    start=(0.0, 10.0),
    held=0.0,
)
# Of a linear solution, which takes the delay that two tissues find.
KNOWN_DELAY = replace(DELAY, fitted=False)

# Contrast models.
KTRANS = Parameter(
    "Ktrans", "1/min", (0.0, 10.0), "Q.PH1.008", "volume transfer constant", start=(0.1,)
)
KEP = Parameter(
    "kep", "1/min", code="Q.PH1.009.ep", help="rate constant back to plasma, Ktrans / ve"
)
VE = Parameter(
    "ve", "1", (0.0, 1.0), "Q.PH1.001.e", "interstitial volume fraction", start=(0.05, 0.3)
)
VP = Parameter("vp", "1", (0.0, 1.0), "Q.PH1.001.p", "plasma volume fraction", start=(0.05,))
FP = Parameter("Fp", "mL/cm3/min", (0.0, 10.0), "Q.PH1.002", "plasma flow", start=(0.2, 1.0))
PS = Parameter(
    "PS",
    "mL/cm3/min",
    (0.0, 10.0),
    "Q.PH1.004",
    "permeability-surface area product",
    start=(0.05, 0.3),
)
ARTERIAL_DELAY = Parameter(
    "delay", "s", (-20.0, 60.0), "Q.PH1.007", "arterial delay", start=(0.0, 6.0), held=0.0
)
