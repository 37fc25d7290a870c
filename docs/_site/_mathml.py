"""Write formulas as MathML, which browsers draw without a script or the network."""

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml


def inline(writer, node):
    """Write a formula in a line."""
    writer.body.append(tex2mathml(node.astext()))
    raise SkipNode


def block(writer, node):
    """Write a formula on lines of its own."""
    formula = tex2mathml(node.astext(), as_block=True)
    writer.body.append(f'<div class="math">{formula}</div>')
    raise SkipNode


def setup(app):
    """Connect to Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
