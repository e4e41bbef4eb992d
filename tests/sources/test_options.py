from pathlib import Path

import pytest

from harness.sources.options import OptionField, one_at_a_time, read_option_fields

HEADER = """
class Option
{
public:
    // light mode
    bool lightmode;
    bool use_reserved_0;
    int num_threads;
    Allocator* blob_allocator;
    int openmp_blocktime;
    bool use_packing_layout;
    bool use_a53_a55_optimized_kernel;
};
"""
SOURCE = """
Option::Option()
{
    lightmode = true;
    use_reserved_0 = false;
    num_threads = get_cpu_count();
    blob_allocator = 0;
    openmp_blocktime = 20;
    use_packing_layout = false; // TODO enable me
    use_a53_a55_optimized_kernel = is_current_thread_running_on_a53_a55();
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "option.h").write_text(HEADER)
    (tmp_path / "src" / "option.cpp").write_text(SOURCE)
    return tmp_path


def test_fields_and_defaults_of_a_version(tree: Path) -> None:
    assert {(f.name, f.is_bool, f.default) for f in read_option_fields(tree)} == {
        ("lightmode", True, True),
        ("num_threads", False, None),
        ("openmp_blocktime", False, 20),
        ("use_packing_layout", True, False),
        ("use_a53_a55_optimized_kernel", True, None),
    }


def test_each_bool_against_its_default(tree: Path) -> None:
    runs = one_at_a_time(read_option_fields(tree), threads=4)
    assert [run.name for run in runs] == [
        "lightmode=false",
        "use_packing_layout=true",
        "use_a53_a55_optimized_kernel=false",
        "use_a53_a55_optimized_kernel=true",
        "threads=4",
    ]
    assert runs[0].options == (("lightmode", False),)
    assert [run.threads for run in runs] == [1, 1, 1, 1, 4]


def test_one_processor_has_no_threads_to_vary() -> None:
    field = OptionField(name="a", is_bool=True, default=False)
    assert [run.name for run in one_at_a_time([field], threads=1)] == ["a=true"]
