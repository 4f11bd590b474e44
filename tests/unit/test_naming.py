"""Names are within Azure's rules, the same on every run, and don't collide."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.naming import RULES, BadName, Names, Scope, check, short_hash

WORDS = st.from_regex(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", fullmatch=True)
SUBSCRIPTIONS = st.uuids().map(str)
NAMES = st.builds(Names, WORDS.filter(lambda word: len(word) <= 12), WORDS, SUBSCRIPTIONS, st.just("eastus"))


@given(names=NAMES, kind=st.sampled_from(sorted(RULES)), role=st.one_of(st.just(""), WORDS))
def test_every_generated_name_is_allowed(names: Names, kind: str, role: str) -> None:
    name, rule = names.of(kind, role), RULES[kind]
    assert rule.shortest <= len(name) <= rule.longest
    assert re.fullmatch(rule.pattern, name)
    assert names.of(kind, role) == name


@given(names=NAMES, use_case=WORDS)
def test_endpoint_names_are_found_by_their_use_case(names: Names, use_case: str) -> None:
    name = names.endpoint(use_case)
    assert 3 <= len(name) <= 32
    assert name.startswith(re.sub(r"-+", "-", use_case)[:12].rstrip("-"))


@given(
    one=NAMES, other=NAMES, kind=st.sampled_from([kind for kind, rule in RULES.items() if rule.scope is Scope.GLOBAL])
)
def test_two_stacks_never_want_the_same_global_name(one: Names, other: Names, kind: str) -> None:
    if one != other:
        assert one.of(kind) != other.of(kind)


def test_a_name_too_long_is_cut_but_stays_unique() -> None:
    names = Names("rollouts", "integration-testing", "s", "eastus")
    one, other = names.endpoint("customer-viability-1"), names.endpoint("customer-viability-2")
    assert len(one) <= 32
    assert one != other


def test_storage_accounts_lose_their_hyphens() -> None:
    assert re.fullmatch(
        r"rolloutsmystack[a-z0-9]{6}", Names("rollouts", "my-stack", "s", "eastus").of("storage account")
    )


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("storage account", "ab", "has 2 characters; 3 to 24 are allowed"),
        ("storage account", "Rollouts1", "lower-case letters and digits"),
        ("online endpoint", "churn-" + "x" * 30, "has 36 characters; 3 to 32 are allowed"),
        ("online endpoint", "1churn", "starting with a letter"),
        ("online endpoint", "churn-", "ending with a letter or digit"),
        ("key vault", "my--vault", "no two hyphens in a row"),
        ("container registry", "my-registry", "letters and digits"),
        ("container registry", "abcd", "5 to 50"),
        ("machine learning workspace", "-ml", "starting with a letter or digit"),
        ("compute cluster", "gpu_big", "letters, digits and hyphens"),
        ("resource group", "group.", "no dot at the end"),
        ("blob container", "Journal", "lower-case"),
    ],
)
def test_a_bad_name_is_told_the_rule(kind: str, name: str, said: str) -> None:
    with pytest.raises(BadName, match=re.escape(said)) as caught:
        check(kind, name)
    assert kind in str(caught.value)
    assert repr(name) in str(caught.value)


def test_role_assignments_keep_their_guid() -> None:
    names = Names("rollouts", "dev", "s", "eastus")
    assert names.guid("a", "b") == names.guid("a", "b")
    assert len({names.guid("a", "b"), names.guid("b", "a"), names.guid("ab")}) == 3


def test_the_hash_tells_where_one_part_ends() -> None:
    assert short_hash("ab", "c") != short_hash("a", "bc")
