"""Generated worlds with known truth to train judges in: claims over documents, pictures, pages of the web."""

from agentjudge.training.gym.claims import ClaimGym, World
from agentjudge.training.gym.names import Names

__all__ = ["ClaimGym", "Names", "World"]
