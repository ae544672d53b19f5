"""A trace as one HTML file that needs nothing else: `page_of`."""

from cnntrain.explain.page.html import page_of

__all__ = ["page_of"]
