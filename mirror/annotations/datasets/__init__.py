"""Image datasets: frames with their shapes, as training reads them. See
`docs/annotations-datasets.md`."""

from mirror.annotations.datasets.categories import Categories, Category
from mirror.annotations.datasets.exporting import write_dataset
from mirror.annotations.datasets.formats import format_names
from mirror.annotations.datasets.images import ImageMode
from mirror.annotations.datasets.masks import write_masks

__all__ = [
    "Categories",
    "Category",
    "ImageMode",
    "format_names",
    "write_dataset",
    "write_masks",
]
