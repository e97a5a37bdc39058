"""The commands import, audit, collect, fetch and coco-chairs: what they print, and how they end."""

import shutil
from pathlib import Path

#: For the small, flat images that tests draw.
LENIENT = [
    *("--threshold", "image_side=16", "--threshold", "object_side=16", "--threshold", "object_area=100"),
    *("--threshold", "background_side=16", "--threshold", "drawing_share=1"),
]


def test_help_lists_the_commands(call):
    status, out, _ = call("--help")
    assert status == 0
    for command in ("import", "audit", "collect", "fetch", "coco-chairs"):
        assert f" {command} " in out
        assert call(command, "-h")[0] == 0


def test_import(call, collection, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(collection.root / "segments", folder / "chairs")
    shutil.copytree(collection.root / "backgrounds", folder / "rooms")
    (folder / "chairs" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    command = ["import", "--segments", folder / "chairs", "--backgrounds", folder / "rooms", "--out", "c", *LENIENT]
    status, out, errors = call(*command)
    assert status == 0, errors
    assert "broken.png" in errors + out
    assert call("info", "c")[0] == 0
    status, _, errors = call(*command)  # a second time
    assert status == 1
    assert "c exists and is not an empty folder" in errors
    assert [path.name for path in Path().iterdir()] == ["c"]


def test_import_s_thresholds(call, collection):
    folders = [
        "--segments",
        collection.root / "segments",
        "--backgrounds",
        collection.root / "backgrounds",
        "--out",
        "c",
    ]
    status, _, errors = call("import", *folders, "--threshold", "no_such_thing=1")
    assert status == 1
    assert "there is no threshold 'no_such_thing'; there are: " in errors
    assert "edge_cut" in errors
    status, _, errors = call("import", *folders, "--threshold", "edge_cut=15")
    assert (status, "edge_cut is 15.0; it is a share between 0 and 1" in errors) == (1, True)
    assert not Path("c").exists()
    for given in (folders, ()):  # it needs no folders
        status, out, _ = call("import", *given, "--threshold", "list")
        assert (status, "edge_cut=0.08 (share): " in out) == (0, True)
    status, out, errors = call(
        "import", *folders, *LENIENT[:6], "--threshold", "background_side=1000", "--threshold", "drawing_share=1"
    )
    assert (status, "image too small" in errors) == (1, True)


def test_import_of_folders_that_are_missing_or_empty(fails, collection, tmp_path):
    (tmp_path / "empty").mkdir()
    rooms = collection.root / "backgrounds"
    for folder in ("nope", "empty"):
        line = fails("import", "--segments", tmp_path / folder, "--backgrounds", rooms, "-o", "c")
        assert str(tmp_path / folder) in line


def test_too_few_groups_to_split_is_said_and_what_was_judged_is_kept(call, collection, tmp_path):
    (tmp_path / "chairs").mkdir()
    segments = sorted((collection.root / "segments").iterdir())
    rooms = collection.root / "backgrounds"
    command = ("import", "--segments", tmp_path / "chairs", "--backgrounds", rooms, "-o", "c", *LENIENT)
    for file in segments[:2]:
        shutil.copy(file, tmp_path / "chairs")
    status, out, errors = call(*command)
    assert (status, out) == (1, "")
    kept, line = errors.replace("\r", "\n").splitlines()[-2:]
    assert kept.startswith(f"what was done is kept in {Path.cwd() / '.c.part'}: the same command goes on")
    assert line.startswith("chairlib: too few segments to split: of 2 files")
    assert list(Path().iterdir()) == [Path(".c.part")]
    for file in segments[2:]:
        shutil.copy(file, tmp_path / "chairs")
    status, _, errors = call(*command)
    assert status == 0, errors
    assert f"going on: {2 + len(list(rooms.iterdir()))} of " in errors
    assert list(Path().iterdir()) == [Path("c")]


def test_import_into_a_folder_that_holds_something(call):
    Path("mine").mkdir()
    Path("mine/precious").write_text("x")
    assert call("import", "--segments", "s", "--backgrounds", "b", "-o", "mine") == (
        1,
        "",
        "chairlib: mine exists and is not an empty folder; name a new folder, or remove it first.\n",
    )
    assert sorted(map(str, Path().rglob("*"))) == ["mine", "mine/precious"]


def test_audit(call):
    status, out, _ = call("audit")
    assert status == 0
    assert "nearest pairs" in out
    assert out.endswith("\nat most 2% of val and test images are closer than 24 bits to one of another split\n")
    status, out, errors = call("audit", "mini", "--threshold", 64)
    assert status == 1
    assert "nearest pairs" in out
    assert errors.replace("\r", "\n").split("\n")[-2].startswith("chairlib: ")
    assert "differ in 36 bits of 256 (silhouette), fewer than 64, so they are near-duplicates (" in errors
    assert call("audit", "mini", "--threshold", 300)[0] == 2
