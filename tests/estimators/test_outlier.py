"""AutoencoderOutlierDetector: far rows are found, whatever the table."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

import skae
from skae import AutoencoderOutlierDetector, AutoencoderTransformer
from skae._estimators.outlier import MOST_COLUMNS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def tumours():
    """Benign rows to fit on; others, and whether they are malignant."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    usual, odd = X[y == 1], X[y == 0]
    return usual[:250], pd.concat([usual[250:], odd]), np.arange(319) >= 107


@pytest.fixture(scope="module")
def detector(tumours):
    return AutoencoderOutlierDetector(random_state=0).fit(tumours[0])


def quick(**params):
    """Return a detector whose autoencoder is PCA."""
    pca = AutoencoderTransformer(hidden_layer_sizes=(), column_weights={})
    return AutoencoderOutlierDetector(pca, random_state=0, **params)


# scores -------------------------------------------------------------------------------------------


def test_malignant_tumours_are_odd(detector, tumours):
    _, X, malignant = tumours
    error = detector.autoencoder_.reconstruction_error(X)
    found = roc_auc_score(malignant, -detector.score_samples(X))
    assert found > max(0.93, roc_auc_score(malignant, error))


def test_units_of_the_columns_do_not_matter(tumours):
    rows, X, _ = tumours
    units = 10.0 ** np.random.default_rng(0).integers(-3, 4, X.shape[1])
    scores = quick().fit(rows).score_samples(X)
    np.testing.assert_allclose(
        quick().fit(rows * units).score_samples(X * units), scores, rtol=1e-6
    )


@pytest.mark.parametrize("share", [0.05, 0.1, 0.37])
def test_a_share_of_the_training_rows_is_odd(tumours, share):
    rows, _, _ = tumours
    labels = quick(contamination=share).fit_predict(rows)
    assert abs(np.sum(labels == -1) - share * len(rows)) <= 1


def test_a_row_in_a_gap_among_the_others_is_odd():
    """It is nearer to the centre than all of them: a distance from there alone would call it usual."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 500)
    X = np.column_stack([np.cos(angle), np.sin(angle)]) @ rng.normal(size=(2, 4))
    X += 0.05 * rng.normal(size=(500, 4))
    detector = quick().fit(X[:400])
    inside = X[400:] / 2
    usual = detector.score_samples(X[400:])
    assert np.mean(detector.score_samples(inside) < usual) > 0.95


def test_odd_training_rows_do_not_hide_each_other():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(450, 8)) @ rng.normal(size=(8, 8))
    odd = usual.mean(axis=0) + 3 * usual.std(axis=0) * rng.normal(size=(50, 8))
    X = np.vstack([usual, odd])
    scores = quick().fit(X).score_samples(X)
    assert roc_auc_score(np.arange(500) >= 450, -scores) > 0.99


def test_weights_are_repetitions(tumours):
    rows = tumours[0].to_numpy()
    weight = np.arange(len(rows)) % 3
    one = quick(calibration_fraction=None).fit(rows, sample_weight=weight)
    two = quick(calibration_fraction=None).fit(np.repeat(rows, weight, axis=0))
    np.testing.assert_allclose(one.score_samples(rows), two.score_samples(rows), rtol=1e-6)
    np.testing.assert_allclose(one.offset_, two.offset_, rtol=1e-6)


def test_copies_say_the_same(detector, tumours):
    X = tumours[1]
    copy = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(copy.score_samples(X), detector.score_samples(X))
    np.testing.assert_array_equal(
        clone(detector).fit(tumours[0]).score_samples(X), detector.score_samples(X)
    )


def test_files_keep_a_detector(detector, tumours, tmp_path):
    for one in (detector, clone(detector), quick()):
        skae.save(one, tmp_path / "model.skae")
        same = skae.load(tmp_path / "model.skae")
        assert repr(same) == repr(one)
    skae.save(detector, tmp_path / "model.skae")
    same = skae.load(tmp_path / "model.skae")
    X = tumours[1]
    np.testing.assert_array_equal(same.p_values(X), detector.p_values(X))
    np.testing.assert_array_equal(same.decision_function(X), detector.decision_function(X))
    pd.testing.assert_frame_equal(same.explain(X), detector.explain(X))


def test_files_from_before_columns_entered_themselves():
    X = np.random.default_rng(0).normal(size=(60, MOST_COLUMNS + 1))  # there they do not now either
    detector = quick().fit(X)
    state = detector.__getstate__()
    state["_features"]["known"] = state["_features"]["known"][: X.shape[1]]
    old = AutoencoderOutlierDetector()
    old.__setstate__(state)
    np.testing.assert_array_equal(old.score_samples(X), detector.score_samples(X))


def test_files_from_before_rows_were_kept(detector, tumours):
    state = detector.__getstate__()
    del state["_neighbours"]
    old = AutoencoderOutlierDetector()
    old.__setstate__(state)
    again = pickle.loads(pickle.dumps(old))
    X = tumours[1]
    expected = detector._distance.squares(detector._features_of(X))
    np.testing.assert_array_equal(again.score_samples(X), -expected)
    np.testing.assert_allclose(again.explain(X).sum(axis=1), expected)


@pytest.mark.parametrize(
    "name", ["_features", "_distance", "_neighbours", "autoencoder_", "training_scores_"]
)
def test_parts_of_two_detectors_are_refused(name, detector, tumours):
    other = quick().fit(tumours[0].iloc[:, :7])
    state = detector.__getstate__() | {name: other.__getstate__()[name]}
    if name == "training_scores_":
        state[name] = state[name].astype(np.float32)
    with pytest.raises(ValueError):
        AutoencoderOutlierDetector().__setstate__(state)


# tables -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    """Rows in which two categories and two numbers go together."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 600)
    return pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c"])[kind],
            "same": np.array(["x", "y", "z"])[kind],
            "size": kind + 0.3 * rng.normal(size=600),
            "weight": 2 * kind + 0.3 * rng.normal(size=600),
            "always": 1.0,
        }
    )


def test_any_odd_cell_is_found(table):
    detector = AutoencoderOutlierDetector(random_state=0).fit(table[:500])
    usual = detector.score_samples(table[500:])
    row = table[500:501]
    odd = {"same": "xyz".replace(row["same"].item(), "")[0], "size": 9.0, "always": 2.0}
    for name, value in odd.items():
        changed = row.assign(**{name: value})
        assert detector.score_samples(changed) < usual.min(), name
        assert detector.predict(changed) == -1


def test_a_level_that_was_never_seen_is_odd(table):
    detector = AutoencoderOutlierDetector(random_state=0).fit(table[:500])
    with pytest.warns(UserWarning, match="did not see"):
        score = detector.score_samples(table[500:501].assign(kind="new"))
    assert score < np.quantile(detector.score_samples(table[500:]), 0.01)


def test_rows_with_missing_cells_compare_with_complete_ones(tumours):
    X, others, _ = tumours
    rng = np.random.default_rng(0)
    hide = lambda table, share: table.mask(rng.random(table.shape) < share)  # noqa: E731
    detector = quick().fit(hide(X, 0.1))
    usual = others[:107]
    complete, few, many = (
        np.median(detector.score_samples(hide(usual, share))) for share in (0, 0.1, 0.3)
    )
    assert 0.5 < few / complete < 2
    assert 0.5 < many / complete < 2


def test_a_row_without_any_cell_is_as_odd_as_the_oddest(detector, tumours):
    row = tumours[1][:2].copy()
    row.iloc[0] = np.nan
    with pytest.warns(UserWarning, match="No cell is present in 1 row:"):
        scores = detector.score_samples(row)
    assert scores[0] == detector.training_scores_.min()
    assert scores[1] == pytest.approx(detector.score_samples(row[1:])[0])


def test_constant_rows_and_a_change():
    X = np.ones((60, 4))
    detector = AutoencoderOutlierDetector().fit(X)
    assert (detector.predict(X) == 1).all()
    assert (detector.predict(X + np.eye(4)[[0]]) == -1).all()


@pytest.mark.parametrize("unit", [1.0, 1e6])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_change_in_a_constant_column_is_far_off_but_not_beyond_measure(unit, as_sparse):
    """It costs as much as an unseen level at most: whatever its unit, and however large it is."""
    X = load_digits().data[:, 1:9]
    X[:, 7] = 1.0
    changed = np.repeat(X[:1], 3, axis=0)
    changed[:, 7] += [0, 1, 40]
    X[:, 7] *= unit
    changed[:, 7] *= unit
    wrap = sparse.csr_matrix if as_sparse else np.asarray
    dense = AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0)
    detector = AutoencoderOutlierDetector(dense, random_state=0).fit(wrap(X))
    usual, *odd = detector.score_samples(wrap(changed))
    assert detector.predict(wrap(changed)).tolist() == [1, -1, -1]
    assert odd[0] == pytest.approx(odd[1])
    assert usual > odd[0] > 100 * detector.training_scores_.min()
    parts = detector.explain(wrap(changed))
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(wrap(changed)))
    assert (parts.iloc[1:].idxmax(axis=1) == "x7").all()


def test_a_flag_that_changes_costs_as_a_constant_number_does():
    X = pd.DataFrame(load_digits().data[:, 1:8]).rename(columns=str).assign(one=1.0, flag="yes")
    linear = AutoencoderTransformer(hidden_layer_sizes=(), random_state=0)
    detector = AutoencoderOutlierDetector(linear, random_state=0).fit(X)
    changed = X.iloc[:2].copy()
    changed.loc[0, "one"], changed.loc[1, "flag"] = 2.0, "no"
    with pytest.warns(UserWarning, match="fit did not see"):
        parts = detector.explain(changed)
    assert parts.loc[0, "one"] == pytest.approx(parts.loc[1, "flag"], rel=0.05)


def test_sparse_rows_are_taken():
    X = load_digits().data
    dense = AutoencoderTransformer(8, hidden_layer_sizes=(), random_state=0)
    one, two = (
        AutoencoderOutlierDetector(dense, random_state=0).fit(rows)
        for rows in (X, sparse.csr_matrix(X))
    )
    np.testing.assert_allclose(one.score_samples(X), two.score_samples(sparse.csr_matrix(X)))


def test_rows_far_wider_than_many():
    rng, n_columns = np.random.default_rng(0), 5000
    X = rng.normal(size=(210, 3)) @ rng.normal(size=(3, n_columns))
    X += 0.3 * rng.normal(size=X.shape)
    detector = AutoencoderOutlierDetector(random_state=0).fit(X[:200])
    bad = X[200:] + np.where(np.arange(n_columns) < 60, 2.0, 0.0)
    assert detector.score_samples(bad).max() < detector.score_samples(X[200:]).min()
    n_parts = n_columns + detector.autoencoder_.n_components_
    assert detector.explain(bad[:1]).shape == (1, n_parts)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames(kind, tumours):
    X = tumours[0] if kind == "pandas" else pytest.importorskip("polars").from_pandas(tumours[0])
    labels = quick().fit(X).predict(X)
    np.testing.assert_array_equal(labels, quick().fit(tumours[0]).predict(tumours[0]))


# p-values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [load_digits, load_breast_cancer, load_diabetes])
def test_false_alarms_are_no_more_frequent_than_promised(data):
    X = data().data
    levels, n_fit, n_seeds = np.array([0.01, 0.05, 0.1]), len(X) // 2, 20
    alarms = []
    for seed in range(n_seeds):
        order = np.random.default_rng(seed).permutation(len(X))
        detector = quick(calibration_fraction=0.2).set_params(random_state=seed)
        p = detector.fit(X[order[:n_fit]]).p_values(X[order[n_fit:]])
        alarms.append([np.mean(p <= level) for level in levels])
    of_calibration = levels * (1 - levels) / (round(0.2 * n_fit) + 2)
    of_rows = levels * (1 - levels) / (len(X) - n_fit)
    error = np.sqrt((of_calibration + of_rows) / n_seeds)
    assert (np.mean(alarms, axis=0) <= levels + 2 * error).all()


def test_calibrating_rows_taught_nothing(tumours):
    X = tumours[0].to_numpy()
    detector = quick().fit(X)
    held = np.isin(detector.training_scores_, detector.calibration_scores_)
    assert held.sum() == len(detector.calibration_scores_) == 50
    changed = np.where(held[:, None], X[~held][0], X)
    again = quick().fit(changed)
    np.testing.assert_array_equal(
        again.score_samples(tumours[1].to_numpy()), detector.score_samples(tumours[1].to_numpy())
    )


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize("kind", [float, bool])
def test_equal_rows_have_equal_p_values_alone_and_together(kind, share, tmp_path):
    """Rounding differs from batch to batch, and without torch; of these rows most are the same."""
    X = pd.DataFrame(np.random.default_rng(0).random((200, 3)) < share).astype(kind).add_prefix("x")
    detector = quick().fit(X)
    skae.save(detector, tmp_path / "model.skae")
    for one in (detector, skae.load(tmp_path / "model.skae", engine="numpy")):
        for method in ("p_values", "predict"):
            together, judge = getattr(detector, method)(X), getattr(one, method)
            np.testing.assert_array_equal(judge(X[::-1])[::-1], together)
            alone = [judge(X[i : i + 1])[0] for i in range(0, 200, 10)]
            np.testing.assert_array_equal(alone, together[::10])
            assert X.assign(found=together).groupby(list(X))["found"].nunique().max() == 1


@pytest.mark.parametrize("rows", [slice(60), slice(None)])
def test_without_calibration_there_are_no_p_values(tumours, rows):
    fraction = 0.2 if rows.stop else None
    detector = quick(calibration_fraction=fraction).fit(tumours[0][rows])
    with pytest.raises(ValueError, match="fit at least 100 rows"):
        detector.p_values(tumours[1])


# explanations -------------------------------------------------------------------------------------


def test_parts_add_up_to_the_distance(detector, tumours):
    X = tumours[1]
    parts = detector.explain(X)
    assert (parts >= 0).all(axis=None)
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(X), rtol=1e-9)
    assert list(parts)[:30] == list(X)
    assert parts.index.equals(X.index)
    with_gaps = X.mask(np.random.default_rng(0).random(X.shape) < 0.1)
    parts = detector.explain(with_gaps)
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(with_gaps), rtol=1e-9)
    assert parts.iloc[:, :30].isna().equals(with_gaps.isna())


def test_explanations_of_more_columns_than_enter_themselves():
    X = np.random.default_rng(0).normal(size=(60, MOST_COLUMNS + 1))
    detector = quick().fit(X)
    parts = detector.explain(X)
    assert parts.shape == (60, MOST_COLUMNS + 1 + detector.autoencoder_.n_components_)
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(X), rtol=1e-9)


def test_one_bad_cell_among_correlated_columns_ranks_first():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 4)) @ rng.normal(size=(4, 12)) + 0.3 * rng.normal(size=(1200, 12))
    detector = AutoencoderOutlierDetector(random_state=0).fit(X[:1000])
    bad, cells = X[1000:].copy(), rng.integers(0, 12, 200)
    bad[np.arange(200), cells] += 5 * X.std(axis=0)[cells]
    parts = detector.explain(bad).iloc[:, :12].to_numpy()
    assert np.mean(parts.argmax(axis=1) == cells) >= 0.9


@pytest.mark.parametrize("n_columns", [5, MOST_COLUMNS + 1])
def test_a_cell_of_any_size_is_as_odd_as_can_be(n_columns):
    """Squares of such distances, or their products, are beyond float64."""
    X = np.random.default_rng(0).normal(size=(100, n_columns))
    pca = AutoencoderTransformer(2, hidden_layer_sizes=())
    detector = AutoencoderOutlierDetector(pca, random_state=0).fit(X)
    far = X[:4].copy()
    far[:, 1] = 1e30, -1e90, 1e200, 1e300
    np.testing.assert_array_equal(detector.predict(far), -1)
    np.testing.assert_array_equal(detector.p_values(far), 1 / 21)
    parts = detector.explain(far)
    np.testing.assert_array_equal(parts.to_numpy()[:, :n_columns].argmax(axis=1), 1)
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(far), rtol=1e-9)


# the autoencoder ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["DenoisingAutoencoder", "VAETransformer", "SparseAutoencoder"])
def test_other_autoencoders(kind, tumours):
    given = getattr(skae, kind)(5, max_iter=5)
    detector = AutoencoderOutlierDetector(given, random_state=0).fit(tumours[0])
    assert roc_auc_score(tumours[2], -detector.score_samples(tumours[1])) > 0.85


def test_a_fitted_autoencoder_is_copied(tumours):
    fitted = AutoencoderTransformer(3, max_iter=3, random_state=0).fit(tumours[0])
    detector = AutoencoderOutlierDetector(FrozenEstimator(fitted)).fit(tumours[0])
    assert detector.autoencoder_ is not fitted
    np.testing.assert_array_equal(
        detector.autoencoder_.transform(tumours[0]), fitted.transform(tumours[0])
    )
    with pytest.raises(ValueError, match="fitted to 30 columns"):
        AutoencoderOutlierDetector(fitted).fit(tumours[0].iloc[:, :5])


@pytest.mark.parametrize("kind", ["ContrastiveEncoder", "ConditionalVAE"])
def test_encoders_alone_and_those_that_need_labels_are_refused(kind, tumours):
    with pytest.raises(ValueError, match="expected an autoencoder with inverse_transform"):
        AutoencoderOutlierDetector(getattr(skae, kind)()).fit(tumours[0])


def test_a_fit_that_fails_writes_nothing(tumours):
    detector = AutoencoderOutlierDetector()
    with pytest.raises(ValueError):
        detector.fit(tumours[0], sample_weight=np.zeros(250))
    assert not detector.__sklearn_is_fitted__()
