"""When the worker runs: at a fixed interval, or by cron with cron's own meaning; never twice and never not at all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSim

from evaljob.config import Schedule
from evaljob.config.cron import MACROS, check

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


class Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no type hints
    """Fires at the first time that lies after the last one and not before now.

    So after an absence one run is due, however many were missed, and a clock that jumps by years costs nothing.
    """

    def __init__(self, following: Callable[[datetime], datetime], description: str) -> None:
        self.following, self.description = following, description

    def __str__(self) -> str:
        return self.description

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
    """The trigger of the evaluations."""
    if schedule.every is not None:
        return every(schedule.every)
    return cron(schedule.cron or "", schedule.timezone)


def reconcile_trigger(schedule: Schedule) -> Trigger | None:
    """The trigger of the reconciliations, None when they are not scheduled."""
    return None if schedule.reconcile is None else cron(schedule.reconcile, schedule.timezone)


def every(interval: timedelta) -> Trigger:
    """Whole intervals since 1970-01-01 00:00 UTC: `5m` is at :00, :05, ... in every replica and after every restart."""
    return Trigger(lambda moment: EPOCH + ((moment - EPOCH) // interval + 1) * interval, f"every {interval}")


def cron(expression: str, timezone: str = "UTC") -> Trigger:
    """Cron's five fields or an @macro: 0 and 7 are Sunday; day-of-month or day-of-week, when both are restricted.

    An expression for every hour follows real time. Any other names times of the zone's clock, and each is met once: at
    the end of the gap when the clock is set forward over it, at its first coming when the clock is set back.
    Raises ValueError for an expression that is wrong or never comes true.
    """
    fields, zone = _fields(check(expression)), UTC if timezone == "UTC" else ZoneInfo(timezone)

    def following(moment: datetime) -> datetime:
        for local in CronSim(fields, moment.astimezone(zone)):
            # Compared in UTC: within one zone Python compares clock times, and 02:30 comes twice.
            if (fires := local.astimezone(UTC)) > moment:
                return fires
        raise ValueError(f"{expression!r} never comes true: there is no such date")

    return Trigger(following, f"{expression} in {timezone}")


def _fields(expression: str) -> str:
    """The expression written so that CronSim takes jobs of every hour for real time and all others for clock times."""
    minute, hour, *days = MACROS.get(expression.strip().lower(), expression).split()
    if len(CronSim(f"0 {hour} * * *", EPOCH).hours) == len(range(24)):
        return " ".join([minute, "*", *days])
    return " ".join([_unstarred(minute, 59), _unstarred(hour, 23), *days])


def _unstarred(field: str, last: int) -> str:
    return f"0-{last}{field[1:]}" if field.startswith("*") else field
