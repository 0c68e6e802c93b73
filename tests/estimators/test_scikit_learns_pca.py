"""scikit-learn's own tests of PCA and IncrementalPCA, with a linear autoencoder in their place.

They come with scikit-learn; nothing of them is copied. Each runs with
``svd_solver="full"`` and dense NumPy. Those left out are named, with the
reason, and at least 90 % of the others pass.
"""

from types import FunctionType

import pytest
import sklearn
from sklearn.utils import gen_batches
from sklearn.utils.fixes import parse_version

import skae

of_pca = pytest.importorskip("sklearn.decomposition.tests.test_pca")
of_incremental = pytest.importorskip("sklearn.decomposition.tests.test_incremental_pca")

SOLVERS = "of the solvers: they compare two, or ask which was taken"
SPARSE = "of sparse input"
MESSAGES = "of the wording of PCA's own errors"
MINKA = "of scikit-learn's private function of Minka's evidence: PCA is not called"
ARRAY_API = "of the array API"
LIKELIHOOD = "of score as a log-likelihood: here it is the explained share"
LEFT_OUT = {
    "test_pca_sparse": SPARSE,
    "test_pca_sparse_fit_transform": SPARSE,
    "test_sparse_pca_solver_error": SPARSE,
    "test_sparse_pca_auto_arpack_singular_values_consistency": SPARSE,
    "test_incremental_pca_sparse": SPARSE,
    "test_pca_solver_equivalence": SOLVERS,
    "test_pca_singular_values_consistency": SOLVERS,
    "test_pca_score_consistency_solvers": SOLVERS,
    "test_pca_svd_solver_auto": SOLVERS,
    "test_pca_randomized_svd_n_oversamples": SOLVERS,
    "test_n_components_mle_error": SOLVERS,
    "test_pca_validation": MESSAGES,
    "test_incremental_pca_validation": MESSAGES,
    "test_assess_dimension_bad_rank": MINKA,
    "test_assess_dimension_rank_one": MINKA,
    "test_small_eigenvalues_mle": MINKA,
    "test_pca_array_api_compliance": ARRAY_API,
    "test_pca_mle_array_api_compliance": ARRAY_API,
    "test_array_api_error_and_warnings_on_unsupported_params": ARRAY_API,
    "test_pca_score": LIKELIHOOD,
    "test_pca_score3": LIKELIHOOD,
}
FAILING = {
    "test_incremental_pca_partial_fit_float_division": "n_samples_seen_ is called n_samples_",
    "test_pca_dtype_preservation": "components_ are float64, of float32 rows too",
}
LEAST_SHARE = 0.9


class PCA(skae.AutoencoderTransformer):
    """A linear autoencoder behind the signature of PCA."""

    def __init__(
        self,
        n_components=None,
        *,
        copy=True,
        whiten=False,
        svd_solver="auto",
        tol=0.0,
        iterated_power="auto",
        n_oversamples=10,
        power_iteration_normalizer="auto",
        random_state=None,
    ):
        super().__init__(
            n_components, hidden_layer_sizes=(), whiten=whiten, random_state=random_state
        )
        self.copy, self.svd_solver = copy, svd_solver

    _get_param_names = skae.AutoencoderTransformer._get_param_names


class IncrementalPCA(skae.AutoencoderTransformer):
    """A linear autoencoder behind the signature of IncrementalPCA: a stream of batches."""

    def __init__(self, n_components=None, *, whiten=False, copy=True, batch_size=None):
        super().__init__(n_components, hidden_layer_sizes=(), whiten=whiten)
        self.rows_a_batch = batch_size

    _get_param_names = skae.AutoencoderTransformer._get_param_names

    def fit(self, X, y=None):
        """Learn from the batches that IncrementalPCA makes of the rows."""
        size = self.rows_a_batch or 5 * X.shape[1]
        self.__dict__.pop("_model", None)
        for batch in gen_batches(len(X), size, min_batch_size=self.n_components or 0):
            self.partial_fit(X[batch])
        return self


def functions(module):
    return {
        name: function
        for name, function in vars(module).items()
        if name.startswith("test_") and isinstance(function, FunctionType)
    }


def with_the_full_solver(mark):
    """Return a parametrize mark without other solvers than "full"."""
    if mark.name != "parametrize":
        return mark
    names, values = mark.args[0], mark.args[1]
    names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    places = [names.index(name) for name in ("svd_solver", "solver") if name in names]
    if not places:
        return mark
    kept = [v for v in values if (v if len(names) == 1 else v[places[0]]) == "full"]
    return pytest.mark.parametrize(mark.args[0], kept, **mark.kwargs).mark


def adapted(function):
    """Return a copy of a test function that calls itself with the full solver alone."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    copy.pytestmark = [with_the_full_solver(m) for m in getattr(function, "pytestmark", [])]
    if function.__name__ in FAILING:
        reason = FAILING[function.__name__]
        copy.pytestmark.append(pytest.mark.xfail(reason=reason, strict=True).mark)
    return copy


COUNTED = {
    (module, name): function
    for module in (of_pca, of_incremental)
    for name, function in functions(module).items()
    if name not in LEFT_OUT
}
for (module, name), function in COUNTED.items():
    prefix = "test_of_pca" if module is of_pca else "test_of_incremental_pca"
    globals()[f"{prefix}__{name}"] = adapted(function)


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture(autouse=True)
def in_their_place(monkeypatch):
    monkeypatch.setattr(of_pca, "PCA", PCA)
    monkeypatch.setattr(of_incremental, "IncrementalPCA", IncrementalPCA)


def test_enough_of_them_pass():
    names = [name for _, name in COUNTED]
    assert set(FAILING) <= set(names)
    assert len(names) >= 40
    assert 1 - len(FAILING) / len(names) >= LEAST_SHARE


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="names tests of 1.9"
)
def test_what_is_left_out_exists():
    known = {*functions(of_pca), *functions(of_incremental)}
    assert not set(LEFT_OUT) - known
