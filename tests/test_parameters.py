"""Parameters are dataclass fields, and scikit-learn and its users see nothing of it."""

import inspect
import pickle
import pydoc
import re
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from family import PUBLIC, name_of
from sklearn.base import clone

import skae
from skae._parameters import parameters

every = pytest.mark.parametrize("kind", PUBLIC, ids=name_of)
as_dataclass = dataclass(kw_only=True, eq=False, repr=False)  # what a user's subclass takes


@every
def test_the_constructor_writes_the_parameters_and_nothing_else(kind):
    defaults = {p.name: p.default for p in inspect.signature(kind).parameters.values()}
    estimator = kind()
    assert vars(estimator) == estimator.get_params() == defaults
    assert kind._parameter_constraints.keys() == defaults.keys()
    assert not [name for name in defaults if hasattr(kind, name)]  # a class has no values


@every
def test_names_and_defaults_are_what_people_read(kind):
    assert f"`{kind.__name__}`" in kind.__init__.__doc__
    shown = str(inspect.signature(kind))
    assert ":" not in shown
    assert "<factory>" not in shown
    page = pydoc.plain(pydoc.render_doc(kind))
    assert f"class {kind.__name__}(" in page
    page, shown = (
        re.sub(r"[\s|]", "", text) for text in (page, shown)
    )  # pydoc of 3.13 breaks lines
    assert f"{kind.__name__}{shown}" in page
    assert f"__init__(self,{shown[1:]}" in page


@every
def test_copies_and_pages_tell_what_was_set(kind):
    name = next(
        name for name in ("verbose", "min_frequency", "random_state") if name in kind().get_params()
    )
    estimator = kind(**{name: 7})
    for copy in (
        clone(estimator),
        pickle.loads(pickle.dumps(estimator)),
        kind().set_params(**{name: 7}),
    ):
        assert vars(copy) == vars(estimator)
        assert repr(copy) == f"{kind.__name__}({name}=7)"
        assert name in copy._repr_html_()
        assert copy != estimator  # identity, as everywhere in scikit-learn
        assert len({copy, estimator}) == 2


class Plain(skae.AutoencoderTransformer):
    pass


class OwnConstructor(skae.AutoencoderTransformer):
    note_: str
    kind_of: ClassVar[str] = "own"

    def __init__(self, n_components=2, *, gain=1.0, max_iter=3, random_state=0):
        super().__init__(n_components, max_iter=max_iter, random_state=random_state)
        self.gain = gain


@as_dataclass
class OwnFields(skae.AutoencoderTransformer):
    gain: float = 1.0
    max_iter: int = 3
    random_state: int = 0
    n_components: int = field(default=2, kw_only=False)


@parameters
class Decorated(OwnFields):
    gain: float = 1.5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [OwnConstructor, OwnFields, Decorated])
def test_a_subclass_may_have_more_parameters(kind, wine):
    estimator = clone(kind(gain=2.0)).set_params(max_iter=4).fit(wine[0])
    assert {"n_components": 2, "gain": 2.0, "max_iter": 4}.items() <= estimator.get_params().items()
    assert repr(clone(estimator)) == f"{kind.__name__}(gain=2.0, max_iter=4)"
    assert estimator.transform(wine[0]).shape[1] == 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_a_constructor_does_not_take_holds_all_the_same(wine):
    class Fixed(skae.AutoencoderTransformer):
        def __init__(self, n_components=2):
            super().__init__(n_components, max_iter=2, whiten=True, batch_size=50, random_state=0)

    estimator = Fixed().fit(wine[0])
    np.testing.assert_allclose(estimator.transform(wine[0]).std(axis=0, ddof=1), 1)
    assert (estimator.batch_size_, estimator.n_iter_) == (50, 2)
    assert estimator.partial_fit(wine[0]).n_iter_ == 3


def test_a_subclass_may_have_the_same_parameters():
    assert inspect.signature(Plain) == inspect.signature(skae.AutoencoderTransformer)
    assert repr(clone(Plain(3))) == "Plain(n_components=3)"


def test_fields_that_the_constructor_does_not_take_are_refused():
    class Forgotten(OwnFields):
        noise: float = 0.1

    with pytest.raises(TypeError, match=r"Forgotten annotates noise .*dataclass\(kw_only=True"):
        Forgotten()
    assert as_dataclass(Forgotten)().noise == 0.1


@every
def test_true_is_no_number(kind):
    X, y = np.eye(8), np.arange(8) % 2
    for name in {"n_components", "max_iter", "batch_size"} & kind().get_params().keys():
        with pytest.raises(ValueError, match=rf"'{name}' parameter .* Got True"):
            kind(**{name: True}).fit(X, y)


def test_a_code_is_not_cut_to_true():
    ae = skae.AutoencoderTransformer(2, ordered=True, max_iter=1).fit(np.eye(8))
    with pytest.raises(ValueError, match="n_components=True: expected an int from 1 to 2"):
        ae.truncate(True)
