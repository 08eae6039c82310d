"""Signal equations and tissue values: what a protocol makes of a tissue.

Equations and values are the textbook ones (Bernstein, King, Zhou: Handbook of MRI
Pulse Sequences, 2004; BrainWeb's tissue table; Stanisz 2005; Wright 2008). Times are
in milliseconds, angles in degrees, proton density relative to fluid.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

TISSUES: Final = (
    "white",
    "grey",
    "fluid",
    "fat",
    "muscle",
    "bone",
    "air",
    "lesion",
    "eye",
    "mucosa",
    "cord",
    "core",
    "dura",
    "blood",
)
"""What a voxel is mixed of. `fluid` is cerebrospinal, `core` a tumour's centre; `blood`
flows, and each protocol decides what that does to it."""

(
    WHITE, GREY, FLUID, FAT, MUSCLE, BONE, NOTHING,
    LESION, EYE, MUCOSA, CORD, CORE, DURA, BLOOD,
) = range(len(TISSUES))  # fmt: skip

# T1 at 1.5 T, T1 at 3 T, T2 at 1.5 T, T2 at 3 T, T2* at 1.5 T, T2* at 3 T, proton
# density, diffusivity (1e-3 mm²/s).
_TABLE: Final = np.array(
    [
        [680, 900, 72, 66, 60, 50, 0.70, 0.75],  # white
        [1050, 1480, 92, 85, 69, 55, 0.82, 0.85],  # grey
        [4200, 4200, 1700, 1700, 500, 400, 1.00, 3.0],  # fluid
        [290, 370, 110, 100, 58, 45, 0.70, 0.05],  # fat
        [1010, 1410, 44, 45, 32, 28, 0.80, 1.4],  # muscle
        [250, 300, 1, 1, 0.6, 0.5, 0.10, 0.1],  # bone
        [1000, 1000, 1, 1, 0.5, 0.5, 0.00, 0.0],  # air
        [1050, 1350, 160, 150, 130, 120, 0.80, 1.1],  # lesion
        [3800, 3900, 900, 900, 400, 300, 0.98, 2.8],  # eye
        [1100, 1400, 130, 120, 60, 50, 0.85, 1.6],  # mucosa
        [750, 980, 78, 72, 55, 45, 0.72, 0.9],  # cord
        [1900, 2200, 260, 240, 180, 150, 0.88, 1.6],  # core
        [950, 1250, 50, 45, 30, 25, 0.65, 0.6],  # dura
        [1441, 1932, 250, 200, 90, 60, 0.85, 2.0],  # blood
    ]
)


@dataclasses.dataclass(frozen=True, slots=True)
class TissueValues:
    """Relaxation of every tissue for one scan; each an array over `TISSUES`.

    Attributes:
        t1: ms. t2: ms. t2_star: ms.
        density: Relative proton density.
        diffusivity: 1e-3 mm²/s.
        fat_gain: Times what is in `density` of fat by nature.
    """

    t1: NDArray[np.float64]
    t2: NDArray[np.float64]
    t2_star: NDArray[np.float64]
    density: NDArray[np.float64]
    diffusivity: NDArray[np.float64]
    fat_gain: float


def sample_tissues(rng: np.random.Generator, *, three_tesla: bool) -> TissueValues:
    """Draws a scan's tissue values: the table's with 8 % jitter, half of it shared.

    Fat gets a free gain from 0.4 to 3: fast spin echo, coil distance and partial
    saturation make its brightness unpredictable.
    """
    shared = rng.normal(0, 0.06, _TABLE.shape[1])
    jitter = np.exp(shared + rng.normal(0, 0.05, _TABLE.shape))
    jitter[:, 6] = np.exp(rng.normal(0, 0.03, len(TISSUES)))
    values = _TABLE * jitter
    field = int(three_tesla)
    density = values[:, 6].copy()
    fat_gain = float(np.exp(rng.uniform(np.log(0.4), np.log(3.0))))
    density[FAT] *= fat_gain
    return TissueValues(
        values[:, field], values[:, 2 + field], values[:, 4 + field], density,
        values[:, 7], fat_gain,
    )  # fmt: skip


def with_gadolinium(tissues: TissueValues, rng: np.random.Generator) -> TissueValues:
    """Tissue values after contrast agent: 1/T1' = 1/T1 + r1·C with r1 = 4.3 s⁻¹mM⁻¹.

    Blood holds 0.5 to 2 mM, mucosa takes up 0.3 to 1, dura 0.1 to 0.6, muscle 0.02 to
    0.15, half of the tumours up to 0.6 and half of the lesions up to 0.3; the brain,
    behind its barrier, next to nothing.
    """
    concentration = np.zeros(len(TISSUES))
    concentration[BLOOD] = rng.uniform(0.5, 2.0)
    concentration[DURA] = rng.uniform(0.1, 0.6)
    concentration[MUCOSA] = rng.uniform(0.3, 1.0)
    concentration[MUSCLE] = rng.uniform(0.02, 0.15)
    concentration[LESION] = rng.uniform(0, 0.3) * rng.integers(0, 2)
    concentration[CORE] = rng.uniform(0, 0.6) * rng.integers(0, 2)
    concentration[GREY] = rng.uniform(0, 0.03)
    rate = 1 / tissues.t1 + 4.3e-3 * concentration
    return dataclasses.replace(tissues, t1=1 / rate)


def spin_echo(tissues: TissueValues, *, tr: float, te: float) -> NDArray[np.float64]:
    """PD · (1 − e^(−TR/T1)) · e^(−TE/T2)."""
    return tissues.density * (1 - np.exp(-tr / tissues.t1)) * np.exp(-te / tissues.t2)


def inversion_recovery(
    tissues: TissueValues, *, tr: float, te: float, ti: float
) -> NDArray[np.float64]:
    """PD · (1 − 2e^(−TI/T1) + e^(−TR/T1)) · e^(−TE/T2), signed."""
    mz = 1 - 2 * np.exp(-ti / tissues.t1) + np.exp(-tr / tissues.t1)
    return tissues.density * mz * np.exp(-te / tissues.t2)


def fluid_null(tissues: TissueValues, tr: float) -> float:
    """TI (ms) that nulls cerebrospinal fluid: T1 · (ln 2 − ln(1 + e^(−TR/T1)))."""
    t1 = float(tissues.t1[FLUID])
    return t1 * (np.log(2) - np.log1p(np.exp(-tr / t1)))


def spoiled_gradient_echo(
    tissues: TissueValues, *, tr: float, te: float, angle: float
) -> NDArray[np.float64]:
    """PD · sin α · (1 − E1) / (1 − E1 cos α) · e^(−TE/T2*), E1 = e^(−TR/T1)."""
    e1 = np.exp(-tr / tissues.t1)
    alpha = np.deg2rad(angle)
    steady = np.sin(alpha) * (1 - e1) / (1 - e1 * np.cos(alpha))
    return tissues.density * steady * np.exp(-te / tissues.t2_star)


def magnetisation_prepared(
    tissues: TissueValues, *, tr: float, te: float, ti: float
) -> NDArray[np.float64]:
    """MPRAGE in short form: PD · (1 − 2e^(−TI/T1) / (1 + e^(−TR/T1))) · e^(−TE/T2*).

    Signed, as is `inversion_recovery`: tissues of opposite sign cancel within a voxel;
    the receiver takes the magnitude.
    """
    mz = 1 - 2 * np.exp(-ti / tissues.t1) / (1 + np.exp(-tr / tissues.t1))
    return tissues.density * mz * np.exp(-te / tissues.t2_star)
