"""Writes and reads the bundled story model's file; for train_tiny.py.

GGUF version 3: header, key-value pairs, tensor table, then the tensors, each on a multiple of 32.
"""
import struct

import numpy as np

from tiny_tokenizer import BOS, EOS, UNK

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
