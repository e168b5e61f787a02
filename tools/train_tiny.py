#!/usr/bin/env -S python3
"""Trains the bundled story model, tokenizer and weights, and writes it as GGUF F16.

  train_tiny.py --out FILE.gguf [--steps N] [--seed S]       train (about half an hour on 2 cores)
  train_tiny.py --check FILE.gguf --sample 200               sample from a file, count what parses

Needs Debian's python3 with python3-torch and python3-numpy; libopenblas0-pthread makes it several
times faster. The text comes from make_stories.py. Nothing else in this project needs torch: the
written file is part of the project, and this program says how it came to be.
"""
import argparse
import collections
import concurrent.futures
import math
import os
import random
import re
import struct
import sys
import time

# Parallel over the batch (see Gradients), so every worker's libraries shall use one thread. This is
# two to three times faster on a shared machine than threads that meet after each operation.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from make_stories import Grammar, Parser, stories

UNK, BOS, EOS = 0, 1, 2
SPACE = "\u2581"  # SentencePiece writes a space so
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # token types of GGUF


# ---------------------------------------------------------------------------------------------
# Tokenizer: byte pair encoding in SentencePiece's form. A merge made earlier has the higher score,
# and an encoder that always joins the adjacent pair with the best score gives the same pieces.

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


# ---------------------------------------------------------------------------------------------
# Model: Llama's architecture, embedding and output tied.

class Config:
    def __init__(self, vocab, dim=192, layers=4, heads=6, kv_heads=2, ffn=384, context=256, base=10000.0, eps=1e-5):
        self.vocab, self.dim, self.layers, self.heads, self.kv_heads = vocab, dim, layers, heads, kv_heads
        self.ffn, self.context, self.base, self.eps = ffn, context, base, eps
        self.head_dim = dim // heads


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cos, sin):
    """RoPE of x (batch, heads, time, head_dim): values 2i and 2i+1 turn together, as GGUF's llama has it."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        linear = lambda rows, columns: nn.Linear(columns, rows, bias=False)
        self.attn_norm, self.ffn_norm = RMSNorm(c.dim, c.eps), RMSNorm(c.dim, c.eps)
        self.attn_q = linear(c.heads * c.head_dim, c.dim)
        self.attn_k = linear(c.kv_heads * c.head_dim, c.dim)
        self.attn_v = linear(c.kv_heads * c.head_dim, c.dim)
        self.attn_output = linear(c.dim, c.heads * c.head_dim)
        self.ffn_gate, self.ffn_up = linear(c.ffn, c.dim), linear(c.ffn, c.dim)
        self.ffn_down = linear(c.dim, c.ffn)

    def forward(self, x, cos, sin, mask, cache):
        x = x + self.attention(self.attn_norm(x), cos, sin, mask, cache)
        y = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))

    def attention(self, x, cos, sin, mask, cache):
        c, (batch, length, _) = self.c, x.shape
        split = lambda y, heads: y.view(batch, length, heads, c.head_dim).transpose(1, 2)
        q = rotate(split(self.attn_q(x), c.heads), cos, sin)
        k = rotate(split(self.attn_k(x), c.kv_heads), cos, sin)
        v = split(self.attn_v(x), c.kv_heads)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
        # The query heads of one KV head stand next to each other, so fold them into the rows.
        group = c.heads // c.kv_heads
        q = q.reshape(batch, c.kv_heads, group * length, c.head_dim) * c.head_dim ** -0.5
        scores = (q @ k.transpose(2, 3)).view(batch, c.kv_heads, group, length, -1)
        if mask is not None:
            scores = scores + mask
        y = scores.softmax(-1).view(batch, c.kv_heads, group * length, -1) @ v
        y = y.view(batch, c.heads, length, c.head_dim).transpose(1, 2).reshape(batch, length, -1)
        return self.attn_output(y)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.token_embd = nn.Embedding(c.vocab, c.dim)
        self.blk = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = RMSNorm(c.dim, c.eps)
        angle = torch.arange(c.context).float()[:, None] * c.base ** (-torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        mask = torch.full((c.context, c.context), -1e9).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        self.initialise()

    @torch.no_grad()
    def initialise(self):
        c = self.c
        # All names stand in the same places, so all that tells one from another is the random part of
        # its embedding. That part has to be large against the steps of the optimiser, or copying a name
        # is a moving target and is not learned at all. The last norm brings the logits back to scale.
        nn.init.normal_(self.token_embd.weight, std=0.3)
        nn.init.constant_(self.output_norm.weight, 0.15)
        for block in self.blk:
            for linear in (block.attn_q, block.attn_k, block.attn_v, block.ffn_gate, block.ffn_up):
                nn.init.normal_(linear.weight, std=c.dim ** -0.5)
            nn.init.normal_(block.ffn_down.weight, std=(2 * c.layers * c.ffn) ** -0.5)
            # Each head starts out adding a little of what it looks at to where it stands: its output
            # matrix is its value matrix transposed. A story is full of words that come again (names!),
            # and from random matrices the model needs thousands of steps to find out how to copy.
            values = block.attn_v.weight.view(c.kv_heads, c.head_dim, c.dim)
            values = values.repeat_interleave(c.heads // c.kv_heads, 0).reshape(c.heads * c.head_dim, c.dim)
            block.attn_output.weight.copy_(0.5 * c.kv_heads / c.heads * values.t())

    def forward(self, tokens, start=0, caches=None):
        """Logits of (batch, time) tokens, the first of which stands at position `start`."""
        length = tokens.shape[1]
        cos, sin = self.cos[start:start + length], self.sin[start:start + length]
        mask = self.mask[:length, :length] if length > 1 else None
        x = self.token_embd(tokens)
        for i, block in enumerate(self.blk):
            x = block(x, cos, sin, mask, caches[i] if caches else None)
        return F.linear(self.output_norm(x), self.token_embd.weight)


# ---------------------------------------------------------------------------------------------
# GGUF version 3: header, key-value pairs, tensor table, then the tensors, each on a multiple of 32.

T_U32, T_I32, T_F32, T_BOOL, T_STRING, T_ARRAY = 4, 5, 6, 7, 8, 9
SCALARS = {T_U32: "<I", T_I32: "<i", T_F32: "<f", T_BOOL: "<?"}
ALIGN = 32
DTYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2")}  # by GGUF's number of the tensor type


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(kind, value):
    if kind == T_STRING:
        return gguf_string(value)
    if kind == T_ARRAY:
        item, values = value
        return struct.pack("<IQ", item, len(values)) + b"".join(gguf_value(item, v) for v in values)
    return struct.pack(SCALARS[kind], value)


def metadata(c, tokenizer):
    return [
        ("general.architecture", T_STRING, "llama"),
        ("general.name", T_STRING, "stories-tiny"),
        ("general.license", T_STRING, "apache-2.0"),
        ("general.file_type", T_U32, 1),  # mostly F16
        ("general.quantization_version", T_U32, 2),
        ("llama.vocab_size", T_U32, c.vocab),
        ("llama.context_length", T_U32, c.context),
        ("llama.embedding_length", T_U32, c.dim),
        ("llama.block_count", T_U32, c.layers),
        ("llama.feed_forward_length", T_U32, c.ffn),
        ("llama.attention.head_count", T_U32, c.heads),
        ("llama.attention.head_count_kv", T_U32, c.kv_heads),
        ("llama.attention.layer_norm_rms_epsilon", T_F32, c.eps),
        ("llama.rope.dimension_count", T_U32, c.head_dim),
        ("llama.rope.freq_base", T_F32, c.base),
        ("tokenizer.ggml.model", T_STRING, "llama"),
        ("tokenizer.ggml.tokens", T_ARRAY, (T_STRING, tokenizer.tokens)),
        ("tokenizer.ggml.scores", T_ARRAY, (T_F32, tokenizer.scores)),
        ("tokenizer.ggml.token_type", T_ARRAY, (T_I32, tokenizer.types)),
        ("tokenizer.ggml.bos_token_id", T_U32, BOS),
        ("tokenizer.ggml.eos_token_id", T_U32, EOS),
        ("tokenizer.ggml.unknown_token_id", T_U32, UNK),
        ("tokenizer.ggml.add_bos_token", T_BOOL, True),
        ("tokenizer.ggml.add_eos_token", T_BOOL, False),
        ("tokenizer.ggml.add_space_prefix", T_BOOL, True),
    ]


def padding(size):
    return b"\0" * (-size % ALIGN)


def write_gguf(path, model, tokenizer):
    """Matrices as F16, vectors as F32; the names of the parameters are GGUF's own names."""
    pairs = metadata(model.c, tokenizer)
    tensors = []
    for name, p in model.named_parameters():
        kind = 1 if p.dim() == 2 else 0
        tensors.append((name, kind, p.detach().numpy().astype(DTYPES[kind])))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, kind, value in pairs:
        head += gguf_string(key) + struct.pack("<I", kind) + gguf_value(kind, value)
    offset = 0
    for name, kind, data in tensors:
        shape = data.shape[::-1]  # GGUF names the row length first
        head += gguf_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += data.nbytes + len(padding(data.nbytes))
    with open(path, "wb") as file:
        file.write(head + padding(len(head)))
        for _, _, data in tensors:
            file.write(data.tobytes() + padding(data.nbytes))


class GgufReader:
    """Reads what write_gguf writes: `pairs` by key, `tensors` by name as float32 arrays."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 4
        version, tensors, pairs = self._take("<IQQ")
        if self.data[:4] != b"GGUF" or version != 3:
            raise SystemExit(f"{path}: not a GGUF file of version 3")
        self.pairs = {}
        for _ in range(pairs):
            key = self._string()
            self.pairs[key] = self._value(self._take("<I")[0])
        table = []
        for _ in range(tensors):
            name = self._string()
            shape = self._take(f"<{self._take('<I')[0]}Q")
            table.append((name, shape[::-1], *self._take("<IQ")))
        base = self.at + len(padding(self.at))
        self.tensors = {}
        for name, shape, kind, offset in table:
            flat = np.frombuffer(self.data, DTYPES[kind], int(np.prod(shape)), base + offset)
            self.tensors[name] = flat.reshape(shape).astype(np.float32)

    def _take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def _string(self):
        (size,) = self._take("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def _value(self, kind):
        if kind == T_STRING:
            return self._string()
        if kind == T_ARRAY:
            item, count = self._take("<IQ")
            return [self._value(item) for _ in range(count)]
        return self._take(SCALARS[kind])[0]


def read_model(path):
    reader = GgufReader(path)
    get = lambda key: reader.pairs["llama." + key]
    c = Config(get("vocab_size"), get("embedding_length"), get("block_count"), get("attention.head_count"),
               get("attention.head_count_kv"), get("feed_forward_length"), get("context_length"),
               get("rope.freq_base"), get("attention.layer_norm_rms_epsilon"))
    model = Model(c)
    model.load_state_dict({name: torch.from_numpy(data) for name, data in reader.tensors.items()})
    token = lambda key: reader.pairs["tokenizer.ggml." + key]
    return model, Tokenizer(token("tokens"), token("scores"), token("token_type"))


# ---------------------------------------------------------------------------------------------
# Training

def batches(documents, size, rng):
    """Rows of BOS story EOS. Stories of about one length share a batch, so that little is padded."""
    chunk = size * 64
    for start in range(0, len(documents), chunk):
        part = sorted(documents[start:start + chunk], key=len)
        groups = [part[i:i + size] for i in range(0, len(part), size)]
        rng.shuffle(groups)
        for group in groups:
            rows = torch.full((len(group), max(map(len, group))), -100)
            for row, document in zip(rows, group):
                row[:len(document)] = torch.tensor(document)
            yield rows


def loss_of(model, rows, reduction="mean"):
    inputs, targets = rows[:, :-1].clamp(min=0), rows[:, 1:]
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=-100, reduction=reduction)


class Gradients:
    """The batch split among worker threads; the parts are added in a fixed order."""

    def __init__(self, model, threads):
        self.model, self.threads = model, threads
        self.parameters = list(model.parameters())
        # Tiny attention weights underflow, and arithmetic on denormal numbers is very slow.
        self.pool = concurrent.futures.ThreadPoolExecutor(threads, initializer=torch.set_flush_denormal, initargs=(True,))

    def _part(self, rows):
        loss = loss_of(self.model, rows, "sum")
        return loss.item(), torch.autograd.grad(loss, self.parameters)

    def compute(self, rows):
        """Sets .grad of every parameter, returns the mean loss of a token."""
        tokens = (rows[:, 1:] >= 0).sum().item()
        parts = list(self.pool.map(self._part, rows.chunk(self.threads)))
        for i, p in enumerate(self.parameters):
            p.grad = sum(gradients[i] for _, gradients in parts) / tokens
        return sum(loss for loss, _ in parts) / tokens


@torch.no_grad()
def held_out_loss(model, documents):
    losses = [loss_of(model, rows).item() for rows in batches(documents, 16, random.Random(0))]
    return sum(losses) / len(losses)


def encode_all(tokenizer, count, seed):
    return [[BOS] + tokenizer.encode(story) + [EOS] for story in stories(count, seed)]


def learning_rate(step, done, rate):
    """A short warm-up, then half a cosine over the share of the training that is done."""
    return rate * min(1, step / 60) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1, done))))


def train(options):
    torch.manual_seed(options.seed)
    if options.start:
        model, tokenizer = read_model(options.start)
    else:
        tokenizer = Tokenizer.train(stories(10000, options.seed), options.vocab)
        model = Model(Config(len(tokenizer.tokens), layers=options.layers, ffn=options.ffn))
    documents = encode_all(tokenizer, options.steps * options.batch, options.seed)
    held_out = encode_all(tokenizer, 256, options.seed + 1000)
    assert max(map(len, documents)) <= model.c.context
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(documents)} stories, {sum(map(len, documents))} tokens, {sum(map(len, documents)) / len(documents):.0f} "
          f"a story, at most {max(map(len, documents))}; {len(tokenizer.tokens)} kinds of token; {count} parameters", flush=True)

    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=options.rate, betas=(0.9, 0.99), eps=1e-9)
    gradients = Gradients(model, options.threads)
    begin, recent = time.time(), []
    for step, rows in enumerate(batches(documents, options.batch, random.Random(options.seed)), 1):
        # On a busy machine the clock ends the training before the number of steps does.
        done = max(step / options.steps, (time.time() - begin) / (60 * options.minutes))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, done, options.rate)
        recent.append(gradients.compute(rows))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or done >= 1:
            print(f"step {step} loss {sum(recent) / len(recent):.4f} {time.time() - begin:.0f} s", flush=True)
            recent = []
        if step % options.save == 0 or done >= 1:
            write_gguf(options.out, model, tokenizer)
            print(f"step {step} held-out loss {held_out_loss(model, held_out):.4f}", flush=True)
        if done >= 1:
            break


# ---------------------------------------------------------------------------------------------
# Sampling

@torch.no_grad()
def sample(model, tokenizer, count, temperature, seed):
    """`count` texts from the empty prompt, without top-k or top-p. None for a text that does not end."""
    generator = torch.Generator().manual_seed(seed)
    caches = [[] for _ in model.blk]
    tokens = torch.full((count, 1), BOS)
    out = [tokens]
    for position in range(model.c.context - 1):
        logits = model(tokens, position, caches)[:, -1]
        if temperature > 0:
            tokens = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        else:
            tokens = logits.argmax(-1, keepdim=True)
        out.append(tokens)
    texts = []
    for row in torch.cat(out, 1).tolist():
        texts.append(tokenizer.decode(row[1:row.index(EOS)]) if EOS in row else None)
    return texts


def report(path, options):
    model, tokenizer = read_model(path)
    held_out = encode_all(tokenizer, 256, options.seed + 1000)
    print(f"{path}: held-out loss with the weights of the file {held_out_loss(model, held_out):.4f}")
    texts = sample(model, tokenizer, options.sample, options.temperature, options.sample_seed)
    parser = Parser(Grammar())
    good = 0
    for text in texts:
        if text is not None and parser.parse(text):
            good += 1
        elif text is None:
            print("no end within the context")
        else:
            print(f"does not parse: ...{text[max(0, parser.far - 80):parser.far]}>>>{text[parser.far:parser.far + 40]}")
    if options.print:
        for text in texts:
            print(text)
    print(f"temperature {options.temperature}, seed {options.sample_seed}: {good} of {len(texts)} samples parse "
          f"({100 * good / max(1, len(texts)):.1f} %), {len(set(texts))} different")


def main():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--out", help="train, and write the model here (now and then, and at the end)")
    top.add_argument("--from", dest="start", metavar="FILE", help="go on from this model's weights (take another --seed)")
    top.add_argument("--check", metavar="FILE", help="read this model and sample from it")
    top.add_argument("--steps", type=int, default=6000)
    top.add_argument("--minutes", type=float, default=60, help="stop after this time, if it comes before the steps")
    top.add_argument("--save", type=int, default=200, help="write the file every so many steps")
    top.add_argument("--batch", type=int, default=8)
    top.add_argument("--rate", type=float, default=2e-3)
    top.add_argument("--seed", type=int, default=1, help="of data and initial weights")
    top.add_argument("--vocab", type=int, default=1280)
    top.add_argument("--layers", type=int, default=4)
    top.add_argument("--ffn", type=int, default=384)
    top.add_argument("--threads", type=int, default=2)
    top.add_argument("--sample", type=int, default=200)
    top.add_argument("--temperature", type=float, default=0.8)
    top.add_argument("--sample-seed", type=int, default=1)
    top.add_argument("--print", action="store_true", help="print the samples too")
    options = top.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if options.out:
        train(options)
    if not options.out and not options.check:
        top.error("give --out or --check")
    if options.sample:
        report(options.check or options.out, options)


if __name__ == "__main__":
    sys.exit(main())
