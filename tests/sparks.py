"""A Spark inside this machine, for the tests that need one."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["spark_here"]

ROOT = Path(__file__).resolve().parents[1]


def _java() -> str | None:
    """Say why Spark cannot run here."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return "no Java here: neither on the PATH nor in JAVA_HOME"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return None if found and int(found[1]) >= 17 else f"Java 17 or newer is needed, this one says: {told[:40]!r}"


@contextmanager
def spark_here(scratch: Path) -> Iterator[Any]:
    """Start a Spark that nobody else can reach; its workers find this repository. Skips where there is none."""
    sql = pytest.importorskip("pyspark.sql", reason="no pyspark here: make test-spark installs it")
    reason = _java()
    if reason is not None:
        pytest.skip(reason)
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
        "spark.executorEnv.PYTHONPATH": str(ROOT),
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("journeylift")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        running = builder.getOrCreate()
        yield running
        running.stop()
