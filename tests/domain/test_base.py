from harness.domain.base import StoredValue


class Point(StoredValue):
    x: int = 0
    y: int = 0


def test_values_share_what_is_kept_of_the_given_fields() -> None:
    one, other, default = Point(x=1), Point(x=2), Point()
    assert one.model_fields_set is other.model_fields_set
    assert default.model_fields_set == set()


def test_a_copy_with_other_fields_leaves_the_original_as_it_is() -> None:
    one = Point(x=1)
    copy = one.model_copy(update={"y": 2})
    assert copy.model_fields_set == {"x", "y"}
    assert one.model_fields_set == {"x"}
    assert Point(x=5).model_fields_set == {"x"}
