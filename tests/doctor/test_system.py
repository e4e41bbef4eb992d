from pathlib import Path

import pytest

from harness.doctor.system import available_memory, filesystem_of, groups, quota, room

INFINITE = float("inf")
MOUNTS = """\
1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 0:5 / /tmp rw,noexec - tmpfs tmpfs rw
3 1 0:6 / /home/a\\040b rw - nfs4 host:/x rw
4 1 0:7 / /tmp rw shared:1 - xfs /dev/sdb rw
not a mount
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/x", "ext4"),
        ("/tmp/x", "xfs"),
        ("/tmpx", "ext4"),
        ("/home/a b", "nfs4"),
    ],
)
def test_filesystems(path: str, kind: str) -> None:
    assert filesystem_of(Path(path), MOUNTS) == kind


def test_memory() -> None:
    assert available_memory("MemTotal: 9 kB\nMemAvailable:   5 kB\n") == 5120
    assert available_memory("") == INFINITE


@pytest.mark.parametrize(
    ("files", "processors", "left"),
    [
        ({}, INFINITE, INFINITE),
        (
            {"cpu.max": "max 100000", "memory.max": "max", "memory.current": "1"},
            INFINITE,
            INFINITE,
        ),
        ({"cpu.max": "150000 100000", "memory.max": "100", "memory.current": "70"}, 1.5, 30),
        (
            {
                "memory.max": "100",
                "memory.current": "70",
                "memory.stat": "anon 9\ninactive_file 20\n",
            },
            INFINITE,
            50,
        ),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, INFINITE, INFINITE),
        ({"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"}, 2.0, INFINITE),
        ({"memory.limit_in_bytes": "5", "memory.usage_in_bytes": "9"}, INFINITE, 0),
    ],
)
def test_limits_of_a_group(
    tmp_path: Path, files: dict[str, str], processors: float, left: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert (quota(tmp_path), room(tmp_path)) == (processors, left)


def test_groups(tmp_path: Path) -> None:
    for name in ("a/b", "cpu/c", "memory"):
        (tmp_path / name).mkdir(parents=True)
    second = groups("0::/a/b\n", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in second] == ["a/b", "a", "."]
    first = groups("odd\n5:cpu,cpuacct:/c\n4:memory:/gone\n3:pids:/c\n", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in first] == ["cpu/c", "cpu", "memory"]
