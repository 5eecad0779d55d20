"""Terms of the report in words that need no statistics."""

from __future__ import annotations

from flows.report_page import Entry, Section

__all__ = ["glossary_section"]

_TERMS = (
    Entry(
        "Adjustment set", "What is held fixed when an effect is estimated, so that it is not mistaken for the effect."
    ),
    Entry("Association", "What goes along with an outcome. It may be a cause, a consequence, or neither."),
    Entry("Baseline", "A simple rule that a model has to beat to be worth having."),
    Entry("Calibration", "Whether risks come true: of the customers with a risk of 10 %, 10 in 100 leave."),
    Entry("Churn", "A customer leaves within the horizon after the cutoff."),
    Entry("Cutoff", "The day up to which a row of the data knows; outcomes are counted after it."),
    Entry("Delivery", "The share of an initiative's promise that is really delivered."),
    Entry(
        "Effect", "The change to expect if a measure moved as stated: estimated with an adjustment set, not measured."
    ),
    Entry("Horizon", "The number of days after the cutoff over which churn and revenue are counted."),
    Entry("Interval (90 %)", "A range that holds the true value in 9 of 10 such studies, if the assumptions hold."),
    Entry("Journey", "What a customer goes through for one purpose, made of touchpoints."),
    Entry(
        "Journey view", "A model that sees whole journeys: order, memory, endings, effort; not only each touchpoint."
    ),
    Entry("Lift", "How many times more leavers a group holds than the average."),
    Entry("Log loss", "The mean penalty of predicted risks; sure and wrong costs most. Lower is better."),
    Entry("Net present value", "Money earned minus money spent, later amounts discounted to today."),
    Entry("Payback", "The month after which an initiative has earned back what it cost."),
    Entry("Quarantine", "Rows that broke a rule, put aside with the reason, never dropped in silence."),
    Entry("R²", "The share of the differences between customers that is explained; the rest is unexplained."),
    Entry("Raw contrast", "The difference that plain correlation shows, nothing held fixed."),
    Entry("Robustness value", "How strong something unseen would have to be to explain an effect away."),
    Entry("Support", "The share of moved values that lie where customers were really observed."),
    Entry("Touchpoint", "One contact between customer and company, at one time, through one channel."),
    Entry(
        "Uncertainty explained",
        "The part of the log loss of the churn rate alone that predictions take away, in per cent.",
    ),
    Entry("Verdict: harmful", "It makes more customers leave or spend less, beyond what chance would do."),
    Entry("Verdict: likely", "It does good beyond chance, and nothing that was tested speaks against it."),
    Entry("Verdict: mixed", "Fewer leave but less is spent, or the other way round, both beyond chance."),
    Entry("Verdict: possible", "It does good beyond chance, but something hidden could explain it."),
    Entry("Verdict: undecided", "The interval holds both gain and loss: more data or a pilot is needed."),
    Entry("Verdict: unsupported", "The initiative leads where hardly any customer has been: no forecast is offered."),
    Entry("Verdict: worth it", "The chance of earning more than it costs is at least 90 %."),
)


def glossary_section() -> Section:
    """List all terms in order."""
    return Section("glossary", "Glossary", "Terms as this report uses them.", entries=_TERMS)
