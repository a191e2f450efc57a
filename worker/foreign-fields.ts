/**
 * Fields of OpenAI's requests, and of the servers that answer like it, that this server does not read, one rule for every object of a body: what changes no answer
 * is passed over, what would change one is refused by name, and so is a name that nobody knows. null says nothing.
 */
import { excerpt, joined, printable, unknownParameter } from "./check.ts";
import { ApiError } from "./errors.ts";

export interface Foreign {
  /** Fields that say something about a request without changing its answer. */
  readonly ignored: ReadonlySet<string>;
  /** Fields that would change the answer, but for these values. */
  readonly unsupported: Readonly<Record<string, readonly unknown[]>>;
}

export const BODY: Foreign = {
  ignored: new Set([
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "cache_prompt",
    "priority",
  ]),
  unsupported: {
    best_of: [1],
    tools: [[]],
    tool_choice: ["none", "auto"],
    functions: [[]],
    function_call: ["none", "auto"],
    response_format: [{ type: "text" }],
    logprobs: [false],
    top_logprobs: [0],
    logit_bias: [{}],
    frequency_penalty: [0],
    presence_penalty: [0],
    echo: [false],
    suffix: [""],
    modalities: [["text"]],
    verbosity: ["medium"],
    audio: [],
    prediction: [],
    web_search_options: [],
    moderation: [],
    // of other servers' APIs, at the values that their clients send unasked
    top_k: [-1, 0],
    min_p: [0],
    typical_p: [1],
    repetition_penalty: [1],
    repeat_penalty: [1],
    length_penalty: [1],
    min_tokens: [0],
    ignore_eos: [false],
    use_beam_search: [false],
    stop_token_ids: [[]],
    skip_special_tokens: [true],
    spaces_between_special_tokens: [true],
    include_stop_str_in_output: [false],
    add_generation_prompt: [true],
    continue_final_message: [false],
    chat_template_kwargs: [{}],
  },
};

/** An assistant's message may come back as a server has sent it. */
export const MESSAGE: Foreign = {
  ignored: new Set(["id"]),
  unsupported: {
    name: [],
    tool_calls: [[]],
    tool_call_id: [],
    function_call: [],
    refusal: [""],
    audio: [],
    annotations: [[]],
    reasoning: [""],
    reasoning_content: [""],
    prefix: [false],
  },
};

/** A hint to other servers' caches changes nothing here. */
export const PART: Foreign = { ignored: new Set(["cache_control"]), unsupported: { annotations: [[]] } };

/** Padding against eavesdroppers is the server's to give. */
export const STREAM_OPTIONS: Foreign = { ignored: new Set(["include_obfuscation"]), unsupported: {} };

/**
 * @param known names that are read elsewhere
 * @param path of the object within the body
 * @throws {ApiError} 400 unknown_parameter or unsupported_parameter
 */
export function refuseForeign({ ignored, unsupported }: Foreign, known: object, given: object, path = ""): void {
  for (const [name, value] of Object.entries(given)) {
    if (Object.hasOwn(known, name) || ignored.has(name) || value === null || value === undefined) continue;
    const neutral = Object.hasOwn(unsupported, name) ? unsupported[name] : undefined;
    const param = joined(path, printable(name, LONGEST_NAME));
    if (neutral === undefined) throw unknownParameter(param);
    if (neutral.some((n) => excerpt(n) === excerpt(value))) continue;
    const otherwise = neutral.length > 0 ? ` or set it to ${JSON.stringify(neutral[0])}` : "";
    throw new ApiError(400, "unsupported_parameter", `${param} is not supported; leave it out${otherwise}.`, param);
  }
}

/** Longest name in a message, in characters. */
const LONGEST_NAME = 60;
