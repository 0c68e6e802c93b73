"""Every public estimator, made small: for laws that all of them keep."""

import numpy as np
from sklearn.datasets import load_digits

import skae

SMALL = {"n_components": 3, "max_iter": 3, "random_state": 0}


def _public():
    found = [getattr(skae, name) for name in skae.__all__]
    return [kind for kind in found if hasattr(kind, "fit")]


PUBLIC = _public()
TRAINED = [kind for kind in PUBLIC if "max_iter" in kind().get_params()]
CODING = [kind for kind in TRAINED if hasattr(kind, "transform")]
GIVING_BACK = [kind for kind in CODING if hasattr(kind, "inverse_transform")]


def name_of(kind):
    return kind.__name__


def small(kind, n_columns=64, **changes):
    """Return an estimator with a short training, for rows of so many columns."""
    params = SMALL | {"autoencoder": skae.AutoencoderTransformer(3, max_iter=3)} | changes
    if n_columns != 64:
        params = {"image_shape": (1, n_columns)} | params
    params = {
        "sequence_shape": (n_columns // 8, 8) if n_columns % 8 == 0 else (n_columns, 1)
    } | params
    known = kind().get_params(deep=False)
    return kind(**{name: value for name, value in params.items() if name in known})


def fitted(kind, X, y, **changes):
    """Return a small estimator, fitted to rows; all take labels, most ignore them."""
    return small(kind, np.shape(X)[1], **changes).fit(X, y)


def decoded(model, code, y):
    """Return the rows of codes; one estimator asks for their labels."""
    return model.inverse_transform(
        *((code, y) if "Conditional" in name_of(type(model)) else (code,))
    )


def labelled_digits(n_rows=150):
    """Return rows of 64 columns, and labels."""
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], y[:n_rows]


def rows_of_heads(n_rows=200):
    """Return rows and numbers to be predicted, for which heads of different kinds are best.

    Three columns are noisy maps of two numbers, which the code of two components holds; the
    others, whose variance is small beside theirs, are in no code.
    """
    rng = np.random.default_rng(0)
    inside, beside = rng.normal(size=(n_rows, 2)), rng.normal(size=(n_rows, 2))
    X = 3 * inside @ rng.normal(size=(2, 3)) + 0.1 * rng.normal(size=(n_rows, 3))
    numbers = {
        "a circle of codes": (inside**2).sum(axis=1) - 1.4,
        "a column": beside[:, 0],
        "two columns": beside[:, 0] * beside[:, 1],
    }
    return np.hstack([X, beside]), numbers
