"""What a prompt on the side of the images may do to a frozen tower."""

from torch import nn

# M videos (views of videos), T frames, L tokens of a frame, P tokens that are added, D width of the visual tower


class VisualPrompt(nn.Module):
    """Puts learned tokens into the visual tower; as it stands, none.

    A subclass overrides what it needs of the three places: before the first layer for good (`enter`), in the first
    layer alone (`shallow`), or in any layer alone (`beside`).

    Attributes:
        whole_clips: the frames of a video are seen together, so that every video needs as many of them as the prompt
            was built for, and none of them may be padding.
    """

    whole_clips = True

    def enter(self, x):
        """Change the embedded tokens, before the norm in front of the first layer.

        What is appended stays in all layers.

        Args:
            x: (M, T, L, D), the class token first, positions added.
        Returns:
            (M, T, L', D) with the L tokens in front.
        """
        return x

    def shallow(self):
        """Tokens that pass the norm in front of the first layer and are seen in that layer alone: (P, D) or None."""
        return None

    def beside(self, layer, x):
        """Tokens that the others attend to in one layer alone, and what a layer says of the frames.

        The tokens are further keys and values of the attention, behind the first norm of the layer; what would become
        of them is dropped.

        Args:
            layer: its index, from 0.
            x: (M, T, L, D), what goes into the layer.
        Returns:
            tokens (P, D) for all frames, (M, T, P, D) for each or None; summary (M, T, D) of the frames or None.
        """
        return None, None
