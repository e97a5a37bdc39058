import inspect
import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mitsuba")

from chairlib.core.errors import ParameterError
from chairmaker import catalogue, meshes, render
from chairmaker.engine import use_one_thread
from chairmaker.rooms import (
    FLOOR_PIECES,
    ORNAMENTS,
    ROOM_KINDS,
    WALL_PIECES,
    Room,
    draw_room,
    floor_pieces,
    room,
    shells,
)
from chairmaker.rooms.placing import Ground
from chairmaker.rooms.shapes import box, made_of, moved

KINDS = {
    "living",
    "dining",
    "bedroom",
    "kitchen",
    "bathroom",
    "study",
    "hallway",
    "terrace",
    "garden",
    "facade",
}
SEATS = (
    "armchair",
    "bench",
    "chair",
    "couch",
    "deckchair",
    "divan",
    "hassock",
    "lounger",
    "ottoman",
    "pew",
    "pouf",
    "pouffe",
    "recliner",
    "rocker",
    "saddle",
    "seat",
    "settee",
    "sofa",
    "stool",
    "swing",
    "throne",
    "toilet",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    use_one_thread()


def drawn(kind: str | None, seed: int) -> Room:
    return draw_room(np.random.default_rng(seed), kind)


def named(function) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def extent(parts) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    return vertices.min(axis=0), vertices.max(axis=0)


def check_sound(parts) -> None:
    for part in parts:
        assert np.isfinite(part.mesh.vertices).all()
        assert np.isfinite(part.mesh.uv).all()
        assert part.mesh.faces.min() >= 0
        assert part.mesh.faces.max() < len(part.mesh.vertices)
        assert len(part.mesh.weld) == len(part.mesh.uv) == len(part.mesh.vertices)
        # What the albedo guide can show.
        if part.material["type"] != "area":
            assert part.material["type"] == "twosided"
            assert part.material["bsdf"]["type"] in ("diffuse", "principled")


# --- kinds ------------------------------------------------------------------------------------------------------------


def test_the_kinds_are_all_there_and_outdoors_is_the_smaller_part():
    assert set(ROOM_KINDS) == KINDS
    weights = {name: entry.weight for name, entry in ROOM_KINDS.items()}
    share = sum(weights[name] for name in room.OUTDOORS) / sum(weights.values())
    assert 0.15 <= share <= 0.22


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_room_is_sound(kind, seed):
    place = drawn(kind, seed)
    assert place.kind == kind
    check_sound(place.parts)
    assert np.isfinite(meshes.join([part.mesh for part in place.parts[:20]]).normals()).all()
    assert place.balance.shape == (3,)
    assert (place.balance > 0.5).all()
    assert 0.7 <= place.camera.origin[2] <= 1.75
    assert 44 <= place.camera.degrees <= 80
    assert place.lights or any(part.material["type"] == "area" for part in place.parts)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_room_depends_on_its_generator_alone(kind):
    first, again, other = drawn(kind, 5), drawn(kind, 5), drawn(kind, 6)
    assert len(first.parts) == len(again.parts)
    assert all(np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in zip(first.parts, again.parts, strict=True))
    assert first.camera == again.camera
    assert first.camera != other.camera


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_camera_sees_a_place_and_not_the_void(kind):
    place = drawn(kind, 3)
    image = render.View(place.parts, place.lights, place.camera, 32).colour(4, 0, hide_lights=False)
    assert np.isfinite(image).all()
    assert (image[..., 3] > 0.5).mean() > 0.98
    assert image[..., :3].std() > 0.01


def test_any_kind_may_come_when_none_is_asked_for():
    kinds = {drawn(None, seed).kind for seed in range(12)}
    assert kinds <= KINDS
    assert len(kinds) >= 4


def test_an_unknown_kind_is_refused():
    with pytest.raises(ParameterError, match=r"kind is 'attic'; expected one of living"):
        drawn("attic", 0)


def test_a_kind_and_a_piece_are_added_by_one_function_each(monkeypatch):
    monkeypatch.setattr(room, "ROOM_KINDS", dict(ROOM_KINDS))
    monkeypatch.setattr(room, "FLOOR_PIECES", {})

    @room.room_kind("cellar", 1)
    def cellar(rng, style):
        return drawn("hallway", 0)

    @room.floor_piece(2, "cellar")
    def barrel(rng, style):
        return []

    assert drawn("cellar", 0).kind == "cellar"
    assert room.choose(np.random.default_rng(0), room.FLOOR_PIECES, "cellar") is barrel


# --- pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", list(WALL_PIECES), ids=named)
def test_a_wall_piece_keeps_to_its_stretch_of_wall(piece):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        parts, width = piece(rng, room.draw_style(rng))
        assert 0.2 <= width <= 4.2
        if not parts:
            continue
        check_sound(parts)
        low, high = extent(parts)
        # Curtains, cornices, leaves and stairs may reach a little past their width, and nothing through the wall.
        overhang = 2.2 if piece.__name__ == "stairs" else 1.0
        assert -overhang < low[0]
        assert high[0] < width + overhang
        assert low[1] > -2.5
        assert high[1] < 0.85
        assert low[2] > -0.05
        assert high[2] < 3.9


@pytest.mark.parametrize("piece", list(FLOOR_PIECES), ids=named)
def test_a_floor_piece_stands_on_the_floor(piece):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        parts = piece(rng, room.draw_style(rng))
        check_sound(parts)
        low, high = extent(parts)
        assert -0.2 < low[2] < 0.06
        assert 0.05 < high[2] < 4.6
        assert np.abs([low[:2], high[:2]]).max() < 2.6


@pytest.mark.parametrize("piece", list(ORNAMENTS), ids=named)
def test_an_ornament_is_small_and_stands(piece):
    for seed in range(3):
        parts = piece(np.random.default_rng(seed))
        check_sound(parts)
        low, high = extent(parts)
        assert -0.06 < low[2] < 0.06
        assert 0 < high[2] < 0.95
        assert np.abs([low[:2], high[:2]]).max() < 0.6


def test_pieces_appear_in_kinds_that_exist_and_every_kind_has_some():
    for registry in (WALL_PIECES, FLOOR_PIECES, ORNAMENTS):
        assert all(use.kinds <= KINDS and use.weight > 0 for use in registry.values())
    for kind in KINDS:
        assert room.choose(np.random.default_rng(0), FLOOR_PIECES, kind)


def test_nothing_is_named_after_a_seat():
    functions = [*WALL_PIECES, *FLOOR_PIECES, *ORNAMENTS, *(entry.draw for entry in ROOM_KINDS.values())]
    for function in functions:
        words = set(re.findall(r"[a-z]+", f"{function.__name__} {inspect.getdoc(function)}".lower().replace("_", " ")))
        assert not words & {form for seat in SEATS for form in (seat, f"{seat}s", f"{seat}es")}, named(function)


# --- nothing in one plane, nothing in another's place -----------------------------------------------------------------


def planes_along_the_wall(part) -> np.ndarray:
    """Where (y) the vertices of a part lie flat along the wall."""
    return np.unique(part.mesh.vertices[:, 1].round(4))


@pytest.mark.parametrize("piece", list(WALL_PIECES), ids=named)
def test_what_shines_on_a_wall_lies_in_no_plane_of_its_panels(piece):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        for part in piece(rng, room.draw_style(rng))[0]:
            if part.material["type"] == "area" and np.ptp(part.mesh.vertices[:, 1]) < 1e-4:
                y = -float(part.mesh.vertices[0, 1])
                assert all(abs(y - plane) > 0.002 for plane in (0.0, room.LINING, room.RAIL))


def test_panels_lie_where_the_constants_say():
    rng = np.random.default_rng(0)
    lining = shells.wall_lining(rng, room.draw_style(rng), 4.0, 3.0, -3.5, tiles=False)
    behind = [y for part in lining for y in planes_along_the_wall(part) if y > 1.4]
    assert min(1.5 - y for y in behind if y < 1.5 - 1e-6) == pytest.approx(room.LINING)
    assert max(1.5 - y for y in behind if y > 1.45) == pytest.approx(room.RAIL)
    assert room.LINING < room.RAIL < room.PANE


def test_the_ground_lets_nothing_stand_in_anything_else():
    ground = Ground((-2, -2), (2, 2))
    cube = made_of(None, box((-0.5, 0.5), (-0.5, 0.5), (0, 1)))
    assert ground.take(moved(cube, 0, 0), inside=True)
    assert not ground.take(moved(cube, 0.9, 0))
    assert ground.take(moved(cube, 1.1, 0), inside=True)
    assert not ground.take(moved(cube, -1.8, 0), inside=True), "it would reach through the wall"
    # What is walked on or under takes no place.
    assert ground.take(made_of(None, box((-1, 1), (-1, 1), (0, 0.02))))
    assert ground.take(made_of(None, box((-1, 1), (-1, 1), (2.0, 2.2))))


def test_what_is_strewn_stands_apart():
    rng = np.random.default_rng(0)
    ground = Ground((-2, -2), (2, 2))
    cube = made_of(None, box((-0.3, 0.3), (-0.3, 0.3), (0, 1)))
    there = [extent(parts) for _ in range(12) if (parts := ground.strewn(rng, cube, (-1.5, 1.5), (-1.5, 1.5), 40))]
    assert 3 <= len(there) < 12
    for n, (low, high) in enumerate(there):
        for other_low, other_high in there[:n]:
            assert ((high < other_low) | (low > other_high)).any()


@pytest.mark.parametrize("seed", range(30))
def test_lamps_hang_high_and_away_from_the_camera(seed):
    rng = np.random.default_rng(seed)
    height, eye = rng.uniform(2.35, 3.0), np.array([0.3, -1.2])
    hung = shells.ceiling_fittings(rng, room.draw_style(rng), (4.0, 4.0, height), -4.0, eye)
    if hung and len(hung) > 1:
        low, _ = extent(hung)
        assert low[2] >= 1.78
        # A fan's blades and spots under the ceiling are in nobody's way.
        assert low[2] > 2.1 or low[1] - eye[1] >= 1.5


def test_a_room_hidden_behind_one_thing_is_drawn_again(monkeypatch):
    clear = drawn("living", 0)
    x, y, _ = clear.camera.origin
    plate = moved(made_of(clear.parts[0].material, box((-2, 2), (-0.05, 0.05), (0, 3))), x, y + 0.5)
    rooms = [replace(clear, parts=[*clear.parts, *plate]), clear]
    monkeypatch.setattr(catalogue, "draw_room", lambda rng, kind: rooms.pop(0))
    assert catalogue.draw_visible_room(np.random.default_rng(0)) is clear


def spread_at(parts, z: float) -> tuple[np.ndarray, float]:
    """Corners (x, y) [N,2] of the triangles of ``parts`` at height ``z``, and the area of level boards below it."""
    corners, level = [], 0.0
    for part in parts:
        triangles = part.mesh.vertices[part.mesh.faces]
        low, high = triangles[..., 2].min(axis=1), triangles[..., 2].max(axis=1)
        crossing = (low <= z) & (high >= z)
        corners.append(triangles[crossing][..., :2].reshape(-1, 2))
        flat = triangles[(low > 0.04) & (high < z) & (high - low < 1e-6)]
        level += float(np.abs(np.cross(flat[:, 1, :2] - flat[:, 0, :2], flat[:, 2, :2] - flat[:, 0, :2])).sum()) / 4
    return np.concatenate(corners), level


@pytest.mark.parametrize("seed", range(12))
def test_a_side_table_stands_on_one_foot_or_has_a_shelf(seed):
    """A small top on thin legs and nothing else is a stool."""
    rng = np.random.default_rng(seed)
    parts = floor_pieces.side_table(rng, room.draw_style(rng))
    top = next(part for part in parts if part.mesh.vertices[:, 2].max() > 0.55)
    width = np.ptp(top.mesh.vertices[:, 0])
    corners, shelves = spread_at(parts, 0.4)
    on_one_foot = np.hypot(*corners.T).max() < 0.15
    assert on_one_foot or shelves > 0.5 * width**2
    assert 0.3 < width < 0.75
    assert max(part.mesh.vertices[:, 2].max() for part in parts) > top.mesh.vertices[:, 2].max() + 0.02, "never bare"


def test_a_small_table_on_thin_legs_would_be_found():
    rng = np.random.default_rng(0)
    bare = floor_pieces.table(rng, room.draw_style(rng), 0.4, 0.4, 0.6, "splayed")
    corners, shelves = spread_at(bare, 0.4)
    assert np.hypot(*corners.T).max() > 0.15
    assert shelves < 0.5 * 0.4**2
