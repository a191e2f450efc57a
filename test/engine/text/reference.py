"""Writes reference.json: ids and texts as Hugging Face's own tokenizers gives them, for vocabulary.test.ts; and prompts
as Jinja writes them, set up as transformers does, for template.test.ts.

    pip install tokenizers==0.23.3 jinja2==3.1.6 && python test/engine/text/reference.py
"""
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.sandbox
from tokenizers import Tokenizer, __version__

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_characters():
    printable = [b for b in range(256) if 32 < b < 127 or (b > 160 and b != 173)]
    rest = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(rest)) for b in range(256)]


def added(id, content, special=False, **flags):
    token = {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {**token, "special": special, **flags}


def byte_level(split, added_tokens, normalizer=None):
    """Merges only of two letters, so that word borders show in the ids."""
    vocab = {c: i for i, c in enumerate(byte_characters())}
    merges = [(a, b) for a in "Ġ'ehlosrt1\n" for b in "ehlosrt1"]
    pairs = [("Ċ" if a == "\n" else a, b) for a, b in merges] + [("Ġ", "Ġ"), ("Ċ", "Ċ")]
    for a, b in pairs:
        vocab.setdefault(a + b, len(vocab))
    top = len(vocab)
    byte = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": split is None}
    cut = {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{**t, "id": top + t["id"]} for t in added_tokens],
        "normalizer": normalizer,
        "pre_tokenizer": byte if split is None else {"type": "Sequence", "pretokenizers": [cut, byte]},
        "post_processor": None, "decoder": byte,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": [list(p) for p in pairs]},
    }


def byte_fallback():
    """As Llama 2 and its kin: byte tokens, a word mark, a space stripped at the start."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for b in range(256):
        vocab[f"<0x{b:02X}>"] = len(vocab)
    for c in ["▁", *"abcdehlorw"]:
        vocab[c] = len(vocab)
    for a, b in [("▁", "w"), ("▁w", "o"), ("▁", "a")]:
        vocab[a + b] = len(vocab)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(0, "<unk>", True), added(1, "<s>", True), added(2, "</s>", True)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                     {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab,
                  "merges": [["▁", "w"], ["▁w", "o"], ["▁", "a"]]},
    }


ADDED = [
    added(0, "<|end|>", True), added(1, "art", single_word=True), added(2, "<m>", lstrip=True), added(3, "<r>", rstrip=True),
    added(4, "<mr>", lstrip=True, rstrip=True, single_word=True), added(5, "HELLO", normalized=True), added(6, "  "), added(7, "<|end|>x"),
]
TOKENIZERS = {
    "gpt2": byte_level(None, ADDED), "llama3": byte_level(LLAMA3, ADDED[:1]), "qwen2": byte_level(QWEN2, ADDED[:1]), "o200k": byte_level(O200K, ADDED[:1]),
    "lower": byte_level(None, ADDED, {"type": "Lowercase"}), "nfc": byte_level(None, ADDED, {"type": "NFC"}), "fallback": byte_fallback(),
}
TEXTS = [
    "hello world", "art", "start art, arts art", "art.art art_ éart artist art1", "a <m> b  <m>  c", "a <r>   b <mr> c x<mr>y",
    "HELLO hello Hello", "HELLOHELLO x  y   z", "<|end|>x<|end|>", "\ufeffhello \ufeff art", "a\ufeff", "\ufeff", "  lead and trail  ",
    "line\n\n  next\r\n\tx", "It's 12345 o'clock — ünï ✓ 日本 🙂", "a\u00a0b\u2003c\u200bd", "e\u0301 \u00e9", "x\u0085y", "DON'T Don't", "\t\t\n \n", "x\ufeff<m>\u0085<r>\u0085\ufeffy <m>",
]
BYTES = {
    "mark": [0xEF, 0xBB, 0xBF], "mark twice": [0xEF, 0xBB, 0xBF] * 2, "one bad": [0xFF], "two bad": [0xFF, 0xFE], "cut": [0xE2, 0x9C],
    "good": [0xE2, 0x9C, 0x93], "good and bad": [0xC3, 0xA9, 0xFF], "bad and good": [0xFF, 0xC3, 0xA9], "surrogate": [0xED, 0xA0, 0x80], "overlong": [0xC0, 0x80],
}


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


TEMPLATE_NAMES = ["chatml", "llama3", "huginn", "phi3", "mistral", "qwen3"]
CONVERSATIONS = [
    [user("Hello")],
    [user("  two\n\nlines \t")],
    [{"role": "system", "content": " Be brief. "}, user("Q?"), assistant("A."), user("R?")],
    [user("1"), assistant("<think>\n\nhm </x>\n</think>\n\nYes </think> no"), user("2")],
    [user("1"), assistant("\n\n<think>a"), user("{{ bos_token }} {% raw %}")],
    [user(""), assistant("\x1f x \x85"), user("\ufeffy\ufeff")],
]
#: Small templates, one a line, about what templates do to text.
EXPRESSIONS = r"""
{{ m[0].content | trim }}|{{ m[0].content.strip() }}|{{ m[0].content.lstrip('ab ') }}|{{ m[0].content.rstrip(' c') }}
{{ m[0].content | length }} {{ m[0].content | upper }} {{ m[0].content | lower }} {{ m[0].content[1:4] }} {{ m[0].content[-1] }}
{{ m[0].content | replace('b', 'xy') }} {{ m[0].content.replace('b', '') }} {{ m[0].content.split('b') | join('+') }} {{ m[0].content.split() | last }}
{% if 'b' in m[0].content and m[0].content.startswith(' a') and not m[0].content.endswith('z') and m[0].content != 'q' %}yes{% endif %}
{{ m[0].content | tojson }} {{ m | tojson(indent=2) }} {{ {'a': m[0].content, 'b': [1, none]} | tojson }}
{% set ns = namespace(found=false) %}{% for x in m %}{% if x.content.strip() == 'ab c' %}{% set ns.found = true %}{% endif %}{{ loop.index }}{{ x.content ~ loop.last|string|lower }}{% endfor %}
{% macro w(t, n=2) %}[{{ t }}:{{ n }}]{% endmacro %}{{ w(m[0].content) }}{{ w(t=m[0].content, n=3) }}{% set b %}<{{ m[0].content }}>{% endset %}{{ b | trim }}
{% filter upper %}x{{ m[0].content }}{% endfilter %}{{ m | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(',') }}
{{ m[0].content if m[0].content is string and m[0].content is defined else 'no' }}{{ (m[0].content ~ '-' ~ 1) }}{{ missing | default(m[0].content) }}
{% for x in m if x.role == 'user' %}{{ x['content'] }}{% else %}none{% endfor %}{{ m[0].get('name', 'anonymous') }}{{ range(2, 9, 3) | list | join(' ') }}
{{ true }} {{ none }} {{ 'b' in m[0].content }} {{ 'k' ~ true ~ none ~ [1.5, false] }} {{ [true, 1] | string }} {{ {'x': none, 'y': m[0].content} }}
{{ m }} {{ m[0].content.split() }} {{ ["it's", 'say "hi"', 'a\\n\\té\\u200b', (m | last).content] }} {{ missing }}{{ none or m[0] }}
""".strip().split("\n")


def environment():
    """As transformers' chat_template_utils sets it up."""

    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    env.globals["raise_exception"] = refuse
    return env


def rendered():
    folder = pathlib.Path(__file__).with_name("templates")
    variables = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, "tools": None, "documents": None}
    templates = [(name, (folder / f"{name}.jinja").read_text(), CONVERSATIONS) for name in TEMPLATE_NAMES]
    templates += [(e, "{% set m = messages %}" + e, [[user(" ab c"), assistant('"<s>"\n')]]) for e in EXPRESSIONS]
    return [
        {"name": name, "template": None if name in TEMPLATE_NAMES else source, "messages": messages,
         "text": environment().from_string(source).render(messages=messages, **variables)}
        for name, source, conversations in templates for messages in conversations
    ]


def main():
    made = {name: Tokenizer.from_str(json.dumps(t)) for name, t in TOKENIZERS.items()}
    encode = [{"tokenizer": name, "text": text, "ids": t.encode(text, add_special_tokens=False).ids} for name, t in made.items() for text in TEXTS]
    fallback = made["fallback"]
    ids_of = lambda tokens: [fallback.token_to_id(t) for t in tokens]
    decode = []
    for name, run in BYTES.items():
        run = [f"<0x{b:02X}>" for b in run]
        for tokens in (run, ["▁a", *run, "▁wo"], ["a", *run, "</s>", *run, "a"], ["<s>", "▁a", *run]):
            decode.append({"bytes": name, "ids": ids_of(tokens), "text": fallback.decode(ids_of(tokens))})
    out = {"madeBy": f"tokenizers {__version__}, jinja2 {jinja2.__version__}", "tokenizers": TOKENIZERS, "encode": encode, "decode": decode, "rendered": rendered()}
    path = pathlib.Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
