/**
 * A template is a program that came with a model: whatever it does, it ends soon, within the memory of an isolate, with
 * a named error.
 */
import { describe, expect, it } from "vitest";
import { byteTokenizer, codecOf, user } from "./folders.ts";

const tokenizer = byteTokenizer([]);
const repeat = (count: number, body: string): string =>
  `{% set ns = namespace(x='aa', l=[1, 'a']) %}{% for i in range(${count}) %}${body}{% endfor %}{{ ns.x | length }}`;

const HOSTILE: Readonly<Record<string, string>> = {
  "a text that doubles by replace": repeat(60, "{% set ns.x = ns.x | replace('a', 'aa') %}"),
  "a text that squares by replace": repeat(60, "{% set ns.x = ns.x.replace('a', ns.x) %}"),
  "a text that grows by replacing nothing": repeat(60, "{% set ns.x = ns.x.replace('', ns.x) %}"),
  "a method that is kept for later": repeat(60, "{% set f = ns.x.replace %}{% set ns.x = f('a', ns.x) %}"),
  "a method by its name in brackets": repeat(60, "{% set ns.x = ns.x['replace']('a', ns.x) %}"),
  "arguments that are unpacked": repeat(60, "{% set ns.x = ns.x.replace(*['a', ns.x]) %}"),
  "a method as a call block": `{% set x = 'a' %}{% call x.replace('a', 'b') %}{% endcall %}`,
  "a filter block": repeat(60, "{% set ns.x %}{% filter replace('a', 'aa') %}{{ ns.x }}{% endfilter %}{% endset %}"),
  "a text that doubles by concatenation": repeat(100, "{% set ns.x = ns.x ~ ns.x %}"),
  "a text that doubles by addition": repeat(100, "{% set ns.x = ns.x + ns.x %}"),
  "a text that doubles by a block": repeat(100, "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}"),
  "a text that doubles by join": repeat(100, "{% set ns.x = [ns.x, ns.x] | join %}"),
  "a separator that squares": repeat(100, "{% set ns.x = ns.x | join(ns.x) %}"),
  "a deep indentation": "{{ ('a\\n' ~ 'b') | indent(1000000000) }}",
  "a deep indentation by name": "{{ ('a\\n' ~ 'b') | indent(width=1000000000) }}",
  "a wide JSON": "{{ [[1]] | tojson(indent=1000000000) }}",
  "a long separator in JSON": repeat(21, "{% set ns.x = ns.x ~ ns.x %}") + "{{ [1, 2, 3] | tojson(separators=(ns.x, ns.x)) }}",
  "a list that doubles": repeat(60, "{% set ns.l = ns.l + ns.l %}"),
  "lists that hold one another": repeat(60, "{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l | tojson }}",
  "mappings that hold one another": repeat(60, "{% set ns.l = {'a': ns.l, 'b': ns.l} %}") + "{{ ns.l }}",
  "namespaces that hold one another": repeat(60, "{% set n = namespace(a=ns.l, b=ns.l) %}{% set ns.l = n %}") + "{{ ns.l }}",
  "lists filled after they were weighed": `{% set ns = namespace(v=[]) %}${Array.from({ length: 40 }, (_, i) => `{% set n${i} = namespace(x=1) %}{% set a${i} = [n${i}] %}`).join("")}${Array.from({ length: 39 }, (_, i) => `{% set n${i + 1}.x = [a${i}, a${i}] %}`).join("")}{{ a39 }}`,
  "a namespace that holds itself": "{% set ns = namespace(x=1) %}{% set ns.x = ns %}{{ ns }}",
  "a list compared with a text": repeat(60, "{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l == 'a' }}",
  "a long range": "{% for i in range(3000000) %}x{% endfor %}",
  "a range without an end": "{% for i in range(0, 10, 0) %}x{% endfor %}",
  "a range of no numbers": "{% for i in range('9999999999') %}x{% endfor %}",
  "loops inside loops":
    "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}",
  "loops over conditions": "{% for i in range(9999) %}{% for j in range(9999) if j > 99999 %}x{% endfor %}{% endfor %}",
  "searches in long lists": "{% set l = range(49999) %}{% for i in range(49999) %}{% if 'a' in l %}x{% endif %}{% endfor %}",
  "long loops that are left at once": "{% for i in range(9999) %}{% for j in range(49999) %}{% break %}{% endfor %}{% endfor %}",
  "a macro that calls itself": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
  "a macro that calls itself twice": "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
  "parentheses without end": `{{ ${"(".repeat(20_000)}1${")".repeat(20_000)} }}`,
  "a long sum": `{{ 1${" + 1".repeat(20_000)} }}`,
  "white space without end": `{{ 1 }}${" ".repeat(100_000)}{% generation %}`,
  "a file without end": "x".repeat(1 << 18),
  "a word split apart": repeat(17, "{% set ns.x = ns.x ~ ns.x %}") + "{{ ns.x.split('a') | length }}",
};

describe("a template that does not end well", () => {
  for (const [name, template] of Object.entries(HOSTILE))
    it(`is refused at load: ${name}`, async () => {
      await expect(codecOf({ tokenizer, template })).rejects.toMatchObject({
        code: expect.stringMatching(/^invalid_(template|tokenizer)$/),
      });
    });

  it("at one conversation alone is the model's fault then", async () => {
    const template = `{% if messages | length > 1 %}${repeat(60, "{% set ns.x = ns.x | replace('a', 'aa') %}")}{% endif %}ok`;
    const codec = await codecOf({ tokenizer, template });
    expect(codec.encodeChat([user("a")])).toHaveLength(2);
    expect(() => codec.encodeChat([user("a"), user("b")])).toThrow(expect.objectContaining({ code: "invalid_template" }));
    expect(codec.encodeChat([user("a")])).toHaveLength(2);
  });
});

describe("a template that works hard", () => {
  it("may deal with long conversations and long texts", async () => {
    const template = `{% for m in messages %}{% if loop.index0 > 0 and messages[loop.index0 - 1].role == m.role %}{{ '' }}{% endif %}{{ '[' ~ m.content | trim ~ ']' }}{% endfor %}`;
    const codec = await codecOf({ tokenizer, template, config: { block_size: 131_072 } });
    expect(codec.encodeChat(Array.from({ length: 4000 }, () => user("ab")))).toHaveLength(16_000);
    expect(codec.encodeChat([user("a".repeat(100_000))])).toHaveLength(100_002);
  });

  it("is not asked about conversations that no context holds", async () => {
    const codec = await codecOf({ tokenizer, template: "{{ messages | length }}" });
    for (const messages of [Array.from({ length: 5000 }, () => user("a")), [user("a".repeat(2_000_000))]])
      expect(() => codec.encodeChat(messages)).toThrow(expect.objectContaining({ code: "context_overflow" }));
  });
});
