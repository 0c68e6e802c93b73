"""Laws of ConditionalVAE: it starts at a mean for each label and PCA of the rest, and draws to order."""

import inspect
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import skae
from skae import AutoencoderClassifier, ConditionalVAE, SupervisedAutoencoder, VAETransformer

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
plain = pytest.mark.usefixtures("plain_draws")


def linear(k, **changes):
    return ConditionalVAE(k, hidden_layer_sizes=(), **changes)


def small(k=2, **changes):
    settings = {"hidden_layer_sizes": (8,), "early_stopping": False, "max_iter": 3}
    return ConditionalVAE(k, random_state=0, **settings | changes)


@pytest.fixture(scope="module")
def images():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, test_size=0.3, random_state=0)


@pytest.fixture(scope="module")
def vae(images):
    return ConditionalVAE(8, random_state=0).fit(images[0], images[2])


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def diabetes():
    frame, y = load_diabetes(return_X_y=True, as_frame=True)
    labels = pd.DataFrame({"sex": np.where(frame.pop("sex") > 0, "a", "b"), "y": y.astype(float)})
    return StandardScaler().fit_transform(frame), labels


# the laws -----------------------------------------------------------------------------------------


def test_samples_are_of_the_class_that_was_asked_for(vae, images):
    X, _, y, _ = images
    svc = SVC().fit(X, y)
    for digit in range(10):
        samples = vae.sample(200, y=digit, random_state=digit)
        assert np.mean(svc.predict(samples) == digit) >= 0.85


@plain
def test_rows_and_labels_are_as_likely_as_the_rows_alone(vae, images):
    X, X_test, y, y_test = images
    assert vae.best_iter_ > 0
    log_shares = np.log(np.bincount(y) / len(y))
    joint = vae.score_samples(X_test, y_test) + log_shares[y_test]
    alone = VAETransformer(8, random_state=0).fit(X).score_samples(X_test)
    gain = joint - alone
    assert gain.mean() > -2 * gain.std() / np.sqrt(len(gain))


def test_the_style_of_a_row_goes_with_any_label(vae, images):
    """The same codes in other digits are taken for those."""
    X, X_test, y, _ = images
    svc, style = SVC().fit(X, y), vae.transform(X_test, images[3])
    hits = [svc.predict(vae.inverse_transform(style, digit)) == digit for digit in range(10)]
    assert np.mean(hits) > 0.85


# the start ----------------------------------------------------------------------------------------


def dummies(labels):
    return pd.get_dummies(labels).to_numpy(float)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("kind", ["classes", "number", "both"])
@plain
def test_starts_at_a_linear_model_of_the_label_and_pca_of_the_rest(diabetes, kind, k):
    X, labels = diabetes
    labels = {"classes": labels["sex"], "number": labels["y"], "both": labels}[kind]
    told = dummies(labels) if kind != "number" else labels.to_numpy()[:, None]
    rest = X - LinearRegression().fit(told, X).predict(told)
    pca = PCA(k).fit(rest)
    model = linear(k).fit(X, labels)
    np.testing.assert_allclose(
        model.score_samples(X, labels, 1), pca.score_samples(rest), rtol=1e-6
    )
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_)
    untrained = small(k, hidden_layer_sizes=(16,), learning_rate_init=1e-30, max_iter=1, alpha=0)
    difference = untrained.fit(X, labels).score_samples(X, labels, 1) - pca.score_samples(rest)
    assert abs(difference.mean()) < 1e-3 * X.shape[1]


@quiet
@plain
def test_the_floor_is_the_linear_model_on_held_out_rows(images):
    X, X_test, y, y_test = images
    model = ConditionalVAE(4, random_state=0, max_iter=1, n_iter_no_change=5)
    model.fit(X, y, X_val=X_test, y_val=y_test)
    bound = linear(4).fit(X, y).score_samples(X_test, y_test, 1).mean()
    assert model.pca_score_ == pytest.approx(bound, abs=1e-3 * 64)


@quiet
@plain
def test_gaussian_classes_are_left_at_the_start():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    X = rng.normal(size=(3, 6))[y] + rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    model = ConditionalVAE(2, random_state=0).fit(X, y)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(
        model.score_samples(X, y), linear(2).fit(X, y).score_samples(X, y), rtol=1e-6
    )


def test_samples_of_a_number_follow_it(diabetes):
    X, labels = diabetes
    y = labels["y"].to_numpy()
    model = linear(2).fit(X, y)
    expected = LinearRegression().fit(y[:, None], X)
    for value in (y.min(), y.max()):
        mean = model.sample(20_000, value, 0, match_marginals=False).mean(axis=0)
        np.testing.assert_allclose(mean, expected.predict([[value]])[0], atol=0.05)


def test_without_a_label_samples_are_like_the_rows(wine):
    X, y = wine
    samples = linear(4).fit(X, y).sample(100_000, random_state=0)
    np.testing.assert_allclose(samples.mean(axis=0), X.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(samples.std(axis=0), X.std(axis=0), atol=0.15)


# labels -------------------------------------------------------------------------------------------


@quiet
def test_names_of_classes_do_not_matter(wine):
    X, y = wine
    names = np.array(["barolo", "grignolino", "nebbiolo"])
    codes = small().fit(X, y).transform(X, y)
    for labels in (names[y], names[y].astype(object), pd.Series(names[y], dtype="category"),
                   list(names[y]), pl.DataFrame({"wine": names[y]}), y.astype(str)):  # fmt: skip
        model = small().fit(X, labels)
        np.testing.assert_array_equal(model.transform(X, labels), codes)
    assert model.classes_.tolist() == ["0", "1", "2"]
    assert model.sample(3, y="2").shape == model.sample(3, y=["2", "0", "1"]).shape == X[:3].shape


@plain
def test_whole_numbers_that_look_like_classes_are_told_of(wine, diabetes):
    """As floats they are numbers: a class between two others would be drawn for them."""
    X, y = wine
    for same in (y.astype(float), pd.Series(y, dtype="Float64"), y.astype(float).astype(object)):
        with pytest.warns(UserWarning, match=r"3 whole numbers in 178 rows.*y\.astype\(int\)"):
            linear(2).fit(X, same)
    with pytest.warns(UserWarning, match="3 whole numbers") as told:
        linear(2).fit(X, np.column_stack([y.astype(float), X[:, 0]]))
    assert len(told) == 1
    for number in (X[:, 0], y + 0.5, np.arange(len(y), dtype=float)):
        assert linear(2).fit(X, number).classes_ is None


@pytest.mark.filterwarnings("ignore:y has 3 whole numbers")
def test_floats_are_numbers_and_each_column_has_its_kind(wine, diabetes):
    X, y = wine
    assert linear(2).fit(X, y.astype(float)).classes_ is None
    assert linear(2).fit(X, pd.Series(y, dtype="Float64")).classes_ is None
    assert linear(2).fit(X, pl.Series(y).cast(pl.Float32)).classes_ is None
    assert linear(2).fit(X, pd.Series(y, dtype="Int64")).classes_.tolist() == [0, 1, 2]
    assert linear(2).fit(X, y > 0).classes_.tolist() == [False, True]
    X, labels = diabetes
    model = linear(2).fit(X, labels)
    assert model.classes_[0].tolist() == ["a", "b"]
    assert model.classes_[1] is None
    for one in (["a", 100.0], labels[:1], [["a", 100.0]]):
        assert model.sample(5, y=one).shape == (5, X.shape[1])
    np.testing.assert_array_equal(
        model.inverse_transform(np.zeros((2, 2)), ["a", 90.0]),
        model.inverse_transform(np.zeros((2, 2)), [["a", 90.0], ["a", 90.0]]),
    )


def test_columns_of_lists_and_object_arrays_have_their_kinds_too(wine):
    """numpy would make strings of the integers and numbers beside strings."""
    X, y = wine
    labels = pd.DataFrame({"name": np.array(list("abc"))[y], "class": y, "number": X[:, 0]})
    model = linear(2).fit(X, labels)
    for same in (labels.to_numpy(), labels.to_numpy().tolist()):
        other = linear(2).fit(X, same)
        np.testing.assert_array_equal(other.transform(X), model.transform(X))
        np.testing.assert_array_equal(model.transform(X, same), model.transform(X, labels))
    one = labels[:1]
    for same in (["a", int(y[0]), X[0, 0]], tuple(one.to_numpy()[0]), one.to_numpy().tolist()):
        np.testing.assert_array_equal(model.sample(3, same, 0), model.sample(3, one, 0))
    assert linear(2).fit(X, y.astype(object)).classes_.tolist() == [0, 1, 2]
    assert linear(2).fit(X, X[:, 0].astype(object)).classes_ is None
    with pytest.raises(ValueError, match=r"classes of several types .int, str.: convert"):
        linear(2).fit(X, ["a", 1] * 89)


@plain
def test_integers_that_look_like_numbers_are_told_of(diabetes):
    X, labels = diabetes
    with pytest.warns(UserWarning, match=r"214 integers in 442 rows.*y\.astype\(float\)"):
        linear(2).fit(X, labels["y"].astype(int))


@pytest.mark.parametrize("kind", [ConditionalVAE, SupervisedAutoencoder, AutoencoderClassifier])
@pytest.mark.parametrize(
    "of_rows", [lambda n: f"id {n}", lambda n: np.datetime64("2020-01-01") + n]
)
def test_names_of_rows_as_labels_are_told_of(kind, of_rows):
    X = load_wine().data[:60]
    y = np.array([of_rows(n) for n in range(60)])
    own = {} if kind is AutoencoderClassifier else {"n_components": 2, "hidden_layer_sizes": ()}
    model = kind(random_state=0, **(own or {"fine_tune": "head", "head": "linear"}))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(X, y)
    told = [str(one.message) for one in told if "different labels" in str(one.message)]
    if kind is not AutoencoderClassifier:  # scikit-learn tells of these
        assert len(told) == 1
        assert re.search(r"60 different labels in 60 rows, such as .*: pass labels", told[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y[np.arange(60) // 4])


def test_inferred_labels_are_mostly_right(vae, images, diabetes):
    _, X, _, y = images
    given, inferred = vae.transform(X, y), vae.transform(X)
    assert np.mean((given == inferred).all(axis=1)) > 0.93
    assert vae.score(X) > vae.score(X, y) - 0.02
    X, labels = diabetes
    model = linear(2).fit(X, labels["y"])
    inferred = X @ model.label_coef_.T + model.label_intercept_
    assert np.corrcoef(inferred[:, 0], labels["y"])[0, 1] > 0.65


@quiet
@plain
def test_in_a_pipeline(images):
    X, X_test, y, y_test = images
    model = make_pipeline(StandardScaler(), small(16), SVC()).fit(X, y)
    assert model.score(X_test, y_test) > 0.5
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(
        small().fit_transform(scaled, y), small().fit(scaled, y).transform(scaled)
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ("wine", "y has the class 'wine', which fit did not see: expected one of 0, 1, 2. Fit"),
        ([0, 1, 7, 1], "y has the class 7"),
        ([0, 1], "y has 2 labels for 4 rows: pass one for each row, or a single one"),
        ([0, None, 1, 2], "y has 1 missing label .NaN or None. in column 0, the first in row 1"),
        (np.zeros((4, 2), int), "y has 2 columns, but the labels of the fit have 1"),
        (np.zeros((4, 1, 1), int), r"y has the shape \(4, 1, 1\)"),
    ],
)
def test_labels_that_are_refused(wine, y, message):
    model = linear(2).fit(*wine)
    X = wine[0][:4]
    for use in (lambda: model.transform(X, y), lambda: model.sample(4, y=y),
                lambda: model.inverse_transform(np.zeros((4, 2)), y)):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            use()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([0.0, np.nan, 1.0, 2.0], "y has 1 missing label .NaN"),
        ([0.0, np.inf, 1.0, 2.0], "y has infinite numbers in column 0"),
        ([0, 1, 0], "inconsistent numbers of samples"),
        (np.array(["a", 1, "b", 2], object), "classes of several types .int, str.: convert"),
    ],
)
def test_labels_that_fit_refuses(wine, y, message):
    with pytest.raises(ValueError, match=message):
        linear(2).fit(wine[0][:4], y)


def test_held_out_rows_want_labels(wine):
    with pytest.raises(ValueError, match="X_val comes without labels: pass y_val"):
        linear(2).fit(*wine, X_val=wine[0])


def test_strings_where_numbers_were(diabetes):
    model = linear(2).fit(diabetes[0], diabetes[1]["y"])
    with pytest.raises(ValueError, match="y has 'tall' where the labels of the fit are numbers"):
        model.sample(y="tall")


# tables -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bottles():
    """Wine as a table: its class says much of each column, and a column of its own tells it nearly."""
    X, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(StandardScaler().fit_transform(X)[:, :6]).rename(columns="c{}".format)
    blurred = np.where(rng.random(len(y)) < 0.2, rng.integers(3, size=len(y)), y)
    table["grape"] = np.array(["barolo", "grignolino", "nebbiolo"])[blurred]
    table["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(99, size=len(y)), "D")
    return table, y


def test_a_row_without_a_cell_is_filled_with_what_its_label_says(bottles):
    """With the means and the most frequent levels of its class, over the cells that are present."""
    table, y = bottles
    holes = np.random.default_rng(1).random(table.shape) < 0.3
    spoilt = table.mask(holes)
    model = linear(2).fit(spoilt, y)
    filled = model.impute(table.mask(np.full(table.shape, True))[:3], [0, 1, 2])
    by_class = spoilt.groupby(y)
    numbers = spoilt.columns[:6]
    expected = by_class[numbers].mean()
    near = np.abs(filled[numbers].to_numpy(float) - expected.to_numpy()).max()
    assert near < 0.15  # five rows at the mean are added to about 40 of each class
    assert filled["grape"].tolist() == by_class["grape"].agg(lambda x: x.mode()[0]).tolist()
    assert (filled.dtypes == table.dtypes).all()


@plain
def test_labels_and_cells_together_fill_better_than_either(bottles):
    table, y = bottles
    numbers = table.iloc[:, :6]
    holes = np.random.default_rng(1).random(numbers.shape) < 0.3
    spoilt = numbers.mask(holes)
    with_both = linear(2).fit(spoilt, y).impute(spoilt, y)
    of_cells = VAETransformer(2, hidden_layer_sizes=()).fit(spoilt).impute(spoilt)
    of_labels = spoilt.fillna(spoilt.groupby(y).transform("mean"))
    errors = [np.sum((np.asarray(made) - numbers.to_numpy())[holes] ** 2)
              for made in (with_both, of_cells, of_labels)]  # fmt: skip
    assert errors[0] < 0.97 * min(errors[1:])


@plain
def test_the_effects_of_labels_are_the_least_squares_of_present_cells(bottles):
    """Of labels that are correlated, too; but for the few rows at the mean that are added."""
    table, y = bottles
    X = np.repeat(table.iloc[:, 1:6].to_numpy(), 40, axis=0)
    labels = pd.DataFrame({"class": np.repeat(y, 40), "number": table["c0"].repeat(40)})
    spoilt = np.where(np.random.default_rng(2).random(X.shape) < 0.5, np.nan, X)
    model = linear(1).fit(spoilt, labels)
    told = np.column_stack([np.eye(3)[labels["class"]], labels["number"]])
    made = model.inverse_transform(np.zeros((len(X), 1)), labels)
    for column in range(5):
        there = ~np.isnan(spoilt[:, column])
        own = LinearRegression().fit(told[there], spoilt[there, column])
        np.testing.assert_allclose(made[:, column], own.predict(told), atol=0.02)


def test_samples_of_a_class_have_its_levels(bottles):
    table, y = bottles
    model = linear(2).fit(table, y)
    for label in range(3):
        drawn = model.sample(4000, y=label, random_state=0)
        assert (drawn.dtypes == table.dtypes).all()
        shares = [rows["grape"].value_counts(normalize=True) for rows in (drawn, table[y == label])]
        np.testing.assert_allclose(shares[0][shares[1].index], shares[1], atol=0.06)
        drawn = model.sample(4000, y=label, random_state=0, match_marginals=False)
        means = [rows.iloc[:, :6].mean() for rows in (drawn, table[y == label])]
        np.testing.assert_allclose(*means, atol=0.1)


@plain
def test_missing_cells_where_the_fit_had_none(bottles):
    table, y = bottles
    X = table.iloc[:, :6].to_numpy()
    model = linear(2).fit(X, y)
    spoilt = np.where(np.arange(6) == 2, np.nan, X)
    assert np.isfinite(model.transform(spoilt)).all()
    with pytest.raises(ValueError, match="the rows of the fit had none: their likelihood"):
        model.score_samples(spoilt, y)
    with pytest.raises(ValueError, match="X_val has missing cells, but X has none"):
        linear(2).fit(X, y, X_val=spoilt, y_val=y)


@quiet
def test_tables_of_labelled_rows_there_and_back(bottles, tmp_path):
    table, y = bottles
    names = np.array(list("abc"))[y]
    spoilt = table.mask(np.random.default_rng(1).random(table.shape) < 0.2)
    model = small(max_iter=2, early_stopping=True).fit(spoilt, names, X_val=table, y_val=names)
    skae.save(model, tmp_path / "model.skae")
    for same in (pickle.loads(pickle.dumps(model)), skae.load(tmp_path / "model.skae")):
        for use in ("transform", "score_samples", "reconstruction_error"):
            made, again = (getattr(each, use)(spoilt, names) for each in (model, same))
            np.testing.assert_array_equal(made, again)
        np.testing.assert_array_equal(same.transform(spoilt), model.transform(spoilt))
        pd.testing.assert_frame_equal(
            same.sample(9, random_state=0), model.sample(9, random_state=0)
        )
        same.partial_fit(spoilt, names)
    ends = model.interpolate(table.iloc[0], table.iloc[9], 3, y=names[[0, 9]]).iloc[[0, 2]]
    made = model.reconstruct(table.iloc[[0, 9]], names[[0, 9]])
    pd.testing.assert_frame_equal(ends.reset_index(drop=True), made.reset_index(drop=True))
    of_row = np.nansum(model.reconstruction_error(spoilt, names, per_feature=True), axis=1)
    rescaled = model.reconstruction_error(spoilt, names, missing="rescale")
    np.testing.assert_allclose(rescaled, of_row * 8 / spoilt.notna().sum(axis=1))


# a good citizen -----------------------------------------------------------------------------------


@quiet
def test_one_row_and_a_batch_agree_in_both_precisions(vae, images):
    _, X, _, y = images
    codes = vae.transform(X, y)
    one_by_one = np.vstack([vae.transform(X[i : i + 1], y[i]) for i in range(20)])
    np.testing.assert_allclose(one_by_one, codes[:20], rtol=1e-12, atol=1e-12)
    low = vae.transform(X.astype(np.float32), y)
    assert low.dtype == vae.inverse_transform(low, y).dtype == np.float32
    np.testing.assert_allclose(low, codes, atol=1e-4)
    error = vae.reconstruction_error(X, y, per_feature=True)
    np.testing.assert_allclose(error, (X - vae.reconstruct(X, y)) ** 2)
    np.testing.assert_allclose(vae.reconstruction_error(X, y), error.sum(axis=1))
    np.testing.assert_allclose(vae.score(X, y), 1 - error.sum() / X.var(axis=0).sum() / len(X))
    np.testing.assert_array_equal(vae.transform_distribution(X, y)[0], codes)
    assert len(vae.score_by_column(X, y)) == 64


def test_the_way_between_two_rows_has_their_reconstructions_at_its_ends(vae, images):
    X, y = images[1][:2], images[3][:2]
    for path in ("linear", "spherical"):
        way = vae.interpolate(*X, n_steps=5, path=path, y=y)
        np.testing.assert_allclose(way[[0, -1]], vae.reconstruct(X, y), atol=1e-10)


def test_rows_of_a_frame_have_ways_between_them(wine):
    X, y = wine
    frame = pd.DataFrame(X).rename(columns="column {}".format)
    model, plain = linear(2).fit(frame, y), linear(2).fit(X, y)
    for a, b in [(frame.iloc[0], frame.iloc[9]), (frame[:1], frame[9:10]), (X[0], X[9])]:
        np.testing.assert_array_equal(model.interpolate(a, b), plain.interpolate(X[0], X[9]))
    with pytest.raises(ValueError, match="names must be in the same order"):
        model.interpolate(frame.iloc[0, ::-1], frame.iloc[9])
    with pytest.raises(ValueError, match="names unseen at fit time:\n- column 99"):
        model.interpolate(frame[:1], frame[9:10].rename(columns={"column 0": "column 99"}))
    with pytest.raises(ValueError, match=r"have 5 features.*expecting 13"):
        model.interpolate(X[0, :5], X[9, :5])
    with pytest.raises(NotFittedError):
        small().interpolate(X[0], X[9])


@plain
@quiet
@pytest.mark.parametrize(
    "changes", [{}, {"linear_path": None}, {"max_iter": 30, "early_stopping": True}]
)
def test_copies_and_files_are_equal_to_the_bit(images, changes, tmp_path):
    X, X_test, y, _ = images
    names = np.array(list("abcdefghij"))
    model = clone(small(**changes)).fit(X[:600], names[y[:600]])
    skae.save(model, tmp_path / "model.skae")
    code = model.transform(X_test)
    assert b"torch." not in pickle.dumps(model.__getstate__())
    for same in (pickle.loads(pickle.dumps(model)), skae.load(tmp_path / "model.skae")):
        np.testing.assert_array_equal(same.transform(X_test), code)
        np.testing.assert_array_equal(
            same.sample(9, random_state=1), model.sample(9, random_state=1)
        )
        np.testing.assert_array_equal(same.score_samples(X_test), model.score_samples(X_test))
        assert same.classes_.tolist() == names.tolist()
    again = clone(model).fit(X[:600], names[y[:600]])
    np.testing.assert_array_equal(again.transform(X_test), code)


@quiet
@plain
def test_rows_of_weight_zero_are_left_out(wine):
    X, y = wine
    weight = (y < 2).astype(float)
    weighted = small().fit(X, y, sample_weight=weight)
    assert weighted.classes_.tolist() == [0, 1]
    alone = small().fit(X[y < 2], y[y < 2])
    np.testing.assert_allclose(weighted.components_, alone.components_, atol=1e-5)


@quiet
@plain
def test_sparse_rows_are_as_dense_ones(images):
    X, _, y, _ = images
    dense, thin = small().fit(X[:300], y[:300]), small().fit(sparse.csr_matrix(X[:300]), y[:300])
    codes = thin.transform(sparse.csr_matrix(X[300:400]), y[300:400])
    np.testing.assert_allclose(codes, dense.transform(X[300:400], y[300:400]), atol=1e-6)
    assert thin.reconstruct(sparse.csr_matrix(X[300:400])).shape == (100, 64)


@quiet
@plain
def test_streams_and_warm_starts(images):
    X, X_test, y, y_test = images
    stream = small(8)
    for first in range(0, 1200, 400):
        stream.partial_fit(X[first : first + 400], y[first : first + 400])
    assert stream.score_samples(X_test, y_test).mean() > 0
    with pytest.raises(ValueError, match="the class 10, which fit did not see"):
        stream.partial_fit(X[:10], np.arange(1, 11))
    warm = small(8, warm_start=True).fit(X, y)
    before = warm.score_samples(X_test, y_test).mean()
    assert warm.fit(X, y).score_samples(X_test, y_test).mean() > before - 0.5


def test_frames(wine):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = small().set_output(transform="pandas").fit(X, y)
    code = model.transform(X, y)
    assert list(code.columns) == ["conditionalvae0", "conditionalvae1"]
    for back in (model.inverse_transform(code, y), model.reconstruct(X), model.sample(3, y=2)):
        assert list(back.columns) == list(X.columns)


@quiet
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_labels_of_a_frame_are_known_by_name(kind, tmp_path):
    X, y = load_wine(return_X_y=True)
    labels = kind({"first": y == 0, "second": y == 1})
    model = small().fit(X, labels)
    skae.save(model, tmp_path / "model.skae")
    swapped = labels[["second", "first"]]
    for same in (model, skae.load(tmp_path / "model.skae", engine="numpy")):
        with pytest.raises(
            ValueError, match=r"y has the columns \['second', 'first'\].*same order"
        ):
            same.transform(X, swapped)
        assert (same.transform(X, labels) == same.transform(X, np.asarray(labels))).all()
    supervised = skae.SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X, labels)
    for again in (model, supervised):
        with pytest.raises(ValueError, match="same order"):
            again.partial_fit(X, swapped)


# ordered codes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["classes", "numbers"])
@plain
def test_prefixes_of_a_linear_ordered_code_are_fits_of_their_size(labels):
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = (X - X.mean()) / X.std()
    if labels == "numbers":
        X, y = X.iloc[:, 1:], X.iloc[:, 0]
    ordered = linear(4, ordered=True).fit(X, y)
    for k in (1, 3, 4):
        short, alone = ordered.truncate(k), linear(k).fit(X, y)
        np.testing.assert_allclose(short.noise_variance_, alone.noise_variance_)
        np.testing.assert_allclose(short.transform(X, y), alone.transform(X, y), atol=1e-9)
        np.testing.assert_allclose(short.score_samples(X, y), alone.score_samples(X, y), atol=1e-9)
    shares = np.cumsum(ordered.explained_variance_ratio_)
    known = [ordered.truncate(k).score(X, y) for k in (1, 4)]
    np.testing.assert_allclose(shares[[0, 3]], known, atol=0.01)


def test_prefixes_of_tables_with_missing_cells_say_more_and_more():
    X, y = load_wine(return_X_y=True, as_frame=True)
    X["hue"] = np.where(X["hue"] > 1, "red", "pale")
    X.loc[::5, "ash"] = np.nan
    model = small(3, ordered=True).fit(X, y)
    scores = [model.truncate(k).score(X, y) for k in (1, 2, 3)]
    assert scores == sorted(scores)
    assert scores[-1] == model.score(X, y)
    short = model.truncate(2)
    assert short.impute(X, y)["ash"].notna().all()
    assert set(short.sample(20, y=0, random_state=0)["hue"]) <= {"red", "pale"}


@plain
@quiet
@plain
def test_every_prefix_of_a_trained_ordered_code_beats_the_linear_model(images, tmp_path):
    X, X_test, y, y_test = images
    model = ConditionalVAE(4, ordered=True, max_iter=40, random_state=0).fit(X, y)
    assert model.best_iter_ > 0
    code = model.transform(X_test, y_test)
    made = model.inverse_transform(code, y_test)
    np.testing.assert_allclose(made, model.reconstruct(X_test, y_test), atol=1e-12)
    for k in (1, 2, 4):
        short = model.truncate(k)
        assert short.score(X_test, y_test) > linear(k).fit(X, y).score(X_test, y_test)
        assert short.sample(5, y=3, random_state=0).shape == (5, 64)
    skae.save(short, tmp_path / "model.skae")
    for engine in ("torch", "numpy"):
        loaded = skae.load(tmp_path / "model.skae", engine=engine)
        np.testing.assert_allclose(
            loaded.transform(X_test, y_test), short.transform(X_test, y_test), atol=1e-9
        )
    with pytest.raises(ValueError, match="requires y"):
        model.truncate(2, fine_tune_on=X)
    tuned = model.truncate(2, fine_tune_on=X, y=y)
    assert tuned.score(X_test, y_test) > linear(2).fit(X, y).score(X_test, y_test)


def test_what_only_the_vae_can_do_is_refused_with_its_reason():
    """Whatever parameter of `VAETransformer` it has not: what it does not take, and what to take."""
    of_vae, own = (set(kind().get_params()) for kind in (VAETransformer, ConditionalVAE))
    for name in of_vae - own:
        with pytest.raises(TypeError, match=rf"ConditionalVAE has no parameter '{name}': .* take"):
            ConditionalVAE(**{name: VAETransformer().get_params()[name]})
    assert {"likelihood", "encoder", "decoder", "noise"} == of_vae - own
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        ConditionalVAE(depth=3)
    shown = inspect.signature(ConditionalVAE).parameters
    assert next(iter(shown)) == "n_components"
    assert own == set(shown)


@pytest.mark.parametrize(
    "kind", [ConditionalVAE, skae.SupervisedAutoencoder, skae.AutoencoderClassifier]
)
def test_a_fit_without_labels_names_the_estimator(kind):
    with pytest.raises(ValueError, match=f"This {kind.__name__} .* requires y .* call fit"):
        kind().fit(np.eye(3))


@quiet
@pytest.mark.parametrize("unit", [1e200, 1e-200, 1e-310])
@plain
def test_numbers_of_any_size_are_labels(unit):
    """Their squares are beyond float64: in other units they are the same labels."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:100], y[:100]
    supervised = skae.SupervisedAutoencoder(2, max_iter=2, random_state=0)
    for model in (skae.AutoencoderRegressor(random_state=0, max_iter=2), supervised):
        expected = model.fit(X, y).predict(X)
        np.testing.assert_allclose(model.fit(X, y * unit).predict(X) / unit, expected, rtol=1e-3)
    given = linear(2).fit(X, y).transform(X, y)
    np.testing.assert_allclose(linear(2).fit(X, y * unit).transform(X, y * unit), given, rtol=1e-6)
    for model in (skae.AutoencoderRegressor(), supervised, linear(2)):
        with pytest.raises(ValueError, match=r"as large as 3.41e\+307, whose mean is beyond"):
            model.fit(X, y * 1e305)
