"""Durations as configurations write them: `30s`, `5m`, `1h30m`, `7d`, `2w`."""

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FORM = re.compile("".join(f"(?:(?P<{name}>[0-9]{{1,10}}){unit})?" for unit, name in _UNITS.items()))


def parse(text: str) -> timedelta:
    """The duration that a text stands for: whole weeks, days, hours, minutes and seconds, in this order.

    Raises ValueError, without the text in it, for anything else and for more than 100 years.
    """
    found = _FORM.fullmatch(text)
    if not text or not found:
        raise ValueError("must be a duration of whole seconds or longer units, such as 30s, 5m, 1h30m, 7d or 2w")
    duration = timedelta(seconds=sum(int(count) * _SECONDS[name] for name, count in found.groupdict("0").items()))
    if duration > LONGEST:
        raise ValueError("must be a duration of at most 100 years")
    return duration


_SECONDS = {name: int(timedelta(**{name: 1}).total_seconds()) for name in _UNITS.values()}
