"""When the worker runs: at a fixed interval, or by cron with cron's own meaning; never twice and never not at all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSim, CronSimError

from evaljob.config import Schedule
from evaljob.errors import ConfigError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FORM = "five fields: minute hour day-of-month month day-of-week, such as '*/5 * * * *'"
_INSTANT = timedelta(microseconds=1)


class Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no type hints
    """Fires at the first time that lies after the last one and not before now.

    So after an absence one run is due, however many were missed, and a clock that jumps by years costs nothing.
    """

    def __init__(self, following: Callable[[datetime], datetime]) -> None:
        self.following = following

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next time in UTC; `now` itself counts unless it was the previous time."""
        if previous_fire_time is None or previous_fire_time < now:
            return self.following(now - _INSTANT)
        return self.following(previous_fire_time)

    def after(self, moment: datetime, count: int = 1) -> datetime:
        """The time of the count-th run after a moment."""
        for _ in range(count):
            moment = self.following(moment)
        return moment


def main_trigger(schedule: Schedule) -> Trigger:
    """The trigger of the evaluations. Raises ConfigError for an expression that is wrong or never comes true."""
    if schedule.cron is not None:
        return cron(schedule.cron, schedule.timezone, "schedule.cron")
    if schedule.every is None:
        raise ConfigError("schedule: give `every: 5m` or `cron: '*/5 * * * *'`")
    return every(schedule.every)


def reconcile_trigger(schedule: Schedule) -> Trigger | None:
    """The trigger of the reconciliations, None when they are not scheduled. Raises ConfigError likewise."""
    if schedule.reconcile is None:
        return None
    return cron(schedule.reconcile, schedule.timezone, "schedule.reconcile")


def every(interval: timedelta) -> Trigger:
    """Whole intervals since 1970-01-01 00:00 UTC: `5m` is at :00, :05, ... in every replica and after every restart."""
    return Trigger(lambda moment: EPOCH + ((moment - EPOCH) // interval + 1) * interval)


def cron(expression: str, timezone: str = "UTC", key: str = "cron") -> Trigger:
    """Cron's five fields or an @macro: 0 and 7 are Sunday; day-of-month or day-of-week, when both are restricted.

    An expression for every hour follows real time. Any other names times of the zone's clock, and each is met once: at
    the end of the gap when the clock is set forward over it, at its first coming when the clock is set back.
    Raises ConfigError, naming `key`, for an expression that is wrong or never comes true, and for an unknown zone.
    """
    zone, fields = _zone(timezone), _fields(expression, key)

    def following(moment: datetime) -> datetime:
        for local in CronSim(fields, moment.astimezone(zone)):
            # Compared in UTC: within one zone Python compares clock times, and 02:30 comes twice.
            if (fires := local.astimezone(UTC)) > moment:
                return fires
        raise ConfigError(f"{key}: {expression!r} never comes true: there is no such date")

    following(EPOCH)
    return Trigger(following)


def _fields(expression: str, key: str) -> str:
    """The expression written so that CronSim takes its wildcard jobs for real time and all others for clock times."""
    fields = MACROS.get(expression.strip().lower(), expression).split()
    if len(fields) != 5:  # noqa: PLR2004  (CronSim takes a sixth, for seconds, that cron does not have)
        raise ConfigError(f"{key}: {expression!r} must be an @macro or {_FORM}")
    try:
        parsed = CronSim(" ".join(fields), EPOCH)
    except CronSimError as error:
        why = str(error).replace("Bad day-of-month", "Bad day-of-month, or a date that never comes")
        raise ConfigError(f"{key}: {expression!r}: {why}; it must be {_FORM}") from error
    minute, hour, *days = fields
    if len(parsed.hours) == len(range(24)):
        return " ".join([minute, "*", *days])
    return " ".join([_unstarred(minute, 59), _unstarred(hour, 23), *days])


def _unstarred(field: str, last: int) -> str:
    return f"0-{last}{field[1:]}" if field.startswith("*") else field


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"schedule.timezone: {name!r} is no IANA time zone, such as UTC or Europe/Berlin") from error
