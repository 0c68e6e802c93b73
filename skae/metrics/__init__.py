"""Scores for any transformer that can go back, and for generators of rows."""

from skae.metrics._rows import explained_share, mode_coverage, reconstruction_score
from skae.metrics._synthesis import synthesis_report

__all__ = ["explained_share", "mode_coverage", "reconstruction_score", "synthesis_report"]
