"""Signs that a classifier by text features cannot learn, told at the start instead of after the last epoch."""

import math

import torch

from ...utils.logging import LOGGER

ALIKE = 1 - 1e-6  # cosine of features that are the same but for rounding
NEAR = 1e-4  # from ln C
FLAT = 1e-4  # norm of a gradient that is round-off


def off_diagonal(features):
    """Cosines of all pairs of different classes: (K, E) -> (K * (K - 1),)"""
    features = torch.nn.functional.normalize(features.float(), dim=1)
    count = len(features)
    return (features @ features.T)[~torch.eye(count, dtype=torch.bool, device=features.device)]


def check_first_loss(loss, parameters, text_features, inputs):
    """Warn, naming the cause, if the loss is that of guessing and no gradient leads away from it.

    Args:
        loss: 0-d, of the first batch.
        parameters: what is to be trained.
        text_features: (K, E).
        inputs: (B, E) pooled features.
    Returns:
        the warning, or None.
    """
    chance = math.log(len(text_features))
    if not abs(float(loss.detach()) - chance) <= NEAR or not parameters:  # NaN is not near anything
        return None
    grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    norm = math.sqrt(sum(float(grad.float().square().sum()) for grad in grads if grad is not None))
    if norm > FLAT:
        return None
    alike = float(off_diagonal(text_features.detach()).min()) if len(text_features) > 1 else 1.0
    if alike > ALIKE:
        cause = "the text features of all classes are the same: look at the prompts (tools/debug_prompts.py)"
    elif float(inputs.detach().abs().max()) == 0:
        cause = "the features of the batch are all zero: look at the feature files"
    else:
        cause = "the classes are told apart by nothing that is trained: look at `trainable` and at the logit scale"
    message = f"the loss starts at ln({len(text_features)}) = {chance:.6f} with a gradient of {norm:.1e}; {cause}"
    LOGGER.warning(message)
    return message
