import pytest

from harness.build.mixing.mixer import _words


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("g++ -O2 -o a.o -c a.cpp", "g++ -O2 a.cpp"),
        ("g++ -Winvalid-pch -include /b/cmake_pch.hxx -o a.o -c a.cpp", "g++ a.cpp"),
        ("g++ -include mine.h -o a.o -c a.cpp", "g++ -include mine.h a.cpp"),
    ],
)
def test_of_a_compile_command_all_is_kept_that_says_what_is_compiled(
    command: str, expected: str
) -> None:
    assert _words(command) == expected.split()
