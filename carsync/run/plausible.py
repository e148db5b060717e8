"""A run whose values changed as no market changes: held whole, for a person to look."""

from __future__ import annotations

from carsync.destination.plausibility import find_implausible, foresee
from carsync.errors import ImplausibleError
from carsync.run.context import RunContext
from carsync.state import runs


def judge_values(context: RunContext) -> None:
    """Raise `ImplausibleError` where a merge would change more than `sync.plausible` allows.

    Nothing is judged before the first merge, and after a change of the mapping, which is
    announced.
    """
    rules, run = context.config.sync.plausible, context.run
    before = runs.last_merged(context.connection, context.target, context.source)
    if rules is None or before is None:
        return
    key = "mapping"
    if before.fingerprints.get(key) != run.fingerprints.get(key):
        return
    shares = [rules.max_changed_share, rules.max_emptied_share]
    least = min((share for share in shares if share is not None), default=1.0)
    forecast = foresee(context.connection, run, context.mapper.defaults, least=least)
    if problems := find_implausible(forecast, rules):
        raise ImplausibleError(
            "the feed's values changed as no market changes: nothing was merged",
            detail="; ".join(problems),
            hint=f"see what would change, and merge it if it is right: `carsync approve "
            f"{run.run_id}`; the next run reads the feed anew",
        )
