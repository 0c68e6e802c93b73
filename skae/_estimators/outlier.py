"""Odd rows: a distance in what an autoencoder leaves of rows and in their code, times one from other rows."""

import warnings
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, gen_batches, get_tags
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import _num_samples, check_is_fitted

from skae import _model as fitted_models
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.base import BaseEncoder, model_of
from skae._estimators.supervised import pretrained
from skae._linear.distance import (
    Distance,
    Neighbours,
    means_of_present,
    robust_distance,
    weighted_quantile,
)
from skae._parameters import (
    StrOptions,
    check_sample_weight,
    counted,
    fit_context,
    parameters,
    private_random_state,
    real,
)

NEAREST, STEPS = 0.6, 2  # share of the rows that the distance is learned from, and refits
MOST_COLUMNS = 150  # up to which columns enter themselves: the cost grows with their square
KEPT, KEPT_CELLS = 512, 2**14  # most training rows that others are compared with, and their cells
RIDGE = 0.2  # variance that is added in each direction to that of the nearest rows; all rows have 1
FALSE_ALARMS = 0.05  # share of usual rows that are called outliers, where contamination is "auto"
FEWEST_TO_CALIBRATE = 100  # rows of fit
EDGE = 1e-9  # of a score, at least 1: rounding must not tell rows apart that have the same
LEAST_UNIT = 1e-3  # standard deviations of a column; residuals below are as good as none
FARTHEST = 1e60  # standard deviations: the fourth power of more is beyond float64
CHUNK_CELLS = 2**22
SHARE = 0.95  # of the variance, by the code of the default autoencoder


@dataclass(frozen=True, eq=False)
class Features:
    """What a distance is taken of: residuals, the columns themselves, and units of the code.

    Attributes
    ----------
    known : ndarray of bool, shape (2 * n_features,)
        Which residuals, and which columns, are taken: of those that had a cell in fit.
    units : ndarray of shape (n_known + n_components,)
        Standard deviations.
    unseen : float
        Nats of a level that fit did not see.
    constant : ndarray of bool, shape (n_known,)
        Those of columns that had one value in fit: a change in them counts as an unseen level
        at most, for there is no unit to tell how large it is. None of it in files of old.
    """

    known: np.ndarray
    units: np.ndarray
    unseen: float
    constant: np.ndarray | None = None

    @property
    def n_residuals(self):
        """Number of the features that are residuals, or columns: they come first."""
        return int(self.known.sum())

    @property
    def columns(self):
        """Where among the features the columns themselves are: a slice."""
        return slice(int(self.known[: len(self.known) // 2].sum()), self.n_residuals)

    @classmethod
    def learn(cls, model, X, weight):
        """Return the features of a model, and their values in training rows."""
        n, size, unseen = model.schema.n_features, model.task.size, np.log1p(weight.sum())
        taken = np.arange(2 * n) < (2 * n if n <= MOST_COLUMNS else n)
        raw = cls(taken, np.ones(taken.sum() + size), unseen).of(model, X)
        kept = (~np.isnan(raw)).any(axis=0)
        taken[taken], raw = kept[:-size], raw[:, kept]
        variances = means_of_present((raw - means_of_present(raw, weight)) ** 2, weight)
        units, floors = np.sqrt(variances), np.full(len(variances), LEAST_UNIT)
        floors[-size:] = LEAST_UNIT * units[-size:].max() or 1.0
        units = np.maximum(units, floors)
        one = np.tile(_are_constant(model.schema.read(X)[weight > 0]), 2)
        return cls(taken, units, unseen, one[taken]), raw / units

    def of(self, model, X):
        """Return the features of rows, NaN where a cell is missing."""
        schema = model.schema
        has_levels = schema.encoder is not None and len(schema.blocks.categories)
        unseen = schema.encoder.unseen(X) if has_levels else None
        rows, scores = schema.read(X), fitted_models.scores_of(model)
        n = self.n_residuals
        found = np.empty((rows.shape[0], n + model.task.size))
        step = max(1, CHUNK_CELLS // found.shape[1])
        for span in gen_batches(len(found), step):
            precise = rows[span].astype(np.float64, copy=False)  # small residuals have few digits
            code, residuals = scores.code_and_residuals(precise)
            if unseen is not None:
                residuals[np.tile(unseen[span], 2)] = self.unseen
            kept = residuals if self.known.all() else residuals[:, self.known]
            np.divide(kept, self.units[:n], out=found[span, :n])
            np.divide(code, self.units[n:], out=found[span, n:])
            self._limit(found[span])
        return found

    def _limit(self, found):
        """Bring features within their `limits`, and rows that are farther than `FARTHEST` as near as that."""
        limits = self.limits(found.shape[1])
        np.clip(found, -limits, limits, out=found)
        found *= FARTHEST / np.fmax.reduce(np.abs(found), axis=1, keepdims=True, initial=FARTHEST)

    def limits(self, width):
        """Return how large each feature may be, (width,)."""
        limits = np.full(width, np.finfo(np.float64).max)
        if self.constant is not None:
            limits[: self.n_residuals][self.constant] = self.unseen
        return limits


@parameters
class AutoencoderOutlierDetector(OutlierMixin, BaseEstimator):
    r"""Outlier detection by an autoencoder: rows that fit it badly, and have no others near them.

    The score is minus the geometric mean of two squared distances:

    .. math:: s(x) = -\sqrt{D(x)\,N(x)}, \quad D(x) = (f - \mu)^\top \Sigma^{-1} (f - \mu), \quad
        N(x) = \frac{1}{8} \sum_{i=1}^{8} \lVert x - x_{(i)} \rVert^2

    D is taken of the residuals of the columns, the columns themselves, and the
    units of the code, :math:`f = [r, x, z]`, :math:`r_j = x_j - \hat x_j`, each over its standard deviation in the training rows.
    :math:`\mu` and :math:`\Sigma` are learned from the three fifths of the training
    rows that are nearest (two concentration steps, as in `MinCovDet`), so that
    outliers among them do little harm. :math:`\Sigma` is shrunk (Ledoit and Wolf), so
    that fewer rows than columns suffice, and a fifth of the variance of all rows is added to it, so
    that a column that hardly varies among the nearest rows weighs less. Unlike the plain `reconstruction_error`, D
    takes correlations between residuals into account, and detects a row that is reconstructed
    well but has an unusual code.

    N is taken of the columns alone, from the nearest eight of 512 distinct training rows (all if there are fewer; 2**14
    over the columns where these are more than 32), spread evenly over the order of D: a row in a gap is far from them, where D takes a gap
    near the centre for usual. (A row at the very centre scores zero, whatever its neighbours.)
    Above 150 columns neither has the columns themselves: then f = [r, z], and s = -D.

    A category enters with its loss in nats, of the autoencoder (r) and of the shares of its levels (x), a
    level that fit did not see with :math:`\log(1 + n)` nats. A missing cell leaves out its coordinates, and both
    distances are scaled up to the number of all. A constant column is measured in thousandths of its
    unit, up to :math:`\log(1 + n)` of them: any change in it is far off, and none is farther.

    Parameters
    ----------
    autoencoder : estimator of skae or None, default=None
        Any autoencoder with ``inverse_transform`` that needs no labels. None is
        ``AutoencoderTransformer(0.95, column_weights={})``: all columns have the same weight,
        whatever their units. For sparse rows, and for more columns than rows, it is
        ``AutoencoderTransformer(0.95)``, for which units matter. A fitted one
        is copied and not fitted again; it should not have seen
        the rows, or `p_values` are too small. ``clone``, and so a search, makes it unfitted, unless it
        is inside ``sklearn.frozen.FrozenEstimator``. If it has no
        ``random_state`` it gets one drawn from this estimator's.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of the training rows that are called outliers. "auto" sets
        the share of false alarms instead: 5 % of the calibration rows, and
        so about 5 % of new rows like them. (Without calibration rows it is 5 % of the training
        rows, which score higher than new ones: then more than 5 % of new rows are
        called outliers.)
    calibration_fraction : float in (0, 1) or None, default=0.2
        Share of the rows that are set aside, and not learned from, for `p_values`. Below
        100 rows, and with None, there are none, and no p-values.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of calibration rows, and of the autoencoder.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.
    offset_ : float
        Rows with a lower `score_samples` are outliers. Lies a billionth of itself, or of 1, below the quantile.
    training_scores_ : ndarray of shape (n_samples,)
        `score_samples` of the training rows.
    calibration_scores_ : ndarray of shape (n_calibration,)
        `score_samples` of the calibration rows, sorted; of length 0 if there are none.
    n_features_in_, feature_names_in_
        As in `AutoencoderTransformer`.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Trees; needs no scale and no training.
    sklearn.neighbors.LocalOutlierFactor : For local outliers.

    Notes
    -----
    Up to 2,000 coordinates of f the covariance is a full matrix: each row costs the square of their
    number, and ``fit`` the third power once. Above, it has 200 axes and one
    variance elsewhere. Each pattern of missing cells costs the solution of a linear system.

    The detector, and so a file of it, holds the columns of up to 512 training rows, in standard deviations. Files from
    before it did so are read as they were: with D alone.

    What was tried and measured is in docs/lab/outliers.md.

    References
    ----------
    O. Ledoit, M. Wolf. A well-conditioned estimator for large-dimensional covariance
    matrices. Journal of Multivariate Analysis 88, 2004. DOI 10.1016/S0047-259X(03)00096-4

    P. J. Rousseeuw, K. Van Driessen. A fast algorithm for the minimum covariance
    determinant estimator. Technometrics 41, 1999. DOI 10.1080/00401706.1999.10485670

    F. Angiulli, C. Pizzuti. Fast outlier detection in high dimensional spaces. PKDD 2002.
    DOI 10.1007/3-540-45681-3_2 (the sum over the nearest rows)

    M. Sugiyama, K. Borgwardt. Rapid distance-based outlier detection via sampling. Advances in Neural
    Information Processing Systems 26, 2013, pages 467-475 (few of the rows suffice)

    P. H. Garthwaite, I. Koch. Evaluating the contributions of individual variables to a
    quadratic form. Australian & New Zealand Journal of Statistics 58, 2016.
    DOI 10.1111/anzs.12144

    S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia. Testing for outliers with conformal
    p-values. Annals of Statistics 51, 2023. DOI 10.1214/22-AOS2244

    Examples
    --------
    Fitted to benign tumours, it detects malignant ones:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.metrics import roc_auc_score
    >>> from skae import AutoencoderOutlierDetector
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X[y == 1][:250])
    >>> others = X.drop(X[y == 1][:250].index)
    >>> auc = roc_auc_score(y[others.index] == 0, -detector.score_samples(others))
    >>> bool(auc > 0.93)
    True

    The reasons for the most abnormal one:

    >>> worst = others.iloc[[detector.score_samples(others).argmin()]]
    >>> parts = detector.explain(worst)
    >>> bool(abs(parts.sum(axis=1).item() + detector.score_samples(worst).item()) < 1e-6)
    True
    """

    autoencoder: BaseEncoder | FrozenEstimator | None = field(default=None, kw_only=False)
    contamination: str | float = "auto"
    calibration_fraction: float | None = 0.2
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "autoencoder": [BaseEncoder, FrozenEstimator, None],
        "contamination": [StrOptions({"auto"}), real(0, 0.5, closed="right")],
        "calibration_fraction": [real(0, 1, closed="neither"), None],
        "random_state": ["random_state"],
    }

    # fit --------------------------------------------------------------------------------------

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Learn the distribution of normal rows.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            As the autoencoder takes it.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, as if it were repeated: in the autoencoder, the
            distance and the offset. Rows of weight zero are left out. Calibration
            takes each row once.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For rows that the autoencoder refuses, and for an autoencoder without
            ``inverse_transform``, one that needs labels, or one fitted to another number of columns.
        """
        rng = private_random_state(self.random_state)
        n_rows = _num_samples(X)
        weight = np.ones(n_rows)
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, np.empty((n_rows, 1)))
        learned, held = self._dealt(weight, rng)
        rows = X if len(learned) == n_rows else _safe_indexing(X, learned)
        given = self._autoencoder(rows, weight.sum())
        of_rows = None if sample_weight is None else weight[learned]
        autoencoder = pretrained(given, rows, of_rows, self.random_state, rng)
        features, values = Features.learn(model_of(autoencoder), rows, weight[learned])
        distance = robust_distance(values, weight[learned], NEAREST, STEPS, RIDGE)
        parts = features, distance, _kept(features, distance, values, weight[learned])
        scores = -_squares(*parts, features.of(model_of(autoencoder), X))
        self._set_fitted(autoencoder, parts, scores, weight, held)
        return self

    def _dealt(self, weight, rng):
        """Return the places of the rows that are learned from, and of those that calibrate."""
        places = np.flatnonzero(weight)
        if len(weight) and not len(places):
            raise ValueError("sample_weight is zero for every row: at least one must be positive.")
        if self.calibration_fraction is None or len(places) < FEWEST_TO_CALIBRATE:
            return places, places[:0]
        order = rng.permutation(places)
        n_held = round(self.calibration_fraction * len(places))
        return np.sort(order[n_held:]), np.sort(order[:n_held])

    def _autoencoder(self, rows, n_repeated):
        """Return the autoencoder to take, as it was given or the default one."""
        given = self.autoencoder
        given = given.estimator if isinstance(given, FrozenEstimator) else given
        if given is None:
            wide = sparse.issparse(rows) or _n_columns(rows) > n_repeated
            given = AutoencoderTransformer(SHARE, column_weights=None if wide else {})
        if not hasattr(given, "reconstruct") or get_tags(given).target_tags.required:
            raise ValueError(
                f"autoencoder={given!r}: expected an autoencoder with inverse_transform that is fitted "
                "without labels, such as AutoencoderTransformer."
            )
        if given.__sklearn_is_fitted__() and given.n_features_in_ != _n_columns(rows):
            raise ValueError(
                f"The autoencoder was fitted to {counted(given.n_features_in_, 'column')}, X has "
                f"{_n_columns(rows)}: fit it to the same columns, or pass it unfitted."
            )
        return given

    def _set_fitted(self, autoencoder, parts, scores, weight, held):
        self.autoencoder_ = autoencoder
        self._features, self._distance, self._neighbours = parts
        self.training_scores_ = _without_nothing(scores, scores[weight > 0])
        self.calibration_scores_ = np.sort(self.training_scores_[held])
        self.offset_ = self._offset(weight)
        self.n_features_in_ = autoencoder.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(autoencoder, "feature_names_in_"):
            self.feature_names_in_ = autoencoder.feature_names_in_

    def _offset(self, weight):
        """Return the score below which rows are outliers."""
        scores, weight = self.training_scores_[weight > 0], weight[weight > 0]
        share = self.contamination
        if share == "auto":
            share = FALSE_ALARMS
            if len(self.calibration_scores_):
                scores, weight = self.calibration_scores_, np.ones(len(self.calibration_scores_))
        quantile = weighted_quantile(scores, share, weight)
        return float(quantile - EDGE * max(abs(quantile), 1.0))

    # use --------------------------------------------------------------------------------------

    def score_samples(self, X):
        """Return minus the geometric mean of the two squared distances of rows.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            float64, at most 0; larger is more normal. A row without any cell gets the
            lowest score of the training rows, with a warning.
        """
        values = self._features_of(X)
        scores = -_squares(self._features, self._distance, self._neighbours, values)
        return _without_nothing(scores, self.training_scores_)

    def decision_function(self, X):
        """Return ``score_samples(X) - offset_``: below zero for outliers.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,)
        """
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X):
        """Return 1 for normal rows, -1 for outliers.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        r"""Return conformal p-values: how rare so low a score is among normal rows.

        .. math:: p(x) = \frac{1 + \#\{i : s(x_i) \le s(x)\}}{1 + n}

        over the n calibration rows (scores that differ by less than a billionth are equal), from which nothing was learned
        (split conformal). If those and a new row are exchangeable, that is
        drawn from one distribution without outliers, then P(p <= alpha) <= alpha for each alpha, in the mean over
        calibrations. With outliers among the training rows p-values are usually
        too large. They are at least 1 / (1 + n). Models of folds (cross-conformal) would hold no rows
        back, but take several fits, promise twice alpha, and are not the model of `score_samples`.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Rows that were not in ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            In (0, 1]. ``scipy.stats.false_discovery_control(p) <= 0.1`` selects rows of which on average at
            most a tenth are false alarms (Benjamini-Hochberg).

        Raises
        ------
        ValueError
            If there were no calibration rows.
        """
        check_is_fitted(self)
        n = len(self.calibration_scores_)
        if not n:
            raise ValueError(
                f"calibration_fraction={self.calibration_fraction!r} left no rows that were not "
                f"learned from: fit at least {FEWEST_TO_CALIBRATE} rows, with a number there."
            )
        scores = self.score_samples(X)
        scores = scores + EDGE * np.maximum(np.abs(scores), 1.0)
        below = np.searchsorted(self.calibration_scores_, scores, side="right")
        return (1 + below) / (n + 1)

    def explain(self, X):
        r"""Return how much each column, and each unit of the code, adds to minus the score.

        .. math:: \sqrt{D N} = \sum_j \sqrt{D N} \left( \frac{D_j}{2 D} + \frac{N_j}{2 N} \right)

        (Euler's theorem on homogeneous functions). :math:`D_j` are squares of the
        features whitened by the symmetric root of the inverse covariance, which stay most
        correlated with the features (Garthwaite and Koch, 2016); that of a column is the sum for its residual and
        for the column itself. :math:`N_j` is the mean square of what a column differs from the eight rows. Above
        150 columns parts are :math:`D_j`.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        parts : DataFrame of shape (n_samples, n_features_in_ + n_components)
            Not negative; each row sums to ``-score_samples(X)``. NaN where a cell is
            missing. Names are those of the columns (x0, x1, ... if they have none) and, for units of the code,
            those of ``autoencoder_.get_feature_names_out``; the index is that of X.
        """
        values = self._features_of(X)
        squares = _squares(self._features, self._distance, self._neighbours, values)
        parts = _shares(self._features, self._distance, self._neighbours, values)
        parts *= squares[:, None]
        known, n = self._features.known, self._features.n_residuals
        cells = np.full((len(parts), len(known)), np.nan)
        cells[:, known] = parts[:, :n]
        residuals, columns = np.split(cells, 2, axis=1)
        table = np.hstack([residuals + np.nan_to_num(columns), parts[:, n:]])
        return pd.DataFrame(table, getattr(X, "index", None), self._names())

    def _names(self):
        """Return the names of the columns and of the units of the code."""
        made_up = [f"x{i}" for i in range(self.n_features_in_)]
        columns = getattr(self.autoencoder_, "feature_names_in_", made_up)
        return [*columns, *self.autoencoder_.get_feature_names_out()]

    def _features_of(self, X):
        check_is_fitted(self)
        return self._features.of(model_of(self.autoencoder_), X)

    def __getstate__(self):
        """Return the state; what was learned of residuals as arrays and builtins."""
        state = super().__getstate__().copy()
        for name, kind in PARTS.items():
            if state.get(name) is not None:
                state[name] = {part.name: getattr(state[name], part.name) for part in fields(kind)}
        return state

    def __setstate__(self, state):
        """Check that the parts belong together, and put them together."""
        state = dict(state)
        if state.keys() & {"autoencoder_", *PARTS}:
            state.setdefault("_neighbours", None)  # files of old
            for name, kind in PARTS.items():
                state[name] = None if state[name] is None else kind(**state[name])
            state["_features"] = _with_columns(state["_features"], state["autoencoder_"])
            _check_state(state)
        super().__setstate__(state)

    def __sklearn_is_fitted__(self):
        """Return whether there is a distance."""
        return "_distance" in self.__dict__

    def __sklearn_tags__(self):
        """Return the tags: those of the autoencoder."""
        tags = super().__sklearn_tags__()
        given = AutoencoderTransformer() if self.autoencoder is None else self.autoencoder
        tags.input_tags = get_tags(given).input_tags
        return tags


def _are_constant(rows):
    """Return which columns of coded rows have one value."""
    if sparse.issparse(rows):
        least, most = min_max_axis(rows, axis=0, ignore_nan=True)
    else:
        least, most = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
    return least == most


PARTS = {"_features": Features, "_distance": Distance, "_neighbours": Neighbours}


def _with_columns(features, autoencoder):
    """Return features as they are now: files of old have residuals and code alone."""
    n = model_of(autoencoder).schema.n_features
    if features.known.shape != (n,):
        return features
    return replace(features, known=np.append(features.known, np.zeros(n, bool)))


def _check_state(state):
    """Refuse, with a ValueError, parts that no fit makes together."""
    model, neighbours = model_of(state["autoencoder_"]), state["_neighbours"]
    features, distance = state["_features"], state["_distance"]
    n_features, size = model.schema.n_features, model.task.size
    width, n_axes = features.n_residuals + size, len(distance.axes)
    n_columns = len(range(width)[features.columns])
    arrays = {
        "known": (features.known, (2 * n_features,)),
        "units": (features.units, (width,)),
        "centre": (distance.centre, (width,)),
        "axes": (distance.axes, (n_axes, width)),
        "gains": (distance.gains, (n_axes,)),
        "training_scores_": (state["training_scores_"], state["training_scores_"].shape[:1]),
        "calibration_scores_": (
            state["calibration_scores_"],
            state["calibration_scores_"].shape[:1],
        ),
    }
    if features.constant is not None:
        arrays["constant"] = features.constant, (width - size,)
    if neighbours is not None:
        arrays["kept rows"] = neighbours.rows, (max(len(neighbours.rows), 1), max(n_columns, 1))
    for name, (array, shape) in arrays.items():
        kind = bool if name in ("known", "constant") else np.float64
        if array.dtype != kind or array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name} of shape {array.shape} and type {array.dtype} does not fit")
    numbers = features.unseen, distance.rest, state["offset_"]
    if not (
        np.isfinite(numbers).all() and (features.units > 0).all() and (distance.gains > 0).all()
    ):
        raise ValueError("units, gains and numbers of a detector must be finite, and positive")
    if state["n_features_in_"] != n_features or not len(state["training_scores_"]):
        raise ValueError(f"the autoencoder has {n_features} columns, and scores of its rows")
    if distance.rest < 0 or not hasattr(state["autoencoder_"], "reconstruct"):
        raise ValueError(f"rest={distance.rest!r}, or an encoder without a decoder")


def _n_columns(rows):
    """Return the number of columns of rows of any kind."""
    shape = getattr(rows, "shape", None)
    return (np.asarray(rows).shape if shape is None else shape)[-1]


def _kept(features, distance, values, weight):
    """Return the training rows that others are compared with; None if the columns do not enter."""
    columns = values[:, features.columns]
    if not columns.shape[1]:
        return None
    most = min(KEPT, KEPT_CELLS // columns.shape[1])
    return Neighbours.among(columns, distance.squares(distance.completed(values)), weight, most)


def _squares(features, distance, neighbours, values):
    """Return D, or the root of D N if there are neighbours (not in files of old); NaN where no cell is."""
    squares = distance.squares(distance.completed(values))
    squares *= values.shape[1] / np.sum(~np.isnan(values), axis=1)
    if neighbours is not None:
        squares = np.sqrt(squares * neighbours.squares(values[:, features.columns]))
    return np.where(np.isnan(values[:, : features.n_residuals]).all(axis=1), np.nan, squares)


def _shares(features, distance, neighbours, values):
    """Return the share of each feature in D, or its mean share in D and N; NaN where it is missing."""
    shares = _over_sum(distance.whitened(distance.completed(values)) ** 2, np.isnan(values))
    if neighbours is not None:
        columns = values[:, features.columns]
        shares[:, features.columns] += _over_sum(neighbours.parts(columns), np.isnan(columns))
        shares /= 2
    return shares


def _over_sum(parts, missing):
    """Return parts over their sum, NaN where missing."""
    parts = np.where(missing, np.nan, parts)
    sums = np.nansum(parts, axis=1, keepdims=True)
    return np.divide(parts, sums, out=parts, where=sums > 0)


def _without_nothing(scores, known):
    """Return scores, the lowest of the known ones for rows without any cell."""
    nothing = np.isnan(scores)
    if not nothing.any():
        return scores
    warnings.warn(
        f"No cell is present in {counted(nothing.sum(), 'row')}: the score there is that of the most "
        "abnormal training row. Leave such rows out if that is not what you want.",
        UserWarning,
        stacklevel=3,
    )
    return np.where(nothing, np.nanmin(known), scores)
