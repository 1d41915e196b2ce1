"""A real Chromium: what a page looks like in it, what it asks the network for, and what its console says."""

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread

from tests.processes import LOOPBACK, directory, program

DARK, LIGHT = "0", "1"  # Blink's own numbers
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-default-apps",
    "--disable-features=NetworkTimeServiceQuerying", "--virtual-time-budget=3000", "--enable-logging=stderr", "--v=0",
)  # fmt: skip


@dataclass
class Site:
    """Pages by path on a loopback address, and every request that came: `host path`."""

    pages: Mapping[str, str]
    address: str = ""
    requests: list[str] = field(default_factory=list)


@contextmanager
def site(pages: Mapping[str, str]) -> Iterator[Site]:
    """Serve pages; whatever else is asked for is noted too."""
    served = Site(pages)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(f"{self.headers['Host']} {self.path}")
            body = served.pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        served.address = f"{LOOPBACK}:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield served
        server.shutdown()


@dataclass(frozen=True)
class Seen:
    """How Chromium ended: what it printed, and what the page's console said."""

    out: str
    console: list[str]


def chromium(site_: Site, path: str, *flags: str) -> Seen:
    """Open a page. Every host there is leads to the site, so that what the page fetches from anywhere is noted."""
    everywhere = f"--host-resolver-rules=MAP * {site_.address}"
    with directory("chromium") as folder:
        command = [program("chromium"), *_FLAGS, everywhere, f"--user-data-dir={folder}", *flags]
        address = f"http://{site_.address}{path}"
        done = subprocess.run([*command, address], capture_output=True, text=True, check=True, timeout=60)
    return Seen(done.stdout, re.findall(r"CONSOLE.*?\] (.*)", done.stderr))


def screenshot(site_: Site, path: str, width: int, theme: str, file: Path) -> tuple[Seen, np.ndarray]:
    """The page at this width, and its pixels: (height, width, 3) from 0 to 255."""
    flags = (f"--window-size={width},900", f"--blink-settings=preferredColorScheme={theme}", f"--screenshot={file}")
    seen = chromium(site_, path, *flags)
    return seen, np.rint(imread(file)[..., :3] * 255).astype(int)


def scroll_width(site_: Site, probe: str) -> int:
    """What a page made by `probing` found."""
    found = re.search(r"<title>(\d+)</title>", chromium(site_, probe, "--dump-dom").out)
    assert found is not None
    return int(found[1])


def probing(path: str, width: int) -> str:
    """A page that shows another one at this width and says in its title how wide that came out."""
    script = "document.title = this.contentDocument.documentElement.scrollWidth"
    size = f'width="{width}" height="900" style="border:0"'
    return f'<!doctype html><iframe src="{path}" {size} onload="{script}"></iframe>'
