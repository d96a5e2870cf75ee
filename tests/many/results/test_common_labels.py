"""Labels that all data sets agree on, whatever the order and the parts that they come in."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bayou.many.results.common_labels import CommonLabels

MODEL: dict[str, Any] = {"row": ("a", "b"), "term": (1, 2)}
OWN = st.fixed_dictionaries(
    {}, optional={"row": st.sampled_from([("a", "b"), ("b", "a"), (0, 1)]), "new": st.just(("z",))}
)


@given(st.lists(OWN, min_size=1, max_size=5), st.integers(0, 5))
def test_labels_are_kept_where_all_have_them(data_sets: list[Any], cut: int) -> None:
    whole = CommonLabels(MODEL)
    whole.update(data_sets)
    first = CommonLabels(MODEL)
    first.update(data_sets[:cut])
    then = CommonLabels(MODEL, first.digests)
    then.update(data_sets[cut:])
    every = [MODEL | own for own in data_sets]
    expected = {
        dim: every[0][dim]
        for dim in ("row", "term", "new")
        if all(found.get(dim) == every[0].get(dim, ()) for found in every)
    }
    assert whole.coords == expected
    assert then.digests == whole.digests
