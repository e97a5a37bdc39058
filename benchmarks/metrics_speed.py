"""20,000 masks of 64 x 64 are checked and scored in a second on one CPU core, 10 times as fast as torchmetrics or more.

Run it with `python benchmarks/metrics_speed.py [--images N]`. Two baselines stand beside it: torchmetrics called for
each image, which is what a per-image IoU takes with a library (timed on 500 images and scaled), and a bare numpy loop
over images, which checks no values and needs the masks on the CPU. The figures of all three must agree. The four
bootstrap intervals are timed against a loop over resamples (timed on 50 of 1,000 and scaled). Each time is the best of
three.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from chairlib.core import vision  # noqa: F401  # isort: skip - torchmetrics imports torchvision by itself
from torchmetrics.functional.classification import binary_accuracy, binary_f1_score, binary_jaccard_index

from chairlib.benchmark.metrics import METRICS, score_masks

SIZE, N_GROUPS = 64, 200
N_TORCHMETRICS, N_LOOPED_RESAMPLES, N_RESAMPLES = 500, 50, 1000
COLUMNS = ["iou", "dice", "precision"]


def numpy_scores(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """IoU, Dice and precision of each image, one image at a time: [N, 3] in per cent, nan where undefined."""
    rows = []
    for p, t in zip(predicted > 0.5, target > 0.5, strict=True):
        both, union, n_target = (p & t).sum(), (p | t).sum(), t.sum()
        scored = n_target > 5
        iou = 100 * both / union if scored else np.nan
        dice = 200 * both / (p.sum() + n_target) if scored else np.nan
        rows.append((iou, dice, 100 * (p == t).mean()))
    return np.array(rows)


def torchmetrics_scores(predicted: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """The same from torchmetrics (every image here has more than 5 chair pixels)."""
    functions = (binary_jaccard_index, binary_f1_score, binary_accuracy)
    return 100 * np.array([[f(p, t).item() for f in functions] for p, t in zip(predicted, target.int(), strict=True)])


def looped_interval(values: np.ndarray, groups: np.ndarray, n_resamples: int) -> tuple[float, float]:
    """The same bootstrap as a loop: draw groups, gather their images, average."""
    rng = np.random.default_rng(0)
    images = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    drawn = [np.concatenate([images[i] for i in rng.integers(0, len(images), len(images))]) for _ in range(n_resamples)]
    low, high = np.quantile([np.nanmean(values[rows]) for rows in drawn], [0.025, 0.975])
    return float(low), float(high)


def best_of_three(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The result and the shortest of three times, in seconds."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = function(*arguments)
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    n_images = parser.parse_args().images
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    target = (torch.rand(n_images, 1, SIZE, SIZE, generator=rng) < 0.22).float()
    predicted = (target + 1.2 * torch.rand(target.shape, generator=rng) - 0.6).clamp(0, 1)
    groups = [f"chair {i % N_GROUPS}" for i in range(n_images)]

    scores, ours = best_of_three(score_masks, predicted, target, groups)
    plain, numpy_seconds = best_of_three(numpy_scores, predicted.numpy(), target.numpy())
    few, library_seconds = best_of_three(torchmetrics_scores, predicted[:N_TORCHMETRICS], target[:N_TORCHMETRICS])
    library_seconds *= n_images / len(few)
    figures = scores.per_image[COLUMNS].to_numpy(float)
    np.testing.assert_allclose(figures, plain)
    np.testing.assert_allclose(figures[: len(few)], few, rtol=1e-5)
    print(f"checking and scoring {n_images} masks of {SIZE} x {SIZE}: {ours:.2f} s")
    print(f"  torchmetrics per image: {library_seconds:.1f} s, {library_seconds / ours:.1f} x our time")
    print(f"  bare numpy loop, nothing checked: {numpy_seconds:.2f} s, {numpy_seconds / ours:.1f} x our time")

    _, ours = best_of_three(score_masks, predicted > 0.5, target > 0.5, groups)
    print(
        f"the same as booleans, as training gives them: {ours:.2f} s, numpy loop {numpy_seconds / ours:.1f} x our time"
    )

    _, ours = best_of_three(lambda: [scores.interval(metric, n_resamples=N_RESAMPLES) for metric in METRICS])
    _, looped = best_of_three(looped_interval, plain[:, 0], np.array(groups), N_LOOPED_RESAMPLES)
    looped *= len(METRICS) * N_RESAMPLES / N_LOOPED_RESAMPLES
    print(
        f"four intervals over {N_GROUPS} groups: {ours:.3f} s; "
        f"loop over resamples {looped:.1f} s, {looped / ours:.0f} x our time"
    )


if __name__ == "__main__":
    main()
