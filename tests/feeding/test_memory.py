"""Free memory, as the machine and its control groups say it, and the window that follows."""

import os
from pathlib import Path
from typing import Any

import pytest

from bayou.feeding import memory
from bayou.feeding.memory import check_draws, default_window, free_memory

MIB = 2**20


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


MACHINE = {"proc/meminfo": "MemTotal: 99999 kB\nMemAvailable:   40960 kB\nCached: 5 kB\n"}
SECOND = "sys/fs/cgroup"
FIRST = "sys/fs/cgroup/memory"


def second(folder: str, limit: str) -> dict[str, str]:
    return {
        f"{SECOND}{folder}/memory.max": f"{limit}\n",
        f"{SECOND}{folder}/memory.current": f"{20 * MIB}\n",
        f"{SECOND}{folder}/memory.stat": f"anon 7\ninactive_file {4 * MIB}\n",
    }


def test_the_machine_by_itself(tmp_path: Path) -> None:
    assert free_memory(system(tmp_path, MACHINE)) == 40 * MIB


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", **second("/a/b", f"{30 * MIB}")}, 14 * MIB),
        ({"proc/self/cgroup": "0::/a/b\n", **second("/a", f"{25 * MIB}")}, 9 * MIB),
        ({"proc/self/cgroup": "0::/a/b\n", **second("", f"{25 * MIB}")}, 9 * MIB),
        ({"proc/self/cgroup": "0::/a/b\n", **second("/a", f"{10 * MIB}")}, 0),
        ({"proc/self/cgroup": "0::/a/b\n", **second("/a/b", "max")}, 40 * MIB),
        ({"proc/self/cgroup": "0::/\n", **second("", f"{10**15}")}, 40 * MIB),
        (
            {
                "proc/self/cgroup": "5:cpu:/x\n4:memory:/c\n",
                f"{FIRST}/c/memory.limit_in_bytes": f"{30 * MIB}\n",
                f"{FIRST}/c/memory.usage_in_bytes": f"{9 * MIB}\n",
                f"{FIRST}/c/memory.stat": f"cache 3\ntotal_inactive_file {MIB}\n",
            },
            22 * MIB,
        ),
    ],
)
def test_the_least_that_a_group_leaves(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert free_memory(system(tmp_path, MACHINE | files)) == expected


def test_this_machine_has_some(tmp_path: Path) -> None:
    assert free_memory() > 0
    assert free_memory(tmp_path) > 0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"SC_AVPHYS_PAGES": 1, "SC_PHYS_PAGES": 2, "SC_PAGE_SIZE": 3}, 7 * 10),
        ({"SC_PHYS_PAGES": 2, "SC_PAGE_SIZE": 3}, 9 * 10),
        ({}, memory.FALLBACK_BYTES),
    ],
    ids=["unix", "macos", "windows"],
)
def test_other_systems_are_asked_in_their_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, int], expected: int
) -> None:
    values = {"SC_AVPHYS_PAGES": 7, "SC_PHYS_PAGES": 9, "SC_PAGE_SIZE": 10}
    monkeypatch.setattr(os, "sysconf_names", names)
    monkeypatch.setattr(os, "sysconf", values.__getitem__)
    if not names:
        # As on Windows, where `os` has neither.
        monkeypatch.delattr(os, "sysconf_names")
        monkeypatch.delattr(os, "sysconf")
    assert free_memory(tmp_path) == expected


def test_a_quarter_of_it_at_most(row_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 8000)
    source = row_source([100, 150])
    assert default_window(source, ["row", "x"]) == 2000 // 16
    assert default_window(source, ["row"]) == 250
    assert default_window(source) == 2000 // (8 * 3 + 24 + 1 + 8 + 4)
    assert default_window(row_source([100, 150], known=False), ["flag"]) == 2000
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    assert default_window(source) == 2


def test_draws_must_fit() -> None:
    check_draws(10**6, {"a": 10})
    message = (
        r"`draws` must fit in half of the free memory, .* got 10{12} draws of 24000.0 GB.\nHint: "
        r"ask for fewer; 1000 give means to 3% of a standard deviation\.$"
    )
    with pytest.raises(ValueError, match=message):
        check_draws(10**12, {"a": 3})
    with pytest.raises(ValueError, match=message):
        check_draws(10**12, {"a": 1, "b": 1}, num_more=1)
    with pytest.raises(ValueError, match=r"\. Or do without 'b', the largest: `var_names`"):
        check_draws(10**12, {"a": 1, "b": 2})
