"""What every case is run with."""

from harness.analysis.sweep.runs import exact_run, run_words, sweep_runs
from harness.domain.spec import RunSpec
from harness.sources.options import OptionField


def field(name: str, default: bool | None) -> OptionField:
    return OptionField(name=name, is_bool=True, default=default)


FIELDS = (
    field("lightmode", True),
    field("use_fp16_storage", True),
    field("use_bf16_storage", False),
    field("use_packing_layout", True),
    field("use_vulkan_compute", False),
    field("use_shader_local_memory", True),
    OptionField(name="num_threads", is_bool=False, default=None),
)


def texts(base: tuple[tuple[str, bool | int], ...] = ()) -> dict[str, str]:
    return {run.name: run_words(run) for run in sweep_runs(FIELDS, base)}


def test_defaults_extremes_each_option_and_threads() -> None:
    off = "use_bf16_storage=false,use_fp16_storage=false"
    assert texts() == {
        "default": "default",
        "fp32": off,
        "exact": f"{off},use_packing_layout=false",
        "use_fp16_storage=false": "use_fp16_storage=false",
        "use_bf16_storage=true": "use_bf16_storage=true",
        "use_packing_layout=false": "use_packing_layout=false",
        "num_threads=2": "num_threads=2",
        "num_threads=3": "num_threads=3",
        "num_threads=4": "num_threads=4",
    }


def test_on_a_device_its_options_count_and_all_runs_use_it() -> None:
    found = texts((("use_vulkan_compute", True),))
    assert found["default"] == "use_vulkan_compute=true"
    assert "use_shader_local_memory=false" in found
    assert all("use_vulkan_compute=true" in text for text in found.values())


def test_the_exact_run_is_found() -> None:
    assert exact_run(sweep_runs(FIELDS)).name == "exact"


def test_words_are_those_of_the_command_line() -> None:
    run = RunSpec(name="x", options=(("use_a", False), ("use_b", True)), threads=3)
    assert run_words(run) == "use_a=false,use_b=true,num_threads=3"
