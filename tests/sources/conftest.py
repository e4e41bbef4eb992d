import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.local_index import NCNN

DATE = "2020-01-{:02}T12:00:00+08:00"


@dataclass
class Repo:
    """A work tree to commit in, with dates and names that do not depend on the machine."""

    path: Path
    day: int = 0

    def git(self, *arguments: str, cwd: Path | None = None, stdin: str = "") -> str:
        date = DATE.format(max(self.day, 1))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
            **{f"GIT_{who}_NAME": "someone" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "s@example.org" for who in ("AUTHOR", "COMMITTER")},
        }
        command = ["git", "-C", str(cwd or self.path), *arguments]
        return subprocess.run(
            command, env=env, input=stdin, text=True, capture_output=True, check=True
        ).stdout.strip()

    def commit(self, title: str, **files: str) -> str:
        """Commit these files (`src__net` stands for `src/net.cpp`) and return the id."""
        self.day += 1
        for name, text in files.items():
            self.write(name.replace("__", "/") + ".cpp", text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", title)
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def remove_object(self, rev: str) -> str:
        """Delete a loose object, as if it had never been fetched, and return its id."""
        sha = self.git("rev-parse", rev)
        (self.path / ".git" / "objects" / sha[:2] / sha[2:]).unlink()
        return sha


def empty_repository(path: Path) -> Repo:
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "--quiet", "--initial-branch=master")
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        repo.git("config", name, "true")
    return repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """One commit, tagged 20200101, with the least of ncnn and an unrelated large file."""
    repo = empty_repository(tmp_path / "ncnn")
    for name, text in {**NCNN, "examples/model.bin": "large"}.items():
        repo.write(name, text)
    repo.commit("first")
    repo.git("tag", "20200101")
    return repo
