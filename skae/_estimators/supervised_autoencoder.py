"""The supervised autoencoder: a code that gives back rows and predicts labels."""

from dataclasses import replace

import numpy as np
from scipy.special import softmax
from sklearn.utils import ClassifierTags, check_consistent_length
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae import _tasks
from skae._data.labels import Labels, chosen, columns_of, has_label, names_of_labels
from skae._data.tensors import as_arrays
from skae._estimators.base import model_of, task_of
from skae._estimators.labelled import Labelled
from skae._parameters import DenseFromPCA, parameters, real, require_labels


def _of_classes(estimator):
    """Return whether every label is a class, as far as it is known."""
    if not estimator.__sklearn_is_fitted__():
        return True
    return all(known is not None for known in model_of(estimator).task.labels.classes)


@parameters
class SupervisedAutoencoder(DenseFromPCA, Labelled):
    r"""An autoencoder whose code reconstructs rows and predicts labels.

    The autoencoder of `AutoencoderTransformer` with a linear head on its code z:

    .. math::

        z &= A (x - \mu) + f((x - \mu) / s), \quad \hat x = \mu + B z + s \cdot g(z),
        \quad \hat y = C z + c

    Its objective is a weighted sum of the unexplained shares of rows and labels:

    .. math:: \alpha \, \frac{\sum_i \lVert x_i - \hat x_i \rVert^2}
            {\sum_i \lVert x_i - \bar x \rVert^2}
        + (1 - \alpha) \, \frac{\sum_i \ell(y_i, \hat y_i)}{\sum_i \ell(y_i, \bar y)}

    with :math:`\alpha` the ``mixing``; :math:`\ell` is the squared error for
    numbers and the cross-entropy for classes, relative to that of their mean or shares.
    With several labels it is the mean.

    **The baseline**, where training starts, is principal covariates
    regression (PCovR): the best linear code for that objective with
    squared errors. It is PCA of the rows beside their ridge regression on the labels,
    from PCA (``mixing=1``) to the regression
    (near 0). The ridge's strength minimises the generalised cross-validation
    error; if that is not below the error of the mean by two standard
    errors, the baseline is PCA. For classes the head is a
    logistic regression on that code. Held-out rows with their
    labels compare the objective: the trained model is kept by the rule of
    `AutoencoderTransformer`.

    **Labels** are one column or several. Columns of floats are numbers; all
    others (integers, strings, booleans, categories) are classes. Convert classes that
    are floats with ``y.astype(int)``, numbers that are integers with
    ``y.astype(float)``.

    It is a transformer: in a Pipeline ``transform`` returns the code, and
    ``score`` is the explained share of the rows. For predictions use
    ``predict``, and search by ``scoring="accuracy"`` or ``"r2"``.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        Size of the code. A float is the share of the variance that PCA
        explains, "auto" is 0.95, "mle" is PCA's number, None as many as PCA has. To predict
        labels, more components than classes gain little.
    mixing : "auto" or float, default="auto"
        :math:`\alpha`, in (0, 1]: the weight of reconstruction; the rest is that of
        prediction. "auto" is 0.5 where all labels are classes, else 0.2.
        1 is `AutoencoderTransformer` to the bit, with a head
        that is fitted to its code afterwards (logistic regression or ridge).
    unlabeled : object, default=None
        The value of y that marks a row without a label, such as -1 or "".
        NaN stands for every missing value: NaN, None, ``pandas.NA``. Such rows
        enter the reconstruction only. None: all rows have a label.
    hidden_layer_sizes, activation, linear_path, whiten, encoder, decoder, ordered, \
    categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state
        As in `AutoencoderTransformer`. With ``ordered`` every prefix of the
        code decodes and predicts.

    Attributes
    ----------
    classes_ : ndarray, None, or list of them
        The classes of the label, sorted; None for a number. A list where y
        has several columns.
    coef_ : ndarray of shape (n_targets, n_components_)
        Coefficients of the head on the code of ``transform``: a row for each class
        and for each number, in units of y.
    intercept_ : ndarray of shape (n_targets,)
        Intercept of the head.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder, B, one row a component; neither
        orthogonal nor of unit length.
    pca_score_ : float or None
        1 less the objective of the baseline on held-out rows.
    validation_scores_ : list of float or None
        The same for the model after each epoch.
    loss_curve_ : list of float
        Training objective of each epoch, with noise on the inputs.
    n_components_, explained_variance_, singular_values_, noise_variance_, n_samples_, \
    explained_variance_ratio_, mean_, scale_, table_encoder_, n_iter_, best_iter_, history_, \
    batch_size_, hidden_layer_sizes_, device_, module_, n_features_in_, \
    feature_names_in_
        As in `AutoencoderTransformer`, of X; PCovR in place of PCA.

    Raises
    ------
    ValueError
        For missing labels with ``unlabeled=None``, classes that ``fit`` did
        not see, and no labelled row at all.

    Warns
    -----
    UserWarning
        If y has so many different integers that they look like numbers, so
        few whole floats that they look like classes, or texts or times that are
        different in most rows.

    See Also
    --------
    AutoencoderTransformer : Without labels.
    AutoencoderClassifier : A classifier for many rows with few labels.
    sklearn.cross_decomposition.PLSRegression : Linear, for the labels only.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : Linear, for classes only.

    Notes
    -----
    Codes of the training rows predict their labels a little better than those of
    new rows. So evaluate a classifier behind it, and choose ``mixing``, by
    cross-validation of the whole Pipeline.

    If many cells are missing, the trained model is kept only if it also reconstructs
    present cells as well as PCA of mean-filled rows.

    References
    ----------
    S. de Jong, H. A. L. Kiers. Principal covariates regression. Chemometrics and
    Intelligent Laboratory Systems 14, 1992. DOI 10.1016/0169-7439(92)80100-I

    B. A. Helfrecht, R. K. Cersonsky, G. Fraux, M. Ceriotti. Structure-property
    maps with kernel principal covariates regression. Machine Learning: Science
    and Technology 1, 2020. DOI 10.1088/2632-2153/aba9ef

    L. Le, A. Patterson, M. White. Supervised autoencoders: improving
    generalization performance with unsupervised regularizers. NeurIPS 2018.
    https://papers.nips.cc/paper/7296

    Examples
    --------
    Two numbers for each image, from which the digit is predicted:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skae import SupervisedAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = SupervisedAutoencoder(2, random_state=0).fit(X[:1000], y[:1000])
    >>> ae.transform(X[1000:]).shape
    (797, 2)
    >>> accuracy = (ae.predict(X[1000:]) == y[1000:]).mean()
    >>> pca = make_pipeline(PCA(2), SVC()).fit(X[:1000], y[:1000])
    >>> bool(accuracy > pca.score(X[1000:], y[1000:]) + 0.2)
    True

    They still explain half of the images' variance, PCA's two a quarter:

    >>> from skae.metrics import reconstruction_score
    >>> bool(ae.score(X[1000:]) > reconstruction_score(pca[0], X[1000:]) + 0.1)
    True
    """

    mixing: object = "auto"
    unlabeled: object = None

    _parameter_constraints = {
        "mixing": [StrOptions({"auto"}), real(0, 1, closed="right")],
        "unlabeled": "no_validation",
    }

    def _task(self, schema):
        return task_of(_tasks.Supervised, self, schema)

    # fit ------------------------------------------------------------------------------------------

    def _read(self, X, y, sample_weight, before):
        """Return the task of training rows, which knows their labels, and the rows."""
        require_labels(y, type(self).__name__)
        task, rows = super()._read(X, y, sample_weight, before)
        if before is None:
            columns, labelled = self._labels_of(y, rows)
            known = rows.index[labelled[rows.index]]
            if not len(known):
                raise ValueError(
                    f"No row of y has a label (unlabeled={self.unlabeled!r}) and a positive weight: "
                    "at least one must."
                )
            weight = None if rows.all_weight is None else rows.all_weight[known]
            labels = Labels.learn(chosen(columns, known), weight, names_of_labels(y))
            task = replace(task, labels=labels)
            rows = task.labels.targets_of_rows(rows, columns, labelled)
        return replace(task, labelled=_share(rows)), rows

    def _later_rows(self, task, X, y=None, sample_weight=None, mean=None):
        """Return rows of known columns and labels; without y none has a label."""
        rows = super()._later_rows(task, X, None, sample_weight, mean)
        if y is None:
            return task.labels.targets_of_rows(rows, [], np.zeros(rows.X.shape[0], dtype=bool))
        task.labels.refuse_other_names(y)
        return task.labels.targets_of_rows(rows, *self._labels_of(y, rows))

    def _labels_of(self, y, rows):
        columns = columns_of(as_arrays(y)[0])
        check_consistent_length(rows.X, columns[0])
        return columns, has_label(columns, self.unlabeled)

    # use ------------------------------------------------------------------------------------------

    def _outputs(self, X):
        """Return what the head says, a list of arrays: one a column of labels."""
        check_is_fitted(self)
        model, rows = self._known(X)
        outputs = model.predict(rows)
        return [outputs[:, place] for place in model.task.labels.slices]

    def predict(self, X):
        """Return the labels that the head on the code predicts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,) or (n_samples, n_columns)
            The most probable class, or the number. Objects, where y had
            columns of both.
        """
        outputs, known = self._outputs(X), self._model.task.labels.classes
        columns = [
            part[:, 0] if classes is None else classes[part.argmax(axis=1)]
            for part, classes in zip(outputs, known, strict=True)
        ]
        if len(columns) == 1:
            return columns[0]
        several = len({column.dtype.kind for column in columns}) > 1
        return np.column_stack([c.astype(object) for c in columns] if several else columns)

    @available_if(_of_classes)
    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or list of them
            In the order of ``classes_``; a list where y had several columns.
        """
        shares = [softmax(part, axis=1) for part in self._outputs(X)]
        return shares[0] if len(shares) == 1 else shares

    def __sklearn_tags__(self):
        """Return the tags: labels may be classes."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags = ClassifierTags()  # what has probabilities, has them
        return tags


def _share(rows):
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    return float(np.average(~np.isnan(rows.targets).any(axis=1), weights=weight)) or 1.0
