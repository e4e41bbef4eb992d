from harness.build.mixing.state import State

TEXT = """\t.section\t.init_array,"aw"
\t.align 8
\t.quad\t_ZL5setupv
\t.local\t_ZL5scale
\t.comm\t_ZL5scale,4,4
\t.data
\t.size\t_ZL5count, 4
_ZL5count:
\t.zero\t4
\t.section\t.tbss,"awT",@nobits
_ZL4mine:
\t.zero\t8
\t.size\t_ZL4mine, 8
\t.section\t.data.rel.ro.local,"aw"
_ZL5table:
\t.quad\t_ZL5scale
\t.size\t_ZL5table, 8
\t.text
_Z3runv:
\t.size\t_Z3runv, .-_Z3runv
\t.section\t.init_array
\t.quad\t_GLOBAL__sub_I_a.cpp
"""


def test_what_can_be_written_to() -> None:
    assert State.parse(TEXT).sizes == {"_ZL5scale": 4, "_ZL5count": 4, "_ZL4mine": 8}


def test_what_is_called_when_a_library_is_loaded() -> None:
    assert {"_ZL5setupv", "_GLOBAL__sub_I_a.cpp"} <= State.parse(TEXT).starters
