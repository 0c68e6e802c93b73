"""Linear models: where training starts, and what it is compared with."""
