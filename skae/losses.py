"""Loss terms, one value a row, and their weighted sum."""

from torch import nn


class SquaredError(nn.Module):
    r"""Squared reconstruction error as a share of the total variance.

    .. math:: \ell_i = \sum_j w_j (x_{ij} - \hat x_{ij})^2

    With :math:`w_j` the variance of column j over the total variance, and x in
    standardised units, its mean over the training rows is the unexplained
    share of variance: the loss that PCA minimises among linear maps.

    Parameters
    ----------
    column_weights : Tensor of shape (n_features,)
    """

    def __init__(self, column_weights):
        super().__init__()
        self.register_buffer("column_weights", column_weights)

    def forward(self, outputs, target):
        """Return the error of each row, of shape (n_samples,)."""
        return (outputs.reconstruction - target).square() @ self.column_weights


class Objective(nn.Module):
    """A weighted sum of loss terms, one value a row.

    Parameters
    ----------
    **terms : (nn.Module, float)
        Each term is called as ``term(outputs, target)`` and returns a tensor
        of shape (n_samples,); the float is its weight.
    """

    def __init__(self, **terms):
        super().__init__()
        self.terms = nn.ModuleDict({name: term for name, (term, _) in terms.items()})
        self.weights = {name: weight for name, (_, weight) in terms.items()}

    def forward(self, outputs, target):
        """Return the objective of each row, of shape (n_samples,)."""
        return sum(self.weights[name] * term(outputs, target) for name, term in self.terms.items())
