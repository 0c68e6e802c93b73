"""skae against PCA and against the packages that people use instead."""
