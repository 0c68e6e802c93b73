"""What each component means, in numbers."""

import numpy as np
import pandas as pd
from scipy import linalg
from sklearn.base import clone

from skae._linear.mixed import linear_code
from skae._linear.pca import pca
from skae._parameters import count, private_random_state
from skae.inspection._code import Code
from skae.inspection._effects import kinds_of_curves, local_effects

ROUNDING = 1e-9  # slopes below it, in deviations of the column a deviation of the code, are none


def component_report(ae, X, *, n_refits=0, random_state=None):
    r"""Return what each component means: its loadings, their linearity, and what it explains.

    With g the decoder, z the codes of the n rows of ``X`` and s their standard
    deviations, the loading of column j on component k is

    .. math:: l_{kj} = s_k \frac{1}{n} \sum_i \frac{\partial g_j}{\partial z_k}(z_i)

    the mean change of the column, in its own units, when the component changes
    by one standard deviation. If PCA was kept it is PCA's loading,
    ``components_ * sqrt(explained_variance_)``. The derivatives are central
    differences in float64.

    Parameters
    ----------
    ae : fitted autoencoder
        Any estimator of skae that has `inverse_transform`. (`ConditionalVAE`
        infers the labels.)
    X : frame or array-like of shape (n_samples, n_features)
        At least 2 rows: the training rows, or others like them. Memory is several times
        that of X in float64, so pass a sample of very many rows.
    n_refits : int, default=0
        Number of refits on bootstrap samples of ``X``, for the stability of
        components. Each takes as long as the first fit.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples. None never touches numpy's global generator.

    Returns
    -------
    report : DataFrame
        One row for each component and column of X. The index has the levels
        "component" (from 0) and "column"; in a table with categories also
        "level" (None for numbers; "(rare levels)" for pooled
        ones). For images "channel", "row" and "column", and for
        sequences "step" and "channel", take the place of "column". For each column:

        - ``loading``: in units of X; for dates and durations in seconds; for a level the
          change of its probability. float64.
        - ``linear_share``: the squared mean of the derivative over its mean
          square, from 0 to 1: 1 for a straight line, near 0 if the
          column goes up as much as down, and its loading says little.
        - ``kind``: the form of the accumulated local effects (Apley & Zhu,
          2020) over up to 20 bins with equally many rows. "linear": nowhere further from a
          straight line than 5 % of the curve's range. "monotone": at
          most 5 % of its path goes against its main direction. "one turn": both
          parts of a curve with one turn are monotone in this sense. Otherwise "other".

        For each component, the same in all of its rows:

        - ``unique_share``: by how much the `score` of ``X`` falls if the
          component is set to its mean.
        - ``explained_share``: only with ``ordered=True``: what the component adds
          to the `score` of those before it.
        - ``angle_to_pca``: angle in degrees between the loadings and the space
          spanned by as many components of PCA of ``X``: 0 for a
          component within it. For tables, in the columns of
          factor analysis of mixed data. NaN for a component without any loading.
        - ``stability``: only with ``n_refits``: mean absolute correlation of
          the component with that of the refits, over ``X``. Ordered components are
          matched by position, others by the best rotation (Procrustes).

    Raises
    ------
    ValueError
        If ``ae`` has no decoder or ``X`` has a single row.

    References
    ----------
    D. W. Apley, J. Zhu. Visualizing the effects of predictor variables in black
    box supervised learning models. Journal of the Royal Statistical Society B
    82, 2020. DOI 10.1111/rssb.12377

    P. H. Schönemann. A generalized solution of the orthogonal Procrustes
    problem. Psychometrika 31, 1966. DOI 10.1007/BF02289451

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import component_report
    >>> X = load_iris(as_frame=True).data
    >>> ae = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    >>> report = component_report(ae, X)
    >>> report.loc[0, "loading"].round(2).to_dict()
    {'sepal length (cm)': 0.74, 'sepal width (cm)': -0.17, 'petal length (cm)': 1.76, 'petal width (cm)': 0.74}
    >>> report.groupby("component")["unique_share"].first().round(3).tolist()
    [0.925, 0.053]
    """
    if n_refits != 0:
        n_refits = count(n_refits, "n_refits")
    code = Code.of(ae, X)
    stability = _stability(code, X, n_refits, random_state) if n_refits else None
    added, space = _added_shares(code, X), _pca_axes(code)
    whole, parts = ae.score(X), []
    for component in range(code.values.shape[1]):
        part = _of_columns(code, component)
        part["unique_share"] = whole - code.score_without(component)
        if added is not None:
            part["explained_share"] = added[component]
        part["angle_to_pca"] = _angle(part["loading"].to_numpy() * code.metric, space)
        if stability is not None:
            part["stability"] = stability[component]
        parts.append(part)
    return pd.concat(parts, keys=range(len(parts)), names=["component"])


def _of_columns(code, component):
    slopes = code.slopes(component)
    mean, square = slopes.mean(axis=0), np.mean(slopes**2, axis=0)
    deviation = code.deviations[component]
    moves = deviation**2 * square > (ROUNDING * code.spread) ** 2
    share = np.divide(mean**2, square, where=moves, out=np.ones(len(mean)))
    edges, effects = local_effects(code, component)
    kinds = kinds_of_curves(edges, effects, code.spread)
    columns = {"loading": deviation * mean, "linear_share": share, "kind": kinds}
    return pd.DataFrame(columns, code.index)


def _added_shares(code, X):
    """Return what each component adds to the score of those before it; None without an order."""
    if not code.model.task.ordered:
        return None
    sizes = range(1, code.values.shape[1] + 1)
    return np.diff([code.estimator.truncate(k).score(X) for k in sizes], prepend=0.0)


def _pca_axes(code):
    """Return the axes of as many components of PCA of the rows, orthonormal."""
    schema = code.model.schema
    rows = schema.rows(code.rows[:, : schema.n_features], mean=code.model.baseline.mean)
    k = min(code.values.shape[1], len(rows), rows.width)
    found = pca if rows.blocks is None else linear_code
    axes = found(rows, k, np.random.RandomState(0)).components
    return axes[axes.any(axis=1)]


def _angle(loading, axes):
    """Return the angle between a vector and a space, in degrees."""
    inside = axes @ loading
    outside = np.linalg.norm(loading - inside @ axes)
    return np.degrees(np.arctan2(outside, np.linalg.norm(inside))) if loading.any() else np.nan


def _stability(code, X, n_refits, random_state):
    """Return how well components are found again in draws with replacement, which weigh the rows."""
    if code.model.task.n_labels:
        raise ValueError(
            f"n_refits={n_refits}: {type(code.estimator).__name__} is fitted with labels, which "
            "component_report does not take. Set n_refits=0."
        )
    rng, n = private_random_state(random_state), len(code.rows)
    anew = clone(code.estimator).set_params(
        n_components=code.values.shape[1], warm_start=False, checkpoint=None
    )
    found = []
    for _ in range(n_refits):
        weight = rng.multinomial(n, np.full(n, 1 / n)).astype(float)
        other = Code.of(anew.fit(X, sample_weight=weight), X).values
        found.append(_agreement(code.values, other, code.model.task.ordered))
    return np.mean(found, axis=0)


def _agreement(codes, others, ordered):
    """Return the absolute correlation of each component with its counterpart."""
    codes, others = map(_standardised, (codes, others))
    if not ordered:
        others = _standardised(others @ linalg.orthogonal_procrustes(others, codes)[0])
    return np.abs(np.mean(codes * others, axis=0))


def _standardised(codes):
    deviation = codes.std(axis=0)
    return (codes - codes.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
