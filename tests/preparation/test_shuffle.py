from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import bayou as by
from bayou.preparation import shuffle as module
from bayou.preparation import shuffle_plan as plans
from bayou.sampling.epoch import epoch_rows
from bayou.sampling.permutation import permutation
from bayou.sampling.uniform import stream_key
from bayou.sources import Field
from bayou.sources.files.store import open_store
from tests.preparation.numbered_rows import Changed, Rows, order_of, run


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    piece=st.integers(1, 50),
    memory=st.integers(60, 4000),
    seed=st.integers(0, 2**70),
)
@settings(max_examples=25)
def test_every_row_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], piece: int, memory: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("shuffle")
    store = run(Rows(sizes, piece), folder / "rows", random_seed=seed, memory=memory)
    assert store.num_rows == sum(sizes)
    assert store.fields["kind"].categories == ("a", "b", "c")
    assert sorted(order_of(store)) == list(range(sum(sizes)))
    open_store(folder / "rows", verify=True)
    assert [file.name for file in folder.iterdir()] == ["rows"]
    assert len(list((folder / "rows").iterdir())) == 5


@pytest.mark.parametrize("memory", [70, 333, 10_000, "1 KiB", "1 GiB"])
@pytest.mark.parametrize("sizes", [[100], [1] * 50 + [50], [0, 99, 1]])
def test_the_order_is_of_the_seed_alone(
    tmp_path: Path, expected: list[int], memory: int | str, sizes: list[int]
) -> None:
    assert order_of(run(Rows(sizes), tmp_path / "rows", memory=memory)) == expected
    assert order_of(run(Rows(sizes), tmp_path / "other", random_seed=2)) != expected


def test_the_order_of_a_seed_stays(tmp_path: Path) -> None:
    # A shuffle that is gone on with by a later version must meet the same order.
    assert order_of(run(Rows([10]), tmp_path / "rows")) == [1, 7, 4, 2, 9, 8, 3, 5, 6, 0]


def test_a_seed_is_drawn_without_one(tmp_path: Path) -> None:
    stores = [run(Rows([100]), tmp_path / str(k), random_seed=None) for k in range(2)]
    assert order_of(stores[0]) != order_of(stores[1])
    seed = stores[0].manifest["made"]["random_seed"]
    again = run(Rows([100]), tmp_path / "again", random_seed=seed)
    assert order_of(again) == order_of(stores[0])


@pytest.mark.parametrize("row", [0, 17, 39])
def test_the_place_of_a_row_is_uniform(row: int) -> None:
    places = [permutation(module.shuffle_key(seed), 40, row, 1)[0] for seed in range(4000)]
    counts = np.bincount(places, minlength=40)
    assert stats.chisquare(counts).pvalue > 0.001


def test_every_order_of_four_rows_is_as_likely() -> None:
    orders = [tuple(permutation(module.shuffle_key(seed), 4, 0, 4)) for seed in range(6000)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("stream", [0, 1])
def test_an_epoch_of_the_same_seed_does_not_undo_it(tmp_path: Path, stream: int) -> None:
    order = np.array(order_of(run(Rows([1000]), tmp_path / "rows")))
    [epoch] = epoch_rows(stream_key(1, stream), 0, 1, 1000, 1000)
    for rows in (order[epoch], epoch[order]):
        assert abs(stats.spearmanr(rows, np.arange(1000)).statistic) < 0.12


def test_rows_that_are_not_known_are_counted(tmp_path: Path, expected: list[int]) -> None:
    source = Rows([60, 40], known=False)
    assert order_of(run(source, tmp_path / "rows", memory=500)) == expected


def test_a_bar_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Rows([100]), tmp_path / "rows", progressbar=True)
    shown = capsys.readouterr().err
    assert "shuffle: reading" in shown
    assert "shuffle: writing" in shown
    assert "100/100 rows" in shown


@pytest.mark.parametrize(
    "memory", ["", "1", "MiB", "1 XB", "-1 MB", "0 MB", "1e3 B", 0, -5, 1.5, None, True]
)
def test_no_size_of_memory_is_refused(tmp_path: Path, memory: Any) -> None:
    with pytest.raises(ValueError, match=r"`memory` must be a .*\nHint: pass a number of bytes"):
        run(Rows([10]), tmp_path / "rows", memory=memory)
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "MAX_BUCKETS", 10)
    with pytest.raises(ValueError, match="`memory` must be at least 580 bytes for 100 rows of 29"):
        run(Rows([100]), tmp_path / "rows", memory=579)
    assert list(tmp_path.iterdir()) == []
    run(Rows([100]), tmp_path / "rows", memory=580)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_no_seed_is_refused(tmp_path: Path, seed: Any) -> None:
    with pytest.raises(ValueError, match="`random_seed` must be None, a whole number of at le"):
        run(Rows([10]), tmp_path / "rows", random_seed=seed)


@pytest.mark.parametrize("known", [True, False])
def test_a_source_without_rows_is_refused(tmp_path: Path, known: bool) -> None:
    with pytest.raises(ValueError, match=r"`source` must have rows to shuffle, got .* no rows"):
        run(Rows([0, 0], known=known), tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


def test_text_is_refused(tmp_path: Path) -> None:
    source = Changed(day=Field("day", np.dtype(object)))
    with pytest.raises(TypeError, match=r"`source` must have fields of numbers, .* got \['day'\]"):
        run(source, tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


def test_the_earlier_name_of_the_folder_is_taken_with_a_warning(tmp_path: Path) -> None:
    options: dict[str, Any] = {"random_seed": 1, "progressbar": False}
    with pytest.warns(FutureWarning, match="`path` of by.shuffle is now called `out`") as caught:
        store = by.shuffle(Rows([10]), path=tmp_path / "rows", **options)
    assert caught[0].filename == __file__
    assert order_of(store) == order_of(by.shuffle(Rows([10]), out=tmp_path / "new", **options))
    with pytest.raises(
        TypeError, match="`out`, the folder of the store, must be passed, and not `path`"
    ):
        by.shuffle(Rows([10]))


def test_seeds_are_those_of_pymc(tmp_path: Path) -> None:
    seeds = ([1, 2], np.array([1, 2]))
    orders = [
        order_of(run(Rows([50]), tmp_path / str(number), random_seed=seed))
        for number, seed in enumerate(seeds)
    ]
    assert orders[0] == orders[1]
    generator = np.random.default_rng(1)
    store = run(Rows([50]), tmp_path / "generator", random_seed=generator)
    recorded = store.manifest["made"]["random_seed"]
    assert recorded == int(np.random.default_rng(1).integers(2**63))
