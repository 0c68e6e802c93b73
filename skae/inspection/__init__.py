"""Pictures of fitted models. They need matplotlib: ``pip install skae[plot]``."""

from skae.inspection._component_curve import ComponentCurveDisplay

__all__ = ["ComponentCurveDisplay"]
