"""Chair families: every design that can be drawn is a sound chair, and no two designs share a group."""

from dataclasses import fields, is_dataclass
from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib.core.errors import ParameterError
from chairmaker import chairs, meshes
from chairmaker.chairs import design, shared
from chairmaker.materials import MATERIALS, Part

FAMILY_NAMES = list(chairs.FAMILIES)
#: Parts within this distance (metres) count as touching.
TOUCH = 0.006
#: The most triangles a chair may have: whatever is finer shows at no thumbnail's size and only costs time.
MOST_FACES = 40_000

every_family = pytest.mark.parametrize("name", FAMILY_NAMES)
seeds = st.integers(0, 2**32)


def draw(name: str, seed: int) -> chairs.Design:
    return chairs.draw_design(np.random.default_rng(seed), name)


def build(design: chairs.Design) -> list[Part]:
    return design.parts({slot: {"type": "diffuse", "slot": slot} for slot in design.slots})


def volume(mesh: meshes.Mesh) -> float:
    """Enclosed volume; positive only where faces point outwards."""
    a, b, c = ((mesh.vertices - mesh.vertices.mean(axis=0))[mesh.faces[:, i]] for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def pieces(parts: list[Part]) -> int:
    """How many groups of parts there are that touch within a group, by their bounding boxes."""
    lows = np.stack([part.mesh.vertices.min(axis=0) for part in parts]) - TOUCH
    highs = np.stack([part.mesh.vertices.max(axis=0) for part in parts]) + TOUCH
    touch = ((lows[:, None] <= highs[None]) & (lows[None] <= highs[:, None])).all(axis=2)
    reached = touch[0]
    for _ in parts:
        reached = touch[reached].any(axis=0)
    return 1 if reached.all() else 2


def check_sound(design: chairs.Design) -> None:
    parts = build(design)
    mesh = meshes.join([part.mesh for part in parts])
    assert np.isfinite(mesh.vertices).all()
    assert np.isfinite(mesh.normals()).all()
    assert np.isfinite(mesh.uv).all()
    assert mesh.faces.min() >= 0
    assert mesh.faces.max() < len(mesh.vertices)
    assert len(mesh.faces) <= MOST_FACES
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    assert -0.012 < low[2] < 0.012, "a chair stands on the floor"
    assert 0.55 < high[2] < 1.6
    assert (low[:2] > -0.7).all()
    assert (high[:2] < 1.0).all()
    assert (high - low)[:2].min() > 0.28
    assert abs(low[0] + high[0]) < 0.14, "a chair is centred from side to side"
    for part in parts:
        assert volume(part.mesh) > 0, "faces point outwards"
    assert pieces(parts) == 1, "no part floats"


def test_there_are_enough_families_and_a_dining_chair_comes_first():
    assert len(FAMILY_NAMES) >= 11
    assert FAMILY_NAMES[0] == "dining"
    assert {"wingback", "bar_stool", "rocking", "folding", "shell", "directors", "lounge", "cantilever"} < {
        *FAMILY_NAMES
    }


@every_family
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_every_design_stands_on_the_floor_and_is_sound(name, seed):
    check_sound(draw(name, seed))


@every_family
@settings(max_examples=8, deadline=None)
@given(seed=seeds, share=st.floats(0, 1))
def test_a_reader_may_turn_each_dimension_over_its_whole_range(name, seed, share):
    design = draw(name, seed)
    assert len(type(design).turns) >= 2
    for field, low, high in type(design).turns:
        assert low < high
        assert isinstance(attrgetter(field)(design), float)
        for value in (low, high, low + share * (high - low)):
            check_sound(chairs.with_dimension(design, field, value))


@every_family
def test_turning_a_dimension_changes_the_shape_and_the_group(name):
    for seed in range(12):
        design = draw(name, seed)
        for number, (field, low, high) in enumerate(type(design).turns):
            ends = [chairs.with_dimension(design, field, value) for value in (low, high)]
            assert len({chairs.design_group(name, one) for one in ends}) == 2
            small, large = (np.concatenate([part.mesh.vertices for part in build(one)]) for one in ends)
            assert small.shape != large.shape or np.abs(large - small).max() > 0.01, f"{field} shows"
            if number == 0:
                assert large[:, 2].max() > small[:, 2].max() + 0.05, f"{field} is a height"


@every_family
def test_every_slot_has_known_materials_and_is_used_by_some_design(name):
    used = set()
    for seed in range(60):
        design = draw(name, seed)
        used |= {str(part.material["slot"]) for part in build(design)}
    assert used == set(design.slots)
    for choices in design.slots.values():
        assert set(choices) <= set(MATERIALS)
        assert all(weight > 0 for weight in choices.values())
    assert 0.6 <= design.fill <= 0.98


@every_family
def test_designs_are_frozen_deterministic_and_never_share_a_group(name):
    designs = [draw(name, seed) for seed in range(40)]
    assert all(is_dataclass(design) for design in designs)
    assert all(type(design).__dataclass_params__.frozen for design in designs)
    assert designs == [draw(name, seed) for seed in range(40)]
    assert len({chairs.design_group(name, design) for design in designs}) == 40
    assert len({chairs.design_group(other, designs[0]) for other in FAMILY_NAMES}) == len(FAMILY_NAMES)
    first, again = build(designs[0]), build(designs[0])
    assert all(np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in zip(first, again, strict=True))


@every_family
def test_fields_hold_plain_values_so_that_a_group_means_the_same_everywhere(name):
    """``repr`` of numpy's own numbers depends on numpy's version; a group is a digest of it."""
    for seed in range(10):
        design = draw(name, seed)
        todo = [design]
        while todo:
            one = todo.pop()
            for field in fields(one):
                value = getattr(one, field.name)
                if is_dataclass(value):
                    todo.append(value)
                else:
                    assert type(value) in (float, int, bool, str), field.name


# --- shared builders --------------------------------------------------------------------------------------------------


def flat(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The square from -1 to 1 in the plane z = 0."""
    return np.stack(np.broadcast_arrays(u, v, 0.0), axis=-1)


def test_a_pane_encloses_its_thickness_and_loses_its_openings():
    whole = shared.pane(flat, 0.1, 41, 41)
    assert volume(whole) == pytest.approx(0.4)
    pierced = shared.pane(flat, 0.1, 41, 41, [(0.0, 0.0, 0.5, 0.4, 2.0)])
    assert volume(pierced) == pytest.approx(0.4 - 0.1 * np.pi * 0.5 * 0.4, rel=0.03)
    inside = (pierced.vertices[:, 0] / 0.5) ** 2 + (pierced.vertices[:, 1] / 0.4) ** 2 < 0.98
    assert not np.isin(np.flatnonzero(inside), pierced.faces).any()


def test_a_bundle_is_as_many_bars_as_paths_each_closed():
    paths = [[(x, 0, 0), (x, 0, 0.5), (x, 0, 1)] for x in (0, 1, 2)]
    bars = meshes.bundle(paths, 0.2, 0.1, 0.02, side=[1, 0, 0])
    assert volume(bars) == pytest.approx(3 * 0.02, rel=0.02)
    assert volume(meshes.bundle(paths, 0.2, steps=6)) == pytest.approx(3 * np.pi * 0.01, rel=0.03)
    assert np.isfinite(bars.normals()).all()


def test_a_lattice_leaves_holes():
    cane = shared.lattice(flat, 9, 9, 0.05)
    # Nine strands each way, 5 % of an edge of 2 m wide: the rest is open.
    flat_area = 0.5 * np.abs(np.cross(*(np.diff(cane.vertices[cane.faces][:, :, :2], axis=1).transpose(1, 0, 2)))).sum()
    assert flat_area / 2 < 0.5 * 4


def test_a_pad_is_closed_soft_edged_and_faces_outwards():
    pad = shared.padded(flat, 0.2, relief=shared.tufts(0.05, 2))
    assert 0.3 < volume(pad) < 0.8
    edge = np.abs(pad.vertices[:, 0]) > 0.999
    assert np.abs(pad.vertices[edge, 2]).max() < 0.01


def test_a_copied_family_needs_a_name_of_its_own(monkeypatch):
    monkeypatch.setattr(design, "FAMILIES", dict(chairs.FAMILIES))
    before = design.FAMILIES["shell"]

    class PodChair(before.__self__):
        pass

    with pytest.raises(
        ParameterError, match=r"family 'shell' is .*shell.ShellChair: give .*PodChair a name of its own"
    ):
        design.family("shell")(PodChair)
    assert design.FAMILIES["shell"] == before
    assert design.family("pod")(PodChair) is PodChair
    design.family("pod")(PodChair)  # its module reloaded
