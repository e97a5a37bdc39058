"""The renderer: one seed gives one image, opacity is exact, colour is straight, and each design has its own group."""

import builtins
import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import uniform_filter

from chairlib.collection.collection import Collection
from chairlib.core import paths
from chairlib.core.code import imported_modules
from chairlib.core.errors import ChairlibError, ParameterError
from chairmaker import (
    catalogue,
    chairs,
    engine,
    meshes,
    render_chair,
    render_collection,
    render_room,
)
from chairmaker.materials import Part, plain
from chairmaker.render import Camera, View, encode, smooth_light, straight_rgba

pytest.importorskip("mitsuba", reason="the renderer's tests need Mitsuba")

WHITE_LIGHT = {"type": "constant", "radiance": {"type": "rgb", "value": 1.0}}


def decode(srgb: np.ndarray) -> np.ndarray:
    """Linear values in [0, 1] of sRGB bytes."""
    value = srgb / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@pytest.fixture(scope="module")
def chair() -> tuple[Image.Image, str]:
    return render_chair(7, 3, 64)


# --- images -----------------------------------------------------------------------------------------------------------


def test_same_seed_and_index_give_the_same_chair_and_another_does_not(chair):
    image, group = chair
    again, same_group = render_chair(7, 3, 64)
    assert np.array_equal(np.asarray(image), np.asarray(again))
    assert group == same_group
    for seed, index in ((8, 3), (7, 4)):
        assert not np.array_equal(np.asarray(image), np.asarray(render_chair(seed, index, 64)[0]))


def test_same_seed_and_index_give_the_same_room_and_another_does_not():
    room = np.asarray(render_room(7, 3, 32))
    assert room.shape == (32, 32, 3)
    assert np.array_equal(room, np.asarray(render_room(7, 3, 32)))
    assert not np.array_equal(room, np.asarray(render_room(7, 4, 32)))


def test_the_number_of_threads_changes_no_pixel(chair):
    engine.use_one_thread()
    assert np.array_equal(np.asarray(chair[0]), np.asarray(render_chair(7, 3, 64)[0]))


def test_a_chair_is_rgba_of_the_size_asked_for_and_touches_no_border(chair):
    opacity = np.asarray(chair[0])[..., 3]
    assert chair[0].mode == "RGBA"
    assert chair[0].size == (64, 64)
    assert render_chair(7, 3, 40)[0].size == (40, 40)
    assert opacity[[0, -1]].max() == 0
    assert opacity[:, [0, -1]].max() == 0


def test_opacity_is_fractional_at_edges_and_only_there(chair):
    opacity = np.asarray(chair[0])[..., 3].astype(int)
    fractional = (opacity > 0) & (opacity < 255)
    assert len(np.unique(opacity)) > 8
    assert 0.2 < fractional.sum() / (opacity > 0).sum() < 0.9
    padded = np.pad(opacity, 1)
    lowest = np.min([padded[1 + y : 65 + y, 1 + x : 65 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0)
    assert not (fractional & (lowest == 255)).any()


def test_opacity_is_the_share_of_the_pixel_that_is_covered():
    # A square seen straight on, whose right edge cuts a column of pixels at 30 %.
    size, degrees = 32, 20.0
    metres = 2 * 5 * np.tan(np.radians(degrees / 2)) / size
    square = meshes.wall((-4 * metres, 0, -4 * metres), (6.3 * metres, 0, 0), (0, 0, 8 * metres))
    camera = Camera((0, -5, 0), (0, 0, 0), degrees)
    view = View([Part(square, plain([0.5] * 3))], [WHITE_LIGHT], camera, size)
    for image in (view.colour(256, seed=1), view.guide("albedo", 256, seed=1)):
        assert image[16, 12:18, 3] == pytest.approx(1.0)
        assert image[12:20, 18, 3] == pytest.approx(0.3, abs=0.05)
        assert image[16, 19:, 3] == pytest.approx(0.0)


def test_a_window_holds_the_same_pixels_as_the_whole_picture():
    ball = meshes.sphere(0.3)
    camera = Camera((0, -4, 1), (0, 0, 0), 20)
    parts = [Part(ball, plain([0.35, 0.2, 0.1]))]
    part = View(parts, [WHITE_LIGHT], camera, 48, camera.window(ball.vertices, 48))
    whole = View(parts, [WHITE_LIGHT], camera, 48).guide("albedo", 64, seed=3)
    cut = part.on_canvas(part.guide("albedo", 64, seed=3))
    assert part.guide("albedo", 4, seed=3).shape[:2] < (48, 48)
    # Other samples of the same picture: within the noise of edges.
    assert np.abs(cut[..., 3] - whole[..., 3]).max() < 0.25
    assert np.abs(cut[..., 3] - whole[..., 3]).mean() < 0.005


def test_guides_are_colour_and_facing():
    square = meshes.wall((-1, 0, -1), (2, 0, 0), (0, 0, 2))
    view = View(
        [Part(square, plain(encode(np.array([0.5, 0.2, 0.1])) / 255))], [], Camera((0, -5, 0), (0, 0, 0), 10), 16
    )
    assert view.guide("albedo", 4, seed=0)[8, 8] == pytest.approx([0.5, 0.2, 0.1, 1.0], abs=0.01)
    assert view.guide("normal", 4, seed=0)[8, 8] == pytest.approx([1.2, 0.2, 1.2, 1.0], abs=0.01)


def test_straight_colour_composited_on_white_equals_a_render_before_white():
    # The light is white in all directions: seen, it is a white background; hidden, it leaves transparency.
    bar = meshes.cylinder((-0.5, 0, -0.4), (0.5, 0, 0.5), 0.08)
    ball = meshes.sphere(0.3)
    parts = [Part(meshes.join([bar, ball]), plain([0.35, 0.2, 0.1]))]
    camera = Camera((0, -4, 1), (0, 0, 0), 20)
    view = View(parts, [WHITE_LIGHT], camera, 48)
    hidden, seen = (view.colour(16, seed=3, hide_lights=hide) for hide in (True, False))
    rgba = straight_rgba(hidden)
    opacity = rgba[..., 3:] / 255
    composite = decode(rgba[..., :3]) * opacity + (1 - opacity)
    assert np.abs(composite - seen[..., :3]).max() < 0.02
    # And no rim: what is at the edges is as bright as what is inside.
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 255)
    inside = rgba[..., 3] == 255
    assert rgba[edge][:, :3].mean() > 0.85 * rgba[inside][:, :3].mean()


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0.01, 1))
def test_straight_colour_does_not_depend_on_opacity(colour, opacity):
    pixel = np.array([[[*(np.array(colour) * opacity), opacity]]])
    assert np.abs(straight_rgba(pixel)[0, 0, :3].astype(int) - encode(np.array(colour)).astype(int)).max() <= 1


def test_nothing_is_left_where_opacity_is_zero():
    assert not straight_rgba(np.array([[[1e-4, 1e-4, 1e-4, 1e-4]]])).any()


def opaque(colour: np.ndarray) -> np.ndarray:
    """A picture [H,W,3] that is solid everywhere: [H,W,4]."""
    return np.concatenate([colour, np.ones((*colour.shape[:2], 1))], axis=2)


def test_smoothing_removes_noise_but_neither_texture_nor_edges():
    rng = np.random.default_rng(0)
    albedo = np.where((np.indices((24, 24)).sum(axis=0) % 2 == 0)[..., None], 0.7, 0.3) * np.ones((24, 24, 3))
    normal = np.where((np.arange(24) < 12)[None, :, None], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]) * np.ones((24, 1, 1))
    light = np.where((np.arange(24) < 12)[None, :, None], 1.0, 0.3)
    clean = albedo * light
    image = opaque(clean * rng.normal(1, 0.15, (24, 24, 1)))
    noise = np.abs(image[..., :3] - clean).mean()
    for facing in (None, opaque(normal)):
        smoothed = smooth_light(image, opaque(albedo), facing)[..., :3]
        assert np.abs(smoothed - clean).mean() < 0.4 * noise
    assert np.abs(smoothed - clean)[:, 11:13].mean() < 0.6 * noise


def test_surfaces_that_face_other_ways_keep_their_own_light():
    # A crease one pixel wide, in nearly the same light: the facing alone tells it apart.
    normal = np.tile(np.array([0.0, 0.0, 1.0]), (15, 15, 1))
    normal[:, 7] = [1.0, 0.0, 0.0]
    light = np.full((15, 15, 3), 0.30)
    light[:, 7] = 0.26
    albedo = opaque(np.full((15, 15, 3), 0.5))
    kept, lost = (smooth_light(opaque(light), albedo, n)[7, 7, 0] for n in (opaque(normal), None))
    assert kept == pytest.approx(0.26, abs=0.003)
    assert lost > 0.275


def test_opacity_and_edges_are_those_of_the_surfaces():
    # A white square: what light was measured at its rim came from fewer rays than its opacity.
    albedo, image = np.zeros((12, 12, 4)), np.zeros((12, 12, 4))
    albedo[3:9, 3:9] = [0.8, 0.8, 0.8, 1.0]
    albedo[3:9, 9] = [0.8, 0.8, 0.8, 0.4]
    image[3:9, 3:9] = [0.4, 0.4, 0.4, 1.0]
    smoothed = smooth_light(image, albedo)
    assert np.array_equal(smoothed[..., 3], albedo[..., 3])
    assert smoothed[5, 9] == pytest.approx([0.16, 0.16, 0.16, 0.4], abs=0.01)


def test_lights_are_held_down_to_white_and_don_t_fill_the_pixels_they_touch():
    albedo, image = opaque(np.full((12, 12, 3), 0.5)), opaque(np.full((12, 12, 3), 0.2))
    light = np.array([100.0, 0.0, 0.0])
    albedo[:, 6:, :3], image[:, 6:, :3] = light, 8.0
    # The window's edge covers a fifth of a column of pixels.
    albedo[:, 5, :3], image[:, 5, :3] = 0.2 * light + 0.8 * 0.5, 0.2 * 8 + 0.8 * 0.2
    smoothed = smooth_light(image, albedo)[6, :, 0]
    assert smoothed[2] == pytest.approx(0.2, abs=0.01)
    assert 0.5 < smoothed[8] <= 0.8
    assert smoothed[5] == pytest.approx(0.2 * smoothed[8] + 0.8 * 0.2, abs=0.02)


def test_smoothing_leaves_a_thin_bar_in_the_void_as_bright_as_it_was():
    albedo, normal, image = np.zeros((20, 20, 4)), np.zeros((20, 20, 4)), np.zeros((20, 20, 4))
    albedo[:, 10], normal[:, 10] = 0.5, 1.2
    image[:, 10] = [0.2, 0.2, 0.2, 0.5]
    assert smooth_light(image, albedo, normal)[:, 10] == pytest.approx(image[:, 10], abs=0.01)


def test_a_single_bright_sample_on_a_thin_bar_does_not_stay_as_a_speck():
    albedo, image = np.zeros((20, 20, 4)), np.zeros((20, 20, 4))
    albedo[:, 10], image[:, 10] = [0.5, 0.5, 0.5, 1.0], [0.2, 0.2, 0.2, 1.0]
    image[9, 10, :3] = 8.0
    assert smooth_light(image, albedo)[9, 10, 0] < 0.5


def test_the_edges_of_a_rendered_chair_are_as_bright_as_what_they_border_on():
    image = np.asarray(render_chair(0, 1, 96)[0]).astype(float)
    opacity, brightness = image[..., 3], image[..., :3].mean(axis=2)
    solid = (opacity == 255).astype(float)
    share = uniform_filter(solid, 3)
    beside = uniform_filter(solid * brightness, 3) / np.maximum(share, 1e-9)
    faint = (opacity > 0) & (opacity < 80) & (share > 0.2)
    # With colour left premultiplied this would be about -60.
    assert (brightness - beside)[faint].mean() > -12


def darkness_of_rim(image: Image.Image) -> float:
    """By how much (of 255) the colour of partly covered pixels is darker than that of solid ones beside them."""
    pixels = np.asarray(image).astype(float)
    opacity, brightness = pixels[..., 3], pixels[..., :3].mean(axis=2)
    solid = (opacity == 255).astype(float)
    share = uniform_filter(solid, 3)
    beside = uniform_filter(solid * brightness, 3) / np.maximum(share, 1e-9)
    edge = (opacity > 0) & (opacity < 255) & (share > 0.2)
    return float((beside - brightness)[edge].mean())


@pytest.mark.parametrize("name", list(chairs.FAMILIES))
@pytest.mark.parametrize("seed", [0, 1])
def test_no_pale_chair_has_a_dark_rim(name, seed):
    design = chairs.draw_design(np.random.default_rng([seed, 5]), name)
    finish = dict.fromkeys(design.slots, plain([0.85] * 3))
    image = catalogue.photograph(design, np.random.default_rng(seed), 96, finish)
    pixels = np.asarray(image)
    assert pixels[pixels[..., 3] > 0][:, :3].max(axis=1).min() > 0, "pure black"
    # Undersides and thin legs are in the shade, so a few grey levels are right.
    assert darkness_of_rim(image) < 8


def test_pictures_with_one_seed_look_through_the_same_points_of_each_pixel():
    ball = meshes.sphere(0.3)
    view = View([Part(ball, plain([0.35, 0.2, 0.1]))], [WHITE_LIGHT], Camera((0, -4, 1), (0, 0, 0), 20), 48)
    opacity = view.colour(12, seed=3)[..., 3]
    assert opacity[(opacity > 0) & (opacity < 1)].size > 0
    for what in ("albedo", "normal"):
        assert np.array_equal(view.guide(what, 12, seed=3)[..., 3], opacity)
        assert not np.array_equal(view.guide(what, 12, seed=4)[..., 3], opacity)


def test_a_glazing_bar_with_light_all_round_is_neither_black_nor_a_lamp():
    # Every pixel of the bar is half light, and no pixel beside it is a surface: there is none to learn its light from.
    albedo, image = opaque(np.full((20, 20, 3), 0.5)), opaque(np.full((20, 20, 3), 0.2))
    albedo[:, 6:, :3], image[:, 6:, :3] = [100.0, 0.0, 0.0], 3.0
    albedo[:, 12, :3], image[:, 12, :3] = [50.4, 0.4, 0.4], 1.7
    smoothed = smooth_light(image, albedo)[10, :, 0]
    assert smoothed[12] == pytest.approx((smoothed[11] + 0.8 * 0.4) / 2, abs=0.1)
    assert 0.25 < smoothed[12] < smoothed[11]


def test_what_bounces_falls_on_ceilings_most_and_on_floors_least():
    image, albedo = opaque(np.full((9, 9, 3), 0.2)), opaque(np.full((9, 9, 3), 0.5))
    facing = {
        way: opaque(np.full((9, 9, 3), 1.2) + [0.0, 0.0, up])
        for way, up in (("ceiling", -1), ("wall", 0), ("floor", 1))
    }
    levels = {way: smooth_light(image, albedo, normal, bounce=0.3)[4, 4, 0] for way, normal in facing.items()}
    assert levels["wall"] == pytest.approx(0.26, abs=0.001)
    assert levels["ceiling"] > 0.28
    assert 0.2 < levels["floor"] < 0.24


def shown(level: float) -> np.ndarray:
    """A picture of a chair as bright (linear) as ``level``, a tenth of it twice as bright, in front of nothing."""
    image = np.zeros((20, 20, 4))
    image[5:15, 5:15] = [level, level, level, 1.0]
    image[5, 5:15, :3] *= 2
    return image


def test_a_white_chair_is_not_burned_out_and_a_black_one_not_lost():
    assert catalogue.choose_exposure(shown(0.2), 1.2) == 1.2
    white, black = catalogue.choose_exposure(shown(0.45), 1.4), catalogue.choose_exposure(shown(0.01), 1.0)
    assert 2 * 0.45 * white < 1.0
    assert 1.2 < black < 2.0
    assert catalogue.choose_exposure(np.zeros((4, 4, 4)), 1.1) == 1.1


def test_rendered_chairs_hardly_burn_out():
    images = [np.asarray(render_chair(0, index, 64)[0]) for index in range(24)]
    burned = [(image[image[..., 3] > 128][:, :3].min(axis=1) >= 254).mean() for image in images]
    assert np.mean(burned) < 0.01


def test_egg_chairs_are_seldom_seen_from_behind():
    rng = np.random.default_rng(0)
    turns = {weight: [catalogue.draw_angles(rng, weight)[0] for _ in range(600)] for weight in (9, 2)}
    behind = {weight: np.mean(np.abs(azimuths) > 110) for weight, azimuths in turns.items()}
    assert behind[2] < 0.05 < behind[9]
    assert chairs.draw_design(rng, "egg").behind == 2


@pytest.mark.parametrize("size", [31, 0, -5, 2.5, "big", 5000])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ParameterError, match="size is"):
        render_chair(0, 0, size)
    with pytest.raises(ParameterError, match="size is"):
        render_room(0, 0, size)


@pytest.mark.parametrize("arguments", [(-1, 0), (0, -1)])
def test_negative_seeds_and_indices_are_refused(arguments):
    with pytest.raises(ParameterError, match="is -1"):
        render_chair(*arguments)


def test_a_missing_mitsuba_says_what_to_install(monkeypatch):
    engine.mitsuba.cache_clear()
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("mitsuba"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ChairlibError, match="pip install mitsuba"):
        render_chair(0, 0, 32)
    monkeypatch.undo()
    engine.mitsuba.cache_clear()


# --- designs and groups -----------------------------------------------------------------------------------------------


def test_every_chair_has_a_design_and_a_group_of_its_own():
    made = [catalogue.design_of_chair(0, index) for index in range(240)]
    groups = [chairs.design_group(name, design) for name, design in made]
    assert len(set(groups)) == len({repr(design) for _, design in made}) == 240
    names = [name for name, _ in made]
    assert names[: len(chairs.FAMILIES)] == list(chairs.FAMILIES), "all families come early"


def test_chairs_of_one_family_are_different_images_of_different_groups():
    (first, group), (second, other) = (render_chair(0, index, 32) for index in (0, len(chairs.FAMILIES)))
    assert group != other
    assert all(name.startswith("segment:dining-") for name in (group, other))
    assert not np.array_equal(np.asarray(first), np.asarray(second))


# --- shapes -----------------------------------------------------------------------------------------------------------


def volume(mesh: meshes.Mesh) -> float:
    """Enclosed volume; positive only where faces point outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (meshes.rounded_box(0.4, 0.6, 0.8, 0.001), 0.192),
        (meshes.sphere(0.5, sides=40), np.pi / 6),
        (meshes.cylinder((0, 0, 0), (0, 0.3, 1), 0.2), np.pi * 0.01 * np.hypot(1, 0.3)),
        (meshes.sweep([(0, 0, 0), (0, 0, 1)], 0.2, 0.1, corner=0.01, side=[1, 0, 0]), 0.02),
        (meshes.lathe([(0, 0), (0.5, 0), (0.5, 1), (0, 1)], 60), np.pi / 4),
        (meshes.sheet(np.stack(np.meshgrid([0.0, 1.0], [0.0, 1.0], [0.0]), axis=-1)[:, :, 0], 0.1), 0.1),
        (meshes.rounded_box(0.4, 0.6, 0.8, 0.001).moved(1, 2, 3).turned(40, "x").mirrored(), 0.192),
    ],
)
def test_shapes_enclose_their_volume_with_faces_outwards(mesh, expected):
    assert volume(mesh) == pytest.approx(expected, rel=0.06)


def test_a_tube_bent_round_all_three_axes_is_nowhere_pinched():
    # As the floor loop of a cantilever chair: no one direction stays clear of all its stretches.
    corners = [(1, 1, 1), (1, 1, 0), (1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 1, 1)]
    path = meshes.filleted(corners, 0.1)
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    for tube in (meshes.bundle(path[None], 0.04, steps=4), meshes.sweep(path, 0.04)):
        assert volume(tube) == pytest.approx(length * np.pi * 0.02**2, rel=0.08)


def test_a_camera_centres_what_it_frames():
    vertices = np.random.default_rng(0).uniform(-1, 1, (200, 3)) * [0.3, 0.5, 0.9]
    camera = Camera.around(vertices, 35, 15, 4.0, 0.8)
    low, high = camera.bounds(vertices)
    assert (low + high) / 2 == pytest.approx([0, 0], abs=1e-3)
    assert (high - low).max() / (2 * np.tan(np.radians(camera.degrees / 2))) == pytest.approx(0.8, rel=0.01)


# --- collections ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Collection:
    return render_collection(
        tmp_path_factory.mktemp("rendered") / "c", 3, 3, size=32, seed=5, progress=False, workers=1
    )


def test_a_collection_is_rendered_and_opens(rendered):
    collection = rendered
    assert len(collection.rows("segment")) == 3
    assert len(collection.rows("background")) == 3
    rows = collection.manifest
    assert set(rows["licence"]) == {"CC0-1.0"}
    assert set(rows["source"]) == {"procedural"}
    assert all(group.startswith(f"{kind}:") for kind, group in zip(rows["kind"], rows["group"], strict=True))
    first = Image.open(collection.path("segment", rows["id"][0]))
    assert np.array_equal(np.asarray(first), np.asarray(render_chair(5, 0, 32)[0]))
    assert "chairlib render --out c --segments 3" in (collection.root / "README.md").read_text(encoding="utf-8")


def test_processes_render_the_same_collection_with_an_estimate_first(rendered, tmp_path, capsys):
    again = render_collection(tmp_path / "again", 3, 3, size=32, seed=5, workers=2)
    assert again.hash == rendered.hash
    shown = capsys.readouterr().err
    assert shown.startswith("Rendering 3 segments and 3 backgrounds of 32 pixels: about")
    assert "with 2 processes" in shown
    assert "6/6" in shown


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"segments": 2}, "segments"),
        ({"backgrounds": 0}, "backgrounds"),
        ({"size": 31}, "size"),
        ({"workers": 0}, "workers"),
    ],
)
def test_too_small_collections_are_refused_before_anything_is_made(tmp_path, changed, name):
    given = {"segments": 3, "backgrounds": 3, "size": 32, **changed}
    with pytest.raises(ParameterError, match=f"^{name} is"):
        render_collection(tmp_path / "c", **given)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused_before_rendering(tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(catalogue, "render_file", lambda task: pytest.fail("rendered although the folder is taken"))
    with pytest.raises(ChairlibError, match="not an empty folder"):
        render_collection(tmp_path, 3, 3, size=32, progress=True, workers=1)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_an_interrupted_call_finished_is_not_rendered_again(tmp_path, monkeypatch, capsys):
    plain_run = render_collection(tmp_path / "plain" / "c", 3, 4, size=32, seed=5, progress=False, workers=1)
    original, done = catalogue.render_file, []

    def stop_after_four(task):
        original(task)
        if len(done) == 3:  # the fourth is kept, but not counted
            raise KeyboardInterrupt
        done.append(task[1:])

    monkeypatch.setattr(catalogue, "render_file", stop_after_four)
    with pytest.raises(KeyboardInterrupt):
        render_collection(tmp_path / "c", 3, 4, size=32, seed=5, workers=1)
    assert "the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
    again = []
    monkeypatch.setattr(catalogue, "render_file", lambda task: (original(task), again.append(task[1:])))
    collection = render_collection(tmp_path / "c", 3, 4, size=32, seed=5, workers=1)
    assert "going on: 4 of 7 images were done before" in capsys.readouterr().err
    assert len(again) == 3
    assert not set(again) & set(done)
    assert content(collection.root) == content(plain_run.root)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "plain"]


def test_a_damaged_image_is_rendered_again(tmp_path, monkeypatch):
    plain_run = render_collection(tmp_path / "plain" / "c", 3, 3, size=32, seed=5, progress=False, workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "fill_collection", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            render_collection(tmp_path / "c", 3, 3, size=32, seed=5, progress=False, workers=1)
    kept = [file for file in (tmp_path / ".c.part").iterdir() if file.is_file() and file.name != "lock"]
    assert len(kept) == 6
    kept[0].write_bytes(kept[0].read_bytes()[:-1])
    original, again = catalogue.render_file, []
    monkeypatch.setattr(catalogue, "render_file", lambda task: (original(task), again.append(task)))
    collection = render_collection(tmp_path / "c", 3, 3, size=32, seed=5, progress=False, workers=1)
    assert len(again) == 1
    assert content(collection.root) == content(plain_run.root)


def test_the_estimate_renders_only_what_is_missing(monkeypatch):
    rendered = []
    monkeypatch.setattr(catalogue, "render_chair", lambda *arguments: rendered.append("chair"))
    monkeypatch.setattr(catalogue, "render_room", lambda *arguments: rendered.append("room"))
    catalogue.estimate_time({"segment": 0, "background": 2}, 32, 0, 1)
    assert rendered == ["room", "room"]
    catalogue.estimate_time({"segment": 100, "background": 0}, 32, 0, 1)
    assert rendered[2:] == ["chair"] * 3


def test_something_is_said_before_the_estimate_renders(tmp_path, monkeypatch, capsys):
    def estimate(*arguments):
        assert capsys.readouterr().err == "Rendering 3 segments and 3 backgrounds of 32 pixels: "
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "estimate_time", estimate)
    with pytest.raises(KeyboardInterrupt):
        render_collection(tmp_path / "c", 3, 3, size=32, workers=1)


def test_the_fingerprint_changes_with_the_renderer_and_with_the_screening_of_rooms(monkeypatch):
    before = catalogue.renderer_fingerprint()
    original = catalogue.code_hash
    for changed in ("chairmaker.catalogue", "chairfinder.screening"):
        monkeypatch.setattr(
            catalogue, "code_hash", lambda module, changed=changed: original(module) + "x" * (module == changed)
        )
        assert catalogue.renderer_fingerprint() != before
    monkeypatch.undo()
    monkeypatch.setattr(engine.mitsuba(), "__version__", "0.0")
    assert catalogue.renderer_fingerprint() != before
    monkeypatch.undo()
    assert catalogue.renderer_fingerprint() == before


def test_the_fingerprint_covers_all_code_that_may_change_a_pixel():
    covered = {*imported_modules("chairmaker.catalogue"), *imported_modules("chairfinder.screening")}
    for name in (
        "render",
        "meshes",
        "materials",
        "textures",
        "engine",
        "chairs.dining",
        "chairs.shared",
        "rooms.living",
    ):
        assert f"chairmaker.{name}" in covered
    for package, folders in (("chairmaker", ("chairs", "rooms")), ("chairfinder", ("screening",))):
        for folder in folders:
            files = (Path(importlib.import_module(f"{package}.{folder}").__file__).parent).glob("*.py")
            names = {file.stem for file in files} - {"__init__"}
            assert {f"{package}.{folder}.{name}" for name in names} <= covered


@pytest.mark.parametrize("changed", [False, True])
def test_images_are_rendered_again_when_the_fingerprint_has_changed(tmp_path, monkeypatch, changed):
    original = catalogue.render_file

    def stop(task):
        original(task)
        raise KeyboardInterrupt

    asked = {"segments": 3, "backgrounds": 3, "size": 32, "seed": 5, "progress": False, "workers": 1}
    monkeypatch.setattr(catalogue, "render_file", stop)
    with pytest.raises(KeyboardInterrupt):
        render_collection(tmp_path / "c", **asked)
    rendered = []
    monkeypatch.setattr(catalogue, "render_file", lambda task: (original(task), rendered.append(task)))
    if changed:
        monkeypatch.setattr(catalogue, "renderer_fingerprint", lambda: "other code")
    render_collection(tmp_path / "c", **asked)
    assert len(rendered) == (6 if changed else 5)


@pytest.mark.parametrize("changed", [{"seed": 6}, {"size": 40}])
def test_images_of_another_call_are_never_gone_on_with(tmp_path, monkeypatch, changed):
    original = catalogue.render_file

    def stop(task):
        original(task)
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "render_file", stop)
    asked = {"segments": 3, "backgrounds": 3, "size": 32, "seed": 5, "progress": False, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        render_collection(tmp_path / "c", **asked)
    rendered = []
    monkeypatch.setattr(catalogue, "render_file", lambda task: (original(task), rendered.append(task)))
    render_collection(tmp_path / "c", **{**asked, **changed})
    assert len(rendered) == 6


def _start_rendering(folder) -> subprocess.Popen:
    script = folder / "render.py"
    script.write_text(
        "from chairmaker import render_collection\n"
        "if __name__ == '__main__':\n"
        f"    render_collection({str(folder / 'c')!r}, 12, 12, size=32, workers=2)\n"
    )
    return subprocess.Popen(
        [sys.executable, str(script)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever starts the tests may have told this process to ignore Ctrl-C, and a child would inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_stopped_in_the_middle_it_goes_on_and_no_process_stays(tmp_path, how):
    process = _start_rendering(tmp_path)
    while _n_kept(tmp_path) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    # Ctrl-C reaches every process of a terminal; kill only the one.
    (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
    assert process.wait(timeout=60) != 0
    assert not (tmp_path / "c").exists()
    for _ in range(100):
        if not _living_members(process.pid):
            break
        time.sleep(0.1)
    assert not _living_members(process.pid)
    n_kept = _n_kept(tmp_path)
    assert n_kept >= 5
    again = _start_rendering(tmp_path)
    _, shown = again.communicate(timeout=200)
    assert again.returncode == 0, shown
    # A file may have been cut short by the kill.
    counted = re.search(r"going on: (\d+) of 24 images were done before", shown)
    assert n_kept - 2 <= int(counted[1]) <= n_kept
    assert len(Collection(tmp_path / "c").rows("segment")) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "render.py"]


def _n_kept(folder: Path) -> int:
    return sum(len(path.name) == 64 for path in folder.glob(".c.part/*"))


def _living_members(group: int) -> list[str]:
    """Processes of a group that are not dead."""
    living = []
    for process in psutil.process_iter(["status", "cmdline"]):
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                living.append(f"{process.pid} {process.info['cmdline']}")
    return living


def test_no_collection_is_left_half_written_when_rendering_fails(tmp_path, monkeypatch):
    def fail(task):
        raise ChairlibError("no more light")

    monkeypatch.setattr(catalogue, "render_file", fail)
    with pytest.raises(ChairlibError, match="no more light"):
        render_collection(tmp_path / "c", 3, 3, size=32, progress=False, workers=1)
    assert not list(tmp_path.iterdir())


# --- the collection that ships ----------------------------------------------------------------------------------------


def test_mini_is_small_whole_and_fit_to_train_on():
    collection = Collection("mini")
    files = [path for path in paths.mini.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 7.5e6
    assert len(collection.rows("segment")) == collection.rows("segment")["group"].nunique() == 450
    assert len(collection.rows("background")) >= 495
    splits = collection.manifest.groupby("group")["split"].nunique()
    assert (splits == 1).all()
    assert collection.rows("segment", "test")["group"].nunique() == 100
    for split in ("val", "test"):
        assert len(collection.rows("background", split)) >= 100
    assert "chairlib render --out mini --segments 450 --backgrounds 500 --size 128 --seed 0" in (
        paths.mini / "README.md"
    ).read_text(encoding="utf-8")


def test_mini_covers_about_as_much_as_the_paper():
    collection = Collection("mini")
    shares = []
    for identity in collection.rows("segment")["id"]:
        opacity = np.asarray(Image.open(collection.path("segment", identity)))[..., 3]
        shares.append((opacity > 0.4 * 255).mean())
    # 21.99 % of a composite, of which a segment's canvas takes (1 - 6/64)^2 at 64 pixels.
    assert 0.24 < np.mean(shares) < 0.30
    assert 0.06 < np.std(shares) < 0.15


def test_a_room_that_shows_nothing_is_drawn_again(monkeypatch):
    photographed = []

    def black_at_first(room, rng, size):
        photographed.append(room)
        return Image.new("RGB", (size, size)) if len(photographed) < 3 else photograph_room(room, rng, size)

    photograph_room = catalogue.photograph_room
    monkeypatch.setattr(catalogue, "photograph_room", black_at_first)
    image = catalogue.render_room(0, 0, 32)
    assert len(photographed) == 3
    assert np.asarray(image).std() > 4
