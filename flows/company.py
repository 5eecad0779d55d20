"""A made-up company on disk, for the demo and for trying things out."""

import time
from pathlib import Path

from features.company import simulate_company
from features.company_files import write_company
from flows import console
from flows.storage import open_store

__all__ = ["make_company"]


def make_company(out: Path, *, customers: int, seed: int, hidden_confounding: float = 0.0) -> None:
    """Simulate a company and write the files a user would bring.

    Parameters
    ----------
    out : Path
        Folder for the files; files that would not change are left alone.
    customers : int
        Customers over the whole time.
    seed : int
        The same seed gives the same company.
    hidden_confounding : float
        How much an unseen trait of customers also moves service quality.

    Raises
    ------
    StoreError
        The folder cannot be written, or holds something else.
    """
    started = time.perf_counter()
    open_store(out.expanduser().resolve())
    with console.progress("company") as tick:
        tick(f"simulating {customers:,} customers")
        company = simulate_company(customers, seed, hidden_confounding=hidden_confounding)
        tick("writing tables and the true effects")
        write_company(company, out)
    seconds = time.perf_counter() - started
    console.say(f"company: {customers:,} customers, seed {seed}, {seconds:.1f} s -> {out}")
