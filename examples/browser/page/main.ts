/**
 * Entry of the page: what a browser gives, handed to page.ts. Bundled into index.html by build.ts; the engine stays outside
 * and is imported when it is first asked.
 */
import { engineHere, PLAYGROUND } from "./engine-here.ts";
import { openPage } from "./page.ts";

const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(path, init);
const module = `${PLAYGROUND}modules/examples/browser/engine.js`;

await openPage({
  fetch: ask,
  engine: engineHere(ask, () => import(module), location.search),
  origin: location.origin,
  copy: (text) => navigator.clipboard.writeText(text),
});
