"""What PCA's users look for: variances, covariance, sizes and streams, as PCA and IncrementalPCA say."""

import pickle

import numpy as np
import pytest
from family import CODING, fitted, labelled_digits, name_of
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.preprocessing import StandardScaler

import skae
from skae._data.rows import Rows

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TABLES = {
    "iris": load_iris().data,
    "wine": load_wine().data,
    "breast_cancer": StandardScaler().fit_transform(load_breast_cancer().data),
    "diabetes": 1000 * load_diabetes().data,
    "wide": np.random.RandomState(0).standard_normal((30, 200)) * np.linspace(1, 5, 200),
    "float32": load_wine().data.astype(np.float32),
}
WORDS = [
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "n_samples_",
    "n_components_",
]


def linear(n_components=0.95, **changes):
    return skae.AutoencoderTransformer(n_components, hidden_layer_sizes=(), **changes)


def assert_same(found, expected, words=(*WORDS, "noise_variance_"), rtol=1e-9):
    for word in words:
        a, b = getattr(found, word), getattr(expected, word)
        largest = np.max(np.abs(b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * largest + 1e-11, err_msg=word)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("n_components", [1, 3, None, 0.8])
@pytest.mark.parametrize("name", TABLES)
def test_linear_model_says_what_pca_says(name, n_components, ordered):
    X = TABLES[name].astype(np.float64) if name != "float32" else TABLES[name]
    if n_components is None and name == "wide":
        n_components = 29  # the rank: beyond it PCA's axes are any
    pca = PCA(n_components, svd_solver="full").fit(X.astype(np.float64))
    model = linear(n_components, ordered=ordered).fit(X)
    assert_same(model, pca)
    scale = np.abs(pca.get_covariance()).max()
    np.testing.assert_allclose(
        model.get_covariance(), pca.get_covariance(), rtol=1e-9, atol=1e-9 * scale
    )
    if pca.n_components_ < min(X.shape) - 1:
        scale = np.abs(pca.get_precision()).max()
        np.testing.assert_allclose(
            model.get_precision(), pca.get_precision(), rtol=1e-9, atol=1e-9 * scale
        )


def test_whitening_changes_none_of_it():
    X = TABLES["wine"]
    assert_same(linear(3, whiten=True).fit(X), PCA(3, svd_solver="full").fit(X))
    np.testing.assert_allclose(
        linear(3, whiten=True).fit(X).get_covariance(), linear(3).fit(X).get_covariance()
    )


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "float32"])
def test_mle_is_pcas_own_number(name):
    X = TABLES[name].astype(np.float64)
    expected = PCA("mle", svd_solver="full").fit(X).n_components_
    assert linear("mle").fit(TABLES[name]).n_components_ == expected


@pytest.mark.parametrize("seed", range(20))
def test_mle_of_drawn_tables(seed):
    rng = np.random.RandomState(seed)
    n_features = rng.randint(2, 20)
    rank, n_samples = rng.randint(1, n_features + 1), rng.randint(n_features, 200)
    X = rng.standard_normal((n_samples, rank)) @ rng.standard_normal((rank, n_features))
    X += rng.choice([0.01, 0.3, 1.0]) * rng.standard_normal(X.shape)
    expected = PCA("mle", svd_solver="full").fit(X).n_components_
    assert linear("mle").fit(X).n_components_ == expected


@quiet
def test_mle_of_a_network():
    X = TABLES["wine"]
    model = skae.VAETransformer("mle", max_iter=2, random_state=0).fit(X)
    assert model.n_components_ == PCA("mle").fit(X).n_components_


@pytest.mark.parametrize("shape", [(10, 11), (30, 200)])
def test_mle_needs_as_many_rows_as_columns(shape):
    with pytest.raises(ValueError, match="only supported if n_samples >= n_features"):
        linear("mle").fit(np.random.RandomState(0).standard_normal(shape))


# streams ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [2, 4])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_stream_is_incremental_pca(name, n_components, whiten):
    X = TABLES[name][np.random.RandomState(0).permutation(len(TABLES[name]))]
    expected, model = (
        IncrementalPCA(n_components, whiten=whiten),
        linear(n_components, whiten=whiten),
    )
    for number, batch in enumerate(np.array_split(X, 9)):
        expected.partial_fit(batch)
        model.partial_fit(batch)
        if number == 4:
            model = pickle.loads(pickle.dumps(model))
        expected.n_samples_ = expected.n_samples_seen_
        assert_same(model, expected, WORDS)
    code = expected.transform(X)
    np.testing.assert_allclose(model.transform(X), code, atol=1e-8 * np.abs(code).max())
    np.testing.assert_allclose(model.scale_, X.std(axis=0))


def test_stream_of_whole_rank_is_pca():
    X = TABLES["iris"]
    model = linear(4)
    for batch in np.array_split(X, 10):
        model.partial_fit(batch)
    assert_same(model, PCA(4, svd_solver="full").fit(X))


def test_stream_counts_what_earlier_batches_left():
    """IncrementalPCA's own noise knows of the last batch's directions alone."""
    X = labelled_digits(1000)[0]
    pca, incremental, model = PCA(5).fit(X), IncrementalPCA(5), linear(5)
    for batch in np.array_split(X, 10):
        incremental.partial_fit(batch)
        model.partial_fit(batch)
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_, rel=0.1)
    assert incremental.noise_variance_ < 0.5 * pca.noise_variance_


def test_stream_goes_on_from_a_fit():
    X = TABLES["iris"]
    model = linear(4).fit(X[:100]).partial_fit(X[100:])
    assert_same(model, PCA(4, svd_solver="full").fit(X))


def test_weights_of_a_stream_are_repetitions():
    X = TABLES["iris"]
    weight = np.random.RandomState(0).randint(1, 4, len(X)).astype(float)
    weighted, repeated = linear(3), linear(3)
    for part in np.array_split(np.arange(len(X)), 5):
        weighted.partial_fit(X[part], sample_weight=weight[part])
        repeated.partial_fit(np.repeat(X[part], weight[part].astype(int), axis=0))
    assert_same(weighted, repeated)


def test_linear_fit_is_pca_wherever_it_starts():
    X = TABLES["wine"]
    model = linear(3, warm_start=True).fit(X[:90]).fit(X)
    assert_same(model, PCA(3, svd_solver="full").fit(X))


# other models -----------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_variances_are_those_of_the_code(kind):
    X, y = labelled_digits()
    model = fitted(kind, X, y)
    code = model.transform(X, y) if "Conditional" in name_of(kind) else model.transform(X)
    np.testing.assert_allclose(model.explained_variance_, code.var(axis=0, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(model.singular_values_, np.linalg.norm(code - code.mean(0), axis=0))
    assert model.n_samples_ == len(X)
    assert not hasattr(model, "explained_variance_ratio_")


def adversarial(n_components, **changes):
    return skae.AdversarialAutoencoder(n_components, hidden_layer_sizes=(), **changes)


@pytest.mark.parametrize("n_components", [1, 3, None, 0.8])
@pytest.mark.parametrize("name", ["wine", "breast_cancer", "wide"])
def test_linear_adversarial_model_is_whitened_pca(name, n_components):
    n_components = 29 if n_components is None and name == "wide" else n_components
    X = TABLES[name]
    pca = PCA(n_components, svd_solver="full", whiten=True).fit(X)
    model = adversarial(n_components).fit(X)
    assert_same(model, pca, ["explained_variance_ratio_", "mean_", "noise_variance_"])
    np.testing.assert_allclose(model.transform(X), pca.transform(X), atol=1e-9)
    own = linear(n_components).fit(X).get_covariance()
    np.testing.assert_allclose(model.get_covariance(), own, atol=1e-9 * np.abs(own).max())


@pytest.mark.parametrize("n_components", [2, 4])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_stream_of_a_linear_adversarial_model_is_incremental_pca(name, n_components):
    X = TABLES[name][np.random.RandomState(0).permutation(len(TABLES[name]))]
    expected, model = linear(n_components), adversarial(n_components)
    for batch in np.array_split(X, 9):
        expected.partial_fit(batch)
        model.partial_fit(batch)
    assert_same(model, expected, ["explained_variance_ratio_", "mean_", "noise_variance_"])
    np.testing.assert_allclose(model.get_covariance(), expected.get_covariance(), rtol=1e-9)
    code = expected.transform(X) / np.sqrt(expected.explained_variance_)
    np.testing.assert_allclose(model.transform(X), code, atol=1e-8)


@quiet
def test_noise_is_the_mean_variance_of_what_is_left():
    X = labelled_digits()[0]
    model = skae.AutoencoderTransformer(3, max_iter=3, early_stopping=False).fit(X)
    left = np.sum((X - model.reconstruct(X)) ** 2) / (len(X) - 1)
    assert model.noise_variance_ == pytest.approx(left / (64 - 3))
    spoilt = np.where(np.random.RandomState(0).random_sample(X.shape) < 0.1, np.nan, X)
    assert skae.AutoencoderTransformer(3, max_iter=3).fit(spoilt).noise_variance_ > 0


@quiet
def test_a_trained_model_sees_its_rows_once(monkeypatch):
    """One pass tells where they lie, the variances of the code and what is left of each column."""
    monkeypatch.setattr(Rows, "raw_sum", None)
    about = {"max_iter": 2, "early_stopping": False}
    assert skae.AutoencoderTransformer(3, **about).fit(TABLES["wine"]).noise_variance_ > 0


@quiet
def test_whitened_code_keeps_its_variance_in_pcas_units():
    X = labelled_digits()[0]
    about = {"max_iter": 3, "early_stopping": False, "random_state": 0}
    plain, white = (
        skae.AutoencoderTransformer(3, whiten=whiten, **about).fit(X) for whiten in (False, True)
    )
    np.testing.assert_allclose(white.explained_variance_, plain.explained_variance_)


@quiet
def test_truncation_keeps_what_it_knows():
    X = labelled_digits(600)[0]
    cut = linear(8, ordered=True).fit(X).truncate(3)
    assert_same(cut, PCA(3, svd_solver="full").fit(X))
    network = skae.AutoencoderTransformer(4, ordered=True, early_stopping=False, max_iter=2).fit(X)
    first = network.truncate(2)
    np.testing.assert_array_equal(first.explained_variance_, network.explained_variance_[:2])
    assert not hasattr(first, "noise_variance_")
    assert network.truncate(2, fine_tune_on=X).noise_variance_ > network.noise_variance_
    vae = skae.VAETransformer(4, ordered=True, max_iter=2).fit(X).truncate(2)
    np.testing.assert_allclose(vae.explained_variance_, vae.transform(X).var(axis=0, ddof=1))


def test_covariance_of_a_linear_vae_is_pcas():
    X = TABLES["breast_cancer"]
    vae = skae.VAETransformer(5, hidden_layer_sizes=()).fit(X)
    pca = PCA(5, svd_solver="full").fit(X)
    np.testing.assert_allclose(vae.get_covariance(), pca.get_covariance(), atol=1e-9)
    np.testing.assert_allclose(vae.get_precision(), pca.get_precision(), atol=1e-9)


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_ratio_of_a_linear_vae_is_what_its_shrunk_codes_add(name):
    X = TABLES[name]
    shares = [
        skae.VAETransformer(k, hidden_layer_sizes=()).fit(X).explained_variance_ratio_.sum()
        for k in (1, 2, 3)
    ]
    scores = [skae.VAETransformer(k, hidden_layer_sizes=()).fit(X).score(X) for k in (1, 2, 3)]
    np.testing.assert_allclose(shares, scores, rtol=1e-9)
    assert (np.array(shares) < np.cumsum(PCA(3).fit(X).explained_variance_ratio_)).all()


def test_covariance_of_a_linear_conditional_vae_is_that_of_rows_of_one_label():
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    rest = X - np.array([X[y == label].mean(axis=0) for label in range(3)])[y]
    model = skae.ConditionalVAE(4, hidden_layer_sizes=()).fit(X, y)
    pca = PCA(4, svd_solver="full").fit(rest)
    np.testing.assert_allclose(model.get_covariance(), pca.get_covariance(), atol=1e-9)
    np.testing.assert_allclose(model.get_precision(), pca.get_precision(), atol=1e-9)
    assert not hasattr(model, "explained_variance_ratio_")


def test_covariance_is_there_where_the_parameters_say_so():
    low_rank = np.outer(np.arange(40.0), np.arange(1.0, 5.0))
    assert not hasattr(skae.AutoencoderTransformer(1).fit(low_rank), "get_covariance")
    assert hasattr(linear(), "get_covariance")
    assert hasattr(skae.RecurrentAutoencoder(hidden_layer_sizes=()), "get_precision")
    assert not hasattr(linear(linear_path=None), "get_covariance")
    assert not hasattr(skae.DenoisingAutoencoder(hidden_layer_sizes=()), "get_covariance")


def test_singular_covariance_is_refused():
    X = np.column_stack([TABLES["iris"], np.ones(150)])
    with pytest.raises(ValueError, match="singular.*fewer components"):
        linear(None).fit(X).get_precision()


@quiet
@pytest.mark.parametrize("word", ["explained_variance_ratio_", "get_covariance", "get_precision"])
def test_absent_words_say_how_to_get_them(word):
    for model in (skae.AutoencoderTransformer(2, max_iter=2), skae.ContrastiveEncoder(2)):
        with pytest.raises(AttributeError, match=rf"has no {word}: .*hidden_layer_sizes=\(\)"):
            getattr(model, word)
    model = skae.AutoencoderTransformer(2, max_iter=2).fit(labelled_digits()[0])
    with pytest.raises(AttributeError, match=rf"has no {word}: .*hidden_layer_sizes=\(\)"):
        getattr(model, word)


def test_other_absent_attributes_have_pythons_words():
    with pytest.raises(
        AttributeError, match="'AutoencoderTransformer' object has no attribute 'x'"
    ):
        linear().x  # noqa: B018
    with pytest.raises(
        AttributeError, match="'ContrastiveEncoder' object has no attribute 'truncate'"
    ):
        skae.ContrastiveEncoder().truncate  # noqa: B018
