"""The tokenizer of the bundled story model, trained on its text; for train_tiny.py.

Byte pair encoding in SentencePiece's form. A merge made earlier has the higher score, and an encoder that always joins the adjacent
pair with the best score gives the same pieces.
"""
import collections
import re

UNK, BOS, EOS = 0, 1, 2
SPACE = "\u2581"  # SentencePiece writes a space so
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # token types of GGUF

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?\"'-:;()"
# No piece holds a space inside, nor letters together with marks.
PIECES = re.compile(SPACE + r"?[A-Za-z]+|" + SPACE + r"?[0-9]|" + SPACE + r"?[^A-Za-z0-9" + SPACE + r"]+|" + SPACE)


def normalise(text):
    return SPACE + text.replace(" ", SPACE) if text else ""


def train_merges(texts, count):
    """The `count` most useful merges, best first."""
    words = collections.Counter(piece for text in texts for piece in PIECES.findall(normalise(text)))
    splits = {word: list(word) for word in words}
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, number in words.items():
            for pair in zip(splits[word], splits[word][1:]):
                pairs[pair] += number
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))  # ties by spelling: no chance involved
        merges.append(best[0] + best[1])
        for word, split in splits.items():
            splits[word] = join_pair(split, best)
    return merges


def join_pair(split, pair):
    out = []
    for piece in split:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


class Tokenizer:
    def __init__(self, tokens, scores, types):
        self.tokens, self.scores, self.types = tokens, scores, types
        self.ids = {t: i for i, t in enumerate(tokens) if types[i] == NORMAL}
        self.cache = {}

    @classmethod
    def train(cls, texts, size):
        tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
        types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
        scores = [0.0] * len(tokens)
        letters = [SPACE] + list(LETTERS)
        pieces = train_merges(texts, size - len(tokens) - len(letters)) + letters
        # Two different merges can give the same string; the first one counts.
        pieces = list(dict.fromkeys(pieces))
        scores += [-float(rank) for rank in range(len(pieces))]
        return cls(tokens + pieces, scores, types + [NORMAL] * len(pieces))

    def encode(self, text):
        return [i for piece in PIECES.findall(normalise(text)) for i in self._piece(piece)]

    def _piece(self, piece):
        if piece not in self.cache:
            parts = list(piece)
            while True:
                joined = [(self.scores[self.ids[a + b]], -i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in self.ids]
                if not joined:
                    break
                at = -max(joined)[1]
                parts[at:at + 2] = [parts[at] + parts[at + 1]]
            self.cache[piece] = [i for part in parts for i in self._ids(part)]
        return self.cache[piece]

    def _ids(self, part):
        return [self.ids[part]] if part in self.ids else [3 + byte for byte in part.encode()]

    def decode(self, ids):
        parts = []
        for i in ids:
            if self.types[i] == BYTE:
                parts.append(bytes([i - 3]))
            elif self.types[i] == NORMAL:
                parts.append(self.tokens[i].replace(SPACE, " ").encode())
        return b"".join(parts).decode("utf-8", "replace").removeprefix(" ")
