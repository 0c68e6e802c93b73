"""Scores for any transformer with inverse_transform, and for generators of rows."""

from skae.metrics._generated import frechet_distance, mode_coverage, precision_recall
from skae.metrics._rows import explained_share, reconstruction_score
from skae.metrics._synthesis import synthesis_report

__all__ = [
    "explained_share",
    "frechet_distance",
    "mode_coverage",
    "precision_recall",
    "reconstruction_score",
    "synthesis_report",
]
