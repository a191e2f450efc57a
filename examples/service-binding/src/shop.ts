/** Asks the other Worker: an answer, a stream, a decision. Everything is typed by the entrypoint's class. */
import type { Fathom } from "./fathom";

interface Env {
  readonly FATHOM: Service<typeof Fathom>;
}

const PUZZLE = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";

export default {
  async fetch(request, { FATHOM }) {
    const messages = [{ role: "user" as const, content: PUZZLE }];
    switch (new URL(request.url).pathname) {
      case "/run": {
        const { response, usage, budget } = await FATHOM.run("nano", { messages, budget: { iterations: 8 } });
        return Response.json({ response, iterations: usage.iterations.total, limitedBy: budget.limited_by });
      }
      case "/stream":
        return new Response(await FATHOM.stream("nano", { messages }), { headers: { "content-type": "text/event-stream" } });
      case "/decide": {
        const choices = [{ value: "Yes" }, { value: "No" }];
        const { answers } = await FATHOM.decide("nano", { input: PUZZLE, questions: [{ type: "choice", instructions: "", choices }] });
        return Response.json(answers[0]);
      }
      default:
        return new Response("There is /run, /stream and /decide.", { status: 404 });
    }
  },
} satisfies ExportedHandler<Env>;
