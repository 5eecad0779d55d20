"""What a process does that a Prefect server has asked to run a flow: it has no command line of ours around it."""

import atexit
import logging
import os
import sys

__all__ = ["settle_run"]


def settle_run() -> None:
    """Let our lines be shown, and DuckDB keep its complaints to itself.

    Prefect sends lines of ours to the server (``PREFECT_LOGGING_EXTRA_LOGGERS``) and shows them in the log of whoever
    runs this process; but without a level of their own, only warnings are.
    """
    logger = logging.getLogger("journeylift")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    atexit.register(_hush)


def _hush() -> None:
    """Close standard error as the last exit function: what follows are objects that DuckDB calls leaked."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
