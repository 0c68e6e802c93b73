"""Scores for any transformer that can go back, and for generators of rows."""

from skae._lazy import lazily
from skae.metrics._rows import explained_share, mode_coverage, reconstruction_score

__all__ = ["explained_share", "mode_coverage", "reconstruction_score", "synthesis_report"]
__getattr__ = lazily(__name__, {"_synthesis": "synthesis_report"})
