"""Python as documents show it: sessions with what they print, and scripts whose comments say what comes out."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import tokenize
from typing import Any

import numpy as np

from tests.docs.blocks import Block


def run_session(block: Block, names: dict[str, Any]) -> str:
    """Run lines with >>>; return what differs."""
    test = doctest.DocTestParser().get_doctest(block.text + "\n", names, block.place, block.document, block.line)
    test.globs = names  # not a copy: the next block goes on with them
    told = io.StringIO()
    doctest.DocTestRunner(verbose=False).run(test, out=told.write, clear_globs=False)
    return told.getvalue()


def run_script(block: Block, names: dict[str, Any]) -> str:
    """Run statements; return where a value is not the one that the comment behind it shows."""
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(block.text).readline)
        if token.type == tokenize.COMMENT
    }
    wrong = []
    with contextlib.redirect_stdout(io.StringIO()):
        for statement in ast.parse(block.text).body:
            if not isinstance(statement, ast.Expr):
                exec(compile(ast.Module([statement], []), block.place, "exec"), names)  # noqa: S102
                continue
            value = eval(compile(ast.Expression(statement.value), block.place, "eval"), names)  # noqa: S307
            shown = shown_in(comments.get(statement.end_lineno or 0, ""))
            if shown is not None and not np.array_equal(np.asarray(value), np.asarray(shown)):
                wrong.append(f"{block.place}: {ast.unparse(statement)} is {value}, not {shown}")
    return "\n".join(wrong)


def shown_in(comment: str) -> Any:
    """Return the value that a comment begins with; None if it does not, or leaves something out."""
    for text in (comment, comment.partition("):")[0] + ")"):
        with contextlib.suppress(ValueError, SyntaxError):
            value = ast.literal_eval(text.replace("array(", "("))
            return None if "..." in text or not isinstance(value, list | tuple) else value
    return None
