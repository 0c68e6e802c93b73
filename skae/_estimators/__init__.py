"""The estimators, one idea a file."""
