"""A trace as one HTML file that needs nothing else (`page_of`), and lessons likewise (`lesson_page`, `lesson_pages`)."""

from cnntrain.explain.page.html import page_of
from cnntrain.explain.page.lesson import lesson_page, lesson_pages

__all__ = ["lesson_page", "lesson_pages", "page_of"]
