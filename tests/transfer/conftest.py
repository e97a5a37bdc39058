"""Two finished runs on drawn photos and chairs, which several modules look at."""

import pytest

from chairlib import benchmark, fine_tune
from chairlib.core.runs import Record

TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2, "device": "cpu"}


@pytest.fixture(scope="session")
def pretrained(collection) -> Record:
    """A benchmark run that fine-tuning starts from."""
    run = benchmark.open_run(data=str(collection.root), **TINY, val_images=6, test_images=8)
    return benchmark.train(run, progress=False)


@pytest.fixture(scope="session")
def scratch(photos) -> Record:
    """A fine-tuning run from random initial weights."""
    return fine_tune(data=str(photos), progress=False, **TINY)
