"""Page plans made without a configuration file."""

from __future__ import annotations

import math

from carsync.config.api_sections import Api, Pagination
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.plan import PagePlan


def plan_of(
    pagination: Pagination | None = None, only: int | None = None, ahead: float = math.inf
) -> PagePlan:
    """Plan a feed, by default one with the default keys."""
    keys = pagination or Pagination()
    return PagePlan(keys, load_paginator(Api(pagination=keys)), only, ahead)
