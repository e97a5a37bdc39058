"""What kills a smoke build at chosen stages, and looks at what is left: the first part of `kill_test.py`."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from _builds import (
    ANY,
    STAGES,
    Build,
    Work,
    damages,
    processes,
    role,
    wait_until_alone,
)

ALL, ONE, TERM, CTRL_C, FULL = "kill -9 of all", "kill -9 of one", "SIGTERM, kill -9 after 30 s", "Ctrl-C", "full disk"
#: Seconds that Slurm gives between SIGTERM and SIGKILL by default (KillWait).
GRACE = 30
#: Seconds in which all processes below one that was killed must have ended.
ORPHANS = 30
#: Seconds that a build may go on after one of its processes was killed, or its disk filled: other jobs end first.
PATIENCE = 900


# -- kills -------------------------------------------------------------------------------------------------------------


def end_of(below: list[psutil.Process], seconds: float) -> tuple[float, list[str]]:
    """Wait until processes have ended: after how many seconds, and what those are that still live."""
    began = time.monotonic()
    _, alive = psutil.wait_procs(below, timeout=seconds)
    return time.monotonic() - began, [what for one in alive if (what := role(one))]


def stop(those: list[psutil.Process]) -> None:
    for one in those:
        with suppress(psutil.Error):
            one.kill()


def others(home: Path, process: subprocess.Popen) -> list[psutil.Process]:
    """The processes in ``home`` but the one that we started: only Popen may wait for that, or its status is lost."""
    return [one for one in processes(home) if one.pid != process.pid]


def send(home: Path, process: subprocess.Popen, number: signal.Signals, seconds: float) -> tuple[float, list[str]]:
    """Signal the process group, as a terminal does, and wait: after how many seconds all ended, what lives on."""
    below, began = others(home, process), time.monotonic()
    os.killpg(process.pid, number)
    _, alive = end_of(below, seconds)
    try:
        process.wait(max(0.1, seconds - (time.monotonic() - began)))
    except subprocess.TimeoutExpired:
        alive.append("chairlib " + process.args[3])
    return time.monotonic() - began, alive


def kill_all(build: Build, process: subprocess.Popen, struck: Counter[str]) -> dict[str, Any]:
    seconds, orphans = send(build.home, process, signal.SIGKILL, ORPHANS)
    return {"victim": "all", "seconds_to_end": seconds, "orphans": orphans}


def kill_one(build: Build, process: subprocess.Popen, struck: Counter[str]) -> dict[str, Any]:
    """Kill the process of which the kind was killed least often so far; then its children must end."""
    named = {" ".join(role(one).split()[:2]): one for one in processes(build.home)}
    choice = [name for name in named if name and name not in ("a shell", "a worker")]
    for name in sorted(choice, key=lambda one: struck[one]):
        try:
            below = named[name].children(recursive=True)
            named[name].kill()
        except psutil.NoSuchProcess:  # it has just ended
            continue
        struck[name] += 1
        seconds, orphans = end_of(below, ORPHANS)
        return {"victim": name, "seconds_to_end": seconds, "orphans": orphans}
    return {"victim": "none", "seconds_to_end": 0.0, "orphans": []}


def terminate(build: Build, process: subprocess.Popen, struck: Counter[str]) -> dict[str, Any]:
    """SIGTERM to every process, as Slurm does to a job's, kernels in sessions of their own among them."""
    below, began = others(build.home, process), time.monotonic()
    for one in [*below, process]:
        try:
            one.terminate()
        except psutil.Error:
            continue
    seconds, _ = end_of(below, GRACE)
    left = others(build.home, process)
    alive = [role(one) or "one that was ending" for one in left]
    stop(left)
    if process.poll() is None:
        try:
            process.wait(max(0.1, GRACE - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            alive.append("chairlib paper")
            process.kill()
    return {"victim": "all", "seconds_to_end": seconds, "orphans": [], "killed_after_grace": alive}


def interrupt(build: Build, process: subprocess.Popen, struck: Counter[str]) -> dict[str, Any]:
    seconds, orphans = send(build.home, process, signal.SIGINT, 2 * ORPHANS)
    return {"victim": "all", "seconds_to_end": seconds, "orphans": orphans}


def fill_disk(build: Build, process: subprocess.Popen, struck: Counter[str]) -> dict[str, Any]:
    """Take all free space, and what becomes free, until the build has stopped."""
    filler, began = build.home.parent / "filler", time.monotonic()
    with open(filler, "wb", buffering=0) as stream:
        while process.poll() is None and time.monotonic() - began < PATIENCE:
            for size in (2**20, 2**12):
                with suppress(OSError):
                    while True:
                        stream.write(bytes(size))
            time.sleep(0.2)
    filler.unlink()
    seconds, orphans = time.monotonic() - began, end_of(others(build.home, process), ORPHANS)[1]
    return {"victim": "none", "seconds_to_end": seconds, "orphans": orphans}


WAYS: dict[str, Callable[[Build, subprocess.Popen, Counter[str]], dict[str, Any]]] = {
    ALL: kill_all,
    ONE: kill_one,
    TERM: terminate,
    CTRL_C: interrupt,
    FULL: fill_disk,
}


class Harness:
    """Kills a build again and again; ``rows`` tells of each kill, ``faults`` of what was wrong."""

    def __init__(self, build: Build, ways: list[str], length: float, rng: random.Random):
        self.build, self.ways, self.length, self.rng = build, ways, length, rng
        self.rows: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.struck: Counter[str] = Counter()
        self.lost: list[Work] = []
        self.shares = dict.fromkeys(STAGES, 1.0)
        self.finished: dict[str, int] = {}

    def missing(self) -> list[str]:
        """The stages that no kill struck yet."""
        return [stage for stage in STAGES if stage not in {stage for row in self.rows for stage in row["stages"]}]

    def kill(self, target: str, way: str) -> bool:
        """Start the build, strike, and look at what is left; False where the stage did not come, or was over.

        After a kill, a start goes on at least until what was lost is done again. If the stage is over by then, the
        build is stopped, without a kill that counts, and the next call deletes what the stage has made.
        """
        build, rng = self.build, self.rng
        recovering = bool(self.lost) and target != "starting"
        deleted = [] if recovering else build.bring_back(target, rng)
        self.finished = {
            name: moment for name, moment in self.finished.items() if not any(name.startswith(one) for one in deleted)
        }
        began, restarted = time.monotonic(), time.time()
        process = build.start()
        strike_at = None
        if target == ANY:
            strike_at = rng.uniform(0, self.length)
        elif target == "starting":
            strike_at = rng.uniform(1.0, STAGES[target]) * self.shares[target]
        while True:
            now = time.monotonic() - began
            ended = process.poll() is not None
            self._see_recovery(now, restarted, ended and process.returncode == 0)
            may = target == "starting" or not self.lost
            if recovering and may and not ended:
                recovering = False
                if target != ANY and build.made_by(target, random.Random(0)):
                    send(build.home, process, signal.SIGINT, 2 * ORPHANS)
                    stop(processes(build.home))
                    return False
            if strike_at is None and may and build.reached(target, restarted):
                strike_at = now + rng.uniform(0, STAGES[target]) * self.shares[target]
            if ended:
                if process.returncode != 0:
                    self._fault(f"a start after a kill ended with status {process.returncode}{self._last_words()}")
                if target in self.shares and not recovering:
                    self.shares[target] /= 2
                if target == ANY:  # most of it is done by now, and a build takes less time
                    self.length = now
                return False
            if strike_at is not None and now >= strike_at and may:
                break
            time.sleep(0.05 if target in ("packing", "training", "fine-tuning") else 0.3)
        self._strike(process, target, way, restarted, deleted)
        return True

    def _strike(self, process: subprocess.Popen, target: str, way: str, restarted: float, deleted: list[str]) -> None:
        build, log_began = self.build, self._log_size()
        stages = {"packing"} if build.packing_since(restarted) else set()
        work = build.work()
        stages |= {one.stage for one in work}
        moment = time.time()
        now = moment - restarted
        if not work:
            stages = {"starting"} if target == "starting" or now < STAGES["starting"] * 3 else {"between jobs"}
        row = {"kill": len(self.rows) + 1, "aimed_at": target, "stages": sorted(stages), "seconds": now, "way": way}
        row |= WAYS[way](build, process, self.struck) | {"deleted_before": deleted}
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._fault(f"kill {row['kill']}: the build goes on for ever")
        row["seconds_to_stop"], row["status"] = time.time() - moment, process.poll()
        if not wait_until_alone(build.home, ORPHANS) or row["orphans"]:
            row["orphans"] = sorted({*row["orphans"], *(role(one) for one in processes(build.home))} - {""})
            self._fault(f"kill {row['kill']} ({way}, {row['victim']}): lived on: {', '.join(row['orphans'])}")
        row["seconds_until_all_ended"] = time.time() - moment
        stop(processes(build.home))
        wait_until_alone(build.home, ORPHANS)
        # No fault: Python prints one where a signal strikes within the tidying up of a generator, and goes on.
        row["traceback"] = "Traceback" in self._log_since(log_began)
        if way == CTRL_C and row["status"] != 130:
            self._fault(f"kill {row['kill']}: status {row['status']} after Ctrl-C, not 130")
        if way == TERM and not row["killed_after_grace"] and row["status"] != 143:
            self._fault(f"kill {row['kill']}: status {row['status']} after SIGTERM, not 143")
        for damage in damages(build.home):
            self._fault(f"kill {row['kill']} ({way}, {', '.join(row['stages'])}): not whole: {damage}")
        self.lost = [one for one in work if not one.done]
        row |= {
            "in_work": [one.name for one in work],
            "jobs_lost": [one.name for one in self.lost],
            "worked": max((moment - one.began for one in self.lost), default=0.0),
            "images_kept": self._images_kept(),
            "images_lost_at_most": None if self.lost else 0,
            "cells_kept": len(build.cells()),
            "cells_lost_at_most": sum(one.stage == "landscape cells" for one in self.lost),
            "recovered": 0.0 if not self.lost else None,
        }
        self._compare_with_before(row["kill"])
        self.rows.append(row)
        print(describe(row), flush=True)

    def _images_kept(self) -> dict[str, int]:
        """Images that the checkpoints of interrupted runs have, now that all is quiet."""
        for one in self.lost:
            one.kept = self.build.look(replace(one, kept=None), set()).kept
        return {one.name: one.kept for one in self.lost if one.kept is not None}

    def _compare_with_before(self, kill: int) -> None:
        """What was finished at the last kill must not have been made again."""
        now = self.build.finished()
        for name, moment in self.finished.items():
            if now.get(name) != moment:
                self._fault(f"by kill {kill}: {name} was finished, and {'made again' if name in now else 'is gone'}")
        self.finished = now

    def _see_recovery(self, now: float, restarted: float, ended_well: bool) -> None:
        if not self.lost:
            return
        left = [one for one in self.lost if not (one.out.is_file() and one.out.stat().st_mtime > restarted)]
        if left and not ended_well:
            return
        row = self.rows[-1]
        row["recovered"], row["images_lost_at_most"] = now, sum(map(self._images_again, self.lost))
        print(
            f"{'':9}recovered after {now:.0f} s, images trained again: at most {row['images_lost_at_most']}", flush=True
        )
        self.lost = []

    def _images_again(self, work: Work) -> int:
        """From the images in the checkpoint to the next evaluation, at which a checkpoint is written."""
        if work.kept is None or work.record is None or not (file := work.record.with_name("history.csv")).is_file():
            return 0
        marks = [int(images) for images in pd.read_csv(file)["images"] if images > work.kept]
        return min(marks, default=work.kept) - work.kept

    def _fault(self, text: str) -> None:
        self.faults.append(text)
        print(f"WRONG    {text}", flush=True)

    def _last_words(self) -> str:
        return f"; its log ends: {' / '.join(self._log_since(0).splitlines()[-5:])}"

    def _log_size(self) -> int:
        self.build.log.flush()
        return Path(self.build.log.name).stat().st_size

    def _log_since(self, size: int) -> str:
        with open(self.build.log.name, "rb") as stream:
            stream.seek(size)
            return stream.read().decode(errors="replace")

    def finish(self) -> float:
        """Build to the end without a kill; the seconds that it took."""
        process, began, restarted = self.build.start(), time.monotonic(), time.time()
        while process.poll() is None:
            self._see_recovery(time.monotonic() - began, restarted, False)
            time.sleep(0.2)
        if process.returncode != 0:
            self._fault(f"the last start did not finish the build{self._last_words()}")
        self._see_recovery(time.monotonic() - began, restarted, True)
        self._compare_with_before(len(self.rows) + 1)
        return time.monotonic() - began

    def all_kills(self, count: int, minutes: float) -> None:
        """So many kills: each stage twice where that is possible, then stages that were missed, then any moment."""
        rng, ways, stages = self.rng, [], list(STAGES)
        # First in the order of the build, so that little has to be made again.
        targets = sorted(rng.sample(stages, min(count, len(stages))), key=stages.index)
        targets += rng.sample(stages, len(stages))
        targets += [ANY] * (count - len(targets))
        tries, end = 0, time.monotonic() + 60 * minutes
        while len(self.rows) < count and tries < 4 * count and time.monotonic() < end:
            tries += 1
            target = targets[len(self.rows)]
            if target == ANY and self.missing():
                target = rng.choice(self.missing())
            ways = ways or rng.sample(self.ways, len(self.ways))
            if self.kill(target, ways[-1]):
                ways.pop()
        if len(self.rows) < count and time.monotonic() < end:
            self._fault(f"only {len(self.rows)} of {count} kills struck")


def describe(row: dict[str, Any]) -> str:
    """A line of the table."""
    victim = f" ({row['victim']})" if row["way"] == ONE else ""
    lost = [f"{len(row['jobs_lost'])} of {len(row['in_work'])} jobs"]
    lost += [f"{kept} images of {name} kept" for name, kept in row["images_kept"].items()]
    lost += ["1 cell"] if row["cells_lost_at_most"] else []
    return (
        f"kill {row['kill']:3}  {', '.join(row['stages'])}, at {row['seconds']:.0f} s: {row['way']}{victim}; "
        f"ended after {row['seconds_to_end']:.1f} s, the build after {row['seconds_to_stop']:.1f} s; "
        f"lost: {', '.join(lost)}, {row['worked']:.0f} s"
        + (f"; recovered after {row['recovered']:.0f} s" if row["recovered"] else "")
    )
