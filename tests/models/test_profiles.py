"""What is known about families of models."""

import pytest

from agentjudge.models.profiles import FAMILIES, GENERIC, ModelProfile, profile_of


@pytest.mark.parametrize(
    "name, family",
    [
        ("Qwen/Qwen3-8B", "qwen3"),
        ("qwen3-0.6b", "qwen3"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("Qwen/Qwen3.5-4B", "qwen3.5"),
        ("someone/Veri-R1-Qwen3-4B", "veri-r1"),
        ("/models/search-r1-v0.3", "search-r1"),
        ("OpenGVLab/InternVL3-8B", "internvl"),
        ("HuggingFaceTB/SmolVLM2-2.2B", "smolvlm"),
        ("gpt-5-mini", "gpt"),
        ("mistralai/Mistral-7B", "generic"),
        ("", "generic"),
    ],
)
def test_the_family_is_found_by_the_name(name: str, family: str) -> None:
    assert profile_of(name).family == family


def test_no_pattern_hides_a_later_one() -> None:
    """The first match wins, so a pattern must not stand before a longer one that contains it."""
    patterns = [pattern for pattern, _ in FAMILIES]
    for n, pattern in enumerate(patterns):
        hidden = [later for later in patterns[n + 1 :] if pattern in later]
        assert not hidden, f"{pattern!r} hides {hidden}"
        assert profile_of(pattern) is FAMILIES[n][1]


def test_generic_promises_nothing() -> None:
    assert not GENERIC.images and not GENERIC.image_in_tool and GENERIC.thinking_switch == "none"
    assert GENERIC.template_kwargs(thinking=True) == {}


@pytest.mark.parametrize(
    "thinking, sent", [(None, {}), (True, {"enable_thinking": True}), (False, {"enable_thinking": False})]
)
def test_the_thinking_switch(thinking: bool | None, sent: dict[str, bool]) -> None:
    assert ModelProfile(thinking_switch="enable_thinking").template_kwargs(thinking=thinking) == sent


def test_pictures_in_tools_need_pictures_at_all() -> None:
    assert all(profile.images for _, profile in FAMILIES if profile.image_in_tool)


def test_checkpoints_of_the_tag_format_use_it() -> None:
    tags = {profile.family for _, profile in FAMILIES if profile.protocol == "tags"}
    assert tags == {"arm-thinker", "search-r1", "veri-r1", "web-arbiter", "web-shepherd"}
