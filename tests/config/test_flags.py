import pytest

from harness.build.effective_flags import overridden, resolve_against, undone
from harness.config.flags import FlagTable, resolve_flag_set
from harness.config.targets import TargetTable
from harness.domain.spec import FlagSet
from harness.util.errors import ConfigError


def test_ring_of_bases() -> None:
    tables = {"a": FlagTable(base="b"), "b": FlagTable(base="a")}
    with pytest.raises(ConfigError, match="a → b → a form a ring"):
        resolve_flag_set("a", tables)


def test_unknown_base() -> None:
    with pytest.raises(ConfigError, match="no flag set 'nothing'"):
        resolve_flag_set("a", {"a": FlagTable(base="nothing")})


def test_only_options_that_should_be_on_are_missed() -> None:
    flags = FlagSet(
        name="x", options=(("NCNN_AVX", "ON"), ("NCNN_F16C", "ON"), ("NCNN_XOP", "OFF"))
    )
    resolved = resolve_against(flags, frozenset({"NCNN_AVX"}))
    assert resolved.options == (("NCNN_AVX", "ON"),)
    assert [name for name, _ in resolved.ineffective] == ["NCNN_F16C"]


def test_entries_that_are_not_ncnn_s_need_no_declaration() -> None:
    options = (("CMAKE_CXX_FLAGS", "-g"), ("glslang_DIR", "/opt/glslang"))
    resolved = resolve_against(FlagSet(name="x", options=options), frozenset())
    assert resolved.options == options
    assert not resolved.ineffective


@pytest.mark.parametrize(
    ("options", "macros", "notes"),
    [
        ({"NCNN_F16C": "OFF"}, {"__F16C__"}, ["NCNN_F16C=OFF: another option enables it"]),
        ({"NCNN_F16C": "ON"}, {"__AVX__"}, ["NCNN_F16C=ON: the compile command does not"]),
        ({"NCNN_F16C": "ON"}, {"__F16C__"}, []),
        ({"NCNN_SSE2": "OFF"}, {"__SSE2__"}, []),
        ({"NCNN_F16C": "OFF", "NCNN_RUNTIME_CPU": "ON"}, {"__F16C__"}, []),
    ],
)
def test_compile_command_is_the_truth(
    options: dict[str, str], macros: set[str], notes: list[str]
) -> None:
    found = overridden(({"NCNN_RUNTIME_CPU": "OFF"} | options).items(), frozenset(macros))
    assert len(found) == len(notes)
    assert all(text.startswith(note) for text, note in zip(found, notes, strict=True))


@pytest.mark.parametrize(
    ("cxx_flags", "macros", "notes"),
    [
        ("-fno-fast-math", {"__FAST_MATH__"}, ("-fno-fast-math: the compile command undoes it",)),
        ("-O2 -ffast-math", set(), ("-ffast-math: the compile command undoes it",)),
        ("-O2 -ffast-math", {"__FAST_MATH__"}, ()),
        ("-fno-fast-math -DX", set(), ()),
    ],
)
def test_appended_flag_that_has_no_effect(
    cxx_flags: str, macros: set[str], notes: tuple[str, ...]
) -> None:
    assert undone(cxx_flags, frozenset(macros)) == notes


def test_target_is_inherited() -> None:
    tables = {"a": FlagTable(target="pi"), "b": FlagTable(base="a")}
    targets = {"pi": TargetTable(compiler="pi-g++", processor="aarch64", arch="arm")}
    target = resolve_flag_set("b", tables, targets).target
    assert target is not None
    assert (target.name, target.compiler, target.system) == ("pi", "pi-g++", "Linux")


def test_unknown_target() -> None:
    with pytest.raises(ConfigError, match=r"no target 'pi'\. Define \[targets\.pi\]"):
        resolve_flag_set("a", {"a": FlagTable(target="pi")})
