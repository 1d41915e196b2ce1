"""When the worker runs, on ordinary days and on the two nights when the clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaljob.config import Schedule
from evaljob.schedule import Trigger, cron, every, main_trigger, reconcile_trigger

BERLIN = ZoneInfo("Europe/Berlin")  # forward 2026-03-29 02:00 -> 03:00, back 2026-10-25 03:00 -> 02:00
FORWARD, BACK = datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def day(trigger: Trigger, start: datetime) -> list[str]:
    """The runs of the local day that begins at `start`, by its clock and its offset from UTC."""
    end = (start + timedelta(days=1)).astimezone(UTC)
    fires, found = trigger.following(start.astimezone(UTC) - timedelta(microseconds=1)), []
    while fires < end:
        found.append(fires.astimezone(start.tzinfo).strftime("%H:%M%z"))
        fires = trigger.following(fires)
    return found


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_every_five_minutes_is_on_the_fives() -> None:
    """Whenever the worker was started, 12:03:20 is followed by 12:05, and 12:05 by 12:10."""
    trigger = every(timedelta(minutes=5))
    assert trigger.get_next_fire_time(None, at("2026-03-01 12:03:20")) == at("2026-03-01 12:05")
    assert trigger.get_next_fire_time(at("2026-03-01 12:05"), at("2026-03-01 12:05:00.2")) == at("2026-03-01 12:10")
    assert trigger.after(at("2026-03-01 12:05"), count=3) == at("2026-03-01 12:20")


def test_a_time_that_is_now_counts_once() -> None:
    """At exactly 12:05 the run of 12:05 is due, and once it was started the next is 12:10."""
    for trigger in (every(timedelta(minutes=5)), cron("*/5 * * * *")):
        now = at("2026-03-01 12:05")
        assert trigger.get_next_fire_time(None, now) == now
        assert trigger.get_next_fire_time(now, now) == at("2026-03-01 12:10")


def test_after_six_hours_down_one_run_is_due() -> None:
    """Planned for 06:00, looked at 12:00:01: the one after it is 12:05, the 72 between are not made up for."""
    for trigger in (every(timedelta(minutes=5)), cron("*/5 * * * *")):
        assert trigger.get_next_fire_time(at("2026-03-01 06:00"), at("2026-03-01 12:00:01")) == at("2026-03-01 12:05")


@given(interval=st.integers(1, 100_000), now=MOMENTS)
def test_replicas_agree(interval: int, now: datetime) -> None:
    """The next time is a whole number of intervals after the epoch, later than now by at most one interval."""
    fires = every(timedelta(seconds=interval)).following(now)
    assert int(fires.timestamp()) % interval == 0
    assert timedelta(0) < fires - now <= timedelta(seconds=interval)


@given(
    expression=st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 */2 * * *", "15 1-3 * * 0", "0 2,3 1 * 1", "@hourly"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu"]),
    now=MOMENTS,
)
def test_cron_times_only_go_forward(expression: str, zone: str, now: datetime) -> None:
    """From any instant, in any zone, each time lies after the one before: no run twice, and none in the past."""
    trigger, moments = cron(expression, zone), [now]
    for _ in range(5):
        moments.append(trigger.following(moments[-1]))
    assert all(earlier < later for earlier, later in pairwise(moments))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 12 * * 0", "2026-03-01 12:00"),  # 2026-03-01 is a Sunday
        ("0 12 * * 7", "2026-03-01 12:00"),
        ("0 12 * * SUN", "2026-03-01 12:00"),
        ("0 12 * * 1", "2026-03-02 12:00"),
        ("0 12 * * mon-fri", "2026-03-02 12:00"),
        ("0 12 13 * 5", "2026-03-06 12:00"),  # the 13th or a Friday: Friday the 6th comes first
        ("0 12 3 * 5", "2026-03-03 12:00"),  # the 3rd, a Tuesday, comes before Friday
        ("0 12 13 * *", "2026-03-13 12:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 1 1 *", "2027-01-01 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:59"),
        ("@hourly", "2026-03-01 01:00"),
        ("@daily", "2026-03-02 00:00"),
        ("@weekly", "2026-03-08 00:00"),
        (" @Monthly ", "2026-04-01 00:00"),
    ],
)
def test_cron_means_what_cron_means(expression: str, expected: str) -> None:
    """Weekday 0 and 7 are Sunday, day-of-month or day-of-week, leap days, macros: the first time after 2026-03-01."""
    assert cron(expression).following(at("2026-03-01")) == at(expected)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 0 31 2 *", "a date that never comes"),
        ("0 0 30 2 */1", "a date that never comes"),
        ("0 0 31 4,6 *", "a date that never comes"),
        ("0 0 * 2 MON#6", "wrong day-of-week"),
        ("60 * * * *", "wrong minute"),
        ("0 0 0 * *", "wrong day-of-month"),
        ("0 0 * * 8", "wrong day-of-week"),
        ("*/5 * * *", "five fields"),
        ("0 */5 * * * *", "five fields"),
        ("@reboot", "five fields"),
        ("", "five fields"),
        ("every 5 minutes please now", "wrong minute"),
    ],
)
def test_an_expression_that_never_fires_is_refused(expression: str, why: str) -> None:
    """With the reason: a worker that silently never runs is the worst of them."""
    with pytest.raises(ValueError, match=why):
        cron(expression)


def test_the_night_the_clocks_go_forward() -> None:
    """From 02:00 to 03:00 there is no time: what was to run then runs once, at 03:00."""
    assert day(cron("30 2 * * *", "Europe/Berlin"), FORWARD) == ["03:00+0200"]
    assert day(cron("*/20 2 * * *", "Europe/Berlin"), FORWARD) == ["03:00+0200"]
    assert day(cron("0 1-3 * * *", "Europe/Berlin"), FORWARD) == ["01:00+0100", "03:00+0200"]
    even = ["00:00+0100", "03:00+0200", *(f"{hour:02}:00+0200" for hour in range(4, 24, 2))]
    assert day(cron("0 */2 * * *", "Europe/Berlin"), FORWARD) == even


def test_the_night_the_clocks_go_back() -> None:
    """02:30 comes twice: the run is at the first one only."""
    assert day(cron("30 2 * * *", "Europe/Berlin"), BACK) == ["02:30+0200"]
    assert day(cron("*/20 2 * * *", "Europe/Berlin"), BACK) == ["02:00+0200", "02:20+0200", "02:40+0200"]
    assert day(cron("0 1-3 * * *", "Europe/Berlin"), BACK) == ["01:00+0200", "02:00+0200", "03:00+0100"]
    even = ["00:00+0200", "02:00+0200", *(f"{hour:02}:00+0100" for hour in range(4, 24, 2))]
    assert day(cron("0 */2 * * *", "Europe/Berlin"), BACK) == even


def test_a_worker_started_in_the_repeated_hour_does_not_repeat_the_run() -> None:
    """At 02:45 of the second time round, 02:30 has been: the next is tomorrow's."""
    second = datetime(2026, 10, 25, 2, 15, tzinfo=BERLIN, fold=1).astimezone(UTC)
    fires = cron("30 2 * * *", "Europe/Berlin").get_next_fire_time(None, second)
    assert fires == datetime(2026, 10, 26, 2, 30, tzinfo=BERLIN)


@pytest.mark.parametrize(("start", "hours"), [(FORWARD, 23), (BACK, 25)])
@pytest.mark.parametrize("expression", ["*/5 * * * *", "*/5 */1 * * *", "*/5 0-23 * * *"])
def test_every_five_minutes_through_both_nights(expression: str, start: datetime, hours: int) -> None:
    """Twelve an hour, over the 23 and the 25 hours of the day, each five minutes after the one before."""
    trigger = cron(expression, "Europe/Berlin")
    moments = [start.astimezone(UTC) - timedelta(minutes=5)]
    while moments[-1] < (start + timedelta(days=1)).astimezone(UTC):
        moments.append(trigger.following(moments[-1]))
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(minutes=5)}
    assert len(moments) - 2 == 12 * hours


@pytest.mark.parametrize("start", [FORWARD, BACK])
def test_an_interval_knows_no_clock_changes(start: datetime) -> None:
    """Every 6 h stays at 00, 06, 12 and 18 UTC."""
    trigger = every(timedelta(hours=6))
    fires = trigger.following(start.astimezone(UTC))
    assert fires == datetime(start.year, start.month, start.day, tzinfo=UTC)
    assert trigger.following(fires) - fires == timedelta(hours=6)


def test_a_clock_that_jumps_by_years_costs_nothing() -> None:
    """Ten years in steps of a second would be 315,576,000; the trigger takes one."""
    trigger = every(timedelta(seconds=1))
    assert trigger.get_next_fire_time(at("2026-03-01"), at("2036-03-01 00:00:00.5")) == at("2036-03-01 00:00:01")


def test_the_triggers_of_a_schedule() -> None:
    """`every` or `cron`, and the reconciliation's own expression in the same zone."""
    assert main_trigger(Schedule(every=timedelta(hours=1))).following(at("2026-03-01")) == at("2026-03-01 01:00")
    kolkata = Schedule(cron="0 0 * * *", reconcile="30 3 * * *", timezone="Asia/Kolkata")  # UTC+05:30
    assert main_trigger(kolkata).following(at("2026-03-01")) == at("2026-03-01 18:30")
    reconcile = reconcile_trigger(kolkata)
    assert reconcile is not None
    assert reconcile.following(at("2026-03-01")) == at("2026-03-01 22:00")
    assert reconcile_trigger(Schedule(every=timedelta(hours=1))) is None


def test_a_trigger_says_what_it_is() -> None:
    """As the worker's log shows it."""
    assert str(every(timedelta(minutes=5))) == "every 0:05:00"
    assert str(cron("0 3 * * 1", "Europe/Berlin")) == "0 3 * * 1 in Europe/Berlin"
