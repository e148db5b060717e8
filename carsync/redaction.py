"""The API's key kept out of what is stored of the feed's answers."""

from __future__ import annotations

from dataclasses import replace

from carsync.config import Secret
from carsync.model import Reject


def hide_key(rejects: tuple[Reject, ...], key: Secret | None) -> tuple[Reject, ...]:
    """Return the rejects without the API's key, which a record may echo; their texts are kept."""
    if key is None:
        return rejects
    secret = key.reveal()
    return tuple(
        replace(
            reject,
            reason=reject.reason.replace(secret, "***"),
            original=reject.original.replace(secret, "***"),
            original_kind="altered",
        )
        if secret in reject.original or secret in reject.reason
        else reject
        for reject in rejects
    )
