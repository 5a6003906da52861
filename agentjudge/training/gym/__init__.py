"""Generated worlds with known truth to train judges in, and oracles that show how they are judged rightly.

claims (over documents), pictures, pages (of the web); oracle, oracle_looking; shortcuts (what needs no reading).
"""

from agentjudge.training.gym.claims import ClaimGym, World
from agentjudge.training.gym.names import Names
from agentjudge.training.gym.oracle import Oracle, Slop, demonstrations
from agentjudge.training.gym.oracle_looking import page_demonstrations, picture_demonstrations
from agentjudge.training.gym.pages import PageGym
from agentjudge.training.gym.pictures import PictureGym

__all__ = [
    "ClaimGym",
    "Names",
    "Oracle",
    "PageGym",
    "PictureGym",
    "Slop",
    "World",
    "demonstrations",
    "page_demonstrations",
    "picture_demonstrations",
]
