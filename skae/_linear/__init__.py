"""Linear models: the baselines, where training starts and what it is compared with."""
