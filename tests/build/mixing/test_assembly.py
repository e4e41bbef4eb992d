import pytest

from harness.build.mixing.assembly import AssemblyText, TwoTexts

TEXT = """\t.file\t"some_x86.cpp"
\t.text
\t.type\t_ZL6helperf, @function
_ZL6helperf:
\t.loc 1 12 3
\tret
\t.size\t_ZL6helperf, .-_ZL6helperf
\t.section\t.text._Z4tinyf,"axG",@progbits,_Z4tinyf,comdat
\t.weak\t_Z4tinyf
\t.type\t_Z4tinyf, @function
_Z4tinyf:
\tjmp\t_ZL6helperf
\t.size\t_Z4tinyf, .-_Z4tinyf
\t.text
\t.globl\t_ZN3FooC2Ev
\t.hidden\t_ZN3FooC2Ev
\t.type\t_ZN3FooC2Ev, @function
_ZN3FooC2Ev:
\tcall\t_Z4tinyf@PLT
\tjmp\t_ZN3FooC2Ev.cold
\t.size\t_ZN3FooC2Ev, .-_ZN3FooC2Ev
\t.section\t.text.unlikely
\t.type\t_ZN3FooC2Ev.cold, @function
_ZN3FooC2Ev.cold:
\tret
\t.size\t_ZN3FooC2Ev.cold, .-_ZN3FooC2Ev.cold
\t.globl\t_ZN3FooC1Ev
\t.hidden\t_ZN3FooC1Ev
\t.set\t_ZN3FooC1Ev,_ZN3FooC2Ev
\t.section\t.rodata
\t.string\t"_ZL6helperf"
\t.globl\t_ZTV3Foo
\t.type\t_ZTV3Foo, @object
_ZTV3Foo:
\t.quad\t_ZN3FooC1Ev
"""
HELPER, TINY, MAKER = "_ZL6helperf", "_Z4tinyf", "_ZN3FooC2Ev"


def two(*, local: bool = True) -> TwoTexts:
    text = AssemblyText.parse('\t.file 1 "src/some_x86.cpp"\n' + TEXT)
    return TwoTexts(name="some", texts=(text, text), local=local)


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_symbols_of_a_text() -> None:
    text = two().texts[0]
    found = {name: (each.binding, each.is_function) for name, each in text.symbols.items()}
    assert found == {
        HELPER: ("local", True),
        TINY: ("weak", True),
        MAKER: ("global", True),
        f"{MAKER}.cold": ("local", True),
        "_ZN3FooC1Ev": ("global", True),
        "_ZTV3Foo": ("global", False),
    }
    assert text.aliases == {"_ZN3FooC1Ev": MAKER}
    assert text.symbols[HELPER].place == "src/some_x86.cpp:12"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        # As GCC writes it, and Clang with and without directories of its own.
        ('\t.file 1 "/src/some_x86.cpp"', "/src/some_x86.cpp:12"),
        ('\t.file\t0 "/build" "/src/other.cpp" md5 0x1\n\t.file\t1 "/src/some_x86.cpp" md5 0x2',
         "/src/some_x86.cpp:12"),
        ('\t.file\t0 "/build" "../other.cpp"\n\t.file\t1 "../src" "some_x86.cpp"',
         "/build/../src/some_x86.cpp:12"),
        ('\t.file\t0 "/build" "../other.cpp"\n\t.file\t1 "/build" "/src/some_x86.cpp"',
         "/src/some_x86.cpp:12"),
    ],
)  # fmt: skip
def test_place_of_a_function(files: str, place: str) -> None:
    assert AssemblyText.parse(f"{files}\n{TEXT}").symbols[HELPER].place == place


def test_what_can_be_exchanged() -> None:
    # A part of a function goes where the function goes, and so does its other name.
    assert two().functions() == (HELPER, TINY, MAKER)
    assert two(local=False).functions() == (TINY, MAKER)


def test_what_comes_from_the_other_is_defined_under_another_name_only() -> None:
    good, bad = (lines(text) for text in two().mixed(frozenset({HELPER})))
    shared, other = "__inside_some__ZL6helperf", "__other0_some__ZL6helperf"
    assert f"{other}:" in good
    assert f"{shared}:" not in good
    assert f"jmp {shared}" in good
    assert f".size {other}, .-{other}" in good
    # Local as it was, it is now for both, and for nobody else.
    assert bad[bad.index(f"{shared}:") - 2 :][:2] == [f".globl {shared}", f".hidden {shared}"]
    assert '.string "_ZL6helperf"' in good


def test_each_name_is_defined_once() -> None:
    for chosen in ({HELPER}, {TINY, MAKER}, set[str](), {HELPER, TINY, MAKER}):
        both = [AssemblyText.parse(text) for text in two().mixed(frozenset(chosen))]
        names = [
            [name for name, symbol in text.symbols.items() if symbol.binding != "local"]
            for text in both
        ]
        assert not set(names[0]) & set(names[1])
        assert {"_ZTV3Foo", MAKER, "_ZN3FooC1Ev"} <= {*names[0], *names[1]}
        assert ("_ZN3FooC1Ev" in names[1]) == (MAKER in chosen)


def test_templates_are_no_longer_of_a_group_of_which_the_linker_keeps_any() -> None:
    mixed = two().mixed(frozenset({TINY}))
    for text in mixed:
        assert "comdat" not in text
        assert '.text._Z4tinyf,"ax",@progbits' in text
    # Another unit's may still come first.
    assert [f".weak {TINY}" in lines(text) for text in mixed] == [False, True]
    assert f"call {TINY}@PLT" in lines(mixed[0])


def test_global_names_stay_what_others_call_them() -> None:
    good, bad = (lines(text) for text in two().mixed(frozenset({MAKER})))
    assert f"{MAKER}:" in bad
    assert f".hidden {MAKER}" in bad
    assert f"__other0_some_{MAKER}:" in good
    assert ".set __other0_some__ZN3FooC1Ev,__other0_some__ZN3FooC2Ev" in good
    # Its cold part is its own in each text.
    assert f"jmp {MAKER}.cold" in bad


def test_a_name_is_found_in_an_address() -> None:
    text = AssemblyText.parse(TEXT.replace("\tjmp\t_ZL6helperf", "\tmovl\t$_ZL6helperf, %edi"))
    mixed = TwoTexts(name="some", texts=(text, text), local=True).mixed(frozenset())
    assert f"movl $__inside_some_{HELPER}, %edi" in lines(mixed[0])
