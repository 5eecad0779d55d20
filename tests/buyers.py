"""Customers who buy at random and leave unseen: who is gone, and who only pauses, is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from features.inactivity import Inactivity, Silence, Spells, propose_inactivity, spells_of
from features.snapshot import DAY

Array = np.ndarray


@dataclass(frozen=True)
class Buyers:
    """Purchases of BG/NBD customers (Fader, Hardie, Lee 2005), far beyond the end of the data.

    Rates are gamma with mean `pace` days between purchases, departures after a purchase are beta with mean 1/7.
    """

    customer: Array
    day: Array
    days: int

    @classmethod
    def simulated(cls, rng: np.random.Generator, n: int = 1_500, days: int = 730, pace: float = 14.0) -> "Buyers":
        far, rate, leaves = 10 * days, rng.gamma(3, 1 / (3 * pace), n), rng.beta(1, 6, n)
        who, day = np.arange(n), rng.uniform(0, days / 3, n)
        customers, moments = [], []
        while len(who):
            customers.append(who)
            moments.append(day)
            stays = rng.random(len(who)) >= leaves[who]
            who, day = who[stays], day[stays] + rng.exponential(1 / rate[who[stays]])
            who, day = who[day < far], day[day < far]
        return cls(np.concatenate(customers), np.concatenate(moments), days)

    def found(self, configured: int | None = None) -> Inactivity:
        """What the data up to their end tell."""
        seen = self.day <= self.days
        part = spells(self.customer[seen], self.day[seen], self.days)
        return propose_inactivity(lambda: [part], configured=configured)

    def truly_returning(self, one: Silence) -> float:
        """Of the silences that had lasted so long before the end of the data, the share that ever ended."""
        whole = spells(self.customer, self.day, 10 * self.days)
        start = np.unique(self.customer * 100_000 + self.day.astype(int)) % 100_000
        flagged = (start + one.days <= self.days) & (whole.days >= one.days)
        return float(whole.has_returned[flagged].mean())


def spells(customer: Array, day: Array, end: float) -> Spells:
    """Silences of customers who pay 1 on each of their days."""
    return spells_of(revenue(customer, day), int(end * DAY))


def revenue(customer: Array, day: Array, amount: float = 1.0) -> pa.Table:
    moment = (np.asarray(day) * DAY).astype(np.int64)
    return pa.table(
        {"customer_key": np.asarray(customer), "occurred_at": moment, "amount": np.full(len(moment), amount)}
    )


def alike(pattern: list[int], end: int, customers: int) -> Spells:
    """Customers who all buy on the same days."""
    who = np.repeat(np.arange(customers), len(pattern))
    return spells(who, np.tile(pattern, customers), end)


def tables(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Customers, one contact each, and invoices, from the columns id, at and amount."""
    first = frame.groupby("id", as_index=False)["at"].min()
    return {
        "customers": first.rename(columns={"at": "joined_at"}),
        "touches": first.assign(process="shop", touchpoint="visit", channel="web"),
        "invoices": frame,
    }
