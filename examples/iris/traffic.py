"""`python -m examples.iris.traffic`: flowers to classify, and the truth about them long after, as life has it.

Time is simulated and passes `--speed` times as fast as ours. So at 3600 a label that comes after six hours comes after
six seconds, and twenty requests an hour are twenty a second.
"""

import argparse
import asyncio
import heapq
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import numpy as np

from examples.iris.data import SPECIES, Garden

_BROKEN, _UNLABELED, _WRONG_AT_FIRST, _REPEATED, _ORPHAN = 0.01, 0.10, 0.02, 0.01, 0.002
_LAG_HOURS, _LAG_SIGMA = 6.0, 1.2  # lognormal: 6 hours in the median, 43 at 95%, 98 at 99%
_PRICES = {"setosa": 2.0, "versicolor": 3.0, "virginica": 5.0}
_COUNTRIES, _DEVICES = ("US", "DE", "BR", "IN"), ("phone", "desktop", "tablet")
_BATCH = 500
_TICK = 0.2  # seconds between two looks at the labels that are due
_AT_ONCE = 32

Body = dict[str, Any]


@dataclass(frozen=True)
class Visit:
    """A request, when the next one follows, and its labels: (hours after the request, label, revenue)."""

    pause_hours: float
    body: Body
    labels: tuple[tuple[float, str, float], ...]
    orphan: bool


class Story:
    """What happens, the same for a seed. `requests_per_hour` is the mean of a Poisson process."""

    def __init__(self, seed: int, requests_per_hour: float) -> None:
        self._rng, self._garden, self._rate = np.random.default_rng(seed), Garden(), requests_per_hour

    def next(self) -> Visit:
        """The next request."""
        flower = self._garden.held_out(self._rng, 1)
        features = [float(value) for value in flower.features[0]]
        body = {"features": features, "country": self._one_of(_COUNTRIES), "device": self._one_of(_DEVICES)}
        if self._happens(_BROKEN):
            body["features"] = features[:3]
        pause = float(self._rng.exponential(1 / self._rate))
        return Visit(pause, body, self._labels(str(flower.species[0])), self._happens(_ORPHAN))

    def _labels(self, species: str) -> tuple[tuple[float, str, float], ...]:
        if self._happens(_UNLABELED):
            return ()
        lag, revenue = self._lag(), _PRICES[species]
        if self._happens(_WRONG_AT_FIRST):
            other = self._one_of([name for name in SPECIES if name != species])
            return (lag, other, revenue), (lag + self._lag(), species, revenue)
        label = (lag, species, revenue)
        return (label, (lag + self._lag(), species, revenue)) if self._happens(_REPEATED) else (label,)

    def _lag(self) -> float:
        return float(self._rng.lognormal(np.log(_LAG_HOURS), _LAG_SIGMA))

    def _happens(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def _one_of(self, names: Any) -> str:
        return str(names[self._rng.integers(len(names))])


class Player:
    """Plays a story to a service. `done` counts requests and labels by what became of them."""

    def __init__(self, client: httpx.AsyncClient, story: Story, speed: float) -> None:
        self._client, self._story, self._second = client, story, 3600 / speed  # ours, of a simulated hour
        self._due: list[tuple[float, int, Body]] = []
        self._order = count()
        self._free = asyncio.Semaphore(_AT_ONCE)
        self.done: Counter[str] = Counter()

    async def play(self, stop: asyncio.Event) -> None:
        """Ask and label until told to stop; what is on its way then is waited for, labels that are not due are not."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell(stop))
            due = asyncio.get_running_loop().time()
            while not stop.is_set():
                visit = self._story.next()
                due += visit.pause_hours * self._second
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), due - asyncio.get_running_loop().time())
                await self._free.acquire()
                tasks.create_task(self._ask(visit))

    async def _ask(self, visit: Visit) -> None:
        try:
            answer = await self._client.post("/predict", json=visit.body)
            self.done[f"predict {answer.status_code}"] += 1
            if answer.is_success:
                self._remember(visit, answer.json()["request_id"])
        except httpx.TransportError as error:
            self.done[f"predict {type(error).__name__}"] += 1
        finally:
            self._free.release()

    def _remember(self, visit: Visit, request_id: str) -> None:
        known_as = f"lost-{request_id}" if visit.orphan else request_id
        now = asyncio.get_running_loop().time()
        for hours, label, revenue in visit.labels:
            told = {"request_id": known_as, "label": label, "revenue": revenue}
            heapq.heappush(self._due, (now + hours * self._second, next(self._order), told))

    async def _tell(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(_TICK)
            now, batch = asyncio.get_running_loop().time(), list[tuple[float, int, Body]]()
            while self._due and self._due[0][0] <= now and len(batch) < _BATCH:
                batch.append(heapq.heappop(self._due))
            if batch and not await self._sent([body for _, _, body in batch]):
                for entry in batch:  # the service takes a label twice, so it is safe to try again
                    heapq.heappush(self._due, entry)

    async def _sent(self, batch: list[Body]) -> bool:
        try:
            answer = await self._client.post("/labels", json=batch)
        except httpx.TransportError as error:
            self.done[f"labels {type(error).__name__}"] += 1
            return False
        self.done[f"labels {answer.status_code}"] += len(batch)
        return answer.is_success


async def _main(given: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if given.seconds:
        loop.call_later(given.seconds, stop.set)
    async with httpx.AsyncClient(base_url=given.url, timeout=10, trust_env=False) as client:
        player = Player(client, Story(given.seed, given.requests_per_hour), given.speed)
        await player.play(stop)
    print(*(f"{what}: {times}" for what, times in sorted(player.done.items())), sep=", ")  # noqa: T201


def main() -> None:
    """Play until SIGTERM or SIGINT, then say what was done."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.iris.traffic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the service (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=3600, help="simulated seconds a second (default: %(default)s)")
    parser.add_argument("--requests-per-hour", type=float, default=20, help="simulated hours (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another one tells another story (default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="of ours, to stop after")
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
