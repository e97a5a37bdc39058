"""The stand-in for Object Discovery: sound subjects, exact masks, the release's layout, the same for the same seed."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mitsuba")

from chairlib.core import paths
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.transfer.object_discovery import photos_name
from chairmaker.engine import use_one_thread
from chairmaker.materials import plain
from chairmaker.render import View
from chairmaker.stand_in import CATEGORIES, dataset, render_stand_in, render_subject, scenes
from chairmaker.stand_in.airplanes import AIRPLANES, FLYING
from chairmaker.stand_in.cars import CARS
from chairmaker.stand_in.horses import HORSES
from chairmaker.stand_in.subject import vertices

use_one_thread()

#: Each catalogue with the least and greatest length (metres) of what it holds.
CATALOGUES = {
    "airplane": (AIRPLANES, 5, 75),
    "flying": (FLYING, 5, 75),
    "car": (CARS, 3, 6),
    "horse": (HORSES, 1, 4.2),
}
TYPES = [(group, name) for group, (kinds, _, _) in CATALOGUES.items() for name in kinds]


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _category(data: Path, name: str) -> tuple[set[str], set[str]]:
    """Ids of images, and of masks."""
    folder = data / name
    return {f.stem for f in folder.glob("*.jpg")}, {f.stem for f in (folder / "GroundTruth").glob("*.png")}


@pytest.mark.parametrize(("group", "name"), TYPES)
def test_every_type_is_sound_and_of_its_size(group, name):
    kinds, least, greatest = CATALOGUES[group]
    for seed in range(4):
        parts = kinds[name].draw(np.random.default_rng(seed))
        points = vertices(parts)
        assert np.isfinite(points).all()
        assert all(np.isfinite(part.mesh.uv).all() for part in parts)
        assert abs(points[:, 2].min()) < 1e-6
        extent = np.ptp(points, axis=0)
        assert least < extent[:2].max() < greatest
        assert all(part.mesh.faces.min() >= 0 and part.mesh.faces.max() < len(part.mesh.vertices) for part in parts)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("place", sorted({place.__name__ for some in scenes.PLACES.values() for place in some}))
def test_every_place_can_be_seen(category, place, monkeypatch):
    function = next((p for p in scenes.PLACES[category] if p.__name__ == place), None)
    if function is None:
        pytest.skip("not a place of this category")
    monkeypatch.setitem(scenes.PLACES, category, {function: 1.0})
    picture, mask = render_subject(category, 5, 0, 32)
    assert picture.mode == "RGB"
    assert mask.mode == "1"
    assert picture.size == mask.size
    assert max(picture.size) == 32
    assert np.asarray(picture).std() > 4
    assert np.asarray(mask).any()


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_mask_is_where_another_colour_changes_the_picture(category):
    rng = np.random.default_rng([2, CATEGORIES.index(category)])
    scene = scenes.draw_scene(rng, category)
    mask = dataset.subject_mask(scene, 64, 1)
    window = dataset.picture_window(scene, 64)

    def seen(colour):
        subjects = [replace(part, material=plain(np.full(3, colour))) for part in scene.subjects]
        # Without the land, whose shade is black: light is direct only.
        parts = [*subjects, *scene.place.before]
        return View(parts, scene.sky.lights(), scene.camera, 64, window).colour(16, 3)[..., :3]

    dark, pale = seen(0.1), seen(0.9)
    changed = np.abs(pale - dark).sum(axis=2) > 0.02
    # Nothing but the subject's own pixels changes; those on its edge may fall to either side.
    inner = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(mask, step, axis)
    outer = ~mask
    for axis in (0, 1):
        for step in (-1, 1):
            outer &= np.roll(~mask, step, axis)
    assert mask.any()
    assert changed[inner].mean() > 0.97
    assert not changed[outer].mean() > 0.03
    assert (changed == mask).mean() > 0.9


def test_what_stands_before_is_left_out_of_the_mask():
    rng = np.random.default_rng(1)
    scene = scenes.draw_scene(rng, "Horse")
    clear = replace(scene, place=scenes.Place(scene.place.behind))
    points = vertices(scene.subjects)
    low, high = points.min(axis=0), points.max(axis=0)
    screen = scenes.box((low[0] - 5, (low[0] + high[0]) / 2), (low[1] - 0.4, low[1] - 0.2), (-1, 9))
    hidden = replace(scene, place=scenes.Place(scene.place.behind, [scenes.Part(screen, plain(np.zeros(3)))]))
    whole, half = dataset.subject_mask(clear, 64, 0), dataset.subject_mask(hidden, 64, 0)
    assert half.any()
    assert half.sum() < 0.9 * whole.sum()
    assert not (half & ~whole).any()


def test_an_image_depends_on_seed_and_number_alone():
    first = render_subject("Car", 4, 2, 48)
    render_subject("Horse", 4, 1, 32)
    again, other = render_subject("Car", 4, 2, 48), render_subject("Car", 5, 2, 48)
    assert [a.tobytes() for a in first] == [a.tobytes() for a in again]
    assert first[0].tobytes() != other[0].tobytes()


def test_without_the_subject_the_mask_is_black():
    picture, mask = render_subject("Airplane", 0, 1, 48, present=False)
    assert not np.asarray(mask).any()
    assert np.asarray(picture).std() > 4


@pytest.mark.parametrize(
    ("options", "named"),
    [({"images": 2}, "images"), ({"size": 8}, "size"), ({"seed": -1}, "seed"), ({"workers": 0}, "workers")],
)
def test_bad_input_is_named(tmp_path, options, named):
    with pytest.raises(ParameterError, match=f"^{named} is"):
        render_stand_in(tmp_path / "out", progress=False, **{"images": 3, "size": 32, **options})
    assert not (tmp_path / "out").exists()


def test_a_category_that_is_none_is_named():
    with pytest.raises(ParameterError, match="category is 'Boat'"):
        render_subject("Boat", 0, 0)


def _flat(category, seed, index, size=128, present=True):
    """A stand-in's stand-in, for tests of the layout."""
    mask = np.zeros((size * 3 // 4, size), bool)
    mask[5:9, 5 : 9 + index % 9] = present
    return Image.new("RGB", (size, size * 3 // 4), (index % 256, seed % 256, len(category))), Image.fromarray(mask)


def test_the_layout_is_the_releases(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "render_subject", _flat)
    out = render_stand_in(tmp_path / "out", images=100, size=32, progress=False, workers=1)
    assert {f.name for f in out.iterdir()} == {"Data", "README.md"}
    assert {f.name for f in (out / "Data").iterdir()} == {
        "source.json",
        *(n for c in CATEGORIES for n in (c, f"{c}100")),
    }
    assert photos_name(out) == photos_name(paths.stand_in) == "stand-in"
    for category in CATEGORIES:
        images, masks = _category(out / "Data", category)
        assert len(images) == 100
        assert len(masks) == 97
        assert masks < images
        assert all(len(name) == 4 and name.isdigit() for name in images)
        numbers = sorted(int(name) for name in images)
        assert numbers[-1] - numbers[0] > len(numbers)
        few, few_masks = _category(out / "Data", f"{category}100")
        assert few == few_masks
        assert len(few) == 32
        assert few < masks
        shown = []
        for name in sorted(masks):
            with Image.open(out / "Data" / category / "GroundTruth" / f"{name}.png") as mask:
                assert mask.mode == "1"
                shown.append(np.asarray(mask).any())
        assert shown.count(False) == 4
        for name in few:
            for part in (f"{name}.jpg", f"GroundTruth/{name}.png"):
                pair = [(out / "Data" / folder / part).read_bytes() for folder in (category, f"{category}100")]
                assert pair[0] == pair[1]
    readme = (out / "README.md").read_text()
    assert "stand-in, not Object Discovery" in readme
    assert "CC0-1.0" in readme
    assert "chairlib render-stand-in --out out --images 100 --size 32 --seed 0" in readme


def test_the_same_seed_gives_the_same_files_over_any_number_of_processes(tmp_path):
    one = render_stand_in(tmp_path / "a" / "set", images=3, size=32, seed=1, progress=False, workers=1)
    two = render_stand_in(tmp_path / "b" / "set", images=3, size=32, seed=1, progress=False, workers=2)
    assert _digest(one) == _digest(two)


@pytest.mark.parametrize("damaged", [False, True])
def test_an_interrupted_call_goes_on(tmp_path, monkeypatch, capsys, damaged):
    calls = []

    def flat(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return _flat(*args, **options)

    monkeypatch.setattr(dataset, "render_subject", flat)
    with pytest.raises(KeyboardInterrupt):
        render_stand_in(tmp_path / "a" / "out", images=5, size=32, progress=False, workers=1)
    assert not (tmp_path / "a" / "out").exists()
    if damaged:
        kept = next(file for file in (tmp_path / "a" / ".out.part").iterdir() if file.name != "lock")
        kept.write_bytes(kept.read_bytes()[:-1])
    calls[:] = [None] * 3  # no more interruptions
    out = render_stand_in(tmp_path / "a" / "out", images=5, size=32, progress=False, workers=1)
    assert len(calls) - 3 == 15 - (1 if damaged else 2)
    calls[:] = [None] * 3
    assert _digest(out) == _digest(render_stand_in(tmp_path / "b" / "out", 5, 32, progress=False, workers=1))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["out"]


def test_it_is_said_how_much_was_done_before(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dataset, "render_subject", _flat)
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            render_stand_in(tmp_path / "out", images=5, size=32, workers=1)
    assert "the same command goes on" in capsys.readouterr().err
    render_stand_in(tmp_path / "out", images=6, size=32, workers=1)
    # The sixth of each is new, and which show no subject may change with their number.
    assert re.search(r"going on: 1\d of 18 images were done before", capsys.readouterr().err)


def test_what_is_there_is_never_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ChairlibError, match="not an empty folder"):
        render_stand_in(tmp_path, images=3, size=32, progress=False)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_the_shipped_stand_in_is_whole_and_small():
    files = [file for file in paths.stand_in.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 9_000_000
    assert "not Object Discovery" in (paths.stand_in / "README.md").read_text()
    for category in CATEGORIES:
        images, masks = _category(paths.stand_in / "Data", category)
        few, few_masks = _category(paths.stand_in / "Data", f"{category}100")
        assert len(images) == 560
        assert len(masks) == 543
        assert masks < images
        assert few == few_masks
        assert few < masks
        shares = []
        for name in sorted(masks):
            folder = paths.stand_in / "Data" / category
            with (
                Image.open(folder / f"{name}.jpg") as image,
                Image.open(folder / "GroundTruth" / f"{name}.png") as mask,
            ):
                assert mask.mode == "1"
                assert image.size == mask.size
                assert max(image.size) == 128
                shares.append(float(np.asarray(mask).mean()))
        assert shares.count(0.0) == 22
        assert 0.08 < np.mean(shares) < 0.35
