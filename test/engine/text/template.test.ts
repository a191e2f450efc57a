import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../engine/model/config.ts";
import { readTokenizer, type ChatMessage } from "../../../engine/model/tokenizer.ts";
import { memoryFolder, TINY_CONFIG } from "../files.ts";
import { byteTokenizer, codecOf, names, templateNamed, user, type FolderParts } from "./folders.ts";

const ADDED = [
  { id: 256, content: "<s>" },
  { id: 257, content: "</s>" },
  { id: 258, content: "<pad>" },
  { id: 259, content: "<unk>" },
  { id: 260, content: "<tool>" },
];
const tokenizer = byteTokenizer(ADDED);

async function render(parts: Omit<FolderParts, "tokenizer">, messages = [user("Hi")]): Promise<string> {
  const codec = await codecOf({ tokenizer, ...parts });
  return names(codec, codec.encodeChat(messages));
}

const { rendered } = JSON.parse(readFileSync(new URL("reference.json", import.meta.url), "utf8")) as {
  readonly rendered: readonly { name: string; template: string | null; messages: ChatMessage[]; text: string }[];
};

describe("a chat template", () => {
  for (const name of new Set(rendered.map((r) => r.name)))
    it(`writes what Jinja writes: ${name}`, async () => {
      const cases = rendered.filter((r) => r.name === name);
      // no control tokens: decoding gives the text itself
      const plain = byteTokenizer([]);
      const tokenizerConfig = { bos_token: "<s>", eos_token: "</s>", add_bos_token: false };
      const codec = await codecOf({ tokenizer: plain, template: cases[0]!.template ?? templateNamed(name), tokenizerConfig });
      for (const { messages, text } of cases) expect(codec.decode(codec.encodeChat(messages))).toBe(text);
    });

  it("knows the special tokens by tokenizer_config.json, special_tokens_map.json or the ids of config.json", async () => {
    const template =
      "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ additional_special_tokens[0] }}";
    const tokens = { bos_token: "<s>", eos_token: { content: "</s>" }, pad_token: "<pad>", unk_token: "<unk>" };
    const rest = { additional_special_tokens: ["<tool>"] };
    expect(await render({ template, tokenizerConfig: { ...tokens, ...rest } })).toBe("<s>Hi</s><pad><unk><tool>");
    expect(await render({ template, specialTokensMap: { ...tokens, ...rest } })).toBe("<s>Hi</s><pad><unk><tool>");
    expect(
      await render({
        template: "{{ bos_token + messages[0].content + eos_token + pad_token }}",
        config: { bos_token_id: 256, eos_token_id: [257, 260], pad_token_id: 258 },
      }),
    ).toBe("<s>Hi</s><pad>");
  });

  it("is the one in tokenizer_config.json where there is no file, the one named default among several", async () => {
    const inConfig = "[{{ messages[0].content }}]";
    expect(await render({ tokenizerConfig: { chat_template: inConfig } })).toBe("[Hi]");
    const several = [
      { name: "tool_use", template: "no" },
      { name: "default", template: inConfig },
    ];
    expect(await render({ tokenizerConfig: { chat_template: several } })).toBe("[Hi]");
    expect(await render({ template: "({{ messages[0].content }})", tokenizerConfig: { chat_template: inConfig } })).toBe("(Hi)");
    await expect(codecOf({ tokenizer, tokenizerConfig: { chat_template: several.slice(0, 1) } })).rejects.toThrow(/one called "default"/);
  });

  it("is read as Jinja reads it: line ends, blocks, one line end less at the end", async () => {
    const lines = [
      "{% for message in messages %}",
      "  {% if true %}",
      "{{ message.role }}:",
      "  {% endif %}",
      "{{ message.content }}",
      "{% endfor %}",
      "",
    ];
    expect(await render({ template: lines.join("\r\n") })).toBe("user:\nHi\n");
    expect(await render({ template: lines.join("\n") })).toBe("user:\nHi\n");
  });

  it("finds what transformers gives it", async () => {
    const template =
      "{% if tools is none and add_generation_prompt and bos_token is not defined %}{{ messages | tojson }} {{ strftime_now('%Y') | length }}{{ range(3) | length }}{% endif %}";
    expect(await render({ template })).toBe('[{"role": "user", "content": "Hi"}] 43');
  });

  it("writes bos once, whoever writes it", async () => {
    const config = { bos_token_id: 256 };
    const literal = await codecOf({ tokenizer, template: "<s>{{ messages[0].content }}", config });
    expect(names(literal, literal.encodeChat([user("Hi")]))).toBe("<s>Hi");
    const none = await codecOf({ tokenizer, template: "{{ messages[0].content }}", config });
    expect(names(none, none.encodeChat([user("Hi")]))).toBe("<s>Hi");
    expect(none.encode("<s>Hi")).toEqual(none.encode("Hi"));
    expect(none.encode("<s>")).toEqual([256]);
  });

  it("leaves bos out where the tokenizer's settings do", async () => {
    for (const tokenizerConfig of [{ add_bos_token: false, bos_token: "<s>" }, { bos_token: null }]) {
      const codec = await codecOf({ tokenizer, template: "{{ messages[0].content }}", config: { bos_token_id: 256 }, tokenizerConfig });
      expect(names(codec, codec.encodeChat([user("Hi")]))).toBe("Hi");
      expect(names(codec, codec.encode("Hi"))).toBe("Hi");
    }
  });

  it("sees what callers wrote as it is", async () => {
    const template = `{%- set c = messages[0].content -%}
{{ c | length }}|{{ c | upper }}|{{ c[0] }}|{{ c[-2:] }}|{{ c.split(' ')[1] }}|{{ c | replace('o', '0') }}|{{ 'wor' in c }}|{{ c == 'Hello "world"' }}|
{{- c.startswith('He') }}|{{ c | tojson }}|{{ c is string }}|{{ {'a': c} | tojson }}|{{ [c] | join('-') }}|{{ c.strip('H"') }}|{% filter lower %}{{ c }}{% endfilter %}|{{ '5' | int + 1 }}`;
    expect(await render({ template }, [user('Hello "world"')])).toBe(
      '13|HELLO "WORLD"|H|d"|"world"|Hell0 "w0rld"|True|True|True|"Hello \\"world\\""|True|{"a": "Hello \\"world\\""}|Hello "world"|ello "world|hello "world"|6',
    );
  });

  it("may refuse messages with its own words, which are the caller's to read", async () => {
    const template =
      "{% if messages[0].role == 'system' %}{{ raise_exception('No system: ' + messages[0].content) }}{% endif %}{{ messages[0].content }}";
    const codec = await codecOf({ tokenizer, template });
    expect(() => codec.encodeChat([{ role: "system", content: "Be brief" }])).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringContaining("No system: Be brief") }),
    );
  });

  it("that fails is found at load, or is the model's fault", async () => {
    for (const template of ["{{ messages[0].content | nonsense }}", "{{ missing + 1 }}", "{{ messages[0].content.foo() }}"])
      await expect(codecOf({ tokenizer, template }), template).rejects.toMatchObject({ code: "invalid_template" });
    const codec = await codecOf({
      tokenizer,
      template: "{% if messages | length > 1 %}{{ missing + 1 }}{% endif %}{{ messages[0].content }}",
    });
    expect(() => codec.encodeChat([user("a"), user("b")])).toThrow(expect.objectContaining({ code: "invalid_template" }));
    expect(codec.encodeChat([user("a")])).toHaveLength(1);
  });

  it("that is empty is found at load", async () => {
    for (const template of ["", " \n", "\r\n\t"])
      await expect(codecOf({ tokenizer, template }), template).rejects.toMatchObject({
        code: "invalid_template",
        message: expect.stringContaining("is empty"),
      });
  });

  it("is not needed for a single question, and nothing is dropped without it", async () => {
    const codec = await codecOf({ tokenizer });
    expect(names(codec, codec.encodeChat([user("Hi")]))).toBe("Hi");
    for (const messages of [
      [{ role: "system", content: "Be brief" }, user("Hi")],
      [user("a"), user("b")],
    ])
      expect(() => codec.encodeChat(messages)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  it("takes the roles of the API alone", async () => {
    const codec = await codecOf({ tokenizer, template: "<{{ messages[0].role }}>{{ messages[0].content }}" });
    expect(() => codec.encodeChat([{ role: "tool>", content: "x" }])).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "messages" }),
    );
  });
});

describe("the settings of a tokenizer", () => {
  it("that name a stop token which is none are told", async () => {
    const heard: string[] = [];
    const files = {
      "tokenizer.json": JSON.stringify(tokenizer),
      "tokenizer_config.json": JSON.stringify({ eos_token: "</S>", bos_token: "<s>" }),
    };
    const folder = { ...memoryFolder(files), notice: (line: string) => void heard.push(line) };
    await readTokenizer(folder, parseConfig({ ...TINY_CONFIG, vocab_size: 512 }));
    expect(heard).toEqual([expect.stringContaining('eos_token "</S>" is no token of tokenizer.json')]);
  });

  it("without a vocabulary are refused, as every text would be none", async () => {
    const empty = { ...tokenizer, model: { ...(tokenizer as { model: object }).model, vocab: {}, merges: [] } };
    await expect(codecOf({ tokenizer: empty })).rejects.toMatchObject({
      code: "invalid_tokenizer",
      message: expect.stringContaining("no vocabulary"),
    });
  });

  it("of a wrong form are named", async () => {
    for (const tokenizerConfig of [{ bos_token: 5 }, { add_bos_token: "yes" }, { additional_special_tokens: "x" }, { chat_template: 5 }])
      await expect(codecOf({ tokenizer, tokenizerConfig })).rejects.toThrow(new RegExp(Object.keys(tokenizerConfig)[0]!));
  });
});

describe("the shipped model's template", () => {
  it("takes one question, system messages before it, and refuses rather than drops what else there is", async () => {
    const nano = new URL("../../../models/nano/", import.meta.url);
    const read = (file: string): Promise<string> => readFile(new URL(file, nano), "utf8");
    const files = { "tokenizer.json": await read("tokenizer.json"), "chat_template.jinja": await read("chat_template.jinja") };
    const codec = await readTokenizer(memoryFolder(files), parseConfig(JSON.parse(await read("config.json"))));
    expect(codec.decode(codec.encodeChat([user(" Add 1. ")]))).toBe("Add 1.\nAnswer:");
    const system = { role: "system", content: "Be brief. " };
    const assistant = { role: "assistant", content: "5" };
    expect(codec.decode(codec.encodeChat([system, user("Add 1.")]))).toBe("Be brief. Add 1.\nAnswer:");
    expect(codec.decode(codec.encodeChat([{ ...system, content: " " }, user("Add 1.")]))).toBe("Add 1.\nAnswer:");
    const refused = [
      [user("Q"), assistant],
      [user("Q"), assistant, user("R")],
      [assistant, user("Q")],
      [system],
      [user("Q"), user("R")],
      [user("Q"), system],
    ];
    for (const messages of refused)
      expect(() => codec.encodeChat(messages)).toThrow(
        expect.objectContaining({ code: "invalid_request", message: expect.stringContaining("exactly one user message") }),
      );
    expect(() => codec.encodeChat([system, user(" ")])).toThrow(/user message is empty/);
  });
});
