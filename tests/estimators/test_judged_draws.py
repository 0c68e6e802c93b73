"""Laws of draws that are chosen: what a classifier tells from real rows is drawn less often."""

import numpy as np
import pandas as pd
import pytest

import skae
from skae import ConditionalVAE, VAETransformer
from skae.metrics import synthesis_report


def stays(n, seed):
    """Rows of columns that follow from others in a product, a sum with a bend, and a threshold."""
    rng = np.random.default_rng(seed)
    nights, rate = rng.integers(1, 15, n), np.round(40 + 60 * rng.beta(1, 3, n), 0)
    off = np.where(rng.random(n) < 0.6, 0.0, rng.choice([5.0, 10.0, 15.0], n))
    return pd.DataFrame(
        {
            "nights": nights,
            "rate": rate,
            "off": off,
            "price": rate - off,
            "paid": nights * (rate - off),
            "long": np.where(nights > 6, "yes", "no"),
            "tax": np.maximum(nights * (rate - off) - 300, 0),
        }
    )


@pytest.fixture(scope="module")
def table():
    return stays(1500, 0)


@pytest.fixture(scope="module")
def model(table):
    return VAETransformer(3, hidden_layer_sizes=()).fit(table)


def with_judge(model, judge):
    """Return a model as from a file with another judge; None: with none, as in an earlier release."""
    state = {name: part for name, part in model.__getstate__().items() if name != "_judge"}
    other = VAETransformer()
    other.__setstate__(state if judge is None else state | {"_judge": judge})
    return other


def errors(rows):
    """Return how far rows are from the sum, and from the product, on average."""
    price = np.abs(rows["price"] - (rows["rate"] - rows["off"])).mean()
    paid = np.abs(rows["paid"] - rows["nights"] * rows["price"]).mean()
    return np.array([price, paid])


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_are_nearer_to_relations_that_are_no_lines(model, table, seed):
    chosen, free = (some.sample(4000, seed) for some in (model, with_judge(model, None)))
    assert (errors(chosen) < [0.75, 0.97] * errors(free)).all()


def test_rows_pass_better_for_real_ones_and_are_no_copies(model, table):
    holdout, n = stays(1500, 1), len(table)
    chosen, free = (
        synthesis_report(table, some.sample(n, 0), holdout)["drawn"]
        for some in (model, with_judge(model, None))
    )
    assert chosen["detection"] > free["detection"] + 0.15
    assert chosen["shapes"] > free["shapes"] - 0.02
    assert 0.45 < chosen["closest_record"] < 0.55


def test_numbers_stay_those_of_the_table(model, table):
    drawn = model.sample(3000, 1)
    assert set(drawn["off"]) <= set(table["off"])
    assert drawn["rate"].between(table["rate"].min(), table["rate"].max()).all()
    assert (drawn["paid"] % 1 == 0).all()
    pd.testing.assert_series_equal(drawn.dtypes, table.dtypes)
    shares = [some["off"].value_counts(normalize=True).sort_index() for some in (drawn, table)]
    np.testing.assert_allclose(*shares, atol=0.04)


def test_draws_are_those_of_their_seed_and_of_no_other_generator(model):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    pd.testing.assert_frame_equal(model.sample(40, 5), model.sample(40, 5))
    assert not model.sample(40, 5).equals(model.sample(40, 6))
    assert len(model.sample(1)) == 1
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_what_is_not_judged_is_as_without(model):
    old = with_judge(model, None)
    for settings in ({"match_marginals": False}, {"given": {"nights": 3.0}}):
        one, other = (some.sample(200, 0, **settings) for some in (model, old))
        pd.testing.assert_frame_equal(one, other)
    assert not model.sample(200, 0).equals(old.sample(200, 0))


def test_files_say_it_or_do_not_or_are_refused(model, tmp_path):
    skae.save(model, tmp_path / "model.skae")
    pd.testing.assert_frame_equal(
        skae.load(tmp_path / "model.skae").sample(50, 0), model.sample(50, 0)
    )
    known = model.__getstate__()["_judge"]
    for other in (
        3,
        {"value": known["value"]},
        known | {"value": known["value"] * np.nan},
        known | {"threshold": known["threshold"][1:]},
        known | {"feature": known["feature"] + 7},
        known | {"children": -known["children"]},
        known | {"children": known["children"].astype(float)},
        known | {"children": known["children"][:, :, :1]},
        {name: part[:0] for name, part in known.items()},
    ):
        with pytest.raises(ValueError, match="_judge"):
            with_judge(model, other)


def test_there_is_none_where_nothing_is_to_tell(table):
    rng = np.random.default_rng(0)
    linear = VAETransformer(2, hidden_layer_sizes=())
    rows = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 4)) + rng.normal(size=(600, 4))
    assert linear.fit(rows)._model.judge is None
    assert linear.fit(table[:150])._model.judge is None  # too few to prove it
    assert linear.fit(table)._model.judge is not None
    assert ConditionalVAE(2, hidden_layer_sizes=()).fit(table, table["long"])._model.judge is None


def test_it_is_of_one_fit_alone(table):
    streamed = VAETransformer(2, hidden_layer_sizes=(), random_state=0)
    streamed.partial_fit(table[:700]).partial_fit(table[700:])
    assert streamed._model.judge is None  # what earlier rows looked like is not known any more


def test_missing_cells_and_weights_are_not_what_tells(table):
    rng = np.random.default_rng(0)
    holed = table.astype({"nights": float}).mask(rng.random(table.shape) < 0.1)
    drawn = VAETransformer(3, hidden_layer_sizes=()).fit(holed).sample(1500, 0)
    assert not drawn.isna().any().any()
    weight = np.where(table["long"] == "yes", 5.0, 1.0)
    model = VAETransformer(3, hidden_layer_sizes=()).fit(table, sample_weight=weight)
    expected = np.average(table["long"] == "yes", weights=weight)
    assert model._model.judge is not None
    assert abs((model.sample(4000, 0)["long"] == "yes").mean() - expected) < 0.04
