"""Quality: held-out reconstruction and accuracy on the code, beside PCA."""
