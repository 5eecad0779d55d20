"""Synthetic companies with the rows that effects are estimated from, as `simulate` prepares them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from features.company import simulate_company
from features.company_files import write_company
from features.layout import lay_out
from features.snapshot import cutoffs, go_live_dates
from features.study import parse_study
from models.adjustment import Exposure
from models.prepared import prepare
from models.shared_fits import SharedFits


def founded(folder, customers, seed, hidden=0.0):
    """The study of a company, and its touchpoints, laid out."""
    write_company(simulate_company(customers, seed, hidden_confounding=hidden), folder)
    study = parse_study((folder / "study.yaml").read_text(), "study.yaml")
    return study, lay_out(study, folder, folder / "store")


def lived(folder, customers, seed, hidden=0.0):
    """A company, laid out, with the rows that all effects share."""
    study, layout = founded(folder, customers, seed, hidden)
    found = layout.manifest
    grid = study.snapshot
    go_lives = go_live_dates(grid, cutoffs(grid, found.data_start, found.data_end), found.data_end)
    usable = {m.name for m in study.measures if not m.is_rating}
    exposures = [Exposure(j, m.name) for m in found.measures for j, n in m.by_journey.items() if n and m.name in usable]
    span = (found.data_start, found.data_end)
    prepared = prepare(study, layout.all_buckets, go_lives, span, np.random.default_rng(1), exposures=exposures)
    return SimpleNamespace(
        study=study,
        layout=layout,
        go_lives=go_lives,
        span=span,
        exposures=exposures,
        fits=SharedFits(prepared),
    )
