"""Broken kernels: `prove` must find every one; nothing may be found where nothing is broken."""

from __future__ import annotations

import os

import pytest

from cnntrain.verify.grounds import GROUNDS, Ground
from cnntrain.verify.mutant import Mutant, Patch, broken
from cnntrain.verify.mutants_source import SOURCES, SourceMutant, edited, run_source
from cnntrain.verify.mutation import MUTANTS, UNBROKEN, MutationReport, Outcome, run_mutant

COMPILED = "CNNTRAIN_MUTANTS"


def test_there_are_many_and_each_has_a_name_and_a_network() -> None:
    every: list[Mutant | SourceMutant] = [*MUTANTS, *SOURCES]
    assert len(MUTANTS) >= 100
    assert len({mutant.name for mutant in every}) == len(every)
    assert {mutant.ground for mutant in every} == set(GROUNDS)


@pytest.mark.parametrize("ground", GROUNDS)
def test_nothing_is_found_where_nothing_is_broken(ground: str) -> None:
    assert (GROUNDS[ground].proven(), GROUNDS[ground].checked()) == ("", "")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_prove_catches_every_mutant(mutant: Mutant) -> None:
    with broken(mutant):
        assert GROUNDS[mutant.ground].proven()


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.consistent], ids=lambda mutant: mutant.name)
def test_gradients_of_a_wrong_function_pass_the_gradient_check(mutant: Mutant) -> None:
    """Why a gradient check alone is not enough: they are right, for what is computed."""
    with broken(mutant):
        assert GROUNDS[mutant.ground].checked() == ""


def test_what_is_broken_is_mended_again() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "full convolution without rotation")
    for _ in range(2):
        assert run_mutant(mutant).proven.startswith("0.conv2d to input: <grad_input, x> is ")
        assert GROUNDS[mutant.ground].proven() == ""


class Thing:
    """Something to patch."""

    value = 1


def test_a_patch_puts_back_what_was_there() -> None:
    class Other(Thing):
        pass

    patch = Patch()
    for value in (2, 3):
        patch.set(Thing, "value", value)
        patch.set(Other, "value", value)
    patch.undo()
    assert Thing.value == 1
    assert "value" not in vars(Other)


def test_a_mutant_that_cannot_run_is_no_kill() -> None:
    def how(patch: Patch) -> None:
        patch.set(Ground, "rows", property(lambda self: 1 / 0))

    with pytest.raises(ZeroDivisionError), broken(Mutant("no network", "dense", how)):
        GROUNDS["dense"].proven()


@pytest.mark.parametrize("mutant", SOURCES, ids=lambda mutant: mutant.name)
def test_edits_of_sources_find_their_place(mutant: SourceMutant) -> None:
    assert mutant.new in edited(mutant)


def test_an_edit_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dense.py: not once in it: for ever"):
        edited(SourceMutant("lost", "dense", "dense.py", "for ever", ""))


@pytest.mark.skipif(COMPILED not in os.environ, reason=f"compiles kernels anew for minutes; {COMPILED}=1 runs it")
@pytest.mark.parametrize("mutant", SOURCES, ids=lambda mutant: mutant.name)
def test_prove_catches_every_edit(mutant: SourceMutant) -> None:
    proven, _ = run_source(mutant)
    assert proven


def outcome(name: str = "a", linear: bool = True, proven: str = "x", checked: str = "") -> Outcome:
    return Outcome(name, "dense", linear, False, False, proven, checked)


def test_a_report_names_survivors_and_alarms() -> None:
    right = [outcome(UNBROKEN, proven=""), outcome("b"), outcome("c", linear=False, proven="")]
    report = MutationReport(right)
    assert report.passed  # what is not linear may survive, and is named
    text = report.as_text()
    assert "prove catches 1 of 2 of all mutants: 50 %" in text
    assert "prove catches 1 of 1 of those in what is linear, and in masks: 100 %" in text
    assert text.splitlines()[-1] == "survives prove: c (dense)"
    assert not MutationReport([*right, outcome("d", proven="")]).passed
    alarmed = MutationReport([outcome(UNBROKEN, proven="0.dense forward: wrong")])
    assert not alarmed.passed
    assert alarmed.as_text().splitlines()[-1] == "FALSE ALARM: dense: 0.dense forward: wrong"
    assert report.as_dict()["caught_by_prove"] == 1
