"""What ended jobs on Slurm, in words: in their own logs it stands between pages of others' output."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

_PROFILE = "in the cluster's config.yaml"
#: What Slurm writes into a job's log, and what it means.
_REASONS = {
    r"DUE TO TIME LIMIT": f"its time was up; start the build again, or raise runtime {_PROFILE}",
    r"DUE TO NODE FAILURE": "its node died; start the build again",
    r"DUE TO PREEMPTION": "it had to make room for another job; start the build again",
    r"oom_kill|OOM Killed|exceeded .*memory": f"it needed more memory than it asked for; raise mem_mb {_PROFILE}",
}
_NODE = re.compile(r"\*\*\* (?:JOB|STEP) \S+ ON (\S+) CANCELLED")


def endings(logs: Path, since: float, finished: Collection[str] = ()) -> Iterator[str]:
    """A line for each job whose last log, written after ``since`` (seconds since 1970), says what ended it.

    ``logs``: the folder of Slurm's logs, ``rule_run_<run>/<number in Slurm>.log``. ``finished``: runs and chapters that
    need no line.
    """
    for folder in sorted(logs.glob("*_*")):
        job = re.sub("^(rule|group)_((run|chapter)_)?", "", folder.name)
        written = {path.stat().st_mtime: path for path in folder.rglob("*.log")}
        if job in finished or max(written, default=0) < since:
            continue
        log = written[max(written)]
        text = log.read_text(encoding="utf-8", errors="replace")
        reasons = [meaning for pattern, meaning in _REASONS.items() if re.search(pattern, text)]
        reasons += re.findall(r"^chairlib: (.*)", text, re.MULTILINE)[-1:]
        node = f" on {found[1]}" if (found := _NODE.search(text)) else ""
        yield f"{job} (job {log.stem} of Slurm{node}): {reasons[0] if reasons else 'it failed'} (log: {log})"
