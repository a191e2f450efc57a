/** The playground's page itself: its own script, on the parts of a document that it uses, against the served files. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loadNodeModel, modelPath } from "../../cli/models.ts";
import { addPlayground } from "../../cli/playground.ts";
import { createApp } from "../../worker/app.ts";

const PAGE = fileURLToPath(new URL("../../examples/browser/", import.meta.url));
const INPUT = "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

/** As much of an element as the page asks for. */
class FakeElement {
  children: (FakeElement | string)[] = [];
  value: unknown = "";
  disabled = false;
  textContent = "";
  submit: ((event: { preventDefault(): void }) => Promise<void>) | undefined;

  append(...parts: (FakeElement | string)[]): void {
    this.children.push(...parts);
    this.textContent += parts.filter((part) => typeof part === "string").join("");
  }
  replaceChildren(...parts: FakeElement[]): void {
    this.children = parts;
  }
  addEventListener(_type: "submit", listener: NonNullable<FakeElement["submit"]>): void {
    this.submit = listener;
  }
}

const IDS = ["#ask", "#answer", "#log", "#decide", "#bars", "#outcome"] as const;
type Nodes = Record<(typeof IDS)[number], FakeElement & Record<string, { value: string }>>;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-page-"));
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true });
});

async function openPage(): Promise<{ nodes: Nodes; buttons: FakeElement[] }> {
  const app = createApp({ model: await loadNodeModel("nano", "wasm") });
  addPlayground(app, modelPath("nano"));
  vi.stubGlobal("fetch", async (url: string) => app.request(url.replace(/^\.\//, "/playground/")));
  const html = await readFile(`${PAGE}index.html`, "utf8");
  const [, script] = /<script type="module">([\s\S]*)<\/script>/.exec(html)!;
  for (const id of IDS) expect(html, id).toContain(`id="${id.slice(1)}"`);
  const nodes = Object.fromEntries(IDS.map((id) => [id, new FakeElement()])) as unknown as Nodes;
  const buttons = [new FakeElement(), new FakeElement()];
  vi.stubGlobal("document", {
    querySelector: (id: keyof Nodes) => nodes[id],
    querySelectorAll: () => buttons,
    createElement: () => new FakeElement(),
  });
  const file = join(folder, "page.mjs");
  await writeFile(file, script!.replace('"./modules/examples/browser/engine.js"', JSON.stringify(`${PAGE}engine.ts`)));
  await import(/* @vite-ignore */ file);
  return { nodes, buttons };
}

async function decide(
  { nodes }: Awaited<ReturnType<typeof openPage>>,
  options: string,
  iterations = 12,
): Promise<{ bars: [string, number][]; said: string }> {
  Object.assign(nodes["#decide"], {
    input: { value: INPUT },
    question: { value: "" },
    options: { value: options },
    iterations: { value: `${iterations}` },
  });
  await nodes["#decide"].submit!({ preventDefault: () => undefined });
  const bars = nodes["#bars"].children.map((label) => (label as FakeElement).children as [string, FakeElement, FakeElement]);
  return { bars: bars.map(([name, bar]) => [name, bar.value as number]), said: nodes["#outcome"].textContent };
}

describe("the playground's decision", () => {
  it("has a bar an option, and says when it settled and what more thinking would have cost", async () => {
    const page = await openPage();
    expect(page.nodes["#log"].textContent).toContain("nano is ready");
    const { bars, said } = await decide(page, "Yes, No");
    expect(bars.map(([name]) => name)).toEqual(["Yes", "No"]);
    expect(bars[0]![1] + bars[1]![1]).toBeCloseTo(1, 6);
    expect(bars[0]![1]).toBeGreaterThan(0.9);
    const [, settled, stopped, more] =
      /^Yes\. Settled at iteration (\d+); the exit rule stops at (\d+), .*; (\d+) more would have cost \d+ row iterations, about \d+ ms, and said Yes\.$/.exec(
        said,
      )!;
    expect(Number(settled)).toBeLessThanOrEqual(Number(stopped));
    expect(Number(stopped) + Number(more)).toBe(12);
    expect(page.buttons.map(({ disabled }) => disabled)).toEqual([false, false]);

    expect(await decide(page, " ", 2)).toEqual({
      bars: [["Yes", expect.any(Number)]],
      said: expect.stringMatching(/; no iterations were left\.$/),
    });
    expect((await decide(page, "Yes, Yes ", 1)).bars.map(([name]) => name)).toEqual(["Yes", "Yes"]);
  });
});
