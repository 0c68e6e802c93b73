"""What models say of drawn rows: what can be learned of them, and what tells them from real ones."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

BELOW = -1e300  # a number below all others: trees part it as they part a missing cell
FOLDS = 5
SEED = 0


def efficacy(rows, holdout, place):
    """Return how well a model that was trained on rows predicts a column of held-out ones."""
    if len(rows.columns) < 2:
        return np.nan  # there is nothing to predict it from
    (X, few), (X_test, _) = rows.matrix(place), holdout.matrix(place)
    y, y_test = rows.columns[place].cells, holdout.columns[place].cells
    known, of_test = ~np.isnan(y), ~np.isnan(y_test)
    X, y, X_test, y_test = X[known], y[known], X_test[of_test], y_test[of_test]
    X, X_test = _with_cells(X, few, X, X_test)
    settings = {"categorical_features": few, "random_state": SEED}
    if rows.columns[place].n_levels is None:
        unit = 2.0 ** np.frexp(np.abs(y).max(initial=0))[1]  # the trees' gradients are float32
        y, y_test = y / unit, y_test / unit
        return r2_score(y_test, HistGradientBoostingRegressor(**settings).fit(X, y).predict(X_test))
    if len(np.unique(y)) < 2:
        return 0.5  # it predicts the same everywhere
    model = HistGradientBoostingClassifier(**settings).fit(X, y)
    return _area(model, X_test, y_test)


def _area(model, X, y):
    """Return the mean area under the ROC curves of the levels that occur."""
    shares = dict(zip(model.classes_, model.predict_proba(X).T, strict=True))
    levels, areas = np.unique(y), []
    for level in levels if len(levels) > 1 else ():
        areas.append(roc_auc_score(y == level, shares.get(level, np.zeros(len(y)))))
    return np.mean(areas) if areas else np.nan


def detection(rows, holdout):
    """Return how hard it is to tell rows from held-out ones."""
    n = min(len(rows), len(holdout))
    (a, few), (b, _) = rows.matrix(), holdout.matrix()
    X, is_real = np.vstack([_some(a, n), _some(b, n)]), np.repeat([0, 1], n)
    (X,) = _with_cells(X, few, X)
    model = HistGradientBoostingClassifier(categorical_features=few, random_state=SEED)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    shares = cross_val_predict(model, X, is_real, cv=folds, method="predict_proba")[:, 1]
    return 2 * (1 - max(roc_auc_score(is_real, shares), 0.5))


def _with_cells(X, are_categories, *tables):
    """Return tables with `BELOW` for missing numbers of columns that may have no cell in a fold of X.

    Boosted trees of scikit-learn cannot be fitted to a number that is missing in all rows.
    """
    few = (~np.isnan(X)).sum(axis=0) <= len(X) / FOLDS + 1
    few &= ~np.array(are_categories, dtype=bool)
    return [np.where(np.isnan(table) & few, BELOW, table) for table in tables]


def nearer(drawn, real, holdout):
    """Return the share of drawn rows that are nearer to training rows than to held-out ones."""
    n = min(len(real), len(holdout))
    unit = [_unit(column) for column in real]
    X, *others = (_places(rows, unit) for rows in (drawn, real, holdout))
    nearest = [
        NearestNeighbors(n_neighbors=1).fit(_some(Y, n)).kneighbors(X)[0][:, 0] for Y in others
    ]
    return np.mean((nearest[0] < nearest[1]) + (nearest[0] == nearest[1]) / 2)


def _unit(column):
    """Return centre and range of a number."""
    known = column.present if column.n_levels is None and len(column.present) else np.zeros(1)
    return known.mean(), np.ptp(known) or 1.0


def _places(rows, units):
    """Return rows as points: another level, and a missing cell, is 1 away."""
    parts = []
    for one, (centre, spread) in zip(rows, units, strict=True):
        missing = np.isnan(one.cells)
        if one.n_levels is None:
            parts += [np.where(missing, 0.0, (one.cells - centre) / spread), missing]
        else:
            parts.append(np.sqrt(0.5) * np.eye(one.n_levels + 1)[one.codes()])
    return np.column_stack(parts)


def _some(X, n):
    """Return n rows, drawn without replacement; always the same."""
    return X if n == len(X) else X[np.random.RandomState(SEED).permutation(len(X))[:n]]
