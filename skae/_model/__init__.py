"""Fitted models: they encode and decode, and need no estimator for it."""
