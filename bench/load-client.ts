/**
 * A client of the load bench: asks a question with a deadline or without, as a stream or in one piece, and keeps what
 * came of it, by its own watch and by the answer's account.
 */

export interface Question {
  readonly prompt: string;
  /** Right answer. */
  readonly answer: string;
  readonly latencyMs?: number | undefined;
  readonly isStream: boolean;
  /** Further fields of the body. */
  readonly more?: object;
}

/** A question and what came of it. */
export interface Asked extends Question {
  /** Status of the answer; 0: the connection was closed before it had arrived. */
  readonly status: number;
  readonly text: string;
  readonly isRight: boolean;
  /** What cut the answer short, in the answer's words; null: nothing. */
  readonly limitedBy: string | null;
  readonly tookMs: number;
  /** Time by the response's own account, in milliseconds. */
  readonly ownMs: number | undefined;
}

/** Some 800 tokens: nearly all of the shipped model's context. */
export function longPrompt(): string {
  return `Start with 4. ${"Add 9. ".repeat(260)}What is the last digit?`;
}

export async function ask(url: URL, question: Question): Promise<Asked> {
  const { prompt, answer, latencyMs, isStream, more } = question;
  const body = JSON.stringify({
    model: "nano",
    messages: [{ role: "user", content: prompt }],
    ...more,
    ...(latencyMs !== undefined && { budget: { latency_ms: latencyMs } }),
    ...(isStream && { stream: true, stream_options: { include_usage: true } }),
  });
  const startMs = performance.now();
  const { status, sent } = await post(new URL("/v1/chat/completions", url), body);
  const tookMs = performance.now() - startMs;
  const { text, budget } = status === 200 ? read(sent, isStream) : { text: "", budget: undefined };
  return {
    ...question,
    status,
    text,
    isRight: text.trim() === answer,
    limitedBy: budget?.limited_by ?? null,
    tookMs,
    ownMs: budget?.latency_ms,
  };
}

async function post(url: URL, body: string): Promise<{ status: number; sent: string }> {
  try {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    return { status: response.status, sent: await response.text() };
  } catch {
    return { status: 0, sent: "" };
  }
}

interface Chunk {
  readonly choices: readonly { readonly delta?: { readonly content?: string }; readonly message?: { readonly content: string } }[];
  readonly budget?: { readonly latency_ms: number; readonly limited_by: string | null };
}

function read(sent: string, isStream: boolean): { text: string; budget: Chunk["budget"] } {
  const lines = isStream ? sent.split("\n").filter((line) => line.startsWith("data: {")) : [`data: ${sent}`];
  const chunks = lines.map((line) => JSON.parse(line.slice("data: ".length)) as Chunk);
  return {
    text: chunks.map(({ choices: [choice] }) => choice?.delta?.content ?? choice?.message?.content ?? "").join(""),
    budget: chunks.findLast(({ budget }) => budget !== undefined)?.budget,
  };
}
