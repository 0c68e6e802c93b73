"""Estimators and streams: the fit of one, and methods that go over it block by block."""

from contextlib import contextmanager
from functools import partial, wraps
from itertools import chain
from numbers import Integral

from sklearn.utils.validation import check_is_fitted

from skae import _model as fitted_models
from skae import _training
from skae._data.reading import HeldOut, opened
from skae._data.streams import Stream, located
from skae._parameters import counted, private_random_state

TAKEN = (
    "AdversarialAutoencoder",
    "AutoencoderTransformer",
    "ContractiveAutoencoder",
    "ContrastiveEncoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "RecurrentAutoencoder",
    "SparseAutoencoder",
    "VAETransformer",
)


def by_block(method):
    """Let a method that takes rows take a `Stream` of them, too: it gives an iterator then."""

    @wraps(method)
    def over_blocks(self, X, *args, **kwargs):
        if not isinstance(X, Stream):
            return method(self, X, *args, **kwargs)
        check_is_fitted(self)
        return _each(partial(method, self), X, args, kwargs)

    return over_blocks


def fitted_by_block(method):
    """Let ``fit_transform`` take a `Stream`: it gives an iterator over codes then."""

    @wraps(method)
    def over_blocks(self, X, y=None, **fit_params):
        if isinstance(X, Stream):
            return self.fit(X, y, **fit_params).transform(X)
        return method(self, X, y, **fit_params)

    return over_blocks


def _each(function, stream, args, kwargs):
    for part in stream.parts:
        for where, X, _ in stream.tables(part):
            with located(where):
                made = function(X, *args, **kwargs)
            yield made


def score_of_stream(estimator, stream):
    """Return the `score` of the rows of a stream."""
    check_is_fitted(estimator)
    blocks = _each(lambda X: estimator._known(X)[1], stream, (), {})
    first = next(blocks, None)
    if first is None:
        raise ValueError(f"{stream} has no rows to score.")
    return fitted_models.scores_of(estimator._model).score_of_blocks(chain([first], blocks))


def is_taken(estimator):
    """Return whether an estimator is fitted to rows that are not in memory together."""
    return bool({kind.__name__ for kind in type(estimator).__mro__} & set(TAKEN))


def refuse_stream(estimator, sample_weight):
    """Refuse what cannot be done with a stream yet, before it is read."""
    name = type(estimator).__name__
    if not is_taken(estimator):
        raise TypeError(
            f"{name} takes no streams yet: {', '.join(TAKEN)} do. Pass an array or a frame."
        )
    if sample_weight is not None:
        raise ValueError(
            "sample_weight goes with rows in memory: of a stream, name the column that holds the "
            "weights, skae.stream(..., weight=...)."
        )
    if estimator.checkpoint is not None and estimator.random_state is None:
        raise ValueError(
            f"checkpoint={estimator.checkpoint!r}: a fit of a stream can resume only if it holds out "
            "the same rows. Set random_state to an int."
        )
    if getattr(estimator, "pretraining", None) is not None:
        raise ValueError(
            f"pretraining={estimator.pretraining!r} needs rows in memory: leave it out with a stream."
        )


@contextmanager
def opened_by(estimator, stream, before, draws):
    """Yield the `Reading` of a stream for the fit of an estimator.

    ``before`` is the model to go on with; ``draws`` says whether rows are to be held out.
    """
    known = {}
    if before is not None:
        estimator._check_unchanged(before)
        known = {"schema": before.schema, "mean": before.baseline.mean}
    held_out = None
    if draws and getattr(estimator, "early_stopping", False):
        held_out = partial(_training.n_held_out, estimator.validation_fraction)
    seed = private_random_state(estimator.random_state).randint(2**31 - 1)

    def check(schema, X):
        estimator._task(schema).check_rows(X)

    chosen = HeldOut(seed, held_out)
    with opened(stream, estimator._columns(), chosen, check, **known) as reading:
        yield reading


def task_and_rows(estimator, reading, before):
    """Return the task of a stream, its rows, and which are trained on and held out, where it is long."""
    task = estimator._task(reading.schema)
    task = task if before is None else task.going_on(before.task)
    rows, pair = reading.rows_of(task.schema)
    asked = estimator.n_components
    if isinstance(asked, Integral) and len(rows) < asked:
        raise ValueError(
            f"The stream has {counted(len(rows), 'row')}, fewer than n_components={asked}: pass more rows, or "
            "ask for fewer components."
        )
    estimator._progress(None, reading.meter).first_pass()
    return task, rows, pair and [pair]
