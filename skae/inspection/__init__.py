"""What a component means, and pictures of fitted models, which need matplotlib: ``pip install skae[plot]``."""

from skae.inspection._component_curve import ComponentCurveDisplay
from skae.inspection._outliers import OutlierDisplay
from skae.inspection._report import component_report

__all__ = ["ComponentCurveDisplay", "OutlierDisplay", "component_report"]
