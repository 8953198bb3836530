"""Key styles in which weights of VideoMAE transformers are published, brought to one."""

import re

# of a whole detector or of the wrapper, only what lies below the prefix is this network's
_WHOLE = ("backbone.model.backbone.", "model.backbone.")
# of a recogniser or of the pre-training, the rest (classifier, decoder) stays for the strict load to report
_PART = ("backbone.", "encoder.")
_RENAMED = (
    (re.compile(r"^patch_embed\.proj\."), "patch_embed.projection."),
    (re.compile(r"^(blocks\.\d+\.mlp\.)fc1\."), r"\1layers.0.0."),
    (re.compile(r"^(blocks\.\d+\.mlp\.)fc2\."), r"\1layers.1."),
    (re.compile(r"^head\."), "cls_head.fc_cls."),
)
# a fixed table and a norm that feature maps never pass: files without them are complete
_OPTIONAL = ("pos_embed", "fc_norm.weight", "fc_norm.bias")


def adapt_vit_keys(state, own):
    """Return `state` under the keys of `own` (the network's state dict), foreign entries left under their name.

    Understood, each with or without a leading `module.`: whole detectors (`backbone.model.backbone.*`; their other
    parts are left out), recognisers of mmaction2 (`backbone.*`, `cls_head.*`), the original VideoMAE after
    fine-tuning (`mlp.fc1`, `patch_embed.proj`, `head.*`) and after pre-training (`encoder.*`), and our own keys.
    """
    state = strip_prefix(state, "module.")
    for prefix in _WHOLE:
        if any(key.startswith(prefix) for key in state):
            state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    for prefix in _PART:
        state = {k.removeprefix(prefix): v for k, v in state.items()}
    adapted = {_rename(key): value for key, value in state.items()}
    for key in _OPTIONAL:
        if key in own:
            adapted.setdefault(key, own[key])
    return adapted


def strip_prefix(state, prefix):
    """Take `prefix` off every key if all of them have it."""
    if state and all(key.startswith(prefix) for key in state):
        return {key[len(prefix) :]: value for key, value in state.items()}
    return dict(state)


def _rename(key):
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    return key
