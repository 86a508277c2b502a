"""Meanings of EMAN2's box sets (classes): a feature, none of a feature, or ignored.

EMAN2 trains one network per feature, on one set that shows it and one that does not, with names typed by the user. By
default, a set is the feature of its name. For names that sound negative the user must give the meaning, because a
network would otherwise be trained on the opposite.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tomoseg_tui.core.names import ANY_FEATURE, IGNORE, check_feature_name
from tomoseg_tui.errors import UsageError

_NEGATIVE_WORD = re.compile(
    r"(^|[^a-z])(bad|neg|negs|negative|negatives|none|not|empty|junk|background|bg)\d*($|[^a-z])"
)
_POSITIVE_WORD = re.compile(r"(^|[^a-z])(good|pos|positive|positives|yes)\d*($|[^a-z])")
_NEGATIVE_SIGN = ":negative"
_MAP_FIX = "Write --map SET=FEATURE, --map SET=FEATURE:negative (it shows none of it), or --map SET=ignore."


@dataclass(frozen=True)
class Meaning:
    """What the boxes of a set show."""

    feature: str
    """Name of the feature; ``*`` with negative for none of any feature; `ignore` for boxes that are not imported."""
    negative: bool = False
    """True if the boxes show none of it."""

    @property
    def is_ignored(self) -> bool:
        """True if the set is not imported."""
        return self.feature == IGNORE

    @property
    def text(self) -> str:
        """The text after ``SET=``."""
        return self.feature + (_NEGATIVE_SIGN if self.negative else "")


def parse_meaning(text: str) -> Meaning:
    """Parse ``FEATURE``, ``FEATURE:negative``, ``*:negative`` or ``ignore``.

    Raises
    ------
    TomosegError
        If the text is none of these.
    """
    feature = text.removesuffix(_NEGATIVE_SIGN)
    negative = feature != text
    if feature == IGNORE and not negative:
        return Meaning(IGNORE)
    if feature == ANY_FEATURE:
        if not negative:
            raise UsageError(
                f"{ANY_FEATURE} is for tiles without any feature.", f"Write {ANY_FEATURE}{_NEGATIVE_SIGN}."
            )
        return Meaning(ANY_FEATURE, negative=True)
    return Meaning(check_feature_name(feature), negative)


def parse_set_map(options: Sequence[str]) -> dict[str, Meaning]:
    """Parse options such as ``good=microtubule`` or ``bad=microtubule:negative``.

    Raises
    ------
    TomosegError
        If an option has another form, or names a set twice.
    """
    meanings: dict[str, Meaning] = {}
    for option in options:
        name, equals, text = option.rpartition("=")  # names of sets may contain =, features cannot
        if not equals or not name or not text:
            raise UsageError(f"--map {option} is not understood.", _MAP_FIX)
        if name in meanings:
            raise UsageError(f"--map names the set {name} twice.", "Give each set once.")
        meanings[name] = parse_meaning(text)
    return meanings


def format_set_map(meanings: Mapping[str, Meaning]) -> list[str]:
    """Return the values of `--map` for these meanings."""
    return [f"{name}={meaning.text}" for name, meaning in meanings.items()]


def sounds_negative(name: str) -> bool:
    """Return whether the name of a set suggests that its boxes do not show the feature."""
    return bool(_NEGATIVE_WORD.search(name.lower()))


def feature_name(name: str) -> str:
    """Return the name of a set as a valid name of a feature."""
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-")[:100]
    return clean if clean not in {"", IGNORE} else f"set_{clean or 0}"


def guess_meanings(names: Iterable[str], declared: Mapping[str, Meaning] | None = None) -> dict[str, Meaning]:
    """Return the likely meaning of each set; a set that sounds negative belongs to the set with the most similar name.

    Parameters
    ----------
    declared : mapping, optional
        Known meanings of some sets.

    Examples
    --------
    >>> {name: meaning.text for name, meaning in guess_meanings(["mt_good", "mt_bad"]).items()}
    {'mt_good': 'mt_good', 'mt_bad': 'mt_good:negative'}
    """
    names, declared = list(names), declared or {}
    meanings = {name: declared.get(name, Meaning(feature_name(name))) for name in names if not sounds_negative(name)}
    feature_by_set = {
        name: meaning.feature for name, meaning in meanings.items() if not (meaning.is_ignored or meaning.negative)
    }
    return {name: meanings.get(name) or declared.get(name) or _negative_of(name, feature_by_set) for name in names}


def _negative_of(name: str, feature_by_set: Mapping[str, str]) -> Meaning:
    same_stem = {feature for other, feature in feature_by_set.items() if _stem(other) == _stem(name)}
    features = same_stem or set(feature_by_set.values())
    return Meaning(features.pop() if len(features) == 1 else ANY_FEATURE, negative=True)


def _stem(name: str) -> str:
    """Return the feature in the name of a set, without good, bad, digits and dashes."""
    for pattern in (_POSITIVE_WORD, _NEGATIVE_WORD):
        name = pattern.sub(" ", name.lower())
    return re.sub(r"[^a-z]", "", name)


def resolve_meanings(names: Sequence[str], declared: Mapping[str, Meaning], command: str) -> dict[str, Meaning]:
    """Return the meaning of each set.

    Parameters
    ----------
    command : str
        The command so far, for the fix of an error.

    Raises
    ------
    UsageError
        If the user names an unknown set, or has not given the meaning of a set that sounds negative.
    """
    for name in declared:
        if name not in names:
            raise UsageError(
                f"There is no set {name!r} (there are: {', '.join(names) or 'none'}).", "Name one of them in --map."
            )
    guessed = guess_meanings(names, declared)
    undeclared = [name for name in names if name not in declared and sounds_negative(name)]
    if undeclared:
        suggested = {**declared, **{name: guessed[name] for name in undeclared}}
        options = shlex.join(part for text in format_set_map(suggested) for part in ("--map", text))
        is_plural = len(undeclared) > 1
        raise UsageError(
            f"The name{'s' if is_plural else ''} of the set{'s' if is_plural else ''} {', '.join(undeclared)} "
            f"suggest{'' if is_plural else 's'} tiles without a feature, but not which feature.",
            f"Name it, as in: {command} {options}",
        )
    return guessed
