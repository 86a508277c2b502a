"""What the sets of EMAN2 (classes of boxes) mean here: a feature, none of a feature, or nothing.

EMAN2 trains one network a feature, on a set that shows it and a set that does not, and their names are
whatever the user has typed. A set is by default the feature of its name. A name that sounds like a
negative one must be told: taken for a feature, it would teach the opposite of what was meant.
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
    """Name of the feature; ``*`` with negative for none of any; `ignore` for boxes that are left out."""
    negative: bool = False
    """True if they show none of it."""

    @property
    def is_ignored(self) -> bool:
        """True if the set is left out."""
        return self.feature == IGNORE

    @property
    def text(self) -> str:
        """What stands behind ``SET=``."""
        return self.feature + (_NEGATIVE_SIGN if self.negative else "")


def parse_meaning(text: str) -> Meaning:
    """Read ``FEATURE``, ``FEATURE:negative``, ``*:negative`` or ``ignore``.

    Raises
    ------
    TomosegError
        If it says none of these.
    """
    feature = text.removesuffix(_NEGATIVE_SIGN)
    negative = feature != text
    if feature == IGNORE and not negative:
        return Meaning(IGNORE)
    if feature == ANY_FEATURE:
        if not negative:
            raise UsageError(
                f"{ANY_FEATURE} means that a tile holds none of any.", f"Write {ANY_FEATURE}{_NEGATIVE_SIGN}."
            )
        return Meaning(ANY_FEATURE, negative=True)
    return Meaning(check_feature_name(feature), negative)


def parse_set_map(options: Sequence[str]) -> dict[str, Meaning]:
    """Read words like ``good=microtubule`` or ``bad=microtubule:negative``.

    Raises
    ------
    TomosegError
        If a word has another form, or a set is named twice.
    """
    meanings: dict[str, Meaning] = {}
    for option in options:
        name, equals, text = option.rpartition("=")  # features hold no =, names of sets may
        if not equals or not name or not text:
            raise UsageError(f"--map {option} is not understood.", _MAP_FIX)
        if name in meanings:
            raise UsageError(f"--map names the set {name} twice.", "Name each set once.")
        meanings[name] = parse_meaning(text)
    return meanings


def format_set_map(meanings: Mapping[str, Meaning]) -> list[str]:
    """Return what stands behind each --map that says the same."""
    return [f"{name}={meaning.text}" for name, meaning in meanings.items()]


def sounds_negative(name: str) -> bool:
    """Tell whether a set's name says that its boxes show something that is not wanted."""
    return bool(_NEGATIVE_WORD.search(name.lower()))


def feature_name(name: str) -> str:
    """Return a set's name as a feature can be called."""
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-")[:100]
    return clean if clean not in {"", IGNORE} else f"set_{clean or 0}"


def guess_meanings(names: Iterable[str], declared: Mapping[str, Meaning] | None = None) -> dict[str, Meaning]:
    """Return the likely meaning of each set, to be offered; those that sound negative belong to the nearest other.

    Parameters
    ----------
    names : iterable of str
        The sets.
    declared : mapping, optional
        What is known of some.

    Examples
    --------
    >>> {name: meaning.word for name, meaning in guess(["mt_good", "mt_bad"]).items()}
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
    """Return what names a feature in the name of a set, without good, bad, digits and dashes."""
    for pattern in (_POSITIVE_WORD, _NEGATIVE_WORD):
        name = pattern.sub(" ", name.lower())
    return re.sub(r"[^a-z]", "", name)


def resolve_meanings(names: Sequence[str], declared: Mapping[str, Meaning], command: str) -> dict[str, Meaning]:
    """Return what each set means.

    Parameters
    ----------
    names : sequence of str
        The sets that there are.
    declared : mapping
        What the user has said.
    command : str
        The command so far, which the advice completes.

    Raises
    ------
    UsageError
        If the user names a set that is not there, or has not said what a set means whose name sounds negative.
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
            f"The set{'s' if is_plural else ''} {', '.join(undeclared)} sound{'' if is_plural else 's'} like tiles "
            "that do not show "
            "something; it is not said what.",
            f"Say it, as in: {command} {options}",
        )
    return guessed
