"""Ordered components of a fitted estimator: what its prefixes are worth, and models of them alone."""

from copy import deepcopy
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._parameters import private_random_state
from skae._training.progress import Progress
from skae.metrics import explained_share

TUNING_EPOCHS = 15  # on the rows that an ordered code's prefix is fine-tuned on


def _can_order(estimator):
    """Return whether an estimator has the parameter ``ordered``."""
    return "ordered" in estimator._architecture


class OrderedComponents:
    """The part of `BaseEncoder` that cuts a fitted code to its first components."""

    def _orders(self):
        """Return whether the components of the present network are ordered."""
        return self._built.get("ordered", False)

    @available_if(lambda estimator: _can_order(estimator))
    def truncate(self, n_components, fine_tune_on=None):
        """Return the fitted model of the first components alone; this one stays as it is.

        Only with ``ordered=True``. Without ``fine_tune_on`` nothing is
        trained, and ``transform`` gives the first columns of this model's.
        A model that is its linear start (``best_iter_`` 0) is left untrained
        in any case: it becomes the start of that many components, such as
        ``PCA(n_components)``.

        Parameters
        ----------
        n_components : int
            From 1 to ``n_components_``.
        fine_tune_on : array-like of shape (n_samples, n_features), default=None
            Rows to train the shorter code on for a few epochs: training rows,
            or some of them. No held-out rows judge this.

        Returns
        -------
        truncated : object
            A fitted estimator, with ``n_components`` as its parameter.

        Raises
        ------
        ValueError
            If ``n_components`` is out of range or components are not ordered.
        """
        check_is_fitted(self)
        if not self._orders():
            raise ValueError(
                f"truncate needs ordered components, but this {type(self).__name__} was fitted "
                f"with ordered=False: fit with ordered=True, or with n_components={n_components}."
            )
        if not (isinstance(n_components, Integral) and 1 <= n_components <= self.n_components_):
            raise ValueError(
                f"n_components={n_components!r}: expected an int from 1 to {self.n_components_}, "
                "the components of the fitted model. Fit again for more."
            )
        device = self.device_
        truncated = deepcopy(self).set_params(n_components=int(n_components))
        truncated.device_, truncated.module_ = device, truncated.module_.to(device)
        truncated._built["n_components"] = truncated.n_components
        truncated._keep_first(truncated.n_components)
        if fine_tune_on is not None:
            truncated._tune_on(fine_tune_on)
        return truncated

    def _start_scores(self, X):
        """Return the `score` of 1, 2, ... components of the linear start, chosen or not."""
        X, start = self._check_known(X), self._fitted_start()
        if self._blocks is not None:
            return self._table_start_scores(X, start)
        X = X.toarray() if sparse.issparse(X) else X
        rest = np.subtract(X, start.mean, dtype=np.float64)
        code = rest / start.scale @ start.encoder.T + start.offset
        scores = np.empty(len(start.components))
        for k, axis in enumerate(start.components):
            rest -= np.outer(code[:, k], axis)
            scores[k] = explained_share(X, X - rest)
        return scores

    def _tune_on(self, X):
        rows = self._check_rows(X, None, reset=False)
        if not self._nonlinear:
            return
        rng = private_random_state(self.random_state)
        with self._fitting(rng, Progress(self, X), self._settings(len(rows))) as fitting:
            self._fine_tune(fitting, rows)
        self._diagnose(rows)

    def _chooses_size(self):
        """Return whether held-out rows choose the number of components."""
        asked = self.n_components
        is_share = asked is not None and not isinstance(asked, Integral)
        own_modules = self.encoder is not None or self.decoder is not None
        can_compare = _can_order(self) and self.early_stopping and self._has_floor()
        return is_share and can_compare and not own_modules

    def _choose_size(self, fitting, shares, rows):
        """Keep the fewest components that explain the share asked for, or all, and train them on."""
        reached = np.flatnonzero(shares >= self.n_components)
        enough = self._nonlinear and len(reached) > 0
        self._keep_first(int(reached[0]) + 1 if enough else self.n_components_)
        if self._nonlinear:
            self._fine_tune(fitting, rows)

    def _keep_first(self, k):
        """Cut the fitted code to its first ``k`` components."""
        from skae.nn.build import take_prefix

        wide, self.n_components_, self._prefixes = self.module_, k, self._orders()
        module = self._empty_module().to(self.device_).eval().requires_grad_(False)
        take_prefix(module, wide, self._n_inputs, k)
        self.module_ = module
        self._code_scale, self._optimizer_state = self._code_scale[:k], None
        self.__dict__.pop("_module_float32", None)
        for name in ("components_", "explained_variance_ratio_", *self._told_of_units):
            if name in self.__dict__:
                setattr(self, name, getattr(self, name)[:k])

    def _fine_tune(self, fitting, rows):
        """Train the present code for a few epochs; no range of the trained maps shrinks."""
        from skae.nn.build import widen

        before, start = self.module_, self._present_start()
        fitting.settings = self._settings(len(rows))
        module = self._trainable_module(fitting.generator)
        rate = self.learning_rate_init
        module = fitting.polished(module, start, rows, rate, TUNING_EPOCHS)
        self._calibrate(module, start, rows)
        self._settle(module, start, rows if self._confined else None)
        widen(self.module_, before)
