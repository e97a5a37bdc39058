"""Folders of images become a collection; what is not fit is reported; what cannot be split leaves nothing behind."""

import csv
import dataclasses
import errno
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from chairfinder import building, importing
from chairfinder.importing import REFUSED_FILE, import_folders
from chairfinder.screening import Thresholds
from chairlib import cli
from chairlib.collection import Collection
from chairlib.core.errors import ChairlibError, CollectionError

#: The drawn images of these tests are small, flat and alike.
SMALL = Thresholds(
    image_side=16,
    object_side=16,
    object_area=100,
    drawing_share=1,
    background_side=16,
    background_detail=0,
    graphic_flat=1,
    duplicate_bits=0,
)


def blob(seed, size=64):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 11))
    radii = rng.uniform(0.15, 0.48, 11) * size
    points = [(size / 2 + r * np.cos(a), size / 2 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
    image = Image.new("RGBA", (size, size), (255, 255, 255, 0))
    ImageDraw.Draw(image).polygon(points, fill=(*(int(value) for value in rng.integers(0, 200, 3)), 255))
    return image


def room(seed, size=(48, 36)):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folders(tmp_path):
    segments, backgrounds = tmp_path / "chairs", tmp_path / "rooms"
    segments.mkdir()
    backgrounds.mkdir()
    for number in range(8):
        blob(number).save(segments / f"{number}.png")
        room(number).save(backgrounds / f"{number}.jpg", quality=90)
    return segments, backgrounds


def run(folders, out="out", **options):
    return import_folders(*folders, folders[0].parent / out, progress=False, **{"thresholds": SMALL, **options})


def reasons(report):
    return {path.name: reason for path, reason in report.refused}


def note(folder, *rows):
    # With the mark that spreadsheets put in front.
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows(rows)


def group_of(report, source):
    rows = report.collection.manifest
    return rows.loc[rows["source"] == source, "group"].item()


def test_files_that_need_nothing_are_kept_byte_for_byte(folders):
    report = run(folders)
    assert report.accepted == {"segment": 8, "background": 8}
    assert report.refused == []
    for kind, folder, suffix in (("segment", folders[0], "png"), ("background", folders[1], "jpg")):
        rows = report.collection.rows(kind)
        assert rows["source"].tolist() == [f"{number}.{suffix}" for number in range(8)]
        for identity, source in zip(rows["id"], rows["source"], strict=True):
            data = (folder / source).read_bytes()
            assert report.collection.path(kind, identity).read_bytes() == data
            assert identity == hashlib.sha256(data).hexdigest()[:16]
        assert rows["group"].nunique() == 8
    assert set(report.collection.rows("background")["width"]) == {48}
    assert (report.collection.root / REFUSED_FILE).read_text() == "kind,file,reason\n"
    Collection(report.collection.root)


def test_other_formats_are_written_anew_with_the_same_pixels(folders):
    segments, backgrounds = folders
    webp, palette, tall = blob(20), blob(21).quantize(16), room(20, (200, 90))
    webp.save(segments / "a.webp", lossless=True, exact=True)
    palette.save(segments / "b.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    tall.save(backgrounds / "a.jpg", exif=exif)
    room(21).save(backgrounds / "c.png")
    report = run(folders)
    assert report.refused == []
    rows = report.collection.manifest.set_index("source")

    def opened(kind, source):
        with Image.open(report.collection.path(kind, rows.loc[source, "id"])) as image:
            image.load()
            return image

    for source, image in (("a.webp", webp), ("b.png", palette.convert("RGBA"))):
        found = opened("segment", source)
        assert (found.format, found.mode) == ("PNG", "RGBA")
        assert found.tobytes() == image.tobytes()
    turned = opened("background", "a.jpg")
    assert turned.size == (90, 200) == tuple(rows.loc["a.jpg", ["width", "height"]])
    assert turned.getexif().get(0x0112) is None
    assert (turned.format, opened("background", "c.png").format) == ("JPEG", "JPEG")


def test_every_refused_file_is_reported_with_its_reason(folders, capfd):
    segments, backgrounds = folders
    blob(0).convert("RGB").save(segments / "opaque.png")
    Image.new("RGBA", (64, 64)).save(segments / "clear.png")
    (segments / "text.png").write_text("oops")
    (segments / "empty.png").write_bytes(b"")
    (segments / "cut.png").write_bytes((segments / "3.png").read_bytes()[:150])
    (segments / "again.png").write_bytes((segments / "3.png").read_bytes())
    blob(4).save(segments / "same.png", compress_level=0)
    blob(4).save(segments / "same.webp", lossless=True, exact=True)
    (segments / "lost.png").symlink_to(segments / "nowhere")
    blob(0).save(backgrounds / "clear.png")
    Image.new("RGB", (9, 9)).save(backgrounds / "tiny.jpg")
    report = run(folders)
    found = {path.relative_to(segments.parent).as_posix(): why.split(":")[0] for path, why in report.refused}
    assert found == {
        "chairs/again.png": "duplicate",
        "chairs/clear.png": "nothing opaque",
        "chairs/cut.png": "damaged",
        "chairs/empty.png": "not an image",
        "chairs/lost.png": "no such file",
        "chairs/opaque.png": "no real alpha",
        "chairs/same.png": "duplicate",
        "chairs/same.webp": "duplicate",
        "chairs/text.png": "not an image",
        "rooms/clear.png": "transparent",
        "rooms/tiny.jpg": "image too small",
    }
    assert reasons(report)["again.png"] == "duplicate: the same image as 3.png"
    assert reasons(report)["same.png"] == "duplicate: the same image as 4.png"
    assert report.accepted == {"segment": 8, "background": 8}
    with open(report.collection.root / REFUSED_FILE, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["kind"], row["file"], row["reason"]) for row in rows] == [
        ("segment" if path.parent == segments else "background", path.name, why) for path, why in report.refused
    ]
    text = str(report)
    assert "8 segments and 8 backgrounds imported, 11 files refused" in text
    assert "3  duplicate" in text
    assert capfd.readouterr().err == ""


def test_what_is_no_image_by_intention_is_passed_over(folders):
    segments, _ = folders
    for name in (".DS_Store", "README.md", "readme.txt", "Thumbs.db"):
        (segments / name).write_text("x")
    (segments / ".git").mkdir()
    (segments / ".git" / "config").write_text("x")
    note(segments, ["file"], ["0.png"])
    assert run(folders).refused == []


def test_sub_folders_are_included(folders):
    segments, _ = folders
    (segments / "more" / "yet").mkdir(parents=True)
    blob(30).save(segments / "more" / "yet" / "0.png")
    report = run(folders)
    assert report.accepted["segment"] == 9
    assert "more/yet/0.png" in set(report.collection.manifest["source"])


def test_a_linked_folder_is_reported_not_followed(folders):
    segments, _ = folders
    (segments / "loop").symlink_to(segments, target_is_directory=True)
    report = run(folders)
    assert reasons(report) == {"loop": "not a plain file"}


def test_variants_stay_together(folders):
    segments, backgrounds = folders
    ImageOps.mirror(blob(0)).save(segments / "mirrored.png")
    recoloured = Image.new("RGBA", (64, 64), "red")
    recoloured.putalpha(blob(1).getchannel("A"))
    recoloured.save(segments / "red.png")
    room(2).resize((30, 24)).save(backgrounds / "small.jpg")
    report = run(folders)
    assert group_of(report, "mirrored.png") == group_of(report, "0.png")
    assert group_of(report, "red.png") == group_of(report, "1.png")
    assert group_of(report, "small.jpg") == group_of(report, "2.jpg")


def test_of_pictures_that_show_the_same_the_first_is_taken(folders):
    """Another size, a mirrored copy and a worse JPEG are refused with the figure.

    A colour variant is another picture.
    """
    segments, backgrounds = folders
    ImageOps.mirror(blob(0)).save(segments / "mirrored.png")
    blob(1).convert("RGBa").resize((128, 128), Image.Resampling.BICUBIC).convert("RGBA").save(segments / "large.png")
    recoloured = Image.new("RGBA", (64, 64), "red")
    recoloured.putalpha(blob(2).getchannel("A"))
    recoloured.save(segments / "red.png")
    detailed = Image.fromarray(np.random.default_rng(5).integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((128, 96))
    detailed.save(backgrounds / "better.jpg", quality=95)
    detailed.resize((96, 72)).save(backgrounds / "worse.jpg", quality=60)
    once = dataclasses.replace(SMALL, duplicate_bits=12)
    report = run(folders, thresholds=once)
    refused = {file.name: reason for file, reason in report.refused}
    assert refused.keys() == {"mirrored.png", "large.png", "worse.jpg"}
    assert refused["mirrored.png"].startswith("near duplicate: 0 of 256 bits differ from 0.png")
    assert re.match(
        r"near duplicate: \d of 256 bits differ from 1\.png \(more than 12 would do\)", refused["large.png"]
    )
    assert report.accepted == {"segment": 9, "background": 9}
    assert len(run(folders, "all").refused) == 0


@pytest.mark.parametrize("column", ["file", "filename"])
def test_a_manifest_s_groups_win(folders, column):
    segments, _ = folders
    blob(0).resize((70, 70)).save(segments / "copy.png")
    note(segments, [column, "shape_group"], ["0.png", "x"], ["1.png", "x"], ["copy.png", "y"], ["gone.png", "z"])
    report = run(folders)
    assert group_of(report, "0.png") == group_of(report, "1.png") == "segment:label-x"
    assert group_of(report, "copy.png") == "segment:label-y"
    assert group_of(report, "2.png").startswith("segment:like-")
    assert f"1 rows of segments' manifest.csv name no file (first: {segments / 'gone.png'})" in str(report)


def test_a_manifest_that_names_no_file_is_an_error(folders):
    note(folders[0], ["file", "shape_group"], ["chairs/0.png", "x"], ["chairs/1.png", "x"])
    with pytest.raises(
        CollectionError, match=r"none of the 2 rows of manifest.csv names a file \(first: .*chairs/0.png\)"
    ):
        run(folders)


def test_labels_of_a_sub_folder_are_its_own(folders):
    segments, _ = folders
    (segments / "sub").mkdir()
    blob(40).save(segments / "sub" / "0.png")
    note(segments, ["file", "shape_group"], ["0.png", "1"])
    note(segments / "sub", ["file", "shape_group"], ["0.png", "1"])
    report = run(folders)
    assert group_of(report, "0.png") == "segment:label-1"
    assert group_of(report, "sub/0.png") == "segment:label-sub/1"


def test_provenance_is_carried(folders):
    segments, backgrounds = folders
    note(
        segments,
        ["file", "source_repo", "path", "author", "license"],
        ["0.png", "someone/chairs", "img/a.png", "Ann, B.", "CC0-1.0"],
    )
    note(
        backgrounds,
        ["file", "source", "url", "licence", "retrieved", "landing_page", "licence_url"],
        [
            "0.jpg",
            "museum",
            "https://example.org/0",
            "CC-BY-4.0",
            "2026-01-02",
            "https://example.org/page",
            "https://l.org/by",
        ],
    )
    rows = run(folders).collection.manifest.set_index("source")
    chair, wall = rows.loc["someone/chairs/img/a.png"], rows.loc["museum"]
    assert (chair["author"], chair["licence"], chair["url"]) == ("Ann, B.", "CC0-1.0", "")
    assert tuple(wall[["url", "licence", "retrieved"]]) == ("https://example.org/0", "CC-BY-4.0", "2026-01-02")
    assert tuple(wall[["landing_page", "licence_url"]]) == ("https://example.org/page", "https://l.org/by")
    assert rows.loc["1.png", "licence"] == ""


EVIL = "\x1b]0;owned\x07\x1b[2J"


def test_control_characters_of_a_manifest_or_a_name_go_no_further(folders):
    note(
        folders[0],
        ["file", "source", "url", "author", "licence", "retrieved", "shape_group"],
        ["0.png", f"a{EVIL}b", f"https://x.org/{EVIL}", f"Ann\n{EVIL}", f"CC0{EVIL}", f"2026{EVIL}", f"one{EVIL}"],
    )
    (folders[0] / "1.png").rename(folders[0] / f"1{EVIL}.png")
    manifest = run(folders).collection.manifest
    assert "a ]0;owned [2Jb" in set(manifest["source"])
    for column in ("source", "url", "author", "licence", "retrieved", "group"):
        assert all(text.isprintable() for text in manifest[column]), column
    assert "\x1b" not in (folders[0].parent / "out" / "manifest.csv").read_text()


def test_file_names_are_printed_in_one_line(folders, capfd, monkeypatch):
    (folders[0] / f"0{EVIL}\n.png").write_text("oops")
    arguments = ["import", "--segments", folders[0], "--backgrounds", folders[1], "--out", folders[0].parent / "out"]
    small = [text for name, value in vars(SMALL).items() for text in ("--threshold", f"{name}={value}")]
    monkeypatch.setattr("sys.argv", ["chairlib", *map(str, arguments), *small])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    out, err = capfd.readouterr()
    assert "0 ]0;owned  [2J .png: not an image" in err
    assert "\x1b" not in out + "".join(line for line in err.splitlines() if "refused" in line)


def test_no_cell_of_a_collection_is_a_formula(folders):
    note(
        folders[0],
        ["file", "source", "url", "author", "licence", "shape_group"],
        ["0.png", "=1+1", "+1-1", "@me", "-CC0", "=g"],
        ["1.png", "'=1", "", "'quoted'", "", ""],
    )
    (folders[0] / "=2.png").write_text("oops")
    report = run(folders)
    root = report.collection.root
    assert report.collection.hash == Collection(root).hash
    rows = Collection(root).manifest.set_index("source")
    assert tuple(rows.loc["=1+1", ["url", "author", "licence"]]) == ("+1-1", "@me", "-CC0")
    # What was read without its apostrophe is written with one.
    assert rows["author"].tolist().count("'quoted'") == 1
    for name in ("manifest.csv", REFUSED_FILE):
        with open(root / name, newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
        assert [cell for cell in cells if cell.startswith("'")]


def test_images_that_must_not_be_changed_are_refused(folders):
    note(folders[0], ["file", "licence"], ["0.png", "CC BY-NC-ND 4.0"], ["1.png", "CC BY-SA 4.0"])
    note(folders[1], ["filename", "license"], ["0.jpg", "https://creativecommons.org/licenses/by-nd/2.0/"])
    report = run(folders)
    assert reasons(report) == {
        "0.png": "licence forbids changes: CC BY-NC-ND 4.0; a composite is one",
        "0.jpg": "licence forbids changes: https://creativecommons.org/licenses/by-nd/2.0/; a composite is one",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\xfd", "cannot be read as CSV"),
        (b"name,shape_group\n0.png,1\n", r"no column that names .*found: name, shape_group; expected: file"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_an_error(folders, content, message):
    (folders[0] / "manifest.csv").write_bytes(content)
    with pytest.raises(CollectionError, match=message):
        run(folders)


def test_the_same_folders_and_seed_give_the_same_collection(folders):
    first, second = run(folders, "a"), run(folders, "b")
    names = [
        file.relative_to(first.collection.root) for file in sorted(first.collection.root.rglob("*")) if file.is_file()
    ]
    assert names
    for name in names:
        assert (first.collection.root / name).read_bytes() == (second.collection.root / name).read_bytes()
    assert run(folders, "c", seed=1).collection.hash != first.collection.hash


def leave_two(folder):
    for file in sorted(folder.iterdir())[2:]:
        file.unlink()


def leave_one_shape(folder):
    for number, file in enumerate(sorted(folder.iterdir())):
        blob(0).resize((64 + number, 64 + number)).save(file)


def make_opaque(folder):
    for file in sorted(folder.iterdir()):
        Image.open(file).convert("RGB").save(file)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda chairs, rooms: leave_two(chairs),
            "too few segments to split: of 2 files .* 2 can be used and make 2 groups",
        ),
        (lambda chairs, rooms: leave_two(rooms), "too few backgrounds to split"),
        (lambda chairs, rooms: leave_one_shape(chairs), "8 can be used and make 1 group "),
        (lambda chairs, rooms: make_opaque(chairs), r"0 can be used .*\(refused: 8 no real alpha\)"),
        (lambda chairs, rooms: [file.unlink() for file in chairs.iterdir()], "chairs holds no files"),
        (lambda chairs, rooms: rooms.rename(rooms.parent / "elsewhere"), "rooms is not a folder"),
    ],
)
def test_what_cannot_be_split_is_one_clear_error_and_leaves_no_collection(folders, spoil, message):
    spoil(*folders)
    before = listing(folders[0].parent)
    with pytest.raises(CollectionError, match=message) as caught:
        run(folders)
    assert "\n" not in str(caught.value)
    # What was found out about each file is kept for the call with more of them.
    assert [name for name in listing(folders[0].parent) if not name.startswith(".out.part")] == before


def test_an_existing_folder_is_never_written_into(folders):
    out = folders[0].parent / "out"
    out.mkdir()
    run(folders)  # an empty one is fine
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(ChairlibError, match="not an empty folder"):
        run(folders)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


# -- stopped, and started again ---------------------------------------------------------------------------------------


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def screened(monkeypatch):
    """The sizes of the images that were screened; at the number in ``stop_at``, the work is stopped by ``error``."""

    class Screened(list):
        stop_at, error = 0, KeyboardInterrupt()

    seen = Screened()
    for name in ("screen_segment", "screen_background"):
        original = getattr(importing, name)

        def screen(image, original=original, **options):
            if seen.stop_at and len(seen) + 1 >= seen.stop_at:
                raise seen.error
            seen.append(image.size)
            return original(image, **options)

        monkeypatch.setattr(importing, name, screen)
    return seen


def stop(folders, screened, at=11, error=None, **options):
    """Stop an import at the file of that number that is screened; how many were, which threads may make one more."""
    screened.stop_at, screened.error = at, error or KeyboardInterrupt()
    with pytest.raises(type(screened.error)):
        run(folders, **options)
    screened.stop_at, n_screened = 0, len(screened)
    screened.clear()
    return n_screened


@pytest.fixture
def awkward(folders):
    """Files that are written anew, refused, and damaged beside those that are taken as they are."""
    blob(20).save(folders[0] / "a.webp", lossless=True)
    Image.new("RGBA", (64, 64)).save(folders[0] / "empty.png")
    (folders[0] / "no image.png").write_bytes(b"text")
    room(30).save(folders[1] / "a.png")
    note(folders[0], ["file", "shape_group", "licence"], ["0.png", "g", "CC0-1.0"], ["1.png", "g", "CC BY 4.0"])
    return folders


def test_a_stopped_import_goes_on_and_ends_as_one_that_was_not(awkward, screened, capsys):
    whole = run(awkward, "uninterrupted")
    screened.clear()
    n_screened = stop(awkward, screened)
    assert listing(awkward[0].parent / ".out.part")
    assert not (awkward[0].parent / "out").exists()
    assert "the same command goes on" in capsys.readouterr().err
    report = import_folders(*awkward, awkward[0].parent / "out", thresholds=SMALL)
    assert f"going on: {n_screened} of 20 images were done before" in capsys.readouterr().err
    assert len(screened) == 19 - n_screened  # one file is no image, and is never screened
    assert report.collection.hash == whole.collection.hash
    assert content(report.collection.root) == content(whole.collection.root)
    assert {path.name: reason for path, reason in report.refused} == reasons(whole)
    assert sorted(path.name for path in awkward[0].parent.iterdir()) == ["chairs", "out", "rooms", "uninterrupted"]


def test_a_file_that_changed_in_between_is_judged_anew(awkward, screened):
    stop(awkward, screened, at=19)
    blob(77).save(awkward[0] / "3.png")
    whole = run(awkward)
    assert len(screened) == 2  # that one, and the one at which the first call was stopped
    assert content(whole.collection.root) == content(run(awkward, "afresh").collection.root)


@pytest.mark.parametrize("changed", [{"thresholds": dataclasses.replace(SMALL, edge_cut=0.5)}, {"seed": 5}, {}])
def test_only_what_decides_a_judgement_makes_it_void(awkward, screened, changed):
    stop(awkward, screened, at=19)
    report = run(awkward, **changed)
    assert len(screened) == (19 if "thresholds" in changed else 1)
    assert content(report.collection.root) == content(run(awkward, "afresh", **changed).collection.root)


def test_other_code_makes_judgements_void(folders, screened, monkeypatch):
    stop(folders, screened)
    original = importing.code_hash
    monkeypatch.setattr(importing, "code_hash", lambda module: original(module) + "x")
    run(folders)
    assert len(screened) == 16


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(file.read_bytes()[:-3]), Path.unlink])
def test_what_is_damaged_is_judged_anew(awkward, screened, monkeypatch, damage):
    with monkeypatch.context() as patch:
        patch.setattr(building, "find_groups", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(awkward)
    screened.clear()
    kept = [file for file in (awkward[0].parent / ".out.part").iterdir() if file.is_file() and file.name != "lock"]
    anew = [file for file in kept if file.suffix == ".image"]
    assert len(anew) == 2
    assert len(kept) == 19 + 2
    damage(anew[0])
    damage(next(file for file in kept if not file.suffix and b"refused" in file.read_bytes()))
    report = run(awkward)
    assert len(screened) == 2
    assert content(report.collection.root) == content(run(awkward, "afresh").collection.root)


def test_a_full_disk_is_one_line_and_the_next_call_goes_on(awkward, screened, monkeypatch, capsys):
    written, original = [], Path.write_bytes

    def fill_up(path, data):
        written.append(path)
        if len(written) > 12:
            original(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(ChairlibError, match=r"^cannot write .*: No space left on device\. Free some space") as caught:
        run(awkward)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(Path, "write_bytes", original)
    screened.clear()
    report = run(awkward)
    assert 0 < len(screened) < 12
    assert content(report.collection.root) == content(run(awkward, "afresh").collection.root)


def test_an_interruption_while_writing_leaves_no_half_collection(folders, screened, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(building, "find_groups", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(folders)
    assert not (folders[0].parent / "out").exists()
    assert not (folders[0].parent / ".out.part" / "whole").exists()
    screened.clear()
    run(folders)
    assert screened == []


_SLOWLY = """
import sys, time
from chairfinder import importing
from chairfinder.screening import Thresholds
for name in ("screen_segment", "screen_background"):
    def screen(image, original=getattr(importing, name), **options):
        time.sleep(0.05)
        return original(image, **options)
    setattr(importing, name, screen)
from chairlib import cli
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_at_random_moments_it_ends_as_one_that_was_not(tmp_path, awkward, how):
    for number in range(60):
        blob(100 + number).save(awkward[0] / f"more{number}.png")
    thresholds = [f"{item.name}={getattr(SMALL, item.name)}" for item in dataclasses.fields(SMALL)]
    command = [sys.executable, "-c", _SLOWLY, "import", "--segments", awkward[0], "--backgrounds", awkward[1]]
    command += [part for threshold in thresholds for part in ("--threshold", threshold)]
    part, rng, stops, said = tmp_path / ".out.part", np.random.default_rng(int(how)), 0, ""

    def n_kept() -> int:
        return sum(len(path.name) == 64 for path in part.glob("*"))

    for _ in range(40):
        # Whoever starts the tests may have told this process to ignore Ctrl-C, and a child would inherit it.
        process = subprocess.Popen(
            [*command, "--out", tmp_path / "out"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        before, more = n_kept(), rng.integers(20)
        while process.poll() is None and n_kept() <= before + more:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(how)
        _, said = process.communicate(timeout=120)
        assert "Traceback" not in said
        if process.returncode == 0 or (tmp_path / "out").exists():  # finished, or stopped at its very end
            break
        stops += 1
    assert stops >= 2
    assert "images were done before" in said or process.returncode != 0
    whole = run(awkward, "uninterrupted")
    assert content(tmp_path / "out") == content(whole.collection.root)
    assert how == signal.SIGKILL or not part.exists()


def test_images_that_become_the_same_jpeg_are_taken_once(folders):
    _, backgrounds = folders
    plain = Image.new("RGB", (40, 40), (120, 130, 140))
    plain.save(backgrounds / "x.png")
    plain.putpixel((5, 5), (120, 130, 141))
    plain.save(backgrounds / "y.png")
    streams = [io.BytesIO(), io.BytesIO()]
    for name, stream in zip("xy", streams, strict=True):
        Image.open(backgrounds / f"{name}.png").save(stream, "JPEG", quality=95)
    assert streams[0].getvalue() == streams[1].getvalue(), "the two no longer make one JPEG: choose others"
    assert reasons(run(folders)) == {"y.png": "duplicate: the same image as x.png"}


def test_large_images_raise_no_warning(folders, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(folders).accepted["segment"] == 8


def test_progress_is_shown_on_request(folders, capfd, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    import_folders(*folders, folders[0].parent / "out", progress=True, thresholds=SMALL)
    shown = capfd.readouterr().err
    assert "reading segments" in shown
    assert "writing" in shown


def test_paths_may_be_text_and_home_is_understood(folders, monkeypatch):
    monkeypatch.setenv("HOME", str(folders[0].parent))
    report = import_folders("~/chairs", str(folders[1]), "~/out", progress=False, thresholds=SMALL)
    assert report.collection.root == Path(folders[0].parent / "out")


def test_thresholds_decide_and_refused_csv_has_the_figure(folders):
    Image.new("RGBA", (64, 64), (9, 9, 9, 255)).crop((0, 0, 40, 40)).save(folders[0] / "opaque.png")
    small = blob(50, 40)
    small.save(folders[0] / "small.png")
    assert set(reasons(run(folders))) == {"opaque.png"}
    width, height = (high - low for low, high in zip(small.getbbox()[:2], small.getbbox()[2:], strict=True))
    report = run(folders, "stricter", thresholds=dataclasses.replace(SMALL, object_side=41))
    why = f"object too small: its object is {width} x {height} pixels; the longer side must have at least 41"
    assert reasons(report)["small.png"] == why
    with open(report.collection.root / REFUSED_FILE, newline="", encoding="utf-8") as stream:
        assert why in {row["reason"] for row in csv.DictReader(stream)}
    assert "1  object too small" in str(report)


# -- manifests as spreadsheets write them -----------------------------------------------------------------------------

#: Two chairs of one shape, and one of which no composite may be passed on.
PLAIN = 'file,shape_group,author,licence\n0.png,x,Ann,CC BY 4.0\n1.png,x,"Bob, C.",CC0\n2.png,y,Cy,CC BY-NC-ND 4.0\n'
HEADER = "file,shape_group,author,licence"
DIALECTS = {
    "plain": PLAIN,
    "semicolons": PLAIN.replace("Bob, C.", "Bob; C.").replace(",", ";"),
    "tabs": PLAIN.replace("Bob, C.", "Bob C.").replace(",", "\t"),
    "a line that says the separator": "sep=;\r\n" + PLAIN.replace("Bob, C.", "Bob; C.").replace(",", ";"),
    "spaces after commas": PLAIN.replace(",", ", "),
    "spaces before commas": PLAIN.replace("png,", "png ,").replace("file,", "file ,"),
    "capitals": PLAIN.replace(HEADER, "File,Shape_Group,AUTHOR,License"),
    "other names": PLAIN.replace(HEADER, "file_name,group,author,license"),
    "hyphens and spaces": PLAIN.replace(HEADER, "File Name,shape-group,author,licence"),
    "Windows": PLAIN.replace("\n", "\r\n"),
    "empty columns and rows": PLAIN.replace("\n", ",,\n") + ",,,,,\n\n",
    "a row twice": PLAIN + "2.png,y,Cy,CC BY-NC-ND 4.0\n",
    "a column of one's own": PLAIN.replace("\n", ",wood\n").replace("licence,wood", "licence,material"),
    "empty lines above": "\n,,,\n" + PLAIN,
    "names in other capitals": PLAIN.replace("2.png", "2.PNG"),
    "two columns of groups": PLAIN.replace("author", "group"),
    "paths as Windows writes them": PLAIN.replace("2.png", ".\\2.png"),
}


@pytest.mark.parametrize(
    ("dialect", "encoding"), [*((dialect, "utf-8") for dialect in DIALECTS), ("tabs", "utf-16"), ("plain", "utf-8-sig")]
)
def test_groups_and_licences_are_read_in_every_dialect(folders, dialect, encoding):
    (folders[0] / "manifest.csv").write_bytes(DIALECTS[dialect].encode(encoding))
    report = run(folders)
    assert reasons(report) == {"2.png": "licence forbids changes: CC BY-NC-ND 4.0; a composite is one"}
    assert group_of(report, "0.png") == group_of(report, "1.png") == "segment:label-x"
    rows = report.collection.manifest.set_index("source")
    assert rows.loc["0.png", "author"] == ("" if dialect == "two columns of groups" else "Ann")
    assert rows.loc["1.png", "licence"] == "CC0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty; expected some of file"),
        (PLAIN.removeprefix(HEADER + "\n"), "its first line is '0.png,x,Ann,CC BY 4.0'; expected some of file"),
        (PLAIN.replace("licence", "licenc"), "column 'licenc', which is not read; rename it: 'licence' is"),
        (PLAIN.replace("shape_group", "shapegroup"), "'shapegroup'.*'shape_group' is"),
        (PLAIN.replace("author", "licence"), "2 columns 'licence'"),
        (PLAIN.replace('"', ""), "line 3: 5 cells, but 4 columns"),
        (PLAIN + "0.png,z,Ann,CC BY 4.0\n", "line 5: 0.png has another row that says something else"),
        (PLAIN.replace("author", "license"), "line 2: columns licence and license differ: Ann, CC BY 4.0; keep one"),
        (PLAIN.replace("licence", "License (SPDX)"), "column 'license_.spdx.', .*'licence' is"),
        (PLAIN.replace("shape_group", "my group"), "column 'my_group', .*'shape_group' is"),
        (PLAIN.replace('C."', "C."), "unexpected end of data"),
        (PLAIN.replace("Cy", 'Cy"').replace('C."', "C."), "a cell that ends in line 4 holds whole rows"),
        (PLAIN + ",z,Ann,CC BY 4.0\n", "line 5 names no image"),
    ],
)
def test_manifests_that_would_lose_what_they_say_are_refused(folders, content, said):
    (folders[0] / "manifest.csv").write_text(content)
    with pytest.raises(CollectionError, match=f"manifest.csv.*{said}") as caught:
        run(folders)
    assert "\n" not in str(caught.value)


def test_a_manifest_is_one_in_any_capitals(folders):
    (folders[0] / "Manifest.CSV").write_text(PLAIN)
    assert list(reasons(run(folders))) == ["2.png"]


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_names_are_the_same_however_accents_are_stored(folders, stored):
    written = unicodedata.normalize("NFD" if stored == "NFC" else "NFC", "crème.png")
    (folders[0] / "0.png").rename(folders[0] / unicodedata.normalize(stored, written))
    note(folders[0], ["file", "licence"], [written, "CC BY-ND 4.0"])
    assert [name for name, reason in reasons(run(folders)).items()] == [unicodedata.normalize(stored, written)]


def test_what_systems_leave_behind_is_no_image(folders):
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir/0.png", "__MACOSX/._0.png"):
        (folders[0] / name).parent.mkdir(exist_ok=True)
        (folders[0] / name).write_bytes(b"x")
    report = run(folders)
    assert report.refused == []
    assert report.accepted["segment"] == 8


def test_the_manifest_of_a_collection_says_the_same_of_its_images(folders):
    note(folders[0], ["file", "shape_group", "licence"], ["0.png", "x", "CC0"], ["1.png", "x", "CC BY 4.0"])
    first = run(folders).collection
    again = import_folders(first.root, folders[1], folders[0].parent / "again", progress=False, thresholds=SMALL)
    rows, others = (c.rows("segment").set_index("id") for c in (first, again.collection))
    shared = rows.index.intersection(others.index)
    assert len(shared) == len(rows)
    assert others.loc[shared, "licence"].equals(rows["licence"])
    assert others.loc[shared, "group"].nunique() == rows["group"].nunique()
