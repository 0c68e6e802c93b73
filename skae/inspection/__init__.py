"""Pictures of fitted models. They need matplotlib: ``pip install skae[plot]``."""

from skae.inspection._component_curve import ComponentCurveDisplay
from skae.inspection._outliers import OutlierDisplay

__all__ = ["ComponentCurveDisplay", "OutlierDisplay"]
