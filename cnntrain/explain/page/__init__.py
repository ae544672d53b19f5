"""Traces (`page_of`) and lessons (`lesson_page`, `lesson_pages`) as single HTML files that need nothing else."""

from cnntrain.explain.page.examples import examples_of_run, page_of_examples
from cnntrain.explain.page.html import page_of
from cnntrain.explain.page.lesson import lesson_page, lesson_pages
from cnntrain.explain.page.save import save_lessons, save_page

__all__ = ["examples_of_run", "lesson_page", "lesson_pages", "page_of", "page_of_examples", "save_lessons", "save_page"]
