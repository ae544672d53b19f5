"""`cnntrain recipes`: the configs that come with the package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cnntrain.cli import options

if TYPE_CHECKING:
    from cnntrain.config.recipes import Recipe


@click.command("recipes")
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, as_json: bool) -> None:
    """List the recipes of the package, or print one.

    A recipe is a config that reproduces a published result. Without NAME there is one line for each: its name, what it
    trains, and the share of the test images that it promises to recognise. With NAME its YAML is printed, to be kept
    and changed: cnntrain recipes mnist-lenet5 > mine.yaml. Commands take a recipe as --recipe NAME.
    """
    from cnntrain.config.recipes import Recipe, recipe_folder, recipe_names, recipe_path

    if name is not None:
        recipe = Recipe.read(recipe_path(name))
        click.echo(json.dumps({**_as_dict(recipe), "text": recipe.text}) if as_json else recipe.text, nl=as_json)
        return
    recipes = [Recipe.read(recipe_path(each)) for each in recipe_names()]
    if as_json:
        listed = [_as_dict(recipe) for recipe in recipes]
        click.echo(json.dumps({"folder": str(recipe_folder()), "recipes": listed}))
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        promise = "" if recipe.promise is None else f"{recipe.promise:.2%}"
        click.echo(f"{recipe.name.ljust(width)}  {promise:>6}  {recipe.what}")


def _as_dict(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "what": recipe.what,
        "data": recipe.data,
        "test_accuracy": recipe.promise,
        "source": recipe.origin,
        "path": str(recipe.path),
    }
