"""Looking inside: the nets of a fit and the model that it left. One place to change."""

import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._data.batches import StandardisedRows
from skae._data.rows import Rows


def model_of(estimator):
    """Return the fitted model of an estimator."""
    return estimator._model


def objective_of(estimator):
    """Return what a fitted estimator was trained to minimise, in float64."""
    model = model_of(estimator)
    return model.task.objective(model.present_baseline).double()


def standardised(X, weight=None, mean=0.0, scale=1.0):
    """Return rows as training reads them."""
    ones = torch.ones(X.shape[1], dtype=torch.float64).numpy()
    return StandardisedRows(Rows(X, weight=weight), mean * ones, scale * ones)


class Ready(Exception):
    """Ends a fit where a net is about to be trained."""


def net_of(fit, *args, **kwargs):
    """Return the first net of a fit before its first epoch: its module is at the baseline."""

    def stop(net, *args, **kwargs):
        raise Ready(net)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NeuralNet, "on_train_begin", stop)
        with pytest.raises(Ready) as ready:
            fit(*args, **kwargs)
    return ready.value.args[0]


def nets_of(fit, *args, **kwargs):
    """Return all nets of a fit, in the order in which they were made; the fit runs to its end."""
    initialize, nets = NeuralNet.initialize, []

    def keep(net):
        nets.append(net)
        return initialize(net)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NeuralNet, "initialize", keep)
        fit(*args, **kwargs)
    return nets


class Widths(Callback):
    """Keeps the number of columns that trainings see."""

    seen = set()  # of all its clones

    def on_train_begin(self, net, **_):
        self.seen.add(net.rows.n_features)


def widths(X, n_components=2, y=None, kind=AutoencoderTransformer, **params):
    """Return the numbers of columns that the trainings of a fit saw."""
    Widths.seen.clear()
    params = {"max_iter": 2, "random_state": 0, "callbacks": [Widths()]} | params
    kind(n_components, **params).fit(X, y)
    return set(Widths.seen)
