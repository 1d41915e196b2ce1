"""What can go wrong, each with the exit code that `evaljob` ends with."""

from collections.abc import Iterable

_WORST_FIRST = (2, 1, 3, 0)  # configuration, evaluation, push, done


def worst(codes: Iterable[int]) -> int:
    """The exit code that tells of the worst of several ends; 0 of none."""
    return min(codes, key=_WORST_FIRST.index, default=0)


class EvaljobError(Exception):
    """A failure that is told to the user in one message and never shown as a traceback."""

    exit_code = 1


class ConfigError(EvaljobError):
    """The configuration, the user's SQL, a column or the usage is wrong: nothing was evaluated, nothing was pushed."""

    exit_code = 2


class EvaluationError(EvaljobError):
    """The evaluation failed (the database died, a statement failed); the last good results stay."""

    exit_code = 1


class PushError(EvaljobError):
    """The results are evaluated and stored, but the Pushgateway did not take them."""

    exit_code = 3


class TrackingError(EvaljobError):
    """MLflow did not take the results, which are pushed all the same: a run only counts it, a check tells it."""

    exit_code = 3
