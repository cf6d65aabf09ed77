"""Options that every command about annotations has: which of them, how strictly, told how."""

from __future__ import annotations

from typing import Annotated

import typer

Roots = Annotated[
    list[str] | None,
    typer.Option("--sequence", metavar="ROOT", help="Only this sequence; may be repeated."),
]
Codes = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="CODE", help="Only this label; may be repeated."),
]
LabelledOnly = Annotated[
    bool, typer.Option("--labelled-only", help="Leave out frames without a label.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit 65 at the first annotation that is wrong.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.")]
