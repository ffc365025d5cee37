"""Clones of this work tree, and the main job in them as somebody types it: an empty HOME, a PATH and nothing else."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.git import take_snapshot
from tests.support.repositories import commit_all, make_repository


@dataclass(frozen=True)
class Ended:
    code: int
    output: str


@dataclass(frozen=True)
class Clone:
    root: Path
    home: Path
    more: Mapping[str, str] = field(default_factory=dict)
    """What the environment holds beside PATH and HOME."""

    @property
    def environment(self) -> dict[str, str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GATEHOUSE_CLONE": str(self.root)}
        return own | dict(self.more)

    def command(self, *arguments: str, script: str = "pipeline") -> list[str]:
        return [str(self.root / "scripts" / script), *arguments]

    def start(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        with log.open("wb") as file:
            return subprocess.Popen(
                command, cwd="/", env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def run(self, *arguments: str, within: Sequence[str] = (), script: str = "pipeline") -> Ended:
        """Run a script to its end, below the program ``within`` where one is given."""
        done = subprocess.run(
            [*within, *self.command(*arguments, script=script)],
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode("utf-8", "replace"))

    def programs(self) -> dict[int, str]:
        """Process to command line of everything that runs on behalf of this clone."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                mine = f"GATEHOUSE_CLONE={self.root}\0".encode() in (path / "environ").read_bytes()
            except OSError:
                continue
            if mine or f"{self.root}/" in words:
                found[int(path.name)] = words
        found.pop(os.getpid(), None)
        return found

    def signal_at(self, moment: str, number: signal.Signals, log: Path, *arguments: str, main: bool = True) -> int:
        """Run the main job until a program with ``moment`` in its words is there; signal the job, or that program."""
        job = self.start(self.command(*arguments), log)
        deadline = time.monotonic() + 120
        while job.poll() is None and time.monotonic() < deadline:
            hit = next((pid for pid, words in self.programs().items() if moment in words), None)
            if hit is not None:
                time.sleep(0.2)
                os.kill(job.pid if main else hit, number)
                break
            time.sleep(0.01)
        else:
            job.kill()
            raise AssertionError(f"{moment!r} never ran: {log.read_text(errors='replace')[-2000:]}")
        return job.wait(60)

    def left_over(self) -> dict[int, str]:
        """What still runs, once what is being killed had two seconds to be gone."""
        deadline = time.monotonic() + 2
        while (left := self.programs()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def temporary_files(self) -> list[str]:
        """Files with names as unfinished ones have, in ``dist`` and in the state folder."""
        folders = [self.root / "dist", *(self.root / ".gatehouse").glob("*")]
        files = [file for folder in folders if folder.name != "environments" for file in folder.rglob("*")]
        names = (".lock", ".gitignore")
        return [str(file) for file in files if file.name.startswith(".") and file.name not in names]


def clone_of(source: Path, target: Path, home: Path) -> Clone:
    """The files of ``source`` as they are now, committed in a repository of their own."""
    target.mkdir(parents=True)
    home.mkdir(parents=True, exist_ok=True)
    for name in take_snapshot(source).files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name, follow_symlinks=False)
    make_repository(target, {})
    commit_all(target)
    return Clone(target, home)
