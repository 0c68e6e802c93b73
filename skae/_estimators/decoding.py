"""What a decoder adds to an estimator: the way back, errors, the score, ways between rows."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, check_is_fitted

from skae._data.frames import one_row
from skae._estimators.tables import DTYPES
from skae._parameters import count, private_random_state
from skae.metrics import explained_share

LEAST_SINE = 1e-6  # of the angle between two codes that gives an arc


class Decoding:
    """The part of `BaseAutoencoder` that needs a decoder."""

    def inverse_transform(self, Z):
        """Return the rows that codes stand for.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            In the dtype of Z and the units of the training rows. A frame like
            that of the fit, where it had categories or dates, or where
            `set_output` asks for frames.
        """
        return self._give(self._decode_cells(self._check_codes(Z)), Z)

    def _check_codes(self, Z):
        check_is_fitted(self)
        with np.errstate(invalid="ignore"):  # of the sum by which infinities are looked for
            Z = check_array(Z, dtype=DTYPES, input_name="Z")
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but this {type(self).__name__} has "
                f"{self.n_components_} components: pass what transform returned."
            )
        return Z

    def reconstruct(self, X):
        """Return ``inverse_transform(transform(X))``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        reconstruction : ndarray or frame of shape (n_samples, n_features)
        """
        return self._give(self._decode_cells(self._encode(self._check_known(X))), X)

    def impute(self, X):
        """Return rows with their missing cells filled: what was present stays as it is.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        filled : frame or ndarray of shape (n_samples, n_features)
            Like ``X``, with the reconstruction in place of missing cells. A
            column without any cell in ``fit`` stays missing.
        """
        check_is_fitted(self)
        coded = self._check_known(X)
        return self._filled(X, self._decode_cells(self._encode(coded)))

    def reconstruction_error(self, X, per_feature=False):
        """Return the squared reconstruction error of rows, in the squared units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        per_feature : bool, default=False
            Give each cell's error rather than their sum over the row.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            float64. Of the cells that are present (NaN for others). In a
            table with categories or dates each column is in units of its own
            baseline: squares of the standard deviation for numbers, nats over
            the entropy of the levels for categories.
        """
        X = self._check_known(X)
        if self._blocks is not None:
            return self._table_error(X, per_feature)
        X = X.toarray() if sparse.issparse(X) else X
        error = np.subtract(X, self._decode(self._encode(X)), dtype=np.float64)
        error *= error
        return error if per_feature else np.nansum(error, axis=1)

    def score(self, X, y=None):
        r"""Return the share of the variance of ``X`` that the reconstruction explains.

        .. math:: 1 - \frac{\sum_{ij} (x_{ij} - \hat x_{ij})^2}{\sum_{ij} (x_{ij} - \bar x_j)^2}

        ``PCA.score`` is a log-likelihood in nats instead: a search over both
        needs ``scoring=skae.metrics.reconstruction_score``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        score : float
            At most 1; larger is better.
        """
        X = self._check_known(X)
        if self._blocks is not None:
            return self._table_score(X)
        X = X.toarray() if sparse.issparse(X) else X
        return explained_share(X, self._decode(self._encode(X)))

    def score_by_column(self, X):
        r"""Return the share of each column that the reconstruction explains.

        For numbers :math:`1 - \sum_i (x_i - \hat x_i)^2 / \sum_i (x_i - \bar x)^2`;
        for categories :math:`1 - \sum_i \log \hat p_{x_i} / \sum_i \log p_{x_i}`,
        with p the shares of the levels in ``X``. Cells that are present count.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_features_in_,)
            At most 1; NaN for a column without any cell. A constant column
            gives 1 if it is reconstructed exactly, else 0.
        """
        X = self._check_known(X)
        X = X.toarray() if sparse.issparse(X) else X
        if self._blocks is not None:
            return self._table_scores(X, self._cell_errors(X))
        made = self._decode(self._encode(X))
        shares = (explained_share(X[:, [j]], made[:, [j]]) for j in range(X.shape[1]))
        return np.where(np.isnan(X).all(axis=0), np.nan, list(shares))

    def interpolate(self, a, b, n_steps=10, path="linear"):
        """Return rows on the way from ``a`` to ``b``, whose codes lie between theirs.

        Parameters
        ----------
        a, b : array-like of shape (n_features,)
            Two rows.
        n_steps : int, default=10
            Number of rows to return, at least 2.
        path : {"linear", "spherical"}, default="linear"
            "linear" is the straight line between the codes. "spherical" turns
            around zero in whitened units, and the length changes evenly
            (Shoemake, 1985, DOI 10.1145/325165.325242; White, 2016,
            https://arxiv.org/abs/1609.04468): codes of many normal units
            have like lengths, and the middle of a line between two is shorter than
            any of them. Where a code is zero or both are opposite, no
            arc is given, and the line is taken.

        Returns
        -------
        rows : ndarray of shape (n_steps, n_features)
            From the reconstruction of ``a`` to that of ``b``.
        """
        on_path, share = way(n_steps, path)
        codes = self._codes_of_ends(a, b)
        unit = self._units(codes.dtype)[2]
        rows = self._decode_cells(on_path(*codes / unit, share.astype(codes.dtype)) * unit)
        return self._give(rows)

    def _codes_of_ends(self, a, b):
        """Return the codes of two rows."""
        check_is_fitted(self)
        if self._blocks is not None:
            return np.vstack([self._encode(self._check_known(one_row(end))) for end in (a, b)])
        return self._encode(self._ends(a, b))

    def _ends(self, a, b):
        """Return two rows of complete numbers, whatever names their columns have."""
        check_is_fitted(self)
        ends = check_array(np.vstack([np.ravel(a), np.ravel(b)]), dtype=DTYPES)
        if ends.shape[1] != self.n_features_in_:
            raise ValueError(
                f"The rows have {ends.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        return ends


class DecodedPrior:
    """The part of generators whose rows are what the decoder makes of normal codes."""

    def sample(self, n_samples=1, random_state=None):
        """Draw new rows: codes from the prior, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            float64: ``inverse_transform`` of standard normal codes.
        """
        n_samples = count(n_samples, "n_samples")
        check_is_fitted(self)
        codes = private_random_state(random_state).standard_normal((n_samples, self.n_components_))
        return self._give(self._decode_cells(codes))


def _line(a, b, share):
    """Return vectors on the line from ``a`` to ``b``."""
    return (1 - share) * a + share * b


def _arc(a, b, share):
    """Return vectors whose angle and length change evenly; on the line, where no angle is given."""
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if min(lengths) == 0:
        return _line(a, b, share)
    a, b = a / lengths[0], b / lengths[1]
    angle = 2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
    if np.sin(angle) < LEAST_SINE:
        return _line(lengths[0] * a, lengths[1] * b, share)
    directions = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return directions * _line(*lengths, share)


PATHS = {"linear": _line, "spherical": _arc}


def way(n_steps, path):
    """Return the function of a path, and the shares of the way at each step."""
    if n_steps < 2:
        raise ValueError(f"n_steps={n_steps}: a way needs at least 2 steps, its two ends.")
    if path not in PATHS:
        raise ValueError(f"path={path!r}: expected one of {sorted(PATHS)}.")
    return PATHS[path], np.linspace(0, 1, n_steps)[:, None]
