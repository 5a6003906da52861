"""Shared by all tests. Its place here also puts this folder on the path, for `import servers`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from hypothesis import settings
from servers import ChatServer

settings.register_profile("search", deadline=None)  # a busy machine is no failure
settings.register_profile("steady", deadline=None, derandomize=True)  # the same examples in every run of a commit
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


# TRL looks whether there is a package "vllm", and takes the folder of our tests of that name for one.
sys.modules.setdefault("vllm", cast(Any, None))


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    """Starts scripted servers, with the arguments of `ChatServer`; they end with the test."""
    with ExitStack() as stack:

        def start(*args: Any, **options: Any) -> ChatServer:
            return stack.enter_context(ChatServer(*args, **options))

        yield start
