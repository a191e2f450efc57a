/** A short run of the option fuzzer; the long one is `npm run fuzz:options`. */
import { expect, it } from "vitest";
import { impatient } from "./impatient.ts";
import { fuzzModel, runOptions } from "./option-runs.ts";

it("every object of options is refused by name, or does exactly what it says", async () => {
  const model = await fuzzModel();
  const restore = impatient();
  try {
    const kinds = new Set<string>();
    for (let run = 0; run < 400; run++) {
      const { kind, failures } = await runOptions(model, 1, run);
      kinds.add(kind);
      expect(failures, `run ${run}`).toEqual([]);
    }
    expect([...kinds].sort()).toEqual(["refused", "served"]);
  } finally {
    restore();
  }
});
