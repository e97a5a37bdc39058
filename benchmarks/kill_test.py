"""A smoke build that is killed at random moments, and what each kill costs.

Claim: whatever kills a build, and whenever, the files that are there are whole, no process lives on, nothing that was
finished is done again, and the next start goes on. In the end records, weights, previews, examples and executed pages
are those of a build that nothing interrupted, bit for bit (on the CPU).

Each kill aims at a stage of the build; the wait within the stage is random. The stages are aimed at once in their
order and once in random order, and the remaining kills at random moments of the whole build. A stage that is over is
brought back: what it made is deleted before the start. Ways to kill, in turn: kill -9 of all processes; kill -9 of one;
SIGTERM to all and kill -9 after 30 s, as Slurm does; Ctrl-C; and a full disk, where a file system in memory can be
mounted for the build.

A job is an executed notebook, or the book. What a kill costs: jobs that were in work and must run again; images that
are trained again, at most: from those in the checkpoint to the next evaluation; the cell of a landscape that was in
work. `worked` is for how many seconds the longest of these jobs had run; `recovered` is the seconds from the next start
until all of them are done, start-up included. The next kill waits for that, unless it aims at the start-up; where its
stage is over by then, the build is stopped by Ctrl-C, and started again without what the stage had made.

The commands `import`, `export` and `render` are killed too, at random moments; their result must be the same, byte for
byte. A dated record and a picture land in `benchmarks/records/`. In the record, `rows` is a table of the build's kills
for a page. The exit status is 1 where anything was wrong.

    python benchmarks/kill_test.py [--kills 30] [--minutes 600] [--seed 0] [--reference HOME] [--length 150]
        [--commands import export render] [--command-kills 3] [--data mini] [--images 60] [--rendered 12]
        [--folder FOLDER]
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from _builds import (
    copy_sources,
    damages,
    differences,
    leftovers,
    page_differences,
    processes,
    start,
)
from _killed_builds import ALL, CTRL_C, FULL, GRACE, TERM, WAYS, Build, Harness, describe, send, stop
from _records import circumstances, records_folder, write_record

from chairlib.collection import Collection
from chairlib.core.errors import ChairlibError
from chairlib.core.files import atomic_path

#: Bytes of the file system in memory on which a build is killed: several times what a smoke build needs.
DISK = 2_000_000_000


@contextmanager
def disk_in_memory(folder: Path) -> Iterator[bool]:
    """Mount a file system of :data:`DISK` bytes in ``folder``; False where that is not permitted here."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


# -- commands ----------------------------------------------------------------------------------------------------------


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a folder, but for its own name, which its README tells."""
    whole = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        content = content.replace(folder.name.encode(), b"") if file.name == "README.md" else content
        whole.update(repr((str(file.relative_to(folder)), content)).encode())
    return whole.hexdigest()


def some_images(data: str, count: int, folder: Path) -> Path:
    """Copies of a collection's first segments and backgrounds, in two folders."""
    collection = Collection(data)
    for kind in ("segment", "background"):
        (folder / f"{kind}s").mkdir(parents=True)
        for identity in collection.rows(kind)["id"].iloc[:count]:
            shutil.copy(collection.path(kind, identity), folder / f"{kind}s")
    return folder


def first_file(process: subprocess.Popen, out: Path) -> None:
    """Wait until a command has written something: in ``out``, or in a folder beside it that has its name in its own."""
    began = time.time()
    while process.poll() is None:
        for path in [path for folder in out.parent.glob(f"*{out.name}*") for path in (folder, *folder.rglob("*"))]:
            with suppress(OSError):  # renamed by now
                if path.stat().st_mtime > began:
                    return
        time.sleep(0.1)


def kill_command(
    name: str, words: list[str], root: Path, kills: int, rng: random.Random, log: TextIO, faults: list[str]
) -> dict[str, Any]:
    """Kill a command, let it finish and compare what it wrote: each second kill falls after its first file."""

    def call(out: Path) -> subprocess.Popen:
        return start(root, name, *words, "--out", str(out), output=log)

    def wrong(text: str) -> None:
        faults.append(f"{name}: {text}")
        print(f"WRONG    {faults[-1]}", flush=True)

    began = time.monotonic()
    process = call(root / f"{name}-whole")
    first_file(process, root / f"{name}-whole")
    until_file = time.monotonic() - began
    if process.wait() != 0:
        raise ChairlibError(f"chairlib {name} failed where nothing was killed; {log.name} says why.")
    length = time.monotonic() - began
    whole, out = digest(root / f"{name}-whole"), root / f"{name}-killed"
    rows: list[dict[str, Any]] = []
    share = 1.0
    while len(rows) < kills and share > 0.05:
        way, began = rng.choice([ALL, TERM, CTRL_C]), time.monotonic()
        process = call(out)
        try:
            if len(rows) % 2:
                process.wait(rng.uniform(0, length) * share)
            else:
                first_file(process, out)
                process.wait(rng.uniform(0, length - until_file) * share)
            share *= 0.7  # it had finished: other work made the first call slower than this one
            if process.returncode != 0:
                wrong(f"a start that nothing killed ended with status {process.returncode}; {log.name} says why")
            shutil.rmtree(out, ignore_errors=True)
            continue
        except subprocess.TimeoutExpired:
            pass
        signals = {ALL: signal.SIGKILL, TERM: signal.SIGTERM, CTRL_C: signal.SIGINT}
        moment = time.monotonic() - began
        seconds, alive = send(root, process, signals[way], GRACE)
        if alive and way != TERM:
            wrong(f"{way} at {moment:.1f} s: lived on: {', '.join(alive)}")
        stop(processes(root))
        process.wait()
        if out.exists() and digest(out) != whole:
            wrong(f"{way} at {moment:.1f} s: {out.name} is there, and not whole")
        rows.append({"way": way, "seconds": moment, "seconds_to_end": seconds, "status": process.returncode})
        print(f"{name:8} {way} at {moment:.1f} of {length:.1f} s, ended after {seconds:.1f} s", flush=True)
        if out.exists():
            shutil.rmtree(out)
    if len(rows) < kills:
        wrong(f"only {len(rows)} of {kills} kills struck: it ended before the others")
    began = time.monotonic()
    if call(out).wait() != 0:
        wrong("the start after the last kill failed")
    elif digest(out) != whole:
        wrong("the result is not that of an uninterrupted call")
    seconds = time.monotonic() - began
    left = [path for path in root.glob(".*") if out.name in path.name]
    size = sum(file.stat().st_size for path in left for file in path.rglob("*") if file.is_file())
    print(f"{name:8} finished after {seconds:.1f} s; uninterrupted {length:.1f} s; left behind: {len(left)} folders")
    return {
        "seconds": length,
        "kills": rows,
        "seconds_of_last_start": seconds,
        "folders_left_behind": len(left),
        "bytes_left_behind": size,
    }


def kill_commands(arguments: argparse.Namespace, root: Path, rng: random.Random, log: TextIO, faults: list[str]) -> Any:
    """The commands of `--commands`, each killed so many times. What `import` makes is what `export` writes."""
    found, exported = {}, arguments.data
    for name in arguments.commands:
        if name == "import":
            images = some_images(arguments.data, arguments.images, root / "images")
            words = ["--segments", str(images / "segments"), "--backgrounds", str(images / "backgrounds")]
        elif name == "export":
            words = [exported]
        else:
            words = ["--segments", str(arguments.rendered), "--backgrounds", str(arguments.rendered), "--size", "64"]
        try:
            found[name] = kill_command(name, words, root, arguments.command_kills, rng, log, faults)
        except ChairlibError as error:  # what was found before is still written
            faults.append(str(error))
        if name == "import" and name in found:
            exported = str(root / "import-whole")
    return found


# -- all of it ---------------------------------------------------------------------------------------------------------


def kill_builds(arguments: argparse.Namespace, root: Path, rng: random.Random, log: TextIO, faults: list[str]) -> Any:
    """Kill a build so many times, let it finish, and compare it with one that nothing interrupted."""
    reference, length = arguments.reference, arguments.length
    if reference is None:
        reference = Build.prepare(root / "whole", log)
        print("a build that nothing interrupts ...", flush=True)
        length, reference = reference.run(), reference.home
        print(f"took {length:.0f} s", flush=True)
    with disk_in_memory(root / "disk") as mounted:
        ways = [way for way in WAYS if way != FULL or mounted]
        skipped = [] if mounted else [f"{FULL}: no file system in memory can be mounted here"]
        print(*(f"skipped: {one}" for one in skipped), sep="\n", end="\n" if skipped else "")
        harness = Harness(Build.prepare(root / "disk" / "home", log), ways, length, rng)
        harness.faults = faults
        harness.all_kills(arguments.kills, arguments.minutes)
        home = harness.build.home
        finishing = harness.finish()
        faults += [f"in the end: {text}" for text in [*damages(home), *differences(home, reference)]]
        left, temporary = leftovers(home), sorted(path.name for path in (root / "disk" / "tmp").iterdir())
        faults += [f"left behind: {name}" for name in left if not name.startswith(".cache")]
        # Pages show seconds that records hold. So the same records are shown again, in a build that nothing interrupts.
        again = copy_sources(root / "again")
        shutil.copytree(home / "runs", again / "runs")
        Build(again, log).run()
        faults += page_differences(home, again)
    return {
        "uninterrupted_seconds": length,
        "finishing_seconds": finishing,
        "in_memory": mounted,
        "skipped": skipped,
        "stages_not_struck": harness.missing(),
        "left_in_cache": left,
        "left_in_temporary_folder": temporary,
        "kills": harness.rows,
    }


def page_rows(kills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The kills of a build as a page of the book shows them: what each struck and what it cost, in a line."""
    return [
        {
            "stage": ", ".join(kill["stages"]),
            "way": kill["way"],
            "seconds_until_all_ended": kill["seconds_until_all_ended"],
            "jobs_lost": len(kill["jobs_lost"]),
            "images_lost_at_most": kill["images_lost_at_most"],
            "recovered_seconds": kill["recovered"],
        }
        for kill in kills
    ]


def draw(rows: list[dict[str, Any]], target: Path) -> None:
    """What each kill cost: seconds that the lost jobs had worked, and seconds until they were done again."""
    table = pd.DataFrame(rows).dropna(subset=["recovered"])
    table["stage"] = table["stages"].str[0]
    grid = sns.relplot(table, x="worked", y="recovered", hue="stage", style="way", s=70, height=5, aspect=1.5)
    grid.set(xlabel="seconds that the lost jobs had worked", ylabel="seconds from the next start until they were done")
    with atomic_path(target) as temporary:
        grid.figure.savefig(temporary, format="png", dpi=110)
    plt.close(grid.figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=30, help="of a smoke build; 0: none is built")
    parser.add_argument("--seed", type=int, default=0, help="of the order of kills, and of their moments")
    parser.add_argument("--commands", nargs="*", default=["import", "export", "render"])
    parser.add_argument("--command-kills", type=int, default=3, help="of each command")
    parser.add_argument(
        "--data", default="mini", help="the collection of which images are imported, or that is exported"
    )
    parser.add_argument("--images", type=int, default=60, help="segments, and backgrounds, that are imported")
    parser.add_argument("--rendered", type=int, default=12, help="chairs, and rooms, that are rendered")
    parser.add_argument("--reference", type=Path, help="the home of a finished smoke build that nothing interrupted")
    parser.add_argument("--length", type=float, default=150, help="with --reference: about how many seconds it takes")
    parser.add_argument("--minutes", type=float, default=600, help="no kill of a build begins later")
    parser.add_argument("--folder", type=Path, help="a new folder to work in, which is kept")
    arguments = parser.parse_args()
    rng, faults, began = random.Random(arguments.seed), [], time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore Ctrl-C
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="kill-test-") as temporary:
        root = (arguments.folder or Path(temporary) / "work").resolve()
        root.mkdir(parents=True)
        content: dict[str, Any] = {"seed": arguments.seed}
        try:
            with open(root / "log.txt", "w") as log:
                if arguments.kills:
                    content["build"] = kill_builds(arguments, root, rng, log, faults)
                (root / "commands").mkdir()
                content["commands"] = kill_commands(arguments, root / "commands", rng, log, faults)
        finally:
            for home in ("whole", "disk/home", "again", "commands"):
                stop(processes(root / home))
    content["rows"] = page_rows(content.get("build", {}).get("kills", []))
    content |= {"took_seconds": time.monotonic() - began, "faults": faults}
    content = json.loads(json.dumps(content), parse_float=lambda text: round(float(text), 2))
    record = write_record("kill-test", content, device="cpu")
    rows = content.get("build", {}).get("kills", [])
    if rows:
        draw(rows, records_folder() / f"kill-test-{circumstances('cpu')['date']}.png")
    print("\n".join(["", *map(describe, rows), f"took {content['took_seconds'] / 60:.0f} minutes; written: {record}"]))
    if faults:
        raise SystemExit("\n".join([f"{len(faults)} faults:", *faults]))


if __name__ == "__main__":
    main()
