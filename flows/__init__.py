"""Wiring: Prefect flows, MLflow tracking, files and the command line. Numbers are computed in ``models``."""
