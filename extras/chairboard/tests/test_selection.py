"""Which records a report shows: each arm by those of its largest pretraining."""

import pytest

from chairboard.selection import Selection
from chairlib.core.runs import Record
from chairlib.transfer.settings import TransferSettings

NOTHING = {"pretrained_on": None, "matched_to": None}


def make(folder, pretraining="none", cost=None, number=0):
    """A record that says no more than what the selection looks at. ``cost``: what its pretrained model cost."""
    name = f"transfer-{pretraining}-{number}"
    asked = {**TransferSettings().to_dict(), "pretraining": pretraining}
    asked["pretrained"] = None if cost is None else f"benchmark-{cost['budget']}"
    what = "matched_to" if pretraining == "none_equal_total" else "pretrained_on"
    content = {"name": name, "kind": "transfer", "parameters": asked, **NOTHING, what: cost, "finished": f"{number}"}
    return Record(folder / name, content)


def cost_of(budget):
    return {"images_seen": budget, "budget": budget, "n_train_images": 600, "recipe": "fast"}


@pytest.mark.parametrize("pretraining", ["chair_segments", "none_equal_total"])
def test_of_several_pretrainings_the_largest_is_shown(tmp_path, pretraining):
    scratch = make(tmp_path)
    large, small = (make(tmp_path, pretraining, cost_of(9000 - 1000 * number), number) for number in (0, 1))
    selection = Selection([scratch, large, small])
    assert selection.find("unet", pretraining, "car") == [large]
    assert selection.find("unet", "none", "car") == [scratch]
    assert selection.why_not_shown(small) == (
        "its pretraining has 8,000 images (600 different ones, recipe fast); shown is the one with most, of 9,000 "
        "images (600 different ones, recipe fast)"
    )


def test_training_as_long_stands_beside_the_other_arms(tmp_path):
    """One configuration: it differs from both in its length, which is what is compared."""
    arms = [make(tmp_path), make(tmp_path, "none_equal_total", cost_of(9000)), make(tmp_path, "chair_segments")]
    selection = Selection(arms)
    for record in arms:
        assert selection.find("unet", record.settings.pretraining, "car") == [record]
    assert {record.name for record in selection.shown} == {record.name for record in arms}
