"""A comparison so small that a test can train all of it."""

from mgu.comparison import Comparison
from mgu.data import load_data
from mgu.recipe import Recipe
from mgu.spaces import parse_space

SPACE = parse_space(
    """
prefix = "TINY"
input_shape = [1, 8, 8]
classes = 10
layouts = [[2, 1, 2, 2, 2]]
mgu_layouts = [[2, 1, 2, 2, 2]]
cells = ["bn_pre", "no_norm+residual"]
start_filters = 4
""",
    "tiny",
)


def tiny_comparison(images=300, **recipe):
    """Two plain networks and an MGU network, on so many of scikit-learn's digits."""
    return Comparison(load_data("digits", limit=images), SPACE, Recipe(**{"epochs": 2, "batch_size": 32, **recipe}))
