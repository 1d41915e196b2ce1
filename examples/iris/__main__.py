"""`python -m examples.iris`: the service under uvicorn, in several processes when asked to."""

import argparse
import os
from tempfile import TemporaryDirectory

import uvicorn


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m examples.iris", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port (default: %(default)s)")
    given = parser.parse_args()
    # New each time: what is in it counts. The workers read the variable when they import prometheus_client.
    with TemporaryDirectory(prefix="iris-metrics-") as shared:
        if given.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        uvicorn.run(
            "examples.iris.service:app",
            host=given.host,
            port=given.port,
            workers=given.workers,
            access_log=False,
            log_level="warning",
            # The default of 5 s kills workers that are still importing scikit-learn on a busy machine, over and over.
            timeout_worker_healthcheck=120,
        )


if __name__ == "__main__":
    main()
