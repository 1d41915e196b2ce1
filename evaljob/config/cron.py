"""The syntax of cron expressions."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = 5  # CronSim takes a sixth, for seconds, that cron does not have
_FORM = "minute hour day-of-month month day-of-week, such as */5 * * * *"


def check(expression: str) -> str:
    """The expression as it is, if it is an @macro or cron's five fields.

    Raises ValueError, without the expression in it, otherwise.
    """
    fields = MACROS.get(expression.strip().lower(), expression).split()
    if len(fields) != _FIELDS:
        raise ValueError(f"must be a cron expression of five fields: {_FORM}; or an @macro: {', '.join(MACROS)}")
    try:
        CronSim(" ".join(fields), _EPOCH)
    except CronSimError as error:
        why = str(error).removeprefix("Bad ").replace("day-of-month", "day-of-month, or a date that never comes")
        raise ValueError(f"is no cron expression: wrong {why}; the fields are {_FORM}") from error
    except (ValueError, AssertionError) as error:  # CronSim's own slips on nonsense
        raise ValueError(f"is no cron expression; the fields are {_FORM}") from error
    return expression
