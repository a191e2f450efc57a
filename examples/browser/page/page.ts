/**
 * The playground: asks and decides on this server or in this page, under the budget of the sliders, and shows what was
 * spent, where an answer settled, and the command that asks the same. Markup and ids are index.html's.
 */
import { lowFitWords } from "../../../engine/decide/low-fit.ts";
import { offForm } from "../../../engine/model/forms.ts";
import { askDecision, chatBody, CHAT, curlCommand, decisionBody, DECISIONS, firstModel, streamChat } from "./api.ts";
import type { Api, ModelDetails, Settings } from "./api.ts";
import { describeSteps } from "./decision-steps.ts";
import type { EngineHere } from "./engine-here.ts";
import { EXAMPLES } from "./examples.ts";
import { describeSpent, drawBars, drawCard, tokenElement } from "./view.ts";

/** Stops of the sliders; the first is no limit. */
const LATENCIES_MS = [undefined, 1, 2, 3, 5, 8, 12, 20, 40, 80, 150, 300, 1000] as const;
const COSTS_USD = [undefined, 3.1e-7, 3.2e-7, 3.3e-7, 3.5e-7, 4e-7, 5e-7, 7e-7, 1e-6, 2e-6, 5e-6] as const;

export interface PageHost {
  readonly fetch: Api["fetch"];
  readonly engine: EngineHere;
  /** Scheme, name and port of the server, for the curl command. */
  readonly origin: string;
  copy(text: string): Promise<void>;
}

/** Brings the page to life. Resolves when it can be used. */
export async function openPage(host: PageHost): Promise<void> {
  const parts = partsOfPage();
  const api: Api = { fetch: host.fetch, key: () => parts.key.value.trim() };
  const page = new Page(parts, host, api);
  page.listen();
  await page.begin();
}

function partsOfPage() {
  const find = (id: string): HTMLElement => document.getElementById(id)!;
  return {
    ask: find("ask") as HTMLFormElement,
    decide: find("decide") as HTMLFormElement,
    settings: find("settings") as HTMLFormElement,
    key: find("key") as HTMLInputElement,
    keyRow: find("key-row"),
    examples: find("examples"),
    answer: find("answer"),
    spent: find("spent"),
    bars: find("bars"),
    outcome: find("outcome"),
    card: find("card"),
    curl: find("curl"),
    copy: find("copy") as HTMLButtonElement,
    stop: find("stop") as HTMLButtonElement,
    log: find("log"),
    here: find("where-page") as HTMLInputElement,
    hereHint: find("where-hint"),
  };
}

class Page {
  readonly #parts: ReturnType<typeof partsOfPage>;
  readonly #host: PageHost;
  readonly #api: Api;
  #model: ModelDetails | undefined;
  #running: AbortController | undefined;
  #last: { readonly path: string; readonly body: object } | undefined;

  constructor(parts: ReturnType<typeof partsOfPage>, host: PageHost, api: Api) {
    [this.#parts, this.#host, this.#api] = [parts, host, api];
  }

  listen(): void {
    const { ask, decide, settings, stop, copy, key, examples } = this.#parts;
    this.#onSubmit(ask, (signal) => this.#ask(signal));
    this.#onSubmit(decide, (signal) => this.#decide(signal));
    settings.addEventListener("submit", (event) => event.preventDefault());
    settings.addEventListener("input", () => this.#showSettings());
    stop.addEventListener("click", () => this.#running?.abort());
    copy.addEventListener("click", () => void this.#host.copy(this.#parts.curl.textContent).then(() => this.#note("Copied.")));
    key.addEventListener("change", () => void this.begin());
    for (const example of EXAMPLES) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = example.name;
      button.addEventListener("click", () => {
        (ask.elements.namedItem("question") as HTMLTextAreaElement).value = example.question;
        (decide.elements.namedItem("input") as HTMLTextAreaElement).value = example.question;
        (decide.elements.namedItem("options") as HTMLInputElement).value = example.options.join(", ");
        this.#showCurl(CHAT, this.#chatBody());
      });
      examples.append(button);
    }
  }

  /** Finds the model and what is offered; again when a key was typed. */
  async begin(): Promise<void> {
    const { here, hereHint, keyRow, card } = this.#parts;
    const isOffered = await this.#host.engine.isOffered();
    here.disabled = !isOffered;
    hereHint.hidden = isOffered;
    try {
      this.#model = await firstModel(this.#api);
      drawCard(card, this.#model);
      const slider = this.#slider("iterations");
      slider.max = `${this.#model.iterations.max}`;
      slider.value = `${Math.min(16, this.#model.iterations.max)}`;
      this.#setBusy(false);
    } catch (error) {
      if ((error as { status?: number }).status === 401) keyRow.hidden = false;
      this.#note((error as Error).message);
    }
    this.#showSettings();
  }

  #onSubmit(form: HTMLFormElement, work: (signal: AbortSignal) => Promise<void>): void {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run(work);
    });
  }

  async #run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#running = new AbortController();
    const { signal } = this.#running;
    this.#setBusy(true);
    try {
      await work(signal);
    } catch (error) {
      this.#note(signal.aborted ? "Stopped." : (error as Error).message);
    }
    this.#setBusy(false);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { answer, spent } = this.#parts;
    answer.replaceChildren();
    spent.textContent = "";
    const body = this.#chatBody();
    this.#showCurl(CHAT, body);
    this.#sayOffForm(this.#question());
    if (this.#isHere()) return this.#askHere(signal);
    for await (const part of streamChat(this.#api, body, signal)) {
      signal.throwIfAborted();
      if (typeof part === "string") answer.append(part);
      else {
        const whole = tokenElement(answer.textContent, part.iterations.mean, this.#settings().iterations);
        answer.replaceChildren(whole); // the server says the mean, not each token's
        spent.textContent = `On the server: ${describeSpent(part)}`;
      }
    }
    signal.throwIfAborted(); // a stream may end as well when it is stopped
  }

  async #askHere(signal: AbortSignal): Promise<void> {
    const { answer, spent } = this.#parts;
    const engine = await this.#host.engine.open((line) => this.#note(line));
    const { iterations } = this.#settings();
    const depths: number[] = [];
    for await (const { text, token } of engine.ask(this.#question(), iterations)) {
      signal.throwIfAborted();
      answer.append(tokenElement(text, token.iterations, iterations));
      depths.push(token.iterations);
    }
    spent.textContent = `In this page, on ${engine.model.backend.name}. Iterations by token: ${depths.join(", ")}.`;
  }

  async #decide(signal: AbortSignal): Promise<void> {
    const { decide, bars, outcome } = this.#parts;
    const valueOf = (name: string): string => (decide.elements.namedItem(name) as HTMLInputElement).value;
    const options = valueOf("options")
      .split(",")
      .map((option) => option.trim())
      .filter(Boolean);
    const [input, instructions] = [valueOf("input"), valueOf("question")];
    outcome.textContent = "";
    const body = decisionBody(this.#id(), input, instructions, options, this.#settings());
    this.#showCurl(DECISIONS, body);
    this.#sayOffForm(input);
    const names = options.length > 0 ? options : ["Yes"];
    const moveBars = drawBars(bars, names);
    if (!this.#isHere()) {
      const { probabilities, fit, abstained, settledAt, spent } = await askDecision(this.#api, body, signal);
      signal.throwIfAborted();
      moveBars(probabilities);
      const best = options.length > 0 ? names[probabilities.indexOf(Math.max(...probabilities))] : probabilities[0]! >= 0.5 ? "Yes" : "No";
      const words = lowFitWords(options.length > 0 ? "choice" : "predicate", fit, abstained);
      outcome.textContent = `${best}, with a fit of ${fit.toPrecision(2)}${words}. Settled at iteration ${settledAt}. On the server: ${describeSpent(spent)}`;
      return;
    }
    const engine = await this.#host.engine.open((line) => this.#note(line));
    const question =
      options.length > 0
        ? ({ kind: "choice", instructions, options: options.map((text) => ({ text })) } as const)
        : ({ kind: "predicate", instructions } as const);
    const steps = [];
    for await (const step of engine.decide({ input, questions: [question] }, this.#settings().iterations)) {
      signal.throwIfAborted();
      steps.push(step);
      moveBars(step.decision.answers[0]!.probabilities);
    }
    outcome.textContent = describeSteps(steps, options);
  }

  /** Says so where the model was trained on other prompts alone. */
  #sayOffForm(prompt: string): void {
    const warning = this.#model && offForm(this.#model.id, this.#model.forms, prompt);
    if (warning !== undefined) this.#note(warning);
  }

  #chatBody(): object {
    return chatBody(this.#id(), this.#question(), this.#settings());
  }

  #id(): string {
    return this.#model?.id ?? "";
  }

  #question(): string {
    return (this.#parts.ask.elements.namedItem("question") as HTMLTextAreaElement).value;
  }

  #isHere(): boolean {
    return this.#parts.here.checked;
  }

  #slider(name: string): HTMLInputElement {
    return this.#parts.settings.elements.namedItem(name) as HTMLInputElement;
  }

  #settings(): Settings {
    const latencyMs = LATENCIES_MS[Number(this.#slider("latency").value)];
    const costUsd = COSTS_USD[Number(this.#slider("cost").value)];
    return {
      iterations: Number(this.#slider("iterations").value),
      ...(latencyMs !== undefined && { latencyMs }),
      ...(costUsd !== undefined && { costUsd }),
    };
  }

  #showSettings(): void {
    const { iterations, latencyMs, costUsd } = this.#settings();
    const isHere = this.#isHere();
    for (const name of ["latency", "cost"]) this.#slider(name).disabled = isHere; // the page's engine knows iterations alone
    const show = (name: string, text: string): void => void (document.getElementById(`${name}-value`)!.textContent = text);
    show("iterations", `${iterations}`);
    show("latency", latencyMs === undefined ? "no limit" : `${latencyMs} ms`);
    show("cost", costUsd === undefined ? "no limit" : `$${costUsd}`);
    if (this.#model !== undefined && this.#last === undefined) this.#showCurl(CHAT, this.#chatBody());
    else if (this.#last?.path === CHAT) this.#showCurl(CHAT, this.#chatBody());
  }

  #showCurl(path: string, body: object): void {
    this.#last = { path, body };
    this.#parts.curl.textContent = curlCommand(this.#host.origin, path, body, this.#api.key() !== "");
  }

  #setBusy(isBusy: boolean): void {
    for (const form of [this.#parts.ask, this.#parts.decide]) form.querySelector("button")!.disabled = isBusy;
    this.#parts.stop.disabled = !isBusy;
  }

  #note(line: string): void {
    this.#parts.log.textContent += `${line}\n`;
  }
}
