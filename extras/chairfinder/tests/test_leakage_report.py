"""The audit's table and figures tell what the report holds."""

import pytest

from chairfinder.leakage import LeakageReport, audit
from chairfinder.leakage_report import answer, distances_figure, leakage_table, worst_pairs_figure
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


def test_the_answer_counts_images_not_pairs(report):
    """A test image is compared with two splits, but counts once."""
    counts, close, honest = answer(report)
    assert counts.startswith("mini holds 450 chairs and 500 rooms")
    least = report.nearest["bits"].min()
    assert close.startswith("None of 400 validation and test images is closer than 24 of 256 bits")
    assert close.endswith(f"the nearest pair differs in {least}.")
    assert "does not prove" in honest
    near = report.nearest[report.nearest["bits"] < 64]
    assert near["id"].duplicated().any()
    assert answer(report, 64)[1].startswith(f"{near['id'].nunique()} of 400 validation and test images are closer")
    far = report.nearest["bits"].clip(lower=50)
    far[far.index[0]] = 20
    single = LeakageReport(report.collection, report.nearest.assign(bits=far))
    assert answer(single)[1].startswith("1 of 400 validation and test images is closer")
    with pytest.raises(ParameterError, match="the threshold in bits"):
        answer(report, 300)


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
