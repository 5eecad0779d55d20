"""The files that ``journeylift init`` leaves: a commented study and initiatives file to fill in."""

from pathlib import Path

from features.errors import StoreError
from features.publish import store_error

__all__ = ["CHANGES", "INITIATIVES", "STUDY", "write_templates"]

STUDY = """\
# What your tables and columns mean. Fill this in, then run: journeylift check
study: my-company            # small letters, digits, - and _
currency: EUR

sources:                     # a name for each place where rows are; paths are relative to this file
  customers: data/customers.parquet        # Parquet or CSV; globs such as data/touchpoints/*.parquet
  touchpoints: data/touchpoints.parquet
  churn: data/churn.csv
  invoices: data/invoices.csv
  # warehouse: {duckdb: data/warehouse.duckdb}
  # crm: {sqlite: data/crm.sqlite}
  # shop: {postgres: SHOP_URL}             # the NAME of an environment variable; never the URL itself

# columns: our name on the left, yours on the right; a column that has our name needs no entry.
customers:
  from: customers
  columns: {customer_id: id, joined_at: joined}
  covariates: [segment, region]            # known at joining; numbers or text
  # A column ended_at, where there is one, says when nothing was left to leave: a contract fulfilled, a case decided.

touchpoints:                 # one row per contact, with whatever was measured there; optional columns:
  # touchpoint_id (a later row with the same id corrects the earlier one from its known_at on), known_at, journey_id,
  # department (who dealt with it), cause (why the customer came)
  from: touchpoints          # or, instead of from:  sql: select ... from touchpoints join ...
  columns: {customer_id: id, journey: process, touchpoint: contact, channel: channel, occurred_at: at}
  session_gap_days: 14       # without a journey_id, a pause this long starts a new journey

churn:
  from: churn
  columns: {customer_id: id, churned_at: at}
# churn: {inactive_days: 45}               # or this rule: no revenue for 45 days; 'check' tells how many then return

revenue:
  from: invoices
  columns: {customer_id: id, occurred_at: at, amount: eur}

journeys:                    # in the order of a customer's life; leads_to: where it causes contacts
  - {name: onboarding, stage: join, leads_to: [support]}
  - {name: billing, stage: use, leads_to: [support]}
  - {name: support, stage: use}

measures:                    # columns of touchpoints; earlier ones may cause later ones
  # kind: duration share rating count gap amount; direction: which way is better for the customer
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  # task: true says that this share tells whether what the customer came for was done
  - {name: resolved, unit: share, kind: share, direction: higher, task: true, journeys: [support]}
  - {name: outage, unit: h, kind: duration, direction: lower, control: none}     # own, influenced or none
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary, range: [0, 10]}

snapshot: {every: month, window_days: 180, gap_days: 0, horizon_days: 91}
money: {margin: 0.6, discount_rate: 0.08, months: 24}
store: store                 # folder for everything written
"""

CHANGES = (
    "# What could be done next. Each change is one of:",
    "#   shift (add), scale (multiply), cap (no more than), floor (no less than), convert (share of failures mended),",
    "#   remove (this share of a touchpoint does not happen; without a measure),",
    "#   speed_up (time between the steps of a journey, and the duration named, shrinks by this share)",
)
"""Head of an initiatives file: every way in which something can be changed."""

INITIATIVES = (
    "\n".join(CHANGES)
    + """
# Then run: journeylift simulate
initiatives:
  - name: faster-support
    title: Answer support contacts faster
    owner: Customer service
    changes:
      - {journey: support, measure: wait, scale: 0.7}      # touchpoint and channel may narrow it down
    reach: 0.8               # share of customers, above 0 and at most 1
    delivery: [0.5, 0.8, 1]  # low, likely and high share of the promise that is really delivered
    start_month: 2           # months after the decision
    ramp_months: 3
    cost: {once: 50000, monthly: 8000, per_customer: 0, per_contact: 0}

  - name: first-contact-resolution
    title: Solve it the first time
    owner: Customer service
    changes:
      - {journey: support, measure: resolved, convert: 0.3}
    reach: 1
    # where: {segment: [basic]}            # only customers with these values of a covariate
    delivery: [0.4, 0.7, 0.9]
    start_month: 3
    ramp_months: 6
    cost: {once: 120000, monthly: 5000, per_customer: 0, per_contact: 0}
    # needs: [faster-support]              # cannot be done without; excludes: [...] cannot be done with

# portfolio:                 # what there is for all of them together; then run: journeylift portfolio
#   budget: 300000           # largest present value of all costs, in the study's currency
#   cash: 150000             # at hand when initiatives are started; left out: the budget
#   aversion: 0.3            # weight of the worst draws beside the mean, 0 to 1
#   must: [faster-support]   # done whatever it is worth; never: [...] not done
"""
)


def write_templates(folder: Path) -> tuple[Path, Path]:
    """Write ``study.yaml`` and ``initiatives.yaml`` into a folder; nothing is overwritten.

    Parameters
    ----------
    folder : Path
        Made if needed.

    Returns
    -------
    tuple of Path
        The study file and the initiatives file.

    Raises
    ------
    StoreError
        If one of the files exists, or the folder cannot be written.
    """
    paths = folder / "study.yaml", folder / "initiatives.yaml"
    for path in paths:
        if path.exists():
            message = f"'{path}' exists already and is not overwritten. A folder without it was expected."
            raise StoreError(f"{message} Choose another folder, or move the file away.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, (STUDY, INITIATIVES), strict=True):
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise store_error(folder, error) from error
    return paths
