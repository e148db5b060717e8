"""YAML as plain data, of no more nodes than a configuration can have."""

from __future__ import annotations

from typing import Any

import yaml

MAX_NODES = 20_000
"""Nodes of a document with its aliases written out; the shipped example has some hundreds."""


def load(text: str) -> Any:
    """Return what `text` holds; raise `yaml.YAMLError` where it cannot be read or is too large.

    A few lines of aliases to aliases can stand for millions of nodes.

    >>> load("a: &b [1, 2]\\nc: *b")
    {'a': [1, 2], 'c': [1, 2]}
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root, {})
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Return the number of nodes from `node` down; refuse a node that contains itself."""
    if node not in known:
        known[node] = MAX_NODES  # whoever meets it within itself is endless
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        if isinstance(node, yaml.MappingNode):
            parts = [each for pair in node.value for each in pair]
        known[node] = 1 + sum(_count(part, known) for part in parts)
    if known[node] > MAX_NODES:
        problem = f"with its aliases written out it has more than {MAX_NODES:,} nodes"
        raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
    return known[node]
