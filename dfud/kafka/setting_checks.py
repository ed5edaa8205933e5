"""What is refused and warned of, by the table of `setting_rules`."""

from __future__ import annotations

from collections.abc import Iterator

from dfud.errors import OnFault, refuse_fault
from dfud.kafka.setting_rules import RULES, Effect, Rule
from dfud.kafka.user_settings import UserSettings


def refuse(user: UserSettings, path: str, on_fault: OnFault = refuse_fault) -> None:
    """Call `on_fault` for each setting that is refused; `path` is that of the file."""
    for rule in _rules(user, Effect.REFUSES):
        on_fault(f"{user.shown(rule.name)} in {path} {_message(rule, user)}")


def warnings_of(user: UserSettings, path: str) -> Iterator[str]:
    """Yield a line for each setting of which dfud warns."""
    for rule in _rules(user, Effect.WARNS):
        yield f"{user.shown(rule.name)} in {path} {_message(rule, user)}"


def _rules(user: UserSettings, effect: Effect) -> Iterator[Rule]:
    for rule in RULES:
        if rule.effect is effect and rule.client in (user.client, "both") and rule.applies(user):
            yield rule


def _message(rule: Rule, user: UserSettings) -> str:
    return rule.text.format(
        chunk_size=user.chunk_size,
        least_bytes=user.least_message_bytes,
        least_kbytes=-(-user.message_bytes // 1024),
    )
