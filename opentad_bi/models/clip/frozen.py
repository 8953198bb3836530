"""Towers that come with weights of their own and never train take no part in checkpoints."""


def leave_out_of_state(module, child):
    """Keep the sub-module `child` of `module` out of its state dict, and a strict load from missing it.

    A checkpoint of a few learned vectors is a few kilobytes then, instead of the size of the tower.
    """
    inner = f"{child}."

    def saved(_, state, prefix, __):
        for name in [name for name in state if name.startswith(prefix + inner)]:
            del state[name]

    def loaded(_, keys):
        keys.missing_keys[:] = [name for name in keys.missing_keys if f".{inner}" not in f".{name}"]

    module.register_state_dict_post_hook(saved)
    module.register_load_state_dict_post_hook(loaded)
