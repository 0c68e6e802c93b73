"""The pictures: what they draw is what the estimators say, and they are drawn again without computing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

import skae
from skae.inspection import (
    BiplotDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    SynthesisDisplay,
    TraversalDisplay,
)

IRIS, SPECIES = load_iris(return_X_y=True, as_frame=True)
DIGITS = load_digits().data[:120]
SHORT = {"max_iter": 3, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def linear():
    return skae.AutoencoderTransformer(3, hidden_layer_sizes=()).fit(IRIS)


@pytest.fixture(scope="module")
def trained():
    return skae.AutoencoderTransformer(2, max_iter=30, random_state=0).fit(DIGITS)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    size = rng.normal(size=150)
    X = pd.DataFrame(
        {
            "size": size,
            "kind": np.where(size > 0, "large", "small"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(9 * size), unit="D"),
        }
    )
    return skae.AutoencoderTransformer(2, **SHORT).fit(X), X


@pytest.fixture(scope="module")
def sequences():
    X = DIGITS.copy()
    X[:40, -16:] = np.nan
    return skae.RecurrentAutoencoder(2, sequence_shape=(32, 2), **SHORT).fit(X), X


def points(display):
    return np.asarray(display.points_[0].get_offsets())


# the code -------------------------------------------------------------------------------------


def test_latent_space_shows_the_code_and_the_classes(pyplot, linear):
    display = LatentSpaceDisplay.from_estimator(linear, IRIS, color_by=SPECIES, marker="s")
    np.testing.assert_allclose(points(display), linear.transform(IRIS)[:, :2])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["0", "1", "2"]
    assert len(np.unique(display.points_[0].get_facecolors(), axis=0)) == 3
    _, ax = pyplot.subplots()
    assert display.plot(ax).ax_ is ax


def test_latent_space_by_column_by_error_and_in_pairs(pyplot, linear):
    name = "petal length (cm)"
    display = LatentSpaceDisplay.from_estimator(linear, IRIS, color_by=name, components=(2, 0, 1))
    np.testing.assert_array_equal(display.points_[0].get_array(), IRIS[name])
    assert display.axes_.shape == (2, 2)
    assert display.axes_[0, 1] is None
    assert len(display.points_) == 3
    assert display.axes_[1, 0].get_xlabel() == "component 2 (2 %)"
    display = LatentSpaceDisplay.from_estimator(linear, IRIS, color_by="error")
    np.testing.assert_allclose(
        display.points_[0].get_array(), linear.reconstruction_error(IRIS), atol=1e-12
    )


@pytest.mark.parametrize("color_by", [None, "classes", "numbers"])
def test_many_rows_are_hexagons(pyplot, color_by):
    codes = np.random.default_rng(0).normal(size=(6000, 2))
    colors = {"classes": np.where(codes[:, 0] > 0, "b", "a"), "numbers": codes[:, 0]}.get(color_by)
    display = LatentSpaceDisplay.from_predictions(codes, color_by=colors)
    values, places = display.points_[0].get_array(), points(display)[:, 0]
    if color_by is None:
        assert values.sum() == 6000
    else:  # the most frequent class, or the mean, of the rows in a hexagon
        right, left = (values[sign * places > 0.2] for sign in (1, -1))
        assert right.min() > left.max()


def test_any_transformer_has_a_latent_space(pyplot):
    pca = PCA(2).fit(IRIS)
    display = LatentSpaceDisplay.from_estimator(pca, IRIS, color_by=SPECIES.to_numpy())
    np.testing.assert_allclose(points(display), pca.transform(IRIS))


def test_what_cannot_be_drawn_says_why(pyplot, linear, table):
    draw = LatentSpaceDisplay.from_estimator
    for components in [(0,), (0, 3), (1, 1), (0.0, 1), 0, None]:
        with pytest.raises(ValueError, match="two or more different ints from 0 to 2"):
            draw(linear, IRIS, components=components)
    with pytest.raises(ValueError, match="not a column of X"):
        draw(linear, IRIS, color_by="colour")
    for wrong in (IRIS, IRIS.to_numpy(), IRIS.to_numpy()[:, :1], [[1, 2]] * 150, {"a": 1}, 3):
        for kind in (LatentSpaceDisplay, BiplotDisplay):
            with pytest.raises(ValueError, match=r"color_by has the shape \(.*one value a row"):
                kind.from_estimator(linear, IRIS, color_by=wrong)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        draw(linear, IRIS, color_by=SPECIES[:9])
    with pytest.raises(ValueError, match="a biplot has two"):
        BiplotDisplay.from_estimator(linear, IRIS, components=(0, 1, 2))
    with pytest.raises(ValueError, match="component=3: expected an int from 0 to 2"):
        TraversalDisplay.from_estimator(linear, IRIS, 3)
    for kind in (TraversalDisplay, ReconstructionDisplay):
        with pytest.raises(ValueError, match="does not make an image of 4 columns"):
            kind.from_estimator(linear, IRIS, image_shape=(3, 3))
        for wrong in (4, (-2, -2), (0.5, 8), True):
            with pytest.raises(ValueError, match="does not make an image of 4 columns"):
                kind.from_estimator(linear, IRIS, image_shape=wrong)
    for kind in (TraversalDisplay, BiplotDisplay, ReconstructionDisplay):
        with pytest.raises(ValueError, match="cannot be looked into"):
            kind.from_estimator(PCA(2).fit(IRIS), IRIS)
    with pytest.raises(ValueError, match="was not trained"):
        LossCurveDisplay.from_estimator(linear)
    detector = skae.AutoencoderOutlierDetector(linear, random_state=0).fit(IRIS)
    with pytest.raises(ValueError, match="pass its autoencoder_"):
        LossCurveDisplay.from_estimator(detector)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "three", None])
@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda ae, n: ReconstructionDisplay.from_estimator(ae, IRIS, n_columns=n), "n_columns"),
        (
            lambda ae, n: ReconstructionDisplay(shares=pd.Series([1.0]), n_columns=n).plot(),
            "n_columns",
        ),
        (
            lambda ae, n: ReconstructionDisplay.from_estimator(
                ae, IRIS, n_rows=n, image_shape=(2, 2)
            ),
            "n_rows",
        ),
        (lambda ae, n: TraversalDisplay.from_estimator(ae, IRIS, n_steps=n), "n_steps"),
        (lambda ae, n: TraversalDisplay.from_estimator(ae, IRIS, n_columns=n), "n_columns"),
        (lambda ae, n: BiplotDisplay.from_estimator(ae, IRIS, n_arrows=n), "n_arrows"),
        (lambda ae, n: SynthesisDisplay.from_predictions(IRIS, IRIS, n_columns=n), "n_columns"),
        (lambda ae, n: OutlierDisplay.from_estimator(odd(ae), IRIS, n_rows=n), "n_rows"),
        (lambda ae, n: OutlierDisplay.from_estimator(odd(ae), IRIS, n_bars=n), "n_bars"),
        (
            lambda ae, n: OutlierDisplay(parts=IRIS[:1], seen=IRIS, expected=IRIS, n_bars=n).plot(),
            "n_bars",
        ),
    ],
)
def test_numbers_of_what_is_drawn_are_checked(pyplot, linear, draw, name, wrong):
    with pytest.raises(ValueError, match=f"{name}={wrong!r} must be an int of at least 1"):
        draw(linear, wrong)


def odd(ae):
    return skae.AutoencoderOutlierDetector(ae, random_state=0).fit(IRIS)


def test_axes_that_are_too_few_are_counted(pyplot, linear):
    one = pyplot.subplots()[1]
    for draw in (
        lambda: OutlierDisplay.from_estimator(odd(linear), IRIS, n_rows=3, axes=[one]),
        lambda: TraversalDisplay.from_estimator(linear, IRIS, n_columns=3, axes=[one]),
        lambda: SynthesisDisplay.from_predictions(IRIS, IRIS, n_columns=2, axes=[one]),
    ):
        with pytest.raises(ValueError, match="3 axes are needed, but axes has 1"):
            draw()


# the decoder ----------------------------------------------------------------------------------


def test_arrows_of_pca_are_straight_and_twice_the_correlations(pyplot, linear):
    display = BiplotDisplay.from_estimator(linear, IRIS, n_arrows=4)
    codes = PCA(2).fit_transform(IRIS)
    for label, path in zip(display.labels, display.paths, strict=True):
        correlation = [np.corrcoef(IRIS[label], code)[0, 1] for code in codes.T]
        np.testing.assert_allclose(path[0], 0.0, atol=1e-9)
        # the scale of the columns has the denominator n
        expected = 2 * np.array(correlation) * codes.std(axis=0, ddof=1) * np.sqrt(150 / 149)
        np.testing.assert_allclose(path[-1], expected, rtol=1e-5)
        straight = np.linspace(path[0], path[-1], len(path))
        np.testing.assert_allclose(path, straight, atol=1e-5)


def test_arrows_of_a_curved_decoder_bend_and_grow(pyplot):
    t = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    X = np.column_stack([t, 2 * t[:, 0] ** 2, t[:, 0] * t[:, 1], np.exp(t[:, 1])])
    ae = skae.AutoencoderTransformer(2, random_state=0, max_iter=60, tol=0).fit(X)
    assert ae.best_iter_ > 0
    display = BiplotDisplay.from_estimator(ae, X)
    bends = []
    for label, path in zip(display.labels, display.paths, strict=True):
        column = ae.inverse_transform(path)[:, int(label[1:])]
        assert (np.diff(column) > -1e-9).all()
        bends.append(np.abs(path - np.linspace(path[0], path[-1], len(path))).max())
    assert max(bends) > 0.01
    texts = [text.get_text() for text in display.texts_]
    assert sorted(texts) == ["x0", "x1", "x2", "x3", "x4"]


def test_two_levels_have_one_arrow(pyplot, table):
    display = BiplotDisplay.from_estimator(*table)
    assert sorted(display.labels) == ["day", "kind = large", "size"]


def test_traversals_of_columns_are_what_is_decoded(pyplot, linear, table):
    display = TraversalDisplay.from_estimator(linear, IRIS, 1, n_steps=5)
    codes = np.zeros((5, 3))
    codes[:, 1] = display.positions
    np.testing.assert_allclose(display.rows, linear.inverse_transform(codes), atol=1e-9)
    ends = np.quantile(linear.transform(IRIS)[:, 1], [0.05, 0.95])
    np.testing.assert_allclose(display.positions[[0, -1]], ends)
    assert display.axes_[0].get_title(loc="left") == "sepal width (cm)"
    ae, X = table
    display = TraversalDisplay.from_estimator(ae, X)
    columns = dict(display.columns)
    assert set(columns) == set(X)
    np.testing.assert_allclose(display.rows[:, columns["kind"]].sum(axis=1), 1.0)
    place = [name for name, _ in display.columns].index("day")
    days = np.asarray(display.axes_[place].lines[0].get_ydata(), dtype="datetime64[D]")
    assert (days > np.datetime64("2019-11-01")).all()
    assert (days < np.datetime64("2020-03-01")).all()


def test_traversals_of_images_and_sequences(pyplot, trained, sequences):
    display = TraversalDisplay.from_estimator(trained, DIGITS, image_shape=(8, 8), n_steps=4)
    assert display.artists_[2].get_array().shape == (8, 8)
    np.testing.assert_allclose(display.artists_[2].get_array().ravel(), display.rows[2])
    ae, X = sequences
    display = TraversalDisplay.from_estimator(ae, X, n_steps=4)
    assert [len(ax.lines) for ax in display.axes_] == [4, 4]
    np.testing.assert_allclose(display.axes_[1].lines[3].get_ydata(), display.rows[3, 1::2])


# rows -----------------------------------------------------------------------------------------


def test_reconstructions_by_column(pyplot, linear, table):
    for ae, X in ((linear, IRIS), table):
        display = ReconstructionDisplay.from_estimator(ae, X)
        pd.testing.assert_series_equal(display.shares, ae.score_by_column(X), check_names=False)
        widths = sorted(bar.get_width() for bar in display.artists_)
        np.testing.assert_allclose(widths, np.sort(display.shares))
    made = PCA(1).fit(IRIS)
    made = made.inverse_transform(made.transform(IRIS))
    display = ReconstructionDisplay.from_predictions(IRIS, made, n_columns=1)
    assert [text.get_text() for text in display.axes_[0].get_yticklabels()] == ["sepal width (cm)"]


def test_reconstructions_of_images_and_sequences(pyplot, trained, sequences):
    display = ReconstructionDisplay.from_estimator(trained, DIGITS, n_rows=3, image_shape=(8, 8))
    shown = [image.get_array().ravel() for image in display.artists_]
    np.testing.assert_allclose(shown[:3], DIGITS[:3])
    np.testing.assert_allclose(shown[3:], trained.reconstruct(DIGITS[:3]))
    same = ReconstructionDisplay.from_predictions(
        DIGITS, trained.reconstruct(DIGITS), n_rows=3, image_shape=(8, 8)
    )
    np.testing.assert_allclose(same.reconstructions, display.reconstructions)
    ae, X = sequences
    display = ReconstructionDisplay.from_estimator(ae, X, n_rows=2)
    assert len(display.axes_) == 4
    np.testing.assert_array_equal(display.axes_[1].lines[0].get_ydata(), X[0, 1::2])


# the training ---------------------------------------------------------------------------------


def test_the_loss_curve_shows_training_baseline_and_the_kept_epoch(pyplot, trained):
    display = LossCurveDisplay.from_estimator(trained)
    np.testing.assert_allclose(1 - display.held_out, trained.validation_scores_)
    assert 1 - display.baseline == pytest.approx(trained.pca_score_)
    np.testing.assert_array_equal(display.training_line_.get_ydata(), trained.loss_curve_)
    epoch, loss = (values[0] for values in display.kept_.get_data())
    assert epoch == trained.best_iter_
    levels = [display.baseline, *display.held_out]
    assert loss == levels[epoch]


def test_losses_of_likelihoods_and_of_models_without_held_out_rows(pyplot):
    vae = skae.VAETransformer(2, **SHORT).fit(IRIS)
    display = LossCurveDisplay.from_estimator(vae)
    scores = [vae._model.task.score(loss) for loss in display.held_out]
    np.testing.assert_allclose(scores, vae.validation_scores_)
    ae = skae.AutoencoderTransformer(2, early_stopping=False, **SHORT).fit(IRIS)
    display = LossCurveDisplay.from_estimator(ae)
    assert display.held_out_line_ is None
    assert display.kept_ is None


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_nothing_is_computed_when_drawn_again(pyplot, style, linear, trained, table, monkeypatch):
    displays = [
        LatentSpaceDisplay.from_estimator(linear, IRIS, color_by=SPECIES),
        BiplotDisplay.from_estimator(linear, IRIS),
        TraversalDisplay.from_estimator(*table),
        ReconstructionDisplay.from_estimator(*table),
        LossCurveDisplay.from_estimator(trained),
    ]
    monkeypatch.setattr(skae._model.model.Model, "_apply_to_codes", None)
    monkeypatch.setattr(skae._model.model.Model, "apply_to_rows", None)
    with pyplot.style.context(style):
        for display in displays:
            before = display.figure_
            assert display.plot() is display
            assert display.figure_ is not before
            display.figure_.canvas.draw()


@pytest.mark.parametrize("display", [LatentSpaceDisplay, BiplotDisplay])
def test_a_code_of_one_component_is_no_map(pyplot, display):
    ae = skae.AutoencoderTransformer(1, **SHORT).fit(IRIS)
    with pytest.raises(ValueError, match="has 1 component, and this picture needs two"):
        display.from_estimator(ae, IRIS)


def test_estimators_that_a_picture_is_not_of_are_named():
    model = skae.AutoencoderTransformer(2, hidden_layer_sizes=()).fit(IRIS)
    with pytest.raises(ValueError, match="AutoencoderTransformer does not explain scores"):
        OutlierDisplay.from_estimator(model, IRIS)
    detector = skae.AutoencoderOutlierDetector(model).fit(IRIS)
    with pytest.raises(ValueError, match="makes no codes: pass its autoencoder_"):
        LatentSpaceDisplay.from_estimator(detector, IRIS)
    other = pd.DataFrame(IRIS).iloc[:, ::-1]
    with pytest.raises(ValueError, match="in another order"):
        ReconstructionDisplay.from_predictions(pd.DataFrame(IRIS), other)
