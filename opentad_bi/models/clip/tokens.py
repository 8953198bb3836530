"""Token ids of texts without special tokens and without padding, from any tokenizer of open_clip."""

PROBE = "a photo"


class Tokens:
    """What prompts are put together from: ids of a text, and the ids around them.

    Args:
        tokenizer: open_clip's `SimpleTokenizer`, or one of its wrappers around a Hugging Face tokenizer.
    Attributes:
        start, end: lists of ids that stand before and after every text; `start` may be empty.
        pad: id of the padding.
    Raises:
        ValueError: a tokenizer of another kind.
    """

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        if hasattr(tokenizer, "encode") and hasattr(tokenizer, "sot_token_id"):
            self.start, self.end, self.pad = [tokenizer.sot_token_id], [tokenizer.eot_token_id], 0
        elif hasattr(tokenizer, "tokenizer"):
            self._wrapped = tokenizer.tokenizer
            whole, bare = list(self._wrapped(PROBE)["input_ids"]), self._bare(PROBE)
            at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
            self.start, self.end, self.pad = whole[:at], whole[at + len(bare) :], self._wrapped.pad_token_id
        else:
            raise ValueError(f"a tokenizer of open_clip is expected, not a {type(tokenizer).__name__}")

    def encode(self, text):
        """Ids of `text` alone, however many they are."""
        if hasattr(self, "_wrapped"):
            clean = getattr(self._tokenizer, "clean_fn", None)
            return self._bare(clean(text) if clean else text)
        return list(self._tokenizer.encode(text))

    def decode(self, token):
        """The piece of text that one id stands for; a special token by its name."""
        if hasattr(self, "_wrapped"):
            return self._wrapped.convert_ids_to_tokens(int(token))
        piece = self._tokenizer.decoder.get(int(token), f"<{int(token)}>")
        return piece.replace("</w>", "") or piece

    def text(self, ids):
        """Text of a list of ids."""
        decode = self._wrapped.decode if hasattr(self, "_wrapped") else self._tokenizer.decode
        return decode(list(ids)).strip()

    def _bare(self, text):
        return list(self._wrapped(text, add_special_tokens=False)["input_ids"])
