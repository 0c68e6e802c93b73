"""Speed: ratios to hand-written loops, measured in one run."""
