"""Training: from a task and rows to a fitted model."""
