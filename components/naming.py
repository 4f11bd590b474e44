"""Names within Azure's rules: pure, deterministic, checked before any resource exists.

A name that has to be unique worldwide (or in a region) ends in a short hash of the
subscription, stack and workload, so that two stacks never meet and a second run gets the same name.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from enum import StrEnum

#: Namespace of the deterministic GUIDs that role assignments are named by.
_GUIDS = uuid.UUID("6f0e6f3a-5c1d-5a52-9c5e-2f6a1f2f7b11")
_HASH_LENGTH = 6

#: The platform's own blob containers.
JOURNAL = "rollout-journal"
DEAD_LETTERS = "dead-letters"
COST_EXPORTS = "cost-exports"
#: Containers of the Functions app's own account.
PACKAGES = "packages"
HANDLED_EVENTS = "handled-events"


class Scope(StrEnum):
    """Within what a name has to be unique."""

    GLOBAL = "all of Azure"
    REGION = "the region"
    GROUP = "the resource group"
    PARENT = "its parent"


@dataclass(frozen=True, slots=True)
class Rule:
    """One resource type's naming rule."""

    kind: str
    shortest: int
    longest: int
    pattern: str
    allowed: str
    scope: Scope
    separator: str = "-"


_WORD = "letters, digits and hyphens, starting with a letter, ending with a letter or digit"
_WORD_PATTERN = r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]"

RULES: dict[str, Rule] = {
    rule.kind: rule
    for rule in (
        Rule("resource group", 1, 90, r"[\w.()-]*[\w()-]", "letters, digits, _ - . ( ), no dot at the end", Scope.GROUP),
        Rule("storage account", 3, 24, r"[a-z0-9]+", "lower-case letters and digits", Scope.GLOBAL, ""),
        Rule("key vault", 3, 24, r"[A-Za-z](?:[A-Za-z0-9]|-(?!-))*[A-Za-z0-9]", f"{_WORD}, no two hyphens in a row", Scope.GLOBAL),
        Rule("container registry", 5, 50, r"[A-Za-z0-9]+", "letters and digits", Scope.GLOBAL, ""),
        Rule("log analytics workspace", 4, 63, r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]", "letters, digits and inner hyphens", Scope.GROUP),
        Rule("application insights", 1, 255, r"[\w().-]*[\w()-]", "letters, digits, _ - . ( ), no dot at the end", Scope.GROUP),
        Rule("managed identity", 3, 128, r"[A-Za-z0-9][\w-]*", "letters, digits, hyphens and underscores, starting with a letter or digit", Scope.GROUP),
        Rule("machine learning workspace", 3, 33, r"[A-Za-z0-9][\w-]*", "letters, digits, hyphens and underscores, starting with a letter or digit", Scope.GROUP),
        Rule("compute cluster", 3, 24, _WORD_PATTERN, _WORD, Scope.PARENT),
        Rule("online endpoint", 3, 32, _WORD_PATTERN, _WORD, Scope.REGION),
        Rule("batch endpoint", 3, 32, _WORD_PATTERN, _WORD, Scope.REGION),
        Rule("blob container", 3, 63, r"[a-z0-9](?:[a-z0-9]|-(?!-))*[a-z0-9]", "lower-case letters, digits and single hyphens", Scope.PARENT),
        Rule("storage queue", 3, 63, r"[a-z0-9](?:[a-z0-9]|-(?!-))*[a-z0-9]", "lower-case letters, digits and single hyphens", Scope.PARENT),
        Rule("event grid topic", 3, 50, r"[A-Za-z0-9-]+", "letters, digits and hyphens", Scope.REGION),
        Rule("event subscription", 3, 64, r"[A-Za-z0-9-]+", "letters, digits and hyphens", Scope.PARENT),
        Rule("action group", 1, 260, r"[^:<>+/&%\\?|]*[^:<>+/&%\\?|. ]", "anything but : < > + / & % \\ ? |, no space or dot at the end", Scope.GROUP),
        Rule("alert rule", 1, 260, r"[^*#&+:<>?@%{}\\/]*[^*#&+:<>?@%{}\\/. ]", "anything but * # & + : < > ? @ % { } \\ /, no space or dot at the end", Scope.GROUP),
        Rule("query pack", 1, 255, r"[A-Za-z0-9][\w-]*", "letters, digits, hyphens and underscores, starting with a letter or digit", Scope.GROUP),
        Rule("availability test", 1, 260, r"[A-Za-z0-9][\w-]*", "letters, digits, hyphens and underscores, starting with a letter or digit", Scope.GROUP),
        Rule("monitor workspace", 4, 63, r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]", "letters, digits and inner hyphens", Scope.GROUP),
        Rule("grafana", 2, 23, _WORD_PATTERN, _WORD, Scope.GLOBAL),
        Rule("virtual network", 2, 64, r"[A-Za-z0-9][\w.-]*\w", "letters, digits, _ - ., starting with a letter or digit", Scope.GROUP),
        Rule("network security group", 1, 80, r"[A-Za-z0-9](?:[\w.-]*\w)?", "letters, digits, _ - ., starting with a letter or digit", Scope.GROUP),
        Rule("private endpoint", 2, 64, r"[A-Za-z0-9][\w.-]*\w", "letters, digits, _ - ., starting with a letter or digit", Scope.GROUP),
        Rule("model registry", 3, 33, r"[A-Za-z0-9][\w-]*", "letters, digits, hyphens and underscores, starting with a letter or digit", Scope.GLOBAL),
        Rule("kubernetes cluster", 1, 63, r"[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?", "letters, digits, hyphens and underscores, a letter or digit at both ends", Scope.GROUP),
        Rule("data collection rule", 3, 64, r"[A-Za-z0-9][\w.-]*[A-Za-z0-9]", "letters, digits, _ - ., a letter or digit at both ends", Scope.GROUP),
        Rule("kubernetes namespace", 1, 63, r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", "lower-case letters, digits and inner hyphens", Scope.PARENT),
        Rule("datastore", 1, 255, r"\w+", "letters, digits and underscores", Scope.PARENT, "_"),
        Rule("function app plan", 1, 40, r"[A-Za-z0-9-]+", "letters, digits and hyphens", Scope.GROUP),
        Rule("function app", 2, 32, r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", "letters, digits and inner hyphens", Scope.GLOBAL),
        Rule("managed redis", 1, 60, r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9]))*", "letters, digits and single inner hyphens", Scope.REGION),
        Rule("load test", 1, 64, r"[A-Za-z0-9][\w-]*", "letters, digits, hyphens and underscores, starting with a letter or digit", Scope.GROUP),
        Rule("front door profile", 1, 260, r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", "letters, digits and inner hyphens", Scope.GROUP),
        Rule("front door endpoint", 1, 46, r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", "letters, digits and inner hyphens", Scope.GLOBAL),
        Rule("firewall policy", 1, 128, r"[A-Za-z][A-Za-z0-9]*", "letters and digits, starting with a letter", Scope.GROUP, ""),
        Rule("api management", 1, 50, r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?", _WORD, Scope.GLOBAL),
        Rule("budget", 1, 63, r"[\w-]+", "letters, digits, hyphens and underscores", Scope.GROUP),
        Rule("cost export", 3, 24, r"[A-Za-z0-9-]+", "letters, digits and hyphens", Scope.GROUP),
        Rule("automation account", 6, 50, _WORD_PATTERN, _WORD, Scope.GROUP),
        Rule("runbook", 1, 63, r"[A-Za-z][\w-]*", "letters, digits, hyphens and underscores, starting with a letter", Scope.PARENT),
        Rule("automation schedule", 1, 128, r"[^<>*%&:\\?.+/]*[^<>*%&:\\?.+/ ]", "anything but < > * % & : \\ ? . + /, no space at the end", Scope.PARENT),
    )
}  # fmt: skip


class BadName(ValueError):
    """A name that Azure would refuse; says which rule it breaks."""


def check(kind: str, name: str) -> str:
    """`name` itself when it is allowed for `kind` (a key of RULES); raises `BadName` naming the rule."""
    rule = RULES[kind]
    if not rule.shortest <= len(name) <= rule.longest:
        raise BadName(f"{kind} name {name!r} has {len(name)} characters; {rule.shortest} to {rule.longest} are allowed")
    if not re.fullmatch(rule.pattern, name):
        raise BadName(f"{kind} name {name!r} is not allowed: {rule.allowed}")
    return name


def short_hash(*parts: str, length: int = _HASH_LENGTH) -> str:
    """Lower-case base-36 digits that depend on all `parts` and on their order."""
    number = int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest(), "big")
    digits = ""
    while len(digits) < length:
        number, rest = divmod(number, 36)
        digits += "0123456789abcdefghijklmnopqrstuvwxyz"[rest]
    return digits


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one stack. `workload` and `stack` are lower-case words."""

    workload: str
    stack: str
    subscription_id: str
    location: str

    def of(self, kind: str, role: str = "") -> str:
        """The name of the stack's resource of `kind`; `role` tells several of a kind apart."""
        rule = RULES[kind]
        unique = rule.scope in (Scope.GLOBAL, Scope.REGION)
        words = [self.workload, self.stack, *([role] if role else [])]
        return check(kind, _join(rule, words, self._hash(role) if unique else ""))

    def endpoint(self, use_case: str) -> str:
        """The online endpoint's name: use case first, because people look for it by that."""
        rule = RULES["online endpoint"]
        return check(rule.kind, _join(rule, [use_case, self.stack], self._hash(use_case)))

    def batch_endpoint(self, use_case: str) -> str:
        """The batch endpoint's name; it shares a region's names with online endpoints."""
        rule = RULES["batch endpoint"]
        return check(rule.kind, _join(rule, [use_case, "batch", self.stack], self._hash(f"batch-{use_case}")))

    def queue(self, name: str) -> str:
        """The storage queue that events of the subscription `name` wait in."""
        return check("storage queue", f"events-{_clean(name, '-')}")

    def guid(self, *parts: str) -> str:
        """A GUID that is the same on every run, for resources that Azure names by GUID."""
        return str(uuid.uuid5(_GUIDS, "\x1f".join((self.subscription_id, self.workload, self.stack, *parts))))

    def _hash(self, role: str) -> str:
        return short_hash(self.subscription_id.lower(), self.workload, self.stack, self.location, role)


def _join(rule: Rule, words: list[str], suffix: str) -> str:
    """Words and hash joined the way the rule allows; too long a stem is cut, and the hash keeps it unique."""
    stem = rule.separator.join(_clean(word, rule.separator) for word in words)
    room = rule.longest - (len(suffix) + len(rule.separator) if suffix else 0)
    if len(stem) > room:
        suffix = suffix or short_hash(stem)
        room = rule.longest - len(suffix) - len(rule.separator)
        stem = stem[:room].rstrip("-")
    return rule.separator.join(part for part in (stem, suffix) if part)


def _clean(word: str, separator: str) -> str:
    cleaned = re.sub(r"[^a-z0-9]+", separator, word.lower())
    return cleaned.strip("-")
