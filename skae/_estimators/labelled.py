"""What autoencoders that learn from labels have in common."""

from skae._estimators.base import BaseAutoencoder, fine_tuned, model_of
from skae._parameters import fit_context, with_callbacks


class Labelled(BaseAutoencoder):
    """An autoencoder whose rows have labels; a subclass reads them."""

    @with_callbacks
    @fit_context
    def fit(self, X, y=None, sample_weight=None, X_val=None, y_val=None):
        """Learn the model from rows and their labels.

        Parameters
        ----------
        X : array-like, CSR matrix or frame of shape (n_samples, n_features)
            Training rows, as `AutoencoderTransformer` takes them.
        y : array-like or frame of shape (n_samples,) or (n_samples, n_columns)
            Their labels. In a `SupervisedAutoencoder` rows where one is
            ``unlabeled`` enter the reconstruction only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, for both.
        X_val : array-like of shape (n_val, n_features), default=None
            Held-out rows. By default they are drawn from ``X``.
        y_val : array-like of shape (n_val,) or (n_val, n_columns), default=None
            Their labels.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For labels that are missing where they must not be, for no label at all,
            for ``X_val`` without ``y_val``, and as `AutoencoderTransformer`.
        """
        if X_val is not None and y_val is None:
            raise ValueError("X_val comes without labels: pass y_val, one label a row, as well.")
        return self._fit(X, y, sample_weight, X_val, y_val)

    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from one batch of a stream: one epoch over its rows.

        The first call learns the labels, so its rows must have all classes. There is
        no comparison with the baseline, for no rows are held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; in the first call at least as many as components.
        y : array-like or frame of shape (n_samples,) or (n_samples, n_columns)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row within this batch.

        Returns
        -------
        self : object
            The estimator.
        """
        return super().partial_fit(X, y, sample_weight)

    def truncate(self, n_components, fine_tune_on=None, y=None):
        """Return the fitted model of the first components; this one stays as it is.

        As `AutoencoderTransformer.truncate`.

        Parameters
        ----------
        n_components : int
            From 1 to ``n_components_``.
        fine_tune_on : array-like of shape (n_samples, n_features), default=None
            Rows to train the shorter code on for a few epochs.
        y : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Their labels. A `SupervisedAutoencoder` needs none, and is trained for
            the reconstruction only then.

        Returns
        -------
        truncated : object
            A fitted estimator, with ``n_components`` as its parameter.
        """
        truncated = super().truncate(n_components)
        return truncated if fine_tune_on is None else fine_tuned(truncated, fine_tune_on, y)

    @property
    def classes_(self):
        """The classes of the label, or of each of its columns."""
        known = model_of(self).task.labels.classes
        return known[0] if len(known) == 1 else known

    def __sklearn_tags__(self):
        """Return the tags: labels are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
