"""Cells that rows to be drawn shall have: read, and refused where no row could have them."""

import warnings
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd

from skae import _model as fitted_models
from skae._data.objects import is_missing
from skae._parameters import counted

EXAMPLES = 5  # of names, in a message


def is_given(given):
    """Return whether cells are given: not None, and no empty dict."""
    return given is not None and not (isinstance(given, dict) and not given)


def known_cells(estimator, given, match_marginals):
    """Return the `Given` of a dict from columns to cells.

    Parameters
    ----------
    estimator : VAETransformer
    given : dict
    match_marginals : bool
        As in `VAETransformer.sample`.
    """
    if not isinstance(given, dict):
        raise TypeError(
            f"given={given!r}: expected a dict from names of columns to cells, such as "
            '{"cut": "Ideal"}.'
        )
    model = estimator._model
    if model.task.is_bernoulli:
        raise ValueError(
            "given needs likelihood='gaussian': the Bernoulli model has no draws given some cells."
        )
    places = _places(model.schema, given)
    coded = _coded(estimator, given, places)
    numbers = {}
    for name, place in places.items():
        if model.schema.blocks is not None and model.schema.blocks.n_levels[place] is not None:
            _check_level(model.schema, name, given[name], place, coded[place])
        else:
            cell = float(model.schema.in_units(place, coded[place]))
            numbers[place] = _checked(model.marginals, name, cell, place, match_marginals)
    matched = match_marginals and model.marginals is not None
    bounds = {
        place: model.bounds(place, cell) if matched else (cell, cell)
        for place, cell in numbers.items()
    }
    return fitted_models.Given(model, coded, numbers, bounds, model.joint if matched else None)


def _places(schema, given):
    """Return the places of the columns, by their names."""
    names = _names(schema)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"given names {unknown[:EXAMPLES]}, but X had no such columns: its columns are "
            f"{names[:EXAMPLES]}{', ...' if len(names) > EXAMPLES else ''}."
        )
    several = [name for name, cell in given.items() if np.ndim(cell)]
    if several:
        raise ValueError(f"given has a list or an array for {several[:EXAMPLES]}: pass one value.")
    missing = [name for name, cell in given.items() if is_missing(cell)]
    if missing:
        raise ValueError(f"given has no value for {missing[:EXAMPLES]}: leave these columns out.")
    text = [name for name in given if schema.encoder is None and not _is_number(given[name])]
    if text:
        raise ValueError(
            f"given has {given[text[0]]!r} for {text[0]!r}, a column of numbers: pass a number."
        )
    return {name: names.index(name) for name in given}


def _is_number(cell):
    """Return whether a cell can stand in a column of numbers; text that reads as one cannot."""
    return isinstance(cell, Real | Decimal | np.bool_) or np.asarray(cell).dtype.kind in "iuf"


def _names(schema):
    """Return the names of the columns; their places in an array."""
    if schema.encoder is not None:
        return list(schema.encoder.names)
    if schema.fields is not None:
        return [field.name for field in schema.fields]
    return list(range(schema.n_features))


def _coded(estimator, given, places):
    """Return a row as the schema codes it, NaN where nothing is given."""
    row, schema = estimator.sample(1, random_state=0), estimator._model.schema
    if isinstance(row, np.ndarray):
        row = row.astype(object)
        for name, place in places.items():
            row[0, place] = given[name]
        row = row.astype(float) if schema.encoder is None else row
    elif isinstance(row, pd.DataFrame):
        for name, place in places.items():
            is_level = schema.encoder is not None and schema.encoder.categories_[place] is not None
            row.isetitem(place, pd.Categorical([given[name]]) if is_level else [given[name]])
    else:
        cells = {name: row[name].to_list() for name in row.columns}
        row = type(row)(cells | {name: [cell] for name, cell in given.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unseen levels, which are refused below
        coded = schema.read(row)[0].astype(np.float64)
    others = np.setdiff1d(np.arange(len(coded)), list(places.values()))
    coded[others] = np.nan
    return coded


def _check_level(schema, name, level, place, code):
    """Refuse a level that no draw has."""
    encoder = schema.encoder
    if encoder is None or schema.blocks.n_levels[place] == 0:
        raise ValueError(f"given names {name!r}, a column without any value in fit: leave it out.")
    kept, pooled = encoder.categories_[place], encoder.infrequent_categories_[place] or []
    if level in pooled and len(pooled) > 1:
        raise ValueError(
            f"given asks for {name}={level!r}, a level so rare that it shares a code with "
            f"{counted(len(pooled) - 1, 'other')}: fit with a smaller min_frequency."
        )
    if not code < schema.blocks.n_levels[place] or code % 1:
        raise ValueError(
            f"given asks for {name}={level!r}, a level that fit did not see: it saw "
            f"{[*kept, *pooled][:EXAMPLES]}{', ...' if len(kept) + len(pooled) > EXAMPLES else ''}."
        )


def _checked(marginals, name, cell, place, match_marginals):
    """Return a number, on its grid; refuse one that no draw has."""
    if marginals is None:
        return cell
    number = np.flatnonzero(marginals.places == place)[0]
    low, high = marginals.quantiles[[0, -1], number]
    nearest = float(marginals.on_grid(number, np.array(cell)))
    rounding = 1e-9 * max(abs(low), abs(high))
    of_float32 = 1e-7 * max(abs(low), abs(high))  # a fit may have rounded its own rows
    if not low - of_float32 <= cell <= high + of_float32:
        raise ValueError(
            f"given asks for {name}={cell:.9g}, outside the training range from {low:.9g} to {high:.9g}: "
            "the model knows no such rows."
        )
    if match_marginals and abs(nearest - cell) > rounding and marginals.decimals[number] >= 0:
        raise ValueError(
            f"given asks for {name}={cell:.9g}, but the training values are {marginals.step[number]:g} "
            f"apart: take {nearest:.9g}, or match_marginals=False."
        )
    return nearest if match_marginals else cell
