"""Row 8: two replicas on one state. The leader is stopped at a bad moment, the other goes on, the leader wakes."""

import time

import pytest

from evaljob.publish import SLACK
from tests.processes import wait_until
from tests.projects import Project
from tests.reliability.conftest import Record
from tests.reliability.support import Shown, is_stopped, on_postgres, started, stopping, timed

LATER = "2024-06-01T13:10:00Z"
TIMEOUT = 2.0  # of the project's pushes
AT_LATER = 1717247400
AS_BEFORE = ("run", "--as-of", "2024-06-01T13:00:00Z")


@pytest.fixture
def replicas(project: Project, request: pytest.FixtureRequest) -> tuple[Project, str]:
    """A project whose state lies in the database that the test names, and which."""
    if request.param != "sqlite":
        on_postgres(project, request.getfixturevalue(f"{request.param}_database"))
    return project, request.param


def states(*names: str) -> pytest.MarkDecorator:
    """With the state in each of these."""
    return pytest.mark.parametrize("replicas", names, indirect=True)


@states("sqlite", "postgres", "mariadb")
def test_08_the_leader_sleeps_before_its_push(replicas: tuple[Project, str], record: Record) -> None:
    """Stopped after its commit and before its push; woken, it finds newer results there and publishes nothing."""
    project, state = replicas
    with started(project, *AS_BEFORE, start=stopping("evaljob.job", "publish")) as leader:
        wait_until(lambda: is_stopped(leader.process.pid), "the leader's sleep")
        other, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
        newest = Shown.of(project.gateway)
        leader.go()
        woken = leader.ended()
    assert (other.code, woken.code) == (0, 0)
    assert "another worker has advanced the state meanwhile; nothing is pushed" in woken.err
    after = Shown.of(project.gateway)
    assert after.value("as_of_timestamp_seconds") == AT_LATER
    assert (after.results, after.status) == (newest.results, newest.status)
    published = "the other's results; the woken leader nothing"
    record(f"stopped between commit and push, state in {state}", seconds=seconds, published=published)


@states("postgres", "mariadb")
def test_08_the_leader_sleeps_in_its_push(replicas: tuple[Project, str], record: Record) -> None:
    """Stopped after it has looked, at the very beginning of its push, until its time is over: it does not send it."""
    project, state = replicas
    with started(project, *AS_BEFORE, start=stopping("evaljob.push", "push_results")) as leader:
        wait_until(lambda: is_stopped(leader.process.pid), "the leader's sleep")
        other, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
        newest = Shown.of(project.gateway)
        time.sleep(TIMEOUT + SLACK)  # the other may have been quicker than that
        leader.go()
        woken = leader.ended()
    assert other.code == 0, other.err
    assert woken.code in (0, 3), woken
    assert (Shown.of(project.gateway).results, Shown.of(project.gateway).status) == (newest.results, newest.status)
    assert newest.value("as_of_timestamp_seconds") == AT_LATER
    published = "the other's results; the woken leader nothing"
    record(f"stopped in its push for longer than the timeout, {state}", seconds=seconds, published=published)


@states("sqlite", "postgres")
def test_08_the_leader_naps_in_its_push(replicas: tuple[Project, str], record: Record) -> None:
    """Stopped for less than the timeout: on a server the other waits, on SQLite the leader notices and mends it."""
    project, state = replicas
    project.replace("timeout: 2s", "timeout: 20s")
    with started(project, *AS_BEFORE, start=stopping("evaljob.push", "push_results")) as leader:
        wait_until(lambda: is_stopped(leader.process.pid), "the leader's sleep")
        with started(project, "run", "--as-of", LATER) as other:
            if state == "sqlite":
                assert other.ended().code == 0
                assert Shown.of(project.gateway).value("as_of_timestamp_seconds") == AT_LATER
            leader.go()
            woken = leader.ended()
            assert other.process.wait(timeout=30) == 0
    assert woken.code == 0
    after = Shown.of(project.gateway)
    assert after.value("as_of_timestamp_seconds") == AT_LATER
    overtaken = "another worker came in between; its results are pushed again" in woken.err
    assert overtaken == (state == "sqlite")
    published = "older, then at once newer again" if overtaken else "first the leader's, then the other's results"
    record(f"stopped in its push for less than the timeout, {state}", published=published)


@states("postgres")
def test_08_two_replicas_at_once(replicas: tuple[Project, str], record: Record) -> None:
    """Both evaluate the same instant: the state is advanced once, one publishes, the other finds itself superseded."""
    project, state = replicas
    assert project.run().code == 0
    with started(project, "run", "--as-of", LATER) as one, started(project, "run", "--as-of", LATER) as other:
        ended = [one.ended(), other.ended()]
    assert [end.code for end in ended] == [0, 0], ended
    assert Shown.of(project.gateway).value("as_of_timestamp_seconds") == AT_LATER
    superseded = sum("nothing is pushed" in end.err for end in ended)
    record(f"two at the same instant, state in {state}", published=f"one result; {superseded} was superseded")
