from pathlib import Path

import pytest

from harness.analysis.bisection.history import Clone, between, index_point, index_releases
from harness.analysis.bisection.result import bisection_result
from harness.analysis.bisection.search_driver import SearchDriver, Terms
from harness.report.bisection_finding import as_finding, headline
from harness.report.markdown import finding_markdown
from harness.util.errors import SourceError, UsageError
from tests.analysis.bisection.fake import FakeTester, subject, variant
from tests.local_index import NCNN, make_sdist, use_find_links
from tests.sources.conftest import Repo, empty_repository

LAYER = "src__layer__innerproduct"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """Master with a merge of two commits as its fourth; tags at the first and the last."""
    made = empty_repository(tmp_path / "ncnn")
    for name, text in NCNN.items():
        made.write(name, text)
    made.commit("first")
    made.git("tag", "20200101")
    made.git("checkout", "-q", "-b", "side")
    made.commit("side one", **{LAYER: "int one;\n"})
    made.commit("side | two", **{LAYER: "int two;\n", "README": "x"})
    made.git("checkout", "-q", "master")
    made.commit("second", README="y")
    made.git("merge", "-q", "--no-ff", "-X", "ours", "-m", "merge side", "side")
    made.commit("last")
    made.git("tag", "20200105")
    return made


@pytest.fixture
def clone(repo: Repo, tmp_path: Path) -> Clone:
    return Clone.open(str(repo.path), store=tmp_path / "store", log=tmp_path / "log")


def test_first_parents_with_both_ends(clone: Clone) -> None:
    points = clone.commits("20200101", "20200105")
    assert [point.title for point in points] == ["first", "second", "merge side", "last"]
    assert points[0].date.startswith("2020-01-01T")
    assert points[1].revision.where == clone.where
    merge = points[2].id
    assert [point.title for point in clone.opened(merge)] == ["first", "side one", "side | two"]
    assert clone.opened(points[1].id) == []
    assert [point.revision.label for point in clone.releases()] == ["20200101", "20200105"]
    assert clone.containing(merge) == ["20200105"]


def test_answer_inside_a_merge(clone: Clone) -> None:
    points = clone.opened(clone.commits("20200101", "20200105")[2].id)
    at_fault = points[-1].id
    tester = FakeTester(lambda point, *_: 1e-2 if point.id == at_fault else 1e-6)
    how = variant(NCNN_AVX2="ON")
    result = SearchDriver(
        tester=tester.real,
        subject=subject(alone=True),
        variant=how,
        points=points,
        terms=Terms(),
        listener=lambda _: None,
    ).run()
    found = bisection_result(result, variant=how, clone=clone, merge="f" * 40, seconds=61.0)
    assert found.commit is not None
    assert found.commit.files == ("README.cpp", "src/layer/innerproduct.cpp")
    assert "+int two;" in found.commit.hunk
    assert "README" not in found.commit.hunk
    assert headline(found) == f'{at_fault[:9]} (2020-01-03, "side | two") made it bad.'
    text = finding_markdown(as_finding(found, "nox -s bisect"))
    for words in (
        at_fault,
        "-DNCNN_AVX2=ON",
        "1.0e-2",
        "1.0e-6",
        "side \\| two",
        "20200105",
        "+int",
    ):
        assert words in text
    assert type(found).model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("older", "newer", "error", "words"),
    [
        ("20200105", "20200101", UsageError, "ends are swapped"),
        ("20200101", "20200106", SourceError, "Nearest: 20200105"),
        ("20200101", "20200101", UsageError, "same commit"),
        ("side", "master~1^1", UsageError, "common ancestor"),
    ],
)
def test_ranges_that_are_none(
    clone: Clone, older: str, newer: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        clone.commits(older, newer)


def test_shallow_clone(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    clone = Clone.open(str(tmp_path / "shallow"), store=tmp_path / "store", log=tmp_path / "log")
    with pytest.raises(SourceError, match="unshallow"):
        clone.commits("20200101", "HEAD")


def test_releases_of_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_find_links(monkeypatch, tmp_path / "dist")
    for version in ("1.0.20260526", "1.0.20250503", "1.0.20240410"):
        make_sdist(tmp_path / "dist", version, NCNN)
    releases = index_releases()
    assert releases == [index_point("20250503"), index_point("20260526")]
    assert between(releases, "20250503", "20260526") == releases
    with pytest.raises(UsageError, match="20240410: not a release"):
        between(releases, "20240410", "20260526")
    with pytest.raises(UsageError, match="swapped"):
        between(releases, "20260526", "20250503")


def test_clone_of_a_url(repo: Repo, tmp_path: Path) -> None:
    where = f"file://{repo.path}"
    clone = Clone.open(where, store=tmp_path / "store", log=tmp_path / "log")
    points = clone.commits("20200101", "20200105")
    assert [point.title for point in points] == ["first", "second", "merge side", "last"]
    merge = points[2].id
    assert clone.touched(points[0].id, points[-1].id)[merge] == ["src/layer/innerproduct.cpp"]
    assert "+int two;" in clone.diff(merge, ["src/layer/innerproduct.cpp"])
    assert clone.point("20200101").id == points[0].id
