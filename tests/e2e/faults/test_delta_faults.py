"""Faults of incremental runs and of their feed of removals: the oracle holds there, too."""

from __future__ import annotations

from tests.support.delta_bench import DeltaBench


def test_an_hour_without_a_fault(delta_bench: DeltaBench) -> None:
    for _ in range(3):
        oracle = delta_bench.next_oracle()
        ended = delta_bench.site.check(delta_bench.start())
        print(ended.counts, [p for _, p, _ in delta_bench.site.api.log])
        oracle.judge(ended)
    oracle.expect_truth()
