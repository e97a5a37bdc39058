"""The audit's table and figures tell what the report holds."""

import pytest

from chairfinder.leakage import audit
from chairfinder.leakage_report import distances_figure, leakage_table, worst_pairs_figure
from chairlib.collection import Collection
from chairlib.core.errors import ParameterError


@pytest.fixture(scope="module")
def report():
    return audit(Collection("mini"))


def test_table_has_a_row_for_each_comparison_and_counts_what_is_closer(report):
    table = leakage_table(report, 64).data
    for row in report.summary(64).itertuples():
        assert f"{row.kind}s, {row.split}" in table
    assert "closer than 64" in table
    assert f">{report.summary(64)['closer'].max()}<" in table


def test_histogram_tells_its_numbers(report):
    alt = distances_figure(report, 64, title="Distances").alt
    for kind, bits in report.nearest.groupby("kind")["bits"]:
        told = f"{kind}s: {len(bits):,} distances from {bits.min()} to {bits.max()} bits"
        assert told in alt
        assert f"{(bits < 64).sum()} below 64" in alt


def test_worst_pairs_are_named_with_split_and_distance(report):
    figure = worst_pairs_figure(report, 3, title="Nearest")
    for pair in report.worst(3):
        assert (
            f"{pair.bits} bits ({pair.by}), {pair.split} {pair.id[:6]} beside {pair.other_split} {pair.other[:6]}"
            in figure.alt
        )
    assert figure.alt.startswith("Nearest: 3 nearest images of two splits")


def test_no_pairs_are_refused(report):
    with pytest.raises(ParameterError, match="n 0 must be a whole number of at least 1"):
        worst_pairs_figure(report, 0)
