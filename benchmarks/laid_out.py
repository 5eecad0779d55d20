"""A synthetic company as its files, read and laid out the way a user's would be."""

from __future__ import annotations

from pathlib import Path

from features.company import Company
from features.company_files import write_company
from features.layout import Layout, lay_out
from features.study import Study, parse_study


def laid_out(company: Company, folder: Path) -> tuple[Study, Layout]:
    """Write a company into a folder, and lay it out in the store beside its files."""
    write_company(company, folder)
    study = parse_study((folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")
    return study, lay_out(study, folder, folder / "store")
