"""What an estimator asks of a training: one idea a file."""
