#!/usr/bin/env -S python3
"""Trains the bundled story model, tokenizer and weights, and writes it as GGUF F16.

  train_tiny.py --out FILE.gguf [--steps N] [--seed S]       train (about half an hour on 2 cores)
  train_tiny.py --check FILE.gguf --sample 200               sample from a file, count what parses

Needs Debian's python3 with python3-torch and python3-numpy; libopenblas0-pthread makes it several
times faster. The text comes from make_stories.py. Nothing else in this project needs torch: the
written file is part of the project, and this program says how it came to be.
"""
import argparse
import concurrent.futures
import math
import os
import random
import sys
import time

# Parallel over the batch (see Gradients), so every worker's libraries shall use one thread. This is
# two to three times faster on a shared machine than threads that meet after each operation.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import torch
from torch import nn
from torch.nn import functional as F

from make_stories import Grammar, Parser, stories
from tiny_gguf import GgufReader, write_gguf
from tiny_tokenizer import BOS, EOS, Tokenizer


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
