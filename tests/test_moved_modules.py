from __future__ import annotations

import importlib
import pickle
import sys

import pytest

import bayou as by
from bayou.moved_modules import CLASSES, FOLDERS, MODULES
from bayou.sources.base.field import Field


@pytest.mark.parametrize("old", MODULES)
def test_module_of_today_is_there(old: str) -> None:
    importlib.import_module(MODULES[old])
    with pytest.raises(AttributeError):
        importlib.import_module(old).nothing  # noqa: B018


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_class_is_found_by_its_old_name(module: str, name: str) -> None:
    new_module, new_name = CLASSES[module, name]
    found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(new_module), new_name)


def test_pickle_that_names_an_old_module_loads() -> None:
    field = Field("price", float)
    old = pickle.dumps(field, protocol=0).replace(
        Field.__module__.encode(), b"bayou.sources.source"
    )
    assert b"bayou.sources.source" in old
    assert pickle.loads(old) == field


def test_old_names_replace_no_function_of_today() -> None:
    functions = by.sources.source, by.sources.sql
    for name in ("source", "sql"):
        sys.modules.pop(f"bayou.sources.{name}", None)
        pickle.loads(f"cbayou.sources.{name}\nSource\n.".encode())
    assert (by.sources.source, by.sources.sql) == functions


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_that_is_gone_holds_nothing(folder: str) -> None:
    with pytest.raises(ImportError, match=r"^cannot import name 'other' from"):
        exec(f"from {folder} import other")


def test_other_names_are_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'bayou.inference.other'$"):
        importlib.import_module("bayou.inference.other")
