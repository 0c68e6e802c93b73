"""What a component means, and pictures of fitted models, which need matplotlib: ``pip install skae[plot]``."""

from skae.inspection._adversarial_curve import AdversarialCurveDisplay
from skae.inspection._biplot import BiplotDisplay
from skae.inspection._component_curve import ComponentCurveDisplay
from skae.inspection._latent_space import LatentSpaceDisplay
from skae.inspection._loss_curve import LossCurveDisplay
from skae.inspection._outliers import OutlierDisplay
from skae.inspection._reconstruction import ReconstructionDisplay
from skae.inspection._report import component_report
from skae.inspection._synthesis import SynthesisDisplay
from skae.inspection._traversal import TraversalDisplay

__all__ = [
    "AdversarialCurveDisplay",
    "BiplotDisplay",
    "ComponentCurveDisplay",
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
    "SynthesisDisplay",
    "TraversalDisplay",
    "component_report",
]
