/** The playground's page itself, in a document of its own, against the app that serves it. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Window } from "happy-dom";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { loadNodeModel, modelPath } from "../../cli/models.ts";
import { addPage, addPlayground } from "../../cli/playground.ts";
import type { Model } from "../../engine/port/model.ts";
import { openEngine } from "../../examples/browser/engine.ts";
import { curlCommand } from "../../examples/browser/page/api.ts";
import { engineHere } from "../../examples/browser/page/engine-here.ts";
import { openPage } from "../../examples/browser/page/page.ts";
import { createApp } from "../../worker/app.ts";

const HTML = fileURLToPath(new URL("../../examples/browser/index.html", import.meta.url));
const INPUT = "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

let model: Model;
beforeAll(async () => {
  model = await loadNodeModel("nano", "wasm");
});
const windows: Window[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  for (const window of windows.splice(0)) await window.happyDOM.close();
});

interface OpenPage {
  readonly window: Window;
  readonly asked: string[];
  readonly copied: string[];
  text(id: string): string;
  /** Clicks a form's button, and waits until it can be clicked again. */
  submit(id: "ask" | "decide"): Promise<void>;
  set(form: string, name: string, value: string): void;
  click(selector: string): void;
}

async function open({
  playground = false,
  apiKeys,
  origin = "http://host",
}: { playground?: boolean; apiKeys?: string[]; origin?: string } = {}): Promise<OpenPage> {
  const app = createApp({ model, apiKeys });
  if (playground) addPlayground(app, modelPath("nano"));
  const window = new Window({ url: `${origin}/` });
  windows.push(window);
  window.document.write((await readFile(HTML, "utf8")).replace(/<script[\s\S]*?<\/script>/g, ""));
  vi.stubGlobal("document", window.document);
  const [asked, copied]: [string[], string[]] = [[], []];
  const ask = async (path: string, init?: RequestInit): Promise<Response> => {
    asked.push(path);
    init?.signal?.throwIfAborted();
    return app.request(path, init);
  };
  vi.stubGlobal("fetch", ask);
  await openPage({
    fetch: ask,
    engine: engineHere(ask, async () => ({ openEngine }), ""),
    origin,
    copy: async (text) => void copied.push(text),
  });
  const find = (selector: string) => window.document.querySelector(selector)! as unknown as HTMLInputElement;
  return {
    window,
    asked,
    copied,
    text: (id) => find(`#${id}`).textContent,
    async submit(id) {
      find(`#${id}`).dispatchEvent(new window.Event("submit", { cancelable: true }) as unknown as Event);
      await vi.waitFor(() => expect(find(`#${id} button`).disabled).toBe(false), { timeout: 30_000, interval: 20 });
    },
    set(form, name, value) {
      find(`#${form} [name=${name}]`).value = value;
      find(`#${form}`).dispatchEvent(new window.Event("input") as unknown as Event);
    },
    click: (selector) => find(selector).click(),
  };
}

describe("the page", () => {
  it("is whole: a main part, live regions, a name for every control, colours for dark and light", async () => {
    const { window } = await open();
    const { document } = window;
    expect(document.querySelectorAll("main").length).toBe(1);
    for (const id of ["answer", "outcome"]) expect(document.getElementById(id)!.getAttribute("aria-live"), id).toBe("polite");
    for (const control of document.querySelectorAll("input, textarea, meter, button")) {
      const isNamed = control.closest("label") !== null || control.hasAttribute("aria-label") || control.textContent.trim() !== "";
      expect(isNamed, control.outerHTML).toBe(true);
    }
    expect(await readFile(HTML, "utf8")).toMatch(/color-scheme: light dark;[\s\S]*light-dark\(/);
  });

  it("shows the model's card: what it is for, how deep it may think, how good it is at which depth", async () => {
    const page = await open();
    for (const part of ["nano", "four forms of step-by-step problems", "up to 64", "Right answers by iterations", "r = 32", "arithmetic"])
      expect(page.text("card")).toContain(part);
    expect(page.window.document.querySelectorAll("#card tr").length).toBeGreaterThan(20);
  });

  it("asks the server, under the sliders' budget, and says what was spent", async () => {
    const page = await open();
    expect(page.window.document.querySelectorAll("#settings input[type=range]").length).toBe(3);
    await page.submit("ask");
    expect(page.text("answer").trim()).toBe("Yes");
    expect(page.text("spent")).toMatch(
      /^On the server: 9 iterations \(at most \d+ a token, \d+ saved by the exit rule\), \d+ ms, \$[\d.e-]+\.$/,
    );
    expect(page.window.document.querySelector("#answer .token")!.getAttribute("style")).toMatch(/--heat: \d+%/);
    page.set("settings", "iterations", "2");
    page.set("settings", "latency", "12");
    page.set("settings", "cost", "10");
    await page.submit("ask");
    expect(page.text("spent")).toContain("(at most 2 a token");
    expect(page.text("curl")).toContain('"iterations": 2');
    expect(page.text("curl")).toContain('"latency_ms": 1000');
    expect(page.text("curl")).toContain('"cost_usd": 0.000005');
    expect(page.asked.filter((path) => path.includes("/model/"))).toEqual(["/playground/model/config.json"]); // asked for once, not given
  });

  it("says in the server's words what cannot be had", async () => {
    const page = await open();
    page.set("settings", "cost", "1");
    await page.submit("ask");
    expect(page.text("log")).toMatch(/budget/i);
    expect(page.text("answer")).toBe("");
  });

  it("says what the model is for where a prompt has none of its forms", async () => {
    const page = await open();
    expect(page.text("card")).toContain("Trained on generated problems of these forms and on nothing else.");
    await page.submit("ask");
    expect(page.text("log")).toBe("");
    page.set("ask", "question", "Hello");
    await page.submit("ask");
    expect(page.text("log")).toMatch(/^nano was trained on prompts of 4 forms .* the answer means nothing/);
  });

  it("fills both forms by an example, and gives the same request as a command", async () => {
    const page = await open({ origin: "http://127.0.0.1:8788" });
    page.click("#examples button:nth-child(3)");
    await page.submit("ask");
    expect(page.text("answer").trim()).toBe("5");
    await page.submit("decide");
    expect(page.text("outcome")).toMatch(/^5, with a fit of [\d.e-]+.*\. Settled at iteration \d+\. On the server: /);
    expect(page.window.document.querySelectorAll("#bars meter").length).toBe(10);
    page.click("#copy");
    await vi.waitFor(() => expect(page.copied.length).toBe(1));
    const [, url, body] = /^curl (\S+) -H 'content-type: application\/json' -d '([\s\S]*)'$/.exec(page.copied[0]!)!;
    expect(url).toBe("http://127.0.0.1:8788/v1/decisions");
    expect(JSON.parse(body!)).toMatchObject({ model: "nano", questions: [{ type: "choice" }], budget: { iterations: 16 } });
  });

  it("stops an answer that is on its way", async () => {
    const page = await open();
    const submitted = page.submit("ask");
    page.click("#stop");
    await submitted;
    await vi.waitFor(() => expect(page.text("log")).toContain("Stopped."));
    expect(page.text("spent")).toBe("");
  });

  it("asks for a key where the server wants one, and then sends it", async () => {
    const page = await open({ apiKeys: ["secret"] });
    const row = page.window.document.getElementById("key-row")! as unknown as HTMLElement;
    expect(row.hidden).toBe(false);
    expect(page.window.document.querySelector<never>("#ask button")).toMatchObject({ disabled: true });
    const key = page.window.document.getElementById("key")! as unknown as HTMLInputElement;
    key.value = "secret";
    key.dispatchEvent(new page.window.Event("change") as unknown as Event);
    await vi.waitFor(() => expect(page.text("card")).toContain("four forms"));
    await page.submit("ask");
    expect(page.text("answer").trim()).toBe("Yes");
    expect(page.text("curl")).toContain("authorization: Bearer YOUR_KEY");
    expect(page.text("curl")).not.toContain("secret");
  });

  it("quotes commands for a shell, whatever was asked", () => {
    expect(curlCommand("http://h", "/v1/x", { q: "it's" }, false)).toContain(String.raw`it'\''s`);
  });
});

describe("the page's own engine", () => {
  const here = (page: OpenPage): void => page.click("#where-page");

  it("is offered only where the server gives the model away, and loads its weights once", async () => {
    expect(await open()).toSatisfy(({ window }: OpenPage) => (window.document.getElementById("where-page") as never)["disabled"]);
    const page = await open({ playground: true });
    expect(page.asked.some((path) => path.includes("safetensors"))).toBe(false); // nothing is loaded unasked
    here(page);
    await page.submit("ask");
    await page.submit("ask");
    await page.submit("decide");
    expect(page.text("answer").trim()).toBe("Yes");
    expect(page.text("spent")).toMatch(/^In this page, on wasm\. Iterations by token: \d+, \d+\.$/);
    expect(page.window.document.querySelectorAll("#answer .token").length).toBe(2);
    for (const file of ["model.safetensors", "tokenizer.json", "config.json"])
      expect(page.asked.filter((path) => path === `/playground/model/${file}`).length, file).toBe(file === "config.json" ? 2 : 1);
  });

  it("has a bar an option, and says when it settled and what more thinking would have cost", async () => {
    const page = await open({ playground: true });
    here(page);
    const decide = async (options: string, iterations: string): Promise<[string, number][]> => {
      page.set("decide", "input", INPUT);
      page.set("decide", "options", options);
      page.set("settings", "iterations", iterations);
      await page.submit("decide");
      const bars = [...page.window.document.querySelectorAll("#bars meter")] as unknown as HTMLMeterElement[];
      return bars.map((bar) => [bar.getAttribute("aria-label")!, Number(bar.value)]);
    };
    const bars = await decide("Yes, No", "12");
    expect(bars.map(([name]) => name)).toEqual(["Yes", "No"]);
    expect(bars[0]![1] + bars[1]![1]).toBeCloseTo(1, 6);
    expect(bars[0]![1]).toBeGreaterThan(0.9);
    const said =
      /^Yes\. Settled at iteration (\d+); the exit rule stops at (\d+), .*; (\d+) more would have cost \d+ row iterations, about \d+ ms, and said Yes\.$/;
    const [, settled, stopped, more] = said.exec(page.text("outcome"))!;
    expect(Number(settled)).toBeLessThanOrEqual(Number(stopped));
    expect(Number(stopped) + Number(more)).toBe(12);
    expect(await decide(" ", "2")).toEqual([["Yes", expect.any(Number)]]);
    expect(page.text("outcome")).toMatch(/; no iterations were left\.$/);
  });
});

describe("the server's first path", () => {
  it("is the page, built into one file", async () => {
    const app = createApp({ model });
    addPage(app);
    const response = await app.request("/");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, expect.stringMatching(/^text\/html/)]);
    const html = await response.text();
    expect(html).toContain("<main>");
    expect(html).not.toMatch(/<script[^>]* src=/);
    expect(html).toMatch(/<script type="module">[\s\S]{2000,}<\/script>/);
  });
});
