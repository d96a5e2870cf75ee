"""The guides that come with bayou, by the name of their method and by the name of their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField

if TYPE_CHECKING:
    from bayou.fitting.guides import Guide

# By the `method` of `by.fit`.
GUIDES: dict[str, Guide] = {
    "advi": MeanField(),
    "fullrank_advi": FullRank(),
    "lowrank_advi": LowRank(),
}
METHODS = ("auto", *GUIDES, "dadvi")
# By the name of the class, as saved fits have it.
GUIDE_CLASSES: dict[str, type[MeanField | FullRank | LowRank]] = {
    guide.__name__: guide for guide in (MeanField, FullRank, LowRank)
}
