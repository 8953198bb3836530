"""Key styles in which weights of VideoMAE transformers are published, brought to one."""

import re

# of a whole detector, the wrapper, a recogniser, the pre-training; longer ones first
_PREFIXES = ("backbone.model.backbone.", "model.backbone.", "backbone.", "encoder.")
_RENAMED = (
    (re.compile(r"^patch_embed\.proj\."), "patch_embed.projection."),
    (re.compile(r"^(blocks\.\d+\.mlp\.)fc1\."), r"\1layers.0.0."),
    (re.compile(r"^(blocks\.\d+\.mlp\.)fc2\."), r"\1layers.1."),
    (re.compile(r"^head\."), "cls_head.fc_cls."),
)


def adapt_vit_keys(state):
    """Return `state` under the keys of `VisionTransformerAdapter`, foreign entries left for a strict load to report.

    Understood, each with or without a leading `module.`: whole detectors (`backbone.model.backbone.*`), recognisers
    of mmaction2 (`backbone.*`, `cls_head.*`), the original VideoMAE after fine-tuning (`mlp.fc1`,
    `patch_embed.proj`, `head.*`) and after pre-training (`encoder.*`), and our own keys.
    """
    state = strip_prefix(state, "module.")
    for prefix in _PREFIXES:
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {_rename(key): value for key, value in state.items()}


def strip_prefix(state, prefix):
    """Take `prefix` off every key if all of them have it."""
    if state and all(key.startswith(prefix) for key in state):
        return {key[len(prefix) :]: value for key, value in state.items()}
    return dict(state)


def _rename(key):
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    return key
