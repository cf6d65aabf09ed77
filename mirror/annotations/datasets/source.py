"""Gathered frames as datumaro takes them: made one after the other, as an exporter asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import Enum, auto
from types import ModuleType
from typing import Any

from mirror.annotations.datasets.categories import Categories
from mirror.annotations.datasets.images import EXTENSION
from mirror.annotations.datasets.marks import BOX, LABEL, POINT, POLYGON, POLYLINE, Drawn, Mark
from mirror.annotations.datasets.spool import Spool


class Paths(Enum):
    """What exporters are told of where an image lies."""

    NOWHERE = auto()
    """Below a path that never exists: they decode what they find, to learn its depth."""
    NAMES = auto()
    """Its name in the dataset."""
    REAL = auto()
    """Its file at the destination."""


class Maker:
    """Makes datumaro's values of ours."""

    def __init__(self, datumaro: ModuleType, categories: Categories, paths: Paths) -> None:
        self._datumaro = datumaro
        self._ids = categories
        self._paths = paths
        self._made: dict[int, Callable[[Mark], Any]] = {
            POLYGON: lambda mark: self._shape(datumaro.Polygon, mark),
            POLYLINE: lambda mark: self._shape(datumaro.PolyLine, mark),
            POINT: lambda mark: self._shape(datumaro.Points, mark),
            BOX: self._box,
            LABEL: lambda mark: datumaro.Label(self._ids.id_of(mark.code)),
        }

    def item(self, drawn: Drawn, subset: str) -> Any:
        """A `DatasetItem`, whose image need not be read for its size."""
        path = {
            Paths.NOWHERE: f"{os.devnull}/{drawn.name}{EXTENSION}",
            Paths.NAMES: f"{drawn.name}{EXTENSION}",
            Paths.REAL: drawn.path,
        }[self._paths]
        return self._datumaro.DatasetItem(
            drawn.name,
            subset=subset,
            media=self._datumaro.Image.from_file(path, size=(drawn.height, drawn.width)),
            annotations=[self._made[mark.kind](mark) for mark in drawn.marks],
        )

    def categories(self) -> dict[Any, Any]:
        """Labels in the order of their ids; each has one keypoint, which is called as it is."""
        kinds = self._datumaro.AnnotationType
        codes = self._ids.codes
        return {
            kinds.label: self._datumaro.LabelCategories.from_iterable(codes),
            kinds.points: self._datumaro.PointsCategories.from_iterable(
                (number, [code]) for number, code in enumerate(codes)
            ),
        }

    @property
    def media_type(self) -> Any:
        """What every item shows."""
        return self._datumaro.Image

    def _shape(self, kind: Callable[..., Any], mark: Mark) -> Any:
        return kind(mark.points, label=self._ids.id_of(mark.code), group=mark.group)

    def _box(self, mark: Mark) -> Any:
        left, top, right, bottom = mark.points
        label = self._ids.id_of(mark.code)
        return self._datumaro.Bbox(
            left, top, right - left, bottom - top, label=label, group=mark.group
        )


class Source:
    """What datumaro calls an `IDataset`, of which our exporters need no more than this. Nothing is
    in memory but the item that is asked for."""

    is_stream = True

    def __init__(self, splits: dict[str, Spool], maker: Maker) -> None:
        self._splits = splits
        self._maker = maker

    def __iter__(self) -> Iterator[Any]:
        for name, spool in self._splits.items():
            for drawn in spool:
                yield self._maker.item(drawn, name)

    def __len__(self) -> int:
        return sum(len(spool) for spool in self._splits.values())

    def subsets(self) -> dict[str, Source]:
        """By split."""
        return {name: self.get_subset(name) for name in self._splits}

    def get_subset(self, name: str) -> Source:
        """One split."""
        return Source({name: self._splits[name]}, self._maker)

    def infos(self) -> dict[str, Any]:
        """Nothing about the dataset as a whole."""
        return {}

    def categories(self) -> dict[Any, Any]:
        """By kind of annotation."""
        return self._maker.categories()

    def media_type(self) -> Any:
        """What every item shows."""
        return self._maker.media_type

    def __repr__(self) -> str:
        return f"<Source {self._splits}>"
