"""Judges and rewards in other people's RL engines, a module each: what they have in common stands in three more.

    samples   what an engine hands over (prompt, completion, columns), and the case that it is
    scoring   who says what it is worth: a judge, a reward over a judge's traces, or a reward server at a URL
    episodes  a judge's own graph, played from outside by the policy that an engine trains

Every `make_...` takes the same things: a judge, a function that makes one (such things can be pickled), a URL, or a
scorer of `scoring`. A score of None means that nothing is known of a sample, since the judge failed or abstained. No
engine has the same word for that, and none of the words is 0:

| engine | a sample without a score |
|---|---|
| TRL | `None` in the list: no part of its group's mean, advantage 0 |
| verl | NaN as its reward, which the estimator `agentjudge_grpo` takes out: advantage 0, `response_mask` 0 |
| OpenRLHF | no tokens of its own (`action_ranges`), and `neutral` in its group's mean; by HTTP an answer of 503 |
| SkyRL | NaN as its reward, which `mask_unscored` turns into a `loss_masks` of 0 and its group's mean as its reward |
| slime | `remove_sample`, and `post_process_rewards` leaves it out of its group |
| verifiers | the reward raises, and the rollout has an error in place of one |
| Agent Lightning | the rollout is failed, its turns under an attempt that is not looked at |

A `withheld` score counts in its group's mean, and nothing is learned from it. OpenRLHF and slime can do just that; in
the others such a sample is one without a score.
"""
