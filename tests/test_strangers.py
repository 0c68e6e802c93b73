"""Tables of all kinds that people have: nothing of them is guessed in silence."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import roc_auc_score

from skae import AutoencoderTransformer, DenoisingAutoencoder, TableEncoder, VAETransformer
from skae.metrics import explained_share

FAMILY = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]
UNSEEN = "ignore:.*levels that fit did not see:UserWarning"

pytestmark = pytest.mark.filterwarnings("ignore:max_iter=")


def quick(kind=AutoencoderTransformer, **parameters):
    defaults = {"n_components": 2, "max_iter": 4, "tol": 0, "random_state": 0}
    return kind(**(defaults | parameters))


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer with categories, a flag that never changes and a few rare levels."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    table = X[["mean texture", "mean area", "mean symmetry"]].copy()
    table["size"] = pd.qcut(X["mean radius"], 4, labels=["S", "M", "L", "XL"]).astype(str)
    table["kind"] = y.map({0: "malignant", 1: "benign"})
    table["flag"], table["constant"] = True, 1.0
    table["city"] = np.where(np.arange(len(table)) % 2, "Oslo", "Rome")
    table.loc[:5, "city"] = [f"village {i}" for i in range(6)]
    return table


@pytest.fixture(scope="module", params=FAMILY, ids=lambda kind: kind.__name__)
def model(request, cancer):
    return quick(request.param).fit(cancer.iloc[:400])


# what fit did not see -------------------------------------------------------------------------


@pytest.mark.filterwarnings(UNSEEN)
def test_an_unseen_level_costs_at_least_what_the_rarest_would(model, cancer):
    later = cancer.iloc[400:]
    for name, rarest in {"size": 1 / 401, "kind": 1 / 401, "city": 6 / 400}.items():
        place = cancer.columns.get_loc(name)

        def cost(level, name=name, place=place):
            table = later.assign(**{name: level})
            return model.reconstruction_error(table, per_feature=True)[:, place]

        shares = model.table_encoder_.level_shares_[place]
        entropy = -np.sum(shares * np.log(shares))
        assert (cost("never seen") >= -np.log(rarest) / entropy - 1e-9).all()
        known = [cost(level).mean() for level in cancer[name].unique()]
        assert cost("never seen").mean() >= max(known)


@pytest.mark.filterwarnings(UNSEEN)
@pytest.mark.parametrize(
    "change", [{"size": "huge"}, {"kind": "?"}, {"city": "Bonn"}, {"flag": False}]
)
def test_rows_with_an_unseen_level_stand_out(model, change, cancer):
    later = cancer.iloc[400:]
    odd = later.assign(**change)
    errors = [model.reconstruction_error(rows) for rows in (later, odd)]
    is_odd = np.repeat([0, 1], len(later))
    assert roc_auc_score(is_odd, np.concatenate(errors)) > 0.9
    place = cancer.columns.get_loc(*change)
    few = pd.concat([later, odd.head(3)])
    assert model.score(few) < model.score(pd.concat([later, later.head(3)]))
    assert model.reconstruction_error(odd, per_feature=True)[:, place].min() > 1
    if isinstance(model, VAETransformer):
        assert (model.score_samples(odd) < model.score_samples(later)).all()


def test_a_changed_flag_costs_as_a_changed_number_at_least(cancer):
    model = quick().fit(cancer)
    later = cancer.head(40)
    with pytest.warns(UserWarning, match="fit did not see"):
        flag = model.reconstruction_error(later.assign(flag=False), per_feature=True)
    number = model.reconstruction_error(later.assign(constant=0.0), per_feature=True)
    assert (flag[:, 5] >= number[:, 6]).all()
    assert (number[:, 6] == 1).all()


@pytest.mark.filterwarnings(UNSEEN)
def test_columns_of_names_stay_without_a_cost():
    X = pd.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0) ** 2})
    X["name"] = pd.Categorical([f"name {i}" for i in range(60)])
    model = quick().fit(X)
    later = X.assign(name="another")
    np.testing.assert_allclose(model.reconstruction_error(later), model.reconstruction_error(X))


@pytest.mark.filterwarnings(UNSEEN)
def test_codes_of_unseen_levels_are_missing_or_rare(cancer):
    encoder = TableEncoder().fit(cancer)
    coded = encoder.transform(cancer.assign(size="huge", city="Bonn"))
    assert np.isnan(coded[:, 3]).all()
    assert (coded[:, 7] == 2).all()
    np.testing.assert_array_equal(encoder.n_samples_seen_, cancer.notna().sum())


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("numbers", [False, True])
def test_a_row_with_nothing_present_is_nan_and_no_part_of_the_score(kind, numbers, cancer):
    table = cancer.iloc[:, :3] if numbers else cancer
    holes = np.random.default_rng(0).random(table.shape) < 0.2
    holes[0], holes[1] = True, False
    spoilt = table.mask(holes)
    model = quick(kind).fit(spoilt)
    errors = model.reconstruction_error(spoilt)
    assert np.isnan(errors).tolist() == holes.all(axis=1).tolist()
    np.testing.assert_allclose(model.score(spoilt), model.score(spoilt[1:]))
    if kind is VAETransformer:
        assert np.isnan(model.score_samples(spoilt[:2])).tolist() == [True, False]


def test_rescaled_errors_do_not_fall_with_missing_cells():
    X = load_digits().data[:, 20:44]
    rng = np.random.default_rng(0)
    holes = rng.random(X.shape) < 0.5
    hidden = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    model = quick(n_components=6).fit(hidden[:900])
    few = np.where(holes, np.nan, X)[900:]
    total = model.reconstruction_error(few)
    rescaled = model.reconstruction_error(few, missing="rescale")
    np.testing.assert_allclose(rescaled, total * 24 / np.sum(~np.isnan(few), axis=1))
    complete = model.reconstruction_error(X[900:])
    np.testing.assert_array_equal(model.reconstruction_error(X[900:], missing="rescale"), complete)
    assert rescaled.mean() > 0.9 * complete.mean() > total.mean()
    with pytest.raises(ValueError, match="missing='mean': expected 'sum' or 'rescale'"):
        model.reconstruction_error(few, missing="mean")


# masked arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_masked_cells_are_missing(dtype):
    X = load_digits().data[:200, 20:30].astype(dtype)
    mask = np.random.default_rng(0).random(X.shape) < 0.1
    spoilt = np.where(mask, np.nan, X).astype("float32" if dtype == "float32" else "float64")
    masked = np.ma.array(np.where(mask, np.array(99, dtype), X), mask=mask)
    a, b = quick().fit(masked), quick().fit(spoilt)
    for method in ("transform", "reconstruct", "impute", "reconstruction_error", "score"):
        wanted = getattr(b, method)(spoilt)
        np.testing.assert_array_equal(getattr(a, method)(masked), wanted)
    np.testing.assert_array_equal(a.transform(list(masked)), b.transform(spoilt))
    np.testing.assert_array_equal(a.impute(masked)[~mask], X[~mask])
    made = b.reconstruct(spoilt)
    assert explained_share(masked, made) == explained_share(spoilt, made)
    complete = np.ma.array(X)
    np.testing.assert_array_equal(quick().fit(complete).transform(X), quick().fit(X).transform(X))


def test_masked_texts_and_weights():
    cells = np.array([["a", "b"], ["c", "d"], ["a", "d"], ["c", "b"]])
    masked = np.ma.array(cells, mask=cells == "b")
    encoder = TableEncoder(categorical_features=[0, 1], min_frequency=1).fit(masked)
    assert encoder.categories_ == [["a", "c"], ["d"]]
    weight = np.ma.array(np.ones(4), mask=[0, 1, 0, 0])
    with pytest.raises(ValueError, match="NaN"):
        encoder.fit(cells, sample_weight=weight)
