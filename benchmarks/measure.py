"""Wall time, processor time and peak memory of something, in a process of its own so that nothing else counts."""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TIMEOUT = 3600.0


@dataclass(frozen=True)
class Measure:
    """Seconds of every repetition, `cpu` likewise, the process's peak memory in MB, and what else there is to tell."""

    seconds: list[float]
    cpu: list[float]
    peak_mb: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.seconds)

    @property
    def shown(self) -> str:
        """Median and range."""
        return f"{self.median:.3f} s [{min(self.seconds):.3f}, {max(self.seconds):.3f}]"


def repeated(times: int, call: Callable[[], object], **notes: Any) -> Measure:
    """Call it so many times."""
    seconds, cpu = [], []
    for _ in range(times):
        wall, used = time.perf_counter(), time.process_time()
        call()
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - used)
    return Measure(seconds, cpu, peak_mb(), notes)


def peak_mb() -> float:
    """The most memory that this process ever had, imports included. Linux.

    Not `ru_maxrss`, which begins with what the process had that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def tell(measure: Measure) -> None:
    """Print a measure for the process that asked."""
    print(json.dumps(asdict(measure)))


def asked(description: str | None, *flags: str) -> argparse.Namespace:
    """What a contender is asked to do: the database's URL, or a folder of Parquet files, and how often; its flags."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", default="duckdb:///:memory:")
    parser.add_argument("--parquet", type=Path, help="the folder of the Parquet files")
    parser.add_argument("--times", type=int, default=1)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def sources(parquet: Path | None) -> tuple[str, str]:
    """What stands behind FROM: the tables, or the files of a folder."""
    logs = ("predictions", "labels")
    return logs if parquet is None else (f"'{parquet}/predictions.parquet'", f"'{parquet}/labels.parquet'")


def ask(module: str, arguments: Sequence[object], python: str = sys.executable) -> Measure:
    """Run a module in a process of its own and take the measure it tells. Raises RuntimeError with what it said."""
    command = [python, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{module} {list(map(str, arguments))}: {done.stderr[-2000:]}")
    return Measure(**json.loads(done.stdout.splitlines()[-1]))
