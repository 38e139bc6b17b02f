"""How pictures look, whoever draws them."""

from pathlib import Path
from typing import Any

BLUE, ORANGE, GREY, RED = "#1f5fa8", "#d9822b", "#8a8f98", "#c0392b"
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "grid.color": "#e3e5e8",
    "svg.fonttype": "none",
    "svg.hashsalt": "holdfast",
}


def undated(path: Path) -> dict[str, Any]:
    """Metadata with which the same figures give the same file."""
    return {"Date": None} if path.suffix == ".svg" else {}
