"""The gallery shows everything that is registered, and nothing but what it says turns."""

import numpy as np
import pytest

from chairmaker.chairs import FAMILIES, draw_design
from chairmaker.materials import MATERIALS
from chairmaker.rooms import ROOM_KINDS

pytest.importorskip("mitsuba", reason="the gallery's tests need Mitsuba")

from chairmaker import gallery
from chairmaker.catalogue import CHAIR_SAMPLES
from chairmaker.figures import chair_turner
from figure_helpers import size_of

SIZE = 32
#: What each family lets turn.
SHOWN = {name: draw_design(np.random.default_rng(0), name).turns for name in FAMILIES}


def differ(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a != b).any())


def test_the_answer_counts_what_is_registered():
    counts, design, opacity = gallery.answer()
    assert (
        f"{len(FAMILIES)} families of chairs, {len(MATERIALS)} materials and {len(ROOM_KINDS)} kinds of rooms" in counts
    )
    assert "same seed" in design
    assert f"{CHAIR_SAMPLES} rays" in opacity
    assert f"about {round(100 / CHAIR_SAMPLES)} points" in opacity


def test_every_family_is_shown_with_designs_of_its_own():
    shown = gallery.family_pictures(each=2, size=SIZE)
    assert list(shown) == list(FAMILIES)
    for pictures in shown.values():
        assert pictures.shape == (2, SIZE, SIZE, 4)
        assert pictures.dtype == np.uint8
        assert (pictures[..., 3] > 200).any(axis=(1, 2)).all()
        assert differ(pictures[0], pictures[1])


def test_every_material_is_shown_on_the_same_chair():
    shown = gallery.material_pictures(SIZE)
    assert list(shown) == list(MATERIALS)
    opacities = [picture[..., 3] for picture in shown.values()]
    assert all(np.array_equal(opacity, opacities[0]) for opacity in opacities)
    assert len({picture.tobytes() for picture in shown.values()}) == len(MATERIALS)


def test_every_kind_of_room_is_shown():
    shown = gallery.room_pictures(each=1, size=SIZE)
    assert list(shown) == list(ROOM_KINDS)
    assert len({picture.tobytes() for picture in shown.values()}) == len(ROOM_KINDS)


def test_a_turntable_turns_its_angle_and_its_dimension():
    shown = gallery.turntables(n_angles=2, n_values=2, size=SIZE)
    assert len(shown) == 2 * len(FAMILIES)
    assert [name.partition(",")[0] for name in shown] == [name for name in FAMILIES for _ in range(2)]
    assert {table.dimension for name, table in shown.items() if name.startswith("dining")} == {"back height", "width"}
    for table in shown.values():
        assert table.pictures.shape == (2, 2, SIZE, SIZE, 4)
        assert table.angles == [0.0, 180.0]
        assert table.values[0] < table.values[1]
        assert differ(table.pictures[0, 0], table.pictures[0, 1])
        assert differ(table.pictures[0, 0], table.pictures[1, 0])
    again = gallery.turntables(n_angles=2, n_values=2, size=SIZE)
    assert all(np.array_equal(shown[name].pictures, again[name].pictures) for name in shown)


def test_how_a_picture_is_made_shows_light_apart_from_colour():
    shown = gallery.making_pictures(48)
    assert list(shown) == ["albedo", "light, sampled", "light, averaged", "result", "opacity"]
    assert all(picture.shape == (48, 48, 4) for picture in shown.values())
    solid = shown["result"][..., 3] == 255
    assert np.array_equal(shown["opacity"][..., 0], shown["result"][..., 3])

    def roughness(name: str) -> float:
        steps = np.diff(shown[name][..., :3].astype(float), axis=0)
        return float(np.abs(steps[solid[1:] & solid[:-1]]).mean())

    assert roughness("light, averaged") < roughness("light, sampled")


def test_lights_and_parts_change_nothing_else():
    lit = gallery.light_pictures(3, SIZE)
    assert len({picture.tobytes() for picture in lit}) == 3
    assert all(np.array_equal(picture[..., 3], lit[0, ..., 3]) for picture in lit)
    backs, bases = gallery.part_pictures("dining", "back", SIZE), gallery.part_pictures("shell", "base", SIZE)
    assert set(backs) == {"board", "cane", "cross", "hoop", "ladder", "pad", "slats", "spindles", "splat"}
    assert set(bases) == {"dowel", "eiffel", "sled", "steel", "swivel"}
    for several in (backs, bases):
        assert len({picture[..., 3].tobytes() for picture in several.values()}) == len(several)


def test_the_turner_of_the_largest_profile_fits_a_page():
    """As 01_gallery asks for it with the settings of ``quick`` and ``paper``: 3 values, 4 of 8 angles, 160 pixels."""
    sampled = {name: gallery.render_turned((name, 0, turns[0][2], 45.0, 160, 0)) for name, turns in SHOWN.items()}
    tables = {
        f"{name}, {field}": gallery.Turntable(
            np.broadcast_to(sampled[name], (3, 4, 160, 160, 4)), field, [low, (low + high) / 2, high], [0, 90, 180, 270]
        )
        for name, turns in SHOWN.items()
        for field, low, high in turns
    }
    assert 200_000 < size_of(chair_turner(tables)) < 900_000
