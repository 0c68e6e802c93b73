"""The conditional variational autoencoder."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skae import _model as fitted_models
from skae import _tasks
from skae._data.labels import Labels, beside, columns_of, names_of_labels
from skae._data.tensors import like
from skae._estimators.base import task_of, way
from skae._estimators.labelled import Labelled
from skae._estimators.variational import DrawsNumbers, bound_of, imputed
from skae._parameters import (
    DenseNetwork,
    FromPCA,
    Ordering,
    TableInput,
    count,
    integer,
    parameters,
    real,
    require_labels,
)

OWN_MODULES = (
    "rows and codes have labels beside them, which modules of your own would not know. Set "
    "hidden_layer_sizes and activation, or take VAETransformer, which knows no labels"
)


@parameters
class ConditionalVAE(DrawsNumbers, DenseNetwork, Ordering, TableInput, FromPCA, Labelled):
    r"""A variational autoencoder that gets the label of each row, and draws rows with given labels.

    As `VAETransformer`, but encoder and decoder also get a label y.
    ``sample(n, y=...)`` draws rows of a given class, or for a
    given number, and the code holds what the label does not say ("style" in
    Kingma et al.). Training maximises, in nats,

    .. math:: \log p(x | y) \ge \mathrm{E}_{q(z|x,y)} \log p(x | z, y)
        - \beta \, \mathrm{KL}(q(z | x, y) \| p(z))

    with Gaussian p(x | z, y), whose one noise variance is learned, and a
    standard normal prior p(z), whatever the label.

    **The baseline** is the linear model where training starts: a mean that depends
    linearly on the label (for classes: each has its own) and the
    probabilistic PCA of the residuals. The trained model is kept only if
    held-out rows show, by the rule of `AutoencoderTransformer`, that their
    bound is higher.

    **Labels** are one column or several. Columns of floats are numbers; all
    others (integers, strings, booleans, categories) are classes. In a frame
    each column has its own kind. Convert classes that are floats with
    ``y.astype(int)``, numbers that are integers with ``y.astype(float)``.

    **Without y**, ``transform`` and similar methods infer the label
    from the row by a linear head (logistic regression for classes,
    ridge regression for numbers), so that the estimator works within a
    ``Pipeline``: ``fit_transform(X, y)`` is ``fit(X, y).transform(X)``, with
    inferred labels. There is no ``predict``: a classifier does
    that better.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        Units of the code. A float is the share of the residuals' variance
        that PCA explains in the baseline; "auto" is 0.95; None
        is as many as PCA has.
    beta, kl_warmup, hidden_layer_sizes, activation, linear_path, ordered, \
    categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state
        As in `VAETransformer`, whose ``likelihood``, ``noise``, ``encoder`` and
        ``decoder`` it has not. With ``ordered`` each prefix of the code, with
        the label beside it, is a model of its own.

    Attributes
    ----------
    classes_ : ndarray, None, or list of them
        The classes of the label, sorted; None for a number. A list where y
        has several columns.
    label_coef_ : ndarray of shape (n_labels, n_features_in_)
        The head that infers labels: a row for each class
        (the largest score wins) and for each number (in units of
        its standard deviation). In a table with categories or dates the
        columns are those of ``components_``. After ``partial_fit`` that of the last batch.
    label_intercept_ : ndarray of shape (n_labels,)
        Its intercept.
    mean_ : ndarray of shape (n_features_in_,)
        The row of the mean label and a code of zero in the linear model.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder, in units of X per unit of the code.
    active_units_, kl_per_component_, noise_variance_, explained_variance_, \
    singular_values_, n_samples_, validation_scores_, \
    pca_score_, n_components_, scale_, n_iter_, best_iter_, loss_curve_, history_, \
    batch_size_, hidden_layer_sizes_, device_, module_, n_features_in_, \
    feature_names_in_
        As in `VAETransformer`, of log p(x | y).

    Raises
    ------
    ValueError
        For y with missing entries or, after ``fit``, unknown classes, and as
        `VAETransformer` does.
    TypeError
        For a parameter of `VAETransformer` that it has not: it says why.

    Warns
    -----
    UserWarning
        If y has so many different integers that they look like numbers, so
        few whole floats that they look like classes, or texts or times that are
        different in most rows, and as
        `VAETransformer` does.

    See Also
    --------
    VAETransformer : Without labels.
    AutoencoderClassifier : Predicts the label.

    Notes
    -----
    The code is that of a row *given* its label: it holds little of what
    distinguishes the classes. A classifier behind it does worse than behind
    `VAETransformer`.

    ``Pipeline.inverse_transform`` cannot pass labels: call ``inverse_transform``
    itself, and search over pipelines by ``score``.

    References
    ----------
    K. Sohn, H. Lee, X. Yan. Learning structured output representation using
    deep conditional generative models. NeurIPS 2015.
    https://papers.nips.cc/paper/5775

    D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling. Semi-supervised
    learning with deep generative models. NeurIPS 2014.
    https://arxiv.org/abs/1406.5298

    Examples
    --------
    Digits of a given class, and one digit's style in all others:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from skae import ConditionalVAE
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> vae = ConditionalVAE(n_components=8, random_state=0).fit(X[:1300], y[:1300])
    >>> threes = vae.sample(100, y=3, random_state=0)
    >>> bool((SVC().fit(X, y).predict(threes) == 3).mean() > 0.85)
    True
    >>> style = vae.transform(X[1300:1301], y[1300:1301])
    >>> vae.inverse_transform(style.repeat(10, axis=0), range(10)).shape
    (10, 64)

    Rows of a table, given a label:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"width": X[:, 20], "dark": X[:, 36] > 0.5})
    >>> vae = ConditionalVAE(n_components=1, hidden_layer_sizes=()).fit(table, y)
    >>> bool(vae.sample(500, y=0, random_state=0)["dark"].mean() < 0.1)
    True
    """

    NOT_TAKEN: ClassVar = {
        "noise": "one noise variance is that of all columns of what the labels leave. Where they "
        "differ much take VAETransformer(noise='columns'), which knows no labels",
        "encoder": OWN_MODULES,
        "decoder": OWN_MODULES,
        "likelihood": "it is Gaussian, with categories as such. VAETransformer(likelihood='bernoulli') "
        "takes columns within [0, 1], without labels",
    }

    beta: float = 1.0
    kl_warmup: int = 0

    _parameter_constraints = {"beta": [real(0)], "kl_warmup": [integer(0)]}

    def _task(self, schema):
        return task_of(_tasks.Conditional, self, schema)

    # fit ------------------------------------------------------------------------------------------

    def _read(self, X, y, sample_weight, before):
        """Return the task of training rows, which knows their labels, and the rows."""
        require_labels(y, type(self).__name__)
        task, rows = super()._read(X, y, sample_weight, before)
        if before is not None:
            return task, rows
        columns = columns_of(y)
        check_consistent_length(rows.X, columns[0])
        known = [column[rows.index] for column in columns]
        labels = Labels.learn(known, rows.weight, names_of_labels(y))
        task = replace(task, labels=labels)
        return task, labels.beside_rows(rows, columns)

    def _later_rows(self, task, X, y=None, sample_weight=None, mean=None):
        """Return rows of known columns and labels."""
        require_labels(y, type(self).__name__)
        rows = super()._later_rows(task, X, None, sample_weight, mean)
        task.labels.refuse_other_names(y)
        columns = columns_of(y)
        check_consistent_length(rows.X, columns[0])
        return task.labels.beside_rows(rows, columns)

    # use ------------------------------------------------------------------------------------------

    def transform(self, X, y=None):
        """Return the code of rows, given their labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_columns), or None
            Labels, one a row or a single one for all. None: they are inferred.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Posterior means in the dtype of X, in units of the prior.
        """
        model, rows = self._labelled(X, y)
        return like(model.encode(rows), X)

    def transform_distribution(self, X, y=None):
        """Return the distribution of the code of every row, given its label.

        Parameters
        ----------
        X, y
            As in ``transform``.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components_)
            Of independent Gaussians, in the dtype of X.
        """
        model, rows = self._labelled(X, y)
        return model.posterior(rows)

    def inverse_transform(self, Z, y):
        """Return rows decoded from codes, given labels.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
        y : array-like of shape (n_samples,) or (n_samples, n_columns)
            Labels, one a row or a single one for all.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            In the dtype of Z and the units of the training rows. A frame as
            from `VAETransformer`.
        """
        codes = self._check_codes(Z)
        labels = self._model.task.labels.code(y, len(codes))
        return like(self._give(self._model.decode_cells(beside(codes, labels)), Z), Z)

    def reconstruct(self, X, y=None):
        """Return ``inverse_transform(transform(X, y), y)``.

        Parameters
        ----------
        X, y
            As in ``transform``.

        Returns
        -------
        reconstruction : ndarray or frame of shape (n_samples, n_features)
        """
        model, rows = self._labelled(X, y)
        return like(self._give(model.reconstruct_cells(rows), X), X)

    def impute(self, X, y=None, n_draws=None, random_state=None):
        """Return rows with their missing cells filled: what was present stays as it is.

        Parameters
        ----------
        X, y
            As in ``transform``.
        n_draws, random_state
            As in `VAETransformer`.

        Returns
        -------
        filled : frame or ndarray of shape (n_samples, n_features), or a list of them
            Like ``X``: missing cells are filled given the present cells and
            the label.
        """
        return imputed(*self._labelled(X, y), X, n_draws, random_state)

    def reconstruction_error(self, X, y=None, per_feature=False, missing="sum"):
        """Return the squared reconstruction error of rows, in the squared units of X.

        Parameters
        ----------
        X, y
            As in ``transform``.
        per_feature, missing
            As in `VAETransformer`.

        Returns
        -------
        error : ndarray of shape (n_samples,), or ndarray or frame of shape (n_samples, n_features)
            float64; as of `VAETransformer`.
        """
        model, rows = self._labelled(X, y)
        error = fitted_models.scores_of(model).error(rows, per_feature, missing)
        return model.schema.by_cell(error, X) if per_feature else error

    def score(self, X, y=None):
        """Return the share of the variance of ``X`` that the reconstruction explains.

        Parameters
        ----------
        X, y
            As in ``transform``.

        Returns
        -------
        score : float
            At most 1; larger is better. It includes what the label explains.
        """
        model, rows = self._labelled(X, y)
        return fitted_models.scores_of(model).score(rows)

    def score_by_column(self, X, y=None):
        """Return the share of each column that the reconstruction explains.

        Parameters
        ----------
        X, y
            As in ``transform``.

        Returns
        -------
        scores : ndarray or Series of shape (n_features_in_,)
            A Series with the names of the columns, where ``fit`` saw a frame.
        """
        model, rows = self._labelled(X, y)
        return model.schema.by_column(fitted_models.scores_of(model).score_by_column(rows))

    def score_samples(self, X, y=None, n_draws=64):
        """Return a lower bound of log p(x | y) of every row, in nats.

        Add log p(y), such as the log of the classes' shares, for log p(x, y).

        Parameters
        ----------
        X, y
            As in ``transform``. Without y it is the likelihood given the
            inferred label, not that of x alone.
        n_draws : int, default=64
            As in `VAETransformer`.

        Returns
        -------
        bound : ndarray of shape (n_samples,)
            float64.
        """
        return bound_of(*self._labelled(X, y), n_draws)

    def sample(self, n_samples=1, y=None, random_state=None, match_marginals=True, given=None):
        """Draw new rows with given labels: codes and residuals that go together, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        y : label or array-like of shape (n_samples,) or (n_samples, n_columns), or None
            One label for all rows, or one a row. None: drawn, classes by their
            shares in the training rows, numbers from a Gaussian, each column
            by itself.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.
        match_marginals : bool, default=True
            As in `VAETransformer.sample`. The quantiles are those of all training
            rows and of draws with all labels, so that each label keeps its own. Each
            row is chosen among ten draws with its label; without ``y``, among ten with labels of their own.
        given : dict or None, default=None
            Cells that all rows have, as in `VAETransformer.sample`: the rest of the
            row follows its distribution given these cells and the label. Without ``y``
            labels are drawn as they go with the cells, too. Each distinct label takes
            a run of its own.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            float64, a frame as from ``inverse_transform``.

        Raises
        ------
        ValueError
            For ``given``, as `VAETransformer.sample`.
        """
        n_samples = count(n_samples, "n_samples")
        check_is_fitted(self)
        labels = None if y is None else self._model.task.labels.code(y, n_samples)
        return self._drawn(n_samples, random_state, match_marginals, given, labels)

    def interpolate(self, a, b, n_steps=10, path="linear", y=None):
        """Return rows between ``a`` and ``b``, whose codes and labels lie between theirs.

        Parameters
        ----------
        a, b : array-like of shape (n_features,)
            Two rows.
        n_steps, path
            As in `AutoencoderTransformer`.
        y : pair of labels, a single label, or None
            Of ``a`` and ``b``, or one for both. None: they are inferred. Between two
            classes the label is a mixture of both.

        Returns
        -------
        rows : ndarray of shape (n_steps, n_features)
            From the reconstruction of ``a`` to that of ``b``.
        """
        (on_path, share), (on_line, _) = way(n_steps, path), way(n_steps, "linear")
        ends = self._beside(self._ends(a, b), y)
        codes, labels = self._model.encode(ends), ends[:, self.n_features_in_ :]
        between = np.hstack([on_path(*codes, share), on_line(*labels, share)])
        return self._give(self._model.decode_cells(between.astype(ends.dtype)))

    def _labelled(self, X, y):
        """Return the model, and rows with their labels, or inferred ones, beside them."""
        model, X = self._known(X)
        return model, self._beside(X, y)

    def _beside(self, X, y):
        """Return checked rows with their labels, or inferred ones, beside them."""
        model, mean = self._model, self._model.baseline.mean
        schema, labels = model.schema, model.task.labels
        if y is None:
            rows = schema.filled(X if schema.blocks is None else schema.wide(X, mean), mean)
            scores = rows @ self.label_coef_.T.astype(X.dtype)
            return beside(X, labels.nearest(scores + self.label_intercept_))
        return beside(X, labels.code(y, X.shape[0]))

    def _restored(self, state):
        """Return the model of a state; earlier releases took no tables, and knew no such parameters."""
        of_tables = {name: getattr(self, name) for name in TableInput._parameter_constraints}
        if isinstance(state["_built"], dict) and not of_tables.keys() & state.keys():
            state["_built"] = state["_built"] | of_tables
        return super()._restored(state)
