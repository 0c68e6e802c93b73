"""Columns of Python objects that are numbers, dates or durations: read as float64, and made again."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from numbers import Integral, Real
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

NUMBER, TIME, DURATION, CATEGORY = "number", "time", "duration", "category"
FARTHEST = 60_000_000_000_000_000  # the longest duration, in microseconds
ZONED = "datetime", "Timestamp"  # objects that have a time zone
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_000_000  # of the years 1 and 9999
MICROSECONDS = 1e-6  # in seconds, the unit of times and durations as numbers
START = datetime(1970, 1, 1)
NOTHING = timedelta()
DAY = 24 * 60 * 60
MOST_DIGITS, MOST_PLACES = 500, 100  # of a decimal number, and those of its fraction

# what an object can be, the more special kinds first: numpy's durations are integers to Python
KINDS = {
    bool | np.bool_: CATEGORY,
    date | np.datetime64 | pd.Period: TIME,
    timedelta | np.timedelta64 | time: DURATION,
    Real | Decimal: NUMBER,
}


def described(cells):
    """Return the kind of a column of objects, and what they are: "" where they are just that.

    Objects of several kinds are a category. `made` makes cells of what they are.
    """
    present = [cell for cell in cells if not is_missing(cell)]
    kinds = {_kind(kind) for kind in set(map(type, present))}
    if len(kinds) != 1 or kinds == {CATEGORY}:
        return CATEGORY, ""
    (kind,) = kinds
    if kind == NUMBER:
        return kind, _form_of_numbers(present)
    name = _name(present)
    if name == "Period":
        frequencies = {cell.freqstr for cell in present}
        return (kind, f"Period, {frequencies.pop()}") if len(frequencies) == 1 else (CATEGORY, "")
    zone = _zone(present) if kind == TIME else None
    return kind, name if zone is None else f"{name}, {zone}"


def is_missing(cell):
    """Return whether a cell holds nothing: None, NaN, NaT or NA."""
    if cell is None:
        return True
    try:
        return bool(cell != cell)
    except (TypeError, ArithmeticError):  # pandas.NA is neither equal nor unequal
        return True
    except ValueError:  # an array in a cell
        return False


def _kind(kind):
    return next((KINDS[known] for known in KINDS if issubclass(kind, known)), CATEGORY)


def _form_of_numbers(cells):
    if all(isinstance(cell, Decimal) for cell in cells):
        places = [-cell.as_tuple().exponent for cell in cells if cell.is_finite()]
        return f"Decimal, {max([0, *places])}"
    return "int" if all(isinstance(cell, Integral) for cell in cells) else ""


def _name(cells):
    """Return the name of the cells' one type; pandas' own, where they have several."""
    kinds = set(map(type, cells))
    if len(kinds) > 1:
        of_durations = _kind(next(iter(kinds))) == DURATION and time not in kinds
        return "Timedelta" if of_durations else "Timestamp"
    (kind,) = kinds
    units = {cell.dtype.name for cell in cells} if issubclass(kind, np.generic) else {kind.__name__}
    return units.pop() if len(units) == 1 else f"{kind.__name__}[us]"


def _zone(cells):
    """Return the name of the cells' time zone, UTC where they have several; None without one."""
    zones = {str(cell.tzinfo) for cell in cells if getattr(cell, "tzinfo", None) is not None}
    if not zones:
        return None
    with_zone = [getattr(cell, "tzinfo", None) is not None for cell in cells]
    if not all(with_zone):
        bare, aware = cells[with_zone.index(False)], cells[with_zone.index(True)]
        raise ValueError(
            f"A column mixes times with and without a zone: {aware} and {bare}. Give all of them "
            "one, for example with pandas.to_datetime(column, utc=True)."
        )
    name = zones.pop() if len(zones) == 1 else "UTC"
    try:
        zone_of(name)
    except Exception:  # of a library that names it otherwise
        return "UTC"
    return name


def zone_of(name):
    """Return the time zone of a name such as "Europe/Berlin", "UTC+02:00" or "+02:00"; "..." is no path."""
    offset = re.fullmatch(r"(?:UTC)?([+-])(\d\d):(\d\d)|UTC", name)
    if offset is None:
        return ZoneInfo(name)
    if offset[1] is None:
        return UTC
    ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return timezone(ahead if offset[1] == "+" else -ahead)


def read(cells, kind):
    """Return cells as float64, times and durations in seconds; NaN where missing."""
    seconds = {NUMBER: float, TIME: _since_start, DURATION: _length}[kind]
    return np.array([np.nan if is_missing(cell) else seconds(cell) for cell in cells], np.float64)


def _since_start(cell):
    if isinstance(cell, pd.Period):
        cell = cell.start_time
    if isinstance(cell, np.datetime64):
        return cell.astype("datetime64[us]").astype(np.int64) * MICROSECONDS
    if isinstance(cell, pd.Timestamp):  # knows UTC also where its year is 0 or 10000
        return float((cell.asm8 - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    if not isinstance(cell, datetime):
        return (cell - START.date()).days * DAY
    ahead = cell.utcoffset() or NOTHING  # UTC itself may be in the year 0
    return (cell.replace(tzinfo=None) - START - ahead).total_seconds()


def _length(cell):
    if isinstance(cell, time):
        cell = datetime.combine(START, cell.replace(tzinfo=None)) - START
    if isinstance(cell, np.timedelta64):
        return cell.astype("timedelta64[us]").astype(np.int64) * MICROSECONDS
    return cell.total_seconds()


def made(form, values):
    """Return the objects that float64 values stand for, None where they are NaN."""
    name, _, more = form.partition(", ")
    make = _maker(name, more)
    return [None if np.isnan(value) else make(value) for value in values.tolist()]


def _maker(name, more):
    """Return the function that makes objects of a type of numbers, or of seconds."""
    if name == "Decimal":
        return _decimal_maker(int(more))
    if name in ("", "int"):
        return round if name else float
    of_ticks = MAKERS[name] if "[" not in name else _numpy_maker(name)
    zone = zone_of(more) if more and name in ZONED else None
    low, high = limits(name.startswith(("time", "Timedelta")), zone)
    more = zone or more

    def make(seconds):
        return of_ticks(min(max(round(seconds / MICROSECONDS), low), high), more)

    return make


def limits(are_durations, zone=None):
    """Return how far microseconds may reach: durations, or times in UTC whose year in a zone Python knows."""
    if are_durations:
        return -FARTHEST, FARTHEST
    ahead = (_ahead(zone, end) / timedelta(microseconds=1) for end in (datetime.min, datetime.max))
    return tuple(round(end - hours) for end, hours in zip((EARLIEST, LATEST), ahead, strict=True))


def _ahead(zone, wall):
    """Return how far a zone is ahead of UTC at a time of its own."""
    return zone.utcoffset(wall) if zone else NOTHING


def _decimal_maker(places):
    if places > MOST_PLACES:
        raise ValueError(f"a decimal number has at most {MOST_PLACES} decimal places here")
    unit, context = Decimal(1).scaleb(-places), Context(prec=MOST_DIGITS)
    return lambda value: Decimal(value).quantize(unit, context=context)


def _numpy_maker(name):
    kind = np.datetime64 if name.startswith("datetime64") else np.timedelta64
    return lambda ticks, _: kind(ticks, "us").astype(name)


def _timestamp(ticks, zone):
    since = timedelta(microseconds=ticks)
    if not EARLIEST <= ticks <= LATEST:  # UTC is in the year 0 or 10000
        ahead = _ahead(zone, datetime.min if ticks < 0 else datetime.max)
        return pd.Timestamp((START + (since + ahead)).replace(tzinfo=zone))
    stamp = pd.Timestamp(START + since)
    return stamp.tz_localize("UTC").tz_convert(zone) if zone else stamp


def _time(ticks, _):
    ticks = min(max(ticks, 0), DAY * 10**6 - 1)
    return (START + timedelta(microseconds=ticks)).time()


MAKERS = {
    "date": lambda ticks, _: date.fromordinal(
        min(START.toordinal() + round(ticks / (DAY * 10**6)), date.max.toordinal())
    ),
    "datetime": lambda ticks, zone: _timestamp(ticks, zone).to_pydatetime(),
    "Timestamp": _timestamp,
    "Period": lambda ticks, frequency: pd.Period(_timestamp(ticks, None), frequency),
    "timedelta": lambda ticks, _: timedelta(microseconds=ticks),
    "Timedelta": lambda ticks, _: pd.Timedelta(timedelta(microseconds=ticks)),
    "time": _time,
}
