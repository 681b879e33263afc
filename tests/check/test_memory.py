"""Memory is given back between passes where the C library can, and nothing happens where it can't."""

import ctypes

from kmr_cli.check import memory


def test_it_is_given_back(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "_trim", lambda: asked.append)
    memory.give_back()
    assert asked == [0]


def test_another_c_library(monkeypatch):
    memory._trim.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert memory._trim() is None
    memory.give_back()
    memory._trim.cache_clear()
