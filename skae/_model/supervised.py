"""Fitted models with a head on the code."""

from skae._model.head import predicted
from skae._model.model import Model


class SupervisedModel(Model):
    """A model whose code predicts labels: numbers, and a score for each class."""

    ATTRIBUTES = (*Model.ATTRIBUTES, "coef_", "intercept_")

    def predict(self, X):
        """Return what the head says of rows, (n_samples, n_targets)."""
        return predicted(self, X)

    def truncated(self, k):
        """Return the model of the first ``k`` components, with the head's first coefficients."""
        now = super().truncated(k)
        if "coef_" in now.attributes:
            now.attributes["coef_"] = now.attributes["coef_"][:, :k]
        return now

    def outside(self, space, rows, task):
        now = super().outside(space, rows, task)
        now.attributes |= task.head(now, rows)
        return now

    def state(self):
        return super().state() | {"_labels": vars(self.task.labels).copy()}
