"""Row 21: a short soak; `python -m benchmarks.soak` is the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.conftest import Record

RUNS = 60  # windows and history are full after 25
MEBIBYTE = 2**20


@pytest.mark.timeout(400)  # ten seconds of a processor that is not shared with others
def test_21_a_soak(record: Record) -> None:
    """From half of the runs on, memory, file handles and state stay as large as they were."""
    command = [sys.executable, "-m", "benchmarks.soak", "--runs", str(RUNS), "--measures", "2"]
    root = Path(__file__).parents[2]
    lines = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    first, last, outcome = map(json.loads, lines)
    assert outcome["exit_codes"] == [0]
    assert last["file_handles"] <= first["file_handles"] + 1
    assert last["resident_bytes"] - first["resident_bytes"] < 8 * MEBIBYTE
    assert last["state_bytes"] < first["state_bytes"] * 1.3
    grown = (last["resident_bytes"] - first["resident_bytes"]) / MEBIBYTE
    published = (
        f"{grown:+.1f} MiB, {last['file_handles'] - first['file_handles']:+d} file handles, state "
        f"{first['state_bytes'] // 1024} to {last['state_bytes'] // 1024} KiB"
    )
    record(f"{RUNS} scheduled runs at full speed", seconds=outcome["seconds"], published=published)
