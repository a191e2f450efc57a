/** The Tail Worker from the package as npm packs it: one line is a Worker that compiles, bundles, and takes events. */
import { expect, it } from "vitest";
import { project, STRICT } from "./project.ts";

it("the Tail Worker of operations.md compiles and bundles from the package", { timeout: 400_000 }, async () => {
  await using host = await project({ packages: ["@cloudflare/workers-types", "typescript"] });
  await host.write({
    "src/tail.ts": 'export { default } from "fathom-edge/worker/tail";\n',
    "tsconfig.json": { ...STRICT, compilerOptions: { ...STRICT.compilerOptions, skipLibCheck: true } },
    "wrangler.toml": 'name = "fathom-tail"\nmain = "src/tail.ts"\ncompatibility_date = "2026-10-20"\nsend_metrics = false\n',
  });
  await host.run("tsc", "-p", ".");
  expect(await host.run("wrangler", "deploy", "--dry-run", "--outdir", "out")).toMatch(/gzip: \d/);
  const script =
    'import tail from "./out/tail.js"; console.log(typeof tail.tail); await tail.tail([{ outcome: "ok", cpuTime: 1, logs: [] }], {});';
  expect(await host.run("node", "--input-type=module", "-e", script)).toBe("function\n");
});
