"""Every fault changes an image as it says, and the rule that is there for it refuses it on most segments."""

import numpy as np
import pytest
from PIL import Image

from chairfinder.faults import FAULTS, REASONS, apply_fault, screened_examples
from chairfinder.figures import kept_and_refused
from chairfinder.screening import SEGMENT_RULES, rule_name, screen_segment
from chairlib.core import paths
from chairlib.core.errors import ParameterError
from figure_helpers import check_figure, images

#: Least share of segments on which a plain fault is refused for its own reason. Where a fault cannot show on every
#: design (a chair without gaps has no room for white patches; tubes are all fringe), it is lower.
RATES = dict.fromkeys(FAULTS, 0.9) | {
    "white_remnant": 0.6,
    "cut": 0.7,
    "faded": 0.8,
    "checkerboard_islands": 0.85,
    "halo": 0.85,
    "haze": 0.85,
}


@pytest.fixture(scope="module")
def segments():
    """Every sixth rendered chair, at 256 pixels."""
    files = sorted((paths.mini / "segments").glob("*.png"))[::6]
    images = [Image.open(file).convert("RGBa") for file in files]
    return [image.resize((256, 256), Image.Resampling.BICUBIC).convert("RGBA") for image in images]


@pytest.mark.parametrize("name", FAULTS)
def test_a_plain_fault_is_refused_for_what_it_is(name, segments):
    assert all(screen_segment(segment) is None for segment in segments[::5])
    found = [screen_segment(apply_fault(name, segment, seed)) for seed, segment in enumerate(segments)]
    right = [refusal is not None and refusal.split(":")[0] in REASONS[name] for refusal in found]
    assert np.mean(right) >= RATES[name], [refusal for refusal, good in zip(found, right, strict=True) if not good]


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seeded_and_leave_the_segment_alone(name, segments):
    before = segments[3].tobytes()
    first, again = apply_fault(name, segments[3], 7), apply_fault(name, segments[3], 7)
    assert first.mode == "RGBA"
    assert first.tobytes() == again.tobytes()
    assert (first.size, first.tobytes()) != (segments[3].size, before)
    assert segments[3].tobytes() == before
    for severity in (0.0, 0.3):
        assert apply_fault(name, segments[3], 7, severity).mode == "RGBA"


def test_every_fault_has_a_rule():
    names = {rule_name(rule) for rule in SEGMENT_RULES}
    assert REASONS.keys() == FAULTS.keys()
    assert {reason for reasons in REASONS.values() for reason in reasons} == names


def test_what_is_no_fault(segments):
    with pytest.raises(ParameterError, match="there is no fault 'rust'; there are: opaque, "):
        apply_fault("rust", segments[0])
    with pytest.raises(ParameterError, match=r"severity is 1\.5"):
        apply_fault("halo", segments[0], severity=1.5)


def test_examples_are_what_the_screening_says_of_them(segments):
    pictures, reasons = screened_examples(segments, each=2, side=64)
    assert pictures.shape == (2 * (1 + len(FAULTS)), 64, 64, 4)
    assert reasons[:2] == ["", ""]  # without a fault they are kept
    named = {reason.partition(":")[0] for reason in reasons[2:]}
    assert len(named - {""}) >= 10
    assert sum(reason == "" for reason in reasons[2:]) <= len(reasons) // 4


def test_what_was_kept_and_refused_is_drawn_and_counted() -> None:
    mixed = kept_and_refused(images(9), ["", "cut", "", "bad edges", "cut: at the left", "", "", "", ""])
    none_kept = kept_and_refused(images(1), ["cut"])
    check_figure(mixed)
    check_figure(none_kept)
    assert "6 images kept and 3 refused. Refused: cut 2, bad edges 1" in mixed.alt
    assert "0 images kept and 1 refused" in none_kept.alt
    with pytest.raises(ParameterError, match="3 images and 1 reasons"):
        kept_and_refused(images(3), ["cut"])
